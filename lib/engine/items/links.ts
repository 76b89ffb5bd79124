// The life of an item between allocation and free: linking, expiry and flush, unlinking. Assumes
// the arena's lock. An item is served only while it is linked. Its chunks are freed once it is
// neither linked nor held.

import type { Area } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { giveChunk } from '../chunks/slabs.ts'
import { SWEEP_WAIT_S } from '../limits.ts'
import { takeGhost } from './ghosts.ts'
import { dropHold, isHeld } from './holds.ts'
import {
  chosenCasAt,
  expiryOf,
  itemTotalBytes,
  nextChunk,
  sequenceHighOf,
  sizeSlot,
} from './item.ts'
import { pushHead, removeFromList, setList, takePlace } from './lru.ts'
import { ruleOf } from './rules.ts'
import { findItem, hashOfItem, insertItem, removeItem, swapItem } from './table.ts'
import { touchNew } from './uses.ts'

const KEPT_STATES = L.STATE_FETCHED | L.STATE_ACTIVE | L.STATE_STALE | L.STATE_CLAIMED

/** Links an item under its key, with a new CAS. No other item has this key. */
export function linkItem(arena: Arena, hash: number, ref: Ref): void {
  prepareLink(arena, ref)
  welcomeBack(arena, hash, ref)
  insertItem(arena, hash, ref)
  pushHead(arena, ref)
}

/** As linkItem, in place of the item with the key, which is unlinked. */
export function replaceItem(arena: Arena, hash: number, old: Ref, ref: Ref): void {
  countSize(arena, old, -1)
  removeFromList(arena, old)
  arena.words[old + L.ITEM_META] &= ~L.STATE_LINKED
  prepareLink(arena, ref)
  swapItem(arena, hash, old, ref)
  pushHead(arena, ref)
  if (!isHeld(arena, old)) freeItem(arena, old)
}

/**
 * Replaces an item by a copy that looks the same to every peer: CAS and states stay, and its place
 * in the list unless the copy is of another class. The copy is filled; its key and its state of
 * optional words are written.
 */
export function relocateItem(arena: Arena, hash: number, old: Ref, ref: Ref): void {
  const { words } = arena
  const meta = words[old + L.ITEM_META]
  const staysInClass = L.metaClass(words[ref + L.ITEM_META]) === L.metaClass(meta)
  countSize(arena, old, -1)
  words[ref + L.ITEM_META] |= L.STATE_LINKED | (meta & KEPT_STATES)
  setList(arena, ref, L.metaList(meta))
  if (staysInClass) takePlace(arena, old, ref)
  else removeFromList(arena, old)
  words[old + L.ITEM_META] &= ~L.STATE_LINKED
  words[ref + L.ITEM_TOUCHED] = words[old + L.ITEM_TOUCHED]
  words[ref + L.ITEM_CAS] = words[old + L.ITEM_CAS]
  if ((words[ref + L.ITEM_META] & L.STATE_CHOSEN_CAS) !== 0) {
    words[chosenCasAt(arena, ref)] = words[chosenCasAt(arena, old)]
    words[chosenCasAt(arena, ref) + 1] = words[chosenCasAt(arena, old) + 1]
  }
  countSize(arena, ref, 1)
  swapItem(arena, hash, old, ref)
  if (!staysInClass) pushHead(arena, ref)
  if (!isHeld(arena, old)) freeItem(arena, old)
}

/** Unlinks an item: its key misses from now on, and its chunks are freed unless it is held. */
export function unlinkItem(arena: Arena, hash: number, ref: Ref): void {
  const { words } = arena
  countSize(arena, ref, -1)
  removeFromList(arena, ref)
  removeItem(arena, hash, ref)
  words[ref + L.ITEM_META] &= ~L.STATE_LINKED
  if (!isHeld(arena, ref)) freeItem(arena, ref)
}

/** Frees all chunks of an item that is neither linked nor held. */
export function freeItem(arena: Arena, ref: Ref): void {
  for (let chunk = ref; chunk !== NIL; ) {
    const next = nextChunk(arena, chunk)
    giveChunk(arena, L.metaClass(arena.words[chunk + L.ITEM_META]), chunk)
    chunk = next
  }
}

/** Releases a hold and frees its item if it is not linked or held otherwise. */
export function releaseHold(arena: Arena, slot: number): void {
  const ref = dropHold(arena, slot)
  const linked = (arena.words[ref + L.ITEM_META] & L.STATE_LINKED) !== 0
  if (!linked && !isHeld(arena, ref)) freeItem(arena, ref)
}

/** The live item with this key; NIL if there is none. A dead one is unlinked. */
export function findLive(
  arena: Arena,
  hash: number,
  key: Area,
  keyStart: number,
  keyBytes: number,
): Ref {
  flushIfDue(arena)
  const ref = findItem(arena, hash, key, keyStart, keyBytes)
  if (ref === NIL) return NIL
  const flushed = isFlushed(arena, ref)
  if (!flushed && !isExpired(arena, ref)) return ref
  const counter = flushed ? Counter.GET_FLUSHED : Counter.GET_EXPIRED
  arena.counters[counterAt(counter)]++
  unlinkItem(arena, hash, ref)
  return NIL
}

/** As `findLive`, for a store: a dead item counts as reclaimed for the new one. */
export function findReplaced(
  arena: Arena,
  hash: number,
  key: Area,
  keyStart: number,
  keyBytes: number,
): Ref {
  flushIfDue(arena)
  const ref = findItem(arena, hash, key, keyStart, keyBytes)
  if (ref === NIL || !isDead(arena, ref)) return ref
  const classId = L.metaClass(arena.words[ref + L.ITEM_META])
  arena.counters[classCounterAt(classId, ClassCounter.RECLAIMED)]++
  return findLive(arena, hash, key, keyStart, keyBytes)
}

/** Whether an item has expired or was flushed, though it may still be linked. */
export function isDead(arena: Arena, ref: Ref): boolean {
  return isExpired(arena, ref) || isFlushed(arena, ref)
}

/** Unlinks a dead item whose memory is wanted. */
export function reclaimItem(arena: Arena, ref: Ref): void {
  const classId = L.metaClass(arena.words[ref + L.ITEM_META])
  arena.counters[classCounterAt(classId, ClassCounter.RECLAIMED)]++
  expireItem(arena, ref)
}

/** Unlinks a dead item. */
export function expireItem(arena: Arena, ref: Ref): void {
  const meta = arena.words[ref + L.ITEM_META]
  if ((meta & L.STATE_FETCHED) === 0) {
    arena.counters[classCounterAt(L.metaClass(meta), ClassCounter.EXPIRED_UNFETCHED)]++
  }
  unlinkItem(arena, hashOfItem(arena, ref), ref)
}

/** Gives an item the next number of the arena's CAS sequence. */
export function renewCas(arena: Arena, ref: Ref): void {
  const { words } = arena
  const step = words[L.CAS_STEP]
  const low = (words[L.CAS_LOW] + step) | 0
  words[L.CAS_LOW] = low
  if (low >>> 0 < step) words[L.CAS_HIGH]++
  words[ref + L.ITEM_CAS] = low
  if ((words[ref + L.ITEM_META] & L.STATE_CHOSEN_CAS) !== 0) {
    words[chosenCasAt(arena, ref)] = low
    words[chosenCasAt(arena, ref) + 1] = words[L.CAS_HIGH]
  }
}

/** Flushes all items stored so far, once the clock reaches `atS`. */
export function scheduleFlush(arena: Arena, atS: number): void {
  flushIfDue(arena)
  arena.words[L.FLUSH_AT_S] = Math.max(1, atS)
  flushIfDue(arena)
}

/** Executes a flush that is due. */
export function flushIfDue(arena: Arena): void {
  const { words } = arena
  if (words[L.FLUSH_AT_S] === 0 || words[L.FLUSH_AT_S] > words[L.CLOCK_S]) return
  if (words[L.SWEEP_AT_S] === 0) words[L.SWEEP_AT_S] = words[L.CLOCK_S] + SWEEP_WAIT_S
  words[L.FLUSHED_CAS_LOW] = words[L.CAS_LOW]
  words[L.FLUSHED_CAS_HIGH] = words[L.CAS_HIGH]
  words[L.FLUSH_AT_S] = 0
  words[L.FLUSHES]++
  words[L.PROBE_AT_S] = 0
}

/** Whether an item has expired. */
export function isExpired(arena: Arena, ref: Ref): boolean {
  const atS = expiryOf(arena, ref)
  return atS !== 0 && atS <= arena.words[L.CLOCK_S]
}

/** Whether an item was flushed. */
export function isFlushed(arena: Arena, ref: Ref): boolean {
  const { words } = arena
  if ((words[L.FLUSHED_CAS_LOW] | words[L.FLUSHED_CAS_HIGH]) === 0) return false
  const high = sequenceHighOf(arena, ref)
  const flushedHigh = words[L.FLUSHED_CAS_HIGH]
  if (high !== flushedHigh) return high < flushedHigh
  return words[ref + L.ITEM_CAS] >>> 0 <= words[L.FLUSHED_CAS_LOW] >>> 0
}

function prepareLink(arena: Arena, ref: Ref): void {
  const { words, counters } = arena
  words[ref + L.ITEM_META] |= L.STATE_LINKED
  setList(arena, ref, firstListOf(arena, expiryOf(arena, ref)))
  touchNew(words, ref)
  renewCas(arena, ref)
  counters[counterAt(Counter.TOTAL_ITEMS)]++
  countSize(arena, ref, 1)
}

/** By worth: a key that was evicted not long ago needs no probation. */
function welcomeBack(arena: Arena, hash: number, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  if (!ruleOf(words).byWorth || L.metaList(meta) !== L.LIST_COLD) return
  if (!takeGhost(arena, hash, L.metaClass(meta))) return
  setList(arena, ref, L.LIST_WARM)
  words[ref + L.ITEM_META] |= L.STATE_ACTIVE
}

/** The list in which a new item begins that expires at that time. */
export function firstListOf({ words }: Arena, endsAtS: number): number {
  const endsSoon = endsAtS !== 0 && endsAtS - words[L.CLOCK_S] <= words[L.LRU_TEMPORARY_TTL_S]
  if (endsSoon && words[L.LRU_TEMPORARY_TTL_S] > 0) return L.LIST_TEMP
  return ruleOf(words).isSegmented ? L.LIST_HOT : L.LIST_COLD
}

/** Adds an item to the size counts of its class, or removes it. */
export function countSize(arena: Arena, ref: Ref, sign: number): void {
  const { words, counters } = arena
  const classId = L.metaClass(words[ref + L.ITEM_META])
  const at = classCounterAt(classId, ClassCounter.MEM_REQUESTED)
  counters[at] += sign * itemTotalBytes(arena, ref)
  if (words[L.SIZE_SLOTS] > 0) words[arena.sizesAt + sizeSlot(arena, ref)] += sign
}
