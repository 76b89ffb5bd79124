// Page moves: takes a page from a class and gives it to another, or to the pool that all classes
// take from. One page of an arena moves at a time, in bounded steps. Assumes the lock, which others
// may have between two steps. The state is in the arena and outlives the thread.
//
//   WITHHOLD  takes the page's free chunks off the free list; from the start of the move, chunks of
//             the page that are freed are withheld too
//   EVACUATE  copies live items and parts of items to free chunks of the class. If there is none,
//             it evicts the coldest items in a full memory, and where an operator ordered that the
//             class gives its page to the pool. It waits for held items
//   SETTLE    the page is empty: its new class makes room for it, and takes it
//   UNDO      items stay held, or nothing may be evicted: the chunks go back to the free list

import { copyBytes } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import { type Arena, chunkWords, pageOf, pageRef } from '../arena/arena.ts'
import { Appraisal, ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import {
  assignPage,
  freeChunk,
  giveChunk,
  hasChunk,
  pagesAboveLimit,
  poolPage,
  spendFresh,
  takeChunk,
  takeFreePage,
  usedChunksIn,
  withholdChunk,
} from '../chunks/slabs.ts'
import { emptiestPage } from '../chunks/slack.ts'
import { isHeld } from '../items/holds.ts'
import { itemTotalBytes, nextChunk, ownerOf } from '../items/item.ts'
import { isDead, reclaimItem } from '../items/links.ts'
import { coldest, replaceInList } from '../items/lru.ts'
import { ruleOf } from '../items/rules.ts'
import { hashOfItem, swapItem } from '../items/table.ts'
import { Order } from '../status.ts'
import { evictItem } from './evict.ts'
import { pickVictim } from './victims.ts'

/** Chunks of a moving page that one step visits, and bytes that it copies; at least one chunk. */
export const MOVE_STEP_CHUNKS_MAX = 64
const MOVE_STEP_BYTES_MAX = 128 * KIB

/** A move that waits for held items is given up after this many seconds. */
export const MOVE_WAIT_S_MAX = 5

export const MovePhase = { NONE: 0, WITHHOLD: 1, EVACUATE: 2, SETTLE: 3, UNDO: 4 } as const

/** What delayed the last page: values of MOVE_LAST_BUSY. */
export const Busy = { NONE: 0, UPLOADING: 1, ACTIVE: 2 } as const

/** The class number of the pool. */
export const POOL = 0

/** Starts to move a page: OK, BUSY while another moves, NO_SPARE if there is none to move. */
export function startMove(arena: Arena, fromClass: number, toClass: number): Order {
  if (arena.words[L.MOVE_PHASE] !== MovePhase.NONE) return Order.BUSY
  const page = fromClass === POOL ? takeFreePage(arena) : pickPage(arena, fromClass)
  return begin(arena, page, toClass)
}

/** As startMove, as an operator orders it: a class must give its page to the pool. */
export function orderMove(arena: Arena, fromClass: number, toClass: number): Order {
  const order = startMove(arena, fromClass, toClass)
  if (order === Order.OK) arena.words[L.MOVE_ORDERED] = 1
  return order
}

/** As startMove, for the emptiest page of a class with slack (slack.ts). */
export function startSlackMove(arena: Arena, fromClass: number, toClass: number): Order {
  const { words } = arena
  if (words[L.MOVE_PHASE] !== MovePhase.NONE) return Order.BUSY
  return begin(arena, emptiestPage(arena, fromClass, words[L.MOVE_GIVEN_UP] - 1), toClass)
}

/** As startMove, for this page, which has a class. */
export function startPageMove(arena: Arena, page: number, toClass: number): Order {
  if (arena.words[L.MOVE_PHASE] !== MovePhase.NONE) return Order.BUSY
  return begin(arena, page, toClass)
}

function begin(arena: Arena, page: number, toClass: number): Order {
  const { words } = arena
  if (page < 0) return Order.NO_SPARE
  const fromClass = words[arena.pagesAt + page]
  words[L.MOVE_USED] = 0
  if (fromClass !== POOL) {
    const used = usedChunksIn(arena, page)
    const at = L.classAt(fromClass)
    if (used < words[at + L.CLASS_CHUNKS_PER_PAGE]) words[at + L.CLASS_FRESH_COUNT] = 0
    words[L.MOVE_USED] = used
    words[L.MOVE_FIRST] = pageRef(arena, page)
    words[L.MOVE_END] = words[L.MOVE_FIRST] + arena.pageWords
  }
  words[L.MOVE_PAGE] = page
  words[L.MOVE_TO_CLASS] = toClass
  words[L.MOVE_WITHHELD] = 0
  words[L.MOVE_WAITS_SINCE_S] = 0
  words[L.MOVE_ORDERED] = 0
  enter(arena, fromClass === POOL ? MovePhase.SETTLE : MovePhase.WITHHOLD)
  return Order.OK
}

/** One bounded step of the current move. Returns whether the next step can follow at once. */
export function stepMove(arena: Arena): boolean {
  switch (arena.words[L.MOVE_PHASE]) {
    case MovePhase.WITHHOLD:
      return withhold(arena)
    case MovePhase.EVACUATE:
      return evacuate(arena)
    case MovePhase.SETTLE:
      return settle(arena)
    case MovePhase.UNDO:
      return undo(arena)
    default:
      return false
  }
}

/** The page with the coldest item; if that was given up last, the next one of the class. */
function pickPage(arena: Arena, classId: number): number {
  const { words } = arena
  const givenUp = words[L.MOVE_GIVEN_UP]
  const ref = coldest(arena, classId)
  if (ref !== NIL && pageOf(arena, ref) !== givenUp - 1) return pageOf(arena, ref)
  for (let i = 0; i < words[L.PAGES_USED]; i++) {
    const page = (givenUp + i) % words[L.PAGES_USED]
    if (words[arena.pagesAt + page] === classId) return page
  }
  return -1
}

function enter(arena: Arena, phase: number): boolean {
  arena.words[L.MOVE_PHASE] = phase
  arena.words[L.MOVE_CHUNK] = 0
  arena.words[L.MOVE_BUSY] = 0
  return true
}

function withhold(arena: Arena): boolean {
  const { words } = arena
  const classId = words[arena.pagesAt + words[L.MOVE_PAGE]]
  for (let left = MOVE_STEP_CHUNKS_MAX; left > 0; left--) {
    if (words[L.MOVE_CHUNK] === words[L.MOVE_USED]) return enter(arena, MovePhase.EVACUATE)
    const chunk = chunkAt(arena, classId, words[L.MOVE_CHUNK])
    if (words[chunk + L.ITEM_META] === L.META_FREE) withholdChunk(arena, classId, chunk)
    // Last, so that a thread that dies before this has skipped no chunk.
    words[L.MOVE_CHUNK]++
  }
  return true
}

function evacuate(arena: Arena): boolean {
  const { words } = arena
  const classId = words[arena.pagesAt + words[L.MOVE_PAGE]]
  let bytesLeft = MOVE_STEP_BYTES_MAX
  for (let left = MOVE_STEP_CHUNKS_MAX; left > 0 && bytesLeft > 0; left--) {
    if (words[L.MOVE_CHUNK] === words[L.MOVE_USED]) return endPass(arena)
    const chunk = chunkAt(arena, classId, words[L.MOVE_CHUNK])
    if (words[chunk + L.ITEM_META] === L.META_WITHHELD) {
      words[L.MOVE_CHUNK]++
      continue
    }
    bytesLeft -= chunkWords(arena, classId) << 2
    if (!clear(arena, classId, chunk)) return giveUp(arena)
  }
  return true
}

/** Empties one chunk, makes room for its item, or notes that it is busy. False: give up. */
function clear(arena: Arena, classId: number, chunk: Ref): boolean {
  const { words } = arena
  const owner = ownerOf(arena, chunk)
  const meta = words[owner + L.ITEM_META]
  const linked = owner !== NIL && (meta & L.STATE_LINKED) !== 0
  if (!linked || (isHeld(arena, owner) && (meta & L.STATE_SPANS) !== 0)) {
    return skipBusy(arena, linked ? Busy.ACTIVE : Busy.UPLOADING)
  }
  if (isDead(arena, owner)) {
    reclaimItem(arena, owner)
    return true
  }
  if (!hasChunk(arena, classId)) {
    const hasPage = pagesAboveLimit(arena) < 0
    const isForPool = words[L.MOVE_TO_CLASS] === POOL
    // The class would take one page of the pool for each that it gives.
    if (hasPage && isForPool && words[L.MOVE_ORDERED] === 0) return false
    if (!hasPage || isForPool) return evictFor(arena, classId, owner)
  }
  const to = takeChunk(arena, classId)
  // Another thread may have lowered the limit meanwhile.
  if (to === NIL) return false
  if (chunk !== owner) rescuePart(arena, owner, chunk, to)
  else rescueItem(arena, chunk, to)
  return true
}

/** Evicts an item to make room for one that moves, or that one. False: none may be evicted. */
function evictFor(arena: Arena, classId: number, owner: Ref): boolean {
  const at = classCounterAt(classId, 0)
  const evicted = arena.counters[at + ClassCounter.EVICTED]
  const victim = isCold(arena, owner) ? owner : pickVictim(arena, classId)
  const counter = victim === NIL ? Counter.MOVE_BUSY_NO_MEMORY : Counter.MOVE_EVICTIONS_NO_MEMORY
  arena.counters[counterAt(counter)]++
  if (victim !== NIL) evictItem(arena, victim)
  // The class did not ask for this memory: it must not count for the worth of its pages.
  arena.counters[at + Appraisal.EVICTED_SEEN] += arena.counters[at + ClassCounter.EVICTED] - evicted
  return victim !== NIL
}

/** In the mode WORTH: whether an item is new and unused, and is better evicted than copied. */
function isCold({ words }: Arena, ref: Ref): boolean {
  const meta = words[ref + L.ITEM_META]
  if (!ruleOf(words).byWorth || words[L.EVICTIONS_ON] === 0) return false
  return L.metaList(meta) === L.LIST_COLD && (meta & (L.STATE_ACTIVE | L.STATE_HELD)) === 0
}

function skipBusy(arena: Arena, why: number): boolean {
  const { words } = arena
  arena.counters[counterAt(Counter.MOVE_BUSY_ITEMS)]++
  words[L.MOVE_LAST_BUSY] = why
  words[L.MOVE_BUSY]++
  words[L.MOVE_CHUNK]++
  return true
}

/** Replaces an item by a copy. Holders keep the old one; the copy is not held. */
function rescueItem(arena: Arena, from: Ref, to: Ref): void {
  const { words } = arena
  const hash = hashOfItem(arena, from)
  const meta = words[from + L.ITEM_META]
  const spans = (meta & L.STATE_SPANS) !== 0
  const classId = L.metaClass(meta)
  const bytes = spans ? chunkWords(arena, classId) << 2 : itemTotalBytes(arena, from)
  copyBytes(arena.area, from << 2, arena.area, to << 2, bytes)
  words[to + L.ITEM_META] &= ~L.STATE_HELD
  swapItem(arena, hash, from, to)
  replaceInList(arena, from, to)
  for (let part = nextChunk(arena, to); part !== NIL; part = nextChunk(arena, part)) {
    words[part + L.SPAN_OWNER] = to
  }
  arena.counters[counterAt(Counter.MOVE_RESCUES)]++
  if (isHeld(arena, from)) words[from + L.ITEM_META] &= ~L.STATE_LINKED
  else giveChunk(arena, classId, from)
}

function rescuePart(arena: Arena, owner: Ref, from: Ref, to: Ref): void {
  const { words } = arena
  const classId = L.metaClass(words[from + L.ITEM_META])
  copyBytes(arena.area, from << 2, arena.area, to << 2, chunkWords(arena, classId) << 2)
  let link = owner + L.ITEM_SPAN_NEXT
  while (words[link] !== from) link = words[link] + L.SPAN_NEXT
  words[link] = to
  arena.counters[counterAt(Counter.MOVE_CHUNK_RESCUES)]++
  giveChunk(arena, classId, from)
}

/** All chunks were visited: the page is empty, is visited again, or is given up. */
function endPass(arena: Arena): boolean {
  const { words } = arena
  if (words[L.MOVE_WITHHELD] === words[L.MOVE_USED]) return enter(arena, MovePhase.SETTLE)
  if (words[L.MOVE_WAITS_SINCE_S] === 0) words[L.MOVE_WAITS_SINCE_S] = words[L.CLOCK_S]
  const waitedS = words[L.CLOCK_S] - words[L.MOVE_WAITS_SINCE_S]
  if (waitedS >= MOVE_WAIT_S_MAX) return giveUp(arena)
  enter(arena, MovePhase.EVACUATE)
  return false
}

function settle(arena: Arena): boolean {
  const { words } = arena
  const page = words[L.MOVE_PAGE]
  const fromClass = words[arena.pagesAt + page]
  const toClass = isOwed(arena, words[L.MOVE_TO_CLASS]) ? words[L.MOVE_TO_CLASS] : POOL
  if (toClass !== POOL) {
    spendFresh(arena, toClass, MOVE_STEP_CHUNKS_MAX)
    if (words[L.classAt(toClass) + L.CLASS_FRESH_COUNT] > 0) return true
  }
  if (fromClass !== POOL) words[L.classAt(fromClass) + L.CLASS_PAGE_COUNT]--
  words[arena.pagesAt + page] = POOL
  words[L.MOVE_GIVEN_UP] = 0
  end(arena)
  if (toClass === POOL) poolPage(arena, page)
  else assignPage(arena, page, toClass)
  arena.counters[counterAt(Counter.SLABS_MOVED)]++
  return false
}

/** Above the memory limit only a class that has nothing to evict gets a page. */
function isOwed(arena: Arena, classId: number): boolean {
  if (classId === POOL || pagesAboveLimit(arena) <= 0) return true
  return coldest(arena, classId) === NIL && !hasChunk(arena, classId)
}

/** Gives the move up; the next steps put the page's chunks back. */
export function giveUp(arena: Arena): boolean {
  endWithholding(arena)
  arena.words[L.MOVE_GIVEN_UP] = arena.words[L.MOVE_PAGE] + 1
  return enter(arena, MovePhase.UNDO)
}

/** Gives the move of a page of this class up, if there is one: what it frees is its own again. */
export function keepPageOf(arena: Arena, classId: number): void {
  const { words } = arena
  const phase = words[L.MOVE_PHASE]
  if (phase !== MovePhase.WITHHOLD && phase !== MovePhase.EVACUATE) return
  if (words[arena.pagesAt + words[L.MOVE_PAGE]] === classId) giveUp(arena)
}

function undo(arena: Arena): boolean {
  const { words } = arena
  const classId = words[arena.pagesAt + words[L.MOVE_PAGE]]
  for (let left = MOVE_STEP_CHUNKS_MAX; left > 0; left--) {
    const index = words[L.MOVE_CHUNK]
    if (index === words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE]) return end(arena)
    giveUpChunk(arena, classId, index)
    words[L.MOVE_CHUNK]++
  }
  return true
}

/** Frees a chunk of a page that stays, if it was withheld or never used. */
function giveUpChunk(arena: Arena, classId: number, index: number): void {
  const { words } = arena
  const chunk = chunkAt(arena, classId, index)
  if (index === words[L.MOVE_USED]) words[L.MOVE_USED]++
  else if (words[chunk + L.ITEM_META] === L.META_WITHHELD) words[L.MOVE_WITHHELD]--
  else return
  freeChunk(arena, classId, chunk)
}

/** From here on freed chunks go to the free list again. */
function endWithholding(arena: Arena): void {
  arena.words[L.MOVE_FIRST] = 0
  arena.words[L.MOVE_END] = 0
}

function end(arena: Arena): boolean {
  endWithholding(arena)
  return !enter(arena, MovePhase.NONE)
}

function chunkAt(arena: Arena, classId: number, index: number): Ref {
  return (pageRef(arena, arena.words[L.MOVE_PAGE]) + index * chunkWords(arena, classId)) as Ref
}
