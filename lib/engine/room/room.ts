// Where memory comes from when a class has no chunk left, in this order. Assumes the arena's lock.
// Every step is bounded, and others may have the lock between two steps.
//
//   1  the pool, or memory never used        slabs.ts takes it with the chunk; no step is needed
//   2  the page that is already moving       moves.ts
//   3  a page of a class with slack          slack.ts finds it, moves.ts empties it
//   4  dead items of any class               reap.ts; then 3, or a chunk of the class itself
//   5  a page that is worth less elsewhere   worth.ts decides, once per pageful of evictions
//   6  the coldest item of the class itself  victims.ts chooses, allocate.ts evicts
//   7  a page of the class with most pages   if 6 has nothing to evict; long items give last
//
// So no live item is evicted while a page of memory is free or dead. Steps 1 to 4 are the same with
// and without evictions. In 5 each store that evicts empties a part of the page; a store waits for
// a whole page only if there is no other way. Every way is made of steps of a few chunks.
//
// A store may need room in more than one class: for the chunks of a long item and its last one, for
// what an append makes and for its new part. Room that is made is reserved while more is made, so
// that a free page counts once.
//
// A new rule of what a class evicts belongs in victims.ts, with its marks set in lru.ts. A new rule
// of which class gives memory belongs in worth.ts. Neither changes a list, a page or a chunk.

import { type Arena, chunkWords, pageRef } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { classFor, pagesAboveLimit, usedChunksIn } from '../chunks/slabs.ts'
import { slackClass } from '../chunks/slack.ts'
import { isHeld } from '../items/holds.ts'
import { ownerOf } from '../items/item.ts'
import { coldest } from '../items/lru.ts'
import { AUTOMOVE_PAGES_MIN } from '../limits.ts'
import { Order } from '../status.ts'
import { canGivePage, mayTake, nextDonor } from './donors.ts'
import {
  giveUp,
  MOVE_STEP_CHUNKS_MAX,
  MovePhase,
  startMove,
  startPageMove,
  startSlackMove,
  stepMove,
} from './moves.ts'
import { mayReap, stepReap } from './reap.ts'
import { expectMove, judgeTrade } from './worth.ts'

/** Visits to a chunk until it is empty: to withhold it, to make room for its item, to copy it. */
const MOVE_PASSES = 3

/** Pages a class gets per pageful that it evicts, while another is known to need them less. */
export const TRADES_PER_PAGEFUL = 16

/** Steps of one request after which it evicts, if it can, and searches dead items no more. */
export const REAP_STEPS_MAX = 512

/** Pages looked through for held items, and most chunks of such a page. */
const HELD_LOOKS_MAX = 64
const HELD_LOOK_CHUNKS_MAX = 16

/** The class of an item of this many words; for a long one, of all its chunks but the last. */
export function roomClass(arena: Arena, itemWords: number): number {
  return classFor(arena, itemWords) || arena.baseClasses
}

/** Its chunks of that class. The last chunk counts only where it is of that class too. */
export function roomChunks(arena: Arena, itemWords: number): number {
  const largest = chunkWords(arena, arena.baseClasses)
  if (itemWords <= largest) return 1
  // The head chunk has a word for SPAN_NEXT.
  const full = 1 + Math.floor((itemWords + 1 - largest) / (largest - L.SPAN_WORDS))
  return tailClass(arena, itemWords) === arena.baseClasses ? full + 1 : full
}

/**
 * The class of the last chunk of a long item, if that is not full; 0: it is, or the item is short.
 */
export function tailClass(arena: Arena, itemWords: number): number {
  const largest = chunkWords(arena, arena.baseClasses)
  if (itemWords <= largest) return 0
  const tail = (itemWords + 1 - largest) % (largest - L.SPAN_WORDS)
  return tail === 0 ? 0 : classFor(arena, tail + L.SPAN_WORDS)
}

/**
 * One bounded step towards `chunks` chunks of a class. False: they are there, or all that is left
 * is to evict items of the class. `step`: the number of steps that this request has taken.
 */
export function stepTowardsRoom(
  arena: Arena,
  classId: number,
  chunks: number,
  step: number,
): boolean {
  const { words } = arena
  if (isAtHand(arena, classId, chunks)) return false
  if (words[L.MOVE_PHASE] !== MovePhase.NONE) return stepUnderWay(arena, classId, chunks, step)
  if (stepTowardsFree(arena, classId, chunks, step)) return true
  if (words[L.EVICTIONS_ON] === 0) return false
  if (words[L.TRADE_DUE] !== 0 && startTrade(arena)) return true
  return !canEvict(arena, classId, chunks) && startLive(arena, classId)
}

/** As stepTowardsRoom, but only from memory that is free or dead. */
export function stepTowardsFree(
  arena: Arena,
  classId: number,
  chunks: number,
  step: number,
): boolean {
  if (isAtHand(arena, classId, chunks)) return false
  if (arena.words[L.MOVE_PHASE] !== MovePhase.NONE) {
    if (wantsSlack(arena, classId) === 0 && canEvict(arena, classId, chunks)) return false
    return stepUnderWay(arena, classId, chunks, step)
  }
  if (startSlack(arena, classId)) return true
  if (step >= REAP_STEPS_MAX && canEvict(arena, classId, chunks)) return false
  return stepReap(arena, classId)
}

/** Whether memory that is free or dead may be found for a class, in steps. */
export function mayFindFree(arena: Arena, classId: number): boolean {
  return wantsSlack(arena, classId) !== 0 || mayReap(arena)
}

/** Reserves chunks that room was made for, of the class given last, until endReservation. */
export function reserveRoom({ words }: Arena, classId: number, chunks: number): void {
  const before = words[L.ROOM_MADE_FOR] === classId ? words[L.ROOM_CHUNKS] : 0
  words[L.ROOM_MADE_FOR] = classId
  words[L.ROOM_CHUNKS] = before + chunks
}

/** Reserves all chunks of an item of this many words, and nothing else. */
export function reserveItem(arena: Arena, itemWords: number): void {
  endReservation(arena)
  reserveRoom(arena, roomClass(arena, itemWords), roomChunks(arena, itemWords))
  arena.words[L.ROOM_TAIL] = tailClass(arena, itemWords)
}

/** The operation that is repeated now asks for no more room. */
export function beginAgain({ words }: Arena): void {
  words[L.ROOM_WANTED] = 0
  words[L.ROOM_WAS_MADE] = 1
}

/** The operation that room was made for, if it was, has taken it or failed. */
export function endRoom(arena: Arena): void {
  const { words } = arena
  if ((words[L.ROOM_WAS_MADE] | words[L.ROOM_MADE_FOR]) === 0) return
  words[L.ROOM_WAS_MADE] = 0
  endReservation(arena)
}

function endReservation({ words }: Arena): void {
  words[L.ROOM_MADE_FOR] = 0
  words[L.ROOM_CHUNKS] = 0
  words[L.ROOM_TAIL] = 0
}

/** Stops the search for slack in this second: the items on its pages are held. */
export function restSlack({ words }: Arena): void {
  words[L.SLACK_HELD_AT_S] = words[L.CLOCK_S]
}

/** Whether this many chunks are available without emptying a page, beside what is reserved. */
export function isAtHand(arena: Arena, classId: number, chunks: number): boolean {
  const { words } = arena
  if (words[L.ROOM_MADE_FOR] !== 0) return isLeft(arena, classId, chunks)
  const missing = chunks - freeCount(arena, classId)
  return missing <= 0 || missing <= -pagesAboveLimit(arena) * perPage(arena, classId)
}

/** As isAtHand, while something is reserved. */
function isLeft(arena: Arena, classId: number, chunks: number): boolean {
  const { words } = arena
  const madeFor = words[L.ROOM_MADE_FOR]
  const tail = words[L.ROOM_TAIL]
  let wanted = chunks
  let pages = -pagesAboveLimit(arena)
  if (madeFor === classId) wanted += words[L.ROOM_CHUNKS]
  else pages -= pagesFor(arena, madeFor, words[L.ROOM_CHUNKS])
  if (tail === classId) wanted++
  else if (tail !== 0) pages -= pagesFor(arena, tail, 1)
  return wanted <= freeCount(arena, classId) || pagesFor(arena, classId, wanted) <= pages
}

/** Pages that the class must get before it has this many free chunks. */
function pagesFor(arena: Arena, classId: number, chunks: number): number {
  const missing = chunks - freeCount(arena, classId)
  return missing <= 0 ? 0 : Math.ceil(missing / perPage(arena, classId))
}

function freeCount({ words }: Arena, classId: number): number {
  const at = L.classAt(classId)
  return words[at + L.CLASS_FREE_COUNT] + words[at + L.CLASS_FRESH_COUNT]
}

function perPage({ words }: Arena, classId: number): number {
  return words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE]
}

/** Continues a move. False: this store did its share, and its class has an item to evict. */
function stepUnderWay(arena: Arena, classId: number, chunks: number, step: number): boolean {
  const { words } = arena
  const more = stepMove(arena)
  // An item of that page is held. Nobody waits for it here: take another page.
  if (!more && words[L.MOVE_PHASE] === MovePhase.EVACUATE) giveUp(arena)
  if (wantsSlack(arena, classId) !== 0 || step < shareOf(arena, classId)) return true
  return !canEvict(arena, classId, chunks)
}

/**
 * Steps of a move that one store of the receiving class takes, so that the page is ready before the
 * class asks for the next one.
 */
function shareOf(arena: Arena, classId: number): number {
  const { words } = arena
  if (words[L.MOVE_TO_CLASS] !== classId) return 0
  const fromClass = words[arena.pagesAt + words[L.MOVE_PAGE]]
  if (fromClass <= 0) return 1
  const looks = MOVE_PASSES * words[L.classAt(fromClass) + L.CLASS_CHUNKS_PER_PAGE]
  const steps = looks / MOVE_STEP_CHUNKS_MAX + MOVE_PASSES
  return Math.ceil(
    (steps * TRADES_PER_PAGEFUL) / words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE],
  )
}

/** Starts to move a page between classes that hold live items, if worth.ts finds one. */
function startTrade(arena: Arena): boolean {
  const { words } = arena
  const wanting = words[L.TRADE_DUE]
  words[L.TRADE_DUE] = 0
  if (words[L.REASSIGN_ON] === 0 || words[L.AUTOMOVE] === 0) return false
  const { from, to } = judgeTrade(arena, wanting)
  if (from === 0 || startMove(arena, from, to) !== Order.OK) return false
  expectMove(arena, from, to)
  return true
}

/** Whether evictions within the class alone can free this many chunks. */
function canEvict(arena: Arena, classId: number, chunks: number): boolean {
  const { words } = arena
  if (words[L.EVICTIONS_ON] === 0 || coldest(arena, classId) === NIL) return false
  const at = L.classAt(classId)
  const pages = words[at + L.CLASS_PAGE_COUNT] + Math.max(0, -pagesAboveLimit(arena))
  return chunks === 1 || pages * words[at + L.CLASS_CHUNKS_PER_PAGE] >= chunks
}

function wantsSlack(arena: Arena, classId: number): number {
  const { words } = arena
  return words[L.SLACK_HELD_AT_S] === words[L.CLOCK_S] ? 0 : slackClass(arena, classId)
}

function startSlack(arena: Arena, classId: number): boolean {
  const donor = wantsSlack(arena, classId)
  return donor !== 0 && startSlackMove(arena, donor, classId) === Order.OK
}

/**
 * Starts to move a page of live items, from the classes with most pages first. After one was given
 * up all pages are tried in turn, because a class may hold many items that are sent or received.
 */
function startLive(arena: Arena, classId: number): boolean {
  if (arena.words[L.MOVE_GIVEN_UP] !== 0) return startNext(arena, classId)
  const donor = liveDonor(arena, classId)
  return donor !== 0 && startMove(arena, donor, classId) === Order.OK
}

/** The class with most pages that can give one, that of long items last; 0: none can. */
function liveDonor(arena: Arena, classId: number): number {
  let long = 0
  let donor = nextDonor(arena, 0)
  for (; donor !== 0; donor = nextDonor(arena, donor)) {
    if (!mayGive(arena, donor, classId)) continue
    // Its page costs an item of many pages.
    if (donor === arena.baseClasses) long = donor
    else if (long === 0 || isRich(arena, donor)) break
  }
  return donor || long
}

function isRich({ words }: Arena, classId: number): boolean {
  return words[L.classAt(classId) + L.CLASS_PAGE_COUNT] > AUTOMOVE_PAGES_MIN
}

/** Whether a class can give a page of live items to another one. */
function mayGive(arena: Arena, classId: number, toClass: number): boolean {
  if (classId === arena.words[L.ROOM_MADE_FOR]) return false
  return mayTake(arena, toClass, classId) && canGivePage(arena, classId)
}

/** Starts to move the next page, by number, that another class can give. */
function startNext(arena: Arena, classId: number): boolean {
  const { words } = arena
  let looks = 0
  for (let i = 0; i < words[L.PAGES_USED]; i++) {
    const page = (words[L.MOVE_GIVEN_UP] + i) % words[L.PAGES_USED]
    const owner = words[arena.pagesAt + page]
    if (owner <= 0 || !mayGive(arena, owner, classId)) continue
    if (looks++ < HELD_LOOKS_MAX && hasHeld(arena, page)) continue
    return startPageMove(arena, page, classId) === Order.OK
  }
  return false
}

/** Whether a page of few chunks has one whose item is held. */
function hasHeld(arena: Arena, page: number): boolean {
  const { words } = arena
  const classId = words[arena.pagesAt + page]
  if (perPage(arena, classId) > HELD_LOOK_CHUNKS_MAX) return false
  const used = usedChunksIn(arena, page)
  for (let i = 0; i < used; i++) {
    const chunk = (pageRef(arena, page) + i * chunkWords(arena, classId)) as Ref
    const meta = words[chunk + L.ITEM_META]
    if (meta === L.META_FREE || meta === L.META_WITHHELD) continue
    const owner = ownerOf(arena, chunk)
    if (owner === NIL || isHeld(arena, owner)) return true
  }
  return false
}
