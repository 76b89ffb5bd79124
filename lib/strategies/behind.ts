// Write-behind: a write is done when it is in the cache and in a queue. The source gets it soon
// after, and of several writes of one key only the last. If the process dies, queued writes are
// lost.
//
//   const views = new WriteBehind(cache, source, { ttlS: 600, onError: report })
//   await views.set('page:1', 17)
//   ...
//   await views.close()                 // everything is saved, or it rejects with the errors

import { setTimeout as sleep } from 'node:timers/promises'
import { checkOptions, countOption, numberOption, TIMER_MS_MAX } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import type { Store } from '../doors/types.ts'
import { type OnError, reporter } from './reporter.ts'
import { ReadThrough, THROUGH_NAMES, type ThroughOptions, type WritableSource } from './through.ts'

/**
 * Defaults: queued keys, parallel saves, tries of a save, time-out of a try, pause between tries.
 */
const BEHIND_QUEUE_MAX = 10_000
const BEHIND_SAVES_MAX = 8
const BEHIND_TRIES_MAX = 3
const BEHIND_SAVE_MS = 5000
const BEHIND_PAUSE_MS = 100

export interface BehindOptions extends ThroughOptions {
  /** Keys that may wait to be saved. Default 10,000. */
  queueMax?: number | undefined
  /** Saves at the same time. Default 8. */
  savesMax?: number | undefined
  /** Tries of a write, with 100 ms in between. Default 3. */
  triesMax?: number | undefined
  /** Time-out of one try, ms. Default 5000. */
  saveMs?: number | undefined
}

const OWN_NAMES = ['queueMax', 'savesMax', 'triesMax', 'saveMs']
const { MAX_SAFE_INTEGER: MOST, MIN_VALUE: ABOVE_0 } = Number

interface Write<T> {
  key: string
  /** Undefined: the key will be removed. */
  value: T | undefined
  /** It could not be saved, and must be deleted from the cache. */
  isLost: boolean
}

export class WriteBehind<T> extends ReadThrough<T> {
  private readonly writable: WritableSource<T>
  private readonly options: BehindOptions
  private readonly report: OnError
  private readonly queue = new Map<string, Write<T>>()
  private readonly saving = new Map<string, Write<T>>()
  private readonly failures: unknown[] = []
  private isClosed = false
  /** Settled when a save has ended, with or without success. */
  private progress = Promise.withResolvers<void>()

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, source: WritableSource<T>, options: BehindOptions) {
    super(store, source, throughOptionsOf(options))
    countOption(options, 'queueMax', BEHIND_QUEUE_MAX, [1, MOST])
    countOption(options, 'savesMax', BEHIND_SAVES_MAX, [1, MOST])
    countOption(options, 'triesMax', BEHIND_TRIES_MAX, [1, MOST])
    numberOption(options, 'saveMs', BEHIND_SAVE_MS, [ABOVE_0, TIMER_MS_MAX])
    this.writable = source
    this.options = options
    this.report = reporter(options.onError)
  }

  /** Number of keys that are not saved yet. */
  get pending(): number {
    return this.queue.size + this.saving.size
  }

  /** The queued value, else that of the cache or the source. */
  override get(key: string): Promise<T | null | undefined> {
    const write = this.queue.get(key) ?? this.saving.get(key)
    if (write === undefined) return super.get(key)
    const { value } = write
    return Promise.resolve(value === undefined ? undefined : this.aside.asStored(key, value))
  }

  /**
   * Caches and queues a value. While the queue is full it waits as long as a save may take, then
   * rejects with CacheError FULL. CLOSED after `close` was called.
   */
  async set(key: string, value: T): Promise<void> {
    const write = { key, value, isLost: false }
    await this.enqueue(write)
    // The queue has the value. If the cache could not store it, that is reported, and its old value
    // is deleted.
    const inCache = this.prefix + key
    await this.aside.set(inCache, value).catch(async error => {
      this.report(error, key)
      await this.aside.delete(inCache).catch(second => this.report(second, key))
    })
    if (write.isLost) await this.forget(key)
  }

  /** Removes a value from the cache, and soon after from the source. FULL and CLOSED as `set`. */
  async delete(key: string): Promise<void> {
    await this.enqueue({ key, value: undefined, isLost: false })
    await this.forget(key)
  }

  /** Resolves when nothing waits to be saved. */
  async flush(): Promise<void> {
    while (this.pending > 0) await this.progress.promise
  }

  /**
   * Accepts no more writes and saves the queue. Rejects with an AggregateError of all writes that
   * could not be saved so far; `onError` was called for each.
   */
  async close(): Promise<void> {
    this.isClosed = true
    await this.flush()
    await this.settled()
    if (this.failures.length > 0) {
      throw new AggregateError(this.failures, `${this.failures.length} writes were not saved`)
    }
  }

  private async enqueue(write: Write<T>): Promise<void> {
    const { queueMax = BEHIND_QUEUE_MAX, saveMs = BEHIND_SAVE_MS } = this.options
    const deadlineMs = performance.now() + saveMs
    for (;;) {
      if (this.isClosed) throw new CacheError('CLOSED', 'no writes after close')
      if (this.queue.size < queueMax || this.queue.has(write.key)) break
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) throw new CacheError('FULL', `${queueMax} writes wait`)
      await within(leftMs, this.progress.promise).catch(() => {})
    }
    this.queue.set(write.key, write)
    this.saveMore()
  }

  /** Starts as many saves as allowed. A key that is being saved waits. */
  private saveMore(): void {
    const { savesMax = BEHIND_SAVES_MAX } = this.options
    for (const [key, write] of this.queue) {
      if (this.saving.size >= savesMax) return
      if (this.saving.has(key)) continue
      this.queue.delete(key)
      this.saving.set(key, write)
      void this.save(write)
    }
  }

  private async save(write: Write<T>): Promise<void> {
    try {
      await this.saveOrGiveUp(write)
    } finally {
      this.saving.delete(write.key)
      this.saveMore()
      this.progress.resolve()
      this.progress = Promise.withResolvers()
    }
  }

  private async saveOrGiveUp(write: Write<T>): Promise<void> {
    const { triesMax = BEHIND_TRIES_MAX } = this.options
    for (let tries = 1; ; tries++) {
      try {
        return await this.tryToSave(write)
      } catch (error) {
        if (tries >= triesMax) return this.giveUp(write, error)
        await sleep(BEHIND_PAUSE_MS)
      }
    }
  }

  private async tryToSave({ key, value }: Write<T>): Promise<void> {
    const { saveMs = BEHIND_SAVE_MS } = this.options
    const saved = value === undefined ? this.writable.remove(key) : this.writable.save(key, value)
    await within(saveMs, saved)
  }

  /** Deletes from the cache a value that the source may not have, even if it gets it later. */
  private async giveUp(write: Write<T>, error: unknown): Promise<void> {
    const { key } = write
    if (this.failures.length < (this.options.queueMax ?? BEHIND_QUEUE_MAX))
      this.failures.push(error)
    write.isLost = true
    if (!this.queue.has(key)) await this.forget(key)
    this.report(error, key)
  }

  private async forget(key: string): Promise<void> {
    await this.invalidate(key).catch(error => this.report(error, key))
  }
}

function throughOptionsOf(options: BehindOptions): ThroughOptions {
  checkOptions(options, [...THROUGH_NAMES, ...OWN_NAMES])
  const { queueMax, savesMax, triesMax, saveMs, ...rest } = options
  return rest
}

/** The result of the promise, or DEADLINE. */
async function within<T>(ms: number, awaited: T | PromiseLike<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const error = new CacheError('DEADLINE', `not done in ${Math.ceil(ms)} ms`)
  const timer = setTimeout(() => late.reject(error), ms)
  try {
    return await Promise.race([awaited, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
