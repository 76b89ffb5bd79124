// What the in-process door has of its own: how it is created, what another thread needs to attach,
// and statistics. What it shares with the pool client is in doors/types.ts.

import type { CacheHandle, CacheOptions } from '../engine/cache.ts'
import type { Serializer } from '../serializer.ts'

export interface AttachOptions {
  /** For values that are neither strings nor bytes; the same in all threads. Default `json`. */
  serializer?: Serializer | undefined
}

/** `memoryBytes` for items; `shards`: arenas, about four a thread that uses it much. Default 1. */
export interface LocalCacheOptions extends CacheOptions, AttachOptions {}

/** Shared memory only: fit for `workerData` and `postMessage`. */
export type LocalCacheHandle = CacheHandle

export interface LocalCacheStats {
  items: number
  /** Bytes of the items, their headers included. */
  itemBytes: number
  /** Memory for items, bytes. */
  memoryBytes: number
  /** Lookups that found an item, `touch` among them, and those that did not or made a claim. */
  getHits: number
  getMisses: number
  evictions: number
  /** Arenas that were emptied because a thread died in the middle of a change. */
  resets: number
}
