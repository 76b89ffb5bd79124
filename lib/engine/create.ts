// Creates the arenas of a cache from its options.

import { closeSync, openSync, readSync } from 'node:fs'
import { GIB, KIB, MIB } from '../bytes/units.ts'
import { createArena } from './arena/arena.ts'
import { FIRST_S, monotonicS, startClock } from './arena/clock.ts'
import {
  AUTOMOVE,
  AUTOMOVE_RATIO,
  AUTOMOVE_WINDOW_S,
  CAS_FIRST,
  CAS_LOW,
  CAS_SHOWN,
  CAS_STEP,
  CRAWL_ITEMS_MAX,
  CRAWL_SLEEP_US,
  CRAWLER_ON,
  EVICTION,
  HEADER_WORDS,
  LRU_HOT_FACTOR,
  LRU_HOT_PERCENT,
  LRU_TEMPORARY_TTL_S,
  LRU_WARM_FACTOR,
  LRU_WARM_PERCENT,
  MAINTAINER_ON,
  MEMORY_LIMIT_KIB,
  NEXT_HOLDER,
  REASSIGN_ON,
} from './arena/layout.ts'
import {
  ARENA_DATA_BYTES_MAX,
  ARENA_DATA_BYTES_MIN,
  ARENAS_MAX,
  AUTOMOVE_WINDOW_S_MAX,
  EVICTIONS,
  type EvictionName,
  HASHPOWER_DEFAULT,
  HASHPOWER_MIN,
} from './limits.ts'
import { ChangedKeys } from './storing/changed-keys.ts'
import { Automove } from './upkeep/automove.ts'

/**
 * The memory limit may be raised to this multiple of its first value, or to this number of bytes,
 * as far as the arenas reach. Untouched memory costs only address space.
 */
const MEMORY_HEADROOM = 4
const MEMORY_RESERVED_BYTES_MIN = GIB

/** It may be lowered to this number of pages for items in each arena. */
export const ARENA_PAGES_MIN = 16

/**
 * The cache gives thread ids from here on; those below are for threads that bring their own.
 */
export const GIVEN_HOLDER_MIN = 2 ** 29

/** Room for headers and the hash table in addition to the longest item, as a share of the item. */
const ITEM_SPARE = 1 / 64

export interface CacheOptions {
  /** Memory for items, bytes. */
  memoryBytes: number
  /** Wanted number of arenas, usually one per thread; small memories get fewer. Default 1. */
  shards?: number
  /** Longest item, bytes, as memcached counts them (-I). Default 1 MiB. */
  itemBytesMax?: number
  /** Factor between neighbouring chunk sizes (-f). Default 1.25. */
  growthFactor?: number
  /** Room for key, value and flags in the smallest chunk, bytes (-n). Default 48. */
  chunkBytesMin?: number
  /** Longest chunk, bytes; longer items have several. Default and maximum: half a page. */
  chunkBytesMax?: number
  /** False: refuse new items when full instead of evicting old ones (-M). Default true. */
  evictions?: boolean
  /** Keep the histogram of item sizes for `stats sizes`. Default false. */
  trackSizes?: boolean
  /** Chunk sizes, bytes, ascending. Default none: they grow by the factor. */
  chunkBytes?: readonly number[]
  /** Empty tables have 2^hashpower buckets together. Default 16. */
  hashpower?: number
  /** Whether the tables grow with their items. Default true. */
  tableGrows?: boolean
  /** Whether items have CAS numbers that peers see (-C: no). Default true. */
  cas?: boolean
  /** Whether expired items are crawled for; may be changed later. Default true. */
  crawler?: boolean
  /** Rest between two turns of a crawl, microseconds. Default 100. */
  crawlerSleepUs?: number
  /** Items of a class that one crawl checks; 0: all. Default 0. */
  crawlerItemsMax?: number
  /** Whether pages may move between classes, on command and by upkeep. Default true. */
  reassign?: boolean
  /** Automatic page moves: 0 never, 1 where it pays, 2 at every eviction. Default 1. */
  automove?: number
  /** A class with an age below this share of the oldest gets a page. Default 0.8. */
  automoveRatio?: number
  /** Window of ages and evictions, seconds. Default 10. */
  automoveWindowS?: number
  /** Whether memory is reserved so that the limit can be raised later. Default false. */
  headroom?: boolean
  /**
   * Whether classes are fitted to the sizes that come (fit.ts), unless sizes were chosen. Default
   * true.
   */
  fitted?: boolean
  /**
   * The eviction mode (lru.ts). `segmented` needs the maintainer, otherwise it is `lru`, the
   * default.
   */
  eviction?: EvictionName
  /** Largest shares of a class for the hot and the warm list, percent. Default 20 and 40. */
  hotPercent?: number
  warmPercent?: number
  /** Idle time of their tails, as a share of that of the cold list's tail. Default 0.2 and 2. */
  hotFactor?: number
  warmFactor?: number
  /**
   * Items that expire within this many seconds have their own list; 0: none. Default 0.
   */
  temporaryTtlS?: number
  /** Whether upkeep balances lists and starts crawls by itself. Default true. */
  maintainer?: boolean
  /** What it goes on from, as read from an image. Default: a new clock and random seeds. */
  past?: Past
  /** Whether it is filled with items of the past while clients use it. Default false. */
  filled?: boolean
}

/** What a cache takes over from an earlier one before it gets its items. */
export interface Past {
  /** The seeds of the hash. */
  seeds: readonly [number, number]
  /** The clock at this moment. */
  clockS: number
}

/** The handle by which another thread attaches: only shared memory, fit for postMessage. */
export interface CacheHandle {
  arenas: SharedArrayBuffer[]
  startedS: number
  /** Of a cache that is filled while clients use it: the keys that they changed. */
  changed?: SharedArrayBuffer
}

/** An id for a thread without one, unique among all threads that use these arenas. */
export function giveHolder({ arenas }: CacheHandle): number {
  return Atomics.add(new Int32Array(arenas[0], 0, HEADER_WORDS), NEXT_HOLDER, 1)
}

/** The system's file, where it has one: to load Node's cryptography takes 9 ms of a start. */
function randomBytes(count: number): Buffer {
  const bytes = Buffer.alloc(count)
  try {
    const file = openSync('/dev/urandom', 'r')
    try {
      if (readSync(file, bytes) === count) return bytes
    } finally {
      closeSync(file)
    }
  } catch {
    // No such file: not Linux, or a container without it.
  }
  return process.getBuiltinModule('node:crypto').randomFillSync(bytes)
}

/** RangeError for impossible sizes, or if the memory cannot be reserved. */
export function createArenas(options: CacheOptions): CacheHandle {
  const itemBytesMax = options.itemBytesMax ?? MIB
  const count = arenaCount(options.memoryBytes, options.shards ?? 1, itemBytesMax)
  const dataBytes = arenaBytes(options.memoryBytes, count, itemBytesMax)
  const random = randomBytes(8)
  const { seeds, clockS } = options.past ?? {
    seeds: [random.readInt32LE(0), random.readInt32LE(4)] as const,
    clockS: FIRST_S,
  }
  const hashpower = options.hashpower ?? HASHPOWER_DEFAULT
  const arenas: SharedArrayBuffer[] = []
  for (let i = 0; i < count; i++) {
    const arena = createArena({
      dataBytes,
      dataBytesMax: options.headroom === true ? roomFor(dataBytes, count) : dataBytes,
      itemBytesMax,
      growthFactor: options.growthFactor ?? 1.25,
      chunkBytesMin: options.chunkBytesMin ?? 48,
      chunkBytesMax: options.chunkBytesMax,
      chunkBytes: options.chunkBytes,
      fitted: options.fitted,
      evictions: options.evictions ?? true,
      trackSizes: options.trackSizes ?? false,
      bucketsInitial: 2 ** Math.max(HASHPOWER_MIN, hashpower - Math.ceil(Math.log2(count))),
      tableGrows: options.tableGrows,
      seeds,
    })
    setUp(arena.words, options)
    startClock(arena.words, clockS)
    arena.words[NEXT_HOLDER] = GIVEN_HOLDER_MIN
    arena.words[CAS_STEP] = count
    arena.words[CAS_FIRST] = i
    arena.words[CAS_LOW] = i
    arenas.push(arena.buffer)
  }
  const handle: CacheHandle = { arenas, startedS: monotonicS() - (clockS - FIRST_S) }
  return options.filled === true ? { ...handle, changed: new ChangedKeys().buffer } : handle
}

/** Bytes to reserve in an arena so that the memory limit can be raised. */
function roomFor(dataBytes: number, arenas: number): number {
  const wanted = Math.max(dataBytes * MEMORY_HEADROOM, MEMORY_RESERVED_BYTES_MIN / arenas)
  return Math.min(Math.floor(wanted), ARENA_DATA_BYTES_MAX)
}

/** Writes the settings that may change later into the arenas. */
function setUp(words: Int32Array, options: CacheOptions): void {
  words[CAS_SHOWN] = options.cas === false ? 0 : -1
  words[CRAWLER_ON] = options.crawler === false ? 0 : 1
  words[CRAWL_SLEEP_US] = options.crawlerSleepUs ?? 100
  words[CRAWL_ITEMS_MAX] = options.crawlerItemsMax ?? 0
  const eviction = options.eviction ?? 'lru'
  const isKept = eviction !== 'segmented' || options.maintainer !== false
  words[EVICTION] = EVICTIONS.indexOf(isKept ? eviction : 'lru')
  words[LRU_HOT_PERCENT] = options.hotPercent ?? 20
  words[LRU_WARM_PERCENT] = options.warmPercent ?? 40
  words[LRU_HOT_FACTOR] = thousandths(options.hotFactor ?? 0.2)
  words[LRU_WARM_FACTOR] = thousandths(options.warmFactor ?? 2)
  words[LRU_TEMPORARY_TTL_S] = options.temporaryTtlS ?? 0
  words[MEMORY_LIMIT_KIB] = Math.floor(options.memoryBytes / KIB)
  words[REASSIGN_ON] = options.reassign === false ? 0 : 1
  words[AUTOMOVE] = options.automove ?? Automove.BALANCE
  words[AUTOMOVE_RATIO] = thousandths(options.automoveRatio ?? 0.8)
  words[AUTOMOVE_WINDOW_S] = Math.min(options.automoveWindowS ?? 10, AUTOMOVE_WINDOW_S_MAX)
  words[MAINTAINER_ON] = options.maintainer === false ? 0 : 1
}

/** A factor as a word of an arena. */
export function thousandths(factor: number): number {
  return Math.min(Math.round(factor * 1000), 2 ** 31 - 1)
}

/**
 * The number of arenas for this memory: few enough for long items, enough for the largest arena.
 */
export function arenaCount(memoryBytes: number, wanted: number, itemBytesMax: number): number {
  const least = Math.ceil(memoryBytes / ARENA_DATA_BYTES_MAX)
  const bytesMin = Math.max(ARENA_DATA_BYTES_MIN, 2 * itemBytesMax)
  const most = Math.max(least, Math.floor(memoryBytes / bytesMin))
  if (least > ARENAS_MAX) throw new RangeError(`more than ${ARENAS_MAX} arenas`)
  return Math.max(1, least, Math.min(wanted, most, ARENAS_MAX))
}

/**
 * Bytes of each arena. An item is in one arena, with headers and the hash table. If the longest
 * item takes half of two arenas' memory, they get a little more than the limit.
 */
function arenaBytes(memoryBytes: number, count: number, itemBytesMax: number): number {
  const share = Math.floor(memoryBytes / count)
  if (count === 1) return share
  return Math.max(share, Math.ceil(itemBytesMax * (1 + ITEM_SPARE)))
}
