// What the in-process door asks of the arenas: items by key, as bytes and client flags. Finds the
// arena of a key, calls the engine and turns its statuses into answers; local-cache.ts puts values,
// options and their checks on top. One a thread and cache; nothing here is shared.
//
// A hit is copied into `sink` and stays there until the next call.

import { Area } from '../bytes/area.ts'
import { u64 } from '../bytes/decimal.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'
import { shown } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import { isClaim } from '../doors/stored.ts'
import { clockS } from '../engine/arena/clock.ts'
import type { Cache } from '../engine/cache.ts'
import type { Hold, Shard } from '../engine/shard.ts'
import { adjustOn, fetchOn, removeOn } from '../engine/shard-terms.ts'
import { type Mode, Status } from '../engine/status.ts'
import { Terms } from '../engine/storing/terms.ts'
import { ValueSink } from '../engine/value-sink.ts'
import { decimalOf, joinWords, limbsOf, wordsOf } from './pairs.ts'

export type Bytes = string | Uint8Array

/** What is stored, and until when: flags and seconds until expiry as expiry.ts has them. */
export interface Write {
  mode: Mode
  value: Bytes
  flags: number
  seconds: number
  cas: bigint
}

/** Longer values are not copied on their way into the arena. */
const SCRATCH_BYTES = 64 * KIB

/** UTF-8 of one character has 4 bytes at most: a key that is cut there is too long all the same. */
const KEY_ROOM_BYTES = KEY_BYTES_MAX + 4

/** On an arena's clock: long ago, and the last second that there is. */
const EXPIRED_S = 1
const LAST_S = 2 ** 31 - 1

export class LocalItems {
  readonly sink = new ValueSink(SCRATCH_BYTES)
  /** What the last lease was told. */
  readonly terms = new Terms()
  /** Its clocks are no longer moved by a timer: each call moves them. */
  isClosed = false
  private readonly cache: Cache
  private readonly key = Area.allocate(KEY_ROOM_BYTES)
  private readonly scratch = Area.allocate(SCRATCH_BYTES)
  /** Never used: the sink takes hits complete. */
  private readonly hold: Hold = { slot: 0, generation: 0 }
  private keyBytes = 0
  private hash = 0
  private shard: Shard

  constructor(cache: Cache) {
    this.cache = cache
    this.shard = cache.shards[0]
  }

  /** Copies the item's value into the sink; whether there is one. A claim is none. */
  find(key: Bytes): boolean {
    this.locate(key)
    for (;;) {
      const { shard, hash, keyBytes, sink, hold } = this
      const status = shard.get(hash, this.key, 0, keyBytes, sink, hold)
      if (status !== Status.NO_ROOM) return status === Status.OK && !this.isClaim()
      sink.area = Area.allocate(sink.length)
    }
  }

  /** As `find`, and moves the expiry. */
  findAndTouch(key: Bytes, seconds: number): boolean {
    this.locate(key)
    for (;;) {
      const { shard, hash, keyBytes, sink, hold } = this
      const expiresAtS = this.expiryOf(seconds)
      const status = shard.getAndTouch(hash, this.key, 0, keyBytes, expiresAtS, sink, hold)
      if (status === Status.NO_MEMORY) throw noMemory()
      if (status !== Status.NO_ROOM) return status === Status.OK && !this.isClaim()
      sink.area = Area.allocate(sink.length)
    }
  }

  /** Finds the item or makes a claim in its place; `terms` says what came of it. */
  lease(key: Bytes, claimS: number, recacheS: number): void {
    const { terms, sink } = this
    this.locate(key)
    terms.reset()
    terms.creates = true
    terms.createsAsMiss = true
    terms.createAtS = this.expiryOf(claimS)
    terms.recaches = recacheS > 0
    terms.recacheAtS = recacheS > 0 ? this.expiryOf(recacheS) : 0
    for (;;) {
      const { shard, hash, keyBytes, hold } = this
      const status = fetchOn(shard, hash, this.key, 0, keyBytes, terms, sink, hold)
      if (status === Status.OK) return
      if (status !== Status.NO_ROOM) throw noMemory()
      sink.area = Area.allocate(sink.length)
    }
  }

  /** Whether the sink has a claim without a value. */
  isClaim(): boolean {
    const { length, flags, isPending } = this.sink
    return isClaim(length, flags, isPending)
  }

  /** The value in the sink; good until the next call. */
  bytes(): Buffer {
    return this.sink.area.bytes.subarray(0, this.sink.length)
  }

  /** The version in the sink. */
  cas(): bigint {
    return joinWords(this.sink.casHigh, this.sink.casLow)
  }

  /** Seconds until the item in the sink expires; Infinity for never. */
  ttlS(): number {
    const { endsAtS } = this.sink
    if (endsAtS === 0) return Number.POSITIVE_INFINITY
    return Math.max(0, endsAtS - clockS(this.shard.arena.words))
  }

  /** Stores; whether the condition of the mode held. TOO_LARGE, NO_MEMORY: the key has no value. */
  store(key: Bytes, { mode, value, flags, seconds, cas }: Write): boolean {
    this.locate(key)
    const bytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length
    const { high, low } = wordsOf(cas)
    const status = this.shard.store(
      mode,
      this.hash,
      this.key,
      0,
      this.keyBytes,
      flags >>> 0,
      this.expiryOf(seconds),
      high,
      low,
      this.areaOf(value, bytes),
      0,
      bytes,
    )
    if (status === Status.TOO_LARGE) {
      throw new CacheError('TOO_LARGE', `the cache takes no value of ${bytes} bytes`)
    }
    if (status === Status.NO_MEMORY) throw noMemory()
    return status === Status.OK
  }

  touch(key: Bytes, seconds: number): boolean {
    this.locate(key)
    const expiresAtS = this.expiryOf(seconds)
    const status = this.shard.touch(this.hash, this.key, 0, this.keyBytes, expiresAtS)
    if (status === Status.NO_MEMORY) throw noMemory()
    return status === Status.OK
  }

  delete(key: Bytes): boolean {
    this.locate(key)
    return this.shard.remove(this.hash, this.key, 0, this.keyBytes) === Status.OK
  }

  /** Deletes this version of an item, or marks it stale. */
  deleteVersion(key: Bytes, cas: bigint, invalidates: boolean): boolean {
    const { terms } = this
    const { high, low } = wordsOf(cas)
    this.locate(key)
    terms.reset()
    terms.compares = true
    terms.casHigh = high
    terms.casLow = low
    terms.invalidates = invalidates
    return removeOn(this.shard, this.hash, this.key, 0, this.keyBytes, terms) === Status.OK
  }

  /** Adds or subtracts; undefined where there is no number and no `initial`. */
  adjust(
    key: Bytes,
    delta: bigint,
    subtract: boolean,
    initial: bigint | undefined,
    seconds: number,
  ): bigint | undefined {
    const { terms } = this
    const by = limbsOf(delta)
    const first = limbsOf(initial ?? 0n)
    this.locate(key)
    terms.reset()
    terms.creates = initial !== undefined
    terms.createAtS = this.expiryOf(seconds)
    const status = adjustOn(
      this.shard,
      this.hash,
      this.key,
      0,
      this.keyBytes,
      subtract,
      by.high,
      by.low,
      first.high,
      first.low,
      terms,
    )
    if (status === Status.MISS) return undefined
    if (status === Status.NON_NUMERIC) {
      throw new CacheError('NON_NUMERIC', 'the value is not a decimal number of 64 bits')
    }
    if (status !== Status.OK) throw noMemory()
    return decimalOf(u64)
  }

  /** Expires all items `delayS` from now. */
  flush(delayS: number): void {
    for (const shard of this.cache.shards) {
      shard.flush(delayS === 0 ? 0 : clockS(shard.arena.words) + delayS)
    }
  }

  /** Copies the key and finds its arena. CacheError KEY. */
  private locate(key: Bytes): void {
    if (this.isClosed) this.cache.tick()
    const bytes = this.copyKey(key)
    this.keyBytes = bytes
    this.hash = this.cache.hash(this.key, 0, bytes)
    this.shard = this.cache.shardOf(this.hash)
  }

  private copyKey(key: Bytes): number {
    if (typeof key === 'string') {
      const bytes = this.key.bytes.write(key, 0)
      // Halves of surrogate pairs would all be stored as one and the same character.
      if (bytes > 0 && bytes <= KEY_BYTES_MAX && key.isWellFormed()) return bytes
    } else if (key instanceof Uint8Array && key.length > 0 && key.length <= KEY_BYTES_MAX) {
      this.key.bytes.set(key, 0)
      return key.length
    }
    const words = `a key has 1 to ${KEY_BYTES_MAX} bytes of text or a Uint8Array, not ${shown(key)}`
    throw new CacheError('KEY', words)
  }

  /** Where a value is, from byte 0: short ones are copied, long ones viewed. */
  private areaOf(value: Bytes, bytes: number): Area {
    if (bytes <= SCRATCH_BYTES) {
      if (typeof value === 'string') this.scratch.bytes.write(value, 0)
      else this.scratch.bytes.set(value, 0)
      return this.scratch
    }
    if (typeof value === 'string') return new Area(Buffer.from(value))
    return new Area(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  }

  /** Seconds from now on the arena's clock; 0 for never. */
  private expiryOf(seconds: number): number {
    if (seconds === Number.POSITIVE_INFINITY) return 0
    if (seconds <= 0) return EXPIRED_S
    return Math.min(clockS(this.shard.arena.words) + Math.ceil(seconds), LAST_S)
  }
}

function noMemory(): CacheError {
  return new CacheError('NO_MEMORY', 'no memory, and nothing that may be evicted')
}
