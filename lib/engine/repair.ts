// Cleans up an arena after a dead thread. Assumes the lock: the dead thread's, or the caller's.

import type { Arena } from './arena/arena.ts'
import { NIL, RESETS, REWRITING, type Ref } from './arena/layout.ts'
import { NO_SLOT, slotOf } from './items/holds.ts'
import { dropKept, isKept, resetArena } from './items/keeps.ts'
import { releaseHold, unlinkItem } from './items/links.ts'
import { hashOfItem } from './items/table.ts'
import { verify } from './verify.ts'

/** Makes an arena that a dead thread locked usable. False: it was torn, and is now empty. */
export function repair(arena: Arena, dead: ReadonlySet<number>): boolean {
  if (isSound(arena)) {
    dropHalfWritten(arena)
    return true
  }
  resetArena(arena, dead)
  arena.words[RESETS]++
  return false
}

/** Releases all holds of a thread. */
export function releaseHolds(arena: Arena, holder: number): void {
  let slot = slotOf(arena, holder)
  while (slot !== NO_SLOT) {
    if (isKept(arena, slot)) dropKept(arena, slot)
    else releaseHold(arena, slot)
    slot = slotOf(arena, holder)
  }
}

/** Drops the item whose value the dead thread was writing over in place. */
function dropHalfWritten(arena: Arena): void {
  const ref = arena.words[REWRITING] as Ref
  arena.words[REWRITING] = NIL
  if (ref !== NIL) unlinkItem(arena, hashOfItem(arena, ref), ref)
}

function isSound(arena: Arena): boolean {
  try {
    verify(arena)
    return true
  } catch {
    return false
  }
}
