// What a page is worth to each class: decides, by worth (EVICTION), which class gives a page to which.
// The owner's watch over one arena; assumes its lock.
//
// An item that comes to the end of a list and was used is kept, one that was not is evicted. So the
// items kept since the last look, by the pages they were kept in, tell how many misses a page saves a
// class, and that is what a page of it is worth. It makes the cache size-aware: at the same rate of hits
// small items are worth more than large ones, as in GDSF. Evictions count a little too: where many
// items pass through few pages most do not stay long enough to be used. A class where nothing
// passes is judged by how long ago its coldest item was used. One with pages to spare needs none,
// whatever it was worth when it had none.
//
// Both counts fade from look to look, and looks come with the pagefuls evicted, not with the time: a cache
// that turns over in a second is judged as well as one that takes a day.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { isCurrent } from '../chunks/fit.ts'
import { hasSpare } from '../chunks/slabs.ts'
import { listedCount, tailIdleS } from '../items/lru.ts'
import { CLASSES_MAX } from '../limits.ts'
import { canGivePage } from '../room/donors.ts'

/** How much of a look the next one keeps. */
const WORTH_FADE = 0.9

/** What an evicted item says of its class, by what one says that was kept. */
const WORTH_OF_EVICTION = 0.03

export class Appraiser {
  /** The classes that `weigh` found: a page is worth least and most there; 0: none. */
  least = 0
  most = 0
  private readonly arena: Arena
  /** By class: kept and evicted items, faded, and the counters at the last look. */
  private readonly kept = new Float64Array(CLASSES_MAX)
  private readonly evicted = new Float64Array(CLASSES_MAX)
  private readonly keptBefore = new Float64Array(CLASSES_MAX)
  private readonly evictedBefore = new Float64Array(CLASSES_MAX)
  /** What the faded counts are of, seconds. */
  private spanS = 0
  private lookedAtS: number

  constructor(arena: Arena) {
    this.arena = arena
    this.lookedAtS = arena.words[L.CLOCK_S]
    this.look()
    this.kept.fill(0)
    this.evicted.fill(0)
  }

  /** Looks at all classes; whether `least` should give a page to `most`. `ratio`: see AUTOMOVE_RATIO. */
  weigh(ratio: number): boolean {
    const { words } = this.arena
    this.look()
    this.least = 0
    this.most = 0
    let leastWorth = Number.POSITIVE_INFINITY
    let mostWorth = 0
    for (let classId = 1; classId <= this.arena.classCount; classId++) {
      const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
      if (pages === 0) continue
      const worth = hasSpare(this.arena, classId) ? 0 : this.worthOf(classId) / pages
      if (worth < leastWorth && this.mayGive(classId, pages)) {
        this.least = classId
        leastWorth = worth
      }
      if (worth > mostWorth && this.evicted[classId] >= 1 && isCurrent(this.arena, classId)) {
        this.most = classId
        mostWorth = worth
      }
    }
    if (this.least === 0 || this.most === 0 || this.least === this.most) return false
    return leastWorth < mostWorth * ratio
  }

  /** A class keeps its last page as long as it has an item. */
  private mayGive(classId: number, pages: number): boolean {
    const keepsOne = pages === 1 && listedCount(this.arena, classId) > 0
    return !keepsOne && canGivePage(this.arena, classId)
  }

  private look(): void {
    const { words, counters } = this.arena
    this.spanS = this.spanS * WORTH_FADE + words[L.CLOCK_S] - this.lookedAtS
    this.lookedAtS = words[L.CLOCK_S]
    for (let classId = 1; classId <= this.arena.classCount; classId++) {
      const at = classCounterAt(classId, 0)
      const kept =
        counters[at + ClassCounter.MOVES_TO_WARM] + counters[at + ClassCounter.MOVES_WITHIN_LRU]
      const evicted = counters[at + ClassCounter.EVICTED]
      // Counters that were reset meanwhile are below what they were.
      const keptNow = Math.max(0, kept - this.keptBefore[classId])
      const evictedNow = Math.max(0, evicted - this.evictedBefore[classId])
      this.kept[classId] = this.kept[classId] * WORTH_FADE + keptNow
      this.evicted[classId] = this.evicted[classId] * WORTH_FADE + evictedNow
      this.keptBefore[classId] = kept
      this.evictedBefore[classId] = evicted
    }
  }

  /** What all pages of a class are worth together. */
  private worthOf(classId: number): number {
    const { arena } = this
    const passed = this.kept[classId] + this.evicted[classId]
    if (passed >= 1) return this.kept[classId] + this.evicted[classId] * WORTH_OF_EVICTION
    const idleS = Math.max(
      1,
      tailIdleS(arena, classId, L.LIST_COLD),
      tailIdleS(arena, classId, L.LIST_WARM),
    )
    return (listedCount(arena, classId) * WORTH_OF_EVICTION * this.spanS) / idleS
  }
}
