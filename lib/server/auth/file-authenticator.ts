// Authentication in a worker: checks claims against the users that the main thread put into shared
// memory, remembers which addresses failed, and logs failures at a bounded rate.

import { Credentials } from '../../protocol/auth/credentials.ts'
import { Penalties } from '../../protocol/auth/penalties.ts'
import type { Authenticator, Claim } from '../../protocol/authenticator.ts'
import type { AuthHandle } from './files.ts'

/** A worker logs failures at most this often. */
export const AUTH_LOG_MS_MIN = 1000

const IPV6 = /^tcp6:\[([\da-f:]+)/
const IPV6_GROUPS = 8

export interface Surroundings {
  /** The address of a connection with its port, as in `stats conns`. */
  addressOf(id: number): string
  /** Logs a line, with -v. */
  log(line: string): void
}

export class FileAuthenticator implements Authenticator {
  private readonly text: Credentials | null
  private readonly sasl: Credentials | null
  private readonly surroundings: Surroundings
  private readonly penalties = new Penalties()
  private loggedMs = Number.NEGATIVE_INFINITY
  /** Failures since the last logged line. */
  private unlogged = 0

  constructor({ text, sasl }: AuthHandle, surroundings: Surroundings) {
    this.text = text === null ? null : new Credentials(text)
    this.sasl = sasl === null ? null : new Credentials(sasl)
    this.surroundings = surroundings
  }

  get textNeeded(): boolean {
    return this.text !== null
  }

  get saslNeeded(): boolean {
    return this.sasl !== null
  }

  checkText(claim: Claim): boolean {
    return this.text?.has(claim) ?? false
  }

  checkSasl(claim: Claim): boolean {
    return this.sasl?.has(claim) ?? false
  }

  judge(id: number, failures: number, right: boolean): number {
    const address = this.surroundings.addressOf(id)
    const nowMs = performance.now()
    if (!right) this.logFailure(address, nowMs)
    return this.penalties.judge(originOf(address), failures, right, nowMs)
  }

  private logFailure(address: string, nowMs: number): void {
    this.unlogged++
    if (nowMs - this.loggedMs < AUTH_LOG_MS_MIN) return
    const others = this.unlogged > 1 ? `, and ${this.unlogged - 1} more since the last line` : ''
    this.surroundings.log(`authentication failed: ${address}${others}`)
    this.loggedMs = nowMs
    this.unlogged = 0
  }
}

/**
 * Failures with the same origin count together: the address without its port, which differs for
 * each connection. Of IPv6 it is the network, because a peer has a whole /64 of addresses.
 */
function originOf(address: string): string {
  const [, groups] = IPV6.exec(address) ?? []
  if (groups !== undefined) return networkOf(groups)
  return address.startsWith('tcp') ? address.slice(0, address.lastIndexOf(':')) : address
}

/** The first half of an IPv6 address, with the zeros that `::` leaves out. */
function networkOf(groups: string): string {
  const [head, tail] = groups.split('::').map(part => part.split(':').filter(Boolean))
  const zeros = tail === undefined ? 0 : IPV6_GROUPS - head.length - tail.length
  const all = [...head, ...Array.from({ length: zeros }, () => '0'), ...(tail ?? [])]
  return all.slice(0, IPV6_GROUPS / 2).join(':')
}
