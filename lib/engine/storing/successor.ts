// Successors: a new item for the key of an old one, for a value or words that do not fit the old
// one. It is filled while the old one can still be found, then replaces it. Assumes the arena's
// lock.

import type { Arena } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { OWN_SLOT, takeOwnHold } from '../items/holds.ts'
import {
  copyValue,
  expiryOf,
  itemFlags,
  keyAt,
  keyBytesOf,
  newMeta,
  setExpiry,
  setFlags,
  valueBytesOf,
  writeKey,
} from '../items/item.ts'
import { releaseHold, relocateItem, replaceItem } from '../items/links.ts'
import { allocateItem } from '../room/allocate.ts'
import { itemFits } from './terms.ts'

/**
 * A new item with the key of `old`, shown in the same way; NIL: no memory. It has room for
 * `valueBytes` and for the optional words of `state`. The caller writes everything but its key, and
 * passes it to `succeed`. The old item is held until then, because the allocation could evict it.
 */
export function successor(
  arena: Arena,
  old: Ref,
  flags: number,
  valueBytes: number,
  state: number,
): Ref {
  const keyBytes = keyBytesOf(arena, old)
  if (!itemFits(arena, keyBytes, flags, valueBytes)) return NIL
  const kept = arena.words[old + L.ITEM_META] & L.STATE_KEY_BINARY
  takeOwnHold(arena, old)
  const ref = allocateItem(arena, newMeta(keyBytes, flags, 0, valueBytes, state | kept), valueBytes)
  if (ref === NIL) {
    releaseHold(arena, OWN_SLOT)
    return NIL
  }
  setFlags(arena, ref, flags)
  setExpiry(arena, ref, 0)
  writeKey(arena, ref, arena.area, keyAt(arena, old))
  return ref
}

/** A successor with the flags and the expiry of `old`. */
export function likeSuccessor(arena: Arena, old: Ref, valueBytes: number, state: number): Ref {
  const expiresAtS = expiryOf(arena, old)
  const full = expiresAtS === 0 ? state : state | L.STATE_ENDS
  const ref = successor(arena, old, itemFlags(arena, old), valueBytes, full)
  if (ref !== NIL) setExpiry(arena, ref, expiresAtS)
  return ref
}

/** Links a successor in place of `old`. */
export function succeed(arena: Arena, hash: number, old: Ref, ref: Ref): void {
  replaceItem(arena, hash, old, ref)
  releaseHold(arena, OWN_SLOT)
}

/** Replaces `old` by a copy with the optional words of `state`; NIL: no memory. */
export function copyItem(arena: Arena, hash: number, old: Ref, state: number): Ref {
  const { words } = arena
  const valueBytes = valueBytesOf(arena, old)
  const ref = likeSuccessor(arena, old, valueBytes, state)
  if (ref === NIL) return NIL
  copyValue(arena, old, valueBytes, ref, 0)
  const hits = words[old + L.ITEM_META] & (L.STATE_FETCHED | L.STATE_ACTIVE)
  succeed(arena, hash, old, ref)
  words[ref + L.ITEM_META] |= hits
  return ref
}

/**
 * Makes an item ready to expire at `expiresAtS`: if it has no word for that, a copy with one
 * replaces it. Returns the item or its copy; NIL: no memory.
 */
export function readyToExpire(arena: Arena, hash: number, old: Ref, expiresAtS: number): Ref {
  const meta = arena.words[old + L.ITEM_META]
  if (expiresAtS === 0 || (meta & L.STATE_ENDS) !== 0) return old
  const valueBytes = valueBytesOf(arena, old)
  const ref = likeSuccessor(arena, old, valueBytes, L.STATE_ENDS | (meta & L.STATE_CHOSEN_CAS))
  if (ref === NIL) return NIL
  copyValue(arena, old, valueBytes, ref, 0)
  relocateItem(arena, hash, old, ref)
  releaseHold(arena, OWN_SLOT)
  return ref
}
