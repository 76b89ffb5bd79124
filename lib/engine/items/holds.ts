// Holds: a held item keeps its chunks even if it is evicted, deleted, replaced or not linked yet. A
// value being received or sent is held. Assumes the arena's lock.
//
// A hold is a slot in the arena that names the item and the thread, so that the holds of a dead
// thread can be found and released. A slot whose thread is 0 is free; free slots are chained. A
// hold from before the arena was emptied has a negative thread (keeps.ts). STATE_HELD in an item
// says whether any slot names it.
//
// OWN_SLOT is never in the chain. It pins the item that the current operation must not lose while
// it makes room. One operation runs at a time, so one slot is enough, and peers that hold all other
// slots cannot make an append or an incr fail.

import { type Arena, HOLD_SLOTS_MAX } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { lockHolder } from '../arena/lock.ts'

export const NO_SLOT = -1
export const OWN_SLOT = HOLD_SLOTS_MAX

/** A caller's hold on an item: a slot, valid while the arena's generation lasts. */
export interface Hold {
  slot: number
  generation: number
}

/** Whether a hold is valid: the arena has not been emptied since it was taken. */
export function isGood({ words }: Arena, hold: Hold): boolean {
  return hold.generation === words[L.GENERATION]
}

/** Holds an item for the thread `holder`. Returns the slot, or NO_SLOT if all are taken. */
export function takeHold(arena: Arena, ref: Ref, holder: number): number {
  const { words } = arena
  const slot = words[L.HOLD_FREE]
  if (slot === NO_SLOT) return NO_SLOT
  const at = slotAt(arena, slot)
  words[L.HOLD_FREE] = words[at + L.HOLD_REF]
  words[at + L.HOLD_REF] = ref
  words[at + L.HOLD_HOLDER] = holder
  words[L.HOLD_COUNT]++
  words[ref + L.ITEM_META] |= L.STATE_HELD
  return slot
}

/** Holds an item in OWN_SLOT for the current operation. */
export function takeOwnHold(arena: Arena, ref: Ref): void {
  const { words } = arena
  const at = slotAt(arena, OWN_SLOT)
  words[at + L.HOLD_REF] = ref
  words[at + L.HOLD_HOLDER] = lockHolder(words)
  words[ref + L.ITEM_META] |= L.STATE_HELD
}

/** Whether the current operation holds an item, which must stay where it is. */
export function hasOwnHold(arena: Arena): boolean {
  return arena.words[slotAt(arena, OWN_SLOT) + L.HOLD_HOLDER] !== 0
}

/** Frees a slot and returns the item that it held. */
export function dropHold(arena: Arena, slot: number): Ref {
  const { words } = arena
  const ref = heldRef(arena, slot)
  const share = words[slotAt(arena, slot) + L.HOLD_SHARE]
  freeSlot(arena, slot)
  const other = slotHolding(arena, ref)
  if (other === 0) words[ref + L.ITEM_META] &= ~L.STATE_HELD
  else if (share !== 0) addShare(arena, other, share)
  return ref
}

/** Counts `share` words as held by a slot of an upload, or of a value being sent. */
export function countHold(arena: Arena, slot: number, isUpload: boolean, share: number): void {
  const { words } = arena
  const at = slotAt(arena, slot)
  words[at + L.HOLD_IS_UPLOAD] = isUpload ? 1 : 0
  if (isUpload) words[L.UPLOAD_SLOTS]++
  addShare(arena, at, share)
}

/** Frees a slot without touching its item. */
export function freeSlot(arena: Arena, slot: number): void {
  const { words } = arena
  const at = slotAt(arena, slot)
  words[at + L.HOLD_HOLDER] = 0
  addShare(arena, at, -words[at + L.HOLD_SHARE])
  if (slot === OWN_SLOT) return
  words[L.UPLOAD_SLOTS] -= words[at + L.HOLD_IS_UPLOAD]
  words[at + L.HOLD_IS_UPLOAD] = 0
  words[at + L.HOLD_REF] = words[L.HOLD_FREE]
  words[L.HOLD_FREE] = slot
  words[L.HOLD_COUNT]--
}

/** Chains all free slots, in order. */
export function clearSlots(arena: Arena): void {
  const { words } = arena
  const slots = words[L.HOLD_SLOTS]
  words[L.HOLD_FREE] = NO_SLOT
  words[L.HOLD_COUNT] = slots
  for (let slot = slots - 1; slot >= 0; slot--) {
    if (words[slotAt(arena, slot) + L.HOLD_HOLDER] === 0) freeSlot(arena, slot)
  }
}

/** The item in a slot. */
export function heldRef(arena: Arena, slot: number): Ref {
  return arena.words[slotAt(arena, slot) + L.HOLD_REF] as Ref
}

/** Whether any thread holds the item. */
export function isHeld(arena: Arena, ref: Ref): boolean {
  return (arena.words[ref + L.ITEM_META] & L.STATE_HELD) !== 0
}

/** The number of taken slots. */
export function holdCount({ words }: Arena): number {
  return words[L.HOLD_COUNT]
}

/** A slot of `holder`, NO_SLOT if it has none; to clean up after a dead thread. */
export function slotOf(arena: Arena, holder: number): number {
  for (let slot = 0; slot <= OWN_SLOT; slot++) {
    if (Math.abs(arena.words[slotAt(arena, slot) + L.HOLD_HOLDER]) === holder) return slot
  }
  return NO_SLOT
}

/** The first word of a slot that holds the item, OWN_SLOT last; 0: none does. */
function slotHolding(arena: Arena, ref: Ref): number {
  const { words } = arena
  let left = words[L.HOLD_COUNT]
  for (let at = arena.holdsAt; left > 0; at += L.HOLD_WORDS) {
    if (words[at + L.HOLD_HOLDER] === 0) continue
    if (words[at + L.HOLD_REF] === ref) return at
    left--
  }
  const own = slotAt(arena, OWN_SLOT)
  return words[own + L.HOLD_REF] === ref && words[own + L.HOLD_HOLDER] !== 0 ? own : 0
}

/** Adds to the share of the slot at `at`, and to the total of its kind. */
function addShare({ words }: Arena, at: number, share: number): void {
  words[at + L.HOLD_SHARE] += share
  words[L.READS_HELD + words[at + L.HOLD_IS_UPLOAD]] += share
}

function slotAt({ holdsAt }: Arena, slot: number): number {
  return holdsAt + slot * L.HOLD_WORDS
}
