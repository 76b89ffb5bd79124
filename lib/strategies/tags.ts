// Tags: many items that end at once, though a cache cannot list them. Each tag has a version in the
// cache, which stands in the keys of its items; a new version makes all of them unreachable, and they
// are evicted in time. A tag that all keys of a part of the application have is a namespace.
//
//   const tags = new Tags(cache)
//   const key = await tags.key('user:7', 'users', 'tenant:3')
//   await aside.getOrSet(key, load)
//   await tags.invalidate('tenant:3')
//
// Versions are random, never counted: one that was evicted comes back as another, and nothing old
// becomes reachable again. To look them up costs one request for all tags of a key.

import { randomBytes } from 'node:crypto'
import { fitKey, isStored, type Store } from './store.ts'

const VERSION_BYTES = 9
const TRIES_MAX = 3

export interface TagOptions {
  /** What stands before the names of tags in the cache. Default `tag:`. */
  prefix?: string
}

export class Tags {
  private readonly store: Store
  private readonly prefix: string

  constructor(store: Store, { prefix = 'tag:' }: TagOptions = {}) {
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

  /** Ends all items with one of these tags. Rejects if a tag could not be changed. */
  async invalidate(...tags: readonly string[]): Promise<void> {
    const change = (tag: string) => this.store.set(this.keyOf(tag), newVersion(), { flags: 0 })
    await Promise.all(tags.map(change))
  }

  private async versionsOf(tags: readonly string[]): Promise<string[]> {
    const keys = tags.map(tag => this.keyOf(tag))
    const found = await this.store.getMany(keys)
    return Promise.all(
      keys.map(key => {
        const version = found.get(key)?.value.toString('latin1')
        return version ?? this.begin(key)
      }),
    )
  }

  /** Gives a tag its first version, unless somebody else does. */
  private async begin(key: string): Promise<string> {
    const version = newVersion()
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (isStored(await this.store.add(key, version, { flags: 0 }))) break
      const theirs = await this.store.gets(key)
      if (theirs !== undefined) return theirs.value.toString('latin1')
    }
    return version.toString('latin1')
  }

  private keyOf(tag: string): string {
    return fitKey(this.prefix + tag)
  }
}

function newVersion(): Buffer {
  return Buffer.from(randomBytes(VERSION_BYTES).toString('base64url'))
}
