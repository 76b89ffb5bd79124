// Creates an arena, a SharedArrayBuffer with the layout of layout.ts, or attaches to one, and keeps
// the views of one thread. Untouched memory costs nothing, so tables are reserved at their maximum
// size.

import assert from 'node:assert/strict'
import { Area } from '../../bytes/area.ts'
import {
  ARENA_BYTES_MAX,
  ARENA_DATA_BYTES_MAX,
  CLASSES_MAX,
  FIT_SAMPLES,
  LARGEST_CHUNKS_PER_PAGE,
  PAGE_BYTES_MAX,
  PAGE_BYTES_MIN,
  PAGES_PER_ARENA_MIN,
  SIZE_SLOTS_MAX,
  SIZE_STEP_BYTES,
} from '../limits.ts'
import { startClock } from './clock.ts'
import { ClassCounter, classCounterAt } from './counters.ts'
import type { Ref } from './layout.ts'
import * as L from './layout.ts'

/** Classes that may be added for the requested sizes, beside those of -f and -n. */
export const FITTED_CLASSES_MAX = 20

/** Allocations before the sizes are first analysed: a small memory is soon full. */
const FIT_FIRST_TICK = 128

/**
 * Items of one arena that can be held at once: large values being sent or received. A peer that
 * asks for one more gets an out-of-memory error.
 */
export const HOLD_SLOTS_MAX = 4096

export interface ArenaOptions {
  /** Bytes for items; rounded down to whole pages. */
  dataBytes: number
  /** The limit may be raised to this number of bytes for items. Default: dataBytes. */
  dataBytesMax?: number
  /** Longest item, bytes, by memcached's measure (see itemLimitBytes). */
  itemBytesMax: number
  /** Factor between the chunk sizes of neighbouring classes. */
  growthFactor: number
  /** Smallest room for key, value and client flags, bytes. */
  chunkBytesMin: number
  /** Longest chunk, bytes. Default, and at most: half a page. */
  chunkBytesMax?: number
  /** Chunk sizes, bytes, ascending, in place of those that grow by the factor. */
  chunkBytes?: readonly number[]
  /** False: a full arena refuses new items instead of evicting old ones. */
  evictions: boolean
  /** Whether classes are added for the requested sizes (fit.ts). Default true. */
  fitted?: boolean
  /** Keep the histogram of item sizes. */
  trackSizes: boolean
  /** Buckets of the empty table, a power of two. */
  bucketsInitial: number
  /** False: the table keeps that size. Default true. */
  tableGrows?: boolean
  /** Two random words that key the hash, the same in all arenas of a cache. */
  seeds: readonly [number, number]
}

/** Is told what this thread does to items by itself. Runs under the lock, so it must be quick. */
export interface Witness {
  /** A live item is about to be evicted. */
  evicting(arena: Arena, ref: Ref): void
}

/** Starts of the regions of an arena, in words. */
interface Regions {
  pages: number
  holds: number
  sizes: number
  map: number
  samples: number
  buckets: number
  ghosts: number
  data: number
  end: number
}

export class Arena {
  readonly buffer: SharedArrayBuffer
  readonly words: Int32Array
  readonly counters: Float64Array
  readonly area: Area
  /** The ghosts (items/ghosts.ts). */
  readonly ghosts: Uint16Array
  readonly pageWords: number
  readonly pageCount: number
  readonly classCount: number
  readonly pagesAt: number
  readonly holdsAt: number
  readonly sizesAt: number
  readonly bucketsAt: number
  readonly dataAt: number
  /** Classes at creation, the last one the largest. fit.ts adds others behind them. */
  readonly baseClasses: number
  readonly mapAt: number
  readonly samplesAt: number
  /** This thread's. */
  witness: Witness | null = null

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer)
    assert.equal(this.words[L.MAGIC], L.ARENA_MAGIC, 'not an arena')
    assert.equal(this.words[L.VERSION], L.LAYOUT_VERSION, 'an arena of another layout')
    this.counters = new Float64Array(buffer, 0, L.FIXED_WORDS / 2)
    this.area = new Area(Buffer.from(buffer))
    this.pageWords = this.words[L.PAGE_WORDS]
    this.pageCount = this.words[L.PAGE_COUNT]
    this.classCount = this.words[L.CLASS_COUNT]
    this.baseClasses = this.words[L.BASE_CLASSES]
    const at = regionsOf(
      this.pageCount,
      this.pageWords,
      this.words[L.SIZE_SLOTS],
      chunkWordsAt(this.words, this.baseClasses),
      this.words[L.BUCKETS_MAX],
    )
    this.pagesAt = at.pages
    this.holdsAt = at.holds
    this.sizesAt = at.sizes
    this.bucketsAt = at.buckets
    const ghostsEnd = at.ghosts + ghostWords(this.pageCount, this.pageWords)
    this.ghosts = new Uint16Array(buffer, at.ghosts * 4, (ghostsEnd - at.ghosts) * 2)
    this.mapAt = at.map
    this.samplesAt = at.samples
    this.dataAt = at.data
  }
}

/** Creates an arena; throws RangeError if the memory cannot be reserved. */
export function createArena(options: ArenaOptions): Arena {
  const dataBytesMax = Math.max(options.dataBytes, options.dataBytesMax ?? 0)
  assert(dataBytesMax <= ARENA_DATA_BYTES_MAX)
  const pageBytes = pageBytesFor(options.dataBytes)
  const pageWords = pageBytes >> 2
  const pageLimit = Math.max(1, Math.floor(options.dataBytes / pageBytes))
  const pageCount = Math.max(1, Math.floor(dataBytesMax / pageBytes))
  const halfPage = Math.floor(pageWords / LARGEST_CHUNKS_PER_PAGE)
  const largestChunk = Math.min(halfPage, (options.chunkBytesMax ?? pageBytes) >> 2)
  const chunks = options.chunkBytes?.length
    ? chosenSizes(largestChunk, options.chunkBytes)
    : chunkSizes(largestChunk, options.chunkBytesMin, options.growthFactor)
  const bucketsFull = 2 ** Math.ceil(Math.log2(itemsMax(pageCount, pageWords)))
  const grows = options.tableGrows !== false
  const bucketsMax = grows ? bucketsFull : Math.min(options.bucketsInitial, bucketsFull)
  const sizeSlots = options.trackSizes
    ? Math.min(SIZE_SLOTS_MAX, Math.ceil(options.itemBytesMax / SIZE_STEP_BYTES) + 1)
    : 0
  const at = regionsOf(pageCount, pageWords, sizeSlots, chunks[chunks.length - 1], bucketsMax)
  assert(at.end * 4 <= ARENA_BYTES_MAX, 'a byte address in an arena is a positive int32')
  const buffer = new SharedArrayBuffer(at.end * 4)
  const words = new Int32Array(buffer)
  words[L.MAGIC] = L.ARENA_MAGIC
  words[L.VERSION] = L.LAYOUT_VERSION
  words[L.PAGE_WORDS] = pageWords
  words[L.PAGE_COUNT] = pageCount
  words[L.CLASS_COUNT] = Math.min(chunks.length + FITTED_CLASSES_MAX, CLASSES_MAX - 1)
  words[L.BASE_CLASSES] = chunks.length
  words[L.FIT_ON] = options.fitted === false || options.chunkBytes?.length ? 0 : 1
  words[L.FIT_LOOK_AT] = FIT_FIRST_TICK
  words[L.BUCKETS_MAX] = bucketsMax
  words[L.BUCKETS_INITIAL] = Math.min(options.bucketsInitial, bucketsMax)
  words[L.HOLD_SLOTS] = HOLD_SLOTS_MAX
  words[L.SIZE_SLOTS] = sizeSlots
  words[L.ITEM_BYTES_LIMIT] = Math.min(
    options.itemBytesMax,
    longestItemBytes(
      roomBeside(words[L.BUCKETS_INITIAL], pageLimit, pageWords),
      pageWords,
      largestChunk,
    ),
  )
  words[L.EVICTIONS_ON] = options.evictions ? 1 : 0
  words[L.PAGE_LIMIT] = pageLimit
  words[L.HASH_SEED_0] = options.seeds[0]
  words[L.HASH_SEED_1] = options.seeds[1]
  for (let i = 0; i < chunks.length; i++) {
    words[L.classAt(i + 1) + L.CLASS_CHUNK_WORDS] = chunks[i]
    words[L.classAt(i + 1) + L.CLASS_CHUNKS_PER_PAGE] = Math.floor(pageWords / chunks[i])
  }
  words[L.CAS_STEP] = 1
  startClock(words)
  const arena = new Arena(buffer)
  emptyArena(arena)
  words[L.CAS_HIGH] = 0
  return arena
}

/** Drops all items and holds. The counters, the clock and the CAS sequence stay. */
export function emptyArena(arena: Arena): void {
  const { words } = arena
  words.fill(0, arena.pagesAt, arena.holdsAt)
  words.fill(0, arena.sizesAt, arena.bucketsAt + words[L.BUCKET_COUNT])
  for (let classId = arena.baseClasses + 1; classId <= arena.classCount; classId++) {
    words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] = 0
    words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE] = 0
  }
  fillMap(arena)
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const at = L.classAt(classId)
    words.fill(0, at + L.CLASS_FREE_HEAD, at + L.CLASS_WORDS)
    words[at + L.CLASS_PROBATION] = L.PROBATION_FIRST
    arena.counters[classCounterAt(classId, ClassCounter.MEM_REQUESTED)] = 0
  }
  for (let slot = 0; slot < words[L.HOLD_SLOTS]; slot++) {
    const at = arena.holdsAt + slot * L.HOLD_WORDS
    words[at + L.HOLD_REF] = slot + 1 < words[L.HOLD_SLOTS] ? slot + 1 : -1
    words[at + L.HOLD_HOLDER] = 0
    words[at + L.HOLD_SHARE] = 0
    words[at + L.HOLD_IS_UPLOAD] = 0
  }
  words[L.HOLD_FREE] = 0
  words[L.HOLD_COUNT] = 0
  words[L.READS_HELD] = 0
  words[L.UPLOADS_HELD] = 0
  words[L.UPLOAD_SLOTS] = 0
  words[L.PAGES_USED] = 0
  words[L.ITEM_COUNT] = 0
  words[L.BUCKET_COUNT] = words[L.BUCKETS_INITIAL]
  words[L.BUCKET_MASK] = words[L.BUCKETS_INITIAL] - 1
  words[L.FLUSH_AT_S] = 0
  words[L.REWRITING] = L.NIL
  words[L.CRAWL_KIND] = 0
  words[L.SWEEP_AT_S] = 0
  words[L.SWEEP_PAGE] = 0
  words[L.POOL_HEAD] = 0
  words[L.POOL_COUNT] = 0
  words[L.SLACK] = 0
  words[L.SLACK + 1] = 0
  words[L.SLACK_HELD_AT_S] = 0
  words[L.ROOM_MADE_FOR] = 0
  words[L.ROOM_WANTED] = 0
  words[L.ROOM_WAS_MADE] = 0
  words[L.ROOM_CHUNKS] = 0
  words[L.ROOM_TAIL] = 0
  words[L.PROBE_AT_S] = 0
  words[L.REAP_PAGE] = 0
  words[L.WANTING_CLASS] = 0
  words[L.TRADE_DUE] = 0
  words[L.TRADE_FROM] = 0
  words[L.TRADE_CAUTION] = 0
  words[L.MOVE_PHASE] = 0
  words[L.MOVE_FIRST] = 0
  words[L.MOVE_END] = 0
  words[L.GENERATION]++
  // A torn arena may have lost the low word of its CAS sequence: go where no CAS has been.
  words[L.CAS_HIGH]++
  words[L.CAS_LOW] = words[L.CAS_FIRST]
}

/** Words of a chunk of this class. */
export function chunkWords(arena: Arena, classId: number): number {
  return chunkWordsAt(arena.words, classId)
}

function chunkWordsAt(words: Int32Array, classId: number): number {
  return words[L.classAt(classId) + L.CLASS_CHUNK_WORDS]
}

/** The page that a chunk lies in. */
export function pageOf(arena: Arena, ref: Ref): number {
  return Math.floor((ref - arena.dataAt) / arena.pageWords)
}

/** First chunk of a page. */
export function pageRef(arena: Arena, page: number): Ref {
  return (arena.dataAt + page * arena.pageWords) as Ref
}

/** Bytes of a page in an arena of this size: a power of two, smaller in small arenas. */
export function pageBytesFor(dataBytes: number): number {
  const wanted = 2 ** Math.floor(Math.log2(dataBytes / PAGES_PER_ARENA_MIN))
  return Math.min(PAGE_BYTES_MAX, Math.max(PAGE_BYTES_MIN, wanted))
}

/**
 * Chunk sizes of classes 1, 2, ..., words: grown by the factor, the last one as large as allowed.
 */
function chunkSizes(largest: number, chunkBytesMin: number, growthFactor: number): number[] {
  const sizes: number[] = []
  let bytes = L.ITEM_WORDS * 4 + chunkBytesMin
  while (sizes.length < CLASSES_MAX - 2 && bytes / 4 <= largest / growthFactor) {
    const words = Math.ceil(bytes / 4)
    if (words !== sizes[sizes.length - 1]) sizes.push(words)
    bytes = Math.max(bytes * growthFactor, (words + 1) * 4)
  }
  sizes.push(largest)
  return sizes
}

/**
 * Chunk sizes of classes 1, 2, ..., words, as they were chosen; the last one as large as allowed.
 */
function chosenSizes(largest: number, chunkBytes: readonly number[]): number[] {
  const sizes = chunkBytes.map(bytes => Math.max(Math.ceil(bytes / 4), L.ITEM_WORDS + 1))
  const rising = sizes.filter((words, i) => words < largest && (i === 0 || words > sizes[i - 1]))
  return [...rising.slice(0, CLASSES_MAX - 2), largest]
}

/** Maps every size to the smallest class of the first ones that fits it. */
function fillMap(arena: Arena): void {
  const { bytes } = arena.area
  const mapAt = arena.mapAt << 2
  let from = 0
  for (let classId = 1; classId <= arena.baseClasses; classId++) {
    const chunk = chunkWords(arena, classId)
    bytes.fill(classId, mapAt + from, mapAt + chunk + 1)
    from = chunk + 1
  }
}

/** More items than fit into the pages. */
function itemsMax(pageCount: number, pageWords: number): number {
  return (pageCount * pageWords) / L.ITEM_WORDS
}

/** Words for the ghosts of as many items as there can be, and one set. */
function ghostWords(pageCount: number, pageWords: number): number {
  const ghosts = itemsMax(pageCount, pageWords) / L.ITEMS_PER_GHOST + L.GHOSTS_PER_SET
  return Math.ceil((ghosts * L.GHOST_BYTES) / 4)
}

/**
 * Pages for items: the limit without the hash table and the ghosts for as many items as it has
 * buckets, but at least half of it.
 */
export function roomBeside(buckets: number, pageLimit: number, pageWords: number): number {
  const tableWords = buckets * (1 + L.GHOST_BYTES / 4 / L.ITEMS_PER_GHOST)
  return Math.max(pageLimit - Math.ceil(tableWords / pageWords), Math.ceil(pageLimit / 2))
}

/** Bytes of one item that this many pages can hold. */
function longestItemBytes(pageCount: number, pageWords: number, largestChunk: number): number {
  const chunkBytes = (largestChunk - L.SPAN_WORDS) * 4
  return pageCount * Math.floor(pageWords / largestChunk) * chunkBytes - L.ITEM_WORDS * 4
}

function regionsOf(
  pageCount: number,
  pageWords: number,
  sizeSlots: number,
  largestChunk: number,
  bucketsMax: number,
) {
  const pages = L.FIXED_WORDS
  const holds = pages + pageCount
  // One more than HOLD_SLOTS_MAX: the slot of the current operation (holds.ts).
  const sizes = holds + (HOLD_SLOTS_MAX + 1) * L.HOLD_WORDS
  const map = sizes + sizeSlots
  const samples = map + Math.ceil((largestChunk + 1) / 4)
  const buckets = samples + FIT_SAMPLES
  const ghosts = buckets + bucketsMax
  const data = Math.ceil((ghosts + ghostWords(pageCount, pageWords)) / 1024) * 1024
  const end = data + pageCount * pageWords
  const at: Regions = { pages, holds, sizes, map, samples, buckets, ghosts, data, end }
  return at
}
