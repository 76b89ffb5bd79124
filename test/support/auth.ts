/**
 * An authenticator for sessions without a socket: one user, answers as late as a test wants them, and
 * a record of what it was asked.
 */
import type { Authenticator, Claim } from '../../lib/protocol/authenticator.ts'

export const USER = 'user'
export const PASSWORD = 'pass word'

export interface Doors {
  text?: boolean
  sasl?: boolean
  /** What an answer waits, by the failures so far. */
  delayMs?: (failures: number) => number
}

export class TestAuthenticator implements Authenticator {
  readonly textNeeded: boolean
  readonly saslNeeded: boolean
  readonly claims: [user: string, password: string][] = []
  readonly judged: [failures: number, right: boolean][] = []
  private readonly delayMs: (failures: number) => number

  constructor({ text = true, sasl = true, delayMs = () => 0 }: Doors = {}) {
    this.textNeeded = text
    this.saslNeeded = sasl
    this.delayMs = delayMs
  }

  checkText(claim: Claim): boolean {
    return this.check(claim)
  }

  checkSasl(claim: Claim): boolean {
    return this.check(claim)
  }

  judge(_id: number, failures: number, right: boolean): number {
    this.judged.push([failures, right])
    return this.delayMs(failures)
  }

  private check({ bytes, userStart, userEnd, passwordStart, passwordEnd }: Claim): boolean {
    const user = bytes.toString('latin1', userStart, userEnd)
    const password = bytes.toString('latin1', passwordStart, passwordEnd)
    this.claims.push([user, password])
    return user === USER && password === PASSWORD
  }
}
