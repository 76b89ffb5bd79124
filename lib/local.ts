// The in-process door: one arena cache shared by the worker threads of a Node process, without a
// socket. One thread creates it, any other attaches to its handle; keys and values are strings or
// bytes. Calls are synchronous: they take a lock for a microsecond or less.
//
//   const cache = LocalCache.create({ memoryBytes: 512 * 2 ** 20 })
//   const worker = new Worker(file, { workerData: { cache: cache.handle } })
//   cache.guard(worker)                                         // clears up, should it die
//   ...
//   const cache = LocalCache.attach(workerData.cache)           // in the worker
//   cache.set('user:1', JSON.stringify(user), { ttlS: 60 })

import { threadId, type Worker } from 'node:worker_threads'
import { Area } from './engine/bytes.ts'
import { Cache, type CacheHandle, type CacheOptions } from './engine/cache.ts'
import { expiresAt } from './engine/clock.ts'
import { u64 } from './engine/decimal.ts'
import { ITEM_COUNT, RESETS } from './engine/layout.ts'
import type { Hold, Shard } from './engine/shard.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from './engine/stats.ts'
import { Mode, Status } from './engine/status.ts'
import { ValueSink } from './engine/value-sink.ts'
import {
  CLOCK_TICK_MS,
  KEY_BYTES_MAX,
  LOCAL_SCRATCH_BYTES,
  LOCK_WAIT_MS_MAX,
  UPKEEP_IDLE_MS,
} from './limits.ts'

export type LocalCacheOptions = CacheOptions
export type LocalCacheHandle = CacheHandle

export interface StoreOptions {
  /**
   * Seconds until the item ends, as in memcached: 0 or none for ever, above 30 days an absolute Unix
   * time, negative at once; parts of a second are rounded up. RangeError for what is no number.
   */
  ttlS?: number
  /** A number of the caller's own that is kept with the value: unsigned 32 bits. Default 0. */
  flags?: number
}

/** What `gets` finds. */
export interface Found {
  value: Buffer
  /** Unsigned 32 bits. */
  flags: number
  /** Names this version of the item, for `cas`. */
  cas: bigint
}

export interface LocalCacheStats {
  items: number
  getHits: number
  getMisses: number
  evictions: number
  /** Arenas that were emptied because a thread died in the middle of a change. */
  resets: number
}

/** A call that cannot be carried out, whatever the cache holds; `code` says why. */
export class CacheError extends Error {
  readonly code: 'KEY' | 'TOO_LARGE' | 'NO_MEMORY' | 'NON_NUMERIC'
  constructor(code: CacheError['code'], message: string) {
    super(message)
    this.name = 'CacheError'
    this.code = code
  }
}

type Value = string | Uint8Array

const TWO_64 = 2n ** 64n
/** Numbers of 64 bits go through decimal.ts as two limbs of ten digits. */
const LIMB = 10n ** 10n
const NO_CAS = { high: 0, low: 0 }

export class LocalCache {
  /** What another thread needs to attach: fit for workerData and postMessage. */
  readonly handle: LocalCacheHandle
  private readonly cache: Cache
  private readonly key = Area.allocate(KEY_BYTES_MAX + 1)
  private readonly scratch = Area.allocate(LOCAL_SCRATCH_BYTES)
  private readonly sink = new ValueSink(LOCAL_SCRATCH_BYTES)
  /** Never used: the sink takes hits whole. */
  private readonly hold: Hold = { slot: 0, generation: 0 }
  private readonly stops: (() => void)[] = []
  private keyBytes = 0
  private hash = 0
  private shard: Shard

  private constructor(cache: Cache) {
    this.cache = cache
    this.handle = cache.handle
    this.shard = cache.shards[0]
    cache.tick()
    const clock = setInterval(() => cache.tick(), CLOCK_TICK_MS).unref()
    this.stops.push(() => clearInterval(clock))
  }

  /** Makes a cache. RangeError if the memory cannot be had. The creating thread does its upkeep. */
  static create(options: LocalCacheOptions): LocalCache {
    const segmented = { segmented: true, ...options }
    const local = new LocalCache(Cache.create(segmented, holderOf(threadId)))
    for (const index of local.cache.shards.keys()) local.startUpkeep(index)
    return local
  }

  /** The cache of another thread of this process. Once a thread. */
  static attach(handle: LocalCacheHandle): LocalCache {
    return new LocalCache(Cache.attach(handle, holderOf(threadId)))
  }

  /**
   * Clears up after a worker thread that uses the cache, when it ends: should it have been terminated
   * in the middle of a change, what it kept locked is released, or emptied if it is torn.
   */
  guard(worker: Worker): void {
    const holder = holderOf(worker.threadId)
    worker.once('exit', () => this.cache.recover(holder))
  }

  /** Stops this thread's timers, which keep no process alive anyway. */
  close(): void {
    for (const stop of this.stops) stop()
  }

  /** A copy of the value, or undefined. */
  get(key: Value): Buffer | undefined {
    return this.find(key) ? Buffer.from(this.found()) : undefined
  }

  /** The value as a UTF-8 string, or undefined. */
  getString(key: Value): string | undefined {
    return this.find(key) ? this.found().toString() : undefined
  }

  /** The value with its flags and CAS, or undefined. */
  gets(key: Value): Found | undefined {
    if (!this.find(key)) return undefined
    const { flags, casHigh, casLow } = this.sink
    return { value: Buffer.from(this.found()), flags, cas: joinWords(casHigh, casLow) }
  }

  /** As `get`, and the item ends `ttlS` from now, as StoreOptions has it. */
  getAndTouch(key: Value, ttlS: number): Buffer | undefined {
    return this.find(key, ttlS) ? Buffer.from(this.found()) : undefined
  }

  /** Whether there is such an item; counts as a hit or a miss. */
  has(key: Value): boolean {
    return this.find(key)
  }

  /** Stores. CacheError TOO_LARGE or NO_MEMORY: then the key has no value at all. */
  set(key: Value, value: Value, options?: StoreOptions): void {
    this.store(Mode.SET, key, value, options)
  }

  /** Stores unless there is such an item; whether it did. */
  add(key: Value, value: Value, options?: StoreOptions): boolean {
    return this.store(Mode.ADD, key, value, options)
  }

  /** Stores if there is such an item; whether it did. */
  replace(key: Value, value: Value, options?: StoreOptions): boolean {
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
  cas(key: Value, value: Value, cas: bigint, options?: StoreOptions): boolean {
    const wanted = {
      high: Number(BigInt.asIntN(32, cas >> 32n)),
      low: Number(BigInt.asIntN(32, cas)),
    }
    return this.store(Mode.CAS, key, value, options, wanted)
  }

  /** Deletes; whether there was such an item. */
  delete(key: Value): boolean {
    this.locate(key)
    return this.shard.remove(this.hash, this.key, 0, this.keyBytes) === Status.OK
  }

  /** Moves the item's end, `ttlS` as StoreOptions has it; whether there is such an item. */
  touch(key: Value, ttlS: number): boolean {
    this.locate(key)
    const endsAtS = this.endOf(ttlS)
    return this.shard.touch(this.hash, this.key, 0, this.keyBytes, endsAtS) === Status.OK
  }

  /** Adds to a decimal number of 64 bits, wrapping; undefined without such an item. */
  incr(key: Value, by: bigint | number = 1): bigint | undefined {
    return this.adjust(key, by, false)
  }

  /** Subtracts from a decimal number of 64 bits, down to 0; undefined without such an item. */
  decr(key: Value, by: bigint | number = 1): bigint | undefined {
    return this.adjust(key, by, true)
  }

  /** Ends all items. */
  flush(): void {
    for (const shard of this.cache.shards) shard.flush(0)
  }

  stats(): LocalCacheStats {
    const stats = { items: 0, getHits: 0, getMisses: 0, evictions: 0, resets: 0 }
    for (const { arena } of this.cache.shards) {
      const { words, counters, classCount } = arena
      stats.items += words[ITEM_COUNT]
      stats.getMisses += counters[counterAt(Counter.GET_MISSES)]
      stats.resets += words[RESETS]
      for (let classId = 1; classId <= classCount; classId++) {
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
      const status = this.ask(ttlS)
      if (status !== Status.NO_ROOM) return status === Status.OK
      this.sink.area = Area.allocate(this.sink.length)
    }
  }

  private ask(ttlS: number | undefined): Status {
    const { shard, hash, key, keyBytes, sink, hold } = this
    if (ttlS === undefined) return shard.get(hash, key, 0, keyBytes, sink, hold)
    return shard.getAndTouch(hash, key, 0, keyBytes, this.endOf(ttlS), sink, hold)
  }

  private found(): Buffer {
    return this.sink.area.bytes.subarray(0, this.sink.length)
  }

  private store(
    mode: Mode,
    key: Value,
    value: Value,
    options?: StoreOptions,
    cas = NO_CAS,
  ): boolean {
    this.locate(key)
    const bytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length
    const status = this.shard.store(
      mode,
      this.hash,
      this.key,
      0,
      this.keyBytes,
      (options?.flags ?? 0) >>> 0,
      this.endOf(options?.ttlS ?? 0),
      cas.high,
      cas.low,
      this.areaOf(value, bytes),
      0,
      bytes,
    )
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

  private adjust(key: Value, by: bigint | number, subtract: boolean): bigint | undefined {
    const delta = BigInt(by)
    if (delta < 0n || delta >= TWO_64) throw new RangeError('by: a whole number from 0 to 2^64 - 1')
    this.locate(key)
    const { shard, hash, keyBytes } = this
    const high = Number(delta / LIMB)
    const low = Number(delta % LIMB)
    const status = shard.adjust(hash, this.key, 0, keyBytes, subtract, high, low)
    if (status === Status.MISS) return undefined
    if (status === Status.NON_NUMERIC) throw new CacheError('NON_NUMERIC', 'the value is no number')
    if (status !== Status.OK) throw new CacheError('NO_MEMORY', 'no memory for the number')
    return BigInt(u64.high) * LIMB + BigInt(u64.low)
  }

  private locate(key: Value): void {
    const bytes = typeof key === 'string' ? Buffer.byteLength(key) : key.length
    if (bytes === 0 || bytes > KEY_BYTES_MAX) {
      throw new CacheError('KEY', `a key has 1 to ${KEY_BYTES_MAX} bytes, not ${bytes}`)
    }
    if (typeof key === 'string') this.key.bytes.write(key, 0)
    else this.key.bytes.set(key, 0)
    this.keyBytes = bytes
    this.hash = this.cache.hash(this.key, 0, bytes)
    this.shard = this.cache.shardOf(this.hash)
  }

  private endOf(ttlS: number): number {
    if (Number.isNaN(ttlS)) throw new RangeError('ttlS: a number of seconds')
    return expiresAt(this.shard.arena.words, ttlS < 0 ? -1 : Math.ceil(ttlS))
  }

  /** Keeps an arena in order, a turn when the one before wants it. */
  private startUpkeep(index: number): void {
    const turn = () => {
      timer = setTimeout(turn, this.upkeep(index)).unref()
    }
    let timer = setTimeout(turn, UPKEEP_IDLE_MS).unref()
    this.stops.push(() => clearTimeout(timer))
  }

  /** One turn; when the next is due, ms. A stuck lock, which was waited for long, gets a long rest. */
  private upkeep(index: number): number {
    try {
      return this.cache.upkeep(index)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error))
      return LOCK_WAIT_MS_MAX
    }
  }
}

/** A thread's id for locks and holds: thread ids are never used again, and begin at 0. */
function holderOf(id: number): number {
  return id + 1
}

function joinWords(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}
