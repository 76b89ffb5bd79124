// What get, gat, touch, mg and me mean for an item. Assumes the arena's lock.
//
// An item may be stale: out of date, but served until a new value is stored. Of all peers that
// fetch such an item, or one that is about to expire, or one that was created on a miss, exactly
// one wins: it is to make the new value. STATE_CLAIMED shows the others that one has won. A new
// value clears both states, because it is a new item.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import {
  classOf,
  expiryOf,
  itemTotalBytes,
  newMeta,
  setExpiry,
  valueBytesOf,
  writeKey,
} from '../items/item.ts'
import { linkItem, unlinkItem } from '../items/links.ts'
import { bumpItem, countHit } from '../items/lru.ts'
import { holdToSend, mustCopy } from '../items/shares.ts'
import { allocateItem, isRoomWanted } from '../room/allocate.ts'
import { Status } from '../status.ts'
import type { Ask, HitSink } from './ask.ts'
import { readyToExpire } from './successor.ts'
import { expiryOfCreated, findAsked, settle, stateOf } from './terms.ts'

/** Offers the live item to `sink`: MISS, NO_MEMORY, or the sink's status. */
export function getItem(arena: Arena, ask: Ask, sink: HitSink): Status {
  if (!ask.isPlain) return getOnTerms(arena, ask, sink)
  const ref = findAsked(arena, ask)
  if (ref === NIL) {
    arena.counters[counterAt(Counter.GET_MISSES)]++
    return Status.MISS
  }
  const status = offer(arena, ref, ask, sink)
  if (isTaken(status)) {
    countHit(arena, ref)
    bumpItem(arena, ref)
  }
  return status
}

/** As getItem, and changes when the item expires. */
export function getAndTouchItem(arena: Arena, ask: Ask, sink: HitSink): Status {
  const found = findToTouch(arena, ask)
  if (found === NIL) return Status.MISS
  const ref = readyToExpire(arena, ask.hash, found, ask.expiresAtS)
  if (ref === NIL) return Status.NO_MEMORY
  const status = offer(arena, ref, ask, sink)
  if (isTaken(status)) touchFound(arena, ref, ask.expiresAtS)
  return status
}

/** Changes when the item expires: OK, MISS or NO_MEMORY. */
export function touchItem(arena: Arena, ask: Ask): Status {
  const found = findToTouch(arena, ask)
  if (found === NIL) return Status.MISS
  const ref = readyToExpire(arena, ask.hash, found, ask.expiresAtS)
  if (ref === NIL) return Status.NO_MEMORY
  touchFound(arena, ref, ask.expiresAtS)
  return Status.OK
}

/** Shows the live item to `sink` without counting a hit: MISS, or the sink's status. */
export function peekItem(arena: Arena, ask: Ask, sink: HitSink): Status {
  const ref = findAsked(arena, ask)
  return ref === NIL ? Status.MISS : sink.accept(arena, ref)
}

/**
 * The results are set before the sink is called. The item is changed only if the sink takes it.
 */
function getOnTerms(arena: Arena, ask: Ask, sink: HitSink): Status {
  const found = findOrCreate(arena, ask)
  if (found === NIL) return isRoomWanted(arena) ? Status.NO_MEMORY : Status.MISS
  const expiresAtS = ask.touches && !ask.created ? ask.expiresAtS : 0
  const ref = readyToExpire(arena, ask.hash, found, expiresAtS)
  if (ref === NIL) return Status.NO_MEMORY
  judge(arena, ask, ref)
  const status = offer(arena, ref, ask, sink)
  if (isTaken(status)) settleFetch(arena, ask, ref)
  else if (ask.created) unlinkItem(arena, ask.hash, ref)
  return status
}

function findOrCreate(arena: Arena, ask: Ask): Ref {
  let ref = findAsked(arena, ask)
  ask.created = ref === NIL && ask.creates
  if (ask.created) ref = create(arena, ask)
  if (ref === NIL) {
    ask.created = false
    if (!isRoomWanted(arena)) arena.counters[counterAt(Counter.GET_MISSES)]++
  }
  return ref
}

/** A new item without a value, linked; NIL: no memory. */
function create(arena: Arena, ask: Ask): Ref {
  const expiresAtS = expiryOfCreated(ask)
  const ref = allocateItem(arena, newMeta(ask.keyBytes, 0, expiresAtS, 0, stateOf(ask)), 0)
  if (ref === NIL) return NIL
  setExpiry(arena, ref, expiresAtS)
  writeKey(arena, ref, ask.area, ask.keyStart)
  linkItem(arena, ask.hash, ref)
  settle(arena, ask, ref)
  return ref
}

/** Computes the results of a fetch, without changing the item. */
function judge(arena: Arena, ask: Ask, ref: Ref): void {
  const meta = arena.words[ref + L.ITEM_META]
  ask.wasClaimed = (meta & L.STATE_CLAIMED) !== 0
  ask.wasStale = (meta & L.STATE_STALE) !== 0
  ask.oldExpiresAtS = ask.created ? 0 : expiryOf(arena, ref)
  const expiresAtS = ask.touches && ask.recachesTouched ? ask.expiresAtS : ask.oldExpiresAtS
  const isDue = ask.recaches && expiresAtS !== 0 && expiresAtS < ask.recacheAtS
  ask.won = ask.created || (!ask.wasClaimed && (ask.wasStale || isDue))
}

/** The sink took the item: sets its new expiry and its claim, counts and bumps. */
function settleFetch(arena: Arena, ask: Ask, ref: Ref): void {
  const { words, counters } = arena
  if (ask.created && ask.createsAsMiss) counters[counterAt(Counter.GET_MISSES)]++
  else if (ask.touches) counters[classCounterAt(classOf(arena, ref), ClassCounter.TOUCH_HITS)]++
  else countHit(arena, ref)
  if (ask.touches && !ask.created) setExpiry(arena, ref, ask.expiresAtS)
  if (ask.won) words[ref + L.ITEM_META] |= L.STATE_CLAIMED
  if (ask.bumps) bumpItem(arena, ref)
}

/** The sink's status for an item, which is then held if the status is HELD. */
function offer(arena: Arena, ref: Ref, ask: Ask, sink: HitSink): Status {
  const status = sink.accept(arena, ref)
  return status === Status.HELD ? hold(arena, ref, ask) : status
}

/** Holds an item whose value is sent or, if values being sent keep too much, copied at once. */
function hold(arena: Arena, ref: Ref, ask: Ask): Status {
  const { counters } = arena
  ask.mustCopy = mustCopy(arena, ref)
  const isRefused = ask.mustCopy && valueBytesOf(arena, ref) > ask.copyRoom.bytes
  if (isRefused || !holdToSend(arena, ref, (itemTotalBytes(arena, ref) + 3) >> 2, ask.hold)) {
    counters[counterAt(Counter.READS_REFUSED)]++
    return Status.NO_MEMORY
  }
  if (ask.mustCopy) counters[counterAt(Counter.READS_COPIED)]++
  return Status.HELD
}

function isTaken(status: Status): boolean {
  return status === Status.OK || status === Status.HELD
}

function findToTouch(arena: Arena, ask: Ask): Ref {
  const ref = findAsked(arena, ask)
  if (ref === NIL) arena.counters[counterAt(Counter.TOUCH_MISSES)]++
  return ref
}

function touchFound(arena: Arena, ref: Ref, expiresAtS: number): void {
  arena.counters[classCounterAt(classOf(arena, ref), ClassCounter.TOUCH_HITS)]++
  setExpiry(arena, ref, expiresAtS)
  bumpItem(arena, ref)
}
