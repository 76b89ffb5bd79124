// Ghosts: fingerprints of the keys that were evicted last, about one for four items. More of them
// would welcome keys that come back too late to be worth their place. A key that comes back while
// it is a ghost was evicted too early. Its item goes to WARM without probation, and its class
// learns two things: whether its share for new items is too small or too large (probation), and
// what more memory would be worth (room/worth.ts). Used by rules that go by worth. Assumes the
// arena's lock.
//
//  set    eight ghosts, the newest first; the newest replaces the eighth
//  ghost  16 bits: whether it was in WARM (bit 0), fingerprint of the hash (bits 1-15); 0: none
//
// Sets in use follow ITEM_COUNT by linear hashing as in table.ts, so their number changes one by
// one. What an added or a lost set had is forgotten: ghosts are a hint. A wrong one, one key in
// 4,000, does no harm.

import type { Arena } from '../arena/arena.ts'
import { Appraisal, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'

/** Sets that are in use in a small cache. */
const SETS_MIN = 8
const ITEMS_PER_SET = L.GHOSTS_PER_SET * L.ITEMS_PER_GHOST

/** Bounds of the share for new items (probation). */
export const PROBATION_SHARE_LEAST = 0.05
export const PROBATION_SHARE_MOST = 0.9
const PROBATION_LEAST = L.PROBATION_ONE * PROBATION_SHARE_LEAST
const PROBATION_MOST = L.PROBATION_ONE * PROBATION_SHARE_MOST

/** A hash is multiplied by this for its fingerprint: 2^32 / golden ratio. */
const SPREAD = 0x9e3779b1

const KIND_MASK = 1
const EMPTY = 0

/** Remembers an item of the lists COLD or WARM that is evicted. */
export function addGhost(arena: Arena, hash: number, classId: number, list: number): void {
  if (list !== L.LIST_COLD && list !== L.LIST_WARM) return
  const { ghosts, words } = arena
  const wasWarm = list === L.LIST_WARM
  const first = firstOf(arena, hash)
  for (let at = first + L.GHOSTS_PER_SET - 1; at > first; at--) ghosts[at] = ghosts[at - 1]
  ghosts[first] = fingerprintOf(hash) | (wasWarm ? 1 : 0)
  const at = L.classAt(classId)
  if (
    words[at + L.CLASS_GHOSTS_COLD] + words[at + L.CLASS_GHOSTS_WARM] >
    2 * sizeOf(arena, classId)
  ) {
    words[at + L.CLASS_GHOSTS_COLD] >>= 1
    words[at + L.CLASS_GHOSTS_WARM] >>= 1
  }
  words[at + (wasWarm ? L.CLASS_GHOSTS_WARM : L.CLASS_GHOSTS_COLD)]++
}

/** Whether the key was evicted not long ago. Its class learns from that, and the ghost goes. */
export function takeGhost(arena: Arena, hash: number, classId: number): boolean {
  const { ghosts, counters, words } = arena
  const made = L.classAt(classId)
  // A class that never evicted looks at no ghost, and pays for no cache miss.
  if ((words[made + L.CLASS_GHOSTS_COLD] | words[made + L.CLASS_GHOSTS_WARM]) === 0) return false
  const first = firstOf(arena, hash)
  const end = first + L.GHOSTS_PER_SET
  const fingerprint = fingerprintOf(hash)
  let at = first
  while (at < end && (ghosts[at] & ~KIND_MASK) !== fingerprint) at++
  if (at === end) return false
  adapt(arena, classId, (ghosts[at] & KIND_MASK) !== 0)
  // Its place in the set shows its age: 0 for one that was just evicted, 1 for the oldest.
  const age = (at - first + 0.5) / L.GHOSTS_PER_SET
  const counter = classCounterAt(classId, 0)
  counters[counter + Appraisal.RETURNED]++
  counters[counter + Appraisal.RETURNED_EARLY] += 1 - age
  for (; at < end - 1; at++) ghosts[at] = ghosts[at + 1]
  ghosts[end - 1] = EMPTY
  return true
}

/**
 * Moves the share for new items, as ARC does: it grows if an item returns that was evicted before
 * it was used, and shrinks if one returns that was used and then was not. One step is one item,
 * weighed by how rare ghosts of the kind are.
 */
function adapt(arena: Arena, classId: number, wasWarm: boolean): void {
  const { words } = arena
  const at = L.classAt(classId)
  const cold = words[at + L.CLASS_GHOSTS_COLD] + 1
  const warm = words[at + L.CLASS_GHOSTS_WARM] + 1
  const weight = (2 * (wasWarm ? cold : -warm)) / (cold + warm)
  const step = (weight * L.PROBATION_ONE) / sizeOf(arena, classId)
  const share = words[at + L.CLASS_PROBATION] - step
  words[at + L.CLASS_PROBATION] = Math.min(Math.max(share, PROBATION_LEAST), PROBATION_MOST)
}

/** Items of a class in COLD and WARM, and one. */
function sizeOf({ words }: Arena, classId: number): number {
  const cold = words[L.listAt(classId, L.LIST_COLD) + L.LIST_COUNT]
  return cold + words[L.listAt(classId, L.LIST_WARM) + L.LIST_COUNT] + 1
}

/** Words of the sets in use. */
export function ghostWordsInUse(arena: Arena): number {
  const bytes = setsOf(arena) * L.GHOSTS_PER_SET * L.GHOST_BYTES
  return Math.min(bytes, arena.ghosts.byteLength) >> 2
}

function setsOf({ words }: Arena): number {
  return Math.max(SETS_MIN, Math.floor(words[L.ITEM_COUNT] / ITEMS_PER_SET))
}

/** Index of the first ghost of the set that a hash belongs to. */
function firstOf(arena: Arena, hash: number): number {
  const sets = setsOf(arena)
  const mask = 0xffffffff >>> Math.clz32(sets - 1)
  const set = hash & mask
  return (set < sets ? set : set & (mask >> 1)) * L.GHOSTS_PER_SET
}

/** Never 0; bit 0 is free. */
function fingerprintOf(hash: number): number {
  return (Math.imul(hash, SPREAD) >>> 16) & ~KIND_MASK || 2
}
