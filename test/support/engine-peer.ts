/**
 * The cache as a test sees it: string keys and buffers over the engine's ranges of bytes. Keys are
 * put at odd places on purpose, so that no alignment is taken for granted.
 */

import { Area, copyBytes } from '../../lib/bytes/area.ts'
import type { Arena } from '../../lib/engine/arena/arena.ts'
import type { Ref } from '../../lib/engine/arena/layout.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { lock, unlock } from '../../lib/engine/arena/lock.ts'
import type { Cache } from '../../lib/engine/cache.ts'
import { heldRef } from '../../lib/engine/items/holds.ts'
import { casHighOf, casLowOf, itemFlags, readValue } from '../../lib/engine/items/item.ts'
import { createPlace, nextPlace, type Place, rewind } from '../../lib/engine/items/place.ts'
import type { HitSink, Hold, Shard } from '../../lib/engine/shard.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { verify } from '../../lib/engine/verify.ts'

const KEY_ROOM = 512

/** What a get tells of an item. */
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
  hash: number
  hold: Hold
  valueBytes: number
  /** How far it is filled. */
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
    if (!this.keep) readValue(arena, ref, 0, length, to, 0)
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
  #length = 0
  #hash = 0
  status: Status = Status.OK

  constructor(cache: Cache) {
    this.cache = cache
  }

  store(mode: Mode, key: string, value: Buffer, options: StoreOptions = {}): Status {
    const shard = this.find(key)
    return shard.store(
      mode,
      this.#hash,
      this.#key,
      this.#start,
      this.#length,
      options.flags ?? 0,
      options.expiresAtS ?? 0,
      options.casHigh ?? 0,
      options.casLow ?? 0,
      areaOf(value),
      0,
      value.length,
    )
  }

  set(key: string, value: Buffer, options: StoreOptions = {}): Status {
    return this.store(Mode.SET, key, value, options)
  }

  /** The hit; undefined for a miss. `status` has what the engine said. */
  get(key: string): Hit | undefined {
    const shard = this.find(key)
    this.#sink.keep = false
    const hold = { slot: 0, generation: 0 }
    this.status = shard.get(this.#hash, this.#key, this.#start, this.#length, this.#sink, hold)
    return this.status === Status.OK ? this.#sink.hit : undefined
  }

  getAndTouch(key: string, expiresAtS: number): Hit | undefined {
    const shard = this.find(key)
    this.#sink.keep = false
    const hold = { slot: 0, generation: 0 }
    this.status = shard.getAndTouch(
      this.#hash,
      this.#key,
      this.#start,
      this.#length,
      expiresAtS,
      this.#sink,
      hold,
    )
    return this.status === Status.OK ? this.#sink.hit : undefined
  }

  /** Holds the value so that it can be read piece by piece. */
  hold(key: string): Held | undefined {
    const shard = this.find(key)
    this.#sink.keep = true
    const hold = { slot: 0, generation: 0 }
    this.status = shard.get(this.#hash, this.#key, this.#start, this.#length, this.#sink, hold)
    if (this.status !== Status.HELD) return undefined
    return this.#held(shard, hold, this.#sink.valueBytes)
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
    const hold = { slot: 0, generation: 0 }
    this.status = shard.begin(
      mode,
      this.#hash,
      this.#key,
      this.#start,
      this.#length,
      options.flags ?? 0,
      options.expiresAtS ?? 0,
      valueBytes,
      hold,
    )
    if (this.status !== Status.OK) return undefined
    return this.#held(shard, hold, valueBytes)
  }

  /** Writes the next bytes of a value begun; what stops it is to be given up. */
  fill({ shard, hold, place, valueBytes }: Held, piece: Buffer): Status {
    const area = areaOf(piece)
    for (let done = 0; done < piece.length; ) {
      if (place.start === place.end) {
        const status = shard.extend(hold, place, valueBytes)
        if (status !== Status.OK) return status
      }
      const bytes = Math.min(place.end - place.start, piece.length - done)
      copyBytes(area, done, shard.arena.area, place.start, bytes)
      place.start += bytes
      done += bytes
    }
    return Status.OK
  }

  giveUp(held: Held, dropsOld: boolean): void {
    held.shard.giveUp(held.hold, held.hash, dropsOld)
  }

  commit(mode: Mode, held: Held, casHigh = 0, casLow = 0): Status {
    return held.shard.commit(mode, held.hold, held.hash, casHigh, casLow)
  }

  touch(key: string, expiresAtS: number): Status {
    const shard = this.find(key)
    return shard.touch(this.#hash, this.#key, this.#start, this.#length, expiresAtS)
  }

  remove(key: string, cas: StoreOptions = {}): Status {
    const shard = this.find(key)
    const { casHigh, casLow } = cas
    return shard.remove(this.#hash, this.#key, this.#start, this.#length, casHigh, casLow)
  }

  adjust(key: string, subtract: boolean, delta: bigint, cas: StoreOptions = {}): Status {
    const shard = this.find(key)
    const { casHigh, casLow } = cas
    const where = [this.#hash, this.#key, this.#start, this.#length] as const
    return shard.adjust(...where, subtract, ...limbs(delta), casHigh, casLow)
  }

  /** As `adjust`, but makes an item of `initial` where there is none. */
  adjustOrAdd(key: string, delta: bigint, initial: bigint, expiresAtS = 0): Status {
    const shard = this.find(key)
    return shard.adjustOrAdd(
      this.#hash,
      this.#key,
      this.#start,
      this.#length,
      false,
      ...limbs(delta),
      0,
      0,
      ...limbs(initial),
      expiresAtS,
    )
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

  /** Where a key is, as the operations of shard-terms.ts take it. */
  at(key: string): [shard: Shard, hash: number, key: Area, start: number, length: number] {
    const shard = this.find(key)
    return [shard, this.#hash, this.#key, this.#start, this.#length]
  }

  #held(shard: Shard, hold: Hold, valueBytes: number): Held {
    const place = createPlace()
    rewind(place, valueBytes)
    return { shard, hash: this.#hash, hold, valueBytes, place }
  }

  /** The shard of a key, its hash and its place in the key area set for the call that follows. */
  find(key: string): Shard {
    this.#start = (this.#start + 7) % 200
    this.#length = this.#key.bytes.write(key, this.#start, 'latin1')
    this.#hash = this.cache.hash(this.#key, this.#start, this.#length)
    return this.cache.shardOf(this.#hash)
  }
}

export function limbs(number: bigint): [high: number, low: number] {
  return [Number(number / 10_000_000_000n), Number(number % 10_000_000_000n)]
}

function areaOf(bytes: Buffer): Area {
  return new Area(bytes)
}
