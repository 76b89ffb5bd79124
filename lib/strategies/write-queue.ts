// The queue of write-behind: of several writes of one key only the last, one save of a key at a
// time, until it settles. A save that takes too long has its signal aborted, and is still waited
// for: a second one beside it could be overtaken by the first.
//
// A failed write waits for its next try, and goes to the end of the queue. While the source is away
// (the last save failed) one save at a time tries it, with growing pauses in between. The queue is
// bounded: while it is full, writers wait, then are refused.
//
//   queued ──> saving ──> saved
//      ^          │
//      └─ failed ─┴─> lost: tried `triesMax` times

import { setTimeout as sleep } from 'node:timers/promises'
import { CacheError } from '../doors/errors.ts'
import type { Awaitable } from '../doors/types.ts'

/** Pauses after failures: of a write, and of a source that is away. They double. */
const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 10_000

/** A write that is not saved. */
export interface Write<T> {
  readonly key: string
  /** Undefined for a removal. */
  readonly value: T | undefined
  readonly isRemoval: boolean
}

export interface Queued<T> extends Write<T> {
  /** It was given up. */
  isLost: boolean
  tries: number
  /** Not to be tried before. */
  dueMs: number
}

/** Who saves, and who learns of it. None of these but `save` may reject. */
export interface QueueTarget<T> {
  save(write: Write<T>, signal: AbortSignal): Awaitable<void>
  /** Before the next write of the key is saved. */
  saved(write: Queued<T>): Promise<void>
  /** A try failed. */
  failed(write: Queued<T>, error: unknown): void
  /** Given up after its last try. `isLast`: there is no newer write of the key. */
  lost(write: Queued<T>, error: unknown, isLast: boolean): Promise<void>
}

export interface QueueLimits {
  queueMax: number
  savesMax: number
  triesMax: number
  saveMs: number
}

export class WriteQueue<T> {
  private readonly target: QueueTarget<T>
  private readonly limits: QueueLimits
  private readonly queue = new Map<string, Queued<T>>()
  private readonly saving = new Map<string, Queued<T>>()
  /** Of the saves under way, with their time-outs. */
  private readonly controllers = new Map<AbortController, NodeJS.Timeout>()
  private isClosed = false
  private isStopped = false
  /** Failures since the last success, and when the last one was. */
  private failures = 0
  private failedAtMs = 0
  private timer: NodeJS.Timeout | undefined
  /** Settled when a save has ended, with or without success. */
  private progress = Promise.withResolvers<void>()

  constructor(target: QueueTarget<T>, limits: QueueLimits) {
    this.target = target
    this.limits = limits
  }

  get pending(): number {
    return this.queue.size + this.saving.size
  }

  /** The newest write of a key that is not saved. */
  find(key: string): Queued<T> | undefined {
    return this.queue.get(key) ?? this.saving.get(key)
  }

  /** Whether a write waits that is newer than the one being saved. */
  hasNewer(key: string): boolean {
    return this.queue.has(key)
  }

  /** Waits for room as long as a save may take. CacheError FULL and CLOSED. */
  async add(key: string, value: T | undefined, isRemoval: boolean): Promise<Queued<T>> {
    const { queueMax, saveMs } = this.limits
    const deadlineMs = performance.now() + saveMs
    for (;;) {
      if (this.isClosed) throw new CacheError('CLOSED', 'no writes after close')
      if (this.queue.size < queueMax || this.queue.has(key)) break
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) throw new CacheError('FULL', `${queueMax} writes wait`)
      await this.isDoneWithin(leftMs, this.progress.promise)
    }
    const dueMs = this.queue.get(key)?.dueMs ?? 0
    const write = { key, value, isRemoval, isLost: false, tries: 0, dueMs }
    this.queue.set(key, write)
    this.saveMore()
    return write
  }

  /** Resolves when nothing waits to be saved. */
  async flush(): Promise<void> {
    while (this.pending > 0) await this.progress.promise
  }

  /**
   * Accepts no more writes and saves what waits, for at most this long. Then it aborts what is
   * being saved, tries no more, and returns what is left.
   */
  async close(timeoutMs: number): Promise<Write<T>[]> {
    this.isClosed = true
    if (await this.isDoneWithin(timeoutMs, this.flush())) return []
    this.isStopped = true
    clearTimeout(this.timer)
    const error = new CacheError('CLOSED', 'the queue was closed')
    for (const [controller, timer] of this.controllers) {
      clearTimeout(timer)
      controller.abort(error)
    }
    const left = new Map([...this.saving, ...this.queue])
    return [...left.values()].map(({ key, value, isRemoval }) => ({ key, value, isRemoval }))
  }

  /** Starts as many saves as allowed. A key that is being saved waits. */
  private saveMore(): void {
    const nowMs = performance.now()
    const backMs = this.failures === 0 ? 0 : this.failedAtMs + pauseMs(this.failures)
    if (this.isStopped || this.queue.size === 0) return
    if (nowMs < backMs) return this.saveAt(backMs)
    const savesMax = this.failures === 0 ? this.limits.savesMax : 1
    let nextMs = Number.POSITIVE_INFINITY
    for (const [key, write] of this.queue) {
      if (this.saving.size >= savesMax) return
      if (this.saving.has(key)) continue
      if (write.dueMs > nowMs) nextMs = Math.min(nextMs, write.dueMs)
      else void this.save(write)
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.saveAt(nextMs)
  }

  private saveAt(atMs: number): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.saveMore(), Math.max(1, atMs - performance.now()))
  }

  private async save(write: Queued<T>): Promise<void> {
    const { key } = write
    const startedMs = performance.now()
    this.queue.delete(key)
    this.saving.set(key, write)
    try {
      await this.tryToSave(write)
      this.failures = 0
      await this.target.saved(write)
    } catch (error) {
      await this.fail(write, error, startedMs)
    } finally {
      this.saving.delete(key)
      this.saveMore()
      this.progress.resolve()
      this.progress = Promise.withResolvers()
    }
  }

  private async tryToSave(write: Queued<T>): Promise<void> {
    const { saveMs } = this.limits
    const controller = new AbortController()
    const timer = setTimeout(() => {
      const error = new CacheError('DEADLINE', `${write.key}: not saved in ${saveMs} ms`)
      this.target.failed(write, error)
      controller.abort(error)
    }, saveMs)
    this.controllers.set(controller, timer)
    try {
      await this.target.save(write, controller.signal)
    } catch (error) {
      throw controller.signal.aborted ? new LateError(error) : error
    } finally {
      clearTimeout(timer)
      this.controllers.delete(controller)
    }
  }

  private async fail(write: Queued<T>, error: unknown, startedMs: number): Promise<void> {
    const { key } = write
    // Saves that failed together are one failure of the source.
    if (startedMs >= this.failedAtMs) this.failures++
    this.failedAtMs = performance.now()
    write.tries++
    write.dueMs = this.failedAtMs + pauseMs(write.tries)
    const newer = this.queue.get(key)
    if (write.tries >= this.limits.triesMax) {
      write.isLost = true
      return this.target.lost(write, error, newer === undefined)
    }
    if (!(error instanceof LateError)) this.target.failed(write, error)
    if (newer === undefined) this.queue.set(key, write)
    else newer.dueMs = write.dueMs
  }

  private async isDoneWithin(ms: number, work: Promise<void>): Promise<boolean> {
    const timer = new AbortController()
    const late = sleep(ms, false, timer).catch(() => false)
    return Promise.race([work.then(() => true), late]).finally(() => timer.abort())
  }
}

/** A save failed after it was reported as late. */
class LateError extends CacheError {
  constructor(cause: unknown) {
    super('DEADLINE', 'not saved in time', { cause })
  }
}

function pauseMs(failures: number): number {
  return Math.min(PAUSE_MS_MIN * 2 ** (failures - 1), PAUSE_MS_MAX)
}
