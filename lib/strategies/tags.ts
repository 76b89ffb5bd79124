// Tags invalidate many items at once, though a cache cannot list them. Each tag has a version in
// the cache, which the keys of its items contain. A new version makes all of them unreachable, and
// they are evicted in time. A tag of all keys of a part of the application is a namespace.
//
//   const tags = new Tags(cache)
//   const key = await tags.key('user:7', 'users', 'tenant:3')
//   await aside.getOrSet(key, load)
//   await tags.invalidate('tenant:3')
//
// Versions are random, not counted: an evicted version is replaced by a different one, so no old
// item becomes reachable again. Looking them up costs one request for all tags of a key.

import { randomBytes } from 'node:crypto'
import { checkOptions, checkType } from '../doors/arguments.ts'
import type { Store } from '../doors/types.ts'
import { fitKey } from './keys.ts'

const VERSION_BYTES = 9
const TRIES_MAX = 3

export interface TagOptions {
  /** Prefix of the names of tags in the cache. Default `tag:`. */
  prefix?: string | undefined
}

export class Tags {
  private readonly store: Store
  private readonly prefix: string

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

  /** Invalidates all items with one of these tags. Rejects if a tag could not be changed. */
  async invalidate(...tags: readonly string[]): Promise<void> {
    const change = (tag: string) => this.store.set(this.keyOf(tag), newVersion())
    await Promise.all(tags.map(change))
  }

  private async versionsOf(tags: readonly string[]): Promise<string[]> {
    const keys = tags.map(tag => this.keyOf(tag))
    const found = await this.store.getMany<string>(keys)
    return Promise.all(keys.map(key => found.get(key) ?? this.begin(key)))
  }

  /** Adds a first version for a tag, or returns the one that another caller added. */
  private async begin(key: string): Promise<string> {
    const version = newVersion()
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (await this.store.add(key, version)) break
      const theirs = await this.store.get<string>(key)
      if (theirs !== undefined) return theirs
    }
    return version
  }

  private keyOf(tag: string): string {
    return fitKey(this.prefix + tag)
  }
}

function newVersion(): string {
  return randomBytes(VERSION_BYTES).toString('base64url')
}
