// A set over an item of the same shape: the value is written over the old one, which saves taking a
// chunk and giving one back, two links of the chain and four of the lists, and all the cache lines
// that those are on. Assumes the arena's lock.
//
// It is done where nobody can tell: the new item would be in the same class, in the same list and
// have the same optional words, and no peer holds the old one. REWRITING tells recovery of an item
// that is half written when its thread dies: it is dropped (cache.ts).

import { type Area, copyBytes } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { noteSize } from '../chunks/fit.ts'
import { classFor } from '../chunks/slabs.ts'
import { itemBytes, setEnd, setFlags, valueAt } from '../items/item.ts'
import { countSize, findLive, firstListOf, renewCas } from '../items/links.ts'
import { Eviction, moveToHead } from '../items/lru.ts'
import { ENDLESS_VALUE_BYTES_MAX } from '../limits.ts'
import { itemFits } from './storing.ts'

/** What must be as in the new item, and what must not be there at all. */
const SAME = L.STATE_FLAGS | L.STATE_ENDS
const NONE = L.STATE_SPANS | L.STATE_CHOSEN_CAS | L.STATE_HELD | L.STATE_STALE | L.STATE_KEY_BINARY

/** Stores over the item that has the key; false: there is none, or it takes an item of its own. */
export function rewriteItem(
  arena: Arena,
  hash: number,
  key: Area,
  start: number,
  length: number,
  flags: number,
  expiresAtS: number,
  value: Area,
  valueStart: number,
  valueBytes: number,
): boolean {
  const ref = findLive(arena, hash, key, start, length)
  if (ref === NIL || !canRewrite(arena, ref, length, flags, expiresAtS, valueBytes)) return false
  const { words, counters } = arena
  const meta = words[ref + L.ITEM_META]
  words[L.REWRITING] = ref
  if (words[ref + L.ITEM_VALUE_BYTES] !== valueBytes) resize(arena, ref, valueBytes)
  if ((meta & SAME) !== 0) {
    setFlags(arena, ref, flags)
    setEnd(arena, ref, expiresAtS)
  }
  copyBytes(value, valueStart, arena.area, valueAt(arena, ref), valueBytes)
  // Before it counts as written: no other value may be seen under the old CAS.
  renewCas(arena, ref)
  words[L.REWRITING] = NIL
  renewPlace(arena, ref)
  counters[classCounterAt(L.metaClass(meta), ClassCounter.SET_CMDS)]++
  counters[counterAt(Counter.TOTAL_ITEMS)]++
  return true
}

function canRewrite(
  arena: Arena,
  ref: Ref,
  keyBytes: number,
  flags: number,
  expiresAtS: number,
  valueBytes: number,
): boolean {
  const meta = arena.words[ref + L.ITEM_META]
  const ends = expiresAtS !== 0 || valueBytes > ENDLESS_VALUE_BYTES_MAX
  const same = (flags === 0 ? 0 : L.STATE_FLAGS) | (ends ? L.STATE_ENDS : 0)
  if ((meta & (SAME | NONE)) !== same) return false
  const size = (itemBytes(keyBytes, flags, valueBytes, same) + 3) >> 2
  if (classFor(arena, size) !== L.metaClass(meta)) return false
  const isTemporary = expiresAtS !== 0 && firstListOf(arena, expiresAtS) === L.LIST_TEMP
  if (isTemporary !== (L.metaList(meta) === L.LIST_TEMP)) return false
  const grows = valueBytes > arena.words[ref + L.ITEM_VALUE_BYTES]
  if (grows && !itemFits(arena, keyBytes, flags, valueBytes)) return false
  noteSize(arena, size)
  return true
}

function resize(arena: Arena, ref: Ref, valueBytes: number): void {
  countSize(arena, ref, -1)
  arena.words[ref + L.ITEM_VALUE_BYTES] = valueBytes
  countSize(arena, ref, 1)
}

/**
 * A new item would begin at a head. Where hits move nothing it stays where it is and is marked as in
 * use, which saves it from being evicted from there (lru.ts).
 */
function renewPlace(arena: Arena, ref: Ref): void {
  const { words } = arena
  words[ref + L.ITEM_TOUCHED_AT_S] = words[L.CLOCK_S]
  const meta = words[ref + L.ITEM_META] & ~(L.STATE_FETCHED | L.STATE_CLAIMED | L.STATE_ACTIVE)
  const stays = words[L.EVICTION] !== Eviction.LRU
  words[ref + L.ITEM_META] = stays ? meta | L.STATE_ACTIVE : meta
  if (!stays) moveToHead(arena, ref)
}
