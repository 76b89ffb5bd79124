// The pool client: many servers, memslab or memcached, as one cache. The hash ring says which
// server owns a key. A server that does not answer is ejected; its keys go to the next server on
// the ring or miss, as configured, until it answers again.
//
//   const pool = new ClusterClient(['10.0.0.1:11211', '10.0.0.2:11211'], { timeoutMs: 200 })
//   await pool.set('user:1', user, { ttlS: 60 })
//   const user = await pool.get('user:1')
//
// What calls on keys mean is in doors/types.ts. Every argument is checked here before anything is
// sent: keys and numbers go into request lines as they are. Servers may change while it runs:
// members.ts.

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
  EXPIRY_NAMES,
  initialOf,
  LEASE_NAMES,
  refuse,
  SET_NAMES,
  TOUCHING_READ_NAMES,
  wantsBytes,
} from '../doors/arguments.ts'
import { exptimeOf, secondsUntil, secondsUntilTold } from '../doors/expiry.ts'
import { KEEPS_ORDER, type Ordered } from '../doors/order.ts'
import { isUnreadable } from '../doors/stored.ts'
import type {
  CasResult,
  CountOptions,
  DeleteOptions,
  ExpiryOptions,
  Item,
  Lease,
  LeaseOptions,
  ReadOptions,
  SetOptions,
  Store,
  TouchingReadOptions,
} from '../doors/types.ts'
import type { ClusterOptions, Servers } from './cluster-options.ts'
import { loopClock } from './loop-clock.ts'
import { checkKey, type Hit, isValue, type Stored, type StoreMode } from './nodes/node.ts'
import { VERSION_END, versionOf } from './nodes/version.ts'
import { ServerPool } from './server-pool.ts'
import { Codec } from './values/codec.ts'
import { type Calls, withSignal } from './with-signal.ts'

export class ClusterClient extends ServerPool implements Store<'async'>, Ordered {
  private readonly codec: Codec

  /** As ServerPool. CacheError ARGUMENT for wrong servers and options. */
  constructor(servers: Servers, options: ClusterOptions = {}) {
    super(servers, options)
    this.codec = new Codec(this.options)
  }

  async get<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined> {
    const asBytes = wantsBytes(options)
    checkKey(key)
    const hit = await this.keyed.get(key)
    return isValue(hit) ? this.valueIn<T>(this.codec.open(hit), asBytes) : undefined
  }

  async getItem<T = unknown>(key: string, options?: ReadOptions): Promise<Item<T> | undefined> {
    const asBytes = wantsBytes(options)
    checkKey(key)
    const deadlineMs = this.deadline()
    const hit = await this.keyed.get(key)
    return isValue(hit) ? this.itemOf<T>(hit, asBytes, deadlineMs) : undefined
  }

  /**
   * Sends each server one request for all its keys. The keys of a server that is away, refuses or
   * is busy are missing. Rejects only for ARGUMENT, KEY, AUTH and CLOSED.
   */
  async getMany<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Promise<Map<string, T>> {
    const asBytes = wantsBytes(options)
    return this.many(keys, hit => this.valueIn<T>(this.codec.open(hit), asBytes))
  }

  /** As `getMany`. */
  async getManyItems<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Promise<Map<string, Item<T>>> {
    const asBytes = wantsBytes(options)
    const deadlineMs = this.deadline()
    const found = await this.many(keys, hit => ({ hit, item: this.read<T>(hit, asBytes) }))
    const items = new Map<string, Item<T>>()
    for (const [key, { hit, item }] of found) {
      items.set(key, { ...item, cas: await versionIn(hit, deadlineMs) })
    }
    return items
  }

  async getAndTouch<T = unknown>(
    key: string,
    options: TouchingReadOptions,
  ): Promise<T | undefined> {
    const asBytes = wantsBytes(options, TOUCHING_READ_NAMES)
    const exptime = exptimeOf(secondsUntilTold(options))
    checkKey(key)
    const hit = await this.keyed.get(key, exptime)
    return isValue(hit) ? this.valueIn<T>(this.codec.open(hit), asBytes) : undefined
  }

  /** Fetches the value too. */
  async has(key: string): Promise<boolean> {
    checkKey(key)
    return isValue(await this.keyed.get(key))
  }

  set(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.store('set', key, value, options, undefined)
  }

  add(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.store('add', key, value, options, undefined)
  }

  replace(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.store('replace', key, value, options, undefined)
  }

  /** CacheError VALUE where values are compressed. */
  append(key: string, value: string | Uint8Array): Promise<boolean> {
    return this.join('append', key, value)
  }

  /** CacheError VALUE where values are compressed. */
  prepend(key: string, value: string | Uint8Array): Promise<boolean> {
    return this.join('prepend', key, value)
  }

  async cas(key: string, value: unknown, cas: bigint, options?: SetOptions): Promise<boolean> {
    checkCas(cas, VERSION_END)
    return this.store('set', key, value, options, cas)
  }

  /** The current item is fetched after the store, so it may have changed again. */
  async casItem<T = unknown>(
    key: string,
    value: unknown,
    cas: bigint,
    options?: SetOptions,
  ): Promise<CasResult<T>> {
    const isStored = await this.cas(key, value, cas, options)
    return { isStored, item: isStored ? undefined : await this.getItem<T>(key) }
  }

  /** After CONNECTION and TIMEOUT the item may or may not be deleted. */
  async delete(key: string, options?: DeleteOptions): Promise<boolean> {
    checkOptions(options, DELETE_NAMES)
    const cas = options?.cas
    if (cas !== undefined) checkCas(cas, VERSION_END)
    checkKey(key)
    return this.keyed.delete(key, cas)
  }

  async touch(key: string, options: ExpiryOptions): Promise<boolean> {
    checkOptions(options, EXPIRY_NAMES)
    const exptime = exptimeOf(secondsUntilTold(options))
    checkKey(key)
    return this.keyed.touch(key, exptime)
  }

  incr(key: string, delta: bigint | number = 1n, options?: CountOptions) {
    return this.adjust(key, delta, false, options)
  }

  decr(key: string, delta: bigint | number = 1n, options?: CountOptions) {
    return this.adjust(key, delta, true, options)
  }

  async lease<T = unknown>(key: string, options: LeaseOptions): Promise<Lease<T> | undefined> {
    const { claimS, recacheS } = claimOf(options)
    const asBytes = wantsBytes(options, LEASE_NAMES)
    checkKey(key)
    const recache = recacheS === 0 ? 0 : exptimeOf(recacheS)
    const deadlineMs = this.deadline()
    const claim = await this.keyed.lease(key, { claimS, recacheS: recache })
    if (claim === undefined) return undefined
    const { won, isClaimed, isStale } = claim
    const pending = { ...claim, isPending: won || isClaimed || isStale }
    const { flags, ttlS } = claim
    const item: Omit<Lease<T>, 'cas' | 'won' | 'isClaimed' | 'isStale'> = isValue(pending)
      ? this.read<T>(claim, asBytes)
      : { value: undefined, flags, ttlS: secondsLeft(ttlS) }
    return { ...item, cas: await versionIn(claim, deadlineMs), won, isClaimed, isStale }
  }

  async expire(key: string, cas: bigint): Promise<boolean> {
    checkCas(cas, VERSION_END)
    checkKey(key)
    return this.keyed.expire(key, cas)
  }

  /**
   * The same calls, which reject with the reason of the signal once it is aborted. What was sent by
   * then is executed all the same.
   */
  withSignal(signal: AbortSignal): Calls {
    if (!(signal instanceof AbortSignal)) refuse('signal', 'an AbortSignal', signal)
    return withSignal(this, signal)
  }

  [KEEPS_ORDER](key: string, other: string): boolean {
    return this.keyed.keepsOrder?.(key, other) ?? false
  }

  private async store(
    mode: StoreMode,
    key: string,
    value: unknown,
    options: SetOptions | undefined,
    cas: bigint | undefined,
  ): Promise<boolean> {
    checkOptions(options, SET_NAMES)
    const exptime = exptimeOf(secondsUntil(options))
    checkFlags(options?.flags)
    checkKey(key)
    const { bytes, flags } = this.codec.encode(value, options?.flags)
    // Not awaited: a suspended call would keep all of this while the request waits.
    return this.keyed.store({ mode, key, value: bytes, flags, exptime, cas }).then(isStored)
  }

  private async join(
    mode: 'append' | 'prepend',
    key: string,
    piece: string | Uint8Array,
  ): Promise<boolean> {
    checkPiece(piece)
    checkKey(key)
    const value = this.codec.encodePiece(piece)
    const request = { mode, key, value, flags: 0, exptime: 0, cas: undefined }
    return this.keyed.store(request).then(isStored)
  }

  private async adjust(
    key: string,
    by: bigint | number,
    subtract: boolean,
    options: CountOptions | undefined,
  ): Promise<bigint | undefined> {
    checkOptions(options, COUNT_NAMES)
    const exptime = exptimeOf(secondsUntil(options))
    const delta = amountOf('delta', by)
    const initial = initialOf(options)
    checkKey(key)
    return this.keyed.adjust({ key, delta, subtract, initial, exptime })
  }

  private async many<T>(keys: Iterable<string>, make: (hit: Hit) => T): Promise<Map<string, T>> {
    checkKeys(keys)
    const wanted = [...keys]
    for (const key of wanted) checkKey(key)
    const made = new Map<string, T>()
    for (const [key, hit] of await this.keyed.getMany(wanted)) {
      try {
        if (isValue(hit)) made.set(key, make(hit))
      } catch (error) {
        if (!isUnreadable(error)) throw error
      }
    }
    return made
  }

  private async itemOf<T>(hit: Hit, asBytes: boolean, deadlineMs: number): Promise<Item<T>> {
    const item = this.read<T>(hit, asBytes)
    return { ...item, cas: await versionIn(hit, deadlineMs) }
  }

  /** All of an item but its version. */
  private read<T>(hit: Hit, asBytes: boolean): Omit<Item<T>, 'cas'> {
    const opened = this.codec.open(hit)
    const { flags, ttlS } = opened
    return { value: this.valueIn<T>(opened, asBytes), flags, ttlS: secondsLeft(ttlS) }
  }

  private valueIn<T>(opened: Hit, asBytes: boolean): T {
    return (asBytes ? opened.value : this.codec.valueOf(opened)) as T
  }
}

/** The version of a hit. Asks the server for its life, once for each connection. */
async function versionIn({ cas, life }: Hit, deadlineMs: number): Promise<bigint> {
  return versionOf(cas, life.known ?? (await life.find(deadlineMs - loopClock.nowMs())))
}

function isStored(stored: Stored): boolean {
  return stored === 'STORED'
}

function secondsLeft(ttlS: number | undefined): number | undefined {
  return ttlS === -1 ? Number.POSITIVE_INFINITY : ttlS
}
