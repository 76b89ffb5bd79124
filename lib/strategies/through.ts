// Read-through and write-through: the application uses only the cache, which loads values from a
// source and saves them there.
//
//   const users = new WriteThrough(cache, {
//     load: id => database.user(id),
//     save: (id, user) => database.saveUser(id, user),
//     remove: id => database.removeUser(id),
//   }, { ttlS: 60 })
//   await users.set('7', user)          // saved, then cached
//   await users.get('7')                // from the cache

import { checkOptions, checkType } from '../doors/arguments.ts'
import type { Awaitable, Store } from '../doors/types.ts'
import { CacheAside } from './aside.ts'
import { ASIDE_NAMES, type AsideOptions } from './aside-options.ts'
import { type OnError, reporter } from './reporter.ts'

/** A source of values. Its errors reach the caller. */
export interface Source<T> {
  /** The value of a key; undefined or null if there is none. */
  load(key: string, signal: AbortSignal): Awaitable<T | null | undefined>
}

/** A source that can be written. */
export interface WritableSource<T> extends Source<T> {
  /** The signal is aborted when nobody waits any more. */
  save(key: string, value: T, signal: AbortSignal): Awaitable<void>
  remove(key: string, signal: AbortSignal): Awaitable<void>
}

export interface ThroughOptions extends AsideOptions {
  /** Prefix of keys in the cache; the source gets keys without it. Default: none. */
  prefix?: string | undefined
}

export const THROUGH_NAMES: readonly string[] = [...ASIDE_NAMES, 'prefix']

export class ReadThrough<T> {
  protected readonly aside: CacheAside
  protected readonly prefix: string
  private readonly source: Source<T>

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, source: Source<T>, options: ThroughOptions) {
    checkOptions(options, THROUGH_NAMES)
    const { prefix = '', ...rest } = options
    checkType('prefix', prefix, 'string')
    this.aside = new CacheAside(store, rest)
    this.prefix = prefix
    this.source = source
  }

  /** The value, loaded if needed; undefined or null if there is none. Rejects as `getOrSet`. */
  get(key: string): Promise<T | null | undefined> {
    return this.aside.getOrSet(this.prefix + key, signal => this.source.load(key, signal))
  }

  /** Deletes a value that was changed elsewhere from the cache. Rejects with the cache's errors. */
  async invalidate(key: string): Promise<void> {
    await this.aside.delete(this.prefix + key)
  }

  /** Resolves when no load runs in the background. */
  settled(): Promise<void> {
    return this.aside.settled()
  }
}

export class WriteThrough<T> extends ReadThrough<T> {
  private readonly writable: WritableSource<T>
  private readonly report: OnError
  /** The last write of each key: the next one waits for it. */
  private readonly writes = new Map<string, Promise<void>>()

  constructor(store: Store, source: WritableSource<T>, options: ThroughOptions) {
    super(store, source, options)
    this.writable = source
    this.report = reporter(options.onError)
  }

  /**
   * Saves a value and caches it. Rejects with the error of `save`; then the key is deleted from the
   * cache, since it is unknown what was saved. Writes of one key are executed in order within this
   * process. If several processes write a key at the same time, the cache may keep the older value
   * until it expires.
   *
   * If the cache did not store the value, `onError` is called. The old one is then deleted as soon
   * as the cache answers, and not read here before. CacheError FULL: saved, but too many keys are
   * to be deleted already.
   */
  set(key: string, value: T): Promise<void> {
    return this.inOrder(key, async signal => {
      await this.change(key, () => this.writable.save(key, value, signal))
      await this.aside.set(this.prefix + key, value).catch(error => {
        this.report(error, key)
        return this.forget(key)
      })
    })
  }

  /** Removes a value from the source and the cache. Rejects with `remove`'s error, and FULL. */
  delete(key: string): Promise<void> {
    return this.inOrder(key, async signal => {
      await this.change(key, () => this.writable.remove(key, signal))
      await this.forget(key)
    })
  }

  private async change(key: string, write: () => Awaitable<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      await this.forget(key)
      throw error
    }
  }

  /** Deletes from the cache, now or as soon as it answers. */
  private forget(key: string): Promise<void> {
    return this.aside.discard(this.prefix + key)
  }

  private inOrder(key: string, write: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const before = this.writes.get(key) ?? Promise.resolve()
    // Writers wait until it is saved: it is never aborted.
    const run = () => write(new AbortController().signal)
    const mine = before.then(run, run)
    this.writes.set(key, mine)
    const done = () => {
      if (this.writes.get(key) === mine) this.writes.delete(key)
    }
    mine.then(done, done)
    return mine
  }
}
