// What set, add, replace, append, prepend, cas and ms mean for an item, from the room for the new
// item to its linking, in one call or in pieces as the value arrives. Assumes the arena's lock.
//
// A new value never overwrites a visible one: it is written into a new item, and linking is the
// last step. rewrite.ts and adjust.ts have the exceptions.

import { type Area, copyBytes } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import {
  classOf,
  copyValue,
  expiryOf,
  itemBytes,
  itemFlags,
  itemTotalBytes,
  keyAt,
  keyBytesOf,
  nextChunk,
  setExpiry,
  valueBytesOf,
  writeOptional,
  writeValue,
} from '../items/item.ts'
import {
  findReplaced,
  flushIfDue,
  freeItem,
  linkItem,
  replaceItem,
  unlinkItem,
} from '../items/links.ts'
import { refreshItem } from '../items/lru.ts'
import { type Place, stand } from '../items/place.ts'
import { holdUpload, mayUpload } from '../items/shares.ts'
import { findItem } from '../items/table.ts'
import { allocateItem, growItem, isRoomWanted } from '../room/allocate.ts'
import { Mode, Status } from '../status.ts'
import type { Ask } from './ask.ts'
import { likeSuccessor, succeed } from './successor.ts'
import {
  casIs,
  casMatches,
  compareCas,
  expiryOfStore,
  findAsked,
  isJoin,
  itemFits,
  metaOfStore,
  settle,
  stateOf,
} from './terms.ts'

/** Stores the complete value at `start` of `value`; statuses as Shard.store. */
export function storeItem(arena: Arena, ask: Ask, value: Area, start: number): Status {
  if (!fits(arena, ask)) return refuse(arena, ask, Status.TOO_LARGE)
  const ref = admit(arena, ask, false)
  if (ref === NIL) return refuseUnlessWanted(arena, ask)
  writeValue(arena, ref, value, start)
  return commitItem(arena, ask, ref)
}

/** Approximate bytes of the item that an append or a prepend will make; 0: there is no item. */
export function joinedBytes(arena: Arena, ask: Ask): number {
  const old = findItem(arena, ask.hash, ask.area, ask.keyStart, ask.keyBytes)
  return old === NIL ? 0 : itemTotalBytes(arena, old) + ask.valueBytes
}

/** As joinedBytes, for a part that has arrived. */
export function bytesJoinedBy(arena: Arena, ask: Ask, part: Ref): number {
  const keyBytes = keyBytesOf(arena, part)
  const old = findItem(arena, ask.hash, arena.area, keyAt(arena, part), keyBytes)
  return old === NIL ? 0 : itemTotalBytes(arena, old) + valueBytesOf(arena, part)
}

/** Makes room for the beginning of a value that will arrive in pieces, and holds it. */
export function beginItem(arena: Arena, ask: Ask): Status {
  if (!fits(arena, ask)) return refuse(arena, ask, Status.TOO_LARGE)
  if (!mayUpload(arena)) {
    if (ask.waits) return Status.BUSY
    arena.counters[counterAt(Counter.UPLOADS_REFUSED)]++
    return refuse(arena, ask, Status.NO_MEMORY)
  }
  const ref = admit(arena, ask, true)
  if (ref === NIL) return refuseUnlessWanted(arena, ask)
  const itemWords = (itemBytes(metaOfStore(ask), ask.valueBytes) + 3) >> 2
  if (holdUpload(arena, ref, itemWords, ask.hold)) return Status.OK
  freeItem(arena, ref)
  return refuse(arena, ask, Status.NO_MEMORY)
}

/**
 * Steps to the next chunk of an item that is being filled. False: there is no memory for it.
 */
export function extendItem(arena: Arena, ref: Ref, place: Place, valueBytes: number): boolean {
  let chunk = place.chunk === NIL ? ref : nextChunk(arena, place.chunk)
  if (chunk === NIL) {
    chunk = growItem(arena, ref, place.chunk, (place.left + 3) >> 2, valueBytes)
    if (chunk === NIL) return false
  }
  stand(arena, place, ref, chunk)
  return true
}

/** Frees an item for which there was no more memory. */
export function giveUpItem(arena: Arena, ask: Ask, ref: Ref): void {
  arena.counters[counterAt(Counter.STORE_NO_MEMORY)]++
  const old = ask.dropsOld ? findOld(arena, ask.hash, ref) : NIL
  if (old !== NIL) unlinkItem(arena, ask.hash, old)
  freeItem(arena, ref)
}

/** Links a filled item if its mode allows that, else frees it. */
export function commitItem(arena: Arena, ask: Ask, ref: Ref): Status {
  const old = findOld(arena, ask.hash, ref)
  return place(arena, ask, ask.isPlain ? ask.mode : modeOnTerms(arena, ask, old, ref), old, ref)
}

function fits(arena: Arena, ask: Ask): boolean {
  return itemFits(arena, ask.keyBytes, ask.flags, ask.valueBytes)
}

/** A new item, complete except for its value; NIL: no memory. */
function admit(arena: Arena, ask: Ask, grows: boolean): Ref {
  flushIfDue(arena)
  const ref = allocateItem(arena, metaOfStore(ask), ask.valueBytes, grows)
  if (ref === NIL) return NIL
  const at = writeOptional(arena, ref, ask.flags, expiryOfStore(ask))
  copyBytes(ask.area, ask.keyStart, arena.area, at, ask.keyBytes)
  arena.counters[classCounterAt(classOf(arena, ref), ClassCounter.SET_CMDS)]++
  return ref
}

/**
 * Counts a refusal, and deletes the item that must not stay after it. That does not count as a
 * delete.
 */
function refuse(arena: Arena, ask: Ask, status: Status): Status {
  const isTooLarge = status === Status.TOO_LARGE
  const counter = isTooLarge ? Counter.STORE_TOO_LARGE : Counter.STORE_NO_MEMORY
  arena.counters[counterAt(counter)]++
  const old = ask.dropsOld ? findAsked(arena, ask) : NIL
  if (old !== NIL) unlinkItem(arena, ask.hash, old)
  return status
}

/** Refuses a store that found no memory, unless it is repeated after room was made. */
function refuseUnlessWanted(arena: Arena, ask: Ask): Status {
  return isRoomWanted(arena) ? Status.NO_MEMORY : refuse(arena, ask, Status.NO_MEMORY)
}

/** The live item with the key of a new one. The request's own key may be gone by now. */
function findOld(arena: Arena, hash: number, ref: Ref): Ref {
  return findReplaced(arena, hash, arena.area, keyAt(arena, ref), keyBytesOf(arena, ref))
}

/** The mode of a store that is not plain, as the request's fields change it. */
function modeOnTerms(arena: Arena, ask: Ask, old: Ref, ref: Ref): Mode {
  const { words } = arena
  ask.created = old === NIL
  ask.storedBytes = valueBytesOf(arena, ref)
  if (old === NIL) return isJoin(ask.mode) && ask.creates ? Mode.SET : ask.mode
  if (ask.mode !== Mode.CAS || !ask.invalidates || !isOutdated(arena, ask, old)) return ask.mode
  arena.counters[classCounterAt(classOf(arena, old), ClassCounter.CAS_HITS)]++
  setExpiry(arena, ref, expiryOf(arena, old))
  words[ref + L.ITEM_META] |= L.STATE_STALE | (words[old + L.ITEM_META] & L.STATE_CLAIMED)
  return Mode.SET
}

/** Whether the request's CAS is older than the item's. */
function isOutdated(arena: Arena, ask: Ask, ref: Ref): boolean {
  return (ask.casHigh | ask.casLow) !== 0 && compareCas(arena, ask, ref) > 0
}

function place(arena: Arena, ask: Ask, mode: Mode, old: Ref, ref: Ref): Status {
  const status = judge(arena, ask, mode, old)
  if (status !== Status.OK) {
    freeItem(arena, ref)
    return status
  }
  if (isJoin(mode)) return join(arena, ask, old, ref)
  if (old === NIL) linkItem(arena, ask.hash, ref)
  else replaceItem(arena, ask.hash, old, ref)
  settle(arena, ask, ref)
  return Status.OK
}

/** Whether the existing item allows a store of this mode. */
function judge(arena: Arena, ask: Ask, mode: Mode, old: Ref): Status {
  const { counters } = arena
  if (mode === Mode.SET) return Status.OK
  if (mode === Mode.ADD) {
    if (old !== NIL) refreshItem(arena, old)
    return old === NIL ? Status.OK : Status.NOT_STORED
  }
  if (mode === Mode.FILL) {
    return old === NIL && !isOvertaken(arena, ask) ? Status.OK : Status.NOT_STORED
  }
  if (mode !== Mode.CAS) {
    if (old === NIL) return Status.NOT_STORED
    // As in memcached, items without a CAS are appended to whatever CAS is requested.
    if (arena.words[L.CAS_SHOWN] === 0) return Status.OK
    return casMatches(arena, ask, old) ? Status.OK : Status.EXISTS
  }
  if (old === NIL) {
    counters[counterAt(Counter.CAS_MISSES)]++
    return Status.MISS
  }
  const same = casIs(arena, ask, old)
  const counter = same ? ClassCounter.CAS_HITS : ClassCounter.CAS_BADVAL
  counters[classCounterAt(classOf(arena, old), counter)]++
  return same ? Status.OK : Status.EXISTS
}

/** Whether clients changed the key of a fill since it began. */
function isOvertaken(arena: Arena, { changed, hash, flushes }: Ask): boolean {
  return changed !== null && (changed.has(hash) || arena.words[L.FLUSHES] !== flushes)
}

/** Replaces `old` by its value and the value of `part`, in the mode's order; frees `part`. */
function join(arena: Arena, ask: Ask, old: Ref, part: Ref): Status {
  const oldBytes = valueBytesOf(arena, old)
  const partBytes = valueBytesOf(arena, part)
  const whole = likeSuccessor(arena, old, oldBytes + partBytes, stateOf(ask))
  if (whole !== NIL) {
    const isAppend = ask.mode === Mode.APPEND
    copyValue(arena, old, oldBytes, whole, isAppend ? 0 : partBytes)
    copyValue(arena, part, partBytes, whole, isAppend ? oldBytes : 0)
    succeed(arena, ask.hash, old, whole)
    settle(arena, ask, whole)
  }
  const isRepeated = whole === NIL && isRoomWanted(arena)
  if (isRepeated) arena.counters[classCounterAt(classOf(arena, part), ClassCounter.SET_CMDS)]--
  freeItem(arena, part)
  if (whole !== NIL) return Status.OK
  if (isRepeated) return Status.NO_MEMORY
  // As memcached answers a value that gets too long.
  const fitting = itemFits(
    arena,
    keyBytesOf(arena, old),
    itemFlags(arena, old),
    oldBytes + partBytes,
  )
  return fitting ? refuse(arena, ask, Status.NO_MEMORY) : Status.NOT_STORED
}
