// Empties an arena while values are being received or sent. Sockets of live threads still read and
// write the chunks of the items that they hold. So the pages of those chunks stay out of use until
// the holds are released: a value that is being sent arrives complete, an upload is refused at its
// end. Assumes the lock.
//
// The owner word of such a page is minus the number of its kept chunks. The holder word of such a
// hold is minus the thread's id. Only its holder changes a held item, so its chain of chunks is
// sound even if the arena was torn.

import { type Arena, emptyArena, pageOf } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { NIL } from '../arena/layout.ts'
import { poolPage } from '../chunks/slabs.ts'
import { clearSlots, freeSlot, heldRef, OWN_SLOT } from './holds.ts'
import { nextChunk } from './item.ts'

/** Empties an arena, except for what threads other than `dead` hold. */
export function resetArena(arena: Arena, dead: ReadonlySet<number>): void {
  const { words } = arena
  const kept: { slot: number; ref: Ref; holder: number }[] = []
  for (let slot = 0; slot < words[L.HOLD_SLOTS]; slot++) {
    const holder = Math.abs(words[arena.holdsAt + slot * L.HOLD_WORDS + L.HOLD_HOLDER])
    if (holder !== 0 && !dead.has(holder)) kept.push({ slot, ref: heldRef(arena, slot), holder })
  }
  freeSlot(arena, OWN_SLOT)
  emptyArena(arena)
  for (const { slot, ref, holder } of kept) {
    const at = arena.holdsAt + slot * L.HOLD_WORDS
    words[at + L.HOLD_REF] = ref
    words[at + L.HOLD_HOLDER] = -holder
    countChunks(arena, ref, -1)
  }
  clearSlots(arena)
}

/** Whether a slot has a hold from before the arena was emptied. */
export function isKept({ words, holdsAt }: Arena, slot: number): boolean {
  return words[holdsAt + slot * L.HOLD_WORDS + L.HOLD_HOLDER] < 0
}

/** Drops a hold from before the arena was emptied, and frees the pages that no other hold keeps. */
export function dropKept(arena: Arena, slot: number): void {
  countChunks(arena, heldRef(arena, slot), 1)
  freeSlot(arena, slot)
}

function countChunks(arena: Arena, ref: Ref, sign: number): void {
  const { words } = arena
  for (let chunk = ref; chunk !== NIL; ) {
    // Read first: once its page is freed, its first word belongs to the pool.
    const next = nextChunk(arena, chunk)
    const page = pageOf(arena, chunk)
    words[arena.pagesAt + page] += sign
    if (words[arena.pagesAt + page] === 0 && page < words[L.PAGES_USED]) poolPage(arena, page)
    chunk = next
  }
}
