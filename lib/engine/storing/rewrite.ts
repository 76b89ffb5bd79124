// A set over an item of the same shape: the new value is written over the old one. That saves an
// allocation and a free, two links of the chain and four of the lists, and their cache lines. And
// an append to an item whose chunk has room for it: the value before it is not copied, which for a
// long one would keep the lock for a tenth of a millisecond. Assumes the arena's lock.
//
// It is done only where no peer can notice: the new item would be in the same class and list and
// have the same optional words, and no peer holds the old one. REWRITING tells recovery which item
// is partly written when its thread dies; that item is dropped (repair.ts).

import { type Area, copyBytes } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { noteSize } from '../chunks/fit.ts'
import { classFor } from '../chunks/slabs.ts'
import { expiryOf, itemBytes, itemFlags, setExpiry, setFlags, valueAt } from '../items/item.ts'
import { countSize, findReplaced, firstListOf, renewCas } from '../items/links.ts'
import { moveToHead } from '../items/lru.ts'
import { ruleOf } from '../items/rules.ts'
import { touch } from '../items/uses.ts'
import { ENDLESS_VALUE_BYTES_MAX } from '../limits.ts'
import { Mode } from '../status.ts'
import type { Ask } from './ask.ts'
import { casMatches, itemFits, metaOfStore, settle, stateOf } from './terms.ts'

/** State that must equal the new item's, and state that must not be set. */
const SAME = L.STATE_FLAGS | L.STATE_ENDS
const NONE = L.STATE_SPANS | L.STATE_CHOSEN_CAS | L.STATE_HELD | L.STATE_STALE | L.STATE_KEY_BINARY

/** Stores over the item with the key. False: there is none, or the value needs a new item. */
export function rewriteItem(arena: Arena, ask: Ask, value: Area, valueStart: number): boolean {
  if (ask.mode !== Mode.SET || (!ask.isPlain && stateOf(ask) !== 0)) return false
  const ref = findReplaced(arena, ask.hash, ask.area, ask.keyStart, ask.keyBytes)
  if (ref === NIL || !canRewrite(arena, ask, ref)) return false
  const { words, counters } = arena
  const { valueBytes } = ask
  const meta = words[ref + L.ITEM_META]
  words[L.REWRITING] = ref
  if (words[ref + L.ITEM_VALUE_BYTES] !== valueBytes) resize(arena, ref, valueBytes)
  if ((meta & SAME) !== 0) {
    setFlags(arena, ref, ask.flags)
    setExpiry(arena, ref, ask.expiresAtS)
  }
  copyBytes(value, valueStart, arena.area, valueAt(arena, ref), valueBytes)
  // Before it counts as written, because the new value must never be seen with the old CAS.
  renewCas(arena, ref)
  words[L.REWRITING] = NIL
  renewPlace(arena, ref)
  counters[classCounterAt(L.metaClass(meta), ClassCounter.SET_CMDS)]++
  counters[counterAt(Counter.TOTAL_ITEMS)]++
  ask.created = false
  settle(arena, ask, ref)
  return true
}

/** Appends to the item with the key. False: there is none, or the value needs a new item. */
export function appendInPlace(arena: Arena, ask: Ask, value: Area, valueStart: number): boolean {
  if (ask.mode !== Mode.APPEND || !ask.isPlain) return false
  const ref = findReplaced(arena, ask.hash, ask.area, ask.keyStart, ask.keyBytes)
  if (ref === NIL || !canAppend(arena, ask, ref)) return false
  const { words, counters } = arena
  const oldBytes = words[ref + L.ITEM_VALUE_BYTES]
  words[L.REWRITING] = ref
  copyBytes(value, valueStart, arena.area, valueAt(arena, ref) + oldBytes, ask.valueBytes)
  resize(arena, ref, oldBytes + ask.valueBytes)
  renewCas(arena, ref)
  words[L.REWRITING] = NIL
  renewPlace(arena, ref)
  // As where a part is stored first: it counts for the class of the part.
  counters[classCounterAt(partClass(arena, ask), ClassCounter.SET_CMDS)]++
  counters[counterAt(Counter.TOTAL_ITEMS)]++
  ask.created = false
  settle(arena, ask, ref)
  return true
}

function canAppend(arena: Arena, ask: Ask, ref: Ref): boolean {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const valueBytes = words[ref + L.ITEM_VALUE_BYTES] + ask.valueBytes
  if ((meta & NONE) !== 0 || partClass(arena, ask) === 0) return false
  if (valueBytes > ENDLESS_VALUE_BYTES_MAX && (meta & L.STATE_ENDS) === 0) return false
  if (!itemFits(arena, ask.keyBytes, itemFlags(arena, ref), valueBytes)) return false
  if (words[L.CAS_SHOWN] !== 0 && !casMatches(arena, ask, ref)) return false
  const size = (itemBytes(meta, valueBytes) + 3) >> 2
  if (classFor(arena, size) !== L.metaClass(meta)) return false
  if (!staysInList(arena, expiryOf(arena, ref), meta)) return false
  noteSize(arena, size)
  return true
}

/** The class of an item with the appended bytes alone; 0: it would span several chunks. */
function partClass(arena: Arena, ask: Ask): number {
  return classFor(arena, (itemBytes(metaOfStore(ask), ask.valueBytes) + 3) >> 2)
}

/** Whether a new item that expires then would be in a list of the same kind. */
function staysInList(arena: Arena, expiresAtS: number, meta: number): boolean {
  const isTemporary = expiresAtS !== 0 && firstListOf(arena, expiresAtS) === L.LIST_TEMP
  return isTemporary === (L.metaList(meta) === L.LIST_TEMP)
}

function canRewrite(arena: Arena, ask: Ask, ref: Ref): boolean {
  const { keyBytes, flags, expiresAtS, valueBytes } = ask
  const meta = arena.words[ref + L.ITEM_META]
  const wanted = metaOfStore(ask)
  if ((meta & (SAME | NONE)) !== (wanted & SAME)) return false
  const size = (itemBytes(wanted, valueBytes) + 3) >> 2
  if (classFor(arena, size) !== L.metaClass(meta)) return false
  if (!staysInList(arena, expiresAtS, meta)) return false
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
 * A new item would begin at the head of a list. In modes where hits move nothing it stays in place
 * and is marked as in use, which saves it from eviction (lru.ts).
 */
function renewPlace(arena: Arena, ref: Ref): void {
  const { words } = arena
  touch(words, ref)
  const meta = words[ref + L.ITEM_META] & ~(L.STATE_FETCHED | L.STATE_CLAIMED | L.STATE_ACTIVE)
  const stays = !ruleOf(words).ordersByHits
  words[ref + L.ITEM_META] = stays ? meta | L.STATE_ACTIVE : meta
  if (!stays) moveToHead(arena, ref)
}
