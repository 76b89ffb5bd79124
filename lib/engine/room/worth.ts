// What a page is worth to each class, and so which class gives a page to which while all memory holds
// live items. Assumes the arena's lock.
//
// Looks come with evictions, not with time: a cache that turns over in a second is judged as well as
// one that takes a day. All that is known is in the arena, so any thread that stores may look.
//
//   by worth   an item that comes to the end of a list and was used is kept, another one is evicted.
//              The items kept since the last look, by the pages of their class, tell how many misses
//              a page saves, and that is its worth. It makes the cache size-aware: at the same rate
//              of hits small items are worth more than large ones, as in GDSF. Evictions count a
//              little too: where many items pass through few pages most leave before they are used.
//              A class where nothing passes is judged by how long ago its coldest item was used
//   always     a class that nobody used between two looks gives a page for each pageful that another
//              one evicts. It is why pages follow a change of sizes at once
//
// Kept items count only as far as the class is used: after a change of sizes the old ones are still
// marked as used, and must not hold their pages. A trade needs a difference that chance does not
// explain, or classes that are alike would trade pages for ever.

import type { Arena } from '../arena/arena.ts'
import { Appraisal, ClassCounter, classCounterAt, keptOf } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { isCurrent } from '../chunks/fit.ts'
import { hasChunk, hasSpare } from '../chunks/slabs.ts'
import { Eviction, listedCount, tailIdleS } from '../items/lru.ts'
import { AUTOMOVE_PAGES_MIN } from '../limits.ts'
import { canGivePage } from './donors.ts'

/** Evicted between two looks: pagefuls, and enough items to judge by. */
const LOOK_PAGEFULS = 4
const LOOK_ITEMS = 200

/** How much of a look the next one keeps. */
const FADE = 0.97

/** What an evicted item says of its class, by what one says that was kept. */
const EVICTED_WEIGHT = 0.03

/** Standard deviations that two worths must be apart. */
const DEVIATIONS_MIN = 3

/** Thousandths of further deviations: for each trade that takes back another, and how they fade. */
const CAUTION_STEP = 1000
const CAUTION_MAX = 12_000
const CAUTION_FADE = 0.997

/** Values of CLASS_LAST_TRADE. */
const GOT = 1
const GAVE = 2

/** Worths that are so many times apart need no new look for each page. */
const CLEAR_FACTOR = 4

/** Which class gives a page to which; `from` 0: none does. */
export interface Trade {
  from: number
  to: number
}

const trade: Trade = { from: 0, to: 0 }

/** Judges after a class has evicted a pageful of its own. The same record each time. */
export function judgeTrade(arena: Arena, wanting: number): Trade {
  const { words } = arena
  trade.from = 0
  trade.to = wanting
  // As unsigned numbers: where nobody looked for long the counts went round.
  const isDue = words[L.PAGEFULS_EVICTED] >>> 0 >= LOOK_PAGEFULS
  if (isDue && words[L.ITEMS_EVICTED] >>> 0 >= LOOK_ITEMS) {
    words[L.PAGEFULS_EVICTED] = 0
    words[L.ITEMS_EVICTED] = 0
    look(arena)
    if (words[L.EVICTION] === Eviction.WORTH && words[L.TRADE_FROM] === 0) weigh(arena)
  }
  if (trade.from === 0 && goesOn(arena, wanting)) trade.from = words[L.TRADE_FROM]
  return trade
}

/** Whether the class named at the last look has a page for this one. */
function goesOn(arena: Arena, wanting: number): boolean {
  const { words } = arena
  const from = words[L.TRADE_FROM]
  const to = words[L.TRADE_TO]
  if (from === 0 || from === wanting || !isCurrent(arena, wanting)) return false
  if (to === 0 ? isUnused(arena, from) && mayGiveUnused(arena, from) : mayGive(arena, from)) {
    return to === 0 || to === wanting
  }
  words[L.TRADE_FROM] = 0
  return false
}

/** Takes the counters of all classes into the faded counts, and names a class that nobody used. */
function look(arena: Arena): void {
  const { words } = arena
  const nowS = words[L.CLOCK_S]
  words[L.WORTH_SPAN_S] =
    Math.round(words[L.WORTH_SPAN_S] * FADE) + nowS - words[L.WORTH_LOOKED_AT_S]
  words[L.WORTH_LOOKED_AT_S] = nowS
  words[L.TRADE_FROM] = 0
  words[L.TRADE_TO] = 0
  words[L.TRADE_CAUTION] = Math.floor(words[L.TRADE_CAUTION] * CAUTION_FADE)
  let most = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    lookAt(arena, classId)
    const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    if (pages <= most || arena.counters[classCounterAt(classId, Appraisal.USES)] > 0) continue
    if (!mayGiveUnused(arena, classId)) continue
    most = pages
    words[L.TRADE_FROM] = classId
  }
}

function lookAt({ counters }: Arena, classId: number): void {
  const at = classCounterAt(classId, 0)
  const kept = keptOf(counters, at)
  const evicted = counters[at + ClassCounter.EVICTED]
  const uses = usesOf(counters, at)
  counters[at + Appraisal.KEPT] *= FADE
  counters[at + Appraisal.KEPT] += kept - counters[at + Appraisal.KEPT_SEEN]
  counters[at + Appraisal.EVICTED] *= FADE
  counters[at + Appraisal.EVICTED] += evicted - counters[at + Appraisal.EVICTED_SEEN]
  counters[at + Appraisal.USES] = uses - counters[at + Appraisal.USES_SEEN]
  counters[at + Appraisal.KEPT_SEEN] = kept
  counters[at + Appraisal.EVICTED_SEEN] = evicted
  counters[at + Appraisal.USES_SEEN] = uses
}

/** How often somebody asked for an item of the class or stored one. */
function usesOf(counters: Float64Array, at: number): number {
  const touches = counters[at + ClassCounter.TOUCH_HITS]
  return counters[at + ClassCounter.GET_HITS] + counters[at + ClassCounter.SET_CMDS] + touches
}

/** Whether a class that was not used between two looks was not used since. */
function isUnused({ counters }: Arena, classId: number): boolean {
  const at = classCounterAt(classId, 0)
  return usesOf(counters, at) === counters[at + Appraisal.USES_SEEN]
}

/** By worth: finds the classes where a page is worth least and most, if they differ enough. */
function weigh(arena: Arena): void {
  const { words } = arena
  let least = 0
  let most = 0
  let leastWorth = Number.POSITIVE_INFINITY
  let mostWorth = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    if (pages === 0) continue
    const worth = hasSpare(arena, classId) ? 0 : worthOf(arena, classId) / pages
    if (worth < leastWorth && mayGive(arena, classId)) {
      least = classId
      leastWorth = worth
    }
    if (worth > mostWorth && isShort(arena, classId)) {
      most = classId
      mostWorth = worth
    }
  }
  if (least === 0 || most === 0 || least === most) return
  const ratio = words[L.AUTOMOVE_RATIO] / 1000
  if (leastWorth >= mostWorth * ratio) return
  const isClear = leastWorth * CLEAR_FACTOR <= mostWorth
  const deviation = Math.hypot(deviationOf(arena, least), deviationOf(arena, most))
  const margin = DEVIATIONS_MIN + (isClear ? 0 : words[L.TRADE_CAUTION] / 1000)
  if (mostWorth - leastWorth < margin * deviation) return
  trade.from = least
  trade.to = most
  noteTrade(words, isClear)
  if (!isClear) return
  words[L.TRADE_FROM] = least
  words[L.TRADE_TO] = most
}

/** A trade that takes back what the last one gave was chance: the next one needs a larger difference. */
function noteTrade(words: Int32Array, isClear: boolean): void {
  const from = L.classAt(trade.from) + L.CLASS_LAST_TRADE
  const to = L.classAt(trade.to) + L.CLASS_LAST_TRADE
  const isReverse = words[from] === GOT || words[to] === GAVE
  words[from] = GAVE
  words[to] = GOT
  if (isReverse && !isClear) {
    words[L.TRADE_CAUTION] = Math.min(words[L.TRADE_CAUTION] + CAUTION_STEP, CAUTION_MAX)
  }
}

/** Whether a class evicts: one with a free chunk does no more, whatever it was worth when it did. */
function isShort(arena: Arena, classId: number): boolean {
  const evicts = arena.counters[classCounterAt(classId, Appraisal.EVICTED)] >= 1
  return evicts && !hasChunk(arena, classId) && isCurrent(arena, classId)
}

/** A class keeps its last page as long as it has an item. */
function mayGive(arena: Arena, classId: number): boolean {
  const pages = arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  const keepsOne = pages === 1 && listedCount(arena, classId) > 0
  return pages > 0 && !keepsOne && canGivePage(arena, classId)
}

/** By age, a class keeps some pages. */
function mayGiveUnused(arena: Arena, classId: number): boolean {
  const { words } = arena
  const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  const least = words[L.EVICTION] === Eviction.WORTH ? 0 : AUTOMOVE_PAGES_MIN
  return pages > least && mayGive(arena, classId)
}

/** What all pages of a class are worth together. */
function worthOf(arena: Arena, classId: number): number {
  const { words, counters } = arena
  const at = classCounterAt(classId, 0)
  const evicted = counters[at + Appraisal.EVICTED]
  const uses = counters[at + Appraisal.USES] / (1 - FADE)
  if (counters[at + Appraisal.KEPT] + evicted >= 1) {
    return Math.min(counters[at + Appraisal.KEPT], uses) + evicted * EVICTED_WEIGHT
  }
  // Without time to judge by, what is used may be wanted.
  if (words[L.WORTH_SPAN_S] === 0) return uses * EVICTED_WEIGHT
  const coldS = tailIdleS(arena, classId, L.LIST_COLD)
  const idleS = Math.max(1, coldS, tailIdleS(arena, classId, L.LIST_WARM))
  return (listedCount(arena, classId) * EVICTED_WEIGHT * words[L.WORTH_SPAN_S]) / idleS
}

/** How far chance may have moved the worth of a page of the class, as its counts are few or many. */
function deviationOf(arena: Arena, classId: number): number {
  const pages = arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  return Math.sqrt(worthOf(arena, classId)) / pages
}
