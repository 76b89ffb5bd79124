// Read-through and write-through: the application asks the cache alone, which knows where its
// values come from and go to.
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
import { ASIDE_NAMES, type AsideOptions, CacheAside } from './aside.ts'
import { type OnError, reporter } from './reporter.ts'

/** Where values live. Errors reach the caller. */
export interface Source<T> {
  /** The value of a key; undefined or null where there is none. */
  load(key: string, signal: AbortSignal): Awaitable<T | null | undefined>
}

/** Where values live that may be written. */
export interface WritableSource<T> extends Source<T> {
  save(key: string, value: T): Awaitable<void>
  remove(key: string): Awaitable<void>
}

export interface ThroughOptions extends AsideOptions {
  /** Put before keys in the cache; the source gets them without it. Default: nothing. */
  prefix?: string | undefined
}

export const THROUGH_NAMES: readonly string[] = [...ASIDE_NAMES, 'prefix']

export class ReadThrough<T> {
  protected readonly aside: CacheAside
  protected readonly prefix: string
  private readonly source: Source<T>

  /** CacheError ARGUMENT for options that are wrong. */
  constructor(store: Store, source: Source<T>, options: ThroughOptions) {
    checkOptions(options, THROUGH_NAMES)
    const { prefix = '', ...rest } = options
    checkType('prefix', prefix, 'string')
    this.aside = new CacheAside(store, rest)
    this.prefix = prefix
    this.source = source
  }

  /** The value, loaded if need be; undefined or null where there is none. Rejects as `getOrSet`. */
  get(key: string): Promise<T | null | undefined> {
    return this.aside.getOrSet(this.prefix + key, signal => this.source.load(key, signal))
  }

  /** Forgets a value that was changed elsewhere. Rejects with what the cache throws. */
  async invalidate(key: string): Promise<void> {
    await this.aside.delete(this.prefix + key)
  }

  /** Resolves when no load is under way in the background. */
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
   * Saves a value and caches it. Rejects with what `save` throws; then the key is deleted from the
   * cache, since it is unknown what was saved. Writes of one key are carried out in their order in
   * this process. Where several processes write a key at once, the cache may keep the older value
   * until it expires.
   */
  set(key: string, value: T): Promise<void> {
    return this.inOrder(key, async () => {
      await this.change(key, () => this.writable.save(key, value))
      await this.aside.set(this.prefix + key, value).catch(error => this.forget(key, error))
    })
  }

  /** Removes a value from the source and the cache. Rejects with what `remove` throws. */
  delete(key: string): Promise<void> {
    return this.inOrder(key, async () => {
      await this.change(key, () => this.writable.remove(key))
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

  /** Deletes from the cache. `reason`: why, where that is to be reported. */
  private async forget(key: string, reason?: unknown): Promise<void> {
    if (reason !== undefined) this.report(reason, key)
    await this.invalidate(key).catch(error => this.report(error, key))
  }

  private inOrder(key: string, write: () => Promise<void>): Promise<void> {
    const before = this.writes.get(key) ?? Promise.resolve()
    const mine = before.then(write, write)
    this.writes.set(key, mine)
    const done = () => {
      if (this.writes.get(key) === mine) this.writes.delete(key)
    }
    mine.then(done, done)
    return mine
  }
}
