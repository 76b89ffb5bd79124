// What one peer may do now. Each connection has a pass from the desk of its thread; protocols ask
// it before they run a request. A pass changes when its peer logs in, when the file is read again,
// and when a token expires. Then nobody has to log out: the next question gets the new answer.

import type { Claim } from './claim.ts'
import { Need, NO_RIGHTS, type Rights } from './rights.ts'

/** The answers of a pass. */
export const Verdict = {
  ALLOWED: 0,
  /** It must log in first. */
  UNAUTHENTICATED: 1,
  /** It is known, and may not. */
  UNAUTHORIZED: 2,
} as const

export type Verdict = (typeof Verdict)[keyof typeof Verdict]

/** What somebody gets who says who he is, and is right. */
export interface Grant {
  name: string
  /** Unix seconds; Infinity: never. */
  expiresAtS: number
  /** Identifies what he showed: a password, a certificate or the key of a token. */
  credential: string
  /** Who signed his token; null: it is none. */
  signer: string | null
  /** Of a token with rights of its own: those, before its signer's most; else null. */
  asked: Rights | null
  /** Whose limits count: `user app` or `token issuer`. */
  metered: string
}

/** A check that takes time. */
export interface PendingCheck {
  readonly isDone: boolean
  /** Once it is done; null: wrong. */
  readonly grant: Grant | null
  /** Nobody waits for it any more. */
  cancel(): void
}

/** Where passes come from: one in each thread. */
export interface Desk {
  /** Changes when the file is read again. */
  readonly version: number
  /** Unix seconds. */
  nowS(): number
  /** The pass of a new peer, who may have shown a certificate with these names. */
  arrive(id: number, names: readonly string[]): Pass
  /** Checks a name with a password or a token, at once or later. Keeps no reference to it. */
  check(claim: Claim): Grant | PendingCheck | null
  /** Lets somebody in. False: this user has too many connections. */
  admit(pass: Pass, grant: Grant): boolean
  /** Makes the pass that of somebody who has not logged in. */
  leave(pass: Pass): void
  /** Brings a pass up to date with the file. */
  renew(pass: Pass): void
  /**
   * Delay of the answer to a right or wrong claim of the connection `id` with this number of
   * failures, milliseconds.
   */
  judge(id: number, failures: number, right: boolean): number
}

export class Pass {
  /** The peer's number. */
  readonly id: number
  rights: Rights = NO_RIGHTS
  /** Null: has not logged in. */
  grant: Grant | null = null
  /** Of the file that the rights are from. */
  version = -1
  /** The token expired, or the file has this user no more: the connection is to be closed. */
  isOver = false
  /** Index of the meter of whose limits count; -1: nobody's. */
  meter = -1
  /** Keys and commands that were asked about since the last count. */
  asked = 0
  /** Refusals since the last count. */
  refused = 0
  private readonly desk: Desk
  private expiresAtS = Number.POSITIVE_INFINITY

  constructor(desk: Desk, id: number) {
    this.desk = desk
    this.id = id
  }

  get isLoggedIn(): boolean {
    return this.grant !== null
  }

  /** Whether a command of these categories (Need) may name this key. */
  key(needs: number, bytes: Uint8Array, start: number, length: number): Verdict {
    this.refresh()
    this.asked++
    if (this.rights.mayKey(needs, bytes, start, length)) return Verdict.ALLOWED
    return this.refuse()
  }

  /** Whether a command of these categories may run that names no key. */
  command(needs: number): Verdict {
    this.refresh()
    this.asked++
    return this.rights.may(needs) ? Verdict.ALLOWED : this.refuse()
  }

  /** Whether this key may be written, for who wants to know only. */
  mayWrite(bytes: Uint8Array, start: number, length: number): boolean {
    this.refresh()
    return this.rights.mayKey(Need.WRITE, bytes, start, length)
  }

  /** Becomes that of this user; null: of who has not logged in, with these rights. */
  become(grant: Grant | null, rights: Rights, version: number): void {
    this.grant = grant
    this.rights = rights
    this.version = version
    this.expiresAtS = grant?.expiresAtS ?? Number.POSITIVE_INFINITY
  }

  /** Whether it is still valid; brings it up to date. */
  refresh(): void {
    const { desk } = this
    if (this.version !== desk.version) desk.renew(this)
    if (this.expiresAtS === Number.POSITIVE_INFINITY || desk.nowS() < this.expiresAtS) return
    this.end()
  }

  /** From now on it allows nothing. */
  end(): void {
    this.isOver = true
    this.become(null, NO_RIGHTS, this.version)
  }

  private refuse(): Verdict {
    this.refused++
    return this.grant === null ? Verdict.UNAUTHENTICATED : Verdict.UNAUTHORIZED
  }
}
