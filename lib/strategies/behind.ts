// Write-behind: a write is done when it is in the cache and in a queue (write-queue.ts). The source
// gets it soon after, and of several writes of one key only the last. If the process dies, queued
// writes are lost.
//
//   const views = new WriteBehind(cache, source, { ttlS: 600, onError: report })
//   await views.set('page:1', 17)
//   ...
//   await views.close()                 // everything is saved, or it rejects with what is not
//
// A saved value is stored in the cache once more: where the item was evicted before the save,
// another process may have loaded the value of before.

import { checkOptions, countOption, numberOption, TIMER_MS_MAX } from '../doors/arguments.ts'
import type { Store } from '../doors/types.ts'
import { type OnError, reporter } from './reporter.ts'
import { ReadThrough, THROUGH_NAMES, type ThroughOptions, type WritableSource } from './through.ts'
import { type Queued, type QueueLimits, type Write, WriteQueue } from './write-queue.ts'

/** Defaults: queued keys, parallel saves, time-out of a save and of closing. */
const BEHIND_QUEUE_MAX = 10_000
const BEHIND_SAVES_MAX = 8
const BEHIND_SAVE_MS = 5000
const BEHIND_CLOSE_MS = 30_000

/** Most errors of lost writes that `close` lists. */
const FAILURES_MAX = 1000

export interface BehindOptions extends ThroughOptions {
  /** Keys that may wait to be saved. Default 10,000. */
  queueMax?: number | undefined
  /** Saves at the same time, never two of one key. Default 8. */
  savesMax?: number | undefined
  /** Tries of a write, with growing pauses in between. Default: until it is saved. */
  triesMax?: number | undefined
  /** Time-out of one save, ms; then its signal is aborted. Default 5000. */
  saveMs?: number | undefined
}

export interface CloseOptions {
  /** How long it may take, ms. Default 30,000. */
  timeoutMs?: number | undefined
}

const OWN_NAMES = ['queueMax', 'savesMax', 'triesMax', 'saveMs']
const { MAX_SAFE_INTEGER: MOST, MIN_VALUE: ABOVE_0 } = Number

/** What `close` could not save. */
export class UnsavedError<T = unknown> extends AggregateError {
  /** The writes that were still waiting, also those whose save was aborted. */
  readonly left: readonly Write<T>[]

  /** `errors`: of the writes that were given up before. */
  constructor(errors: readonly unknown[], left: readonly Write<T>[]) {
    super(errors, `${left.length} writes were not saved in time, ${errors.length} were given up`)
    this.name = 'UnsavedError'
    this.left = left
  }
}

export class WriteBehind<T> extends ReadThrough<T> {
  private readonly report: OnError
  private readonly queue: WriteQueue<T>
  private readonly failures: unknown[] = []

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, source: WritableSource<T>, options: BehindOptions) {
    super(store, source, throughOptionsOf(options))
    this.report = reporter(options.onError)
    const save = ({ key, value, isRemoval }: Write<T>, signal: AbortSignal) =>
      isRemoval ? source.remove(key, signal) : source.save(key, value as T, signal)
    const target = {
      save,
      saved: (write: Queued<T>) => this.saved(write),
      failed: ({ key }: Queued<T>, error: unknown) => this.report(error, key),
      lost: (write: Queued<T>, error: unknown, isLast: boolean) => this.lost(write, error, isLast),
    }
    this.queue = new WriteQueue(target, limitsOf(options))
  }

  /** Number of keys that are not saved yet. */
  get pending(): number {
    return this.queue.pending
  }

  /** The queued value, else that of the cache or the source. */
  override get(key: string): Promise<T | null | undefined> {
    const write = this.queue.find(key)
    if (write === undefined) return super.get(key)
    const { value, isRemoval } = write
    return Promise.resolve(isRemoval ? undefined : this.aside.asStored(key, value))
  }

  /**
   * Caches and queues a value. While the queue is full it waits as long as a save may take, then
   * rejects with CacheError FULL. CLOSED after `close` was called.
   */
  async set(key: string, value: T): Promise<void> {
    const write = await this.queue.add(key, value, false)
    await this.cache(key, value)
    if (write.isLost && !this.queue.hasNewer(key)) await this.forget(key)
  }

  /** Removes a value from the cache, and soon after from the source. FULL and CLOSED as `set`. */
  async delete(key: string): Promise<void> {
    await this.queue.add(key, undefined, true)
    await this.forget(key)
  }

  /** Resolves when nothing waits to be saved: not before the source is back, if it is away. */
  flush(): Promise<void> {
    return this.queue.flush()
  }

  /**
   * Accepts no more writes and saves the queue. Rejects with an UnsavedError of the writes that are
   * left after `timeoutMs` and of those that were given up; they are deleted from the cache.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    checkOptions(options, ['timeoutMs'])
    const timeoutMs = numberOption(options, 'timeoutMs', BEHIND_CLOSE_MS, [0, TIMER_MS_MAX])
    const left = await this.queue.close(timeoutMs)
    await Promise.all(left.map(({ key }) => this.forget(key)))
    await this.settled()
    if (left.length + this.failures.length > 0) throw new UnsavedError(this.failures, left)
  }

  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async saved({ key, value, isRemoval }: Queued<T>): Promise<void> {
    if (this.queue.hasNewer(key)) return
    await (isRemoval ? this.forget(key) : this.cache(key, value as T))
  }

  /** Deletes from the cache a value that the source may not have, even if it gets it later. */
  private async lost({ key }: Queued<T>, error: unknown, isLast: boolean): Promise<void> {
    if (this.failures.length < FAILURES_MAX) this.failures.push(error)
    if (isLast) await this.forget(key)
    this.report(error, key)
  }

  /** The queue or the source has the value. A cache that does not store it may have an old one. */
  private async cache(key: string, value: T): Promise<void> {
    await this.aside.set(this.prefix + key, value).catch(error => {
      this.report(error, key)
      return this.forget(key)
    })
  }

  private async forget(key: string): Promise<void> {
    await this.aside.discard(this.prefix + key).catch(error => this.report(error, key))
  }
}

function limitsOf(options: BehindOptions): QueueLimits {
  const { triesMax } = options
  return {
    queueMax: countOption(options, 'queueMax', BEHIND_QUEUE_MAX, [1, MOST]),
    savesMax: countOption(options, 'savesMax', BEHIND_SAVES_MAX, [1, MOST]),
    triesMax:
      triesMax === undefined
        ? Number.POSITIVE_INFINITY
        : countOption(options, 'triesMax', 1, [1, MOST]),
    saveMs: numberOption(options, 'saveMs', BEHIND_SAVE_MS, [ABOVE_0, TIMER_MS_MAX]),
  }
}

function throughOptionsOf(options: BehindOptions): ThroughOptions {
  checkOptions(options, [...THROUGH_NAMES, ...OWN_NAMES])
  const { queueMax, savesMax, triesMax, saveMs, ...rest } = options
  return rest
}
