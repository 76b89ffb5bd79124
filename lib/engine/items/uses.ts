// How often an item was used and when, in a bit of META and one word of its header. Assumes the
// arena's lock.
//
//   STATE_ACTIVE  used since it came to its list, or since it was last at the tail of WARM
//   ITEM_TOUCHED  seconds of the arena's clock << 2 | further uses, 0 to 3
//
// A use sets ACTIVE, or counts as a further one if it is set. Each time that the item is at the
// tail of WARM it spends a use to stay: first ACTIVE, then the further ones. So an item that is
// used often outlasts several rounds without a use, and a hit on it writes nothing.

import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'

const FURTHER_MAX = 3
export const USES_MAX = 1 + FURTHER_MAX

/** When the item was used, as far as that is recorded (lru.ts), seconds of the arena's clock. */
export function touchedAtS(words: Int32Array, ref: Ref): number {
  return words[ref + L.ITEM_TOUCHED] >>> L.TOUCHED_SHIFT
}

/** Records that an item is used now; its count of uses stays. */
export function touch(words: Int32Array, ref: Ref): void {
  const further = words[ref + L.ITEM_TOUCHED] & FURTHER_MAX
  words[ref + L.ITEM_TOUCHED] = (words[L.CLOCK_S] << L.TOUCHED_SHIFT) | further
}

/** Records that an item is new. */
export function touchNew(words: Int32Array, ref: Ref): void {
  words[ref + L.ITEM_TOUCHED] = words[L.CLOCK_S] << L.TOUCHED_SHIFT
}

/** Counts a use of an item that is active. */
export function countFurther(words: Int32Array, ref: Ref): void {
  const touched = words[ref + L.ITEM_TOUCHED]
  if ((touched & FURTHER_MAX) !== FURTHER_MAX) words[ref + L.ITEM_TOUCHED] = touched + 1
}

/** Whether the item has a use left to spend. */
export function isUsed(words: Int32Array, ref: Ref): boolean {
  const active = (words[ref + L.ITEM_META] & L.STATE_ACTIVE) !== 0
  return active || (words[ref + L.ITEM_TOUCHED] & FURTHER_MAX) !== 0
}

/** The uses that the item has left, 0 to USES_MAX. */
export function usesOf(words: Int32Array, ref: Ref): number {
  const active = (words[ref + L.ITEM_META] & L.STATE_ACTIVE) === 0 ? 0 : 1
  return active + (words[ref + L.ITEM_TOUCHED] & FURTHER_MAX)
}

/** Gives a new item the uses that it had before, 1 to USES_MAX. */
export function recallUses(words: Int32Array, ref: Ref, uses: number): void {
  words[ref + L.ITEM_META] |= L.STATE_FETCHED | L.STATE_ACTIVE
  words[ref + L.ITEM_TOUCHED] += uses - 1
}

/** Spends one use; nothing if there is none. */
export function spendUse(words: Int32Array, ref: Ref): void {
  if ((words[ref + L.ITEM_META] & L.STATE_ACTIVE) !== 0) {
    words[ref + L.ITEM_META] &= ~L.STATE_ACTIVE
  } else if ((words[ref + L.ITEM_TOUCHED] & FURTHER_MAX) !== 0) {
    words[ref + L.ITEM_TOUCHED]--
  }
}

/** Spends all uses. */
export function spendUses(words: Int32Array, ref: Ref): void {
  words[ref + L.ITEM_META] &= ~L.STATE_ACTIVE
  words[ref + L.ITEM_TOUCHED] &= ~FURTHER_MAX
}
