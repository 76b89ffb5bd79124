// The LRU lists of each class: doubly linked, the most recently used item at the head. Assumes the
// arena's lock. Lists hold linked items only.

import { BUMP_INTERVAL_S } from '../limits.ts'
import type { Arena } from './arena.ts'
import * as L from './layout.ts'
import { NIL, type Ref } from './layout.ts'

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

/** Takes an item out of its list. */
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

/** Puts an item, whose header is a copy of a listed one's, in the place of that one. */
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

/** Moves a listed item to the head. */
export function moveToHead(arena: Arena, ref: Ref): void {
  if (arena.words[ref + L.ITEM_LRU_PREV] === NIL) return
  removeFromList(arena, ref)
  pushHead(arena, ref)
}

/** The coldest item of a class, NIL if it has none; the one before it is its LRU_PREV. */
export function coldest(arena: Arena, classId: number): Ref {
  return arena.words[L.listAt(classId, L.LIST_COLD) + L.LIST_TAIL] as Ref
}

/** Seconds since the coldest item of a class was used; 0 where there is none. */
export function coldestIdleS(arena: Arena, classId: number): number {
  const ref = coldest(arena, classId)
  if (ref === NIL) return 0
  return arena.words[L.CLOCK_S] - arena.words[ref + L.ITEM_TOUCHED_AT_S]
}

/** Items of a class, in all its lists. */
export function listedCount(arena: Arena, classId: number): number {
  let count = 0
  for (let list = 0; list < L.LISTS; list++) {
    count += arena.words[L.listAt(classId, list) + L.LIST_COUNT]
  }
  return count
}

/** Notes a hit, and moves the item to the head where that is due. */
export function bumpItem(arena: Arena, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  if ((meta & L.STATE_ACTIVE) === 0) {
    const state = (meta & L.STATE_FETCHED) === 0 ? L.STATE_FETCHED : L.STATE_ACTIVE
    words[ref + L.ITEM_META] = meta | state
  }
  // At most once a minute: a hot item is near the head anyway, and two writes per read would
  // bounce its cache line between threads.
  if (words[L.CLOCK_S] - words[ref + L.ITEM_TOUCHED_AT_S] < BUMP_INTERVAL_S) return
  words[ref + L.ITEM_TOUCHED_AT_S] = words[L.CLOCK_S]
  moveToHead(arena, ref)
}
