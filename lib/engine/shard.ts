// The operations on one arena. This is the only file that takes an arena's lock: below it all code
// assumes the lock, above it no code has it. Every operation is bounded, and allocates nothing and
// waits for nothing while it has the lock. Only `makeRoom` lets others have it in between.
//
// A throw leaves the arena locked on purpose: a torn arena must not be served. `recover` decides
// what happens to it (repair.ts).
//
// `Ask` carries the arguments and the results of an operation (storing/ask.ts).

import type { Area } from '../bytes/area.ts'
import { Arena } from './arena/arena.ts'
import { expiresAt } from './arena/clock.ts'
import { Counter, counterAt, noteStep, resetCounters } from './arena/counters.ts'
import * as L from './arena/layout.ts'
import { NIL } from './arena/layout.ts'
import { lock, lockHolder, lockWithin, type OnStuck, unlock, yieldLock } from './arena/lock.ts'
import { dropHold, type Hold, heldRef, isGood } from './items/holds.ts'
import { itemBytes } from './items/item.ts'
import { dropKept, isKept } from './items/keeps.ts'
import { flushIfDue, releaseHold, scheduleFlush } from './items/links.ts'
import { LiveItems } from './items/live-items.ts'
import type { Place } from './items/place.ts'
import { mayUpload } from './items/shares.ts'
import { findItem } from './items/table.ts'
import {
  type ClassSet,
  type ItemSink,
  type TableCursor,
  type WalkCursor,
  Walked,
  walkColdList,
  walkItems,
  walkTable,
} from './items/walk.ts'
import {
  ROOM_GIVEN_UP_MAX,
  ROOM_REFUSED_MIN,
  ROOM_STEPS_MAX,
  UPKEEP_IDLE_MS_MAX,
  UPKEEP_LOCK_WAIT_MS_MAX,
  UPKEEP_TURN_MS_MAX,
} from './limits.ts'
import { releaseHolds, repair } from './repair.ts'
import { isRoomWanted } from './room/allocate.ts'
import { orderMove } from './room/moves.ts'
import {
  beginAgain,
  endRoom,
  reserveItem,
  reserveRoom,
  restSlack,
  roomChunks,
  roomClass,
  stepTowardsFree,
  stepTowardsRoom,
  tailClass,
} from './room/room.ts'
import { type Order, Recovery, Status } from './status.ts'
import { adjustItem } from './storing/adjust.ts'
import type { Ask, HitSink } from './storing/ask.ts'
import { getAndTouchItem, getItem, peekItem, touchItem } from './storing/fetch.ts'
import type { FillBatch } from './storing/fill-batch.ts'
import { removeItem } from './storing/remove.ts'
import { appendInPlace, rewriteItem } from './storing/rewrite.ts'
import {
  beginItem,
  bytesJoinedBy,
  commitItem,
  extendItem,
  giveUpItem,
  joinedBytes,
  storeItem,
} from './storing/storing.ts'
import { isJoin, metaOfStore } from './storing/terms.ts'
import { Crawl, startCrawl, stopCrawl } from './upkeep/crawl.ts'
import type { Upkeep } from './upkeep/upkeep.ts'

/** Steps of one call of `walkTable`. */
const WALK_STEPS_MAX = 16

/** An operation on an arena, as the files of storing/ export them. */
type Operation = (arena: Arena, ask: Ask, sink: HitSink) => Status

/** A step towards room (room.ts). */
type RoomStep = (arena: Arena, classId: number, chunks: number, step: number) => boolean

const unseen: HitSink = { accept: () => Status.OK }

export class Shard {
  readonly arena: Arena
  readonly holder: number
  /** What this thread does while it waits for the lock in vain (Cache.onStuck). */
  onStuck: OnStuck | null = null
  private readonly live = new LiveItems()

  /** `holder`: the calling thread's id, positive and unique in the process, for lock and holds. */
  constructor(buffer: SharedArrayBuffer, holder: number) {
    this.arena = new Arena(buffer)
    this.holder = holder
  }

  /**
   * Offers the live item to `sink`: MISS, NO_MEMORY, or the sink's status; HELD fills `ask.hold`. A
   * request that is not plain may create the item; its results are set before the sink is called.
   */
  get(ask: Ask, sink: HitSink): Status {
    this.lock()
    let status = getItem(this.arena, ask, sink)
    if (status === Status.NO_MEMORY) status = this.again(getItem, ask, sink)
    this.unlock()
    return status
  }

  /** As `get`, and sets the expiry to `ask.expiresAtS`. */
  getAndTouch(ask: Ask, sink: HitSink): Status {
    this.lock()
    let status = getAndTouchItem(this.arena, ask, sink)
    if (status === Status.NO_MEMORY) status = this.again(getAndTouchItem, ask, sink)
    this.unlock()
    return status
  }

  /** Sets the expiry to `ask.expiresAtS`: OK, MISS or NO_MEMORY. */
  touch(ask: Ask): Status {
    this.lock()
    let status = touchItem(this.arena, ask)
    if (status === Status.NO_MEMORY) status = this.again(touchItem, ask)
    this.unlock()
    return status
  }

  /** Shows the live item to `sink` without counting a hit: MISS, or the sink's status. */
  peek(ask: Ask, sink: HitSink): Status {
    this.lock()
    const status = peekItem(this.arena, ask, sink)
    this.unlock()
    return status
  }

  /**
   * Deletes the item, or does what the request asks instead, if its CAS is the requested one: OK,
   * MISS, EXISTS or NO_MEMORY.
   */
  remove(ask: Ask): Status {
    this.lock()
    let status = removeItem(this.arena, ask)
    if (status === Status.NO_MEMORY) status = this.again(removeItem, ask)
    this.unlock()
    return status
  }

  /**
   * Stores the `ask.valueBytes` bytes from `start` of `value`: OK, MISS (cas), EXISTS, NOT_STORED,
   * TOO_LARGE or NO_MEMORY. After OK the request has the facts of the stored item.
   */
  store(ask: Ask, value: Area, start: number): Status {
    const { arena } = this
    let status: Status = Status.OK
    this.lock()
    if (!rewriteItem(arena, ask, value, start) && !appendInPlace(arena, ask, value, start)) {
      const made = this.makeRoomToStore(ask)
      status = storeItem(arena, ask, value, start)
      if (status === Status.NO_MEMORY && isRoomWanted(arena)) {
        if (made) this.makeRoomToStore(ask, true)
        beginAgain(this.arena)
        status = storeItem(arena, ask, value, start)
      }
      endRoom(this.arena)
    }
    this.unlock()
    return status
  }

  /** Stores items of the past, from number `first` of the batch on: see FillBatch. */
  fill(batch: FillBatch, area: Area, first: number): number {
    this.lock()
    const next = batch.store(this.arena, area, first)
    this.unlock()
    return next
  }

  /**
   * Makes room for the beginning of a value that will arrive in pieces, and holds it in `ask.hold`:
   * OK, TOO_LARGE, NO_MEMORY or, if the ask waits, BUSY. The rest of a long value gets its room as
   * it arrives (`extend`).
   */
  begin(ask: Ask): Status {
    this.lock()
    if (mayUpload(this.arena)) this.makeRoom(itemBytes(metaOfStore(ask), ask.valueBytes), true)
    let status = beginItem(this.arena, ask)
    if (status === Status.NO_MEMORY) status = this.again(beginItem, ask)
    this.unlock()
    return status
  }

  /** Steps to the place of the next bytes of a begun value: OK, NO_MEMORY or LOST. */
  extend(ask: Ask, place: Place): Status {
    this.lock()
    if (place.chunk !== NIL) this.makeRoom(place.left, true)
    let status = this.extendOnce(ask, place)
    if (status === Status.NO_MEMORY && this.makeWanted()) {
      status = this.extendOnce(ask, place)
      endRoom(this.arena)
    }
    this.unlock()
    return status
  }

  /** Stores a begun and filled value, as `store` does; LOST if the arena was emptied meanwhile. */
  commit(ask: Ask): Status {
    const { arena } = this
    let status: Status = Status.LOST
    this.lock()
    if (isJoin(ask.mode) && isGood(arena, ask.hold)) {
      this.makeRoomForJoined(bytesJoinedBy(arena, ask, heldRef(arena, ask.hold.slot)))
      beginAgain(this.arena)
    }
    // The lock was given away meanwhile.
    if (isGood(arena, ask.hold)) {
      status = commitItem(arena, ask, dropHold(arena, ask.hold.slot))
      endRoom(this.arena)
    } else {
      this.dropLost(ask.hold)
    }
    this.unlock()
    return status
  }

  /** Drops a begun value after a failed `extend`, as a refused store. */
  giveUp(ask: Ask): void {
    const { arena } = this
    this.lock()
    if (isGood(arena, ask.hold)) giveUpItem(arena, ask, dropHold(arena, ask.hold.slot))
    else this.dropLost(ask.hold)
    this.unlock()
  }

  /** Releases a hold without storing: of an upload broken off, or of a value that was sent. */
  release(hold: Hold): void {
    this.lock()
    if (isGood(this.arena, hold)) releaseHold(this.arena, hold.slot)
    else this.dropLost(hold)
    this.unlock()
  }

  /**
   * Adds `ask.delta` to a number, or subtracts it, if the item's CAS is the requested one: OK with
   * the result in the request, MISS, EXISTS, NON_NUMERIC or NO_MEMORY. Adding wraps at 2^64,
   * subtracting stops at 0. With `ask.creates` a missing item is created.
   */
  adjust(ask: Ask): Status {
    this.lock()
    let status = adjustItem(this.arena, ask)
    if (status === Status.NO_MEMORY) status = this.again(adjustItem, ask)
    this.unlock()
    return status
  }

  /** Shows an item to `sink`, dead or live, without changing or counting anything. */
  inspect(hash: number, key: Area, start: number, length: number, sink: HitSink): void {
    const { arena } = this
    this.lock()
    flushIfDue(arena)
    const ref = findItem(arena, hash, key, start, length)
    if (ref !== NIL) sink.accept(arena, ref)
    this.unlock()
  }

  /** Shows a held item to `sink`, unless it is lost. */
  inspectHeld(hold: Hold, sink: HitSink): void {
    const { arena } = this
    this.lock()
    if (isGood(arena, hold)) sink.accept(arena, heldRef(arena, hold.slot))
    this.unlock()
  }

  /** Flushes all items stored up to now once the clock reaches `atS`; now if that is past. */
  flush(atS: number): void {
    this.lock()
    scheduleFlush(this.arena, atS)
    this.unlock()
  }

  /** One step of a walk over the live linked items. Returns whether there is more. */
  walk(cursor: WalkCursor, classes: ClassSet, sink: ItemSink): boolean {
    const { arena } = this
    this.live.sink = sink
    this.lock()
    flushIfDue(arena)
    const more = walkItems(arena, cursor, classes, this.live)
    this.unlock()
    return more
  }

  /** Steps of a walk over the live items in the order of the table, until the sink is full. */
  walkTable(cursor: TableCursor, sink: ItemSink): Walked {
    const { arena, live } = this
    live.sink = sink
    let walked: Walked = Walked.PART
    this.lock()
    for (let left = WALK_STEPS_MAX; walked === Walked.PART && left > 0; left--) {
      if (left < WALK_STEPS_MAX) yieldLock(arena.words, this.holder, this.onStuck)
      flushIfDue(arena)
      walked = walkTable(arena, cursor, live)
    }
    this.unlock()
    return walked
  }

  /** Shows the newest items of a class's cold list, at most `itemsMax`; 0: no bound of its own. */
  walkList(classId: number, itemsMax: number, sink: ItemSink): void {
    const { arena } = this
    this.lock()
    flushIfDue(arena)
    walkColdList(arena, classId, itemsMax, sink)
    this.unlock()
  }

  /** Orders a crawl of these classes: OK, OFF, BUSY or NOT_STARTED. */
  crawl(classes: ClassSet): Order {
    this.lock()
    const order = startCrawl(this.arena, Crawl.ORDERED, classes)
    this.unlock()
    return order
  }

  /** Allows crawls, or stops the running one and allows none. */
  crawlerEnable(on: boolean): void {
    const { arena } = this
    this.lock()
    arena.words[L.CRAWLER_ON] = on ? 1 : 0
    if (!on) stopCrawl(arena)
    this.unlock()
  }

  /** Orders a page move: OK, BUSY or NO_SPARE. Class 0 is the pool that all classes take from. */
  reassignPage(fromClass: number, toClass: number): Order {
    this.lock()
    const order = orderMove(this.arena, fromClass, toClass)
    this.unlock()
    return order
  }

  /**
   * One turn of upkeep, bounded in time. Returns when the next is due, ms. Only the owner calls it.
   * It does not wait long for the lock: a dead thread may have it, and this thread may be the one
   * that has to hear of its death.
   */
  upkeep(upkeep: Upkeep): number {
    const { words } = this.arena
    const endMs = performance.now() + UPKEEP_TURN_MS_MAX
    let more = true
    while (more && performance.now() < endMs) {
      if (!lockWithin(words, this.holder, UPKEEP_LOCK_WAIT_MS_MAX)) return UPKEEP_IDLE_MS_MAX
      const lockedAtMs = performance.now()
      more = upkeep.step()
      noteStep(this.arena.counters, lockedAtMs)
      this.unlock()
    }
    return upkeep.restMs(more)
  }

  /** Zeroes the counters that `stats reset` zeroes. */
  resetStats(): void {
    const { arena } = this
    this.lock()
    resetCounters(arena.counters, arena.classCount)
    this.unlock()
  }

  /**
   * Cleans up after dead threads: repairs the arena if one of them has its lock, and releases their
   * holds. BUSY: a live thread had the lock for `waitMs`, and nothing was done.
   */
  recover(dead: ReadonlySet<number>, waitMs: number): Recovery {
    const { arena } = this
    let recovery: Recovery = Recovery.SOUND
    if (dead.has(lockHolder(arena.words))) {
      if (!repair(arena, dead)) recovery = Recovery.EMPTIED
    } else if (!lockWithin(arena.words, this.holder, waitMs)) {
      return Recovery.BUSY
    }
    for (const holder of dead) releaseHolds(arena, holder)
    this.unlock()
    return recovery
  }

  /** Seconds on the arena's clock. */
  nowS(): number {
    return this.arena.words[L.CLOCK_S]
  }

  /** When an item with this exptime expires, on the arena's clock (clock.ts); 0: never. */
  expiresAtS(exptime: number): number {
    return expiresAt(this.arena.words, exptime)
  }

  private lock(): void {
    const { words, counters } = this.arena
    if (lock(words, this.holder, this.onStuck)) counters[counterAt(Counter.LOCK_WAITS)]++
  }

  private unlock(): void {
    unlock(this.arena.words)
  }

  /** Repeats an operation that found no memory and asked for room (room/allocate.ts). */
  private again(operation: Operation, ask: Ask, sink: HitSink = unseen): Status {
    if (!this.makeWanted()) return Status.NO_MEMORY
    const status = operation(this.arena, ask, sink)
    endRoom(this.arena)
    return status
  }

  /** Makes the room that the last operation asked for. False: it asked for none. */
  private makeWanted(): boolean {
    const { arena } = this
    if (!isRoomWanted(arena)) return false
    this.makeRoom(arena.words[L.ROOM_WANTED] << 2, false, true)
    beginAgain(this.arena)
    return true
  }

  private extendOnce(ask: Ask, place: Place): Status {
    const { arena } = this
    if (!isGood(arena, ask.hold)) return Status.LOST
    const found = extendItem(arena, heldRef(arena, ask.hold.slot), place, ask.valueBytes)
    return found ? Status.OK : Status.NO_MEMORY
  }

  /** As makeRoom, for all that a store allocates: a join replaces its item by a longer one. */
  private makeRoomToStore(ask: Ask, isAsked = false): boolean {
    const { arena } = this
    const bytes = itemBytes(metaOfStore(ask), ask.valueBytes)
    if (!isJoin(ask.mode)) return this.makeRoom(bytes, false, isAsked)
    const made = this.makeRoomForJoined(joinedBytes(arena, ask), isAsked)
    return this.makeRoom(bytes, false, isAsked) && made
  }

  /** As makeRoom, for what a join makes, and reserves it. */
  private makeRoomForJoined(bytes: number, isAsked = false): boolean {
    const made = this.makeRoom(bytes, false, isAsked)
    reserveItem(this.arena, (bytes + 3) >> 2)
    return made
  }

  /**
   * Makes room for an item of `bytes` bytes in bounded steps (room.ts), if that takes more than
   * evictions within its class; `isPart`: only for its next chunk; `isAsked`: the evictions did not
   * suffice. Has the lock, and lets others have it between two steps. False: it was given up.
   */
  private makeRoom(bytes: number, isPart = false, isAsked = false): boolean {
    const { arena } = this
    if (bytes > arena.words[L.ITEM_BYTES_LIMIT]) return true
    const itemWords = (bytes + 3) >> 2
    const classId = roomClass(arena, itemWords)
    const chunks = isPart ? 1 : roomChunks(arena, itemWords)
    const made = this.stepUntil(classId, chunks, stepTowardsRoom)
    const tail = isPart ? 0 : tailClass(arena, itemWords)
    if (tail === 0 || tail === classId) return made
    reserveRoom(arena, classId, chunks)
    // The evictions of the long item that comes free tails too: only what is free is taken for its
    // own.
    return this.stepUntil(tail, 1, isAsked ? stepTowardsRoom : stepTowardsFree) && made
  }

  private stepUntil(classId: number, chunks: number, step: RoomStep): boolean {
    const { arena } = this
    const { words } = arena
    let givenUp = 0
    let lockedAtMs = 0
    for (let steps = 0; steps < ROOM_STEPS_MAX; steps++) {
      const before = words[L.MOVE_GIVEN_UP]
      if (!step(arena, classId, chunks, steps)) return true
      if (steps > 0) noteStep(this.arena.counters, lockedAtMs)
      if (words[L.MOVE_GIVEN_UP] !== before) {
        givenUp++
        if (givenUp === ROOM_GIVEN_UP_MAX) restSlack(arena)
        if (givenUp === ROOM_REFUSED_MIN) return false
      }
      yieldLock(words, this.holder, this.onStuck)
      lockedAtMs = performance.now()
    }
    return false
  }

  /** Has the lock. Drops a hold of an earlier generation. */
  private dropLost({ slot }: Hold): void {
    if (isKept(this.arena, slot)) dropKept(this.arena, slot)
  }
}
