// Walks over the items of an arena: by pages and chunks or by the table in bounded steps, or along
// a list. Assumes the arena's lock. Other threads may have it between two steps: the cursor names a
// place, not an item. So in a walk by pages an item stored, moved or freed meanwhile is seen once,
// twice or not at all. A walk by the table is slower and misses nothing.

import { type Arena, pageRef } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { usedChunksIn } from '../chunks/slabs.ts'
import { CLASSES_MAX } from '../limits.ts'

/** Chunks that one step of a walk visits, and items that one walk along a list shows. */
const WALK_STEP_CHUNKS_MAX = 256
const WALK_LIST_ITEMS_MAX = 10_000

/** Items that one step of a walk over the table shows, and buckets that it looks at. */
const WALK_STEP_ITEMS_MAX = 64
const WALK_STEP_BUCKETS_MAX = 512

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

/** Where the next step of a walk over the table begins. A new walk starts at bucket 0. */
export interface TableCursor {
  bucket: number
  /** Of its items, those that were shown before the walk stopped inside its chain: their CAS. */
  shown: Set<number>
}

export function tableCursor(): TableCursor {
  return { bucket: 0, shown: new Set() }
}

/** Why a step of a walk ended. */
export const Walked = { ALL: 0, PART: 1, SINK_FULL: 2 } as const
export type Walked = (typeof Walked)[keyof typeof Walked]

/**
 * Shows the next linked items to `sink` in the order of the table, also dead ones. A key that is
 * there during the whole walk is shown, whatever stores and page moves do meanwhile: an item stays
 * in its bucket, and the part of a bucket that leaves it goes to one that the walk has still to
 * come to. Such an item may be shown twice.
 */
export function walkTable(arena: Arena, cursor: TableCursor, sink: ItemSink): Walked {
  const { words } = arena
  let left = WALK_STEP_ITEMS_MAX
  let buckets = WALK_STEP_BUCKETS_MAX
  prefetchBuckets(arena, cursor.bucket)
  for (; cursor.bucket < words[L.BUCKET_COUNT]; cursor.bucket++) {
    if (buckets-- === 0) return Walked.PART
    const isResumed = cursor.shown.size > 0
    let ref = words[arena.bucketsAt + cursor.bucket] as Ref
    for (; ref !== NIL; ref = words[ref + L.ITEM_CHAIN_NEXT] as Ref) {
      if (isResumed && cursor.shown.has(words[ref + L.ITEM_CAS])) continue
      const isLast = left-- === 0
      if (!isLast && sink.take(arena, ref)) continue
      noteShown(arena, cursor, ref)
      return isLast ? Walked.PART : Walked.SINK_FULL
    }
    if (isResumed) cursor.shown.clear()
  }
  return Walked.ALL
}

/** Words from one cache line to the next. */
const LINE_WORDS = 16
/** The items that the next buckets begin with. */
const heads = new Int32Array(WALK_STEP_ITEMS_MAX)
/** Written so that the compiler cannot remove the loads. */
export let loaded = 0

/**
 * Loads the first two items of each of the next buckets, so that their cache misses overlap: they
 * lie anywhere in the arena. The loops are short, because a CPU executes only some 500 instructions
 * ahead (see prefetch.ts).
 */
function prefetchBuckets({ words, bucketsAt }: Arena, first: number): void {
  const count = Math.min(WALK_STEP_ITEMS_MAX, words[L.BUCKET_COUNT] - first)
  const refMax = words.length - 2 * LINE_WORDS - 1
  let sum = 0
  for (let i = 0; i < count; i++) heads[i] = words[bucketsAt + first + i]
  for (let i = 0; i < count; i++) {
    const ref = Math.min(heads[i], refMax)
    sum ^= words[ref + LINE_WORDS] ^ words[ref + 2 * LINE_WORDS]
    heads[i] = words[ref + L.ITEM_CHAIN_NEXT]
  }
  for (let i = 0; i < count; i++) sum ^= words[heads[i] + L.ITEM_META]
  loaded = sum
}

/** Notes the items of the cursor's chain before `end` as shown. */
function noteShown({ words, bucketsAt }: Arena, { bucket, shown }: TableCursor, end: Ref): void {
  let ref = words[bucketsAt + bucket] as Ref
  for (; ref !== end; ref = words[ref + L.ITEM_CHAIN_NEXT] as Ref)
    shown.add(words[ref + L.ITEM_CAS])
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
