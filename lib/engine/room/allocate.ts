// Allocates memory for items, and evicts if none is free. Assumes the arena's lock. The work for
// each chunk is bounded: one victim of the class itself, after a few steps towards memory that is
// free. What takes longer is left to the caller: ROOM_WANTED says how much is wanted, shard.ts
// makes room in steps and repeats the operation, which finds ROOM_WAS_MADE set and asks no more.

import { type Arena, chunkWords } from '../arena/arena.ts'
import { ClassCounter, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { noteSize } from '../chunks/fit.ts'
import { classFor, hasChunk, takeChunk } from '../chunks/slabs.ts'
import { hasOwnHold } from '../items/holds.ts'
import { itemBytes, writeHeader } from '../items/item.ts'
import { freeItem } from '../items/links.ts'
import { VICTIM_TRIES_MAX } from '../limits.ts'
import { evictItem } from './evict.ts'
import { keepPageOf } from './moves.ts'
import { mayFindFree, stepTowardsFree, TRADES_PER_PAGEFUL } from './room.ts'
import { pickVictim } from './victims.ts'

/**
 * Steps towards room that an allocation takes without releasing the lock. Callers make room before
 * (shard.ts), so that little is left to do here.
 */
const INLINE_STEPS_MAX = 8

/** An item that would be refused takes a chunk at most this many times as long as its own. */
const ROOMIER_FACTOR_MAX = 2

/**
 * Allocates an item and writes its header; NIL if there is no memory, or if room must be made for
 * it first (isRoomWanted). It is not linked, and the caller writes its optional words and key.
 * `meta`: newMeta of item.ts. An item that `grows` gets only its head chunk and, if that is too
 * short, no length; growItem adds the others and, with the last, the length.
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
  if (ref === NIL) {
    const first = grows ? Math.min(size, chunkWords(arena, headClass)) : size
    return wantRoom(arena, headClass, first)
  }
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
  return wantRoom(arena, headClass, size)
}

/**
 * Whether an operation that found no memory is to be repeated after room was made. Then nothing may
 * come of it now.
 */
export function isRoomWanted({ words }: Arena): boolean {
  return words[L.ROOM_WANTED] !== 0
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
  if (chunk === NIL) {
    const largest = arena.baseClasses
    return wantRoom(arena, largest, Math.min(left + L.SPAN_WORDS, chunkWords(arena, largest)))
  }
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

/** Asks for room for an item of this many words, or refuses it. Returns NIL. */
function wantRoom(arena: Arena, classId: number, size: number): Ref {
  const { words } = arena
  if (
    words[L.ROOM_WAS_MADE] === 0 &&
    (words[L.EVICTIONS_ON] === 1 || mayFindFree(arena, classId))
  ) {
    words[L.ROOM_WANTED] = size
  } else {
    arena.counters[classCounterAt(classId, ClassCounter.OUT_OF_MEMORY)]++
  }
  return NIL
}

/** A chunk of the class: a free one, or a victim's. */
function takeOrEvict(arena: Arena, classId: number): Ref {
  const { words } = arena
  let ref = takeChunk(arena, classId)
  if (ref !== NIL) return ref
  // What an operation holds is about to be replaced, and must not move away from under it.
  const stepsMax = hasOwnHold(arena) ? 0 : INLINE_STEPS_MAX
  for (let step = 0; step < stepsMax && ref === NIL; step++) {
    if (!stepTowardsFree(arena, classId, 1, step)) break
    ref = takeChunk(arena, classId)
  }
  if (stepsMax === 0 && words[L.ROOM_WAS_MADE] === 0 && mayFindFree(arena, classId)) return NIL
  // One victim is enough, unless its chunk is withheld because its page moves away.
  for (let tries = 0; tries < VICTIM_TRIES_MAX && ref === NIL; tries++) {
    const victim = pickVictim(arena, classId)
    if (victim === NIL) break
    // The coldest items all lie on that page: then it stays.
    if (tries === VICTIM_TRIES_MAX - 1) keepPageOf(arena, classId)
    arena.counters[classCounterAt(classId, ClassCounter.DIRECT_RECLAIMS)]++
    evictItem(arena, victim)
    askForPage(arena, classId)
    ref = takeChunk(arena, classId)
  }
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
