// The in-process door: one arena cache shared by the worker threads of a Node process, without a
// socket. One thread creates it, any other attaches to its handle. Keys are strings or bytes; values
// are strings, bytes, or what the serializer takes. Calls are synchronous: they take a lock for a
// microsecond or less. All memory is outside V8's heap, and is there once however many threads attach.
//
//   const cache = LocalCache.create({ memoryBytes: 512 * 2 ** 20 })
//   const worker = new Worker(file, { workerData: { cache: cache.handle } })
//   cache.guard(worker)                                         // clears up, should it die
//   ...
//   const cache = LocalCache.attach(workerData.cache)           // in the worker
//   cache.set('user:1', user, { ttlS: 60 })
//   const found = cache.getValue<User>('user:1')
//
// The creating thread keeps the arenas in order. Where it closes the cache, or ended and was cleared
// up after, the next thread that looks takes over.

import { threadId, type Worker } from 'node:worker_threads'
import { Area } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../engine/arena/counters.ts'
import { ITEM_COUNT, RESETS } from '../engine/arena/layout.ts'
import { Cache } from '../engine/cache.ts'
import { Keeper } from '../engine/keeper.ts'
import { CLOCK_TICK_MS } from '../engine/limits.ts'
import type { Shard } from '../engine/shard.ts'
import { Mode, Status } from '../engine/status.ts'
import { Ask } from '../engine/storing/ask.ts'
import { ValueSink } from '../engine/value-sink.ts'
import { decodeValue, encodeValue, json, type Serializer, ValueFlags } from '../serializer.ts'
import {
  type AttachOptions,
  CacheError,
  type Found,
  type Lease,
  type LeaseOptions,
  type LocalCacheHandle,
  type LocalCacheOptions,
  type LocalCacheStats,
  type StoreOptions,
} from './types.ts'

/** Longer values of the in-process door are not copied on their way in. */
const LOCAL_SCRATCH_BYTES = 64 * KIB

type Value = string | Uint8Array

const TWO_64 = 2n ** 64n
/** Numbers of 64 bits go through decimal.ts as two limbs of ten digits. */
const LIMB = 10n ** 10n
const NO_CAS = { high: 0, low: 0 }

export class LocalCache {
  /** What another thread needs to attach: fit for workerData and postMessage. */
  readonly handle: LocalCacheHandle
  private readonly cache: Cache
  private readonly serializer: Serializer
  private readonly key = Area.allocate(KEY_BYTES_MAX + 1)
  private readonly ask = new Ask(this.key)
  private readonly scratch = Area.allocate(LOCAL_SCRATCH_BYTES)
  private readonly sink = new ValueSink(LOCAL_SCRATCH_BYTES)
  private readonly clock: NodeJS.Timeout
  private readonly keeper: Keeper
  private isClosed = false
  private shard: Shard

  private constructor(cache: Cache, { serializer = json }: AttachOptions) {
    this.cache = cache
    this.serializer = serializer
    this.handle = cache.handle
    this.shard = cache.shards[0]
    cache.tick()
    this.clock = setInterval(() => cache.tick(), CLOCK_TICK_MS).unref()
    this.keeper = new Keeper(cache, cache.shards.keys(), warn)
  }

  /**
   * Makes a cache. RangeError for sizes that cannot be, and if the memory cannot be had. The creating
   * thread does its upkeep.
   */
  static create(options: LocalCacheOptions): LocalCache {
    const { serializer, ...rest } = options
    checkSizes(rest)
    const cache = Cache.create({ eviction: 'worth', ...rest }, holderOf(threadId))
    return new LocalCache(cache, { serializer })
  }

  /** The cache of another thread of this process. Once a thread. */
  static attach(handle: LocalCacheHandle, options: AttachOptions = {}): LocalCache {
    return new LocalCache(Cache.attach(handle, holderOf(threadId)), options)
  }

  /**
   * Clears up after a worker thread that uses the cache, when it ends: should it have been terminated
   * in the middle of a change, what it kept locked is released, or emptied if it is torn.
   */
  guard(worker: Worker): void {
    const holder = holderOf(worker.threadId)
    worker.once('exit', () => this.cache.recover(holder))
  }

  /**
   * Stops this thread's timers, which keep no process alive anyway. Other threads, and a daemon that
   * serves the cache, go on with it. Calls still work; they then look at the time themselves.
   */
  close(): void {
    this.isClosed = true
    clearInterval(this.clock)
    this.keeper.stop()
  }

  /** A copy of the value, or undefined. */
  get(key: Value): Buffer | undefined {
    return this.find(key) ? Buffer.from(this.found()) : undefined
  }

  /** The value as a UTF-8 string, or undefined. */
  getString(key: Value): string | undefined {
    return this.find(key) ? this.found().toString() : undefined
  }

  /**
   * What was stored, or undefined: text as a string, bytes as a Buffer, the rest by the serializer,
   * whose errors come through. What a client elsewhere stored with flags 0 is text.
   */
  getValue<T = unknown>(key: Value): T | undefined {
    return this.find(key) ? this.decoded<T>() : undefined
  }

  /** The value with its flags and CAS, or undefined. */
  gets(key: Value): Found | undefined {
    return this.find(key) ? this.foundWhole() : undefined
  }

  /** The items there are, by key. */
  getMany(keys: Iterable<string>): Map<string, Found> {
    const hits = new Map<string, Found>()
    for (const key of keys) if (this.find(key)) hits.set(key, this.foundWhole())
    return hits
  }

  /** The values there are, by key, each as `getValue` has it. */
  getManyValues<T = unknown>(keys: Iterable<string>): Map<string, T> {
    const hits = new Map<string, T>()
    for (const key of keys) if (this.find(key)) hits.set(key, this.decoded<T>())
    return hits
  }

  /**
   * The item, or a claim where there is none, so that of all threads, and all clients of a daemon on
   * this cache, a single one makes its value: the one that is told `won`. It stores with `cas` and
   * the version it was given. CacheError NO_MEMORY where there is no room for a claim, RangeError for
   * a claim that would never end.
   */
  lease(key: Value, options: LeaseOptions): Lease {
    const { claimS, recacheS = 0 } = options
    if (!(claimS > 0)) throw new RangeError(`claimS: seconds above 0, not ${claimS}`)
    const { ask, sink } = this
    this.locate(key)
    ask.isPlain = false
    ask.creates = true
    ask.createsAsMiss = true
    ask.createAtS = this.endOf(claimS)
    ask.recaches = recacheS > 0
    ask.recacheAtS = this.endOf(recacheS)
    for (;;) {
      const status = this.shard.get(ask, sink)
      if (status === Status.OK) break
      if (status !== Status.NO_ROOM) throw new CacheError('NO_MEMORY', 'no memory for a claim')
      sink.area = Area.allocate(sink.length)
    }
    const { won, wasClaimed: isClaimed, wasStale: isStale } = ask
    return { ...this.foundWhole(), won, isClaimed, isStale }
  }

  /**
   * Keeps a value and lets the next `lease` win it, if the item is still this version: after a value
   * that could not be made anew, or to have one made anew while the old one is served.
   */
  expire(key: Value, cas: bigint): boolean {
    return this.remove(key, cas, true)
  }

  /** As `get`, and the item ends `ttlS` from now, as StoreOptions has it. */
  getAndTouch(key: Value, ttlS: number): Buffer | undefined {
    return this.find(key, ttlS) ? Buffer.from(this.found()) : undefined
  }

  /** Whether there is such an item; counts as a hit or a miss. */
  has(key: Value): boolean {
    return this.find(key)
  }

  /**
   * Stores. CacheError TOO_LARGE or NO_MEMORY: then the key has no value at all. What the serializer
   * does not take throws its error, as TypeError for undefined, and changes nothing.
   */
  set(key: Value, value: unknown, options?: StoreOptions): void {
    this.store(Mode.SET, key, value, options)
  }

  /** Stores unless there is such an item; whether it did. */
  add(key: Value, value: unknown, options?: StoreOptions): boolean {
    return this.store(Mode.ADD, key, value, options)
  }

  /** Stores if there is such an item; whether it did. */
  replace(key: Value, value: unknown, options?: StoreOptions): boolean {
    return this.store(Mode.REPLACE, key, value, options)
  }

  /**
   * Puts bytes behind the value there is; flags and end stay. False if there is none, and if the whole
   * would be too long or finds no memory.
   */
  append(key: Value, value: Value): boolean {
    return this.store(Mode.APPEND, key, value)
  }

  /**
   * Puts bytes before the value there is; flags and end stay. False if there is none, and if the whole
   * would be too long or finds no memory.
   */
  prepend(key: Value, value: Value): boolean {
    return this.store(Mode.PREPEND, key, value)
  }

  /** Stores if the item is still the one that `gets` found; whether it did. */
  cas(key: Value, value: unknown, cas: bigint, options?: StoreOptions): boolean {
    return this.store(Mode.CAS, key, value, options, wordsOf(cas))
  }

  /** Deletes, if the item is still the version `cas` where that is given; whether it did. */
  delete(key: Value, cas?: bigint): boolean {
    if (cas !== undefined) return this.remove(key, cas, false)
    this.locate(key)
    this.ask.casHigh = 0
    this.ask.casLow = 0
    return this.shard.remove(this.ask) === Status.OK
  }

  /** Moves the item's end, `ttlS` as StoreOptions has it; whether there is such an item. */
  touch(key: Value, ttlS: number): boolean {
    this.locate(key)
    this.ask.expiresAtS = this.endOf(ttlS)
    return this.shard.touch(this.ask) === Status.OK
  }

  /**
   * Adds to a decimal number of 64 bits, wrapping. Where there is none: undefined, or `initial`, which
   * is stored for `ttlS`. CacheError NON_NUMERIC, RangeError for what is no number of 64 bits.
   */
  incr(key: Value, by: bigint | number = 1, initial?: bigint | number, ttlS = 0) {
    return this.adjust(key, by, false, initial, ttlS)
  }

  /** As `incr`, but subtracts, down to 0. */
  decr(key: Value, by: bigint | number = 1, initial?: bigint | number, ttlS = 0) {
    return this.adjust(key, by, true, initial, ttlS)
  }

  /** Ends all items. */
  flush(): void {
    for (const shard of this.cache.shards) shard.flush(0)
  }

  stats(): LocalCacheStats {
    const stats = {
      items: 0,
      itemBytes: 0,
      memoryBytes: this.cache.memoryLimitBytes(),
      getHits: 0,
      getMisses: 0,
      evictions: 0,
      resets: 0,
    }
    for (const { arena } of this.cache.shards) {
      const { words, counters, classCount } = arena
      stats.items += words[ITEM_COUNT]
      stats.getMisses += counters[counterAt(Counter.GET_MISSES)]
      stats.getMisses += counters[counterAt(Counter.TOUCH_MISSES)]
      stats.resets += words[RESETS]
      for (let classId = 1; classId <= classCount; classId++) {
        stats.itemBytes += counters[classCounterAt(classId, ClassCounter.MEM_REQUESTED)]
        stats.getHits += counters[classCounterAt(classId, ClassCounter.GET_HITS)]
        stats.getHits += counters[classCounterAt(classId, ClassCounter.TOUCH_HITS)]
        stats.evictions += counters[classCounterAt(classId, ClassCounter.EVICTED)]
      }
    }
    return stats
  }

  /** Copies a hit into the sink, whose room grows to the longest value seen. */
  private find(key: Value, ttlS?: number): boolean {
    this.locate(key)
    for (;;) {
      const status = this.fetch(ttlS)
      if (status !== Status.NO_ROOM) return status === Status.OK
      this.sink.area = Area.allocate(this.sink.length)
    }
  }

  private fetch(ttlS: number | undefined): Status {
    const { shard, ask, sink } = this
    if (ttlS === undefined) return shard.get(ask, sink)
    ask.expiresAtS = this.endOf(ttlS)
    return shard.getAndTouch(ask, sink)
  }

  private found(): Buffer {
    return this.sink.area.bytes.subarray(0, this.sink.length)
  }

  private foundWhole(): Found {
    const { flags, casHigh, casLow, expiresAtS } = this.sink
    const ttlS = expiresAtS === 0 ? -1 : Math.max(0, expiresAtS - this.shard.nowS())
    return { value: Buffer.from(this.found()), flags, cas: joinWords(casHigh, casLow), ttlS }
  }

  private decoded<T>(): T {
    return decodeValue(this.found(), this.sink.flags, this.serializer) as T
  }

  /** Strings are written by `areaOf` right where they are stored from. */
  private store(
    mode: Mode,
    key: Value,
    value: unknown,
    options?: StoreOptions,
    cas = NO_CAS,
  ): boolean {
    let bytes: Value
    let flags = options?.flags ?? 0
    if (typeof value === 'string') {
      bytes = value
    } else {
      const encoded = encodeValue(value, this.serializer)
      bytes = encoded.bytes
      flags = value instanceof Uint8Array ? (options?.flags ?? ValueFlags.BYTES) : encoded.flags
    }
    // Filled only now: a serializer may have used this cache.
    const { ask } = this
    ask.mode = mode
    ask.dropsOld = mode === Mode.SET
    ask.casHigh = cas.high
    ask.casLow = cas.low
    return this.put(key, bytes, flags, options?.ttlS ?? 0)
  }

  private put(key: Value, value: Value, flags: number, ttlS: number): boolean {
    const { ask } = this
    this.locate(key)
    const bytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length
    ask.flags = flags >>> 0
    ask.expiresAtS = this.endOf(ttlS)
    ask.valueBytes = bytes
    const status = this.shard.store(ask, this.areaOf(value, bytes), 0)
    if (status === Status.TOO_LARGE)
      throw new CacheError('TOO_LARGE', `${bytes} bytes are too many`)
    if (status === Status.NO_MEMORY) throw new CacheError('NO_MEMORY', 'no memory for the value')
    return status === Status.OK
  }

  /** Where a value stands, from byte 0: short ones are copied, long ones looked at. */
  private areaOf(value: Value, bytes: number): Area {
    if (bytes <= LOCAL_SCRATCH_BYTES) {
      if (typeof value === 'string') this.scratch.bytes.write(value, 0)
      else this.scratch.bytes.set(value, 0)
      return this.scratch
    }
    if (typeof value === 'string') return new Area(Buffer.from(value))
    return new Area(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  }

  /** Deletes this version of an item, or marks it stale. */
  private remove(key: Value, cas: bigint, invalidate: boolean): boolean {
    const { ask } = this
    const { high, low } = wordsOf(cas)
    this.locate(key)
    ask.isPlain = false
    ask.compares = true
    ask.casHigh = high
    ask.casLow = low
    ask.invalidates = invalidate
    return this.shard.remove(ask) === Status.OK
  }

  private adjust(
    key: Value,
    by: bigint | number,
    subtract: boolean,
    initial: bigint | number | undefined,
    ttlS: number,
  ): bigint | undefined {
    const { ask } = this
    const delta = limbsOf(by)
    const first = limbsOf(initial ?? 0)
    this.locate(key)
    ask.casHigh = 0
    ask.casLow = 0
    ask.subtracts = subtract
    ask.deltaHigh = delta.high
    ask.deltaLow = delta.low
    ask.creates = initial !== undefined
    ask.createAtS = this.endOf(ttlS)
    ask.initialHigh = first.high
    ask.initialLow = first.low
    const status = this.shard.adjust(ask)
    if (status === Status.MISS) return undefined
    if (status === Status.NON_NUMERIC) throw new CacheError('NON_NUMERIC', 'the value is no number')
    if (status !== Status.OK) throw new CacheError('NO_MEMORY', 'no memory for the number')
    return BigInt(ask.numberHigh) * LIMB + BigInt(ask.numberLow)
  }

  private locate(key: Value): void {
    if (typeof key !== 'string' && !(key instanceof Uint8Array)) {
      throw new CacheError('KEY', 'a key is a string or bytes')
    }
    if (this.isClosed) this.cache.tick()
    const bytes = typeof key === 'string' ? Buffer.byteLength(key) : key.length
    if (bytes === 0 || bytes > KEY_BYTES_MAX) {
      throw new CacheError('KEY', `a key has 1 to ${KEY_BYTES_MAX} bytes, not ${bytes}`)
    }
    if (typeof key === 'string') this.key.bytes.write(key, 0)
    else this.key.bytes.set(key, 0)
    const hash = this.cache.hash(this.key, 0, bytes)
    this.ask.setKey(this.key, 0, bytes, hash)
    this.ask.resetTerms()
    this.ask.isPlain = true
    this.shard = this.cache.shardOf(hash)
  }

  private endOf(ttlS: number): number {
    if (typeof ttlS !== 'number' || Number.isNaN(ttlS)) {
      throw new RangeError('ttlS: a number of seconds')
    }
    return this.shard.expiresAtS(ttlS < 0 ? -1 : Math.ceil(ttlS))
  }
}

function checkSizes({ memoryBytes, shards = 1 }: LocalCacheOptions): void {
  if (!Number.isFinite(memoryBytes) || memoryBytes <= 0) {
    throw new RangeError(`memoryBytes: a number of bytes above 0, not ${memoryBytes}`)
  }
  if (!Number.isInteger(shards) || shards < 1) {
    throw new RangeError(`shards: a whole number from 1 on, not ${shards}`)
  }
}

/** A stuck lock, which was waited for long. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}

/** A thread's id for locks and holds: thread ids are never used again, and begin at 0. */
function holderOf(id: number): number {
  return id + 1
}

function joinWords(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** A CAS as the words of an item. */
function wordsOf(cas: bigint): { high: number; low: number } {
  return { high: Number(BigInt.asIntN(32, cas >> 32n)), low: Number(BigInt.asIntN(32, cas)) }
}

/** A number as decimal.ts has it. */
function limbsOf(value: bigint | number): { high: number; low: number } {
  const number = BigInt(value)
  if (number < 0n || number >= TWO_64) throw new RangeError('a whole number from 0 to 2^64 - 1')
  return { high: Number(number / LIMB), low: Number(number % LIMB) }
}
