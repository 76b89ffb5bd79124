// The in-process door's access to the arenas: items by key, as bytes and client flags. Finds the
// arena of a key, calls the engine and turns its statuses into results. local-cache.ts adds values,
// options and their checks. Each thread has one for a cache; nothing here is shared.
//
// A hit is copied into `sink` and stays there until the next call.

import { Area } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'
import { shown } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import { isClaim } from '../doors/stored.ts'
import { clockS } from '../engine/arena/clock.ts'
import type { Cache } from '../engine/cache.ts'
import type { Shard } from '../engine/shard.ts'
import { Mode, Status } from '../engine/status.ts'
import { Ask } from '../engine/storing/ask.ts'
import { ValueSink } from '../engine/value-sink.ts'
import { decimalOf, joinWords, limbsOf, wordsOf } from './pairs.ts'

export type Bytes = string | Uint8Array

/** The arguments of a store; `seconds` until expiry as from expiry.ts. */
export interface Write {
  mode: Mode
  value: Bytes
  flags: number
  seconds: number
  cas: bigint
}

/** Longer values are not copied on their way into the arena. */
const SCRATCH_BYTES = 64 * KIB

/** A character has at most 4 bytes in UTF-8, so a key cut at this length is still too long. */
const KEY_ROOM_BYTES = KEY_BYTES_MAX + 4

/** On an arena's clock: a time in the past, and the last second. */
const EXPIRED_S = 1
const LAST_S = 2 ** 31 - 1

export class LocalItems {
  readonly sink = new ValueSink(SCRATCH_BYTES)
  /** The request, and the results of the last lease. */
  readonly ask: Ask
  /** No timer ticks the clocks any more: each call does. */
  isClosed = false
  private readonly cache: Cache
  private readonly key = Area.allocate(KEY_ROOM_BYTES)
  private readonly scratch = Area.allocate(SCRATCH_BYTES)
  private shard: Shard

  constructor(cache: Cache) {
    this.cache = cache
    this.shard = cache.shards[0]
    this.ask = new Ask(this.key)
  }

  /**
   * Copies the item's value into the sink. Returns whether there is one; a claim does not count.
   */
  find(key: Bytes): boolean {
    this.locate(key)
    for (;;) {
      const { shard, ask, sink } = this
      const status = shard.get(ask, sink)
      if (status !== Status.NO_ROOM) return status === Status.OK && !this.isClaim()
      sink.area = Area.allocate(sink.length)
    }
  }

  /** As `find`, and sets when the item expires. */
  findAndTouch(key: Bytes, seconds: number): boolean {
    this.locate(key)
    for (;;) {
      const { shard, ask, sink } = this
      ask.expiresAtS = this.expiryOf(seconds)
      const status = shard.getAndTouch(ask, sink)
      if (status === Status.NO_MEMORY) throw noMemory()
      if (status !== Status.NO_ROOM) return status === Status.OK && !this.isClaim()
      sink.area = Area.allocate(sink.length)
    }
  }

  /** Finds the item or puts a claim in its place; `ask` has the results. */
  lease(key: Bytes, claimS: number, recacheS: number): void {
    const { ask, sink } = this
    this.locate(key)
    ask.isPlain = false
    ask.creates = true
    ask.createsAsMiss = true
    ask.createAtS = this.expiryOf(claimS)
    ask.recaches = recacheS > 0
    ask.recacheAtS = recacheS > 0 ? this.expiryOf(recacheS) : 0
    for (;;) {
      const status = this.shard.get(ask, sink)
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

  /** The value in the sink; valid until the next call. */
  bytes(): Buffer {
    return this.sink.area.bytes.subarray(0, this.sink.length)
  }

  /** The version in the sink. */
  cas(): bigint {
    return joinWords(this.sink.casHigh, this.sink.casLow)
  }

  /** Seconds until the item in the sink expires; Infinity for never. */
  ttlS(): number {
    const { expiresAtS } = this.sink
    if (expiresAtS === 0) return Number.POSITIVE_INFINITY
    return Math.max(0, expiresAtS - clockS(this.shard.arena.words))
  }

  /** Returns whether the condition of the mode held. TOO_LARGE, NO_MEMORY: the key has no value. */
  store(key: Bytes, { mode, value, flags, seconds, cas }: Write): boolean {
    this.locate(key)
    const bytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length
    const { high, low } = wordsOf(cas)
    const { ask } = this
    ask.mode = mode
    ask.dropsOld = mode === Mode.SET
    ask.flags = flags >>> 0
    ask.expiresAtS = this.expiryOf(seconds)
    ask.valueBytes = bytes
    ask.casHigh = high
    ask.casLow = low
    const status = this.shard.store(ask, this.areaOf(value, bytes), 0)
    if (status === Status.TOO_LARGE) {
      throw new CacheError('TOO_LARGE', `the cache takes no value of ${bytes} bytes`)
    }
    if (status === Status.NO_MEMORY) throw noMemory()
    return status === Status.OK
  }

  touch(key: Bytes, seconds: number): boolean {
    this.locate(key)
    this.ask.expiresAtS = this.expiryOf(seconds)
    const status = this.shard.touch(this.ask)
    if (status === Status.NO_MEMORY) throw noMemory()
    return status === Status.OK
  }

  delete(key: Bytes): boolean {
    this.locate(key)
    this.ask.casHigh = 0
    this.ask.casLow = 0
    return this.shard.remove(this.ask) === Status.OK
  }

  /** Deletes this version of an item, or marks it stale. */
  deleteVersion(key: Bytes, cas: bigint, invalidates: boolean): boolean {
    const { ask } = this
    const { high, low } = wordsOf(cas)
    this.locate(key)
    ask.isPlain = false
    ask.compares = true
    ask.casHigh = high
    ask.casLow = low
    ask.invalidates = invalidates
    return this.shard.remove(ask) === Status.OK
  }

  /** Adds or subtracts. Undefined if there is no number and no `initial`. */
  adjust(
    key: Bytes,
    delta: bigint,
    subtract: boolean,
    initial: bigint | undefined,
    seconds: number,
  ): bigint | undefined {
    const { ask } = this
    const by = limbsOf(delta)
    const first = limbsOf(initial ?? 0n)
    this.locate(key)
    ask.casHigh = 0
    ask.casLow = 0
    ask.subtracts = subtract
    ask.deltaHigh = by.high
    ask.deltaLow = by.low
    ask.creates = initial !== undefined
    ask.createAtS = this.expiryOf(seconds)
    ask.initialHigh = first.high
    ask.initialLow = first.low
    const status = this.shard.adjust(ask)
    if (status === Status.MISS) return undefined
    if (status === Status.NON_NUMERIC) {
      throw new CacheError('NON_NUMERIC', 'the value is not a decimal number of 64 bits')
    }
    if (status !== Status.OK) throw noMemory()
    return decimalOf({ high: ask.numberHigh, low: ask.numberLow })
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
    const hash = this.cache.hash(this.key, 0, bytes)
    this.ask.setKey(this.key, 0, bytes, hash)
    this.ask.resetTerms()
    this.ask.isPlain = true
    this.shard = this.cache.shardOf(hash)
  }

  private copyKey(key: Bytes): number {
    if (typeof key === 'string') {
      const bytes = this.key.bytes.write(key, 0)
      // Lone surrogates would all be stored as the same character.
      if (bytes > 0 && bytes <= KEY_BYTES_MAX && key.isWellFormed()) return bytes
    } else if (key instanceof Uint8Array && key.length > 0 && key.length <= KEY_BYTES_MAX) {
      this.key.bytes.set(key, 0)
      return key.length
    }
    const words = `a key has 1 to ${KEY_BYTES_MAX} bytes of text or a Uint8Array, not ${shown(key)}`
    throw new CacheError('KEY', words)
  }

  /** An area with the value from byte 0: short values are copied, long ones viewed. */
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
