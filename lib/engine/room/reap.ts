// Finds dead items (expired or flushed) when memory is wanted. Assumes the arena's lock. Every step
// is bounded.
//
// There is no list of the items that will expire. Instead each page is probed at a few random
// places, and a page with a dead item is reaped: all its chunks are checked. Items die when the
// clock moves or at a flush, so one round of probes per second is enough. A round certainly finds a
// page full of dead items, and finds a page's worth that is spread evenly in 98 of 100 cases. It
// costs four probes per page.

import { type Arena, pageRef } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { NIL } from '../arena/layout.ts'
import { hasChunk, isMoving, usedChunksIn } from '../chunks/slabs.ts'
import { ownerOf } from '../items/item.ts'
import { isDead, reclaimItem } from '../items/links.ts'

const PROBES_PER_PAGE = 4
/** Most pages that one step probes, chunks that it checks, and items that it frees. */
const PROBE_STEP_PAGES = 8
const REAP_STEP_CHUNKS_MAX = 256
export const REAP_STEP_ITEMS_MAX = 64

/** A linear congruential generator: Knuth's constants for 32 bits. */
const RANDOM_FACTOR = 1_664_525
const RANDOM_TERM = 1_013_904_223

/**
 * One bounded step of the search for dead items, for a class that has no chunk. False: it finds no
 * more now.
 */
export function stepReap(arena: Arena, wanting: number): boolean {
  const { words } = arena
  if (words[L.REAP_PAGE] !== 0) {
    reap(arena, words[L.REAP_PAGE] - 1, wanting)
    return true
  }
  if (words[L.PROBE_AT_S] !== words[L.CLOCK_S]) {
    words[L.PROBE_PAGE] = 0
    words[L.PROBE_AT_S] = words[L.CLOCK_S]
  }
  for (let left = PROBE_STEP_PAGES; left > 0; left--) {
    const page = words[L.PROBE_PAGE]
    if (page >= words[L.PAGES_USED]) return false
    words[L.PROBE_PAGE]++
    if (!hasDead(arena, page)) continue
    words[L.REAP_CHUNK] = 0
    words[L.REAP_PAGE] = page + 1
    return true
  }
  return true
}

/** Whether stepReap has more to search in this second. */
export function mayReap({ words }: Arena): boolean {
  if (words[L.REAP_PAGE] !== 0 || words[L.PROBE_AT_S] !== words[L.CLOCK_S]) return true
  return words[L.PROBE_PAGE] < words[L.PAGES_USED]
}

/** Whether one of some random chunks of a page belongs to a dead item. */
function hasDead(arena: Arena, page: number): boolean {
  const { words } = arena
  const classId = words[arena.pagesAt + page]
  if (classId <= 0 || isMoving(arena, page)) return false
  const used = usedChunksIn(arena, page)
  const size = words[L.classAt(classId) + L.CLASS_CHUNK_WORDS]
  for (let left = PROBES_PER_PAGE; left > 0; left--) {
    const index = Math.floor((random(words) * used) / 2 ** 32)
    if (deadOwner(arena, (pageRef(arena, page) + index * size) as Ref) !== NIL) return true
  }
  return false
}

/**
 * Frees the dead items of a page, some at a time, or just one if the class that wants memory has
 * them.
 */
function reap(arena: Arena, page: number, wanting: number): void {
  const { words } = arena
  const classId = words[arena.pagesAt + page]
  const used = classId <= 0 || isMoving(arena, page) ? 0 : usedChunksIn(arena, page)
  const size = words[L.classAt(classId <= 0 ? 1 : classId) + L.CLASS_CHUNK_WORDS]
  let items = REAP_STEP_ITEMS_MAX
  for (let left = REAP_STEP_CHUNKS_MAX; left > 0 && items > 0; left--) {
    const index = words[L.REAP_CHUNK]
    if (index >= used) {
      words[L.REAP_PAGE] = 0
      return
    }
    const owner = deadOwner(arena, (pageRef(arena, page) + index * size) as Ref)
    words[L.REAP_CHUNK]++
    if (owner === NIL) continue
    reclaimItem(arena, owner)
    if (classId === wanting && hasChunk(arena, wanting)) return
    items--
  }
}

/** The dead item that a used chunk belongs to; NIL: none. */
function deadOwner(arena: Arena, chunk: Ref): Ref {
  const { words } = arena
  const meta = words[chunk + L.ITEM_META]
  if (meta === L.META_FREE || meta === L.META_WITHHELD) return NIL
  const owner = ownerOf(arena, chunk)
  if (owner === NIL || (words[owner + L.ITEM_META] & L.STATE_LINKED) === 0) return NIL
  return isDead(arena, owner) ? owner : NIL
}

function random(words: Int32Array): number {
  words[L.PROBE_SEED] = (Math.imul(words[L.PROBE_SEED], RANDOM_FACTOR) + RANDOM_TERM) | 0
  return words[L.PROBE_SEED] >>> 0
}
