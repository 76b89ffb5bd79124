// Chooses a class that can give a page. Assumes the arena's lock.

import type { Arena } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { listedCount } from '../items/lru.ts'

/**
 * Iterates classes by falling number of pages: the one after `last`, the first after 0; 0 at the
 * end.
 */
export function nextDonor(arena: Arena, last: number): number {
  const bound = last === 0 ? arena.pageCount + 1 : pagesOf(arena, last)
  let best = 0
  let most = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const pages = pagesOf(arena, classId)
    const follows = pages < bound || (pages === bound && classId > last)
    if (!follows || pages <= most) continue
    most = pages
    best = classId
  }
  return best
}

/**
 * Whether a class may take a page of another in spite of its items. If it has items, all are held,
 * and will be released: then the other class keeps its last page. One that has only free chunks
 * needs more for a long item.
 */
export function mayTake(arena: Arena, toClass: number, fromClass: number): boolean {
  const isLast = pagesOf(arena, fromClass) === 1 && listedCount(arena, fromClass) > 0
  return (
    toClass !== fromClass && !(isLast && arena.words[L.classAt(toClass) + L.CLASS_USED_COUNT] > 0)
  )
}

function pagesOf(arena: Arena, classId: number): number {
  return arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
}

/**
 * Whether a page of the class can be emptied, by its counts: its other pages must take in what
 * cannot be evicted from the class itself, as parts of long items in the largest class.
 */
export function canGivePage(arena: Arena, classId: number): boolean {
  const { words } = arena
  const at = L.classAt(classId)
  const used = words[at + L.CLASS_USED_COUNT]
  const listed = words[L.EVICTIONS_ON] === 1 ? listedCount(arena, classId) : 0
  const stays = listed > 0 && classId === arena.baseClasses ? 0 : used - listed
  return stays <= (words[at + L.CLASS_PAGE_COUNT] - 1) * words[at + L.CLASS_CHUNKS_PER_PAGE]
}
