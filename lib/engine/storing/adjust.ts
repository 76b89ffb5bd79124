// What incr, decr and ma mean for an item: add to or subtract from its value, a decimal number of
// 64 bits. Assumes the arena's lock.
//
// Besides those of rewrite.ts, a number that keeps its length is the only value written in place.
// REWRITING names its item until the number is complete: see rewrite.ts.

import {
  addU64,
  digitsOfU64,
  parseU64,
  printU64,
  setU64,
  subtractU64,
  u64,
} from '../../bytes/decimal.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { isHeld } from '../items/holds.ts'
import {
  classOf,
  expiryOf,
  newMeta,
  nextChunk,
  setExpiry,
  valueAt,
  valueBytesOf,
  writeKey,
} from '../items/item.ts'
import { linkItem, renewCas } from '../items/links.ts'
import { allocateItem, isRoomWanted } from '../room/allocate.ts'
import { Status } from '../status.ts'
import type { Ask } from './ask.ts'
import { likeSuccessor, succeed } from './successor.ts'
import { casMatches, expiryOfCreated, findAsked, settle, stateOf } from './terms.ts'

/**
 * A number that is copied to an item with more optional words keeps its padding up to this length.
 */
const NUMBER_PADDED_BYTES_MAX = 64
const BLANK = 32

/** OK with the result in the request, MISS, EXISTS, NON_NUMERIC or NO_MEMORY. */
export function adjustItem(arena: Arena, ask: Ask): Status {
  const ref = findAsked(arena, ask)
  ask.created = ref === NIL
  ask.oldExpiresAtS = 0
  if (ref === NIL) {
    if (ask.creates) return addNumber(arena, ask)
    arena.counters[counterAt(ask.subtracts ? Counter.DECR_MISSES : Counter.INCR_MISSES)]++
    return Status.MISS
  }
  ask.oldExpiresAtS = expiryOf(arena, ref)
  // As in memcached, the CAS is compared before the value is read, but not if the request has none.
  if (valueBytesOf(arena, ref) === 0) return Status.NON_NUMERIC
  if (!casMatches(arena, ask, ref)) return Status.EXISTS
  if (!parseValue(arena, ref)) return Status.NON_NUMERIC
  if (ask.subtracts) subtractU64(ask.deltaHigh, ask.deltaLow)
  else addU64(ask.deltaHigh, ask.deltaLow)
  return replaceNumber(arena, ask, ref)
}

/** Links a new item whose value is the initial number. */
function addNumber(arena: Arena, ask: Ask): Status {
  setU64(ask.initialHigh, ask.initialLow)
  const expiresAtS = expiryOfCreated(ask)
  const digits = digitsOfU64()
  const meta = newMeta(ask.keyBytes, 0, expiresAtS, digits, stateOf(ask))
  const ref = allocateItem(arena, meta, digits)
  if (ref === NIL) {
    if (!isRoomWanted(arena)) arena.counters[counterAt(Counter.STORE_NO_MEMORY)]++
    return Status.NO_MEMORY
  }
  setExpiry(arena, ref, expiresAtS)
  writeKey(arena, ref, ask.area, ask.keyStart)
  printU64(arena.area.bytes, valueAt(arena, ref))
  linkItem(arena, ask.hash, ref)
  settleNumber(arena, ask, ref)
  return Status.OK
}

function parseValue(arena: Arena, ref: Ref): boolean {
  if (nextChunk(arena, ref) !== NIL) return false
  const at = valueAt(arena, ref)
  return parseU64(arena.area.bytes, at, at + valueBytesOf(arena, ref))
}

/**
 * Writes u64 as the item's value: in place, padded with spaces, if it fits the old length. A new
 * item has the length of the digits, unless it is made only for a word that the old one lacks.
 */
function replaceNumber(arena: Arena, ask: Ask, ref: Ref): Status {
  const { words, counters } = arena
  const target = placeForNumber(arena, ask, ref)
  if (target === NIL) return Status.NO_MEMORY
  const { bytes } = arena.area
  const at = valueAt(arena, target)
  words[L.REWRITING] = target === ref ? ref : NIL
  const end = printU64(bytes, at)
  bytes.fill(BLANK, end, at + valueBytesOf(arena, target))
  if (target === ref) renewCas(arena, ref)
  words[L.REWRITING] = NIL
  const counter = ask.subtracts ? ClassCounter.DECR_HITS : ClassCounter.INCR_HITS
  counters[classCounterAt(classOf(arena, ref), counter)]++
  if (target !== ref) succeed(arena, ask.hash, ref, target)
  settleNumber(arena, ask, target)
  return Status.OK
}

/** The item itself if u64 can be written over its value, else a successor; NIL: no memory. */
function placeForNumber(arena: Arena, ask: Ask, ref: Ref): Ref {
  const valueBytes = valueBytesOf(arena, ref)
  const digits = digitsOfU64()
  const state = stateOf(ask)
  const wanted = state & (L.STATE_CHOSEN_CAS | L.STATE_ENDS)
  const lacksWords = (wanted & ~arena.words[ref + L.ITEM_META]) !== 0
  if (digits <= valueBytes && !lacksWords && !isHeld(arena, ref)) return ref
  const keepsLength = digits <= valueBytes && !isHeld(arena, ref)
  const length = keepsLength && valueBytes <= NUMBER_PADDED_BYTES_MAX ? valueBytes : digits
  return likeSuccessor(arena, ref, length, state)
}

function settleNumber(arena: Arena, ask: Ask, ref: Ref): void {
  settle(arena, ask, ref)
  ask.numberHigh = u64.high
  ask.numberLow = u64.low
  if (!ask.isPlain && ask.touches && !ask.created) setExpiry(arena, ref, ask.expiresAtS)
}
