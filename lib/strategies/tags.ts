// Tags expire many items at once, though a cache cannot list them. Each tag has a version in the
// cache, and the keys of its items contain it. A new version makes all of them unreachable; they
// are evicted in time. A tag that all keys of a part of the application have is a namespace.
//
//   const tags = new Tags(cache)
//   const key = await tags.key('user:7', 'users', 'tenant:3')
//   await aside.getOrSet(key, load)
//   await tags.invalidate('tenant:3')
//
// Versions are random, not counted: a version that was evicted comes back as another, and nothing
// old becomes reachable again. Looking them up costs one request for all tags of a key.

import { randomBytes } from 'node:crypto'
import { checkOptions, checkType } from '../doors/arguments.ts'
import type { Store } from '../doors/types.ts'
import { fitKey } from './keys.ts'

const VERSION_BYTES = 9
const TRIES_MAX = 3

export interface TagOptions {
  /** Put before the names of tags in the cache. Default `tag:`. */
  prefix?: string | undefined
}

export class Tags {
  private readonly store: Store
  private readonly prefix: string

  /** CacheError ARGUMENT for options that are wrong. */
  constructor(store: Store, options: TagOptions = {}) {
    checkOptions(options, ['prefix'])
    const { prefix = 'tag:' } = options
    checkType('prefix', prefix, 'string')
    this.store = store
    this.prefix = prefix
  }

  /**
   * The key that an item with these tags has now; a digest where it would be too long for a cache.
   * Rejects with what the cache throws.
   */
  async key(key: string, ...tags: readonly string[]): Promise<string> {
    const [own] = await this.keys([key], ...tags)
    return own
  }

  /** As `key`, for many with the same tags, whose versions are looked up once. */
  async keys(keys: readonly string[], ...tags: readonly string[]): Promise<string[]> {
    const versions = await this.versionsOf(tags)
    return keys.map(key => fitKey(`${key}@${versions.join('')}`))
  }

  /** Expires all items with one of these tags. Rejects if a tag could not be changed. */
  async invalidate(...tags: readonly string[]): Promise<void> {
    const change = (tag: string) => this.store.set(this.keyOf(tag), newVersion())
    await Promise.all(tags.map(change))
  }

  private async versionsOf(tags: readonly string[]): Promise<string[]> {
    const keys = tags.map(tag => this.keyOf(tag))
    const found = await this.store.getMany<string>(keys)
    return Promise.all(keys.map(key => found.get(key) ?? this.begin(key)))
  }

  /** Gives a tag its first version, or takes the one that another caller gave it. */
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
