/**
 * The cache as tests use it: string keys and buffers instead of byte ranges. Keys are placed at odd
 * addresses on purpose, so that nothing relies on alignment.
 */

import { Area, copyBytes } from '../../lib/bytes/area.ts'
import type { Arena } from '../../lib/engine/arena/arena.ts'
import type { Ref } from '../../lib/engine/arena/layout.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { lock, unlock } from '../../lib/engine/arena/lock.ts'
import type { Cache } from '../../lib/engine/cache.ts'
import { type Hold, heldRef } from '../../lib/engine/items/holds.ts'
import { casHighOf, casLowOf, itemFlags, readValue } from '../../lib/engine/items/item.ts'
import { createPlace, nextPlace, type Place, rewind } from '../../lib/engine/items/place.ts'
import type { Shard } from '../../lib/engine/shard.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import { verify } from '../../lib/engine/verify.ts'

const KEY_ROOM = 512

/** What a get returns of an item. */
export interface Hit {
  value: Buffer
  flags: number
  casHigh: number
  casLow: number
}

export interface StoreOptions {
  flags?: number
  expiresAtS?: number
  casHigh?: number
  casLow?: number
}

/** A value that is held: on its way in or out. */
export interface Held {
  shard: Shard
  ask: Ask
  hold: Hold
  valueBytes: number
  /** Bytes filled so far. */
  place: Place
}

class CopySink implements HitSink {
  hit: Hit = { value: Buffer.alloc(0), flags: 0, casHigh: 0, casLow: 0 }
  keep = false
  valueBytes = 0

  accept(arena: Arena, ref: Ref): Status {
    const { words } = arena
    const length = words[ref + L.ITEM_VALUE_BYTES]
    const to = Area.allocate(this.keep ? 0 : length)
    if (!this.keep) readValue(arena, ref, to, 0)
    this.hit = {
      value: to.bytes,
      flags: itemFlags(arena, ref),
      casHigh: casHighOf(arena, ref),
      casLow: casLowOf(arena, ref),
    }
    this.valueBytes = length
    return this.keep ? Status.HELD : Status.OK
  }
}

export class Peer {
  readonly cache: Cache
  readonly #key = Area.allocate(KEY_ROOM)
  readonly #sink = new CopySink()
  #start = 0
  /** Without a bound it may hold any number of values. */
  readonly copyRoom = { bytes: Number.POSITIVE_INFINITY }
  /** An upload for which others leave no room gets BUSY. */
  waits = false
  /** What was asked last, and what came of it. */
  ask = new Ask(this.#key)
  status: Status = Status.OK

  constructor(cache: Cache) {
    this.cache = cache
  }

  store(mode: Mode, key: string, value: Buffer, options: StoreOptions = {}): Status {
    const shard = this.find(key)
    this.#fill(mode, value.length, options)
    return shard.store(this.ask, areaOf(value), 0)
  }

  set(key: string, value: Buffer, options: StoreOptions = {}): Status {
    return this.store(Mode.SET, key, value, options)
  }

  /** The hit; undefined for a miss. `status` has the engine's status. */
  get(key: string): Hit | undefined {
    const shard = this.find(key)
    this.#sink.keep = false
    this.status = shard.get(this.ask, this.#sink)
    return this.status === Status.OK ? this.#sink.hit : undefined
  }

  getAndTouch(key: string, expiresAtS: number): Hit | undefined {
    const shard = this.find(key)
    this.#sink.keep = false
    this.ask.expiresAtS = expiresAtS
    this.status = shard.getAndTouch(this.ask, this.#sink)
    return this.status === Status.OK ? this.#sink.hit : undefined
  }

  /** Holds the value so that it can be read piece by piece. */
  hold(key: string): Held | undefined {
    const shard = this.find(key)
    this.#sink.keep = true
    this.status = shard.get(this.ask, this.#sink)
    if (this.status !== Status.HELD) return undefined
    return this.#held(shard, this.#sink.valueBytes)
  }

  /** Bytes of a held value. */
  read(held: Held, offset: number, length: number): Buffer {
    const { arena } = held.shard
    const value = Buffer.allocUnsafe(held.valueBytes)
    const place = createPlace()
    rewind(place, held.valueBytes)
    for (let at = 0; nextPlace(arena, heldRef(arena, held.hold.slot), place); ) {
      at += arena.area.bytes.copy(value, at, place.start, place.end)
    }
    return value.subarray(offset, offset + length)
  }

  release(held: Held): void {
    held.shard.release(held.hold)
  }

  begin(mode: Mode, key: string, valueBytes: number, options: StoreOptions = {}): Held | undefined {
    const shard = this.find(key)
    this.#fill(mode, valueBytes, options)
    this.status = shard.begin(this.ask)
    if (this.status !== Status.OK) return undefined
    return this.#held(shard, valueBytes)
  }

  /** Writes the next bytes of a value that was begun. A value that cannot go on must be dropped. */
  fill({ shard, ask, place }: Held, piece: Buffer): Status {
    const area = areaOf(piece)
    for (let done = 0; done < piece.length; ) {
      if (place.start === place.end) {
        const status = shard.extend(ask, place)
        if (status !== Status.OK) return status
      }
      const bytes = Math.min(place.end - place.start, piece.length - done)
      copyBytes(area, done, shard.arena.area, place.start, bytes)
      place.start += bytes
      done += bytes
    }
    return Status.OK
  }

  giveUp({ shard, ask }: Held, dropsOld: boolean): void {
    ask.dropsOld = dropsOld
    shard.giveUp(ask)
  }

  commit(mode: Mode, { shard, ask }: Held, casHigh = 0, casLow = 0): Status {
    ask.mode = mode
    ask.casHigh = casHigh
    ask.casLow = casLow
    return shard.commit(ask)
  }

  touch(key: string, expiresAtS: number): Status {
    const shard = this.find(key)
    this.ask.expiresAtS = expiresAtS
    return shard.touch(this.ask)
  }

  remove(key: string, cas: StoreOptions = {}): Status {
    const shard = this.find(key)
    this.#fill(Mode.SET, 0, cas)
    return shard.remove(this.ask)
  }

  adjust(key: string, subtract: boolean, delta: bigint, cas: StoreOptions = {}): Status {
    const shard = this.find(key)
    this.#fill(Mode.SET, 0, cas)
    this.ask.subtracts = subtract
    ;[this.ask.deltaHigh, this.ask.deltaLow] = limbs(delta)
    return shard.adjust(this.ask)
  }

  /** As `adjust`, but creates an item of `initial` where there is none. */
  adjustOrAdd(key: string, delta: bigint, initial: bigint, expiresAtS = 0): Status {
    const shard = this.find(key)
    const { ask } = this
    ask.creates = true
    ask.createAtS = expiresAtS
    ;[ask.deltaHigh, ask.deltaLow] = limbs(delta)
    ;[ask.initialHigh, ask.initialLow] = limbs(initial)
    return shard.adjust(ask)
  }

  /** The sum that the last adjust left. */
  number(): bigint {
    return BigInt(this.ask.numberHigh) * 10_000_000_000n + BigInt(this.ask.numberLow)
  }

  flush(atS: number): void {
    for (const shard of this.cache.shards) shard.flush(atS)
  }

  /** Verifies every arena under its lock. */
  verify(): void {
    for (const { arena, holder } of this.cache.shards) {
      lock(arena.words, holder)
      verify(arena)
      unlock(arena.words)
    }
  }

  nowS(): number {
    return this.cache.shards[0].arena.words[L.CLOCK_S]
  }

  /** Moves every arena's clock to `atS`. */
  setClock(atS: number): void {
    for (const { arena } of this.cache.shards) arena.words[L.CLOCK_S] = atS
  }

  #fill(mode: Mode, valueBytes: number, options: StoreOptions): void {
    const { ask } = this
    ask.mode = mode
    ask.dropsOld = mode === Mode.SET
    ask.flags = options.flags ?? 0
    ask.expiresAtS = options.expiresAtS ?? 0
    ask.casHigh = options.casHigh ?? 0
    ask.casLow = options.casLow ?? 0
    ask.valueBytes = valueBytes
  }

  #held(shard: Shard, valueBytes: number): Held {
    const place = createPlace()
    rewind(place, valueBytes)
    return { shard, ask: this.ask, hold: this.ask.hold, valueBytes, place }
  }

  /** The shard of a key; `ask` is a new one that asks for the key alone. */
  find(key: string): Shard {
    this.#start = (this.#start + 7) % 200
    this.ask = new Ask(this.#key)
    this.ask.copyRoom = this.copyRoom
    this.ask.waits = this.waits
    return this.locate(this.ask, key)
  }

  /** Gives a request a key; its shard. */
  locate(ask: Ask, key: string): Shard {
    const length = this.#key.bytes.write(key, this.#start, 'latin1')
    const hash = this.cache.hash(this.#key, this.#start, length)
    ask.setKey(this.#key, this.#start, length, hash)
    return this.cache.shardOf(hash)
  }
}

export function limbs(number: bigint): [high: number, low: number] {
  return [Number(number / 10_000_000_000n), Number(number % 10_000_000_000n)]
}

function areaOf(bytes: Buffer): Area {
  return new Area(bytes)
}
