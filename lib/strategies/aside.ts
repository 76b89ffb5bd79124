// Cache-aside: look in the cache, else load the value and store it, and let no two load the same value
// at the same time.
//
//   const users = new CacheAside(cache, { ttlS: 60, staleS: 300, negativeTtlS: 5 })
//   const user = await users.getOrSet(`user:${id}`, () => database.user(id))
//
// Callers of one object share a single load. Between threads and processes the cache decides: a miss
// puts a claim in the item's place, and whoever made it loads (`lease` of the doors). The others look
// again until there is a value. A claim ends by itself, so that a loader that died holds nobody up for
// longer than that; one that failed gives its claim back at once. A value that was deleted while it
// was loaded is not stored, since its claim is gone.
//
// While a value is stale it is served, and one caller of all loads the next one meanwhile.
//
// A cache that is away costs its use and not the application: values are loaded then, and `onError` is
// told.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Serializer } from '../serializer.ts'
import { decode, encode, isBare, isNone } from './encoding.ts'
import { checkMs, type OnError, reporter, StrategyError } from './errors.ts'
import { type Awaitable, type Claim, exptimeOf, type Item, type Store } from './store.ts'

/** What a strategy gives a loader by default, and the pauses of those who wait for another's load. */
const STRATEGY_LOAD_MS = 5000
const STRATEGY_POLL_MS_MIN = 2
const STRATEGY_POLL_MS_MAX = 50

/** Values end up to this share of their time earlier by default, so that not all end at once. */
const TTL_JITTER = 0.1

export interface AsideOptions {
  /** How long a value is fresh, seconds; Infinity: until it is evicted or deleted. */
  ttlS: number
  /** How much longer it is served while a caller loads the next one, seconds. Default 0. */
  staleS?: number
  /** How long it is remembered that there is no value (null, undefined), seconds. Default 0: not. */
  negativeTtlS?: number
  /** Values end up to this share of `ttlS` earlier, at random, not all at once. 0 to 1, default 0.1. */
  jitter?: number
  /** How long a loader may take, ms; then its callers are told DEADLINE. Default 5000. */
  loadMs?: number
  /** For values that are neither strings nor bytes. Default JSON. */
  serializer?: Serializer
  /** Told what the cache, or a load in the background, could not do. Default: a warning. */
  onError?: OnError
}

/** The cache could not be asked. */
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
  /** What is being looked for or loaded, by key. */
  private readonly flights = new Map<string, Promise<unknown>>()
  private readonly refreshes = new Set<Promise<void>>()

  /** RangeError for times that cannot be. */
  constructor(store: Store, options: AsideOptions) {
    const { ttlS, staleS = 0, negativeTtlS = 0 } = options
    const { loadMs = STRATEGY_LOAD_MS, jitter = TTL_JITTER } = options
    exptimeOf(ttlS)
    if (!(staleS >= 0 && staleS < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`staleS: seconds from 0 on, not ${staleS}`)
    }
    if (!(negativeTtlS >= 0)) {
      throw new RangeError(`negativeTtlS: seconds from 0 on, not ${negativeTtlS}`)
    }
    if (!(jitter >= 0 && jitter <= 1)) throw new RangeError(`jitter: from 0 to 1, not ${jitter}`)
    checkMs('loadMs', loadMs)
    this.store = store
    this.options = options
    this.report = reporter(options.onError)
    this.loadMs = loadMs
    // Seconds of a cache's clock: a claim made late in one lasts as long as a load all the same.
    this.claimS = Math.ceil(loadMs / 1000) + 1
    this.staleS = Math.ceil(staleS)
  }

  /**
   * The cached value, or what `load` makes. All callers that wait for one load get its value, the same
   * object, or its error. StrategyError DEADLINE: it was not made in time, here or by another process.
   * Rejects for a key that the cache does not take.
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

  /** The cached value; undefined where there is none. Rejects with what the cache throws. */
  async get<T>(key: string): Promise<T | undefined> {
    const item = await this.store.gets(key)
    if (item === undefined || isBare(item)) return undefined
    return this.decoded<T>(key, item)?.value
  }

  /**
   * Stores a value as a load would; who asks from then on waits for no load that began before.
   * Rejects with what the cache or the serializer throws.
   */
  async set(key: string, value: unknown): Promise<void> {
    const { bytes, flags } = encode(value, this.options.serializer)
    const ttlS = this.endOf(value)
    try {
      if (ttlS === undefined) await this.store.delete(key)
      else await this.store.set(key, bytes, { ttlS, flags })
    } finally {
      this.flights.delete(key)
    }
  }

  /**
   * Deletes a value; what is being loaded for it now is not stored, and who asks from then on does not
   * wait for it. Whether there was one.
   */
  async delete(key: string): Promise<boolean> {
    try {
      return await this.store.delete(key)
    } finally {
      this.flights.delete(key)
    }
  }

  /** Resolves when no load is under way in the background. */
  async settled(): Promise<void> {
    while (this.refreshes.size > 0) await Promise.all(this.refreshes)
  }

  private async find<T>(key: string, load: Loader<T>): Promise<T> {
    const deadlineMs = performance.now() + (this.claimS + 1) * 1000
    let pauseMs = STRATEGY_POLL_MS_MIN
    for (;;) {
      const claim = await this.claim(key)
      if (claim === AWAY) return this.load(key, load)
      // Where the cache has no claims, each process loads for itself.
      if (claim === undefined) return this.loadAndStore(key, load, undefined)
      if (!isBare(claim)) {
        const found = this.decoded<T>(key, claim)
        if (found === undefined) return this.loadAndStore(key, load, claim)
        if (claim.won) this.refresh(key, load, claim)
        return found.value
      }
      if (claim.won || !claim.isClaimed) return this.loadAndStore(key, load, claim)
      if (performance.now() > deadlineMs) {
        throw new StrategyError('DEADLINE', `${key}: whoever loads it was not done in time`)
      }
      await sleep(pauseMs)
      pauseMs = Math.min(2 * pauseMs, STRATEGY_POLL_MS_MAX)
    }
  }

  private async claim(key: string): Promise<Claim | undefined | typeof AWAY> {
    const recacheS = this.staleS > 0 ? exptimeOf(this.staleS) : 0
    try {
      return await this.store.lease(key, { claimS: this.claimS, recacheS })
    } catch (error) {
      if (isBadKey(error)) throw error
      this.report(error, key)
      return AWAY
    }
  }

  private async loadAndStore<T>(
    key: string,
    load: Loader<T>,
    claim: Claim | undefined,
  ): Promise<T> {
    let value: T
    try {
      value = await this.load(key, load)
    } catch (error) {
      if (claim !== undefined) await this.giveBack(key, claim)
      throw error
    }
    await this.keep(key, value, claim)
    return value
  }

  /** Loads in the background, for the sake of those to come. */
  private refresh<T>(key: string, load: Loader<T>, claim: Claim): void {
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
      const error = new StrategyError('DEADLINE', `${key}: not loaded in ${this.loadMs} ms`)
      controller.abort(error)
      late.reject(error)
    }, this.loadMs)
    try {
      return await Promise.race([load(controller.signal), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Stores what was loaded, unless it was deleted or stored anew meanwhile. */
  private async keep(key: string, value: unknown, claim: Claim | undefined): Promise<void> {
    try {
      const { bytes, flags } = encode(value, this.options.serializer)
      const ttlS = this.endOf(value)
      if (ttlS === undefined) {
        await this.store.delete(key, claim?.cas)
      } else if (claim === undefined) {
        await this.store.set(key, bytes, { ttlS, flags })
      } else {
        await this.store.cas(key, bytes, claim.cas, { ttlS, flags })
      }
    } catch (error) {
      this.report(error, key)
      if (claim !== undefined) await this.giveBack(key, claim)
    }
  }

  /** Lets the next one who asks make the value. */
  private async giveBack(key: string, claim: Claim): Promise<void> {
    try {
      if (isBare(claim)) await this.store.delete(key, claim.cas)
      else await this.store.expire(key, claim.cas)
    } catch (error) {
      this.report(error, key)
    }
  }

  /** Undefined for a damaged value. */
  private decoded<T>(key: string, item: Item): { value: T } | undefined {
    try {
      return { value: decode(item, this.options.serializer) as T }
    } catch (error) {
      this.report(error, key)
      return undefined
    }
  }

  /** The seconds that a value is kept, as the cache wants them; undefined: it is not. */
  private endOf(value: unknown): number | undefined {
    const { ttlS, negativeTtlS = 0, jitter = TTL_JITTER } = this.options
    const freshS = isNone(value) ? negativeTtlS : ttlS * (1 - jitter * Math.random())
    if (isNone(value) && negativeTtlS <= 0) return undefined
    return exptimeOf(Math.max(1, freshS) + this.staleS)
  }
}

function isBadKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'KEY'
}
