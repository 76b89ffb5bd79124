// Decides, once a second, whether a page moves between classes of an arena. The arena's owner runs
// it. Assumes the arena's lock. As in memcached, a class with spare pages gives one to the pool,
// and a class that evicts young items gets one from the class whose coldest item is oldest. If a
// class has nothing to evict, the allocator takes a page at once and needs no decision.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { hasSpare } from '../chunks/slabs.ts'
import { coldestIdleS } from '../items/lru.ts'
import { ruleOf } from '../items/rules.ts'
import { AUTOMOVE_PAGES_MIN, AUTOMOVE_WINDOW_S_MAX, CLASSES_MAX } from '../limits.ts'
import { POOL, startMove } from '../room/moves.ts'

/** How much longer ago a class's coldest item was used than another's, to give that one a page. */
const YIELD_AGE_FACTOR = 1.25
const YIELD_AGE_S_MIN = 2

/** Values of the word AUTOMOVE. */
export const Automove = { OFF: 0, BALANCE: 1, EAGER: 2 } as const

/** What one second showed about one class: bits of `pressed`. */
const EVICTED = 1
const GREW = 2

/**
 * The class whose coldest item was used so much longer ago than that of `wanting` that one of its
 * pages is worth more there; 0: none.
 */
export function oldestClass(arena: Arena, wanting: number): number {
  let oldest = 0
  let oldestS = coldestIdleS(arena, wanting) * YIELD_AGE_FACTOR + YIELD_AGE_S_MIN
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const pages = arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    if (classId === wanting || pages <= AUTOMOVE_PAGES_MIN) continue
    const idleS = coldestIdleS(arena, classId)
    if (idleS <= oldestS) continue
    oldest = classId
    oldestS = idleS
  }
  return oldest
}

export class Automover {
  private readonly arena: Arena
  /** By second of the window and class. */
  private readonly pressed = new Uint8Array(AUTOMOVE_WINDOW_S_MAX * CLASSES_MAX)
  private readonly idleS = new Float64Array(AUTOMOVE_WINDOW_S_MAX * CLASSES_MAX)
  /** By class: its counts a second ago. */
  private readonly evictedBefore = new Float64Array(CLASSES_MAX)
  private readonly pagesBefore = new Float64Array(CLASSES_MAX)
  private second = 0
  // The result of examining the window of one class.
  private evictedS = 0
  private dirtyS = 0
  private ageS = 0

  constructor(arena: Arena) {
    this.arena = arena
    for (let classId = 1; classId <= arena.classCount; classId++) this.look(classId)
  }

  /** Once a second: examines every class, and begins at most one move. */
  watch(): void {
    const { words } = this.arena
    const mode = words[L.AUTOMOVE]
    const windowS = mode === Automove.EAGER ? 1 : Math.max(1, words[L.AUTOMOVE_WINDOW_S])
    const row = (this.second % windowS) * CLASSES_MAX
    this.second++
    let oldest = 0
    let oldestS = 0
    let youngest = 0
    let youngestS = Number.POSITIVE_INFINITY
    let spare = 0
    for (let classId = 1; classId <= this.arena.classCount; classId++) {
      this.pressed[row + classId] = this.look(classId)
      this.idleS[row + classId] = coldestIdleS(this.arena, classId)
      this.sum(classId, windowS)
      const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
      if (spare === 0 && this.dirtyS === 0 && hasSpare(this.arena, classId)) spare = classId
      if (this.ageS > oldestS && pages > AUTOMOVE_PAGES_MIN) {
        oldest = classId
        oldestS = this.ageS
      }
      const evicts = (this.pressed[row + classId] & EVICTED) !== 0
      if (evicts && this.ageS < youngestS && this.evictedS > windowS / 2) {
        youngest = classId
        youngestS = this.ageS
      }
    }
    if (mode === Automove.OFF || this.second < windowS) return
    // In the mode `worth`, worth.ts decides between classes that evict.
    const weighs = ruleOf(words).byWorth
    const ratio = mode === Automove.EAGER ? 1 : words[L.AUTOMOVE_RATIO] / 1000
    if (spare !== 0) startMove(this.arena, spare, POOL)
    else if (weighs) return
    else if (youngest !== 0 && youngestS < oldestS * ratio) {
      startMove(this.arena, oldest, youngest)
    }
  }

  /** What the last second showed about a class. */
  private look(classId: number): number {
    const { words, counters } = this.arena
    const at = classCounterAt(classId, 0)
    const evicted = counters[at + ClassCounter.EVICTED] + counters[at + ClassCounter.OUT_OF_MEMORY]
    const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    let seen = evicted > this.evictedBefore[classId] ? EVICTED : 0
    if (pages > this.pagesBefore[classId]) seen |= GREW
    this.evictedBefore[classId] = evicted
    this.pagesBefore[classId] = pages
    return seen
  }

  private sum(classId: number, windowS: number): void {
    this.evictedS = 0
    this.dirtyS = 0
    this.ageS = 0
    for (let second = 0; second < windowS; second++) {
      const at = second * CLASSES_MAX + classId
      if ((this.pressed[at] & EVICTED) !== 0) this.evictedS++
      if (this.pressed[at] !== 0) this.dirtyS++
      this.ageS += this.idleS[at] / windowS
    }
  }
}
