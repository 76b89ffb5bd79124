// The operations on one arena. This file takes the arena's lock, and so does shard-terms.ts for
// those that are asked for on terms: below them all code assumes the lock, above nobody has it. Every operation is bounded, allocates nothing and waits for
// nothing while it holds the lock. A failed assertion leaves the arena locked on purpose: what it
// found torn must not be served, and `recover` in cache.ts decides.
//
// Keys and values are ranges of an Area; `hash` is the key's hash from hash.ts.

import type { Area } from '../bytes/area.ts'
import { u64 } from '../bytes/decimal.ts'
import { Arena } from './arena/arena.ts'
import {
  ClassCounter,
  Counter,
  classCounterAt,
  counterAt,
  resetCounters,
} from './arena/counters.ts'
import * as L from './arena/layout.ts'
import { NIL, type Ref } from './arena/layout.ts'
import { lock, unlock, yieldLock } from './arena/lock.ts'
import { dropHold, heldRef, NO_SLOT, takeHold } from './items/holds.ts'
import { itemBytes, setEnd, writeValue } from './items/item.ts'
import { dropKept, isKept } from './items/keeps.ts'
import {
  findLive,
  flushIfDue,
  freeItem,
  isDead,
  releaseHold,
  scheduleFlush,
  unlinkItem,
} from './items/links.ts'
import { bumpItem, countHit } from './items/lru.ts'
import type { Place } from './items/place.ts'
import { findItem } from './items/table.ts'
import {
  type ClassSet,
  type ItemSink,
  type WalkCursor,
  walkColdList,
  walkItems,
} from './items/walk.ts'
import { UPKEEP_TURN_MS_MAX } from './limits.ts'
import { Mode, type Order, Status } from './status.ts'
import { rewriteItem } from './storing/rewrite.ts'
import {
  addNumber,
  adjustItem,
  admitItem,
  admitted,
  casMatches,
  commitItem,
  dropStale,
  extendItem,
  giveUpItem,
  readyToEnd,
  refuseStore,
} from './storing/storing.ts'
import { Crawl, startCrawl, stopCrawl } from './upkeep/crawl.ts'
import { startMove, stepTowardsRoom } from './upkeep/moves.ts'
import type { Upkeep } from './upkeep/upkeep.ts'

/** Steps of a page move that a store waits for before it empties a page at once. */
export const ROOM_STEPS_MAX = 4096

/** Pages that it gives up to empty, for items of theirs are held. */
export const ROOM_GIVEN_UP_MAX = 8

/**
 * Takes a hit under the lock: copies what it wants of the item and returns OK, NO_ROOM when it must
 * be asked again, or HELD when the value shall be kept so that it can be read piece by piece.
 */
export interface HitSink {
  accept(arena: Arena, ref: Ref): Status
}

/** An item held by `Shard.get` or `Shard.begin`: a slot, good while the arena's generation lasts. */
export interface Hold {
  slot: number
  generation: number
}

/** Passes on the items of a walk that have not ended. */
class LiveItems implements ItemSink {
  sink: ItemSink = this

  take(arena: Arena, ref: Ref): boolean {
    return isDead(arena, ref) || this.sink.take(arena, ref)
  }
}

export class Shard {
  readonly arena: Arena
  readonly holder: number
  private readonly live = new LiveItems()

  /** `holder`: the calling thread's id, positive and unique in the process, for lock and holds. */
  constructor(buffer: SharedArrayBuffer, holder: number) {
    this.arena = new Arena(buffer)
    this.holder = holder
  }

  /** Offers the live item to `sink`. MISS, or what the sink said; HELD fills `hold`. */
  get(hash: number, key: Area, start: number, length: number, sink: HitSink, hold: Hold): Status {
    const { words, counters } = this.arena
    lock(words, this.holder)
    const ref = findLive(this.arena, hash, key, start, length)
    let status: Status = Status.MISS
    if (ref === NIL) {
      counters[counterAt(Counter.GET_MISSES)]++
    } else {
      status = this.offer(ref, sink, hold)
      if (status === Status.OK || status === Status.HELD) {
        countHit(this.arena, ref)
        bumpItem(this.arena, ref)
      }
    }
    unlock(words)
    return status
  }

  /** As `get`, and moves the item's end to `expiresAtS` (clock.ts). */
  getAndTouch(
    hash: number,
    key: Area,
    start: number,
    length: number,
    expiresAtS: number,
    sink: HitSink,
    hold: Hold,
  ): Status {
    const { words } = this.arena
    lock(words, this.holder)
    const found = this.findToTouch(hash, key, start, length)
    const ref = found === NIL ? NIL : readyToEnd(this.arena, hash, found, expiresAtS)
    let status: Status = found === NIL ? Status.MISS : Status.NO_MEMORY
    if (ref !== NIL) {
      status = this.offer(ref, sink, hold)
      if (status === Status.OK || status === Status.HELD) this.touchItem(ref, expiresAtS)
    }
    unlock(words)
    return status
  }

  /** Moves the end of an item to `expiresAtS`: OK, MISS or NO_MEMORY. */
  touch(hash: number, key: Area, start: number, length: number, expiresAtS: number): Status {
    const { words } = this.arena
    lock(words, this.holder)
    const found = this.findToTouch(hash, key, start, length)
    const ref = found === NIL ? NIL : readyToEnd(this.arena, hash, found, expiresAtS)
    if (ref !== NIL) this.touchItem(ref, expiresAtS)
    unlock(words)
    if (found === NIL) return Status.MISS
    return ref === NIL ? Status.NO_MEMORY : Status.OK
  }

  /** Deletes an item if it has the CAS asked for; 0 asks for none. OK, MISS or EXISTS. */
  remove(hash: number, key: Area, start: number, length: number, casHigh = 0, casLow = 0): Status {
    const { words, counters } = this.arena
    lock(words, this.holder)
    const ref = findLive(this.arena, hash, key, start, length)
    let status: Status = Status.OK
    if (ref === NIL) {
      counters[counterAt(Counter.DELETE_MISSES)]++
      status = Status.MISS
    } else if (!casMatches(this.arena, ref, casHigh, casLow)) {
      status = Status.EXISTS
    } else {
      const classId = L.metaClass(words[ref + L.ITEM_META])
      counters[classCounterAt(classId, ClassCounter.DELETE_HITS)]++
      unlinkItem(this.arena, hash, ref)
    }
    unlock(words)
    return status
  }

  /**
   * Stores a value that is there whole. `casHigh`, `casLow`: the CAS that Mode.CAS asks for, and
   * APPEND and PREPEND too unless it is 0. The new one is `lastCas` of links.ts.
   * OK, MISS (cas), EXISTS (cas), NOT_STORED, TOO_LARGE or NO_MEMORY; after the last two a SET has
   * removed the old item, so that nothing stale stays.
   */
  store(
    mode: Mode,
    hash: number,
    key: Area,
    start: number,
    length: number,
    flags: number,
    expiresAtS: number,
    casHigh: number,
    casLow: number,
    value: Area,
    valueStart: number,
    valueBytes: number,
  ): Status {
    const { arena } = this
    let status: Status = Status.OK
    lock(arena.words, this.holder)
    const isRewritten =
      mode === Mode.SET &&
      rewriteItem(arena, hash, key, start, length, flags, expiresAtS, value, valueStart, valueBytes)
    if (!isRewritten) {
      this.makeRoom(itemBytes(length, flags, valueBytes, 0))
      status = admitItem(arena, mode, hash, key, start, length, flags, expiresAtS, valueBytes, 0)
      if (status === Status.OK) {
        writeValue(arena, admitted, 0, value, valueStart, valueBytes)
        status = commitItem(arena, mode, hash, admitted, casHigh, casLow)
      }
    }
    unlock(arena.words)
    return status
  }

  /**
   * Makes room for the beginning of a value that is still to come, and holds it: OK, TOO_LARGE or
   * NO_MEMORY. The rest of a long one gets its room as it comes (`extend`).
   */
  begin(
    mode: Mode,
    hash: number,
    key: Area,
    start: number,
    length: number,
    flags: number,
    expiresAtS: number,
    valueBytes: number,
    hold: Hold,
  ): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    this.makeRoom(itemBytes(length, flags, valueBytes, 0))
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
      0,
      true,
    )
    if (status === Status.OK && !this.hold(admitted, hold)) {
      freeItem(arena, admitted)
      status = refuseStore(arena, mode, hash, key, start, length, Status.NO_MEMORY)
    }
    unlock(arena.words)
    return status
  }

  /** Ends an item that a refused store would have replaced; after a SET it is gone already. */
  dropStale(hash: number, key: Area, start: number, length: number): void {
    const { arena } = this
    lock(arena.words, this.holder)
    dropStale(arena, hash, key, start, length)
    unlock(arena.words)
  }

  /** Steps to where the next bytes of a value begun go: OK, NO_MEMORY or LOST. */
  extend(hold: Hold, place: Place, valueBytes: number): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    let status: Status = Status.LOST
    this.makeRoom(place.left)
    if (this.isGood(hold)) {
      const found = extendItem(arena, heldRef(arena, hold.slot), place, valueBytes)
      status = found ? Status.OK : Status.NO_MEMORY
    }
    unlock(arena.words)
    return status
  }

  /** Ends a value begun that `extend` failed; `dropsOld`: the item that it was to replace ends too. */
  giveUp(hold: Hold, hash: number, dropsOld: boolean): void {
    const { arena } = this
    lock(arena.words, this.holder)
    if (this.isGood(hold)) giveUpItem(arena, hash, dropHold(arena, hold.slot), dropsOld)
    else this.dropLost(hold)
    unlock(arena.words)
  }

  /** Stores a value begun and filled, as `store` does; LOST if the arena was emptied meanwhile. */
  commit(mode: Mode, hold: Hold, hash: number, casHigh: number, casLow: number): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    let status: Status = Status.LOST
    if (this.isGood(hold)) {
      status = commitItem(arena, mode, hash, dropHold(arena, hold.slot), casHigh, casLow)
    } else {
      this.dropLost(hold)
    }
    unlock(arena.words)
    return status
  }

  /** Ends a hold without storing: an upload broken off, or a value sent. */
  release(hold: Hold): void {
    const { arena } = this
    lock(arena.words, this.holder)
    if (this.isGood(hold)) releaseHold(arena, hold.slot)
    else this.dropLost(hold)
    unlock(arena.words)
  }

  /**
   * Adds (high, low) of decimal.ts to a number, or subtracts it, if it has the CAS asked for; 0 asks
   * for none. OK with the result in decimal.ts's u64 and its CAS in `lastCas`, MISS, EXISTS,
   * NON_NUMERIC or NO_MEMORY. Adding wraps at 2^64, subtracting stops at 0.
   */
  adjust(
    hash: number,
    key: Area,
    start: number,
    length: number,
    subtract: boolean,
    high: number,
    low: number,
    casHigh = 0,
    casLow = 0,
  ): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    const ref = findLive(arena, hash, key, start, length)
    let status: Status = Status.MISS
    if (ref === NIL) {
      arena.counters[counterAt(subtract ? Counter.DECR_MISSES : Counter.INCR_MISSES)]++
    } else {
      status = adjustItem(arena, hash, ref, subtract, high, low, casHigh, casLow, 0)
    }
    unlock(arena.words)
    return status
  }

  /** As `adjust`, but where there is no item makes one of `initial` that ends at `expiresAtS`. */
  adjustOrAdd(
    hash: number,
    key: Area,
    start: number,
    length: number,
    subtract: boolean,
    high: number,
    low: number,
    casHigh: number,
    casLow: number,
    initialHigh: number,
    initialLow: number,
    expiresAtS: number,
  ): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    const ref = findLive(arena, hash, key, start, length)
    let status: Status
    if (ref === NIL) {
      u64.high = initialHigh
      u64.low = initialLow
      status = addNumber(arena, hash, key, start, length, expiresAtS, 0)
    } else {
      status = adjustItem(arena, hash, ref, subtract, high, low, casHigh, casLow, 0)
    }
    unlock(arena.words)
    return status
  }

  /** Shows an item to `sink` as it is, ended or not; that changes and counts nothing. */
  inspect(hash: number, key: Area, start: number, length: number, sink: HitSink): void {
    const { arena } = this
    lock(arena.words, this.holder)
    flushIfDue(arena)
    const ref = findItem(arena, hash, key, start, length)
    if (ref !== NIL) sink.accept(arena, ref)
    unlock(arena.words)
  }

  /** Shows a held item to `sink`, unless it is lost. */
  inspectHeld(hold: Hold, sink: HitSink): void {
    const { arena } = this
    lock(arena.words, this.holder)
    if (this.isGood(hold)) sink.accept(arena, heldRef(arena, hold.slot))
    unlock(arena.words)
  }

  /** Ends all items stored up to now once the clock reaches `atS`; now if that is past. */
  flush(atS: number): void {
    const { arena } = this
    lock(arena.words, this.holder)
    scheduleFlush(arena, atS)
    unlock(arena.words)
  }

  /** One step of a walk over the linked items, without those that have ended: is there more? */
  walk(cursor: WalkCursor, classes: ClassSet, sink: ItemSink): boolean {
    const { arena } = this
    this.live.sink = sink
    lock(arena.words, this.holder)
    flushIfDue(arena)
    const more = walkItems(arena, cursor, classes, this.live)
    unlock(arena.words)
    return more
  }

  /** Shows the newest items of a class's cold list, `itemsMax` at most, 0 for no bound of its own. */
  walkList(classId: number, itemsMax: number, sink: ItemSink): void {
    const { arena } = this
    lock(arena.words, this.holder)
    flushIfDue(arena)
    walkColdList(arena, classId, itemsMax, sink)
    unlock(arena.words)
  }

  /** Orders a crawl of these classes: OK, OFF, BUSY or NOT_STARTED. */
  crawl(classes: ClassSet): Order {
    const { arena } = this
    lock(arena.words, this.holder)
    const order = startCrawl(arena, Crawl.ORDERED, classes)
    unlock(arena.words)
    return order
  }

  /** Lets crawls begin, or ends the one that runs and lets none begin. */
  crawlerEnable(on: boolean): void {
    const { arena } = this
    lock(arena.words, this.holder)
    arena.words[L.CRAWLER_ON] = on ? 1 : 0
    if (!on) stopCrawl(arena)
    unlock(arena.words)
  }

  /** Orders a page move: OK, BUSY or NO_SPARE. Class 0 is the pool that all classes take from. */
  reassignPage(fromClass: number, toClass: number): Order {
    const { arena } = this
    lock(arena.words, this.holder)
    const order = startMove(arena, fromClass, toClass)
    unlock(arena.words)
    return order
  }

  /** One turn of upkeep, bounded in time; when it wants the next one, ms. The owner calls this. */
  upkeep(upkeep: Upkeep): number {
    const { words } = this.arena
    const endMs = performance.now() + UPKEEP_TURN_MS_MAX
    let more = true
    while (more && performance.now() < endMs) {
      lock(words, this.holder)
      more = upkeep.step()
      unlock(words)
    }
    return upkeep.restMs(more)
  }

  /** Zeroes the counters that `stats reset` zeroes. */
  resetStats(): void {
    const { arena } = this
    lock(arena.words, this.holder)
    resetCounters(arena.counters, arena.classCount)
    unlock(arena.words)
  }

  /**
   * Where an item of so many bytes would make the arena empty a page at once, has it emptied step by
   * step. Assumes the lock, and lets others have it in between.
   */
  makeRoom(bytes: number): void {
    const { arena } = this
    if (bytes > arena.words[L.ITEM_BYTES_LIMIT]) return
    const { words } = arena
    let givenUp = 0
    for (let step = 0; step < ROOM_STEPS_MAX && givenUp < ROOM_GIVEN_UP_MAX; step++) {
      const before = words[L.MOVE_GIVEN_UP]
      if (!stepTowardsRoom(arena, (bytes + 3) >> 2)) return
      if (words[L.MOVE_GIVEN_UP] !== before) givenUp++
      yieldLock(words, this.holder)
    }
  }

  /** Assumes the lock: what the sink says of an item, which is held if it says HELD. */
  offer(ref: Ref, sink: HitSink, hold: Hold): Status {
    const status = sink.accept(this.arena, ref)
    if (status === Status.HELD && !this.hold(ref, hold)) return Status.NO_MEMORY
    return status
  }

  /** Assumes the lock: fills `hold`; false if no slot is free. */
  hold(ref: Ref, hold: Hold): boolean {
    hold.slot = takeHold(this.arena, ref, this.holder)
    hold.generation = this.arena.words[L.GENERATION]
    return hold.slot !== NO_SLOT
  }

  /** Assumes the lock: whether the hold is of this generation of the arena. */
  isGood(hold: Hold): boolean {
    return hold.generation === this.arena.words[L.GENERATION]
  }

  /** Assumes the lock: ends a hold of another generation. */
  dropLost({ slot }: Hold): void {
    if (isKept(this.arena, slot)) dropKept(this.arena, slot)
  }

  private findToTouch(hash: number, key: Area, start: number, length: number): Ref {
    const ref = findLive(this.arena, hash, key, start, length)
    if (ref === NIL) this.arena.counters[counterAt(Counter.TOUCH_MISSES)]++
    return ref
  }

  private touchItem(ref: Ref, expiresAtS: number): void {
    const { words, counters } = this.arena
    counters[classCounterAt(L.metaClass(words[ref + L.ITEM_META]), ClassCounter.TOUCH_HITS)]++
    setEnd(this.arena, ref, expiresAtS)
    bumpItem(this.arena, ref)
  }
}
