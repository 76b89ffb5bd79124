// Tags invalidate many items at once, though a cache cannot list them. Each tag has a version in
// the cache, which the keys of its items contain. A new version makes all of them unreachable, and
// they are evicted in time. A tag of all keys of a part of the application is a namespace.
//
//   const tags = new Tags(cache)
//   const key = await tags.key('user:7', 'users', 'tenant:3')
//   await aside.getOrSet(key, load)
//   await tags.invalidate('tenant:3')
//
// A version is the time of its change and random bytes, and never goes back: it is later than the
// one before. So a version that a server brings back, which was away during a change, is recognised
// by every process that saw a later one, and replaced by a new version. An evicted version is
// replaced by a different one too: no old item becomes reachable again, unless the clocks of two
// machines differ by more than the time in between. Looking versions up costs one request for all
// tags of a key.

import { randomBytes } from 'node:crypto'
import { checkOptions, checkType } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import type { Store } from '../doors/types.ts'
import { fitKey } from './keys.ts'

/** Milliseconds in base 36, then random bytes in base64url: text that sorts by time. */
const TIME_CHARS = 9
const RANDOM_BYTES = 6
const VERSION = /^[0-9a-z]{9}[\w-]{8}$/

const TRIES_MAX = 5

/** Most tags whose last version is remembered here. */
const TAGS_SEEN_MAX = 10_000

export interface TagOptions {
  /** Prefix of the names of tags in the cache. Default `tag:`. */
  prefix?: string | undefined
}

export class Tags {
  private readonly store: Store
  private readonly prefix: string
  /** The last version of each tag that was seen here, those used last at the end. */
  private readonly seen = new Map<string, string>()

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, options: TagOptions = {}) {
    checkOptions(options, ['prefix'])
    const { prefix = 'tag:' } = options
    checkType('prefix', prefix, 'string')
    this.store = store
    this.prefix = prefix
  }

  /**
   * The current key of an item with these tags; a digest if it would be too long for a cache.
   * Rejects with the cache's errors.
   */
  async key(key: string, ...tags: readonly string[]): Promise<string> {
    const [own] = await this.keys([key], ...tags)
    return own
  }

  /** As `key`, for many keys with the same tags, whose versions are looked up once. */
  async keys(keys: readonly string[], ...tags: readonly string[]): Promise<string[]> {
    const versions = await this.versionsOf(tags)
    return keys.map(key => fitKey(`${key}@${versions.join('')}`))
  }

  /**
   * Invalidates all items with one of these tags. Rejects with the cache's errors if a tag could
   * not be changed, and CONNECTION if its server is away.
   */
  async invalidate(...tags: readonly string[]): Promise<void> {
    await Promise.all(tags.map(tag => this.change(this.keyOf(tag))))
  }

  private async versionsOf(tags: readonly string[]): Promise<string[]> {
    const keys = tags.map(tag => this.keyOf(tag))
    const found = await this.store.getMany<string>(keys)
    return Promise.all(keys.map(key => this.accept(key, found.get(key))))
  }

  /** The version to use: the one that was found, or a new one if that is older than one seen. */
  private async accept(key: string, found: string | undefined): Promise<string> {
    if (found === undefined) return this.begin(key)
    const last = this.seen.get(key) ?? ''
    return found < last ? this.change(key) : this.see(key, found)
  }

  /** Adds a first version for a tag, or returns the one that another caller added. */
  private async begin(key: string): Promise<string> {
    const version = newVersion(this.seen.get(key))
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        if (await this.store.add(key, version)) return this.see(key, version)
      } catch (error) {
        // Its server is away: whatever is stored under this version will not be found again.
        if (isAway(error)) return version
        throw error
      }
      const theirs = await this.store.get<string>(key)
      if (theirs !== undefined) return this.accept(key, theirs)
    }
    return version
  }

  /** Stores a later version. One that another caller stored meanwhile will do as well. */
  private async change(key: string): Promise<string> {
    let first: string | undefined
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const item = await this.store.getItem<string>(key)
      first ??= item?.value
      if (item !== undefined && item.value > (first ?? '')) return this.see(key, item.value)
      const version = newVersion(later(this.seen.get(key), item?.value))
      const isStored = item
        ? await this.store.cas(key, version, item.cas)
        : await this.store.add(key, version)
      if (isStored) return this.see(key, version)
    }
    throw new CacheError('CONNECTION', `${key}: its server is away, the tag was not changed`)
  }

  private see(key: string, version: string): string {
    this.seen.delete(key)
    this.seen.set(key, version)
    const [oldest = key] = this.seen.keys()
    if (this.seen.size > TAGS_SEEN_MAX) this.seen.delete(oldest)
    return version
  }

  private keyOf(tag: string): string {
    return fitKey(this.prefix + tag)
  }
}

/** A version later than this one. */
function newVersion(last = ''): string {
  const lastMs = VERSION.test(last) ? Number.parseInt(last.slice(0, TIME_CHARS), 36) : 0
  const ms = Math.max(Date.now(), lastMs + 1)
  return ms.toString(36).padStart(TIME_CHARS, '0') + randomBytes(RANDOM_BYTES).toString('base64url')
}

function later(a = '', b = ''): string {
  return a > b ? a : b
}

function isAway(error: unknown): boolean {
  return error instanceof CacheError && error.code === 'CONNECTION'
}
