// Derives the numbers that the rest of this folder needs from an Ask, and writes the results of an
// operation into it. Assumes the arena's lock.

import type { Arena } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { casHighOf, casLowOf, chosenCasAt, newMeta } from '../items/item.ts'
import { findLive } from '../items/links.ts'
import { recallUses } from '../items/uses.ts'
import { Mode } from '../status.ts'
import type { Ask } from './ask.ts'

/**
 * Bytes that memcached counts for an item in addition to flags, key and value; -I includes them.
 */
const MEMCACHED_ITEM_BYTES = 59

/** The live item with the key; NIL if there is none. */
export function findAsked(arena: Arena, ask: Ask): Ref {
  return findLive(arena, ask.hash, ask.area, ask.keyStart, ask.keyBytes)
}

/** META of the item that a store creates. */
export function metaOfStore(ask: Ask): number {
  const { keyBytes, flags, valueBytes } = ask
  return newMeta(keyBytes, flags, expiryOfStore(ask), valueBytes, stateOf(ask))
}

/** When the item of a store expires; an item that append or prepend creates has its own time. */
export function expiryOfStore(ask: Ask): number {
  if (ask.isPlain || !ask.creates) return ask.expiresAtS
  return isJoin(ask.mode) ? ask.createAtS : ask.expiresAtS
}

/** When a created item expires. */
export function expiryOfCreated(ask: Ask): number {
  return ask.isPlain || !(ask.touches && ask.touchesCreated) ? ask.createAtS : ask.expiresAtS
}

/** State bits of an item created for this request, with all that may still be written into it. */
export function stateOf(ask: Ask): number {
  if (ask.isPlain) return 0
  return (ask.isKeyBinary ? L.STATE_KEY_BINARY : 0) | wordsOf(ask) | endsOf(ask.invalidates)
}

/** State bits of the optional words that an item needs for what the request writes into it. */
export function wordsOf(ask: Ask): number {
  return (choosesCas(ask) ? L.STATE_CHOSEN_CAS : 0) | endsOf(ask.touches)
}

/** Whether memcached would accept an item of this size with the same -I. */
export function itemFits(
  arena: Arena,
  keyBytes: number,
  flags: number,
  valueBytes: number,
): boolean {
  const bytes = MEMCACHED_ITEM_BYTES + keyBytes + (flags === 0 ? 0 : 4) + valueBytes
  return bytes <= arena.words[L.ITEM_BYTES_LIMIT]
}

export function isJoin(mode: Mode): boolean {
  return mode === Mode.APPEND || mode === Mode.PREPEND
}

/** Whether an item has the requested CAS; 0 requests none. */
export function casMatches(arena: Arena, ask: Ask, ref: Ref): boolean {
  return (ask.casHigh | ask.casLow) === 0 || casIs(arena, ask, ref)
}

/** Whether an item has exactly the requested CAS. */
export function casIs(arena: Arena, ask: Ask, ref: Ref): boolean {
  if (arena.words[L.CAS_SHOWN] === 0) return false
  return casLowOf(arena, ref) === ask.casLow && casHighOf(arena, ref) === ask.casHigh
}

/** Compares the item's CAS with the requested one: below 0, 0 or above. */
export function compareCas(arena: Arena, ask: Ask, ref: Ref): number {
  const high = (casHighOf(arena, ref) >>> 0) - (ask.casHigh >>> 0)
  return high !== 0 ? high : (casLowOf(arena, ref) >>> 0) - (ask.casLow >>> 0)
}

/** Sets the CAS that the request chooses, if any, in an item with words for it. */
function giveCas(arena: Arena, ask: Ask, ref: Ref): void {
  if (!choosesCas(ask)) return
  const { words } = arena
  words[chosenCasAt(arena, ref)] = ask.newCasLow
  words[chosenCasAt(arena, ref) + 1] = ask.newCasHigh
}

/**
 * `ref` is the resulting item, and has just got its CAS: sets its chosen one, and writes its facts
 * into the request.
 */
export function settle(arena: Arena, ask: Ask, ref: Ref): void {
  const { words } = arena
  if (ask.isPlain) {
    ask.storedCasHigh = words[L.CAS_HIGH] & words[L.CAS_SHOWN]
    ask.storedCasLow = words[L.CAS_LOW] & words[L.CAS_SHOWN]
    return
  }
  giveCas(arena, ask, ref)
  if (ask.uses > 0) recallUses(words, ref, ask.uses)
  ask.storedBytes = words[ref + L.ITEM_VALUE_BYTES]
  ask.storedCasHigh = casHighOf(arena, ref)
  ask.storedCasLow = casLowOf(arena, ref)
}

function choosesCas(ask: Ask): boolean {
  return (ask.newCasHigh | ask.newCasLow) !== 0
}

function endsOf(expires: boolean): number {
  return expires ? L.STATE_ENDS : 0
}
