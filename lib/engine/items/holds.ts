// Holds: an item that a thread holds keeps its chunks although it is evicted, deleted or replaced,
// or was never linked. A value on its way in or out is held. Assumes the arena's lock.
//
// Holds are slots in the arena, each with the item and the thread, so that the holds of a thread
// that died are found and released. A slot is free while its thread is 0; free slots are chained.
// The holder of a hold from before the arena was emptied is negative (keeps.ts).
// STATE_HELD in the item says whether any slot has it.

import type { Arena } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'

export const NO_SLOT = -1

/** Holds an item for a thread; the slot, or NO_SLOT when all are taken. */
export function takeHold(arena: Arena, ref: Ref, holder: number): number {
  const { words } = arena
  const slot = words[L.HOLD_FREE]
  if (slot === NO_SLOT) return NO_SLOT
  const at = arena.holdsAt + slot * L.HOLD_WORDS
  words[L.HOLD_FREE] = words[at + L.HOLD_REF]
  words[at + L.HOLD_REF] = ref
  words[at + L.HOLD_HOLDER] = holder
  words[L.HOLD_COUNT]++
  words[ref + L.ITEM_META] |= L.STATE_HELD
  return slot
}

/** Frees a slot and returns the item that it held. */
export function dropHold(arena: Arena, slot: number): Ref {
  const { words } = arena
  const ref = heldRef(arena, slot)
  freeSlot(arena, slot)
  if (!hasSlot(arena, ref)) words[ref + L.ITEM_META] &= ~L.STATE_HELD
  return ref
}

/** Gives a slot back to the chain of free ones. */
export function freeSlot(arena: Arena, slot: number): void {
  const { words } = arena
  const at = arena.holdsAt + slot * L.HOLD_WORDS
  words[at + L.HOLD_REF] = words[L.HOLD_FREE]
  words[at + L.HOLD_HOLDER] = 0
  words[L.HOLD_FREE] = slot
  words[L.HOLD_COUNT]--
}

/** Chains the slots that no thread has anew, in order. */
export function clearSlots(arena: Arena): void {
  const { words } = arena
  const slots = words[L.HOLD_SLOTS]
  words[L.HOLD_FREE] = NO_SLOT
  words[L.HOLD_COUNT] = slots
  for (let slot = slots - 1; slot >= 0; slot--) {
    if (words[arena.holdsAt + slot * L.HOLD_WORDS + L.HOLD_HOLDER] === 0) freeSlot(arena, slot)
  }
}

/** The item in a slot. */
export function heldRef(arena: Arena, slot: number): Ref {
  return arena.words[arena.holdsAt + slot * L.HOLD_WORDS + L.HOLD_REF] as Ref
}

/** Whether any thread holds the item. */
export function isHeld(arena: Arena, ref: Ref): boolean {
  return (arena.words[ref + L.ITEM_META] & L.STATE_HELD) !== 0
}

/** A slot that `holder` holds, NO_SLOT if it holds none: for clearing up after a dead thread. */
export function slotOf(arena: Arena, holder: number): number {
  const { words } = arena
  for (let slot = 0; slot < words[L.HOLD_SLOTS]; slot++) {
    const at = arena.holdsAt + slot * L.HOLD_WORDS
    if (Math.abs(words[at + L.HOLD_HOLDER]) === holder) return slot
  }
  return NO_SLOT
}

function hasSlot(arena: Arena, ref: Ref): boolean {
  const { words } = arena
  let left = words[L.HOLD_COUNT]
  for (let at = arena.holdsAt; left > 0; at += L.HOLD_WORDS) {
    if (words[at + L.HOLD_HOLDER] === 0) continue
    if (words[at + L.HOLD_REF] === ref) return true
    left--
  }
  return false
}
