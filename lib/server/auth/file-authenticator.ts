// Authentication in a worker: checks claims against the users that the main thread put into shared
// memory, remembers which addresses failed, and logs failures at a bounded rate.

import { Credentials } from '../../protocol/auth/credentials.ts'
import { Penalties } from '../../protocol/auth/penalties.ts'
import type { Authenticator, Claim } from '../../protocol/authenticator.ts'
import { originOf } from '../system/peer-origin.ts'
import { RareLog } from '../system/rare-log.ts'
import type { AuthHandle } from './files.ts'

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
  private readonly failures: RareLog

  constructor({ text, sasl }: AuthHandle, surroundings: Surroundings) {
    this.text = text === null ? null : new Credentials(text)
    this.sasl = sasl === null ? null : new Credentials(sasl)
    this.surroundings = surroundings
    this.failures = new RareLog(line => surroundings.log(line))
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
    if (!right) this.failures.note(`authentication failed: ${address}`)
    return this.penalties.judge(originOf(address), failures, right, nowMs)
  }
}
