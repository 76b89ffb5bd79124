// What the in-process door is asked with and answers: options, items, leases, statistics, errors.

import type { CacheHandle, CacheOptions } from '../engine/cache.ts'
import type { Serializer } from '../serializer.ts'

export interface AttachOptions {
  /** For values that are neither strings nor bytes; the same in all threads. Default JSON. */
  serializer?: Serializer
}

/** `memoryBytes` for items; `shards`: arenas, about four a thread that uses it much. Default 1. */
export interface LocalCacheOptions extends CacheOptions, AttachOptions {}
export type LocalCacheHandle = CacheHandle

export interface StoreOptions {
  /**
   * Seconds until the item ends, as in memcached: 0 or none for ever, above 30 days an absolute Unix
   * time, negative at once; parts of a second are rounded up. RangeError for what is no number.
   */
  ttlS?: number
  /**
   * A number of the caller's own that is kept with a string or bytes: unsigned 32 bits. Default: what
   * serializer.ts has for the kind of value, which `getValue` goes by.
   */
  flags?: number
}

/** What `gets` finds. */
export interface Found {
  value: Buffer
  /** Unsigned 32 bits. */
  flags: number
  /** Names this version of the item, for `cas`. */
  cas: bigint
  /** Seconds that the item still has; -1: for ever. */
  ttlS: number
}

export interface LeaseOptions {
  /** How long a claim lasts on a key that has no item, whole seconds, at least 1. */
  claimS: number
  /** An item that ends within so many seconds may be claimed too. Default 0: none. */
  recacheS?: number
}

/** An item, and whose task it is to make its value. */
export interface Lease extends Found {
  /** This caller's: it alone was told so. `cas` names the claim; without a value the item is empty. */
  won: boolean
  /** Somebody else was told before. */
  isClaimed: boolean
  /** The value was invalidated, and nobody has made a new one. */
  isStale: boolean
}

export interface LocalCacheStats {
  items: number
  /** Bytes of the items, their headers included. */
  itemBytes: number
  /** Memory for items, bytes. */
  memoryBytes: number
  /** Look-ups that found an item, `touch` among them, and those that did not or made a claim. */
  getHits: number
  getMisses: number
  evictions: number
  /** Arenas that were emptied because a thread died in the middle of a change. */
  resets: number
}

/** A call that cannot be carried out, whatever the cache holds; `code` says why. */
export class CacheError extends Error {
  readonly code: 'KEY' | 'TOO_LARGE' | 'NO_MEMORY' | 'NON_NUMERIC'
  constructor(code: CacheError['code'], message: string) {
    super(message)
    this.name = 'CacheError'
    this.code = code
  }
}
