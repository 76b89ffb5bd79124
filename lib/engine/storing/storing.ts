// Storing: from room for a new item to the item that its key finds, in all modes of a store, and
// numbers counted up and down. Assumes the arena's lock.
//
// A new value never overwrites an old one that can be seen: it is written into an item of its own,
// and linking that is the last step. Only numbers that keep their length are written in place.

import type { Area } from '../../bytes/area.ts'
import { addU64, digitsOfU64, parseU64, printU64, subtractU64 } from '../../bytes/decimal.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { lockHolder } from '../arena/lock.ts'
import { isHeld, NO_SLOT, takeHold } from '../items/holds.ts'
import {
  casHighOf,
  casLowOf,
  copyValue,
  endOf,
  itemFlags,
  keyAt,
  nextChunk,
  valueAt,
} from '../items/item.ts'
import {
  findLive,
  flushIfDue,
  freeItem,
  linkItem,
  releaseHold,
  relocateItem,
  renewCas,
  replaceItem,
  unlinkItem,
} from '../items/links.ts'
import { refreshItem } from '../items/lru.ts'
import { type Place, stand } from '../items/place.ts'
import { allocateItem, growItem } from '../room/allocate.ts'
import { Mode, Status } from '../status.ts'

/** A number that is copied to an item with more optional words keeps its padding up to this length. */
const NUMBER_PADDED_BYTES_MAX = 64

/** What memcached counts for an item beside flags, key and value, bytes; -I is measured so. */
const MEMCACHED_ITEM_BYTES = 59
const BLANK = 32

// Second results of `admitItem`, of what links an item, and of `successor`: taken before anything
// else runs.
export let admitted: Ref = NIL
export let placed: Ref = NIL
let successorSlot = NO_SLOT

/**
 * Allocates a new item, `admitted`, its key written; after a refusal a SET's old item is gone.
 * `state`: item.ts; `grows`: allocateItem.
 */
export function admitItem(
  arena: Arena,
  mode: Mode,
  hash: number,
  key: Area,
  start: number,
  length: number,
  flags: number,
  expiresAtS: number,
  valueBytes: number,
  state: number,
  grows = false,
): Status {
  if (!itemFits(arena, length, flags, valueBytes)) {
    return refuseStore(arena, mode, hash, key, start, length, Status.TOO_LARGE)
  }
  flushIfDue(arena)
  admitted = allocateItem(arena, key, start, length, flags, expiresAtS, valueBytes, state, grows)
  if (admitted !== NIL) {
    const classId = L.metaClass(arena.words[admitted + L.ITEM_META])
    arena.counters[classCounterAt(classId, ClassCounter.SET_CMDS)]++
    return Status.OK
  }
  return refuseStore(arena, mode, hash, key, start, length, Status.NO_MEMORY)
}

/** Counts a refusal; after it nothing stale may stay where a SET was wanted. */
export function refuseStore(
  arena: Arena,
  mode: Mode,
  hash: number,
  key: Area,
  start: number,
  length: number,
  status: Status,
): Status {
  const tooLarge = status === Status.TOO_LARGE
  const counter = tooLarge ? Counter.STORE_TOO_LARGE : Counter.STORE_NO_MEMORY
  arena.counters[counterAt(counter)]++
  if (mode === Mode.SET) dropStale(arena, hash, key, start, length)
  return status
}

/** Ends the item that a refused store would have replaced; nobody asked for that, so none counts it. */
export function dropStale(
  arena: Arena,
  hash: number,
  key: Area,
  start: number,
  length: number,
): void {
  const old = findLive(arena, hash, key, start, length)
  if (old !== NIL) unlinkItem(arena, hash, old)
}

/** Steps to the next chunk of an item that is being filled; false where there is no memory for it. */
export function extendItem(arena: Arena, ref: Ref, place: Place, valueBytes: number): boolean {
  let chunk = place.chunk === NIL ? ref : nextChunk(arena, place.chunk)
  if (chunk === NIL) {
    chunk = growItem(arena, ref, place.chunk, (place.left + 3) >> 2, valueBytes)
    if (chunk === NIL) return false
  }
  stand(arena, place, ref, chunk)
  return true
}

/** Frees an item that found no memory to grow; `dropsOld`: the one that it was to replace ends too. */
export function giveUpItem(arena: Arena, hash: number, ref: Ref, dropsOld: boolean): void {
  arena.counters[counterAt(Counter.STORE_NO_MEMORY)]++
  const old = dropsOld ? findOld(arena, hash, ref) : NIL
  if (old !== NIL) unlinkItem(arena, hash, old)
  freeItem(arena, ref)
}

/** Links a filled item if its mode allows, else frees it. */
export function commitItem(
  arena: Arena,
  mode: Mode,
  hash: number,
  ref: Ref,
  casHigh: number,
  casLow: number,
): Status {
  return placeItem(arena, mode, hash, findOld(arena, hash, ref), ref, casHigh, casLow, 0)
}

/** The live item that has the key of a new one. */
export function findOld(arena: Arena, hash: number, ref: Ref): Ref {
  const keyBytes = L.metaKeyBytes(arena.words[ref + L.ITEM_META])
  return findLive(arena, hash, arena.area, keyAt(arena, ref), keyBytes)
}

/** As commitItem, where `old` is known; an item that a join makes begins with `state`. */
export function placeItem(
  arena: Arena,
  mode: Mode,
  hash: number,
  old: Ref,
  ref: Ref,
  casHigh: number,
  casLow: number,
  state: number,
): Status {
  const status = judge(arena, mode, old, casHigh, casLow)
  if (status !== Status.OK) {
    freeItem(arena, ref)
    return status
  }
  if (isJoin(mode)) return join(arena, mode, hash, old, ref, state)
  if (old === NIL) linkItem(arena, hash, ref)
  else replaceItem(arena, hash, old, ref)
  placed = ref
  return Status.OK
}

export function isJoin(mode: Mode): boolean {
  return mode === Mode.APPEND || mode === Mode.PREPEND
}

/** Whether an item has the CAS asked for; 0 asks for none. */
export function casMatches(arena: Arena, ref: Ref, casHigh: number, casLow: number): boolean {
  return (casHigh | casLow) === 0 || casIs(arena, ref, casHigh, casLow)
}

function casIs(arena: Arena, ref: Ref, casHigh: number, casLow: number): boolean {
  if (arena.words[L.CAS_SHOWN] === 0) return false
  return casLowOf(arena, ref) === casLow && casHighOf(arena, ref) === casHigh
}

/**
 * Adds (high, low) of decimal.ts to an item's number, or subtracts it, if the item has the CAS asked
 * for: OK with the result in u64, EXISTS, NON_NUMERIC or NO_MEMORY. `state`: of
 * STATE_CHOSEN_CAS and STATE_ENDS, those whose words the item has to have afterwards.
 */
export function adjustItem(
  arena: Arena,
  hash: number,
  ref: Ref,
  subtract: boolean,
  high: number,
  low: number,
  casHigh: number,
  casLow: number,
  state: number,
): Status {
  // As in memcached the CAS is looked at before the value, but not where there is none.
  if (arena.words[ref + L.ITEM_VALUE_BYTES] === 0) return Status.NON_NUMERIC
  if (!casMatches(arena, ref, casHigh, casLow)) return Status.EXISTS
  if (!parseValue(arena, ref)) return Status.NON_NUMERIC
  if (subtract) subtractU64(high, low)
  else addU64(high, low)
  return replaceNumber(arena, hash, ref, subtract, state)
}

/** Links a new item whose value is u64 in decimal. No other has this key: OK or NO_MEMORY. */
export function addNumber(
  arena: Arena,
  hash: number,
  key: Area,
  start: number,
  length: number,
  expiresAtS: number,
  state: number,
): Status {
  const ref = allocateItem(arena, key, start, length, 0, expiresAtS, digitsOfU64(), state)
  if (ref === NIL) {
    arena.counters[counterAt(Counter.STORE_NO_MEMORY)]++
    return Status.NO_MEMORY
  }
  printU64(arena.area.bytes, valueAt(arena, ref))
  linkItem(arena, hash, ref)
  placed = ref
  return Status.OK
}

function parseValue(arena: Arena, ref: Ref): boolean {
  if (nextChunk(arena, ref) !== NIL) return false
  const at = valueAt(arena, ref)
  return parseU64(arena.area.bytes, at, at + arena.words[ref + L.ITEM_VALUE_BYTES])
}

/**
 * Writes u64 as the item's value: in place, padded with spaces, where it fits the old length. A new item
 * has the length of the digits, unless it is only made for a word that the old one lacks.
 */
function replaceNumber(
  arena: Arena,
  hash: number,
  ref: Ref,
  subtract: boolean,
  state: number,
): Status {
  const { words, counters } = arena
  const valueBytes = words[ref + L.ITEM_VALUE_BYTES]
  const digits = digitsOfU64()
  let target = ref
  const lacksWords = (state & ~words[ref + L.ITEM_META] & (L.STATE_CHOSEN_CAS | L.STATE_ENDS)) !== 0
  if (digits > valueBytes || lacksWords || isHeld(arena, ref)) {
    const keepsLength = digits <= valueBytes && !isHeld(arena, ref)
    const length = keepsLength && valueBytes <= NUMBER_PADDED_BYTES_MAX ? valueBytes : digits
    target = likeSuccessor(arena, ref, length, state)
    if (target === NIL) return Status.NO_MEMORY
  }
  const { bytes } = arena.area
  const at = valueAt(arena, target)
  // Should this thread die in between, recover finds the half-written number and drops it.
  words[L.REWRITING] = target === ref ? ref : NIL
  const end = printU64(bytes, at)
  bytes.fill(BLANK, end, at + words[target + L.ITEM_VALUE_BYTES])
  if (target === ref) renewCas(arena, ref)
  words[L.REWRITING] = NIL
  const counter = subtract ? ClassCounter.DECR_HITS : ClassCounter.INCR_HITS
  counters[classCounterAt(L.metaClass(words[ref + L.ITEM_META]), counter)]++
  if (target !== ref) succeed(arena, hash, ref, target)
  placed = target
  return Status.OK
}

/** Whether the item that is there lets a store of this mode happen. */
function judge(arena: Arena, mode: Mode, old: Ref, casHigh: number, casLow: number): Status {
  const { words, counters } = arena
  if (mode === Mode.SET) return Status.OK
  if (mode === Mode.ADD) {
    if (old !== NIL) refreshItem(arena, old)
    return old === NIL ? Status.OK : Status.NOT_STORED
  }
  if (mode !== Mode.CAS) {
    if (old === NIL) return Status.NOT_STORED
    // As in memcached items without a CAS are joined whatever CAS is asked for.
    if (words[L.CAS_SHOWN] === 0) return Status.OK
    return casMatches(arena, old, casHigh, casLow) ? Status.OK : Status.EXISTS
  }
  if (old === NIL) {
    counters[counterAt(Counter.CAS_MISSES)]++
    return Status.MISS
  }
  const at = classCounterAt(L.metaClass(words[old + L.ITEM_META]), 0)
  const same = casIs(arena, old, casHigh, casLow)
  counters[at + (same ? ClassCounter.CAS_HITS : ClassCounter.CAS_BADVAL)]++
  return same ? Status.OK : Status.EXISTS
}

/** Replaces `old` by its value and the value of `part`, in the mode's order; frees `part`. */
function join(arena: Arena, mode: Mode, hash: number, old: Ref, part: Ref, state: number): Status {
  const { words } = arena
  const oldBytes = words[old + L.ITEM_VALUE_BYTES]
  const partBytes = words[part + L.ITEM_VALUE_BYTES]
  const whole = likeSuccessor(arena, old, oldBytes + partBytes, state)
  if (whole !== NIL) {
    copyValue(arena, old, oldBytes, whole, mode === Mode.APPEND ? 0 : partBytes)
    copyValue(arena, part, partBytes, whole, mode === Mode.APPEND ? oldBytes : 0)
    succeed(arena, hash, old, whole)
  }
  placed = whole
  freeItem(arena, part)
  return whole === NIL ? Status.NOT_STORED : Status.OK
}

/** A new item with the flags and end of `old`; see successor. */
function likeSuccessor(arena: Arena, old: Ref, valueBytes: number, state: number): Ref {
  return successor(arena, old, itemFlags(arena, old), endOf(arena, old), valueBytes, state)
}

/**
 * A new item with the key of `old`, and the way in which that is written, and room for another value;
 * NIL if none fits. To be filled and given to `succeed`.
 */
export function successor(
  arena: Arena,
  old: Ref,
  flags: number,
  expiresAtS: number,
  valueBytes: number,
  state: number,
): Ref {
  const { words } = arena
  const meta = words[old + L.ITEM_META]
  const keyBytes = L.metaKeyBytes(meta)
  if (!itemFits(arena, keyBytes, flags, valueBytes)) return NIL
  // Held, for the allocation may choose the old item as its victim.
  const slot = takeHold(arena, old, lockHolder(words))
  if (slot === NO_SLOT) return NIL
  const ref = allocateItem(
    arena,
    arena.area,
    keyAt(arena, old),
    keyBytes,
    flags,
    expiresAtS,
    valueBytes,
    state | (meta & L.STATE_KEY_BINARY),
  )
  if (ref === NIL) releaseHold(arena, slot)
  else successorSlot = slot
  return ref
}

/** Links what `successor` made in place of `old`. */
export function succeed(arena: Arena, hash: number, old: Ref, ref: Ref): void {
  replaceItem(arena, hash, old, ref)
  releaseHold(arena, successorSlot)
}

/** Puts an item with the same contents, but with `state`, in the place of `old`; NIL: no memory. */
export function copyItem(arena: Arena, hash: number, old: Ref, state: number): Ref {
  const { words } = arena
  const valueBytes = words[old + L.ITEM_VALUE_BYTES]
  const ref = likeSuccessor(arena, old, valueBytes, state)
  if (ref === NIL) return NIL
  copyValue(arena, old, valueBytes, ref, 0)
  const hits = words[old + L.ITEM_META] & (L.STATE_FETCHED | L.STATE_ACTIVE)
  succeed(arena, hash, old, ref)
  words[ref + L.ITEM_META] |= hits
  return ref
}

/**
 * Makes an item ready to be told that it ends at `expiresAtS`: where it has no word for an end, a
 * copy that has one takes its place. The item, or its copy; NIL where there is no memory for that.
 */
export function readyToEnd(arena: Arena, hash: number, old: Ref, expiresAtS: number): Ref {
  const meta = arena.words[old + L.ITEM_META]
  if (expiresAtS === 0 || (meta & L.STATE_ENDS) !== 0) return old
  const valueBytes = arena.words[old + L.ITEM_VALUE_BYTES]
  const ref = likeSuccessor(arena, old, valueBytes, L.STATE_ENDS | (meta & L.STATE_CHOSEN_CAS))
  if (ref === NIL) return NIL
  copyValue(arena, old, valueBytes, ref, 0)
  relocateItem(arena, hash, old, ref)
  releaseHold(arena, successorSlot)
  return ref
}

/** Whether memcached would take an item of this size at the same -I. */
export function itemFits(
  arena: Arena,
  keyBytes: number,
  flags: number,
  valueBytes: number,
): boolean {
  const bytes = MEMCACHED_ITEM_BYTES + keyBytes + (flags === 0 ? 0 : 4) + valueBytes
  return bytes <= arena.words[L.ITEM_BYTES_LIMIT]
}
