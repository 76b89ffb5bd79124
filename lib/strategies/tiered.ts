// Two tiers: a cache in process before a pool that many processes share. It is a Store itself, so
// that the other strategies work on it.
//
//   const near = LocalCache.create({ memoryBytes: 64 * 2 ** 20 })
//   const cache = new TieredCache(near, pool, { staleMs: 1000 })
//   const users = new CacheAside(cache, { ttlS: 600 })
//
//   read     near, if the log of changes is fresh; else far, and a copy is kept near
//   change   far, then the near copy is deleted and the others are told (change-log.ts)
//
// How old a value may be: a change that resolved is seen by all after `staleMs`, since a near copy
// is used only if the log was read completely within this time. Changes by clients that do not use
// this class are seen after `nearTtlS`.
//
// A near copy of a value that changed while it was fetched is not kept.
//
//   near item   CAS in 16 bytes | expires at, ms, in 8 bytes | value         flags as far

import { checkOptions, checkSerializer, checkType, numberOption } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import { decode } from '../doors/stored.ts'
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
import { json, type Serializer } from '../serializer.ts'
import { ChangeLog } from './change-log.ts'
import { type OnError, reporter } from './reporter.ts'
import { tellTier } from './telling.ts'

const STALE_MS = 1000
const STALE_MS_MIN = 20
const STALE_MS_MAX = 60_000
const NEAR_TTL_S = 60

const HEAD_BYTES = 24
const EXPIRES_AT = 16
const LOW_64 = 2n ** 64n - 1n
const AS_BYTES = { as: 'bytes' } as const

export interface TieredOptions {
  /** After this time all processes see a change, ms. 20 to 60,000, default 1000. */
  staleMs?: number | undefined
  /** How long a near copy is kept at most, seconds. Default 60. */
  nearTtlS?: number | undefined
  /** Prefix of the log of changes, the same in all processes. Default `tier:`. */
  prefix?: string | undefined
  /** The far cache's, for values that are neither strings nor bytes. Default `json`. */
  serializer?: Serializer | undefined
  /** Called with errors of the near cache and of the log. Default: a warning. */
  onError?: OnError | undefined
}

const NAMES = ['staleMs', 'nearTtlS', 'prefix', 'serializer', 'onError']

/** A key that is being fetched. */
interface Fetch {
  count: number
  hasChanged: boolean
}

export class TieredCache implements Store<'async'> {
  /** The cache that all processes share. Claims are kept there alone. */
  readonly far: Store<'async'>
  private readonly near: Store<'sync'>
  private readonly nearTtlS: number
  private readonly serializer: Serializer
  private readonly report: OnError
  private readonly log: ChangeLog
  private readonly fetches = new Map<string, Fetch>()

  /** `near`: a cache of its own, for this alone. CacheError ARGUMENT for wrong options. */
  constructor(near: Store<'sync'>, far: Store<'async'>, options: TieredOptions = {}) {
    checkOptions(options, NAMES)
    checkType('prefix', options.prefix, 'string')
    checkType('onError', options.onError, 'function')
    checkSerializer(options.serializer)
    const { MIN_VALUE: ABOVE_0, MAX_VALUE: MOST } = Number
    const { prefix = 'tier:', serializer = json } = options
    const staleMs = numberOption(options, 'staleMs', STALE_MS, [STALE_MS_MIN, STALE_MS_MAX])
    this.near = near
    this.far = far
    this.nearTtlS = numberOption(options, 'nearTtlS', NEAR_TTL_S, [ABOVE_0, MOST])
    this.serializer = serializer
    this.report = reporter(options.onError)
    const forget = (keys: readonly string[] | undefined) => this.forget(keys)
    this.log = new ChangeLog(far, { prefix, staleMs, forget, report: this.report })
  }

  /** Whether near copies are used now. Not while the log of changes cannot be read. */
  get isFresh(): boolean {
    return this.log.isFresh()
  }

  async get<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined> {
    return (await this.getItem<T>(key, options))?.value
  }

  async getItem<T = unknown>(key: string, options?: ReadOptions): Promise<Item<T> | undefined> {
    const near = this.nearItem(key)
    tellTier(1, near === undefined ? 0 : 1, this.isFresh)
    const item = near ?? (await this.fetch([key])).get(key)
    return item && this.opened<T>(item, options)
  }

  async getMany<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Promise<Map<string, T>> {
    const items = await this.getManyItems<T>(keys, options)
    return new Map([...items].map(([key, { value }]) => [key, value]))
  }

  async getManyItems<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Promise<Map<string, Item<T>>> {
    const found = new Map<string, Item<Buffer>>()
    const missed: string[] = []
    for (const key of new Set(keys)) {
      const item = this.nearItem(key)
      if (item === undefined) missed.push(key)
      else found.set(key, item)
    }
    tellTier(found.size + missed.length, found.size, this.isFresh)
    const rest = missed.length === 0 ? [] : await this.fetch(missed, true)
    const opened = new Map<string, Item<T>>()
    for (const [key, item] of [...found, ...rest]) {
      try {
        opened.set(key, this.opened<T>(item, options))
      } catch (error) {
        if (!(error instanceof CacheError && error.code === 'VALUE')) throw error
      }
    }
    return opened
  }

  async has(key: string): Promise<boolean> {
    return (await this.getItem(key, AS_BYTES)) !== undefined
  }

  getAndTouch<T = unknown>(key: string, options: TouchingReadOptions): Promise<T | undefined> {
    return this.change(key, () => this.far.getAndTouch<T>(key, options))
  }

  set(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.change(key, () => this.far.set(key, value, options))
  }

  add(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.change(key, () => this.far.add(key, value, options))
  }

  replace(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.change(key, () => this.far.replace(key, value, options))
  }

  append(key: string, value: string | Uint8Array): Promise<boolean> {
    return this.change(key, () => this.far.append(key, value))
  }

  prepend(key: string, value: string | Uint8Array): Promise<boolean> {
    return this.change(key, () => this.far.prepend(key, value))
  }

  cas(key: string, value: unknown, cas: bigint, options?: SetOptions): Promise<boolean> {
    return this.change(key, () => this.far.cas(key, value, cas, options))
  }

  casItem<T = unknown>(
    key: string,
    value: unknown,
    cas: bigint,
    options?: SetOptions,
  ): Promise<CasResult<T>> {
    return this.change(key, () => this.far.casItem<T>(key, value, cas, options))
  }

  delete(key: string, options?: DeleteOptions): Promise<boolean> {
    return this.change(key, () => this.far.delete(key, options))
  }

  touch(key: string, options: ExpiryOptions): Promise<boolean> {
    return this.change(key, () => this.far.touch(key, options))
  }

  incr(key: string, delta?: bigint | number, options?: CountOptions): Promise<bigint | undefined> {
    return this.change(key, () => this.far.incr(key, delta, options))
  }

  decr(key: string, delta?: bigint | number, options?: CountOptions): Promise<bigint | undefined> {
    return this.change(key, () => this.far.decr(key, delta, options))
  }

  /** From far: only there one caller wins. */
  lease<T = unknown>(key: string, options: LeaseOptions): Promise<Lease<T> | undefined> {
    return this.far.lease<T>(key, options)
  }

  expire(key: string, cas: bigint): Promise<boolean> {
    return this.change(key, () => this.far.expire(key, cas))
  }

  keys(): Iterable<string> | AsyncIterable<string> {
    return this.far.keys()
  }

  /** With `delayS` near copies may be read up to `nearTtlS` longer. */
  async flush(options?: FlushOptions): Promise<void> {
    try {
      await this.far.flush(options)
    } finally {
      this.forget(undefined)
      await this.log.tell(undefined)
    }
  }

  /** Stops following the log; from now on all reads are far. Closes neither cache. */
  close(): void {
    this.log.close()
  }

  /** A change that failed may have been carried out: then the near copies go too. */
  private async change<T>(key: string, run: () => Promise<T>): Promise<T> {
    let isSent = true
    try {
      return await run()
    } catch (error) {
      isSent = !(error instanceof CacheError && REFUSED.has(error.code))
      throw error
    } finally {
      if (isSent) {
        this.forget([key])
        await this.log.tell(key)
      }
    }
  }

  /** Undefined: everything. */
  private forget(keys: readonly string[] | undefined): void {
    try {
      if (keys === undefined) this.near.flush()
      else for (const key of keys) this.near.delete(key)
    } catch (error) {
      this.report(error, keys?.[0] ?? '')
    }
    if (keys === undefined) for (const fetch of this.fetches.values()) fetch.hasChanged = true
    for (const key of keys ?? []) {
      const fetch = this.fetches.get(key)
      if (fetch !== undefined) fetch.hasChanged = true
    }
  }

  private nearItem(key: string): Item<Buffer> | undefined {
    if (!this.log.isFresh()) return undefined
    const item = this.near.getItem<Buffer>(key, AS_BYTES)
    if (item === undefined) return undefined
    const { value, flags } = item
    const cas = (value.readBigUInt64BE(0) << 64n) | value.readBigUInt64BE(8)
    const expiresAtMs = value.readDoubleBE(EXPIRES_AT)
    const ttlS = Math.ceil((expiresAtMs - Date.now()) / 1000)
    if (ttlS <= 0) return undefined
    const known = Number.isNaN(ttlS) ? undefined : ttlS
    return { value: value.subarray(HEAD_BYTES), flags, cas, ttlS: known }
  }

  /** The far items of these keys. They are kept near unless they change meanwhile. */
  private async fetch(keys: readonly string[], isMany = false): Promise<Map<string, Item<Buffer>>> {
    const fetches = keys.map(key => this.beginFetch(key))
    try {
      const found = isMany
        ? await this.far.getManyItems<Buffer>(keys, AS_BYTES)
        : await this.fetchOne(keys[0])
      for (const [i, key] of keys.entries()) {
        const item = found.get(key)
        if (item !== undefined && !fetches[i].hasChanged) this.keep(key, item)
      }
      return found
    } finally {
      for (const [i, key] of keys.entries()) {
        fetches[i].count--
        const isLast = fetches[i].count === 0 && this.fetches.get(key) === fetches[i]
        if (isLast) this.fetches.delete(key)
      }
    }
  }

  private async fetchOne(key: string): Promise<Map<string, Item<Buffer>>> {
    const item = await this.far.getItem<Buffer>(key, AS_BYTES)
    return new Map(item === undefined ? [] : [[key, item]])
  }

  private beginFetch(key: string): Fetch {
    const known = this.fetches.get(key)
    // One that began before a change does not say what those after it find.
    const fetch = known?.hasChanged === false ? known : { count: 0, hasChanged: false }
    fetch.count++
    this.fetches.set(key, fetch)
    return fetch
  }

  private keep(key: string, { value, flags, cas, ttlS }: Item<Buffer>): void {
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + value.length)
    bytes.writeBigUInt64BE(cas >> 64n, 0)
    bytes.writeBigUInt64BE(cas & LOW_64, 8)
    bytes.writeDoubleBE(ttlS === undefined ? Number.NaN : Date.now() + ttlS * 1000, EXPIRES_AT)
    value.copy(bytes, HEAD_BYTES)
    const nearTtlS = Math.min(this.nearTtlS, ttlS ?? Number.POSITIVE_INFINITY)
    if (nearTtlS <= 0) return
    try {
      this.near.set(key, bytes, { ttlS: nearTtlS, flags })
    } catch (error) {
      // Too large for the near cache, which has nothing then.
      if (!(error instanceof CacheError)) throw error
    }
  }

  private opened<T>(item: Item<Buffer>, options: ReadOptions | undefined): Item<T> {
    if (options?.as === 'bytes') return item as unknown as Item<T>
    return { ...item, value: decode(item.value, item.flags, this.serializer) as T }
  }
}

/** Errors of requests that were not sent. */
const REFUSED = new Set(['ARGUMENT', 'KEY', 'VALUE', 'BUSY', 'CLOSED'])
