// One item: writes its header, finds its key and value, copies values in and out. Assumes the
// arena's lock and allocated chunks.
//
// The head chunk holds header, key and the first part of the value. A long item continues in
// further chunks, the continuations. Only walks over items and copies of values deal with them.

import assert from 'node:assert/strict'
import { type Area, copyBytes, equalBytes } from '../../bytes/area.ts'
import { u64FromWords } from '../../bytes/decimal.ts'
import { type Arena, chunkWords } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { ENDLESS_VALUE_BYTES_MAX, SIZE_STEP_BYTES } from '../limits.ts'
import { touchedAtS, touchNew } from './uses.ts'

/** For sinks above the engine, which see items but not their layout. */
export type { Ref } from '../arena/layout.ts'

/**
 * META of an item that has no chunk yet: key length, state, and the optional words that it needs.
 * `state`: STATE_KEY_BINARY, STATE_CHOSEN_CAS, STATE_ENDS.
 */
export function newMeta(
  keyBytes: number,
  flags: number,
  expiresAtS: number,
  valueBytes: number,
  state: number,
): number {
  const expires = expiresAtS !== 0 || valueBytes > ENDLESS_VALUE_BYTES_MAX
  return state | keyBytes | (flags === 0 ? 0 : L.STATE_FLAGS) | (expires ? L.STATE_ENDS : 0)
}

/** Header, key and value of an item in one piece, bytes; without the word of one that spans. */
export function itemBytes(meta: number, valueBytes: number): number {
  const words = L.ITEM_WORDS + hasFlags(meta) + expires(meta) + chosen(meta)
  return words * 4 + L.metaKeyBytes(meta) + valueBytes
}

/** How many words an item with this META has for each optional part. */
function spans(meta: number): number {
  return (meta >>> L.STATE_SPANS_BIT) & 1
}

function expires(meta: number): number {
  return (meta >>> L.STATE_ENDS_BIT) & 1
}

function hasFlags(meta: number): number {
  return (meta >>> L.STATE_FLAGS_BIT) & 1
}

function chosen(meta: number): number {
  return ((meta >>> L.STATE_CHOSEN_CAS_BIT) & 1) << 1
}

/** Byte address of the item's key. */
export function keyAt(arena: Arena, ref: Ref): number {
  const meta = arena.words[ref + L.ITEM_META]
  const optional = spans(meta) + expires(meta) + chosen(meta) + hasFlags(meta)
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
  return arena.words[ref + L.ITEM_WORDS + spans(meta) + expires(meta) + chosen(meta)] >>> 0
}

/** When the item expires, on the arena's clock; 0: never. */
export function expiryOf({ words }: Arena, ref: Ref): number {
  const meta = words[ref + L.ITEM_META]
  return expires(meta) === 0 ? 0 : words[ref + L.ITEM_WORDS + spans(meta)]
}

/** Changes when the item expires. An item without a word for that (STATE_ENDS) accepts only 0. */
export function setExpiry({ words }: Arena, ref: Ref, expiresAtS: number): void {
  const meta = words[ref + L.ITEM_META]
  if (expires(meta) === 1) words[ref + L.ITEM_WORDS + spans(meta)] = expiresAtS
  else assert(expiresAtS === 0, 'an item without a word for its expiry')
}

/** Changes the client flags, if the item has a word for them. */
export function setFlags({ words }: Arena, ref: Ref, flags: number): void {
  const meta = words[ref + L.ITEM_META]
  if ((meta & L.STATE_FLAGS) === 0) return
  words[ref + L.ITEM_WORDS + spans(meta) + expires(meta) + chosen(meta)] = flags
}

/** Word index of the CAS that a peer chose, in an item with STATE_CHOSEN_CAS: low, then high. */
export function chosenCasAt({ words }: Arena, ref: Ref): number {
  const meta = words[ref + L.ITEM_META]
  return ref + L.ITEM_WORDS + spans(meta) + expires(meta)
}

/** High word of the item's number in the arena's CAS sequence; see layout.ts. */
export function sequenceHighOf({ words }: Arena, ref: Ref): number {
  const isOfLastRound = words[ref + L.ITEM_CAS] >>> 0 > words[L.CAS_LOW] >>> 0
  return words[L.CAS_HIGH] - (isOfLastRound ? 1 : 0)
}

/** All bits where peers see CAS numbers, none where they do not (-C). */
export function casBits({ words }: Arena): number {
  return words[L.CAS_SHOWN]
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
export function itemTotalBytes({ words }: Arena, ref: Ref): number {
  return itemBytes(words[ref + L.ITEM_META], words[ref + L.ITEM_VALUE_BYTES])
}

/** The item's slot in the size histogram. */
export function sizeSlot(arena: Arena, ref: Ref): number {
  const slot = Math.ceil(itemTotalBytes(arena, ref) / SIZE_STEP_BYTES)
  return Math.min(slot, arena.words[L.SIZE_SLOTS] - 1)
}

/** The next chunk of the item of this chunk; NIL after the last. */
export function nextChunk(arena: Arena, chunk: Ref): Ref {
  const meta = arena.words[chunk + L.ITEM_META]
  if (L.metaKeyBytes(meta) === 0) return arena.words[chunk + L.SPAN_NEXT] as Ref
  return (meta & L.STATE_SPANS) === 0 ? NIL : (arena.words[chunk + L.ITEM_SPAN_NEXT] as Ref)
}

/** The head chunk of the item of a chunk; NIL while it is being allocated. */
export function ownerOf(arena: Arena, chunk: Ref): Ref {
  const { words } = arena
  if (L.metaKeyBytes(words[chunk + L.ITEM_META]) > 0) return chunk
  return words[chunk + L.SPAN_OWNER] as Ref
}

/** Writes the header of a new item into its head chunk. The caller writes SPAN_NEXT. */
export function writeHeader({ words }: Arena, ref: Ref, meta: number, valueBytes: number): void {
  words[ref + L.ITEM_CHAIN_NEXT] = NIL
  words[ref + L.ITEM_LRU_PREV] = NIL
  words[ref + L.ITEM_LRU_NEXT] = NIL
  touchNew(words, ref)
  words[ref + L.ITEM_VALUE_BYTES] = valueBytes
  words[ref + L.ITEM_CAS] = 0
  words[ref + L.ITEM_META] = meta
}

/** Writes the optional words of a new item. Returns the byte address of its key, which follows. */
export function writeOptional(
  { words }: Arena,
  ref: Ref,
  flags: number,
  expiresAtS: number,
): number {
  const meta = words[ref + L.ITEM_META]
  let at = ref + L.ITEM_WORDS + spans(meta)
  if (expires(meta) === 1) words[at++] = expiresAtS
  at += chosen(meta)
  if (hasFlags(meta) === 1) words[at++] = flags
  return at << 2
}

/** Writes the key of a new item; META has its length. */
export function writeKey(arena: Arena, ref: Ref, key: Area, keyStart: number): void {
  copyBytes(key, keyStart, arena.area, keyAt(arena, ref), keyBytesOf(arena, ref))
}

/** Bytes of the value. */
export function valueBytesOf({ words }: Arena, ref: Ref): number {
  return words[ref + L.ITEM_VALUE_BYTES]
}

/** Bytes of the key. */
export function keyBytesOf({ words }: Arena, ref: Ref): number {
  return L.metaKeyBytes(words[ref + L.ITEM_META])
}

/** The slab class that the item is in. */
export function classOf({ words }: Arena, ref: Ref): number {
  return L.metaClass(words[ref + L.ITEM_META])
}

/** Seconds until the item expires, below 0 if that is past; -1: never. */
export function ttlOf(arena: Arena, ref: Ref): number {
  const expiresAtS = expiryOf(arena, ref)
  return expiresAtS === 0 ? -1 : expiresAtS - arena.words[L.CLOCK_S]
}

/** Seconds since the item was used, as far as that is recorded (lru.ts). */
export function idleS({ words }: Arena, ref: Ref): number {
  return words[L.CLOCK_S] - touchedAtS(words, ref)
}

/** Whether the item was fetched since it was stored. */
export function wasFetched({ words }: Arena, ref: Ref): boolean {
  return (words[ref + L.ITEM_META] & L.STATE_FETCHED) !== 0
}

/** Whether the key came in base64 and is to be shown so. */
export function isKeyBinary({ words }: Arena, ref: Ref): boolean {
  return (words[ref + L.ITEM_META] & L.STATE_KEY_BINARY) !== 0
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

/** Copies the whole value out to `to`. */
export function readValue(arena: Arena, ref: Ref, to: Area, toStart: number): void {
  const length = arena.words[ref + L.ITEM_VALUE_BYTES]
  if ((arena.words[ref + L.ITEM_META] & L.STATE_SPANS) === 0) {
    copyBytes(arena.area, valueAt(arena, ref), to, toStart, length)
    return
  }
  findPart(arena, source, ref, 0)
  for (let done = 0; done < length; nextPart(arena, source)) {
    const bytes = Math.min(length - done, source.end - source.start)
    copyBytes(arena.area, source.start, to, toStart + done, bytes)
    done += bytes
  }
}

/**
 * Copies the start of the value to that of `to`: what fits there, and of the first chunk. Returns
 * how many bytes.
 */
export function readStart(arena: Arena, ref: Ref, to: Area): number {
  findPart(arena, source, ref, 0)
  const length = arena.words[ref + L.ITEM_VALUE_BYTES]
  const bytes = Math.min(length, source.end - source.start, to.bytes.length)
  copyBytes(arena.area, source.start, to, 0, bytes)
  return bytes
}

/** Copies the whole value in. */
export function writeValue(arena: Arena, ref: Ref, from: Area, fromStart: number): void {
  const length = arena.words[ref + L.ITEM_VALUE_BYTES]
  if ((arena.words[ref + L.ITEM_META] & L.STATE_SPANS) === 0) {
    copyBytes(from, fromStart, arena.area, valueAt(arena, ref), length)
    return
  }
  findPart(arena, target, ref, 0)
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

/** A position in a value: the rest of the current chunk, as byte addresses. */
interface Part {
  chunk: Ref
  start: number
  end: number
}

// Walks are synchronous, so a thread needs one position to read and one to write.
const source: Part = { chunk: NIL, start: 0, end: 0 }
const target: Part = { chunk: NIL, start: 0, end: 0 }

/** Moves to the chunk with byte `offset` of a value, at that byte. */
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
