// The operations of shard.ts that are asked for on terms (terms.ts): beside it the only file that
// takes an arena's lock, under the same rules. Values in pieces are filled, read and released there.

import type { Area } from '../bytes/area.ts'
import { NIL } from './arena/layout.ts'
import { lock, unlock } from './arena/lock.ts'
import { dropHold } from './items/holds.ts'
import { itemBytes, writeValue } from './items/item.ts'
import { findLive, freeItem, unlinkItem } from './items/links.ts'
import type { HitSink, Hold, Shard } from './shard.ts'
import { Mode, Status } from './status.ts'
import {
  adjustOnTerms,
  commitOnTerms,
  findOrCreate,
  isPlainSet,
  judgeFetch,
  removeOnTerms,
  settleFetch,
  stateOf,
} from './storing/leases.ts'
import { rewriteItem } from './storing/rewrite.ts'
import { admitItem, admitted, readyToEnd, refuseStore } from './storing/storing.ts'
import type { Terms } from './storing/terms.ts'

/**
 * Offers the live item to `sink`, or one that the terms have made: MISS, NO_MEMORY, or what the sink said. What
 * the terms tell of the item stands in them before the sink is asked; nothing of it is done unless
 * the sink takes the item.
 */
export function fetchOn(
  shard: Shard,
  hash: number,
  key: Area,
  start: number,
  length: number,
  terms: Terms,
  sink: HitSink,
  hold: Hold,
): Status {
  const { arena } = shard
  lock(arena.words, shard.holder)
  const found = findOrCreate(arena, hash, key, start, length, terms)
  const endsAtS = terms.touches && !terms.created ? terms.touchAtS : 0
  const ref = found === NIL ? NIL : readyToEnd(arena, hash, found, endsAtS)
  let status: Status = found === NIL ? Status.MISS : Status.NO_MEMORY
  if (ref !== NIL) {
    judgeFetch(arena, ref, terms)
    status = shard.offer(ref, sink, hold)
    if (status === Status.OK || status === Status.HELD) settleFetch(arena, ref, terms)
    else if (terms.created) unlinkItem(arena, hash, ref)
  }
  unlock(arena.words)
  return status
}

/** Shows the live item to `sink`, which is no hit: MISS, or what the sink said. */
export function peek(
  shard: Shard,
  hash: number,
  key: Area,
  start: number,
  length: number,
  sink: HitSink,
): Status {
  const { arena } = shard
  lock(arena.words, shard.holder)
  const ref = findLive(arena, hash, key, start, length)
  const status = ref === NIL ? Status.MISS : sink.accept(arena, ref)
  unlock(arena.words)
  return status
}

/** Deletes an item, marks it stale or takes its value away: OK, MISS, EXISTS or NO_MEMORY. */
export function removeOn(
  shard: Shard,
  hash: number,
  key: Area,
  start: number,
  length: number,
  terms: Terms,
): Status {
  const { arena } = shard
  lock(arena.words, shard.holder)
  const status = removeOnTerms(arena, hash, key, start, length, terms)
  unlock(arena.words)
  return status
}

/**
 * As Shard.store. The new CAS is `lastCas` of links.ts, and the terms have the size of what was
 * stored. After TOO_LARGE and NO_MEMORY the old item is gone, whatever the mode.
 */
export function storeOn(
  shard: Shard,
  hash: number,
  key: Area,
  start: number,
  length: number,
  expiresAtS: number,
  terms: Terms,
  value: Area,
  valueStart: number,
  valueBytes: number,
): Status {
  const { arena } = shard
  const { flags } = terms
  const state = stateOf(terms)
  let status: Status = Status.OK
  lock(arena.words, shard.holder)
  const isRewritten =
    isPlainSet(terms) &&
    rewriteItem(arena, hash, key, start, length, flags, expiresAtS, value, valueStart, valueBytes)
  if (isRewritten) {
    terms.created = false
    terms.valueBytes = valueBytes
  } else {
    const { SET } = Mode
    shard.makeRoom(itemBytes(length, flags, valueBytes, state))
    status = admitItem(arena, SET, hash, key, start, length, flags, expiresAtS, valueBytes, state)
    if (status === Status.OK) {
      writeValue(arena, admitted, 0, value, valueStart, valueBytes)
      status = commitOnTerms(arena, hash, admitted, terms)
    }
  }
  unlock(arena.words)
  return status
}

/** As Shard.begin; a refusal as in storeOn. */
export function beginOn(
  shard: Shard,
  hash: number,
  key: Area,
  start: number,
  length: number,
  expiresAtS: number,
  terms: Terms,
  valueBytes: number,
  hold: Hold,
): Status {
  const { arena } = shard
  const { flags } = terms
  const state = stateOf(terms)
  const mode = Mode.SET
  lock(arena.words, shard.holder)
  shard.makeRoom(itemBytes(length, flags, valueBytes, state))
  let status = admitItem(
    arena,
    mode,
    hash,
    key,
    start,
    length,
    flags,
    expiresAtS,
    valueBytes,
    state,
    true,
  )
  if (status === Status.OK && !shard.hold(admitted, hold)) {
    freeItem(arena, admitted)
    status = refuseStore(arena, mode, hash, key, start, length, Status.NO_MEMORY)
  }
  unlock(arena.words)
  return status
}

/** As Shard.commit. */
export function commitOn(shard: Shard, hold: Hold, hash: number, terms: Terms): Status {
  const { arena } = shard
  lock(arena.words, shard.holder)
  let status: Status = Status.LOST
  if (shard.isGood(hold)) {
    status = commitOnTerms(arena, hash, dropHold(arena, hold.slot), terms)
  } else {
    shard.dropLost(hold)
  }
  unlock(arena.words)
  return status
}

/** As Shard.adjust, and as Shard.adjustOrAdd where the terms want an item to be made. */
export function adjustOn(
  shard: Shard,
  hash: number,
  key: Area,
  start: number,
  length: number,
  subtract: boolean,
  high: number,
  low: number,
  initialHigh: number,
  initialLow: number,
  terms: Terms,
): Status {
  const { arena } = shard
  lock(arena.words, shard.holder)
  const status = adjustOnTerms(
    arena,
    hash,
    key,
    start,
    length,
    subtract,
    high,
    low,
    initialHigh,
    initialLow,
    terms,
  )
  unlock(arena.words)
  return status
}
