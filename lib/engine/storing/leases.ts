// Items on terms: what the meta commands ask beyond the classic ones. Assumes the arena's lock.
//
// An item may be stale: it is out of date but still served, until somebody stores it anew. Of all
// the peers that fetch such an item, or one that is about to end, or one that was made on a miss, a
// single one wins: it is the one to make the value anew, and STATE_CLAIMED says to the others that
// somebody does. A new value clears both states, for it is a new item.
//
// A peer may choose an item's CAS: it stands in words of its own beside the number that the arena
// gave the item, which is what tells what a flush ends.

import type { Area } from '../../bytes/area.ts'
import { u64 } from '../../bytes/decimal.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { casHighOf, casLowOf, chosenCasAt, endOf, setEnd } from '../items/item.ts'
import { findLive, lastCas, linkItem, renewCas, unlinkItem } from '../items/links.ts'
import { bumpItem, countHit } from '../items/lru.ts'
import { allocateItem } from '../room/allocate.ts'
import { Mode, Status } from '../status.ts'
import {
  addNumber,
  adjustItem,
  copyItem,
  findOld,
  isJoin,
  placed,
  placeItem,
  succeed,
  successor,
} from './storing.ts'
import type { Terms } from './terms.ts'

/** The live item; where there is none and the terms want one, a new one without a value; or NIL. */
export function findOrCreate(
  arena: Arena,
  hash: number,
  key: Area,
  start: number,
  length: number,
  terms: Terms,
): Ref {
  let ref = findLive(arena, hash, key, start, length)
  terms.created = false
  if (ref === NIL && terms.creates) {
    ref = allocateItem(arena, key, start, length, 0, endOfCreated(terms), 0, stateOf(terms))
    if (ref !== NIL) {
      linkItem(arena, hash, ref)
      giveCas(arena, ref, terms)
      terms.created = true
    }
  }
  if (ref === NIL) arena.counters[counterAt(Counter.GET_MISSES)]++
  return ref
}

/** Finds out what a fetch is to be told of an item; changes nothing of it. */
export function judgeFetch(arena: Arena, ref: Ref, terms: Terms): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  terms.wasClaimed = (meta & L.STATE_CLAIMED) !== 0
  terms.wasStale = (meta & L.STATE_STALE) !== 0
  terms.endedAtS = terms.created ? 0 : endOf(arena, ref)
  const endsAtS = terms.touches && terms.recachesTouched ? terms.touchAtS : terms.endedAtS
  const endsSoon = terms.recaches && endsAtS !== 0 && endsAtS < terms.recacheAtS
  terms.won = terms.created || (!terms.wasClaimed && (terms.wasStale || endsSoon))
}

/** The fetch has taken place: gives the item its new end and its claim, counts and bumps. */
export function settleFetch(arena: Arena, ref: Ref, terms: Terms): void {
  const { words, counters } = arena
  const classId = L.metaClass(words[ref + L.ITEM_META])
  if (terms.created && terms.createsAsMiss) counters[counterAt(Counter.GET_MISSES)]++
  else if (terms.touches) counters[classCounterAt(classId, ClassCounter.TOUCH_HITS)]++
  else countHit(arena, ref)
  if (terms.touches && !terms.created) setEnd(arena, ref, terms.touchAtS)
  if (terms.won) words[ref + L.ITEM_META] |= L.STATE_CLAIMED
  if (terms.bumps) bumpItem(arena, ref)
}

/** Deletes an item, marks it stale or takes its value away: OK, MISS, EXISTS or NO_MEMORY. */
export function removeOnTerms(
  arena: Arena,
  hash: number,
  key: Area,
  start: number,
  length: number,
  terms: Terms,
): Status {
  const { words, counters } = arena
  let ref = findLive(arena, hash, key, start, length)
  if (ref === NIL || (terms.compares && compareCas(arena, ref, terms) !== 0)) {
    counters[counterAt(Counter.DELETE_MISSES)]++
    return ref === NIL ? Status.MISS : Status.EXISTS
  }
  if (terms.clears) {
    ref = clearItem(arena, hash, ref, terms)
    if (ref === NIL) return Status.NO_MEMORY
  }
  if (terms.invalidates) return invalidateItem(arena, hash, ref, terms)
  const classId = L.metaClass(words[ref + L.ITEM_META])
  counters[classCounterAt(classId, ClassCounter.DELETE_HITS)]++
  if (!terms.clears) unlinkItem(arena, hash, ref)
  return Status.OK
}

/** As commitItem, on terms. */
export function commitOnTerms(arena: Arena, hash: number, ref: Ref, terms: Terms): Status {
  const { words } = arena
  const old = findOld(arena, hash, ref)
  let { mode } = terms
  terms.created = old === NIL
  terms.valueBytes = words[ref + L.ITEM_VALUE_BYTES]
  if (old === NIL) {
    if (isJoin(mode) && terms.creates) mode = Mode.SET
  } else if (mode === Mode.CAS && terms.invalidates && isOutdated(arena, old, terms)) {
    mode = Mode.SET
    const classId = L.metaClass(words[old + L.ITEM_META])
    arena.counters[classCounterAt(classId, ClassCounter.CAS_HITS)]++
    setEnd(arena, ref, endOf(arena, old))
    words[ref + L.ITEM_META] |= L.STATE_STALE | (words[old + L.ITEM_META] & L.STATE_CLAIMED)
  }
  const { casHigh, casLow } = terms
  const status = placeItem(arena, mode, hash, old, ref, casHigh, casLow, stateOf(terms))
  if (status === Status.OK) {
    giveCas(arena, placed, terms)
    terms.valueBytes = words[placed + L.ITEM_VALUE_BYTES]
  }
  return status
}

/** As adjustItem, on terms; MISS where there is no item and none is wanted. */
export function adjustOnTerms(
  arena: Arena,
  hash: number,
  key: Area,
  start: number,
  length: number,
  subtract: boolean,
  high: number,
  low: number,
  initialHigh: number,
  initialLow: number,
  terms: Terms,
): Status {
  const ref = findLive(arena, hash, key, start, length)
  const state = stateOf(terms)
  let status: Status
  terms.created = ref === NIL
  terms.endedAtS = 0
  if (ref !== NIL) {
    terms.endedAtS = endOf(arena, ref)
    const { casHigh, casLow } = terms
    status = adjustItem(arena, hash, ref, subtract, high, low, casHigh, casLow, state)
  } else {
    if (!terms.creates) {
      arena.counters[counterAt(subtract ? Counter.DECR_MISSES : Counter.INCR_MISSES)]++
      return Status.MISS
    }
    u64.high = initialHigh
    u64.low = initialLow
    status = addNumber(arena, hash, key, start, length, endOfCreated(terms), state)
  }
  if (status !== Status.OK) return status
  giveCas(arena, placed, terms)
  if (terms.touches && !terms.created) setEnd(arena, placed, terms.touchAtS)
  return Status.OK
}

/** State bits of an item made on these terms, for all that may still be written into it. */
export function stateOf(terms: Terms): number {
  const state = terms.keyBinary ? L.STATE_KEY_BINARY : 0
  return state | wordsOf(terms) | (terms.invalidates ? L.STATE_ENDS : 0)
}

/** Whether a store on these terms is one that the classic commands know too. */
export function isPlainSet(terms: Terms): boolean {
  return terms.mode === Mode.SET && stateOf(terms) === 0
}

/** State bits of the optional words that an item needs for what the terms write into it. */
function wordsOf(terms: Terms): number {
  return (choosesCas(terms) ? L.STATE_CHOSEN_CAS : 0) | (terms.touches ? L.STATE_ENDS : 0)
}

function choosesCas(terms: Terms): boolean {
  return (terms.newCasHigh | terms.newCasLow) !== 0
}

function endOfCreated(terms: Terms): number {
  return terms.touches && terms.touchesCreated ? terms.touchAtS : terms.createAtS
}

/** Gives an item with words for it the CAS that the terms choose, if they do. */
function giveCas(arena: Arena, ref: Ref, terms: Terms): void {
  if (!choosesCas(terms)) return
  const { words } = arena
  words[chosenCasAt(arena, ref)] = terms.newCasLow
  words[chosenCasAt(arena, ref) + 1] = terms.newCasHigh
  lastCas.high = casHighOf(arena, ref)
  lastCas.low = casLowOf(arena, ref)
}

/** The item's CAS beside the one that the terms ask for: below 0, 0 or above. */
function compareCas(arena: Arena, ref: Ref, terms: Terms): number {
  const high = (casHighOf(arena, ref) >>> 0) - (terms.casHigh >>> 0)
  return high !== 0 ? high : (casLowOf(arena, ref) >>> 0) - (terms.casLow >>> 0)
}

/** Whether the terms name a CAS that is older than the item's. */
function isOutdated(arena: Arena, ref: Ref, terms: Terms): boolean {
  return (terms.casHigh | terms.casLow) !== 0 && compareCas(arena, ref, terms) > 0
}

/** Marks an item stale, with a new CAS, so that the next peer that fetches it wins. */
function invalidateItem(arena: Arena, hash: number, old: Ref, terms: Terms): Status {
  const { words } = arena
  let ref = old
  const wanted = wordsOf(terms)
  if ((wanted & ~words[old + L.ITEM_META]) !== 0) {
    ref = copyItem(arena, hash, old, wanted)
    if (ref === NIL) return Status.NO_MEMORY
  }
  if (terms.touches) setEnd(arena, ref, terms.touchAtS)
  words[ref + L.ITEM_META] = (words[ref + L.ITEM_META] | L.STATE_STALE) & ~L.STATE_CLAIMED
  renewCas(arena, ref)
  giveCas(arena, ref, terms)
  return Status.OK
}

/** Puts an item without a value in the place of another; it keeps the CAS unless one is chosen. */
function clearItem(arena: Arena, hash: number, old: Ref, terms: Terms): Ref {
  const { words } = arena
  const cas = words[old + L.ITEM_CAS]
  const chosen = words[old + L.ITEM_META] & L.STATE_CHOSEN_CAS
  const chosenLow = chosen === 0 ? 0 : words[chosenCasAt(arena, old)]
  const chosenHigh = chosen === 0 ? 0 : words[chosenCasAt(arena, old) + 1]
  const endsAtS = terms.touches ? terms.touchAtS : 0
  const ref = successor(arena, old, terms.flags, endsAtS, 0, stateOf(terms) | chosen)
  if (ref === NIL) return NIL
  succeed(arena, hash, old, ref)
  words[ref + L.ITEM_CAS] = cas
  if (chosen !== 0) {
    words[chosenCasAt(arena, ref)] = chosenLow
    words[chosenCasAt(arena, ref) + 1] = chosenHigh
  }
  giveCas(arena, ref, terms)
  return ref
}
