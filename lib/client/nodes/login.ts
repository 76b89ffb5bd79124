// What a server said to the user and password of the pool, for all connections to it. A refusal
// stands for a while: until then nobody connects, because servers answer slower the more often a
// password was wrong. A connection that ends before the next answer, as by a deadline, ends with
// the refusal: the password is the likelier reason.

import { CacheError } from '../../doors/errors.ts'

/** How long a refusal stands before the password is tried again. */
export const LOGIN_REST_MS = 1000
const REFUSED = 'user and password were refused'

export class Login {
  private readonly server: string
  private refusedAtMs: number | undefined

  constructor(server: string) {
    this.server = server
  }

  accept(): void {
    this.refusedAtMs = undefined
  }

  /** The error of what waited on this answer. */
  refuse(): CacheError {
    this.refusedAtMs = performance.now()
    return this.refusal()
  }

  /** The error of a connection that ended before it was answered, if the last answer was no. */
  unanswered(): CacheError | undefined {
    return this.refusedAtMs === undefined ? undefined : this.refuse()
  }

  /** Why no connection is opened now. */
  standing(): CacheError | undefined {
    const atMs = this.refusedAtMs
    return atMs === undefined || performance.now() - atMs > LOGIN_REST_MS
      ? undefined
      : this.refusal()
  }

  private refusal(): CacheError {
    return new CacheError('AUTH', REFUSED, { server: this.server })
  }
}
