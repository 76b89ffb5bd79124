// All shards of a cache: creates or attaches them, chooses one by hash, ticks their clocks, and
// cleans up after dead threads. Threads share a cache by its handle. Each attaches with its own id.

import type { Area } from '../bytes/area.ts'
import { KIB } from '../bytes/units.ts'
import { type Arena, chunkWords, roomBeside } from './arena/arena.ts'
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
  ITEM_BYTES_LIMIT,
  ITEM_COUNT,
  ITEM_WORDS,
  LRU_HOT_FACTOR,
  LRU_HOT_PERCENT,
  LRU_TEMPORARY_TTL_S,
  LRU_WARM_FACTOR,
  LRU_WARM_PERCENT,
  MAINTAINER_ON,
  MEMORY_LIMIT_KIB,
  MOVE_PHASE,
  PAGE_LIMIT,
  PAGES_USED,
  POOL_COUNT,
  REASSIGN_ON,
  RESETS,
  UPKEEP_HOLDER,
} from './arena/layout.ts'
import type { OnStuck } from './arena/lock.ts'
import { pagesAboveLimit } from './chunks/slabs.ts'
import {
  ARENA_PAGES_MIN,
  type CacheHandle,
  type CacheOptions,
  createArenas,
  giveHolder,
  thousandths,
} from './create.ts'
import { reserveBuckets } from './items/table.ts'
import { allClasses, type ClassSet } from './items/walk.ts'
import {
  AUTOMOVE_WINDOW_S_MAX,
  CRAWL_SLEEP_US_MAX,
  EVICTIONS,
  type EvictionName,
} from './limits.ts'
import { POOL } from './room/moves.ts'
import { Shard } from './shard.ts'
import { Order, Recovery } from './status.ts'
import { ChangedKeys } from './storing/changed-keys.ts'
import { Crawl } from './upkeep/crawl.ts'
import { Upkeep } from './upkeep/upkeep.ts'

export type { CacheHandle, CacheOptions } from './create.ts'

/** How long cleaning up after a dead thread waits for an arena before it is left for later. */
const RECOVER_WAIT_MS_MAX = 100

export class Cache {
  readonly shards: Shard[]
  readonly handle: CacheHandle
  /** The keys that clients changed while it is filled; null: it is not filled while they use it. */
  readonly changed: ChangedKeys | null
  private readonly seed0: number
  private readonly seed1: number
  /** Upkeep of the shards that this thread owns. */
  private readonly upkeeps = new Map<number, Upkeep>()
  /** Dead threads that have not been cleaned up after in every arena. */
  private readonly dead = new Set<number>()

  private constructor(handle: CacheHandle, holder: number) {
    this.handle = handle
    this.shards = handle.arenas.map(buffer => new Shard(buffer, holder))
    this.changed = handle.changed === undefined ? null : new ChangedKeys(handle.changed)
    const { words } = this.shards[0].arena
    this.seed0 = words[HASH_SEED_0]
    this.seed1 = words[HASH_SEED_1]
  }

  /** Creates a cache; `holder`: this thread's id, positive and unique in the process. */
  static create(options: CacheOptions, holder = 1): Cache {
    try {
      return new Cache(createArenas(options), holder)
    } catch (error) {
      if (options.headroom !== true || !(error instanceof RangeError)) throw error
      // Address space is scarce where it must be backed by memory: then the limit cannot be raised.
      return new Cache(createArenas({ ...options, headroom: false }), holder)
    }
  }

  /**
   * Attaches to an existing cache, with this thread's own id or one that the cache gives.
   */
  static attach(handle: CacheHandle, holder = giveHolder(handle)): Cache {
    return new Cache(handle, holder)
  }

  hash(key: Area, start: number, length: number): number {
    return hashBytes(key, start, length, this.seed0, this.seed1)
  }

  /** The shard that a hash belongs to. */
  shardOf(hash: number): Shard {
    return this.shards[this.indexOf(hash)]
  }

  /** The number of that shard. */
  indexOf(hash: number): number {
    return arenaOf(hash, this.shards.length)
  }

  /** The clock of the cache: seconds since it was created. */
  get nowS(): number {
    return this.shards[0].arena.words[CLOCK_S]
  }

  /** Ticks the clocks: every thread that uses the cache calls this each CLOCK_TICK_MS. */
  tick(): void {
    const elapsedS = monotonicS() - this.handle.startedS
    for (const shard of this.shards) moveClock(shard.arena.words, elapsedS)
  }

  /**
   * Cleans up after a dead thread: releases its holds and, if it died inside a lock, releases the
   * arena if it is sound and empties it if it is torn. Returns how many arenas were emptied. An
   * arena that another dead thread has locked is left to the call for that one, or to a later call
   * without a thread; see `isRecovered`.
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

  /**
   * Has this thread call `onStuck` with a thread's id while it waits for that thread's lock in
   * vain. A thread that hears of deaths only by its event loop can look for one there, and recover.
   */
  watchLocks(onStuck: OnStuck): void {
    for (const shard of this.shards) shard.onStuck = onStuck
  }

  /** An id for a thread without one, unique among all threads that use this cache. */
  newHolder(): number {
    return giveHolder(this.handle)
  }

  /** Takes the upkeep of a shard if no thread has it. Returns whether it is this thread's. */
  takeUpkeep(index: number): boolean {
    const { arena, holder } = this.shards[index]
    const seen = Atomics.compareExchange(arena.words, UPKEEP_HOLDER, 0, holder)
    return seen === 0 || seen === holder
  }

  /** Gives up the upkeep of a shard, if it was this thread's. */
  leaveUpkeep(index: number): void {
    const { arena, holder } = this.shards[index]
    this.upkeeps.delete(index)
    Atomics.compareExchange(arena.words, UPKEEP_HOLDER, holder, 0)
  }

  /**
   * One turn of upkeep of a shard, bounded in time. Returns when the next one is due, ms. Only the
   * thread that took the upkeep calls this.
   */
  upkeep(index: number): number {
    const shard = this.shards[index]
    const upkeep = this.upkeeps.get(index) ?? new Upkeep(shard.arena)
    this.upkeeps.set(index, upkeep)
    return shard.upkeep(upkeep)
  }

  /** Allows crawls, or stops the running one and allows none. */
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

  /** Sets the rest of a crawl between two turns, microseconds. */
  setCrawlerSleepUs(sleepUs: number): void {
    this.setAll(CRAWL_SLEEP_US, Math.min(sleepUs, CRAWL_SLEEP_US_MAX))
  }

  /** Sets how many items of a class a crawl checks; 0: all. */
  setCrawlerItemsMax(itemsMax: number): void {
    this.setAll(CRAWL_ITEMS_MAX, itemsMax)
  }

  /**
   * Orders the move of a page from one class to another, in the arena with most spare pages. Class
   * 0 is the pool that all classes take from, -1 any class. OK, OFF, BUSY, BAD_CLASS, SAME or
   * NO_SPARE.
   */
  reassignPage(fromClass: number, toClass: number): Order {
    const { arena } = this.shards[0]
    if (!this.reassignOn()) return Order.OFF
    if (this.shards.some(shard => shard.arena.words[MOVE_PHASE] !== 0)) return Order.BUSY
    if (fromClass === toClass) return Order.SAME
    const from = fromClass === -1 ? this.richestClass(toClass) : fromClass
    const isClass = (id: number) => id >= 0 && id <= arena.classCount
    if (!isClass(from) || !isClass(toClass)) return Order.BAD_CLASS
    // Each arena fits further classes of its own (fit.ts).
    const isCut = ({ arena }: Shard) => toClass === POOL || chunkWords(arena, toClass) > 0
    const able = this.shards.filter(isCut)
    if (able.length === 0) return Order.BAD_CLASS
    const pages = able.map(shard => sparePages(shard.arena, from))
    const most = Math.max(...pages)
    const all = this.shards.reduce((sum, shard) => sum + sparePages(shard.arena, from), 0)
    if (most === 0 || (from !== POOL && all < 2)) return Order.NO_SPARE
    return able[pages.indexOf(most)].reassignPage(from, toClass)
  }

  /** Sets whether pages move automatically: 0 never, 1 where it pays, 2 at every eviction. */
  setAutomove(mode: number): void {
    this.setAll(AUTOMOVE, mode)
  }

  /** Sets how much longer than others a class must keep its items to give a page away. */
  setAutomoveRatio(ratio: number): void {
    this.setAll(AUTOMOVE_RATIO, thousandths(ratio))
  }

  /** Sets over how many seconds, at most AUTOMOVE_WINDOW_S_MAX, ages and evictions are compared. */
  setAutomoveWindowS(windowS: number): void {
    this.setAll(AUTOMOVE_WINDOW_S, Math.min(windowS, AUTOMOVE_WINDOW_S_MAX))
  }

  /** Sets the eviction mode; the lists follow step by step. */
  setEviction(name: EvictionName): void {
    this.setAll(EVICTION, EVICTIONS.indexOf(name))
  }

  /** The eviction mode. */
  eviction(): EvictionName {
    return EVICTIONS[this.wordOf(EVICTION)]
  }

  /** Sets the shares of the hot and the warm list, percent, and how idle their tails may be. */
  tuneLists(hotPercent: number, warmPercent: number, hotFactor: number, warmFactor: number): void {
    this.setAll(LRU_HOT_PERCENT, hotPercent)
    this.setAll(LRU_WARM_PERCENT, warmPercent)
    this.setAll(LRU_HOT_FACTOR, thousandths(hotFactor))
    this.setAll(LRU_WARM_FACTOR, thousandths(warmFactor))
  }

  /** Sets the TTL below which new items go to the temporary list; 0 or less: none. */
  setTemporaryTtlS(ttlS: number): void {
    this.setAll(LRU_TEMPORARY_TTL_S, ttlS)
  }

  /** Longest item, bytes, as memcached counts them. */
  itemBytesMax(): number {
    return this.wordOf(ITEM_BYTES_LIMIT)
  }

  /** Whether items are evicted when memory is full. */
  evicts(): boolean {
    return this.wordOf(EVICTIONS_ON) === 1
  }

  /** Sets whether items are evicted when memory is full. */
  setEvictions(on: boolean): void {
    this.setAll(EVICTIONS_ON, on ? 1 : 0)
  }

  /** Sets whether peers see and compare CAS numbers. */
  showCas(on: boolean): void {
    this.setAll(CAS_SHOWN, on ? -1 : 0)
  }

  /** Sets whether pages may move between classes. */
  setReassign(on: boolean): void {
    this.setAll(REASSIGN_ON, on ? 1 : 0)
  }

  /** The memory limit for items, bytes. */
  memoryLimitBytes(): number {
    return this.wordOf(MEMORY_LIMIT_KIB) * KIB
  }

  /**
   * Changes the memory limit: OK, TOO_SMALL or TOO_LARGE. Upkeep frees the pages above a lower
   * limit step by step; until then no class gets another page.
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

  /**
   * Prepares an empty cache that nobody else uses yet for `items` items of `itemBytes` bytes on
   * average, or for those that fit: its tables need not grow while these are stored.
   */
  reserve(items: number, itemBytes: number): void {
    const fitting = Math.floor(this.memoryLimitBytes() / (itemBytes + ITEM_WORDS * 4))
    const share = Math.ceil(Math.min(items, fitting) / this.shards.length)
    for (const { arena } of this.shards) reserveBuckets(arena, share)
  }

  /** The number of items. */
  itemCount(): number {
    return this.sumOf(ITEM_COUNT)
  }

  /** How often an arena was emptied because a dead thread left it torn. */
  resetCount(): number {
    return this.sumOf(RESETS)
  }

  /** The seeds of the hash. */
  seeds(): [number, number] {
    return [this.seed0, this.seed1]
  }

  /** Bytes of the pages in use. */
  bytesInUse(): number {
    const pages = this.sumOf(PAGES_USED) - this.sumOf(POOL_COUNT)
    return pages * this.shards[0].arena.pageWords * 4
  }

  /** Whether crawls are allowed. */
  crawlerOn(): boolean {
    return this.wordOf(CRAWLER_ON) !== 0
  }

  /** Whether pages may move between classes. */
  reassignOn(): boolean {
    return this.wordOf(REASSIGN_ON) !== 0
  }

  /** Whether upkeep balances lists and starts crawls by itself. */
  maintainerOn(): boolean {
    return this.wordOf(MAINTAINER_ON) !== 0
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

  /** A word that is the same in all arenas. */
  private wordOf(word: number): number {
    return this.shards[0].arena.words[word]
  }

  private sumOf(word: number): number {
    return this.shards.reduce((sum, { arena }) => sum + arena.words[word], 0)
  }

  private setAll(word: number, value: number): void {
    for (const { arena } of this.shards) Atomics.store(arena.words, word, value)
  }
}

/** Pages that a class, or the pool, could give away. */
function sparePages(arena: Arena, classId: number): number {
  if (classId === POOL) return Math.max(0, -pagesAboveLimit(arena))
  return arena.words[classAt(classId) + CLASS_PAGE_COUNT]
}
