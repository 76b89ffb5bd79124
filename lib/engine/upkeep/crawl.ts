// The crawler: reclaims expired items that nobody requests, class by class, in bounded steps.
// Assumes the arena's lock. Any thread may order a crawl, and the arena's owner executes it. The
// order is in the arena, so that it outlives the thread.
//
// Without an order, a class is crawled when it pays: each crawl counts how many items will expire
// in each of the next minutes. The wait for the next crawl grows while a worthwhile number (one in
// a hundred of the items with a TTL) is further off than the wait, and shrinks while it is nearer.
// This is the owner's own state: a new owner starts from scratch.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { expiryOf } from '../items/item.ts'
import { expireItem, isDead } from '../items/links.ts'
import { listedCount } from '../items/lru.ts'
import { type ClassSet, type ItemSink, type WalkCursor, walkItems } from '../items/walk.ts'
import { CLASSES_MAX } from '../limits.ts'
import { Order } from '../status.ts'

/**
 * A class is crawled automatically after this time at first, then less often while it does not pay.
 */
const CRAWL_GAP_S = 5
const CRAWL_WAIT_STEP_S = 60
export const CRAWL_WAIT_S_MAX = 3600

/** How far ahead a crawl counts items that will expire, minutes. */
const CRAWL_HORIZON_MIN = 60

/** Items that one step of a crawl frees: freeing takes longer than checking. */
const CRAWL_STEP_RECLAIMS_MAX = 64

/** What runs in an arena: nothing, an automatic crawl, or one that was ordered. */
export const Crawl = { NONE: 0, UNASKED: 1, ORDERED: 2 } as const
export type Crawl = (typeof Crawl)[keyof typeof Crawl]

const UNBOUNDED = 2 ** 31 - 1

/**
 * Starts a crawl of these classes, at most `itemsMax` items in each, 0 for all: OK, OFF, BUSY, or
 * NOT_STARTED if they have no item. An order replaces an automatic crawl.
 */
export function startCrawl(
  arena: Arena,
  kind: Crawl,
  classes: ClassSet,
  itemsMax = arena.words[L.CRAWL_ITEMS_MAX] >>> 0,
): Order {
  const { words, counters } = arena
  if (words[L.CRAWLER_ON] === 0) return Order.OFF
  if (words[L.CRAWL_KIND] >= kind) return Order.BUSY
  let started = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const wanted = classes[classId] === 1 && listedCount(arena, classId) > 0
    words[L.classAt(classId) + L.CLASS_CRAWL_LEFT] = wanted
      ? Math.min(itemsMax || UNBOUNDED, UNBOUNDED)
      : 0
    if (wanted) started++
  }
  if (started === 0) return Order.NOT_STARTED
  words[L.CRAWL_KIND] = kind
  words[L.CRAWL_PAGE] = 0
  words[L.CRAWL_CHUNK] = 0
  counters[counterAt(Counter.CRAWLER_STARTS)] += started
  return Order.OK
}

/** Stops the running crawl, if any. */
export function stopCrawl(arena: Arena): void {
  const { words } = arena
  words[L.CRAWL_KIND] = Crawl.NONE
  for (let classId = 1; classId <= arena.classCount; classId++) {
    words[L.classAt(classId) + L.CLASS_CRAWL_LEFT] = 0
  }
}

/** The owner's crawler of one arena. */
export class Crawler implements ItemSink {
  private readonly arena: Arena
  private readonly cursor: WalkCursor = { page: 0, chunk: 0 }
  private readonly classes: ClassSet = new Uint8Array(CLASSES_MAX)
  /** Items that this step may still free. */
  private reclaimsLeft = 0
  /** By class: items with a TTL, and how many of them expire in each of the next minutes. */
  private readonly mortal = new Float64Array(CLASSES_MAX)
  private readonly ends = new Float64Array(CLASSES_MAX * CRAWL_HORIZON_MIN)
  /** By class: the learned wait between crawls, and when the next one is due. */
  private readonly waitS = new Float64Array(CLASSES_MAX)
  private readonly dueS = new Float64Array(CLASSES_MAX)

  constructor(arena: Arena) {
    this.arena = arena
    this.dueS.fill(arena.words[L.CLOCK_S] + CRAWL_GAP_S)
  }

  /** One bounded step of the running crawl. Returns whether there is more. */
  step(): boolean {
    const { words } = this.arena
    if (words[L.CRAWL_KIND] === Crawl.NONE) return false
    this.cursor.page = words[L.CRAWL_PAGE]
    this.cursor.chunk = words[L.CRAWL_CHUNK]
    if (this.cursor.page === 0 && this.cursor.chunk === 0) this.begin()
    for (let classId = 1; classId <= this.arena.classCount; classId++) {
      this.classes[classId] = words[L.classAt(classId) + L.CLASS_CRAWL_LEFT] > 0 ? 1 : 0
    }
    this.reclaimsLeft = CRAWL_STEP_RECLAIMS_MAX
    const more = walkItems(this.arena, this.cursor, this.classes, this)
    words[L.CRAWL_PAGE] = this.cursor.page
    words[L.CRAWL_CHUNK] = this.cursor.chunk
    if (!more) this.finish()
    return more
  }

  take(arena: Arena, ref: Ref): boolean {
    const { words, counters } = arena
    const classId = L.metaClass(words[ref + L.ITEM_META])
    const left = L.classAt(classId) + L.CLASS_CRAWL_LEFT
    if (words[left] === 0) return true
    const dead = isDead(arena, ref)
    if (dead && this.reclaimsLeft === 0) return false
    words[left]--
    counters[classCounterAt(classId, ClassCounter.CRAWLER_CHECKED)]++
    if (dead) {
      this.reclaimsLeft--
      counters[classCounterAt(classId, ClassCounter.CRAWLER_RECLAIMED)]++
      expireItem(arena, ref)
      return true
    }
    const endsAtS = expiryOf(arena, ref)
    if (endsAtS === 0) return true
    this.mortal[classId]++
    const minute = Math.floor((endsAtS - words[L.CLOCK_S]) / 60)
    if (minute < CRAWL_HORIZON_MIN) this.ends[classId * CRAWL_HORIZON_MIN + minute]++
    return true
  }

  /** Starts a crawl of the classes that are due. */
  startDue(): void {
    const { words } = this.arena
    if (words[L.CRAWLER_ON] === 0 || words[L.CRAWL_KIND] !== Crawl.NONE) return
    let due = 0
    this.classes.fill(0)
    for (let classId = 1; classId <= this.arena.classCount; classId++) {
      if (this.dueS[classId] > words[L.CLOCK_S]) continue
      this.classes[classId] = 1
      this.dueS[classId] = words[L.CLOCK_S] + CRAWL_GAP_S
      due++
    }
    if (due > 0) startCrawl(this.arena, Crawl.UNASKED, this.classes)
  }

  private begin(): void {
    this.mortal.fill(0)
    this.ends.fill(0)
  }

  private finish(): void {
    const { words } = this.arena
    for (let classId = 1; classId <= this.arena.classCount; classId++) {
      if (words[L.classAt(classId) + L.CLASS_CRAWL_LEFT] === 0) continue
      this.learn(classId)
      this.dueS[classId] = words[L.CLOCK_S] + CRAWL_GAP_S + this.waitS[classId]
    }
    stopCrawl(this.arena)
  }

  private learn(classId: number): void {
    const worthwhile = Math.floor(this.mortal[classId] / 100) + 1
    let minute = 0
    let ended = 0
    for (; minute < CRAWL_HORIZON_MIN && ended < worthwhile; minute++) {
      ended += this.ends[classId * CRAWL_HORIZON_MIN + minute]
    }
    const waitS = this.waitS[classId]
    const tooSoon = ended < worthwhile || waitS < (minute - 1) * 60
    const nextS = tooSoon ? waitS + CRAWL_WAIT_STEP_S : waitS - CRAWL_WAIT_STEP_S
    this.waitS[classId] = Math.min(CRAWL_WAIT_S_MAX, Math.max(0, nextS))
  }
}
