// The counters kept in an arena, under its lock: some for the whole arena, some for each slab
// class. Names follow memcached's `stats`, `stats items` and `stats slabs`.

import assert from 'node:assert/strict'
import { CLASS_COUNTERS_AT, CLASS_COUNTERS_MAX, COUNTERS_AT, COUNTERS_MAX } from './layout.ts'

/** Counters of an arena: indices from `counterAt`. */
export const Counter = {
  GET_MISSES: 0,
  GET_EXPIRED: 1,
  GET_FLUSHED: 2,
  TOUCH_MISSES: 3,
  DELETE_MISSES: 4,
  INCR_MISSES: 5,
  DECR_MISSES: 6,
  CAS_MISSES: 7,
  TOTAL_ITEMS: 8,
  STORE_TOO_LARGE: 9,
  STORE_NO_MEMORY: 10,
  SLABS_MOVED: 11,
  CRAWLER_STARTS: 12,
  /** Page moves: items copied, parts of long items copied, items evicted for them. */
  MOVE_RESCUES: 13,
  MOVE_CHUNK_RESCUES: 14,
  MOVE_EVICTIONS_NO_MEMORY: 15,
  /** Page moves: held items met, and moves given up for lack of memory. */
  MOVE_BUSY_ITEMS: 16,
  MOVE_BUSY_NO_MEMORY: 17,
  /** Rounds of list balancing that found work. */
  MAINTAINER_JUGGLES: 18,
  /** For what peers keep (shares.ts): uploads and reads refused, and values copied to be sent. */
  UPLOADS_REFUSED: 19,
  READS_REFUSED: 20,
  READS_COPIED: 21,
  /** Flushed items that a sweep freed; CRAWLER_RECLAIMED has them too. */
  SWEPT: 22,
  /** How often a thread found the lock taken. */
  LOCK_WAITS: 23,
  /**
   * The longest step of upkeep or of making room, under the lock, microseconds. The first step of a
   * store is not timed: few need another one.
   */
  LONGEST_STEP_US: 24,
} as const

/** Counters of a class: indices from `classCounterAt`. */
export const ClassCounter = {
  GET_HITS: 0,
  SET_CMDS: 1,
  DELETE_HITS: 2,
  INCR_HITS: 3,
  DECR_HITS: 4,
  CAS_HITS: 5,
  CAS_BADVAL: 6,
  TOUCH_HITS: 7,
  EVICTED: 8,
  EVICTED_NONZERO: 9,
  OUT_OF_MEMORY: 10,
  RECLAIMED: 11,
  EXPIRED_UNFETCHED: 12,
  EVICTED_UNFETCHED: 13,
  EVICTED_ACTIVE: 14,
  /** Bytes of the items linked in this class, headers included. Not reset by `stats reset`. */
  MEM_REQUESTED: 16,
  CRAWLER_RECLAIMED: 17,
  CRAWLER_CHECKED: 18,
  MOVES_TO_COLD: 19,
  MOVES_TO_WARM: 20,
  MOVES_WITHIN_LRU: 21,
  /** Times a store had to free memory itself. */
  DIRECT_RECLAIMS: 22,
  /** GET_HITS of items in other lists than COLD, in the order of LIST_HOT and so on. */
  HITS_TO_HOT: 24,
  HITS_TO_WARM: 25,
  HITS_TO_COLD: 26,
  HITS_TO_TEMP: 27,
} as const

/** Counters of a class for worth.ts, reset with the others; indices as ClassCounter. */
export const Appraisal = {
  /** Keys that came back after their item was evicted (items/ghosts.ts), and evicted items. */
  RETURNED: 15,
  EVICTED: 23,
  /** Of RETURNED: the sum of the times by which they came before they would be forgotten. */
  RETURNED_EARLY: 28,
  /** Counters at the last comparison: items evicted, uses of the class. */
  EVICTED_SEEN: 29,
  USES_SEEN: 30,
  /** Uses between the last two comparisons. */
  USES: 31,
} as const

assert(Object.keys(Counter).length <= COUNTERS_MAX)
assert(Object.keys(ClassCounter).length <= CLASS_COUNTERS_MAX)

const GLOBAL_BASE = COUNTERS_AT / 2
const CLASS_BASE = CLASS_COUNTERS_AT / 2

/** Float64 index of an arena counter. */
export function counterAt(counter: number): number {
  return GLOBAL_BASE + counter
}

/** Float64 index of a class counter. */
export function classCounterAt(classId: number, counter: number): number {
  return CLASS_BASE + classId * CLASS_COUNTERS_MAX + counter
}

/** A step under the lock that began at `sinceMs` is done. */
export function noteStep(counters: Float64Array, sinceMs: number): void {
  const at = counterAt(Counter.LONGEST_STEP_US)
  counters[at] = Math.max(counters[at], (performance.now() - sinceMs) * 1000)
}

/** Zeroes what `stats reset` zeroes. Counts of memory in use stay. */
export function resetCounters(counters: Float64Array, classCount: number): void {
  counters.fill(0, GLOBAL_BASE, GLOBAL_BASE + COUNTERS_MAX)
  for (let classId = 1; classId <= classCount; classId++) {
    const at = classCounterAt(classId, 0)
    const memRequested = counters[at + ClassCounter.MEM_REQUESTED]
    counters.fill(0, at, at + CLASS_COUNTERS_MAX)
    counters[at + ClassCounter.MEM_REQUESTED] = memRequested
  }
}
