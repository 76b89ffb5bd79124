// The pending requests of one connection, first in, first out, with bounds on their number and
// time. A request that missed its deadline keeps its place, because its answer is still to come. A
// server that answered nothing meanwhile is given up. Deadlines are in the time of loop-clock.ts,
// and are checked after the loop has read what came: an answer that is there is never a time-out.

import { CacheError } from '../../doors/errors.ts'
import { CLIENT_PENDING_BYTES_MAX, CLIENT_PENDING_MAX } from '../limits.ts'
import { loopClock } from '../loop-clock.ts'

export interface PendingBounds {
  /** Requests that may wait on one connection; more are refused with BUSY. Default 65,536. */
  pendingMax?: number
  /**
   * Bytes of the requests that may wait on one connection; more are refused with BUSY, but one
   * request alone may have any length. Default 64 MiB.
   */
  pendingBytesMax?: number
}

/** A pending request. `what` is the protocol's: how it recognises the answer. */
export interface Pending<What> {
  readonly what: What
  readonly bytes: number
  resolve(): void
  reject(error: Error): void
  startedMs: number
  deadlineMs: number
  /**
   * The caller has been rejected already. The reply is still to come, and its time starts again.
   */
  isAbandoned: boolean
  isDone: boolean
}

/** The connection of these requests. */
export interface LineOwner {
  /** The server sent nothing before a deadline. */
  giveUp(): void
  /** From now on requests wait, or none does. */
  wait(isWaiting: boolean): void
}

export const NO_ANSWER = 'no answer in time'

/** Requests that are late within this time are one failure: they were sent at once. */
const TOGETHER_MS = 20

/** Errors of requests that were not sent, because their time was over. */
const unsent = new WeakSet<CacheError>()

/** Whether the request of this error never left, so that the server has no part in it. */
export function isUnsent(error: CacheError): boolean {
  return unsent.has(error)
}

export class PendingLine<What> {
  private readonly server: string
  private readonly countMax: number
  private readonly bytesMax: number
  private readonly owner: LineOwner
  /** Requests before `first` are done. */
  private waiting: Pending<What>[] = []
  private first = 0
  private bytes = 0
  private timer: NodeJS.Timeout | undefined
  private check: NodeJS.Immediate | undefined
  private timerAtMs = Number.POSITIVE_INFINITY
  /** What the last late requests were rejected with, and when. */
  private late: CacheError | undefined
  private lateAtMs = 0
  /** When the last request was answered completely. */
  private lastDoneMs = 0

  constructor(server: string, bounds: PendingBounds, owner: LineOwner) {
    this.server = server
    this.countMax = bounds.pendingMax ?? CLIENT_PENDING_MAX
    this.bytesMax = bounds.pendingBytesMax ?? CLIENT_PENDING_BYTES_MAX
    this.owner = owner
  }

  /** Requests whose answers are still to come. */
  get count(): number {
    return this.waiting.length - this.first
  }

  /** The request whose answer comes next. */
  head(): Pending<What> | undefined {
    return this.waiting[this.first]
  }

  /**
   * Why such a request is refused. One without time left would end the connection for all others.
   */
  refusal(bytes: number, timeoutMs: number): CacheError | undefined {
    if (timeoutMs <= 0) {
      const error = new CacheError('TIMEOUT', 'no time was left to ask', { server: this.server })
      unsent.add(error)
      return error
    }
    const { count } = this
    if (count === 0) return undefined
    if (count >= this.countMax) {
      return new CacheError('BUSY', `${count} requests wait already`, { server: this.server })
    }
    if (this.bytes + bytes <= this.bytesMax) return undefined
    return new CacheError('BUSY', `${this.bytes} bytes of requests wait already`, {
      server: this.server,
    })
  }

  /** Adds a request; `settle` is called with its outcome. */
  enter(
    what: What,
    bytes: number,
    timeoutMs: number,
    settle: Pick<Pending<What>, 'resolve' | 'reject'>,
  ): Pending<What> {
    if (this.head() === undefined) this.wait(true)
    const startedMs = loopClock.nowMs()
    const deadlineMs = startedMs + timeoutMs
    const { resolve, reject } = settle
    const isNew = { isAbandoned: false, isDone: false }
    const pending = { what, bytes, resolve, reject, startedMs, deadlineMs, ...isNew }
    this.waiting.push(pending)
    this.bytes += bytes
    this.checkAt(deadlineMs)
    return pending
  }

  /** A request was answered completely. Returns whether its caller still waits. */
  leave(pending: Pending<What>): boolean {
    pending.isDone = true
    this.bytes -= pending.bytes
    this.lastDoneMs = loopClock.nowMs()
    while (this.waiting[this.first]?.isDone) this.first++
    if (this.head() === undefined) this.wait(false)
    if (this.first * 2 >= this.waiting.length) {
      this.waiting = this.waiting.slice(this.first)
      this.first = 0
    }
    return !pending.isAbandoned
  }

  /** Rejects all pending requests with this reason. */
  end(error: CacheError): void {
    clearTimeout(this.timer)
    clearImmediate(this.check)
    if (this.head() !== undefined) this.wait(false)
    const waiting = this.waiting.slice(this.first)
    this.waiting = []
    this.first = 0
    this.bytes = 0
    for (const { isAbandoned, isDone, reject } of waiting)
      if (!isAbandoned && !isDone) reject(error)
  }

  private wait(isWaiting: boolean): void {
    this.owner.wait(isWaiting)
    if (isWaiting) {
      loopClock.hold()
      this.timer?.ref()
    } else {
      loopClock.release()
      this.timer?.unref()
    }
  }

  /** Checks the deadlines at that time, or sooner. */
  private checkAt(atMs: number): void {
    if (atMs >= this.timerAtMs) return
    clearTimeout(this.timer)
    this.timerAtMs = atMs
    const waitMs = Math.max(1, atMs - loopClock.nowMs())
    // Timers run before the loop reads sockets, immediates after.
    this.timer = setTimeout(() => {
      this.check = setImmediate(() => this.checkDeadlines())
    }, waitMs)
  }

  /**
   * Rejects requests whose time is over. If the server answered others meanwhile, it gets the same
   * time again for replies that no caller waits for any more.
   */
  private checkDeadlines(): void {
    this.timerAtMs = Number.POSITIVE_INFINITY
    loopClock.turn()
    const nowMs = loopClock.nowMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (let i = this.first; i < this.waiting.length; i++) {
      const pending = this.waiting[i]
      if (pending.isDone) continue
      if (pending.deadlineMs <= nowMs) {
        if (this.lastDoneMs <= pending.startedMs) return this.owner.giveUp()
        if (!pending.isAbandoned) pending.reject(this.lateError(nowMs))
        pending.isAbandoned = true
        pending.deadlineMs += nowMs - pending.startedMs
        pending.startedMs = nowMs
      }
      nextMs = Math.min(nextMs, pending.deadlineMs)
    }
    this.checkAt(nextMs)
  }

  /** One error for all that are late together: an error counts as one failure. */
  private lateError(nowMs: number): CacheError {
    if (this.late === undefined || nowMs - this.lateAtMs > TOGETHER_MS) {
      this.late = new CacheError('TIMEOUT', NO_ANSWER, { server: this.server })
      this.lateAtMs = nowMs
    }
    return this.late
  }
}
