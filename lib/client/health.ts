// Whether a node of a pool is used. A few failures in a row eject it; it is probed after a rest, and
// comes back with the first probe that is answered. The rest doubles with each ejection that follows
// soon, so that a node that flaps is mostly out, and is forgiven after a steady while.

import { CLIENT_REST_MS_MAX, CLIENT_STEADY_MS } from '../limits.ts'

export class Health {
  private readonly failuresMax: number
  private readonly restMs: number
  private failures = 0
  private ejections = 0
  private ejectedAtMs = 0
  private isOut = false

  /** Ejects after `failuresMax` failures in a row, for `restMs` the first time. */
  constructor(failuresMax: number, restMs: number) {
    this.failuresMax = failuresMax
    this.restMs = restMs
  }

  isUp(): boolean {
    return !this.isOut
  }

  /** A request was answered. */
  succeed(nowMs: number): void {
    this.failures = 0
    if (this.isOut) this.isOut = false
    else if (this.ejections > 0 && nowMs - this.ejectedAtMs > this.rest() + CLIENT_STEADY_MS) {
      this.ejections = 0
    }
  }

  /** A request found no answer; whether that ejected the node. */
  fail(nowMs: number): boolean {
    this.failures++
    if (this.isOut || this.failures < this.failuresMax) return false
    this.isOut = true
    this.ejections++
    this.ejectedAtMs = nowMs
    return true
  }

  /** How long an ejected node rests before it is asked again, ms. */
  rest(): number {
    return Math.min(this.restMs * 2 ** Math.max(0, this.ejections - 1), CLIENT_REST_MS_MAX)
  }
}
