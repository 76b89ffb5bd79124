// The operations on one arena. This file alone takes the arena's lock: below it all code assumes
// the lock, above it nobody has it. Every operation is bounded, allocates nothing and waits for
// nothing while it holds the lock. A failed assertion leaves the arena locked on purpose: what it
// found torn must not be served, and `recover` in cache.ts decides.
//
// Keys and values are ranges of an Area; `hash` is the key's hash from hash.ts.

import { BUMP_INTERVAL_S } from '../limits.ts'
import { allocateItem } from './allocate.ts'
import { Arena } from './arena.ts'
import type { Area } from './bytes.ts'
import { addU64, digitsOfU64, parseU64, printU64, subtractU64, u64 } from './decimal.ts'
import { dropHold, heldRef, isHeld, NO_SLOT, takeHold } from './holds.ts'
import { copyValue, itemFlags, keyAt, nextChunk, readValue, valueAt, writeValue } from './item.ts'
import * as L from './layout.ts'
import { NIL, type Ref } from './layout.ts'
import {
  findLive,
  flushIfDue,
  freeItem,
  linkItem,
  renewCas,
  scheduleFlush,
  unlinkItem,
} from './links.ts'
import { lock, unlock } from './lock.ts'
import { moveToHead } from './lru.ts'
import { ClassCounter, Counter, classCounterAt, counterAt, resetCounters } from './stats.ts'
import { Mode, Status } from './status.ts'

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

/** What memcached counts for an item beside flags, key and value, bytes; -I is measured so. */
const MEMCACHED_ITEM_BYTES = 59
const BLANK = 32

export class Shard {
  readonly arena: Arena
  readonly holder: number

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
        counters[classCounterAt(L.metaClass(words[ref + L.ITEM_META]), ClassCounter.GET_HITS)]++
        bump(this.arena, ref)
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
    const ref = this.findToTouch(hash, key, start, length)
    let status: Status = Status.MISS
    if (ref !== NIL) {
      status = this.offer(ref, sink, hold)
      if (status === Status.OK || status === Status.HELD) this.touchItem(ref, expiresAtS)
    }
    unlock(words)
    return status
  }

  /** Moves the end of an item to `expiresAtS`: OK or MISS. */
  touch(hash: number, key: Area, start: number, length: number, expiresAtS: number): Status {
    const { words } = this.arena
    lock(words, this.holder)
    const ref = this.findToTouch(hash, key, start, length)
    if (ref !== NIL) this.touchItem(ref, expiresAtS)
    unlock(words)
    return ref === NIL ? Status.MISS : Status.OK
  }

  /** Deletes: OK or MISS. */
  remove(hash: number, key: Area, start: number, length: number): Status {
    const { words, counters } = this.arena
    lock(words, this.holder)
    const ref = findLive(this.arena, hash, key, start, length)
    if (ref === NIL) {
      counters[counterAt(Counter.DELETE_MISSES)]++
    } else {
      const classId = L.metaClass(words[ref + L.ITEM_META])
      counters[classCounterAt(classId, ClassCounter.DELETE_HITS)]++
      unlinkItem(this.arena, hash, ref)
    }
    unlock(words)
    return ref === NIL ? Status.MISS : Status.OK
  }

  /**
   * Stores a value that is there whole. `casHigh`, `casLow`: the CAS that Mode.CAS asks for.
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
    lock(arena.words, this.holder)
    let status = this.admit(mode, hash, key, start, length, flags, expiresAtS, valueBytes)
    if (status === Status.OK) {
      writeValue(arena, admitted, 0, value, valueStart, valueBytes)
      status = this.commitItem(mode, hash, admitted, casHigh, casLow)
    }
    unlock(arena.words)
    return status
  }

  /** Makes room for a value that is still to come, and holds it: OK, TOO_LARGE or NO_MEMORY. */
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
    let status = this.admit(mode, hash, key, start, length, flags, expiresAtS, valueBytes)
    if (status === Status.OK && !this.hold(admitted, hold)) {
      freeItem(arena, admitted)
      status = this.refuse(mode, hash, key, start, length, Status.NO_MEMORY)
    }
    unlock(arena.words)
    return status
  }

  /** Writes `length` bytes at `offset` of a value begun: OK or LOST. */
  fill(hold: Hold, offset: number, from: Area, start: number, length: number): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    const good = this.isGood(hold)
    if (good) writeValue(arena, heldRef(arena, hold.slot), offset, from, start, length)
    unlock(arena.words)
    return good ? Status.OK : Status.LOST
  }

  /** Stores a value begun and filled, as `store` does; LOST if the arena was emptied meanwhile. */
  commit(mode: Mode, hold: Hold, hash: number, casHigh: number, casLow: number): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    let status: Status = Status.LOST
    if (this.isGood(hold)) {
      status = this.commitItem(mode, hash, dropHold(arena, hold.slot), casHigh, casLow)
    }
    unlock(arena.words)
    return status
  }

  /** Copies `length` bytes from `offset` of a held value: OK or LOST. */
  read(hold: Hold, offset: number, length: number, to: Area, toStart: number): Status {
    const { arena } = this
    lock(arena.words, this.holder)
    const good = this.isGood(hold)
    if (good) readValue(arena, heldRef(arena, hold.slot), offset, length, to, toStart)
    unlock(arena.words)
    return good ? Status.OK : Status.LOST
  }

  /** Ends a hold without storing: an upload broken off, or a value sent. */
  release(hold: Hold): void {
    const { arena } = this
    lock(arena.words, this.holder)
    if (this.isGood(hold)) releaseSlot(arena, hold.slot)
    unlock(arena.words)
  }

  /**
   * Adds (high, low) of decimal.ts to a number, or subtracts it: OK with the result in decimal.ts's
   * u64, MISS, NON_NUMERIC or NO_MEMORY. Adding wraps at 2^64, subtracting stops at 0.
   */
  adjust(
    hash: number,
    key: Area,
    start: number,
    length: number,
    subtract: boolean,
    high: number,
    low: number,
  ): Status {
    const { words, counters } = this.arena
    lock(words, this.holder)
    const ref = findLive(this.arena, hash, key, start, length)
    let status: Status = Status.MISS
    if (ref === NIL) {
      counters[counterAt(subtract ? Counter.DECR_MISSES : Counter.INCR_MISSES)]++
    } else if (!this.parseValue(ref)) {
      status = Status.NON_NUMERIC
    } else {
      if (subtract) subtractU64(high, low)
      else addU64(high, low)
      status = this.replaceNumber(hash, ref, subtract)
    }
    unlock(words)
    return status
  }

  /** Ends all items stored up to now once the clock reaches `atS`; now if that is past. */
  flush(atS: number): void {
    const { arena } = this
    lock(arena.words, this.holder)
    scheduleFlush(arena, atS)
    unlock(arena.words)
  }

  /** Zeroes the counters that `stats reset` zeroes. */
  resetStats(): void {
    const { arena } = this
    lock(arena.words, this.holder)
    resetCounters(arena.counters, arena.classCount)
    unlock(arena.words)
  }

  private offer(ref: Ref, sink: HitSink, hold: Hold): Status {
    const status = sink.accept(this.arena, ref)
    if (status === Status.HELD && !this.hold(ref, hold)) return Status.NO_MEMORY
    return status
  }

  private hold(ref: Ref, hold: Hold): boolean {
    hold.slot = takeHold(this.arena, ref, this.holder)
    hold.generation = this.arena.words[L.GENERATION]
    return hold.slot !== NO_SLOT
  }

  private isGood(hold: Hold): boolean {
    return hold.generation === this.arena.words[L.GENERATION]
  }

  private findToTouch(hash: number, key: Area, start: number, length: number): Ref {
    const ref = findLive(this.arena, hash, key, start, length)
    if (ref === NIL) this.arena.counters[counterAt(Counter.TOUCH_MISSES)]++
    return ref
  }

  private touchItem(ref: Ref, expiresAtS: number): void {
    const { words, counters } = this.arena
    counters[classCounterAt(L.metaClass(words[ref + L.ITEM_META]), ClassCounter.TOUCH_HITS)]++
    words[ref + L.ITEM_EXPIRES_AT_S] = expiresAtS
    bump(this.arena, ref)
  }

  /** Allocates a new item, in `admitted`; after a refusal a SET's old item is gone. */
  private admit(
    mode: Mode,
    hash: number,
    key: Area,
    start: number,
    length: number,
    flags: number,
    expiresAtS: number,
    valueBytes: number,
  ): Status {
    const { arena } = this
    if (!itemFits(arena, length, flags, valueBytes)) {
      return this.refuse(mode, hash, key, start, length, Status.TOO_LARGE)
    }
    flushIfDue(arena)
    admitted = allocateItem(arena, key, start, length, flags, expiresAtS, valueBytes)
    if (admitted !== NIL) {
      const classId = L.metaClass(arena.words[admitted + L.ITEM_META])
      arena.counters[classCounterAt(classId, ClassCounter.SET_CMDS)]++
      return Status.OK
    }
    return this.refuse(mode, hash, key, start, length, Status.NO_MEMORY)
  }

  /** Counts a refusal; after it nothing stale may stay where a SET was wanted. */
  private refuse(
    mode: Mode,
    hash: number,
    key: Area,
    start: number,
    length: number,
    status: Status,
  ): Status {
    const { arena } = this
    const tooLarge = status === Status.TOO_LARGE
    const counter = tooLarge ? Counter.STORE_TOO_LARGE : Counter.STORE_NO_MEMORY
    arena.counters[counterAt(counter)]++
    if (mode === Mode.SET) {
      const old = findLive(arena, hash, key, start, length)
      if (old !== NIL) unlinkItem(arena, hash, old)
    }
    return status
  }

  /** Links a filled item if its mode allows, else frees it. */
  private commitItem(mode: Mode, hash: number, ref: Ref, casHigh: number, casLow: number): Status {
    const { arena } = this
    const { words } = arena
    const keyBytes = L.metaKeyBytes(words[ref + L.ITEM_META])
    const old = findLive(arena, hash, arena.area, keyAt(arena, ref), keyBytes)
    const status = this.judge(mode, old, casHigh, casLow)
    if (status !== Status.OK) {
      freeItem(arena, ref)
      return status
    }
    if (mode === Mode.APPEND || mode === Mode.PREPEND) return this.join(mode, hash, old, ref)
    if (old !== NIL) unlinkItem(arena, hash, old)
    linkItem(arena, hash, ref)
    return Status.OK
  }

  /** Whether the item that is there lets a store of this mode happen. */
  private judge(mode: Mode, old: Ref, casHigh: number, casLow: number): Status {
    const { words, counters } = this.arena
    if (mode === Mode.SET) return Status.OK
    if (mode === Mode.ADD) {
      if (old !== NIL) bump(this.arena, old)
      return old === NIL ? Status.OK : Status.NOT_STORED
    }
    if (mode !== Mode.CAS) return old === NIL ? Status.NOT_STORED : Status.OK
    if (old === NIL) {
      counters[counterAt(Counter.CAS_MISSES)]++
      return Status.MISS
    }
    const at = classCounterAt(L.metaClass(words[old + L.ITEM_META]), 0)
    const same = words[old + L.ITEM_CAS_LOW] === casLow && words[old + L.ITEM_CAS_HIGH] === casHigh
    counters[at + (same ? ClassCounter.CAS_HITS : ClassCounter.CAS_BADVAL)]++
    return same ? Status.OK : Status.EXISTS
  }

  /** Replaces `old` by its value and the value of `part`, in the mode's order; frees `part`. */
  private join(mode: Mode, hash: number, old: Ref, part: Ref): Status {
    const { arena } = this
    const { words } = arena
    const oldBytes = words[old + L.ITEM_VALUE_BYTES]
    const partBytes = words[part + L.ITEM_VALUE_BYTES]
    const whole = this.successor(old, oldBytes + partBytes)
    if (whole !== NIL) {
      copyValue(arena, old, oldBytes, whole, mode === Mode.APPEND ? 0 : partBytes)
      copyValue(arena, part, partBytes, whole, mode === Mode.APPEND ? oldBytes : 0)
      this.succeed(hash, old, whole)
    }
    freeItem(arena, part)
    return whole === NIL ? Status.NOT_STORED : Status.OK
  }

  /** A new item with the key, flags and end of `old` and room for another value; NIL if none fits. */
  private successor(old: Ref, valueBytes: number): Ref {
    const { arena } = this
    const { words } = arena
    const keyBytes = L.metaKeyBytes(words[old + L.ITEM_META])
    const flags = itemFlags(arena, old)
    if (!itemFits(arena, keyBytes, flags, valueBytes)) return NIL
    // Held, for the allocation may choose the old item as its victim.
    const slot = takeHold(arena, old, this.holder)
    if (slot === NO_SLOT) return NIL
    const expiresAtS = words[old + L.ITEM_EXPIRES_AT_S]
    const ref = allocateItem(
      arena,
      arena.area,
      keyAt(arena, old),
      keyBytes,
      flags,
      expiresAtS,
      valueBytes,
    )
    if (ref === NIL) releaseSlot(arena, slot)
    else successorSlot = slot
    return ref
  }

  /** Links what `successor` made in place of `old`. */
  private succeed(hash: number, old: Ref, ref: Ref): void {
    const { arena } = this
    if ((arena.words[old + L.ITEM_META] & L.STATE_LINKED) !== 0) unlinkItem(arena, hash, old)
    releaseSlot(arena, successorSlot)
    linkItem(arena, hash, ref)
  }

  private parseValue(ref: Ref): boolean {
    const { arena } = this
    if (nextChunk(arena, ref) !== NIL) return false
    const at = valueAt(arena, ref)
    return parseU64(arena.area.bytes, at, at + arena.words[ref + L.ITEM_VALUE_BYTES])
  }

  /** Writes u64 as the item's value: in place, padded with spaces, where it fits the old length. */
  private replaceNumber(hash: number, ref: Ref, subtract: boolean): Status {
    const { arena } = this
    const { words, counters } = arena
    const valueBytes = words[ref + L.ITEM_VALUE_BYTES]
    const digits = digitsOfU64()
    let target = ref
    if (digits > valueBytes || isHeld(arena, ref)) {
      const high = u64.high
      const low = u64.low
      target = this.successor(ref, Math.max(digits, valueBytes))
      if (target === NIL) return Status.NO_MEMORY
      u64.high = high
      u64.low = low
    }
    const { bytes } = arena.area
    const at = valueAt(arena, target)
    // Should this thread die in between, recover finds the half-written number and drops it.
    words[L.REWRITING] = target === ref ? ref : NIL
    const end = printU64(bytes, at)
    bytes.fill(BLANK, end, at + words[target + L.ITEM_VALUE_BYTES])
    words[L.REWRITING] = NIL
    const counter = subtract ? ClassCounter.DECR_HITS : ClassCounter.INCR_HITS
    counters[classCounterAt(L.metaClass(words[ref + L.ITEM_META]), counter)]++
    if (target === ref) renewCas(arena, ref)
    else this.succeed(hash, ref, target)
    return Status.OK
  }
}

/** Drops a hold and frees its item if nothing else keeps it. */
export function releaseSlot(arena: Arena, slot: number): void {
  const ref = dropHold(arena, slot)
  const linked = (arena.words[ref + L.ITEM_META] & L.STATE_LINKED) !== 0
  if (!linked && !isHeld(arena, ref)) freeItem(arena, ref)
}

// Second results of `admit` and `successor`: taken before anything else runs.
let admitted: Ref = NIL
let successorSlot = NO_SLOT

/** Whether memcached would take an item of this size at the same -I. */
function itemFits(arena: Arena, keyBytes: number, flags: number, valueBytes: number): boolean {
  const bytes = MEMCACHED_ITEM_BYTES + keyBytes + (flags === 0 ? 0 : 4) + valueBytes
  return bytes <= arena.words[L.ITEM_BYTES_LIMIT]
}

// At most once a minute: a hot item is near the head anyway, and two writes per read would bounce
// its cache line between threads.
function bump(arena: Arena, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  if ((meta & L.STATE_ACTIVE) === 0) {
    const state = (meta & L.STATE_FETCHED) === 0 ? L.STATE_FETCHED : L.STATE_ACTIVE
    words[ref + L.ITEM_META] = meta | state
  }
  if (words[L.CLOCK_S] - words[ref + L.ITEM_TOUCHED_AT_S] < BUMP_INTERVAL_S) return
  words[ref + L.ITEM_TOUCHED_AT_S] = words[L.CLOCK_S]
  moveToHead(arena, ref)
}
