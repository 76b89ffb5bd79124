// Cache-aside: get the value from the cache, else load and store it. No two callers load the same
// value at the same time.
//
//   const users = new CacheAside(cache, { ttlS: 60, staleS: 300, negativeTtlS: 5 })
//   const user = await users.getOrSet(`user:${id}`, () => database.user(id))
//
// Callers of one CacheAside share a load. Between threads and processes the cache decides: a miss
// puts a claim in the item's place, and the caller that won it loads (`lease`). The others poll
// until there is a value. A claim expires, so a dead loader delays the others no longer than that.
// A failed loader gives its claim back at once. A value deleted while it was loaded is not stored,
// since its claim is gone.
//
// A stale value is served while one caller loads the next one.
//
// Every value goes through the serializer, also a loaded one, so that a miss and a hit return the
// same kind of value (with JSON a Date is a string both times).
//
// If the cache fails the application still works: values are loaded, and `onError` is called.

import { setTimeout as sleep } from 'node:timers/promises'
import {
  checkOptions,
  checkSerializer,
  checkType,
  numberOption,
  TIMER_MS_MAX,
} from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import type { Awaitable, Lease, Store } from '../doors/types.ts'
import type { Serializer } from '../serializer.ts'
import { decode, encode, isNone, type StoredBytes } from './encoding.ts'
import { type OnError, reporter } from './reporter.ts'

/** Default time-out of a loader, and the pauses between polls for another's load. */
const LOAD_MS = 5000
const POLL_MS_MIN = 2
const POLL_MS_MAX = 50

/**
 * By default values expire up to this share of their TTL earlier, so that not all expire at once.
 */
const TTL_JITTER = 0.1

const { MAX_VALUE: MOST, MIN_VALUE: ABOVE_0, POSITIVE_INFINITY: NEVER } = Number
const AS_BYTES = { as: 'bytes' } as const

export interface AsideOptions {
  /** How long a value is fresh, seconds; Infinity: until it is evicted or deleted. */
  ttlS: number
  /** How long it is still served while a caller loads the next one, seconds. Default 0. */
  staleS?: number | undefined
  /**
   * How long a missing value (null, undefined) is cached, seconds. Default 0: not at all.
   */
  negativeTtlS?: number | undefined
  /** Values expire up to this share of `ttlS` earlier, at random. 0 to 1, default 0.1. */
  jitter?: number | undefined
  /**
   * Time-out of a loader, ms; then its callers' promises reject with DEADLINE. Default 5000.
   */
  loadMs?: number | undefined
  /** For values that are neither strings nor bytes. Default `json`. */
  serializer?: Serializer | undefined
  /** Called with errors of the cache and of loads in the background. Default: a warning. */
  onError?: OnError | undefined
}

const NAMES: Record<keyof Required<AsideOptions>, true> = {
  ttlS: true,
  staleS: true,
  negativeTtlS: true,
  jitter: true,
  loadMs: true,
  serializer: true,
  onError: true,
}
export const ASIDE_NAMES = Object.keys(NAMES)

/** The cache failed. */
const AWAY = Symbol('away')

/** Makes a value. The signal is aborted at the deadline. */
export type Loader<T> = (signal: AbortSignal) => Awaitable<T>

export class CacheAside {
  private readonly store: Store
  private readonly options: AsideOptions
  private readonly report: OnError
  private readonly loadMs: number
  private readonly claimS: number
  private readonly staleS: number
  /** Lookups and loads in progress, by key. */
  private readonly flights = new Map<string, Promise<unknown>>()
  private readonly refreshes = new Set<Promise<void>>()

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, options: AsideOptions) {
    checkOptions(options, ASIDE_NAMES)
    numberOption(options, 'ttlS', Number.NaN, [ABOVE_0, NEVER])
    numberOption(options, 'negativeTtlS', 0, [0, NEVER])
    numberOption(options, 'jitter', TTL_JITTER, [0, 1])
    checkSerializer(options.serializer)
    checkType('onError', options.onError, 'function')
    this.store = store
    this.options = options
    this.report = reporter(options.onError)
    this.loadMs = numberOption(options, 'loadMs', LOAD_MS, [ABOVE_0, TIMER_MS_MAX])
    // A cache counts whole seconds: a claim made late in a second must still last as long as a
    // load.
    this.claimS = Math.ceil(this.loadMs / 1000) + 1
    this.staleS = Math.ceil(numberOption(options, 'staleS', 0, [0, MOST]))
  }

  /**
   * The cached value, or the loaded one as the serializer returns it. All callers that wait for one
   * load get the same object, or its error. CacheError DEADLINE: the value was not loaded in time,
   * here or by another process. KEY: the cache does not allow the key.
   */
  getOrSet<T>(key: string, load: Loader<T>): Promise<T> {
    const under = this.flights.get(key) as Promise<T> | undefined
    if (under !== undefined) return under
    const flight = this.find(key, load).finally(() => {
      if (this.flights.get(key) === flight) this.flights.delete(key)
    })
    this.flights.set(key, flight)
    return flight
  }

  /** The cached value; undefined if there is none. Rejects with the cache's errors. */
  async get<T>(key: string): Promise<T | undefined> {
    const item = await this.store.getItem<Buffer>(key, AS_BYTES)
    return item && this.decoded<T>(key, item)?.value
  }

  /**
   * Stores a value as a load would. Later callers do not wait for loads that began before. Rejects
   * with the cache's errors, and VALUE for a value that cannot be serialized.
   */
  async set(key: string, value: unknown): Promise<void> {
    const { bytes, flags } = encode(value, this.options.serializer)
    const ttlS = this.ttlOf(value)
    try {
      if (ttlS === undefined) await this.store.delete(key)
      else await this.store.set(key, bytes, { ttlS, flags })
    } finally {
      this.flights.delete(key)
    }
  }

  /**
   * Deletes a value. Returns whether there was one. A load in progress is not stored, and later
   * callers do not wait for it.
   */
  async delete(key: string): Promise<boolean> {
    try {
      return await this.store.delete(key)
    } finally {
      this.flights.delete(key)
    }
  }

  /** A value as the cache would return it, or unchanged if it cannot be serialized. */
  asStored<T>(key: string, value: T): T {
    try {
      const { bytes, flags } = encode(value, this.options.serializer)
      return decode({ value: bytes, flags }, this.options.serializer) as T
    } catch (error) {
      this.report(error, key)
      return value
    }
  }

  /** Resolves when no load runs in the background. */
  async settled(): Promise<void> {
    while (this.refreshes.size > 0) await Promise.all(this.refreshes)
  }

  private async find<T>(key: string, load: Loader<T>): Promise<T> {
    const deadlineMs = performance.now() + (this.claimS + 1) * 1000
    let pauseMs = POLL_MS_MIN
    for (;;) {
      const claim = await this.claim(key)
      if (claim === AWAY) return this.asStored(key, await this.load(key, load))
      // If the cache has no claims, each process loads for itself.
      if (claim === undefined) return this.loadAndStore(key, load, undefined)
      const { value, flags } = claim
      if (value !== undefined) {
        const found = this.decoded<T>(key, { value, flags })
        if (found === undefined) return this.loadAndStore(key, load, claim)
        if (claim.won) this.refresh(key, load, claim)
        return found.value
      }
      if (claim.won || !claim.isClaimed) return this.loadAndStore(key, load, claim)
      if (performance.now() > deadlineMs) {
        throw new CacheError('DEADLINE', `${key}: another caller did not load it in time`)
      }
      await sleep(pauseMs)
      pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX)
    }
  }

  private async claim(key: string): Promise<Lease<Buffer> | undefined | typeof AWAY> {
    const { claimS, staleS: recacheS } = this
    try {
      return await this.store.lease<Buffer>(key, { claimS, recacheS, as: 'bytes' })
    } catch (error) {
      if (isBadKey(error)) throw error
      this.report(error, key)
      return AWAY
    }
  }

  private async loadAndStore<T>(
    key: string,
    load: Loader<T>,
    claim: Lease<Buffer> | undefined,
  ): Promise<T> {
    let value: T
    try {
      value = await this.load(key, load)
    } catch (error) {
      if (claim !== undefined) await this.giveBack(key, claim)
      throw error
    }
    return this.keep(key, value, claim)
  }

  /** Loads in the background, for later callers. */
  private refresh<T>(key: string, load: Loader<T>, claim: Lease<Buffer>): void {
    const refresh = this.loadAndStore(key, load, claim).then(
      () => {},
      error => this.report(error, key),
    )
    this.refreshes.add(refresh)
    void refresh.finally(() => this.refreshes.delete(refresh))
  }

  private async load<T>(key: string, load: Loader<T>): Promise<T> {
    const controller = new AbortController()
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const error = new CacheError('DEADLINE', `${key}: not loaded in ${this.loadMs} ms`)
      controller.abort(error)
      late.reject(error)
    }, this.loadMs)
    try {
      return await Promise.race([load(controller.signal), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Stores a loaded value, unless the item was deleted or stored meanwhile. Returns the value as
   * the cache would, or as loaded if it cannot be serialized.
   */
  private async keep<T>(key: string, loaded: T, claim: Lease<Buffer> | undefined): Promise<T> {
    const { serializer } = this.options
    let value = loaded
    try {
      const { bytes, flags } = encode(loaded, serializer)
      value = decode({ value: bytes, flags }, serializer) as T
      const ttlS = this.ttlOf(loaded)
      if (ttlS === undefined) {
        await this.store.delete(key, { cas: claim?.cas })
      } else if (claim === undefined) {
        await this.store.set(key, bytes, { ttlS, flags })
      } else {
        await this.store.cas(key, bytes, claim.cas, { ttlS, flags })
      }
    } catch (error) {
      this.report(error, key)
      if (claim !== undefined) await this.giveBack(key, claim)
    }
    return value
  }

  /** Lets the next caller make the value. */
  private async giveBack(key: string, { value, cas }: Lease<Buffer>): Promise<void> {
    try {
      if (value === undefined) await this.store.delete(key, { cas })
      else await this.store.expire(key, cas)
    } catch (error) {
      this.report(error, key)
    }
  }

  /** Undefined for a damaged value. */
  private decoded<T>(key: string, item: StoredBytes): { value: T } | undefined {
    try {
      return { value: decode(item, this.options.serializer) as T }
    } catch (error) {
      this.report(error, key)
      return undefined
    }
  }

  /** How long a value is kept, seconds; undefined: it is not stored. */
  private ttlOf(value: unknown): number | undefined {
    const { ttlS, negativeTtlS = 0, jitter = TTL_JITTER } = this.options
    const freshS = isNone(value) ? negativeTtlS : ttlS * (1 - jitter * Math.random())
    if (isNone(value) && negativeTtlS <= 0) return undefined
    return Math.max(1, freshS) + this.staleS
  }
}

function isBadKey(error: unknown): boolean {
  return error instanceof CacheError && error.code === 'KEY'
}
