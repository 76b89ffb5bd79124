// The sweep after a flush: frees flushed items that nobody requests, page by page in bounded steps.
// Assumes the arena's lock. It is not only for memory: an item has only the low word of its CAS, so
// a flushed item would look newer than the flush after 2^32 further stores. So it is done with and
// without a crawler.
//
// A sweep begins some seconds after its flush, and flushes until then share it. A running sweep is
// finished before the next one begins. Its state is in the arena and outlives the thread.
// SWEEP_AT_S is cleared last, so that a death between two words cannot lose a sweep.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { expireItem, isFlushed } from '../items/links.ts'
import {
  allClasses,
  type ClassSet,
  type ItemSink,
  type WalkCursor,
  walkItems,
} from '../items/walk.ts'
import { SWEEP_STEP_RECLAIMS_MAX } from '../limits.ts'

/** The owner's sweeper of one arena. */
export class Sweeper implements ItemSink {
  private readonly arena: Arena
  private readonly cursor: WalkCursor = { page: 0, chunk: 0 }
  private readonly classes: ClassSet = allClasses()
  /** Items that this step may still free. */
  private reclaimsLeft = 0

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** One bounded step of the sweep that runs or is due. Returns whether there is more. */
  step(): boolean {
    const { words } = this.arena
    if (words[L.SWEEP_PAGE] === 0 && !this.begin()) return false
    this.cursor.page = words[L.SWEEP_PAGE] - 1
    this.cursor.chunk = words[L.SWEEP_CHUNK]
    this.reclaimsLeft = SWEEP_STEP_RECLAIMS_MAX
    const more = walkItems(this.arena, this.cursor, this.classes, this)
    // If a thread dies in between, some chunks are visited twice, or a few more.
    words[L.SWEEP_CHUNK] = 0
    words[L.SWEEP_PAGE] = more ? this.cursor.page + 1 : 0
    words[L.SWEEP_CHUNK] = this.cursor.chunk
    return more
  }

  take(arena: Arena, ref: Ref): boolean {
    if (!isFlushed(arena, ref)) return true
    if (this.reclaimsLeft-- === 0) return false
    const classId = L.metaClass(arena.words[ref + L.ITEM_META])
    arena.counters[classCounterAt(classId, ClassCounter.CRAWLER_RECLAIMED)]++
    arena.counters[counterAt(Counter.SWEPT)]++
    expireItem(arena, ref)
    return true
  }

  private begin(): boolean {
    const { words } = this.arena
    const atS = words[L.SWEEP_AT_S]
    if (atS === 0 || atS > words[L.CLOCK_S]) return false
    words[L.SWEEP_CHUNK] = 0
    words[L.SWEEP_PAGE] = 1
    words[L.SWEEP_AT_S] = 0
    return true
  }
}
