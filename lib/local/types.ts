// Types of the in-process door only: options, the handle, statistics. What it shares with the pool
// client is in doors/types.ts.

import type { CacheHandle, CacheOptions } from '../engine/cache.ts'
import type { Serializer } from '../serializer.ts'

export interface AttachOptions {
  /** For values that are neither strings nor bytes; the same in all threads. Default `json`. */
  serializer?: Serializer | undefined
}

/** `memoryBytes` for items; `shards`: arenas, about four per busy thread. Default 1. */
export interface LocalCacheOptions extends Omit<CacheOptions, 'filled' | 'past'>, AttachOptions {}

/** Shared memory only: fit for `workerData` and `postMessage`. */
export type LocalCacheHandle = CacheHandle

export interface LocalCacheStats {
  items: number
  /** Bytes of the items, their headers included. */
  itemBytes: number
  /** Memory for items, bytes. */
  memoryBytes: number
  /** Lookups, including `touch`, that hit, and those that missed or put a claim. */
  getHits: number
  getMisses: number
  evictions: number
  /** Arenas that were emptied because a thread died in the middle of a change. */
  resets: number
}
