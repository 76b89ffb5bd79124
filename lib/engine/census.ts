// What the arenas of a cache have and had, summed up without their locks: each number is right, but
// they are not all of one instant.

import { ClassCounter, Counter, classCounterAt, counterAt } from './arena/counters.ts'
import * as L from './arena/layout.ts'
import type { Cache } from './cache.ts'

/** Lookups of all kinds since the last `stats reset`: gets and touches. */
export interface Lookups {
  lookups: number
  misses: number
}

export function lookupsOf({ shards }: Cache): Lookups {
  let hits = 0
  let misses = 0
  for (const { arena } of shards) {
    const { counters } = arena
    misses += counters[counterAt(Counter.GET_MISSES)] + counters[counterAt(Counter.TOUCH_MISSES)]
    for (let id = 1; id <= arena.classCount; id++) {
      const at = classCounterAt(id, 0)
      hits += counters[at + ClassCounter.GET_HITS] + counters[at + ClassCounter.TOUCH_HITS]
    }
  }
  return { lookups: hits + misses, misses }
}

/** A number that changes with each flush. */
export function flushesOf({ shards }: Cache): number {
  const { words } = shards[0].arena
  return words[L.FLUSHED_CAS_LOW] + words[L.FLUSHED_CAS_HIGH] * 2 ** 32
}

/** What operators may change of the eviction rules. */
export interface Tuning {
  /** Shares of a class for its lists HOT and WARM, 0 to 1, under `segmented`. */
  hotShare: number
  warmShare: number
  /** By worth: a class gives a page for less than this share of what it is worth elsewhere. */
  ratio: number
  /** Items that expire within this many seconds have their own list; 0: none. */
  temporaryTtlS: number
}

export function tuningOf({ shards }: Cache): Tuning {
  const { words } = shards[0].arena
  return {
    hotShare: words[L.LRU_HOT_PERCENT] / 100,
    warmShare: words[L.LRU_WARM_PERCENT] / 100,
    ratio: words[L.AUTOMOVE_RATIO] / 1000,
    temporaryTtlS: Math.max(0, words[L.LRU_TEMPORARY_TTL_S]),
  }
}

/** Bytes of the pages that no class has any more. */
export function freePageBytesOf({ shards }: Cache): number {
  return shards.reduce((sum, { arena }) => sum + arena.words[L.POOL_COUNT] * arena.pageWords * 4, 0)
}

/** The pages of slab classes, and what is in them. */
export interface PageUse {
  /** Bytes of all pages that classes have, and of the items in them. */
  pageBytes: number
  itemBytes: number
  /** The chunk size of each class that has pages, bytes: once for each arena. */
  chunkBytes: number[]
}

export function pageUseOf({ shards }: Cache): PageUse {
  const use: PageUse = { pageBytes: 0, itemBytes: 0, chunkBytes: [] }
  for (const { arena } of shards) {
    for (let id = 1; id <= arena.classCount; id++) {
      const at = L.classAt(id)
      const pages = arena.words[at + L.CLASS_PAGE_COUNT]
      if (pages === 0) continue
      use.pageBytes += pages * arena.pageWords * 4
      use.itemBytes += arena.counters[classCounterAt(id, ClassCounter.MEM_REQUESTED)]
      use.chunkBytes.push(arena.words[at + L.CLASS_CHUNK_WORDS] * 4)
    }
  }
  return use
}
