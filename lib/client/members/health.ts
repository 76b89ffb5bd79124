// Whether a node of a pool is used. A few failures in a row eject it. It is probed after a rest and
// comes back once it answered. Until it has been back for a while, its first failure
// ejects it again, and each rest is twice as long, so a flapping node is mostly ejected.

import { SERVER_CHANGES, type ServerChange } from '../../doors/channels.ts'
import { CLIENT_REST_MS_MAX } from '../limits.ts'

/** After this time back, earlier failures no longer count. */
export const CLIENT_STEADY_MS = 30_000

export class Health {
  private readonly server: string
  private readonly failuresMax: number
  private readonly restMs: number
  private failures = 0
  private ejections = 0
  private backAtMs = 0
  private isOut = false

  /** Ejects `server` after `failuresMax` failures in a row, for `restMs` the first time. */
  constructor(failuresMax: number, restMs: number, server = '') {
    this.server = server
    this.failuresMax = failuresMax
    this.restMs = restMs
  }

  isUp(): boolean {
    return !this.isOut
  }

  /** A request was answered. */
  succeed(nowMs: number): void {
    this.failures = 0
    if (!this.isOut) return this.forgive(nowMs)
    this.isOut = false
    this.backAtMs = nowMs
    this.tell()
  }

  /** A request got no answer. Returns whether that ejected the node. */
  fail(nowMs: number): boolean {
    this.failures++
    this.forgive(nowMs)
    if (this.isOut || (this.ejections === 0 && this.failures < this.failuresMax)) return false
    this.isOut = true
    this.ejections++
    this.tell()
    return true
  }

  /** How long an ejected node rests before it is probed, ms. */
  rest(): number {
    return Math.min(this.restMs * 2 ** Math.max(0, this.ejections - 1), CLIENT_REST_MS_MAX)
  }

  private tell(): void {
    const change: ServerChange = { server: this.server, isUp: !this.isOut }
    SERVER_CHANGES.publish(change)
  }

  private forgive(nowMs: number): void {
    if (!this.isOut && nowMs - this.backAtMs > CLIENT_STEADY_MS) this.ejections = 0
  }
}
