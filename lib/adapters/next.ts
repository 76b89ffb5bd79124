// Cache handlers for Next.js, so that all servers of an application share what one of them made.
//
//   // use-cache.mjs, for `cacheHandlers: { default: ... }` of next.config: 'use cache'
//   export default createUseCacheHandler(pool)
//
//   // cache-handler.mjs, for `cacheHandler: ...`: pages, route handlers, fetch, images
//   export default createCacheHandler(pool)
//
// Entries are serialized as structured clones: all who can write the cache are trusted. Tags are in
// next-tags.ts. If the cache fails, Next.js makes the entry again and `onError` is called; only
// revalidations reject, since the application must know that they did not take effect.

import '../client-node-version.ts'
import { buffer } from 'node:stream/consumers'
import { checkOptions, checkType } from '../doors/arguments.ts'
import type { Item, Store } from '../doors/types.ts'
import { structured } from '../serializer.ts'
import { decode, encode } from '../strategies/encoding.ts'
import { fitKey } from '../strategies/keys.ts'
import { type OnError, reporter } from '../strategies/reporter.ts'
import { NextTags } from './next-tags.ts'

const AS_BYTES = { as: 'bytes' } as const
const TAGS_HEADER = 'x-next-cache-tags'
/** As `lastModified` of a fetch it is old enough to be fetched again in the background. */
const LONG_AGO_MS = 1

export interface NextCacheOptions {
  /**
   * Prefix of keys in the cache. Default `next:`. The build of the application belongs into it, if
   * entries of one build are not to be served by the next.
   */
  prefix?: string | undefined
  /** Called with errors of the cache and the key. Default: a warning. */
  onError?: OnError | undefined
}

/** CacheEntry of `next/cache`. Times in ms, durations in seconds. */
export interface UseCacheEntry {
  value: ReadableStream<Uint8Array>
  tags: string[]
  stale: number
  timestamp: number
  expire: number
  revalidate: number
}

/** CacheHandler of `next/cache`. */
export interface UseCacheHandler {
  get(key: string, softTags: string[]): Promise<UseCacheEntry | undefined>
  set(key: string, pendingEntry: Promise<UseCacheEntry>): Promise<void>
  refreshTags(): Promise<void>
  getExpiration(tags: string[]): Promise<number>
  updateTags(tags: string[], durations?: { expire?: number }): Promise<void>
}

/** What Next.js stores for pages, routes, fetches and images: as it is, with `kind` and headers. */
export interface NextValue {
  kind: string
  headers?: Record<string, unknown> | undefined
}

export interface NextCacheControl {
  /** Seconds; false: never. */
  revalidate: number | false
  expire: number | undefined
}

/** What Next.js tells of a request. */
export interface NextContext {
  kind?: string
  tags?: string[]
  softTags?: string[]
  cacheControl?: NextCacheControl | undefined
}

export interface NextEntry {
  lastModified: number
  value: NextValue | null
  cacheControl?: NextCacheControl | undefined
}

/** The class that `cacheHandler` of next.config names; Next.js makes one for each request. */
export type NextCacheHandlerClass = new (context?: unknown) => NextCacheHandler

export interface NextCacheHandler {
  get(key: string, context: NextContext): Promise<NextEntry | null>
  set(key: string, data: NextValue | null, context: NextContext): Promise<void>
  revalidateTag(tags: string | string[], durations?: { expire?: number }): Promise<void>
  resetRequestCache(): void
}

/** A handler for 'use cache'. CacheError ARGUMENT for wrong options. */
export function createUseCacheHandler(
  cache: Store,
  options: NextCacheOptions = {},
): UseCacheHandler {
  const entries = new Entries<StoredUse>(cache, 'use:', options)
  /** Entries that this process stores: a `get` waits for them. */
  const pending = new Map<string, Promise<void>>()
  return {
    async get(key, softTags) {
      await pending.get(key)
      const stored = await entries.get(key)
      if (stored === undefined || stored.expire < 0) return undefined
      const tags = [...stored.tags, ...softTags]
      if (entries.tags.areExpired(tags, stored.timestamp)) return undefined
      const { revalidate } = stored
      const isStale = entries.tags.areStale(tags, stored.timestamp)
      const value = streamOf(stored.value)
      return { ...stored, value, revalidate: isStale ? -1 : revalidate }
    },
    set(key, pendingEntry) {
      const storing = storeEntry(entries, key, pendingEntry)
      pending.set(key, storing)
      return storing.finally(() => {
        if (pending.get(key) === storing) pending.delete(key)
      })
    },
    // Each `get` reads the version of the tags with its entry.
    refreshTags: async () => {},
    getExpiration: async () => Number.POSITIVE_INFINITY,
    updateTags: (tags, durations) => entries.tags.mark(tags, durations),
  }
}

/** A handler for pages, routes, fetches and images. CacheError ARGUMENT for wrong options. */
export function createCacheHandler(
  cache: Store,
  options: NextCacheOptions = {},
): NextCacheHandlerClass {
  const entries = new Entries<NextEntry>(cache, 'page:', options)
  return class CacheHandler implements NextCacheHandler {
    async get(key: string, context: NextContext): Promise<NextEntry | null> {
      const entry = await entries.get(key)
      if (entry === undefined) return null
      const { lastModified, value } = entry
      const tags = tagsOf(value, context)
      if (entries.tags.areExpired(tags, lastModified)) return null
      if (!entries.tags.areStale(tags, lastModified)) return entry
      // Next.js looks for stale tags of pages in its own process alone: they are made at once.
      return value?.kind === 'FETCH' ? { ...entry, lastModified: LONG_AGO_MS } : null
    }

    async set(key: string, value: NextValue | null, context: NextContext): Promise<void> {
      const { cacheControl } = context
      const lastModified = Date.now()
      const { expire } = cacheControl ?? {}
      const expiresAt = expire === undefined ? undefined : lastModified + expire * 1000
      await entries.set(key, { lastModified, value, cacheControl }, expiresAt)
    }

    async revalidateTag(tags: string | string[], durations?: { expire?: number }): Promise<void> {
      await entries.tags.mark(typeof tags === 'string' ? [tags] : tags, durations)
    }

    resetRequestCache(): void {}
  }
}

type StoredUse = Omit<UseCacheEntry, 'value'> & { value: Uint8Array }

/** Entries of one kind, and the tags of the application. */
class Entries<T extends object> {
  readonly tags: NextTags
  private readonly cache: Store
  private readonly prefix: string
  private readonly report: OnError

  constructor(cache: Store, kind: string, options: NextCacheOptions) {
    checkOptions(options, ['prefix', 'onError'])
    const { prefix = 'next:' } = options
    checkType('prefix', prefix, 'string')
    checkType('onError', options.onError, 'function')
    this.cache = cache
    this.prefix = prefix + kind
    this.report = reporter(options.onError)
    this.tags = new NextTags(cache, prefix)
  }

  /** The entry, once the tags are up to date; undefined if there is none or the cache failed. */
  async get(key: string): Promise<T | undefined> {
    const own = fitKey(this.prefix + key)
    const { versionKey } = this.tags
    try {
      const found: Map<string, Item<Buffer>> = await this.cache.getManyItems<Buffer>(
        [own, versionKey],
        AS_BYTES,
      )
      await this.tags.follow(found.get(versionKey))
      const item = found.get(own)
      return item && (decode(item, structured) as T)
    } catch (error) {
      this.report(error, key)
      return undefined
    }
  }

  /** Stores an entry, or reports why not. `expiresAt`: ms; undefined: until it is evicted. */
  async set(key: string, entry: T, expiresAt: number | undefined): Promise<void> {
    try {
      const { bytes, flags } = encode(entry, structured)
      await this.cache.set(fitKey(this.prefix + key), bytes, { expiresAt, flags })
    } catch (error) {
      this.fail(key, error)
    }
  }

  fail(key: string, error: unknown): void {
    this.report(error, key)
  }
}

async function storeEntry(
  entries: Entries<StoredUse>,
  key: string,
  pendingEntry: Promise<UseCacheEntry>,
): Promise<void> {
  try {
    const { tags, stale, timestamp, expire, revalidate, value } = await pendingEntry
    const bytes = await buffer(value)
    // An entry that lives for no time is never served.
    if (expire === 0) return
    const entry = { tags, stale, timestamp, expire, revalidate, value: bytes }
    await entries.set(key, entry, timestamp + expire * 1000)
  } catch (error) {
    entries.fail(key, error)
  }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes)
      controller.close()
    },
  })
}

/** A page has its tags in a header; those of a fetch are of the request. */
function tagsOf(value: NextValue | null, { tags = [], softTags = [] }: NextContext): string[] {
  if (value?.kind === 'FETCH') return [...tags, ...softTags]
  const header = value?.headers?.[TAGS_HEADER]
  return typeof header === 'string' ? header.split(',') : []
}
