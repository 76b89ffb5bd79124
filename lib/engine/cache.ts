// All shards of a cache: makes or attaches them, picks one by hash, keeps their clocks, and clears
// up after a thread that died. A cache is shared between threads by its handle; each thread
// attaches with an id of its own.

import type { Area } from '../bytes/area.ts'
import { GIB, KIB, MIB } from '../bytes/units.ts'
import { type Arena, chunkWords, createArena, roomBeside } from './arena/arena.ts'
import { monotonicS, moveClock } from './arena/clock.ts'
import { arenaOf, hashBytes } from './arena/hash.ts'
import {
  AUTOMOVE,
  AUTOMOVE_RATIO,
  AUTOMOVE_WINDOW_S,
  BUCKET_COUNT,
  CAS_SHOWN,
  CLASS_PAGE_COUNT,
  CLOCK_S,
  CRAWL_ITEMS_MAX,
  CRAWL_KIND,
  CRAWL_SLEEP_US,
  CRAWLER_ON,
  classAt,
  EVICTION,
  EVICTIONS_ON,
  HASH_SEED_0,
  HASH_SEED_1,
  HEADER_WORDS,
  ITEM_BYTES_LIMIT,
  LRU_HOT_FACTOR,
  LRU_HOT_PERCENT,
  LRU_TEMPORARY_TTL_S,
  LRU_WARM_FACTOR,
  LRU_WARM_PERCENT,
  MAINTAINER_ON,
  MEMORY_LIMIT_KIB,
  MOVE_PHASE,
  NEXT_HOLDER,
  PAGE_LIMIT,
  REASSIGN_ON,
  UPKEEP_HOLDER,
} from './arena/layout.ts'
import { pagesAboveLimit } from './chunks/slabs.ts'
import { Eviction } from './items/lru.ts'
import { allClasses, type ClassSet } from './items/walk.ts'
import {
  ARENA_DATA_BYTES_MAX,
  ARENA_DATA_BYTES_MIN,
  ARENAS_MAX,
  AUTOMOVE_WINDOW_S_MAX,
  CRAWL_SLEEP_US_MAX,
  EVICTIONS,
  type EvictionName,
  HASHPOWER_DEFAULT,
  HASHPOWER_MIN,
} from './limits.ts'
import { POOL } from './room/moves.ts'
import { Recovery, Shard } from './shard.ts'
import { Order } from './status.ts'
import { Automove } from './upkeep/automove.ts'
import { Crawl } from './upkeep/crawl.ts'
import { Upkeep } from './upkeep/upkeep.ts'

/**
 * The memory limit may be raised to so many times what it is at the start, or to so many bytes, as
 * far as the arenas reach. Memory that nobody touches costs address space only.
 */
const MEMORY_HEADROOM = 4
const MEMORY_RESERVED_BYTES_MIN = GIB

/** It may be lowered to so many pages for items in each arena. */
export const ARENA_PAGES_MIN = 16

/**
 * Thread ids that the cache gives out begin here; those below are for threads that bring their own.
 */
export const GIVEN_HOLDER_MIN = 2 ** 29

/** Clearing up after a dead thread waits this long for an arena before it leaves it for later. */
const RECOVER_WAIT_MS_MAX = 100

export interface CacheOptions {
  /** Memory for items, bytes. */
  memoryBytes: number
  /** Wanted number of arenas, usually one a thread; small memories get fewer. Default 1. */
  shards?: number
  /** Longest item, bytes, by memcached's measure of an item (-I). Default 1 MiB. */
  itemBytesMax?: number
  /** Factor between neighbouring chunk sizes (-f). Default 1.25. */
  growthFactor?: number
  /** Least room for key, value and flags in a chunk, bytes (-n). Default 48. */
  chunkBytesMin?: number
  /** Longest chunk, bytes; longer items have several. Default, and at most: half a page. */
  chunkBytesMax?: number
  /** False: refuse new items when full instead of evicting old ones (-M). Default true. */
  evictions?: boolean
  /** Keep the histogram of item sizes for `stats sizes`. Default false. */
  trackSizes?: boolean
  /** Chunk sizes, bytes, ascending; default none: they grow by the factor from the least. */
  chunkBytes?: readonly number[]
  /** The empty tables have 2^hashpower buckets in all. Default 16. */
  hashpower?: number
  /** Whether the tables grow with their items. Default true. */
  tableGrows?: boolean
  /** Whether items have CAS numbers that peers see (-C: no). Default true. */
  cas?: boolean
  /** Whether items that have ended are looked for; may be changed later. Default true. */
  crawler?: boolean
  /** Rest between two turns of a crawl, microseconds. Default 100. */
  crawlerSleepUs?: number
  /** Items of a class that one crawl looks at, 0 for all. Default 0. */
  crawlerItemsMax?: number
  /** Whether pages may be moved between classes by order and by upkeep. Default true. */
  reassign?: boolean
  /** Pages moved unasked: 0 never, 1 where it pays, 2 at every eviction. Default 1. */
  automove?: number
  /** Ages below this share of the oldest deserve a page. Default 0.8. */
  automoveRatio?: number
  /** Seconds of ages and evictions to judge by. Default 10. */
  automoveWindowS?: number
  /** How far the memory limit may be raised later: more is reserved. Default false: not at all. */
  headroom?: boolean
  /**
   * Whether classes are cut for the sizes that come (fit.ts), unless they were chosen. Default
   * true.
   */
  fitted?: boolean
  /**
   * Which items go first (lru.ts); `segmented` needs the maintainer, else it is `lru`, the default.
   */
  eviction?: EvictionName
  /** Shares of a class that the hot and the warm list may have, percent. Default 20 and 40. */
  hotPercent?: number
  warmPercent?: number
  /** How idle their ends may be, by the idle time of the cold list's end. Default 0.2 and 2. */
  hotFactor?: number
  warmFactor?: number
  /**
   * Items that end within so many seconds are kept in a list of their own; 0 for none. Default 0.
   */
  temporaryTtlS?: number
  /** Whether upkeep balances lists and starts crawls of its own accord. Default true. */
  maintainer?: boolean
}

/** What another thread needs to attach: shared memory only, fit for postMessage. */
export interface CacheHandle {
  arenas: SharedArrayBuffer[]
  startedS: number
}

export class Cache {
  readonly shards: Shard[]
  readonly handle: CacheHandle
  private readonly seed0: number
  private readonly seed1: number
  /** Of the shards that this thread keeps in order. */
  private readonly upkeeps = new Map<number, Upkeep>()
  /** Threads that died and are not cleared up after in every arena. */
  private readonly dead = new Set<number>()

  private constructor(handle: CacheHandle, holder: number) {
    this.handle = handle
    this.shards = handle.arenas.map(buffer => new Shard(buffer, holder))
    const { words } = this.shards[0].arena
    this.seed0 = words[HASH_SEED_0]
    this.seed1 = words[HASH_SEED_1]
  }

  /** Makes a cache; `holder`: this thread's id, positive and unique in the process. */
  static create(options: CacheOptions, holder = 1): Cache {
    try {
      return new Cache(createArenas(options), holder)
    } catch (error) {
      if (options.headroom !== true || !(error instanceof RangeError)) throw error
      // Address space is short where it must be backed: do without raising the limit.
      return new Cache(createArenas({ ...options, headroom: false }), holder)
    }
  }

  /**
   * Attaches to a cache that was made before, under this thread's own id or one that the cache
   * gives.
   */
  static attach(handle: CacheHandle, holder = giveHolder(handle)): Cache {
    return new Cache(handle, holder)
  }

  hash(key: Area, start: number, length: number): number {
    return hashBytes(key, start, length, this.seed0, this.seed1)
  }

  /** The shard that a hash belongs to. */
  shardOf(hash: number): Shard {
    return this.shards[arenaOf(hash, this.shards.length)]
  }

  /** The clock of the cache: seconds since it was created. */
  get nowS(): number {
    return this.shards[0].arena.words[CLOCK_S]
  }

  /** Moves the clocks on: every thread that serves the cache calls this about once a second. */
  tick(): void {
    const elapsedS = monotonicS() - this.handle.startedS
    for (const shard of this.shards) moveClock(shard.arena.words, elapsedS)
  }

  /**
   * Clears up after a thread that died: releases its holds and, if it died inside a lock, releases
   * the arena if it is sound and empties it if it is torn. Returns how many arenas were emptied.
   * An arena that another dead thread keeps locked is left to the call for that one, or to a later
   * call without a thread; `isRecovered` tells.
   */
  recover(deadHolder?: number): number {
    if (deadHolder !== undefined) this.dead.add(deadHolder)
    let emptied = 0
    let complete = true
    for (const shard of this.shards) {
      const { words } = shard.arena
      for (const dead of this.dead) Atomics.compareExchange(words, UPKEEP_HOLDER, dead, 0)
      const recovery = shard.recover(this.dead, RECOVER_WAIT_MS_MAX)
      if (recovery === Recovery.EMPTIED) emptied++
      else if (recovery === Recovery.BUSY) complete = false
    }
    if (complete) this.dead.clear()
    return emptied
  }

  /** An id for a thread that has none of its own, unique among all that use this cache. */
  newHolder(): number {
    return giveHolder(this.handle)
  }

  /** Whether the upkeep of a shard is this thread's: it takes it if nobody has it. */
  takeUpkeep(index: number): boolean {
    const { arena, holder } = this.shards[index]
    const seen = Atomics.compareExchange(arena.words, UPKEEP_HOLDER, 0, holder)
    return seen === 0 || seen === holder
  }

  /** Leaves the upkeep of a shard to whoever takes it next, if it was this thread's. */
  leaveUpkeep(index: number): void {
    const { arena, holder } = this.shards[index]
    this.upkeeps.delete(index)
    Atomics.compareExchange(arena.words, UPKEEP_HOLDER, holder, 0)
  }

  /**
   * One turn of upkeep of a shard, bounded in time; when it wants the next one, ms. Only the thread
   * that took it calls this.
   */
  upkeep(index: number): number {
    const shard = this.shards[index]
    const upkeep = this.upkeeps.get(index) ?? new Upkeep(shard.arena)
    this.upkeeps.set(index, upkeep)
    return shard.upkeep(upkeep)
  }

  /** Lets crawls begin, or ends the one that runs and lets none begin. */
  crawlerEnable(on: boolean): void {
    for (const shard of this.shards) shard.crawlerEnable(on)
  }

  /** Orders a crawl of these classes, or of all: OK, OFF, BUSY, or NOT_STARTED without an item. */
  crawl(classes: ClassSet = allClasses()): Order {
    for (const { arena } of this.shards) {
      if (arena.words[CRAWL_KIND] === Crawl.ORDERED) return Order.BUSY
    }
    const orders = this.shards.map(shard => shard.crawl(classes))
    return orders.includes(Order.OK) ? Order.OK : orders[0]
  }

  /** Sets how long a crawl rests between two turns, microseconds. */
  setCrawlerSleepUs(sleepUs: number): void {
    this.setAll(CRAWL_SLEEP_US, Math.min(sleepUs, CRAWL_SLEEP_US_MAX))
  }

  /** Sets how many items of a class a crawl looks at, 0 for all. */
  setCrawlerItemsMax(itemsMax: number): void {
    this.setAll(CRAWL_ITEMS_MAX, itemsMax)
  }

  /**
   * Orders a page from one class to another: in the arena that has most to spare. Class 0 is the
   * pool that all classes take from, -1 any class. OK, OFF, BUSY, BAD_CLASS, SAME or NO_SPARE.
   */
  reassignPage(fromClass: number, toClass: number): Order {
    const { arena } = this.shards[0]
    if (arena.words[REASSIGN_ON] === 0) return Order.OFF
    if (this.shards.some(shard => shard.arena.words[MOVE_PHASE] !== 0)) return Order.BUSY
    if (fromClass === toClass) return Order.SAME
    const from = fromClass === -1 ? this.richestClass(toClass) : fromClass
    const isClass = (id: number) => id >= 0 && id <= arena.classCount
    if (!isClass(from) || !isClass(toClass)) return Order.BAD_CLASS
    // Further classes are cut in each arena by itself (fit.ts).
    const isCut = ({ arena }: Shard) => toClass === POOL || chunkWords(arena, toClass) > 0
    const able = this.shards.filter(isCut)
    if (able.length === 0) return Order.BAD_CLASS
    const pages = able.map(shard => sparePages(shard.arena, from))
    const most = Math.max(...pages)
    const all = this.shards.reduce((sum, shard) => sum + sparePages(shard.arena, from), 0)
    if (most === 0 || (from !== POOL && all < 2)) return Order.NO_SPARE
    return able[pages.indexOf(most)].reassignPage(from, toClass)
  }

  /** Sets whether pages are moved unasked: 0 never, 1 where it pays, 2 at every eviction. */
  setAutomove(mode: number): void {
    this.setAll(AUTOMOVE, mode)
  }

  /** Sets how much longer a class must keep its items than the others to give a page away. */
  setAutomoveRatio(ratio: number): void {
    this.setAll(AUTOMOVE_RATIO, thousandths(ratio))
  }

  /** Sets over how many seconds, at most AUTOMOVE_WINDOW_S_MAX, ages and evictions are compared. */
  setAutomoveWindowS(windowS: number): void {
    this.setAll(AUTOMOVE_WINDOW_S, Math.min(windowS, AUTOMOVE_WINDOW_S_MAX))
  }

  /** Sets which items go first; their lists follow a step at a time. */
  setEviction(name: EvictionName): void {
    this.setAll(EVICTION, EVICTIONS.indexOf(name))
  }

  /** Which items go first. */
  eviction(): EvictionName {
    return EVICTIONS[this.shards[0].arena.words[EVICTION]]
  }

  /** Sets the shares of the hot and the warm list, percent, and how idle their ends may be. */
  tuneLists(hotPercent: number, warmPercent: number, hotFactor: number, warmFactor: number): void {
    this.setAll(LRU_HOT_PERCENT, hotPercent)
    this.setAll(LRU_WARM_PERCENT, warmPercent)
    this.setAll(LRU_HOT_FACTOR, thousandths(hotFactor))
    this.setAll(LRU_WARM_FACTOR, thousandths(warmFactor))
  }

  /** Sets how soon a new item must end to be kept in the temporary list; 0 or less for none. */
  setTemporaryTtlS(ttlS: number): void {
    this.setAll(LRU_TEMPORARY_TTL_S, ttlS)
  }

  /** Longest item, bytes, by memcached's measure of an item. */
  itemBytesMax(): number {
    return this.shards[0].arena.words[ITEM_BYTES_LIMIT]
  }

  /** Whether old items make room for new ones when the memory is full. */
  evicts(): boolean {
    return this.shards[0].arena.words[EVICTIONS_ON] === 1
  }

  /** Memory for items that may be in use, bytes. */
  memoryLimitBytes(): number {
    return this.shards[0].arena.words[MEMORY_LIMIT_KIB] * KIB
  }

  /**
   * Changes the memory limit: OK, TOO_SMALL or TOO_LARGE. Pages above a lower limit are given back
   * by upkeep, a step at a time; until then no class gets another.
   */
  setMemoryLimit(bytes: number): Order {
    const { arena } = this.shards[0]
    const pages = Math.floor(bytes / this.shards.length / (arena.pageWords * 4))
    const isTooSmall = ({ arena: { words, pageWords } }: Shard) =>
      roomBeside(words[BUCKET_COUNT], pages, pageWords) < ARENA_PAGES_MIN
    if (this.shards.some(isTooSmall)) return Order.TOO_SMALL
    if (pages > arena.pageCount) return Order.TOO_LARGE
    this.setAll(PAGE_LIMIT, pages)
    this.setAll(MEMORY_LIMIT_KIB, Math.floor(bytes / KIB))
    return Order.OK
  }

  /** Whether nothing of a dead thread is left. */
  isRecovered(): boolean {
    return this.dead.size === 0
  }

  /** The class, other than `besides`, with most pages; -1 if none has two. */
  private richestClass(besides: number): number {
    let best = -1
    let most = 1
    for (let classId = 1; classId <= this.shards[0].arena.classCount; classId++) {
      const pages = this.shards.reduce((sum, { arena }) => sum + sparePages(arena, classId), 0)
      if (classId === besides || pages <= most) continue
      best = classId
      most = pages
    }
    return best
  }

  private setAll(word: number, value: number): void {
    for (const { arena } of this.shards) Atomics.store(arena.words, word, value)
  }
}

function giveHolder({ arenas }: CacheHandle): number {
  return Atomics.add(new Int32Array(arenas[0], 0, HEADER_WORDS), NEXT_HOLDER, 1)
}

function createArenas(options: CacheOptions): CacheHandle {
  const itemBytesMax = options.itemBytesMax ?? MIB
  const count = arenaCount(options.memoryBytes, options.shards ?? 1, itemBytesMax)
  const dataBytes = arenaBytes(options.memoryBytes, count, itemBytesMax)
  // Not imported: threads that attach, which are most, would load it for nothing.
  const random = process.getBuiltinModule('node:crypto').randomBytes(8)
  const seeds = [random.readInt32LE(0), random.readInt32LE(4)] as const
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
    arena.words[NEXT_HOLDER] = GIVEN_HOLDER_MIN
    arenas.push(arena.buffer)
  }
  return { arenas, startedS: monotonicS() }
}

/** Bytes to reserve in an arena so that the memory limit can be raised. */
function roomFor(dataBytes: number, arenas: number): number {
  const wanted = Math.max(dataBytes * MEMORY_HEADROOM, MEMORY_RESERVED_BYTES_MIN / arenas)
  return Math.min(Math.floor(wanted), ARENA_DATA_BYTES_MAX)
}

/** Writes what may be changed later where all threads find it. */
function setUp(words: Int32Array, options: CacheOptions): void {
  words[CAS_SHOWN] = options.cas === false ? 0 : -1
  words[CRAWLER_ON] = options.crawler === false ? 0 : 1
  words[CRAWL_SLEEP_US] = options.crawlerSleepUs ?? 100
  words[CRAWL_ITEMS_MAX] = options.crawlerItemsMax ?? 0
  const eviction = options.eviction ?? 'lru'
  const isKept = eviction !== 'segmented' || options.maintainer !== false
  words[EVICTION] = isKept ? EVICTIONS.indexOf(eviction) : Eviction.LRU
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

/** Pages that a class, or the pool, could give away. */
function sparePages(arena: Arena, classId: number): number {
  if (classId === POOL) return Math.max(0, -pagesAboveLimit(arena))
  return arena.words[classAt(classId) + CLASS_PAGE_COUNT]
}

/** A factor as a word of an arena. */
function thousandths(factor: number): number {
  return Math.min(Math.round(factor * 1000), 2 ** 31 - 1)
}

/** Room beside the longest item for its headers and the hash table, as a share of the item. */
const ITEM_SPARE = 1 / 64

/**
 * Bytes of each arena. An item lies in one arena, with its headers and a table beside it: where it
 * may take half of two arenas' memory, they get a little more than the limit.
 */
function arenaBytes(memoryBytes: number, count: number, itemBytesMax: number): number {
  const share = Math.floor(memoryBytes / count)
  if (count === 1) return share
  return Math.max(share, Math.ceil(itemBytesMax * (1 + ITEM_SPARE)))
}

/** How many arenas serve this memory: few enough for long items, enough for their largest size. */
function arenaCount(memoryBytes: number, wanted: number, itemBytesMax: number): number {
  const least = Math.ceil(memoryBytes / ARENA_DATA_BYTES_MAX)
  const bytesMin = Math.max(ARENA_DATA_BYTES_MIN, 2 * itemBytesMax)
  const most = Math.max(least, Math.floor(memoryBytes / bytesMin))
  if (least > ARENAS_MAX) throw new RangeError(`more than ${ARENAS_MAX} arenas`)
  return Math.max(1, least, Math.min(wanted, most, ARENAS_MAX))
}
