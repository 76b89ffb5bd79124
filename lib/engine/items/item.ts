// One item: writes its header, finds its key and value, copies values in and out. Assumes the
// arena's lock, and that somebody else took the chunks.
//
// The head chunk holds header, key and the first part of the value. A long item goes on in
// continuations; only walks over whole items and value copies know that.

import assert from 'node:assert/strict'
import { type Area, copyBytes, equalBytes } from '../../bytes/area.ts'
import { u64FromWords } from '../../bytes/decimal.ts'
import { type Arena, chunkWords } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { SIZE_STEP_BYTES } from '../limits.ts'

/** Header, key and value of an item in one piece, bytes. */
export function itemBytes(
  keyBytes: number,
  flags: number,
  valueBytes: number,
  state: number,
): number {
  const words = L.ITEM_WORDS + (flags === 0 ? 0 : 1) + ends(state) + chosen(state)
  return words * 4 + keyBytes + valueBytes
}

/** Words that an item with this META, or this state, has for what not every item has. */
function spans(meta: number): number {
  return (meta >>> L.STATE_SPANS_BIT) & 1
}

function ends(meta: number): number {
  return (meta >>> L.STATE_ENDS_BIT) & 1
}

function chosen(meta: number): number {
  return ((meta >>> L.STATE_CHOSEN_CAS_BIT) & 1) << 1
}

/** Byte address of the item's key. */
export function keyAt(arena: Arena, ref: Ref): number {
  const meta = arena.words[ref + L.ITEM_META]
  const optional = spans(meta) + ends(meta) + chosen(meta) + ((meta >>> L.STATE_FLAGS_BIT) & 1)
  return (ref + L.ITEM_WORDS + optional) << 2
}

/** Byte address of the value, or of its first part. */
export function valueAt(arena: Arena, ref: Ref): number {
  return keyAt(arena, ref) + L.metaKeyBytes(arena.words[ref + L.ITEM_META])
}

/** Client flags, an unsigned 32-bit number. */
export function itemFlags(arena: Arena, ref: Ref): number {
  const meta = arena.words[ref + L.ITEM_META]
  if ((meta & L.STATE_FLAGS) === 0) return 0
  return arena.words[ref + L.ITEM_WORDS + spans(meta) + ends(meta) + chosen(meta)] >>> 0
}

/** When the item ends, on the arena's clock; 0: never. */
export function endOf({ words }: Arena, ref: Ref): number {
  const meta = words[ref + L.ITEM_META]
  return ends(meta) === 0 ? 0 : words[ref + L.ITEM_WORDS + spans(meta)]
}

/** Gives the item another end. One without a word for it (STATE_ENDS) can only be told "never". */
export function setEnd({ words }: Arena, ref: Ref, expiresAtS: number): void {
  const meta = words[ref + L.ITEM_META]
  if (ends(meta) === 1) words[ref + L.ITEM_WORDS + spans(meta)] = expiresAtS
  else assert(expiresAtS === 0, 'an item without a word for its end')
}

/** Gives an item other client flags, if it has a word for them; one without has none. */
export function setFlags({ words }: Arena, ref: Ref, flags: number): void {
  const meta = words[ref + L.ITEM_META]
  if ((meta & L.STATE_FLAGS) === 0) return
  words[ref + L.ITEM_WORDS + spans(meta) + ends(meta) + chosen(meta)] = flags
}

/** Where the CAS that a peer chose stands, in an item of STATE_CHOSEN_CAS: low, then high. */
export function chosenCasAt({ words }: Arena, ref: Ref): number {
  const meta = words[ref + L.ITEM_META]
  return ref + L.ITEM_WORDS + spans(meta) + ends(meta)
}

/** High word of the number that the arena's CAS sequence gave the item, as layout.ts says. */
export function sequenceHighOf({ words }: Arena, ref: Ref): number {
  const isOfLastRound = words[ref + L.ITEM_CAS] >>> 0 > words[L.CAS_LOW] >>> 0
  return words[L.CAS_HIGH] - (isOfLastRound ? 1 : 0)
}

/** The item's CAS as peers see it, 32-bit words. */
export function casHighOf(arena: Arena, ref: Ref): number {
  const { words } = arena
  const isChosen = (words[ref + L.ITEM_META] & L.STATE_CHOSEN_CAS) !== 0
  const high = isChosen ? words[chosenCasAt(arena, ref) + 1] : sequenceHighOf(arena, ref)
  return high & words[L.CAS_SHOWN]
}

export function casLowOf(arena: Arena, ref: Ref): number {
  const { words } = arena
  const isChosen = (words[ref + L.ITEM_META] & L.STATE_CHOSEN_CAS) !== 0
  return words[isChosen ? chosenCasAt(arena, ref) : ref + L.ITEM_CAS] & words[L.CAS_SHOWN]
}

/** The item's CAS as peers see it, into decimal.ts's u64. */
export function loadCas(arena: Arena, ref: Ref): void {
  u64FromWords(casHighOf(arena, ref), casLowOf(arena, ref))
}

/** The item's size as `stats sizes` and mem_requested count it, bytes. */
export function itemTotalBytes(arena: Arena, ref: Ref): number {
  const { words } = arena
  return itemBytes(
    L.metaKeyBytes(words[ref + L.ITEM_META]),
    itemFlags(arena, ref),
    words[ref + L.ITEM_VALUE_BYTES],
    words[ref + L.ITEM_META],
  )
}

/** Slot of the size histogram that an item counts in. */
export function sizeSlot(arena: Arena, ref: Ref): number {
  const slot = Math.ceil(itemTotalBytes(arena, ref) / SIZE_STEP_BYTES)
  return Math.min(slot, arena.words[L.SIZE_SLOTS] - 1)
}

/** The chunk in which the item of this chunk goes on; NIL after the last. */
export function nextChunk(arena: Arena, chunk: Ref): Ref {
  const meta = arena.words[chunk + L.ITEM_META]
  if (L.metaKeyBytes(meta) === 0) return arena.words[chunk + L.SPAN_NEXT] as Ref
  return (meta & L.STATE_SPANS) === 0 ? NIL : (arena.words[chunk + L.ITEM_SPAN_NEXT] as Ref)
}

/** The head chunk of the item that a chunk belongs to; NIL while it is being allocated. */
export function ownerOf(arena: Arena, chunk: Ref): Ref {
  const { words } = arena
  if (L.metaKeyBytes(words[chunk + L.ITEM_META]) > 0) return chunk
  return words[chunk + L.SPAN_OWNER] as Ref
}

/**
 * Writes the header, flags and key of a new item into its head chunk; SPAN_NEXT is the caller's.
 * `state`: STATE_KEY_BINARY, STATE_CHOSEN_CAS and STATE_ENDS, which an end other than "never" needs.
 */
export function writeItem(
  arena: Arena,
  ref: Ref,
  classId: number,
  spans: boolean,
  key: Area,
  keyStart: number,
  keyBytes: number,
  flags: number,
  expiresAtS: number,
  valueBytes: number,
  state: number,
): void {
  const { words } = arena
  words[ref + L.ITEM_CHAIN_NEXT] = NIL
  words[ref + L.ITEM_LRU_PREV] = NIL
  words[ref + L.ITEM_LRU_NEXT] = NIL
  words[ref + L.ITEM_TOUCHED_AT_S] = words[L.CLOCK_S]
  words[ref + L.ITEM_VALUE_BYTES] = valueBytes
  words[ref + L.ITEM_CAS] = 0
  let meta = state | keyBytes | (classId << L.META_CLASS_SHIFT) | (L.LIST_COLD << L.META_LIST_SHIFT)
  let at = ref + L.ITEM_WORDS
  if (spans) {
    meta |= L.STATE_SPANS
    at++
  }
  if (ends(state) === 1) words[at++] = expiresAtS
  at += chosen(state)
  if (flags !== 0) {
    meta |= L.STATE_FLAGS
    words[at++] = flags
  }
  words[ref + L.ITEM_META] = meta
  copyBytes(key, keyStart, arena.area, at << 2, keyBytes)
}

/** Whether the item's key is the one given. */
export function keyEquals(
  arena: Arena,
  ref: Ref,
  key: Area,
  keyStart: number,
  keyBytes: number,
): boolean {
  if (L.metaKeyBytes(arena.words[ref + L.ITEM_META]) !== keyBytes) return false
  return equalBytes(arena.area, keyAt(arena, ref), key, keyStart, keyBytes)
}

/** Copies `length` bytes of the value, from `offset` in it, out to `to`. */
export function readValue(
  arena: Arena,
  ref: Ref,
  offset: number,
  length: number,
  to: Area,
  toStart: number,
): void {
  if ((arena.words[ref + L.ITEM_META] & L.STATE_SPANS) === 0) {
    copyBytes(arena.area, valueAt(arena, ref) + offset, to, toStart, length)
    return
  }
  findPart(arena, source, ref, offset)
  for (let done = 0; done < length; nextPart(arena, source)) {
    const bytes = Math.min(length - done, source.end - source.start)
    copyBytes(arena.area, source.start, to, toStart + done, bytes)
    done += bytes
  }
}

/** Copies `length` bytes into the value at `offset`. */
export function writeValue(
  arena: Arena,
  ref: Ref,
  offset: number,
  from: Area,
  fromStart: number,
  length: number,
): void {
  if ((arena.words[ref + L.ITEM_META] & L.STATE_SPANS) === 0) {
    copyBytes(from, fromStart, arena.area, valueAt(arena, ref) + offset, length)
    return
  }
  findPart(arena, target, ref, offset)
  for (let done = 0; done < length; nextPart(arena, target)) {
    const bytes = Math.min(length - done, target.end - target.start)
    copyBytes(from, fromStart + done, arena.area, target.start, bytes)
    done += bytes
  }
}

/** Copies the first `length` bytes of one item's value into another's at `toOffset`. */
export function copyValue(
  arena: Arena,
  from: Ref,
  length: number,
  to: Ref,
  toOffset: number,
): void {
  if (length === 0) return
  findPart(arena, source, from, 0)
  findPart(arena, target, to, toOffset)
  for (let done = 0; done < length; ) {
    if (source.start === source.end) nextPart(arena, source)
    if (target.start === target.end) nextPart(arena, target)
    const room = Math.min(source.end - source.start, target.end - target.start)
    const bytes = Math.min(length - done, room)
    copyBytes(arena.area, source.start, arena.area, target.start, bytes)
    done += bytes
    source.start += bytes
    target.start += bytes
  }
}

/** What a walk over a value still has before it of the chunk it stands on: byte addresses. */
interface Part {
  chunk: Ref
  start: number
  end: number
}

// Walks are synchronous, so one place to read and one to write are enough a thread.
const source: Part = { chunk: NIL, start: 0, end: 0 }
const target: Part = { chunk: NIL, start: 0, end: 0 }

/** Stands on the chunk that has byte `offset` of a value, from that byte on. */
function findPart(arena: Arena, part: Part, ref: Ref, offset: number): void {
  const classId = L.metaClass(arena.words[ref + L.ITEM_META])
  part.chunk = ref
  part.start = valueAt(arena, ref)
  part.end = (ref + chunkWords(arena, classId)) << 2
  let left = offset
  while (left >= part.end - part.start) {
    left -= part.end - part.start
    nextPart(arena, part)
  }
  part.start += left
}

function nextPart(arena: Arena, part: Part): void {
  const next = nextChunk(arena, part.chunk)
  part.chunk = next
  if (next === NIL) return
  const words = chunkWords(arena, L.metaClass(arena.words[next + L.ITEM_META]))
  part.start = (next + L.SPAN_WORDS) << 2
  part.end = (next + words) << 2
}
