// An arena that is emptied while values are on their way in or out of it. Sockets of the threads that
// live still read and write the chunks of the items that these hold, so the pages of those are kept
// out of use until they are released: a value that is being sent arrives whole, one that comes is
// refused at its end. Assumes the lock.
//
// The owner of a kept page is minus the number of its chunks that are kept, the holder of a hold from
// before minus the thread's id. A held item changes only through who holds it: its chain is sound
// though the arena was torn.

import { type Arena, emptyArena, pageOf } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { NIL } from '../arena/layout.ts'
import { poolPage } from '../chunks/slabs.ts'
import { clearSlots, freeSlot, heldRef } from './holds.ts'
import { nextChunk } from './item.ts'

/** Empties an arena but for what is held by threads other than these. */
export function resetArena(arena: Arena, dead: ReadonlySet<number>): void {
  const { words } = arena
  const kept: { slot: number; ref: Ref; holder: number }[] = []
  for (let slot = 0; slot < words[L.HOLD_SLOTS]; slot++) {
    const holder = Math.abs(words[arena.holdsAt + slot * L.HOLD_WORDS + L.HOLD_HOLDER])
    if (holder !== 0 && !dead.has(holder)) kept.push({ slot, ref: heldRef(arena, slot), holder })
  }
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

/** Ends a hold from before the arena was emptied; pages that no other keeps are free. */
export function dropKept(arena: Arena, slot: number): void {
  countChunks(arena, heldRef(arena, slot), 1)
  freeSlot(arena, slot)
}

function countChunks(arena: Arena, ref: Ref, sign: number): void {
  const { words } = arena
  for (let chunk = ref; chunk !== NIL; ) {
    // Before its page is given back, where the first word is the pool's.
    const next = nextChunk(arena, chunk)
    const page = pageOf(arena, chunk)
    words[arena.pagesAt + page] += sign
    if (words[arena.pagesAt + page] === 0 && page < words[L.PAGES_USED]) poolPage(arena, page)
    chunk = next
  }
}
