// Chunks: allocates them from a class and frees them. Assumes the arena's lock.
//
// A class cuts its pages lazily: CLASS_FRESH_REF is the first unused chunk of its newest page, so
// the part of a page that is not filled is never touched. Free chunks form a doubly linked list, so
// that those of one page can be removed when the page moves to another class.

import { type Arena, chunkWords, pageRef, roomBeside } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { AUTOMOVE_SPARE_PAGES } from '../limits.ts'
import { noteSlack } from './slack.ts'

/** The class that items of `size` words go to; 0 if they are longer than any chunk. */
export function classFor(arena: Arena, size: number): number {
  return size > chunkWords(arena, arena.baseClasses)
    ? 0
    : arena.area.bytes[(arena.mapAt << 2) + size]
}

/**
 * A chunk of the class, from its free list, its newest page or a new page; NIL if there is none.
 * Until it is written it looks like a continuation without an owner, so that its page is not moved.
 */
export function takeChunk(arena: Arena, classId: number): Ref {
  const { words } = arena
  const at = L.classAt(classId)
  let ref = words[at + L.CLASS_FREE_HEAD] as Ref
  if (ref !== NIL) {
    unlinkFree(arena, at, ref)
  } else {
    if (words[at + L.CLASS_FRESH_COUNT] === 0 && !takeNewPage(arena, classId)) return NIL
    ref = words[at + L.CLASS_FRESH_REF] as Ref
    words[at + L.CLASS_FRESH_REF] += words[at + L.CLASS_CHUNK_WORDS]
    words[at + L.CLASS_FRESH_COUNT]--
  }
  words[at + L.CLASS_USED_COUNT]++
  words[ref + L.SPAN_NEXT] = NIL
  words[ref + L.SPAN_OWNER] = NIL
  words[ref + L.ITEM_META] = classId << L.META_CLASS_SHIFT
  return ref
}

/** Frees a chunk, or withholds it if its page is about to leave the class. */
export function giveChunk(arena: Arena, classId: number, ref: Ref): void {
  const { words } = arena
  words[L.classAt(classId) + L.CLASS_USED_COUNT]--
  if (ref < words[L.MOVE_END] && ref >= words[L.MOVE_FIRST]) {
    words[ref + L.ITEM_META] = L.META_WITHHELD
    words[L.MOVE_WITHHELD]++
  } else {
    freeChunk(arena, classId, ref)
  }
}

/** Puts an uncounted chunk on the free list of its class. */
export function freeChunk(arena: Arena, classId: number, ref: Ref): void {
  const { words } = arena
  const at = L.classAt(classId)
  const head = words[at + L.CLASS_FREE_HEAD] as Ref
  words[ref + L.ITEM_META] = L.META_FREE
  words[ref + L.FREE_NEXT] = head
  words[ref + L.FREE_PREV] = NIL
  if (head !== NIL) words[head + L.FREE_PREV] = ref
  words[at + L.CLASS_FREE_HEAD] = ref
  words[at + L.CLASS_FREE_COUNT]++
  noteSlack(arena, classId, at)
}

/** Withholds a free chunk of the page that is about to leave its class. */
export function withholdChunk(arena: Arena, classId: number, ref: Ref): void {
  const { words } = arena
  unlinkFree(arena, L.classAt(classId), ref)
  words[ref + L.ITEM_META] = L.META_WITHHELD
  words[L.MOVE_WITHHELD]++
}

/** Whether the class has a chunk without taking a page for it. */
export function hasChunk(arena: Arena, classId: number): boolean {
  const { words } = arena
  const at = L.classAt(classId)
  return words[at + L.CLASS_FREE_HEAD] !== NIL || words[at + L.CLASS_FRESH_COUNT] > 0
}

/** Whether a class has enough free chunks to do without a page. */
export function hasSpare({ words }: Arena, classId: number): boolean {
  const at = L.classAt(classId)
  const free = words[at + L.CLASS_FREE_COUNT] + words[at + L.CLASS_FRESH_COUNT]
  return free > words[at + L.CLASS_CHUNKS_PER_PAGE] * AUTOMOVE_SPARE_PAGES
}

/** Puts unused chunks on the free list, so that the class can take another page. */
export function spendFresh(arena: Arena, classId: number, chunksMax: number): void {
  const { words } = arena
  const at = L.classAt(classId)
  for (let left = chunksMax; left > 0 && words[at + L.CLASS_FRESH_COUNT] > 0; left--) {
    const ref = words[at + L.CLASS_FRESH_REF] as Ref
    words[at + L.CLASS_FRESH_REF] += words[at + L.CLASS_CHUNK_WORDS]
    words[at + L.CLASS_FRESH_COUNT]--
    freeChunk(arena, classId, ref)
  }
}

/** Gives a page without an owner to a class whose newest page is used up. */
export function assignPage(arena: Arena, page: number, classId: number): void {
  const { words } = arena
  const at = L.classAt(classId)
  words[arena.pagesAt + page] = classId
  words[at + L.CLASS_FRESH_REF] = pageRef(arena, page)
  words[at + L.CLASS_FRESH_COUNT] = words[at + L.CLASS_CHUNKS_PER_PAGE]
  words[at + L.CLASS_PAGE_COUNT]++
  noteSlack(arena, classId, at)
}

/** How many chunks of this page were never used. Only the newest page of a class has such. */
export function freshCountIn(arena: Arena, classId: number, page: number): number {
  const { words } = arena
  const at = L.classAt(classId)
  const count = words[at + L.CLASS_FRESH_COUNT]
  const ref = words[at + L.CLASS_FRESH_REF]
  const first = pageRef(arena, page)
  return count > 0 && ref >= first && ref < first + arena.pageWords ? count : 0
}

/** Chunks at the start of a page that have been used; those after them were never touched. */
export function usedChunksIn(arena: Arena, page: number): number {
  const { words } = arena
  if (isMoving(arena, page)) return words[L.MOVE_USED]
  const classId = words[arena.pagesAt + page]
  return words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE] - freshCountIn(arena, classId, page)
}

/** Whether a page is being moved out of its class. */
export function isMoving(arena: Arena, page: number): boolean {
  return arena.words[L.MOVE_PHASE] !== 0 && page === arena.words[L.MOVE_PAGE]
}

/** Pages that may be in use: the memory limit less the hash table. */
export function pageRoom(arena: Arena): number {
  const { words } = arena
  return roomBeside(words[L.BUCKET_COUNT], words[L.PAGE_LIMIT], arena.pageWords)
}

/** Pages in use beyond the memory limit; negative: below it. */
export function pagesAboveLimit(arena: Arena): number {
  const { words } = arena
  return words[L.PAGES_USED] - words[L.POOL_COUNT] - pageRoom(arena)
}

/** A page without an owner: from the pool, or never used; -1 at the memory limit. */
export function takeFreePage(arena: Arena): number {
  const { words } = arena
  if (pagesAboveLimit(arena) >= 0) return -1
  if (words[L.POOL_COUNT] === 0) return takeFreshPage(arena)
  const page = words[L.POOL_HEAD] - 1
  words[L.POOL_HEAD] = words[pageRef(arena, page)]
  words[L.POOL_COUNT]--
  return page
}

/** Skips pages that are kept (keeps.ts). */
function takeFreshPage(arena: Arena): number {
  const { words } = arena
  while (words[arena.pagesAt + words[L.PAGES_USED]] < 0) {
    words[L.PAGES_USED]++
    if (pagesAboveLimit(arena) >= 0) return -1
  }
  return words[L.PAGES_USED]++
}

/** Puts a page that no class has into the pool. */
export function poolPage(arena: Arena, page: number): void {
  const { words } = arena
  words[pageRef(arena, page)] = words[L.POOL_HEAD]
  words[L.POOL_HEAD] = page + 1
  words[L.POOL_COUNT]++
}

function takeNewPage(arena: Arena, classId: number): boolean {
  const page = takeFreePage(arena)
  if (page >= 0) assignPage(arena, page, classId)
  return page >= 0
}

function unlinkFree(arena: Arena, classAt: number, ref: Ref): void {
  const { words } = arena
  const next = words[ref + L.FREE_NEXT] as Ref
  const prev = words[ref + L.FREE_PREV] as Ref
  if (prev === NIL) words[classAt + L.CLASS_FREE_HEAD] = next
  else words[prev + L.FREE_NEXT] = next
  if (next !== NIL) words[next + L.FREE_PREV] = prev
  words[classAt + L.CLASS_FREE_COUNT]--
}
