// How much of an arena peers may keep: by values that are being uploaded, and by values that are
// being sent. A peer may stop at any byte, and what it keeps cannot be evicted. So uploads together
// have a share of the arena, and values being sent have one. Assumes the arena's lock.
//
// What one peer keeps is not compared with the share, only what others keep: the longest item can
// always be stored and read, and never more than the share and one item is kept. An upload counts
// with its whole value from its beginning on, so that what has begun can be completed. A value that
// is being sent counts once, however many peers read it.

import type { Arena } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { lockHolder } from '../arena/lock.ts'
import { READS_SHARE, READS_SLOTS_SHARE, UPLOADS_SHARE, UPLOADS_SLOTS_SHARE } from '../limits.ts'
import { countHold, type Hold, isHeld, NO_SLOT, takeHold } from './holds.ts'

/** Whether another upload may begin: others have not used up their share. */
export function mayUpload(arena: Arena): boolean {
  const { words } = arena
  if (words[L.UPLOAD_SLOTS] >= words[L.HOLD_SLOTS] * UPLOADS_SLOTS_SHARE) return false
  return words[L.UPLOADS_HELD] <= limitWords(arena, UPLOADS_SHARE)
}

/** Whether a value that is sent from its item should be copied instead. */
export function mustCopy(arena: Arena, ref: Ref): boolean {
  const { words } = arena
  if (words[L.HOLD_COUNT] >= words[L.HOLD_SLOTS] * READS_SLOTS_SHARE) return true
  return words[L.READS_HELD] > limitWords(arena, READS_SHARE) && !isHeld(arena, ref)
}

/**
 * Fills `hold` with a hold on a new item of `itemWords` words that is being uploaded, for the
 * thread that has the lock. False: no slot is free.
 */
export function holdUpload(arena: Arena, ref: Ref, itemWords: number, hold: Hold): boolean {
  return holdAs(arena, ref, hold, true, itemWords)
}

/** The same for an item whose value is being sent. */
export function holdToSend(arena: Arena, ref: Ref, itemWords: number, hold: Hold): boolean {
  return holdAs(arena, ref, hold, false, isHeld(arena, ref) ? 0 : itemWords)
}

/** Bytes that values being uploaded may keep, beside one more. */
export function uploadsLimitBytes(arena: Arena): number {
  return limitWords(arena, UPLOADS_SHARE) * 4
}

/** Bytes that values being sent may keep, beside one more. */
export function readsLimitBytes(arena: Arena): number {
  return limitWords(arena, READS_SHARE) * 4
}

function holdAs(arena: Arena, ref: Ref, hold: Hold, isUpload: boolean, share: number): boolean {
  hold.slot = takeHold(arena, ref, lockHolder(arena.words))
  hold.generation = arena.words[L.GENERATION]
  if (hold.slot === NO_SLOT) return false
  countHold(arena, hold.slot, isUpload, share)
  return true
}

function limitWords({ words, pageWords }: Arena, share: number): number {
  return Math.floor(words[L.PAGE_LIMIT] * pageWords * share)
}
