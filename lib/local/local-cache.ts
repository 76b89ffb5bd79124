// The in-process door: one cache that the worker threads of a Node.js process share, without a
// socket. One thread creates it, the others attach to its handle. Calls are synchronous: each holds
// a lock for a microsecond or less. All memory is outside V8's heap and exists once, however many
// threads attach.
//
//   const cache = LocalCache.create({ memoryBytes: 512 * 2 ** 20 })
//   const worker = new Worker(file, { workerData: { cache: cache.handle } })
//   cache.guard(worker)                                         // cleans up if the worker dies
//   ...
//   const cache = LocalCache.attach(workerData.cache)           // in the worker
//   cache.set('user:1', user, { ttlS: 60 })
//   const found = cache.get<User>('user:1')
//
// The creating thread does the upkeep of the arenas. If it closes the cache, or died and was
// cleaned up after, the next thread that checks takes over. doors/types.ts says what calls mean,
// local-items.ts calls the arenas.

import { type InspectOptions, inspect } from 'node:util'
import { threadId, type Worker } from 'node:worker_threads'
import {
  amountOf,
  COUNT_NAMES,
  checkCas,
  checkFlags,
  checkKeys,
  checkOptions,
  checkPiece,
  claimOf,
  DELETE_NAMES,
  delayOf,
  EXPIRY_NAMES,
  initialOf,
  LEASE_NAMES,
  SET_NAMES,
  TOUCHING_READ_NAMES,
  wantsBytes,
} from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import { secondsUntil, secondsUntilTold } from '../doors/expiry.ts'
import { decode, encode, isUnreadable, textFlags } from '../doors/stored.ts'
import type {
  CasResult,
  CountOptions,
  DeleteOptions,
  ExpiryOptions,
  FlushOptions,
  Item,
  Lease,
  LeaseOptions,
  ReadOptions,
  SetOptions,
  Store,
  TouchingReadOptions,
} from '../doors/types.ts'
import { Cache } from '../engine/cache.ts'
import { Keeper } from '../engine/keeper.ts'
import { CLOCK_TICK_MS } from '../engine/limits.ts'
import { Mode } from '../engine/status.ts'
import { hasEnded, observe } from '../engine/thread-end.ts'
import { json, type Serializer } from '../serializer.ts'
import { checkAttach, checkCreateOptions } from './create-options.ts'
import { keysOf } from './key-list.ts'
import { type Bytes, LocalItems } from './local-items.ts'
import { statsOf } from './stats.ts'
import type {
  AttachOptions,
  LocalCacheHandle,
  LocalCacheOptions,
  LocalCacheStats,
} from './types.ts'

/** A version that means any. */
const ANY_VERSION = 0n

/** Here keys may be bytes too; over the network they are text. */
type Key = Bytes

export class LocalCache implements Store<'sync'> {
  /** The handle by which another thread attaches; it consists of shared memory. */
  readonly handle: LocalCacheHandle
  private readonly cache: Cache
  private readonly items: LocalItems
  private readonly serializer: Serializer
  private readonly clock: NodeJS.Timeout
  private readonly keeper: Keeper
  /** By their ids for locks, until they have ended. */
  private readonly guarded = new Map<number, Worker>()

  private constructor(cache: Cache, serializer: Serializer = json) {
    this.cache = cache
    this.items = new LocalItems(cache)
    this.serializer = serializer
    this.handle = cache.handle
    cache.tick()
    this.clock = setInterval(() => cache.tick(), CLOCK_TICK_MS).unref()
    this.keeper = new Keeper(cache, cache.shards.keys(), warn)
  }

  /**
   * Creates a cache, whose upkeep the calling thread does. CacheError ARGUMENT for wrong options,
   * NO_MEMORY if the memory cannot be reserved.
   */
  static create(options: LocalCacheOptions): LocalCache {
    checkCreateOptions(options)
    const { serializer, ...rest } = options
    try {
      const cache = Cache.create({ eviction: 'worth', ...rest }, holderOf(threadId))
      return new LocalCache(cache, serializer)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new CacheError('NO_MEMORY', error.message, { cause: error })
    }
  }

  /**
   * Attaches to the cache of another thread of this process, once per thread. CacheError ARGUMENT.
   */
  static attach(handle: LocalCacheHandle, options: AttachOptions = {}): LocalCache {
    checkAttach(handle, options)
    return new LocalCache(Cache.attach(handle, holderOf(threadId)), options.serializer)
  }

  /**
   * Cleans up when this worker ends. If it was terminated in the middle of a change, the arena that
   * it had locked is released, or emptied if it is torn. A call of this thread that waits for that
   * lock sees its end too.
   */
  guard(worker: Worker): void {
    const holder = holderOf(worker.threadId)
    const { guarded, cache } = this
    if (guarded.size === 0) cache.watchLocks(holder => this.lookAt(holder))
    guarded.set(holder, worker)
    observe(worker)
    worker.once('exit', () => {
      guarded.delete(holder)
      cache.recover(holder)
    })
  }

  /** A guarded worker has a lock that this thread waits for. */
  private lookAt(holder: number): void {
    const worker = this.guarded.get(holder)
    if (worker !== undefined && hasEnded(worker)) this.cache.recover(holder)
  }

  /**
   * Stops this thread's timers, which do not keep the process alive anyway. Other threads, and a
   * daemon that serves the cache, go on. Calls still work; each then reads the time itself.
   */
  close(): void {
    this.items.isClosed = true
    clearInterval(this.clock)
    this.keeper.stop()
  }

  get<T = unknown>(key: Key, options?: ReadOptions): T | undefined {
    const asBytes = wantsBytes(options)
    return this.items.find(key) ? this.value<T>(asBytes) : undefined
  }

  getItem<T = unknown>(key: Key, options?: ReadOptions): (Item<T> & { ttlS: number }) | undefined {
    const asBytes = wantsBytes(options)
    return this.items.find(key) ? this.item<T>(asBytes) : undefined
  }

  getMany<T = unknown>(keys: Iterable<string>, options?: ReadOptions): Map<string, T> {
    const asBytes = wantsBytes(options)
    return this.many(keys, () => this.value<T>(asBytes))
  }

  getManyItems<T = unknown>(keys: Iterable<string>, options?: ReadOptions): Map<string, Item<T>> {
    const asBytes = wantsBytes(options)
    return this.many(keys, () => this.item<T>(asBytes))
  }

  getAndTouch<T = unknown>(key: Key, options: TouchingReadOptions): T | undefined {
    const asBytes = wantsBytes(options, TOUCHING_READ_NAMES)
    const seconds = secondsUntilTold(options)
    return this.items.findAndTouch(key, seconds) ? this.value<T>(asBytes) : undefined
  }

  /** Counts as a hit or a miss. */
  has(key: Key): boolean {
    return this.items.find(key)
  }

  set(key: Key, value: unknown, options?: SetOptions): boolean {
    return this.store(Mode.SET, key, value, options, ANY_VERSION)
  }

  add(key: Key, value: unknown, options?: SetOptions): boolean {
    return this.store(Mode.ADD, key, value, options, ANY_VERSION)
  }

  replace(key: Key, value: unknown, options?: SetOptions): boolean {
    return this.store(Mode.REPLACE, key, value, options, ANY_VERSION)
  }

  /** False also if the new value would be too long or there is no memory for it. */
  append(key: Key, value: Bytes): boolean {
    return this.join(Mode.APPEND, key, value)
  }

  /** False also if the new value would be too long or there is no memory for it. */
  prepend(key: Key, value: Bytes): boolean {
    return this.join(Mode.PREPEND, key, value)
  }

  cas(key: Key, value: unknown, cas: bigint, options?: SetOptions): boolean {
    checkCas(cas)
    return this.store(Mode.CAS, key, value, options, cas)
  }

  casItem<T = unknown>(key: Key, value: unknown, cas: bigint, options?: SetOptions): CasResult<T> {
    const isStored = this.cas(key, value, cas, options)
    return { isStored, item: isStored ? undefined : this.getItem<T>(key) }
  }

  delete(key: Key, options?: DeleteOptions): boolean {
    checkOptions(options, DELETE_NAMES)
    const cas = options?.cas
    if (cas === undefined) return this.items.delete(key)
    checkCas(cas)
    return this.items.deleteVersion(key, cas, false)
  }

  touch(key: Key, options: ExpiryOptions): boolean {
    checkOptions(options, EXPIRY_NAMES)
    return this.items.touch(key, secondsUntilTold(options))
  }

  incr(key: Key, delta: bigint | number = 1n, options?: CountOptions): bigint | undefined {
    return this.adjust(key, delta, false, options)
  }

  decr(key: Key, delta: bigint | number = 1n, options?: CountOptions): bigint | undefined {
    return this.adjust(key, delta, true, options)
  }

  /**
   * One caller wins among all threads and all clients of a daemon on this cache. CacheError
   * NO_MEMORY if there is no room for a claim.
   */
  lease<T = unknown>(key: Key, options: LeaseOptions): Lease<T> {
    const { claimS, recacheS } = claimOf(options)
    const asBytes = wantsBytes(options, LEASE_NAMES)
    const { items } = this
    items.lease(key, claimS, recacheS)
    const { won, created, wasClaimed: isClaimed, wasStale: isStale } = items.ask
    const value = created || items.isClaim() ? undefined : this.value<T>(asBytes)
    const { flags } = items.sink
    return { value, flags, cas: items.cas(), ttlS: items.ttlS(), won, isClaimed, isStale }
  }

  expire(key: Key, cas: bigint): boolean {
    checkCas(cas)
    return this.items.deleteVersion(key, cas, true)
  }

  /** The keys that are stored and are text. */
  keys(): Generator<string, void> {
    return keysOf(this.cache)
  }

  flush(options?: FlushOptions): void {
    this.items.flush(delayOf(options))
  }

  stats(): LocalCacheStats {
    return statsOf(this.cache)
  }

  /** A summary for console.log, without any bytes of the items. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { items, itemBytes, memoryBytes, evictions } = this.stats()
    const shards = this.cache.shards.length
    return `LocalCache ${inspect({ items, itemBytes, memoryBytes, shards, evictions }, options)}`
  }

  private value<T>(asBytes: boolean): T {
    const { items } = this
    if (asBytes) return Buffer.from(items.bytes()) as T
    return decode(items.bytes(), items.sink.flags, this.serializer) as T
  }

  private item<T>(asBytes: boolean): Item<T> & { ttlS: number } {
    const { items } = this
    const { flags } = items.sink
    return { value: this.value<T>(asBytes), flags, cas: items.cas(), ttlS: items.ttlS() }
  }

  private many<T>(keys: Iterable<string>, take: () => T): Map<string, T> {
    checkKeys(keys)
    const found = new Map<string, T>()
    for (const key of keys) {
      try {
        if (this.items.find(key)) found.set(key, take())
      } catch (error) {
        if (!isUnreadable(error)) throw error
      }
    }
    return found
  }

  /** Strings are written directly to the scratch area; other values are encoded first. */
  private store(
    mode: Mode,
    key: Key,
    value: unknown,
    options: SetOptions | undefined,
    cas: bigint,
  ): boolean {
    checkOptions(options, SET_NAMES)
    const seconds = secondsUntil(options)
    const ownFlags = options?.flags
    checkFlags(ownFlags)
    if (typeof value === 'string') {
      const flags = textFlags(value, ownFlags)
      return this.items.store(key, { mode, value, flags, seconds, cas })
    }
    const { bytes, flags } = encode(value, this.serializer, ownFlags)
    return this.items.store(key, { mode, value: bytes, flags, seconds, cas })
  }

  private join(mode: Mode, key: Key, value: Bytes): boolean {
    checkPiece(value)
    const seconds = Number.POSITIVE_INFINITY
    return this.items.store(key, { mode, value, flags: 0, seconds, cas: ANY_VERSION })
  }

  private adjust(
    key: Key,
    delta: bigint | number,
    subtract: boolean,
    options: CountOptions | undefined,
  ): bigint | undefined {
    checkOptions(options, COUNT_NAMES)
    const seconds = secondsUntil(options)
    return this.items.adjust(key, amountOf('delta', delta), subtract, initialOf(options), seconds)
  }
}

/** Warns of an error of upkeep: the lock of an arena could not be had in time. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}

/** A thread's id for locks and holds: Node's thread ids begin at 0 and are never reused. */
function holderOf(id: number): number {
  return id + 1
}
