// The LRU lists of each class: doubly linked, the newest item at the head. Assumes the arena's
// lock. Lists hold only linked items. What each list is used for depends on the eviction rule
// (rules.ts).

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { ruleOf } from './rules.ts'
import { countFurther, spendUse, spendUses, touch, touchedAtS } from './uses.ts'

/** A hit moves an item to the head of its list at most this often, seconds (memcached: 60). */
const BUMP_INTERVAL_S = 60

/** Puts an item at the head of the list that its META names. */
export function pushHead(arena: Arena, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const list = L.listAt(L.metaClass(meta), L.metaList(meta))
  const head = words[list + L.LIST_HEAD] as Ref
  words[ref + L.ITEM_LRU_PREV] = NIL
  words[ref + L.ITEM_LRU_NEXT] = head
  if (head === NIL) words[list + L.LIST_TAIL] = ref
  else words[head + L.ITEM_LRU_PREV] = ref
  words[list + L.LIST_HEAD] = ref
  words[list + L.LIST_COUNT]++
}

/** Removes an item from its list. */
export function removeFromList(arena: Arena, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const list = L.listAt(L.metaClass(meta), L.metaList(meta))
  const prev = words[ref + L.ITEM_LRU_PREV] as Ref
  const next = words[ref + L.ITEM_LRU_NEXT] as Ref
  if (prev === NIL) words[list + L.LIST_HEAD] = next
  else words[prev + L.ITEM_LRU_NEXT] = next
  if (next === NIL) words[list + L.LIST_TAIL] = prev
  else words[next + L.ITEM_LRU_PREV] = prev
  words[list + L.LIST_COUNT]--
}

/** Replaces a listed item by another whose header is a copy of its. */
export function replaceInList(arena: Arena, old: Ref, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const list = L.listAt(L.metaClass(meta), L.metaList(meta))
  const prev = words[old + L.ITEM_LRU_PREV] as Ref
  const next = words[old + L.ITEM_LRU_NEXT] as Ref
  if (prev === NIL) words[list + L.LIST_HEAD] = ref
  else words[prev + L.ITEM_LRU_NEXT] = ref
  if (next === NIL) words[list + L.LIST_TAIL] = ref
  else words[next + L.ITEM_LRU_PREV] = ref
}

/** Puts an item in the place of a listed one of the same class and list, which leaves it. */
export function takePlace(arena: Arena, old: Ref, ref: Ref): void {
  const { words } = arena
  words[ref + L.ITEM_LRU_PREV] = words[old + L.ITEM_LRU_PREV]
  words[ref + L.ITEM_LRU_NEXT] = words[old + L.ITEM_LRU_NEXT]
  replaceInList(arena, old, ref)
}

/** Moves a listed item to the head. */
export function moveToHead(arena: Arena, ref: Ref): void {
  if (arena.words[ref + L.ITEM_LRU_PREV] === NIL) return
  removeFromList(arena, ref)
  pushHead(arena, ref)
}

/** Moves a listed item to the head of another list of its class. */
export function moveToList(arena: Arena, ref: Ref, list: number): void {
  removeFromList(arena, ref)
  setList(arena, ref, list)
  pushHead(arena, ref)
}

/** Sets the list that an item will be put into. */
export function setList(arena: Arena, ref: Ref, list: number): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META] & ~(L.META_LIST_MASK << L.META_LIST_SHIFT)
  words[ref + L.ITEM_META] = meta | (list << L.META_LIST_SHIFT)
}

/**
 * Moves an item that was used again to the head of WARM. It spends a use there, or all uses that
 * it had in another list.
 */
export function warmItem(arena: Arena, ref: Ref): void {
  const { words, counters } = arena
  const meta = words[ref + L.ITEM_META]
  const isWarm = L.metaList(meta) === L.LIST_WARM
  const counter = isWarm ? ClassCounter.MOVES_WITHIN_LRU : ClassCounter.MOVES_TO_WARM
  counters[classCounterAt(L.metaClass(meta), counter)]++
  if (isWarm) spendUse(words, ref)
  else spendUses(words, ref)
  moveToList(arena, ref, L.LIST_WARM)
}

/** The lists of a class in the order in which they are searched for a victim. */
export const COLD_FIRST = [L.LIST_COLD, L.LIST_HOT, L.LIST_WARM, L.LIST_TEMP]

/** The tail of a list, NIL if it is empty; the item before it is its LRU_PREV. */
export function tailOf(arena: Arena, classId: number, list: number): Ref {
  return arena.words[L.listAt(classId, list) + L.LIST_TAIL] as Ref
}

/** The coldest item of a class, NIL if it has none. */
export function coldest(arena: Arena, classId: number): Ref {
  for (let i = 0; i < L.LISTS; i++) {
    const ref = tailOf(arena, classId, COLD_FIRST[i])
    if (ref !== NIL) return ref
  }
  return NIL
}

/** Seconds since the item at the tail of a list was used; 0 if there is none. */
export function tailIdleS(arena: Arena, classId: number, list: number): number {
  const ref = tailOf(arena, classId, list)
  if (ref === NIL) return 0
  return arena.words[L.CLOCK_S] - touchedAtS(arena.words, ref)
}

/** Seconds since the coldest item of a class was used; 0 if there is none. */
export function coldestIdleS(arena: Arena, classId: number): number {
  const ref = coldest(arena, classId)
  if (ref === NIL) return 0
  return arena.words[L.CLOCK_S] - touchedAtS(arena.words, ref)
}

/** Items of a class, in all its lists. */
export function listedCount(arena: Arena, classId: number): number {
  let count = 0
  for (let list = 0; list < L.LISTS; list++) {
    count += arena.words[L.listAt(classId, list) + L.LIST_COUNT]
  }
  return count
}

/** Counts a hit for the item's class and list. */
export function countHit(arena: Arena, ref: Ref): void {
  const { counters } = arena
  const meta = arena.words[ref + L.ITEM_META]
  const at = classCounterAt(L.metaClass(meta), 0)
  const list = L.metaList(meta)
  counters[at + ClassCounter.GET_HITS]++
  if (list !== L.LIST_COLD) counters[at + ClassCounter.HITS_TO_HOT + list]++
}

/** Records a hit, and that the item is in use. */
export function bumpItem(arena: Arena, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  if ((meta & L.STATE_FETCHED) === 0) words[ref + L.ITEM_META] = meta | firstHit(words)
  else if ((meta & L.STATE_ACTIVE) === 0) words[ref + L.ITEM_META] = meta | L.STATE_ACTIVE
  else countFurther(words, ref)
  refreshItem(arena, ref)
}

/** The state after a first hit: segmented lists need a second one. */
function firstHit(words: Int32Array): number {
  return ruleOf(words).countsFirstHit ? L.STATE_FETCHED | L.STATE_ACTIVE : L.STATE_FETCHED
}

/** Keeps an item from getting cold without a hit: an add that finds it shows that it is wanted. */
export function refreshItem(arena: Arena, ref: Ref): void {
  const { words } = arena
  // At most once a minute: a hot item is near the head anyway, and two writes per read would
  // bounce its cache line between threads.
  if (words[L.CLOCK_S] - touchedAtS(words, ref) < BUMP_INTERVAL_S) return
  touch(words, ref)
  // Other modes order their lists in upkeep, or when a victim is wanted.
  if (ruleOf(words).ordersByHits) moveToHead(arena, ref)
}
