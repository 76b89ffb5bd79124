// Allocates memory for items, and evicts if none is free. Assumes the arena's lock. The work for
// each chunk is bounded: one victim of the class itself, or one page of another class.

import { type Arena, chunkWords, pageOf, pageRef } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { noteSize } from '../chunks/fit.ts'
import {
  assignPage,
  classFor,
  hasChunk,
  isMoving,
  takeChunk,
  usedChunksIn,
  withdrawPage,
} from '../chunks/slabs.ts'
import { hasOwnHold, isHeld } from '../items/holds.ts'
import { itemBytes, ownerOf, writeHeader } from '../items/item.ts'
import { freeItem, isDead } from '../items/links.ts'
import { coldest } from '../items/lru.ts'
import { VICTIM_TRIES_MAX } from '../limits.ts'
import { mayTake, nextDonor } from './donors.ts'
import { evictItem } from './evict.ts'
import { stepTowardsFree, TRADES_PER_PAGEFUL } from './room.ts'
import { pickVictim } from './victims.ts'

/**
 * Steps towards room that an allocation takes without releasing the lock. Callers make room before
 * (shard.ts), so that little is left to do here.
 */
const INLINE_STEPS_MAX = 8

/** An item that would be refused takes a chunk at most this many times as long as its own. */
const ROOMIER_FACTOR_MAX = 2

/** Pages of a class checked for one that can be emptied for another class. */
const PAGE_TRIES_MAX = 64

/**
 * Allocates an item and writes its header; NIL if there is no memory. It is not linked, and the
 * caller writes its optional words and key. `meta`: newMeta of item.ts. An item that `grows` gets
 * only its head chunk and, if that is too short, no length; growItem adds the others and, with the
 * last, the length.
 */
export function allocateItem(arena: Arena, meta: number, valueBytes: number, grows = false): Ref {
  const size = (itemBytes(meta, valueBytes) + 3) >> 2
  const classId = classFor(arena, size)
  const spans = classId === 0
  if (!spans) noteSize(arena, size)
  let headClass = spans ? arena.baseClasses : classId
  let ref = takeOrEvict(arena, headClass)
  if (ref === NIL && !spans) {
    headClass = roomierClass(arena, classId)
    if (headClass !== 0) ref = takeChunk(arena, headClass)
  }
  if (ref === NIL) return NIL
  const place = (headClass << L.META_CLASS_SHIFT) | (L.LIST_COLD << L.META_LIST_SHIFT)
  writeHeader(arena, ref, meta | place | (spans ? L.STATE_SPANS : 0), valueBytes)
  if (!spans) return ref
  arena.words[ref + L.ITEM_SPAN_NEXT] = NIL
  if (grows) {
    arena.words[ref + L.ITEM_VALUE_BYTES] = 0
    return ref
  }
  if (allocateSpans(arena, ref, size + 1 - chunkWords(arena, headClass))) return ref
  freeItem(arena, ref)
  return NIL
}

/**
 * Links the next continuation behind the last chunk of an item that grows; NIL if there is no
 * memory. `left`: words of the value still without a chunk. `valueBytes`: length of the whole
 * value.
 */
export function growItem(arena: Arena, ref: Ref, last: Ref, left: number, valueBytes: number): Ref {
  const { words } = arena
  const link = last === ref ? ref + L.ITEM_SPAN_NEXT : last + L.SPAN_NEXT
  const chunk = chainSpan(arena, ref, link, left)
  if (chunk === NIL) return NIL
  const room = chunkWords(arena, L.metaClass(words[chunk + L.ITEM_META])) - L.SPAN_WORDS
  if (room >= left) words[ref + L.ITEM_VALUE_BYTES] = valueBytes
  return chunk
}

/**
 * A class of longer chunks with a free one; 0: none. After the classes were fitted again, memory
 * freed in the class that these sizes used before must still serve them if nothing may be evicted.
 */
function roomierClass(arena: Arena, classId: number): number {
  const least = chunkWords(arena, classId)
  let found = 0
  for (let other = 1; other <= arena.classCount; other++) {
    const words = chunkWords(arena, other)
    if (words <= least || words > least * ROOMIER_FACTOR_MAX || !hasChunk(arena, other)) continue
    if (found === 0 || words < chunkWords(arena, found)) found = other
  }
  return found
}

/** Links continuations behind a head chunk until `wanted` words more fit. */
function allocateSpans(arena: Arena, ref: Ref, wanted: number): boolean {
  const { words } = arena
  let link = ref + L.ITEM_SPAN_NEXT
  for (let left = wanted; left > 0; ) {
    const chunk = chainSpan(arena, ref, link, left)
    if (chunk === NIL) return false
    link = chunk + L.SPAN_NEXT
    left -= chunkWords(arena, L.metaClass(words[chunk + L.ITEM_META])) - L.SPAN_WORDS
  }
  return true
}

/** Links one continuation for as many of `left` words as fit; NIL if there is no memory. */
function chainSpan(arena: Arena, ref: Ref, link: number, left: number): Ref {
  const { words } = arena
  const largest = arena.baseClasses
  const classId = classFor(arena, Math.min(left + L.SPAN_WORDS, chunkWords(arena, largest)))
  let chunk = takeOrEvict(arena, classId)
  // The item's own chunks may use the pages that its last part needs: take a larger chunk.
  if (chunk === NIL && classId !== largest) chunk = takeOrEvict(arena, largest)
  if (chunk === NIL) return NIL
  words[chunk + L.SPAN_OWNER] = ref
  words[link] = chunk
  return chunk
}

/** A chunk of the class: a free one, a victim's, or one of a page taken from another class. */
function takeOrEvict(arena: Arena, classId: number): Ref {
  let ref = takeChunk(arena, classId)
  if (ref !== NIL) return ref
  // What an operation holds is about to be replaced, and must not move away from under it.
  const stepsMax = hasOwnHold(arena) ? 0 : INLINE_STEPS_MAX
  for (let step = 0; step < stepsMax && ref === NIL; step++) {
    if (!stepTowardsFree(arena, classId, step)) break
    ref = takeChunk(arena, classId)
  }
  // One victim is enough, unless its chunk is withheld because its page moves away.
  for (let tries = 0; tries < VICTIM_TRIES_MAX && ref === NIL; tries++) {
    const victim = pickVictim(arena, classId)
    if (victim === NIL) break
    arena.counters[classCounterAt(classId, ClassCounter.DIRECT_RECLAIMS)]++
    evictItem(arena, victim)
    askForPage(arena, classId)
    ref = takeChunk(arena, classId)
  }
  if (ref === NIL && takePage(arena, classId)) ref = takeChunk(arena, classId)
  if (ref === NIL) arena.counters[classCounterAt(classId, ClassCounter.OUT_OF_MEMORY)]++
  return ref
}

/**
 * After a class has evicted a pageful of its own items it asks for a page of a class that needs it
 * less. While such a class is known it asks sooner.
 */
function askForPage(arena: Arena, classId: number): void {
  const { words } = arena
  const at = L.classAt(classId)
  words[L.ITEMS_EVICTED]++
  const sooner = words[L.TRADE_FROM] === 0 ? 1 : TRADES_PER_PAGEFUL
  if (++words[at + L.CLASS_EVICTED_RUN] * sooner < words[at + L.CLASS_CHUNKS_PER_PAGE]) return
  words[at + L.CLASS_EVICTED_RUN] = 0
  words[L.PAGEFULS_EVICTED]++
  words[L.WANTING_CLASS] = classId
  words[L.TRADE_DUE] = classId
}

/** Moves a page to this class from another, from those with most pages first. */
function takePage(arena: Arena, toClass: number): boolean {
  let donor = nextDonor(arena, 0)
  while (donor !== 0) {
    const page = mayTake(arena, toClass, donor) ? pickPage(arena, donor) : -1
    if (page >= 0) {
      eachChunk(arena, page, evictOwner)
      withdrawPage(arena, page)
      assignPage(arena, page, toClass)
      arena.counters[counterAt(Counter.SLABS_MOVED)]++
      return true
    }
    donor = nextDonor(arena, donor)
  }
  return false
}

/**
 * A page of the class that can be emptied, preferably with cold items; -1 if none is found soon.
 */
function pickPage(arena: Arena, classId: number): number {
  const { words } = arena
  let ref = coldest(arena, classId)
  for (let tries = 0; tries < PAGE_TRIES_MAX && ref !== NIL; tries++) {
    const page = pageOf(arena, ref)
    if (!isMoving(arena, page) && eachChunk(arena, page, canEvictOwner)) return page
    ref = words[ref + L.ITEM_LRU_PREV] as Ref
  }
  let tries = 0
  for (let page = 0; page < words[L.PAGES_USED] && tries < PAGE_TRIES_MAX; page++) {
    if (words[arena.pagesAt + page] !== classId || isMoving(arena, page)) continue
    if (eachChunk(arena, page, canEvictOwner)) return page
    tries++
  }
  return -1
}

/** Calls `visit` for each used chunk of a page until it returns false. */
function eachChunk(
  arena: Arena,
  page: number,
  visit: (arena: Arena, chunk: Ref) => boolean,
): boolean {
  const { words } = arena
  const classId = words[arena.pagesAt + page]
  const at = L.classAt(classId)
  const used = usedChunksIn(arena, page)
  let chunk = pageRef(arena, page)
  for (let i = 0; i < used; i++) {
    if (words[chunk + L.ITEM_META] !== L.META_FREE && !visit(arena, chunk)) return false
    chunk = (chunk + words[at + L.CLASS_CHUNK_WORDS]) as Ref
  }
  return true
}

function canEvictOwner(arena: Arena, chunk: Ref): boolean {
  const { words } = arena
  const owner = ownerOf(arena, chunk)
  if (owner === NIL || (words[owner + L.ITEM_META] & L.STATE_LINKED) === 0) return false
  if (words[L.EVICTIONS_ON] === 0 && !isDead(arena, owner)) return false
  return !isHeld(arena, owner)
}

function evictOwner(arena: Arena, chunk: Ref): boolean {
  evictItem(arena, ownerOf(arena, chunk))
  return true
}
