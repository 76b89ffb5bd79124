// Walks over the items of an arena: by pages and chunks in bounded steps, or along a list. Assumes
// the arena's lock. Other threads may have it between two steps: the cursor names a place, not an
// item, so an item stored, moved or freed meanwhile is seen once, twice or not at all.

import { type Arena, pageRef } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { usedChunksIn } from '../chunks/slabs.ts'
import { CLASSES_MAX } from '../limits.ts'

/** Chunks that one step of a walk visits, and items that one walk along a list shows. */
const WALK_STEP_CHUNKS_MAX = 256
const WALK_LIST_ITEMS_MAX = 10_000

/** Where the next step of a walk begins. A new walk starts at page 0, chunk 0. */
export interface WalkCursor {
  page: number
  chunk: number
}

/** Takes a linked item under the lock. False: no room, the walk stops before this item. */
export interface ItemSink {
  take(arena: Arena, ref: Ref): boolean
}

/** A set of slab classes: 1 at the ids of its members. */
export type ClassSet = Uint8Array

/** The set of all classes. */
export function allClasses(): ClassSet {
  return new Uint8Array(CLASSES_MAX).fill(1, 1)
}

/**
 * Shows the linked items of the next chunks to `sink`, also dead ones. Returns whether there is
 * more to walk. The only change that a sink may make is to free the item that it is shown.
 */
export function walkItems(
  arena: Arena,
  cursor: WalkCursor,
  classes: ClassSet,
  sink: ItemSink,
): boolean {
  const { words } = arena
  let left = WALK_STEP_CHUNKS_MAX
  while (cursor.page < words[L.PAGES_USED]) {
    if (left-- === 0) return true
    const classId = words[arena.pagesAt + cursor.page]
    const size = words[L.classAt(classId) + L.CLASS_CHUNK_WORDS]
    const end = classId <= 0 || classes[classId] === 0 ? 0 : usedChunksIn(arena, cursor.page)
    let ref = pageRef(arena, cursor.page) + cursor.chunk * size
    for (; cursor.chunk < end; cursor.chunk++, ref += size) {
      if (left-- === 0) return true
      if ((words[ref + L.ITEM_META] & L.STATE_LINKED) === 0) continue
      if (!sink.take(arena, ref as Ref)) return true
    }
    cursor.page++
    cursor.chunk = 0
  }
  return false
}

/** Shows the newest items of a class's cold list, at most `itemsMax`; 0: as many as allowed. */
export function walkColdList(
  arena: Arena,
  classId: number,
  itemsMax: number,
  sink: ItemSink,
): void {
  const { words } = arena
  let left = itemsMax === 0 ? WALK_LIST_ITEMS_MAX : Math.min(itemsMax, WALK_LIST_ITEMS_MAX)
  let ref = words[L.listAt(classId, L.LIST_COLD) + L.LIST_HEAD] as Ref
  while (ref !== NIL && left-- > 0) {
    if (!sink.take(arena, ref)) return
    ref = words[ref + L.ITEM_LRU_NEXT] as Ref
  }
}
