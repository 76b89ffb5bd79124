// What a page is worth to each class, and which class gives a page to which while all memory holds
// live items. Assumes the arena's lock.
//
// Classes are compared after so many evictions, not after so much time: this suits a cache that
// turns over in a second as well as one that takes a day. All state is in the arena, so any thread
// that stores may compare.
//
//   by worth   ghosts (items/ghosts.ts) show which evicted items were asked for again: what more
//              memory would have saved. From them the worth of a page is estimated. So the cache is
//              size-aware: at the same hit rate small items are worth more than large ones, as in
//              GDSF. Evictions add a little: they are all that a class shows whose items are stored
//              and not read. A class without evictions is judged by how long ago its coldest item
//              was used
//   always     a class that nobody used between two comparisons gives a page for each pageful that
//              another one evicts. So pages follow a change of item sizes at once
//
// Between classes whose items are stored and not asked for again worth says nothing. There the item
// goes first whose age, counted in stores, times the square root of its size is largest, if it is
// larger by the ratio of automove. By age alone a few large items would take the place of many
// small ones; by age times size, as in GDSF, large ones would hardly be kept at all. Long items of
// many chunks are kept longer than a short one of mean size: a page of one costs all its pages.
//
// Returned items per page are what a page saves if the ghosts of each class are as many as its
// items: it favours classes that are short of memory, since their ghosts are more. Returned items
// per ghost and time, times items per page, are what it saves if the ghosts of all classes are
// equally old: it starves classes of large items, of which few are seen. The worth is the geometric
// mean of the two.
//
// A page moves only for a difference that chance does not explain; otherwise equal classes would
// exchange pages for ever.

import type { Arena } from '../arena/arena.ts'
import { Appraisal, ClassCounter, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL } from '../arena/layout.ts'
import { isCurrent } from '../chunks/fit.ts'
import { hasChunk, hasSpare } from '../chunks/slabs.ts'
import { coldest, listedCount, tailIdleS } from '../items/lru.ts'
import { ruleOf } from '../items/rules.ts'
import { AUTOMOVE_PAGES_MIN } from '../limits.ts'
import { canGivePage } from './donors.ts'

/** Least evictions between two comparisons: pagefuls, and items. */
export const LOOK_PAGEFULS = 4
export const LOOK_ITEMS = 100

/** Weight of the older counts at each comparison. */
export const FADE = 0.97

/** Weight of an evicted item; a returned one has weight 1. */
export const EVICTED_WEIGHT = 0.03

/** Items that a class is assumed to have evicted in addition: few ghosts say little. */
export const EVICTED_PRIOR = 20

/** Returned items for each evicted one, up to which a class counts as unread. */
const UNREAD_SHARE = 0.03

/** An unread long item is due later than its age says: a page of it costs many pages. */
const LONG_DUE = 0.5

/** Least difference of two worths, in standard deviations. */
const DEVIATIONS_MIN = 3

/** Deviations added for each trade that reverses another, in thousandths; they fade. */
const CAUTION_STEP = 1000
const CAUTION_MAX = 12_000
const CAUTION_FADE = 0.997

/** Values of CLASS_LAST_TRADE. */
const GOT = 1
const GAVE = 2

/**
 * Returned items are expected to fall with this power of the pages. With 1 pages come to rest
 * sooner, and misses are 1 % more; with 0 they never do.
 */
export const MOVE_EXPONENT = 0.7

/** With worths this many times apart, pages move until the next comparison. */
const CLEAR_FACTOR = 4

/** Long items of many chunks keep this part of the memory while they are in use. */
export const LONG_SHARE = 8

/** Which class gives a page to which; `from` 0: none does. */
export interface Trade {
  from: number
  to: number
}

const trade: Trade = { from: 0, to: 0 }

/** Ghosts of all classes, weighed by the time that they were watched. A thread's own. */
let watchedOfAll = 0

/** Chooses for a class that asks for a page (allocate.ts). Returns the same record each time. */
export function judgeTrade(arena: Arena, wanting: number): Trade {
  const { words } = arena
  trade.from = 0
  trade.to = wanting
  // As unsigned numbers: the counts overflow if nothing was compared for long.
  const isDue = words[L.PAGEFULS_EVICTED] >>> 0 >= LOOK_PAGEFULS
  if (isDue && words[L.ITEMS_EVICTED] >>> 0 >= LOOK_ITEMS) {
    words[L.PAGEFULS_EVICTED] = 0
    words[L.ITEMS_EVICTED] = 0
    look(arena)
    if (ruleOf(words).byWorth && words[L.TRADE_FROM] === 0) weigh(arena)
  }
  if (trade.from === 0) trade.from = goesOn(arena, wanting)
  return trade
}

/**
 * A page is about to move. The returned items that were counted say what a page was worth before
 * it: a class that has more pages has fewer items returned. Without this the counts, which fade
 * slowly, would let pages go on to move long after they are worth the same.
 */
export function expectMove(arena: Arena, from: number, to: number): void {
  const { words } = arena
  const pagesOf = (classId: number) => words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  scaleReturned(arena, from, pagesOf(from) / Math.max(1, pagesOf(from) - 1))
  scaleReturned(arena, to, pagesOf(to) / (pagesOf(to) + 1))
}

function scaleReturned({ counters }: Arena, classId: number, factor: number): void {
  const share = factor ** MOVE_EXPONENT
  const at = classCounterAt(classId, 0)
  counters[at + Appraisal.RETURNED] *= share
  counters[at + Appraisal.RETURNED_EARLY] *= share
}

/** The class chosen last, or an older one, if it has a page for this one; 0: none. */
function goesOn(arena: Arena, wanting: number): number {
  const { words } = arena
  const from = words[L.TRADE_FROM]
  const to = words[L.TRADE_TO]
  if (from === 0 || from === wanting || !isCurrent(arena, wanting)) return 0
  if (to === 0 ? isUnused(arena, from) && mayGiveUnused(arena, from) : mayGive(arena, from)) {
    if (to === 0) return dueFrom(arena, from, wanting)
    if (to !== wanting) return 0
    if (isClear(arena, from, to)) return dueFrom(arena, from, to)
  }
  words[L.TRADE_FROM] = 0
  return 0
}

/** Whether a page is still worth several times as much to the other class. */
function isClear(arena: Arena, from: number, to: number): boolean {
  const { words } = arena
  watchAll(arena)
  const pageWorth = (classId: number) =>
    worthOf(arena, classId) / words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  return pageWorth(from) * CLEAR_FACTOR <= pageWorth(to)
}

function watchAll(arena: Arena): void {
  watchedOfAll = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    watchedOfAll += watchedOf(arena, classId)
  }
}

/** Adds the counters of all classes to the faded counts, and chooses a class that nobody used. */
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
  const evicted = counters[at + ClassCounter.EVICTED]
  const uses = usesOf(counters, at)
  counters[at + Appraisal.RETURNED] *= FADE
  counters[at + Appraisal.RETURNED_EARLY] *= FADE
  counters[at + Appraisal.EVICTED] += evicted - counters[at + Appraisal.EVICTED_SEEN]
  counters[at + Appraisal.EVICTED] *= FADE
  counters[at + Appraisal.USES] = uses - counters[at + Appraisal.USES_SEEN]
  counters[at + Appraisal.EVICTED_SEEN] = evicted
  counters[at + Appraisal.USES_SEEN] = uses
}

/** Gets, stores and touches of items of the class. */
function usesOf(counters: Float64Array, at: number): number {
  const touches = counters[at + ClassCounter.TOUCH_HITS]
  return counters[at + ClassCounter.GET_HITS] + counters[at + ClassCounter.SET_CMDS] + touches
}

/** Whether the class was not used since the last comparison. */
function isUnused({ counters }: Arena, classId: number): boolean {
  const at = classCounterAt(classId, 0)
  return usesOf(counters, at) === counters[at + Appraisal.USES_SEEN]
}

/** By worth: finds the classes where a page is worth least and most, if they differ enough. */
function weigh(arena: Arena): void {
  const { words } = arena
  watchAll(arena)
  let least = 0
  let most = 0
  let leastWorth = Number.POSITIVE_INFINITY
  let mostWorth = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    if (pages === 0) continue
    const worth = hasSpare(arena, classId) ? 0 : worthOf(arena, classId) / pages
    if (worth < leastWorth && mayGive(arena, classId) && !isLongFloor(arena, classId, pages)) {
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
  least = dueFrom(arena, least, most)
  if (least === 0) return
  const clear = leastWorth * CLEAR_FACTOR <= mostWorth
  const deviation = Math.hypot(deviationOf(arena, least), deviationOf(arena, most))
  const margin = DEVIATIONS_MIN + (clear ? 0 : words[L.TRADE_CAUTION] / 1000)
  if (mostWorth - leastWorth < margin * deviation) return
  trade.from = least
  trade.to = most
  noteTrade(words, clear)
  if (!clear) return
  words[L.TRADE_FROM] = least
  words[L.TRADE_TO] = most
}

/** A trade that reverses the last one was chance: the next one needs a larger difference. */
function noteTrade(words: Int32Array, clear: boolean): void {
  const from = L.classAt(trade.from) + L.CLASS_LAST_TRADE
  const to = L.classAt(trade.to) + L.CLASS_LAST_TRADE
  const isReverse = words[from] === GOT || words[to] === GAVE
  words[from] = GAVE
  words[to] = GOT
  if (isReverse && !clear) {
    words[L.TRADE_CAUTION] = Math.min(words[L.TRADE_CAUTION] + CAUTION_STEP, CAUTION_MAX)
  }
}

/** Whether long items, which are stored, have no more pages than they need to be kept at all. */
function isLongFloor(arena: Arena, classId: number, pages: number): boolean {
  if (classId !== arena.baseClasses || pages > arena.words[L.PAGE_LIMIT] / LONG_SHARE) return false
  return arena.counters[classCounterAt(classId, Appraisal.USES)] > 0
}

/** Whether a class evicts. One with a free chunk no longer does, whatever its worth was. */
function isShort(arena: Arena, classId: number): boolean {
  const evicts = arena.counters[classCounterAt(classId, Appraisal.EVICTED)] >= 1
  return evicts && !hasChunk(arena, classId) && isCurrent(arena, classId)
}

/** A class keeps its last page while it has an item. */
function mayGive(arena: Arena, classId: number): boolean {
  const pages = arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  const keepsOne = pages === 1 && listedCount(arena, classId) > 0
  return pages > 0 && !keepsOne && canGivePage(arena, classId)
}

/** In the modes other than WORTH a class keeps some pages. */
function mayGiveUnused(arena: Arena, classId: number): boolean {
  const { words } = arena
  const pages = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
  const least = ruleOf(words).byWorth ? 0 : AUTOMOVE_PAGES_MIN
  return pages > least && mayGive(arena, classId)
}

/**
 * The class that should evict for another one: `from` or, if items return to neither, the one whose
 * next victim is most due; 0: none is more due than that of `to`.
 */
function dueFrom(arena: Arena, from: number, to: number): number {
  if (!isUnread(arena, from) || !isUnread(arena, to)) return from
  const typical = typicalWords(arena)
  const ratio = arena.words[L.AUTOMOVE_RATIO] / 1000
  let due = 0
  let most = dueOf(arena, to, typical)
  for (let classId = 1; classId <= arena.classCount; classId++) {
    if (classId === to || !isUnread(arena, classId) || !mayGiveUnused(arena, classId)) continue
    const classDue = dueOf(arena, classId, typical) * ratio
    if (classDue <= most) continue
    due = classId
    most = classDue
  }
  return due
}

/** How much the next victim of a class is due: its age, weighed by its size. */
function dueOf(arena: Arena, classId: number, typical: number): number {
  const age = ageOf(arena, classId)
  const size = meanWords(arena, classId)
  return age * (size > arena.pageWords / 2 ? LONG_DUE * Math.sqrt(typical) : Math.sqrt(size))
}

/** Words of an item of the class; of one of several chunks, without the last. */
function meanWords(arena: Arena, classId: number): number {
  const { words } = arena
  const at = L.classAt(classId)
  const size = words[at + L.CLASS_CHUNK_WORDS]
  if (classId !== arena.baseClasses) return size
  return (size * words[at + L.CLASS_USED_COUNT]) / Math.max(1, listedCount(arena, classId))
}

/** Mean chunk of all items of one chunk, words. */
function typicalWords(arena: Arena): number {
  const { words } = arena
  let chunks = 0
  let sum = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    if (classId === arena.baseClasses) continue
    const at = L.classAt(classId)
    chunks += words[at + L.CLASS_USED_COUNT]
    sum += words[at + L.CLASS_USED_COUNT] * words[at + L.CLASS_CHUNK_WORDS]
  }
  return sum / Math.max(1, chunks)
}

/** Whether hardly any evicted item of the class was asked for again. */
function isUnread({ counters }: Arena, classId: number): boolean {
  const at = classCounterAt(classId, 0)
  return counters[at + Appraisal.RETURNED] <= counters[at + Appraisal.EVICTED] * UNREAD_SHARE
}

/** Stores since the item was stored that the class would evict next; 0: it has none. */
function ageOf(arena: Arena, classId: number): number {
  const { words } = arena
  const ref = coldest(arena, classId)
  return ref === NIL ? 0 : (words[L.CAS_LOW] - words[ref + L.ITEM_CAS]) >>> 0
}

/** The worth of all pages of a class together. */
function worthOf(arena: Arena, classId: number): number {
  const { words, counters } = arena
  const at = classCounterAt(classId, 0)
  const evicted = counters[at + Appraisal.EVICTED]
  const returned = counters[at + Appraisal.RETURNED]
  if (returned + evicted >= 1) {
    return returned * shortage(arena, classId) + evicted * EVICTED_WEIGHT
  }
  // No time has passed: judge by use alone.
  if (words[L.WORTH_SPAN_S] === 0) {
    return (counters[at + Appraisal.USES] / (1 - FADE)) * EVICTED_WEIGHT
  }
  const coldS = tailIdleS(arena, classId, L.LIST_COLD)
  const idleS = Math.max(1, coldS, tailIdleS(arena, classId, L.LIST_WARM))
  return (listedCount(arena, classId) * EVICTED_WEIGHT * words[L.WORTH_SPAN_S]) / idleS
}

/**
 * What a returned item of the class counts: less where its ghosts are more than its items, compared
 * with all classes.
 */
function shortage(arena: Arena, classId: number): number {
  const items = listedCount(arena, classId) + EVICTED_PRIOR
  const watched = watchedOf(arena, classId) / Math.max(1, watchedOfAll)
  return Math.sqrt(items / (watched * arena.words[L.ITEM_COUNT] + EVICTED_PRIOR))
}

/** Evicted items, each weighed by the time that it was a ghost: until it returned. */
function watchedOf({ counters }: Arena, classId: number): number {
  const at = classCounterAt(classId, 0)
  return Math.max(0, counters[at + Appraisal.EVICTED] - counters[at + Appraisal.RETURNED_EARLY])
}

/** Standard deviation of the worth of a page: its counts are random. */
function deviationOf(arena: Arena, classId: number): number {
  const { words, counters } = arena
  const at = classCounterAt(classId, 0)
  const returned = counters[at + Appraisal.RETURNED] * shortage(arena, classId) ** 2
  const evicted = counters[at + Appraisal.EVICTED] * EVICTED_WEIGHT
  return Math.sqrt(returned + evicted) / words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
}
