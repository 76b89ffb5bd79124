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

import { setTimeout as sleep } from 'node:timers/promises'
import { type InspectOptions, inspect } from 'node:util'
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
  numberOption,
  refuse,
  SET_NAMES,
  TIMER_MS_MAX,
  TOUCHING_READ_NAMES,
  wantsBytes,
} from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import { exptimeOf, secondsUntil, secondsUntilTold } from '../doors/expiry.ts'
import { isClaim, isUnreadable } from '../doors/stored.ts'
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
import {
  type CheckedOptions,
  type ClusterOptions,
  checkClusterOptions,
  isDiscovery,
  type Servers,
} from './cluster-options.ts'
import { Copies } from './copies/copies.ts'
import type { Keyed } from './copies/keyed.ts'
import { OneCopy } from './copies/one-copy.ts'
import type { Discovery } from './discovery/source.ts'
import { Health } from './members/health.ts'
import { Members } from './members/members.ts'
import { parseServer } from './members/servers.ts'
import type { ServerAddress } from './nodes/connection.ts'
import { MemjsNode } from './nodes/memjs-node.ts'
import { MetaNode } from './nodes/meta-node.ts'
import { checkKey, type Hit, type PoolNode, type Stored, type StoreMode } from './nodes/node.ts'
import type { RingNode } from './ring/ring.ts'
import { Codec } from './values/codec.ts'

/**
 * Each server has its own versions. Where there are several copies, a version carries the server's
 * mark in its low digits.
 */
const CAS_END = 2n ** 64n
const MARKED_CAS_END = 2n ** 96n

export class ClusterClient implements Store<'async'> {
  private readonly options: CheckedOptions
  private readonly timeoutMs: number
  private readonly casEnd: bigint
  private readonly members: Members
  private readonly codec: Codec
  private readonly keyed: Keyed
  /** Settled when the servers are known, or never will be. */
  private readonly known = Promise.withResolvers<void>()
  private isKnown = false
  /** Ends all work in the background. */
  private readonly closing = new AbortController()
  private readonly stopDiscovery: () => void

  /**
   * `servers`: `host:port`, `host:port:weight`, `[ipv6]:port`, a path, or the parts of these; or a
   * source that provides them and each change. Requests wait for the source's first list.
   * CacheError ARGUMENT for wrong servers and options.
   */
  constructor(servers: Servers, options: ClusterOptions = {}) {
    const checked = checkClusterOptions(options)
    const { failures, restMs, replicas } = checked
    this.options = checked
    this.timeoutMs = checked.timeoutMs
    this.casEnd = replicas > 1 ? MARKED_CAS_END : CAS_END
    this.members = new Members([], {
      ...checked,
      createNode: ({ host, port }) => nodeOf({ host, port }, checked),
      createHealth: () => new Health(failures, restMs),
      probeMs: this.timeoutMs,
    })
    this.codec = new Codec(checked)
    this.keyed = this.keyedBy(checked)
    this.known.promise.catch(() => {})
    const isFollowed = isDiscovery(servers)
    this.stopDiscovery = isFollowed ? this.follow(servers) : () => {}
    if (!isFollowed) this.setMembers(servers)
  }

  /**
   * Sets the servers. Requests in flight finish on their server. Servers that stay keep their
   * connections; connections to servers that left are closed once they are idle. CacheError
   * ARGUMENT: nothing changes.
   */
  setMembers(servers: readonly (string | RingNode)[]): void {
    if (!Array.isArray(servers)) refuse('servers', 'a list of servers', servers)
    this.members.set(
      servers.map(server => (typeof server === 'string' ? parseServer(server) : server)),
    )
    this.isKnown = true
    this.known.resolve()
    this.options.onServers?.(this.servers())
  }

  /** The names of all servers, including those that are away. */
  servers(): string[] {
    return this.members.all().map(({ node }) => node.name)
  }

  /** Resolves when the servers are known. TIMEOUT: not within `timeoutMs`. */
  async ready(timeoutMs = this.timeoutMs): Promise<void> {
    numberOption({ timeoutMs }, 'timeoutMs', 1, [1, TIMER_MS_MAX])
    if (this.isKnown) return
    const timer = new AbortController()
    const late = sleep(timeoutMs, undefined, timer).then(() => {
      throw new CacheError('TIMEOUT', 'no servers were found in time')
    })
    await Promise.race([this.known.promise, late]).finally(() => timer.abort())
  }

  async get<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined> {
    const asBytes = wantsBytes(options)
    checkKey(key)
    const hit = await this.keyed.get(key)
    return isValue(hit) ? this.valueOf<T>(this.codec.open(hit), asBytes) : undefined
  }

  async getItem<T = unknown>(key: string, options?: ReadOptions): Promise<Item<T> | undefined> {
    const asBytes = wantsBytes(options)
    checkKey(key)
    const hit = await this.keyed.get(key)
    return isValue(hit) ? this.itemOf<T>(hit, asBytes) : undefined
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
    return this.many(keys, hit => this.valueOf<T>(this.codec.open(hit), asBytes))
  }

  /** As `getMany`. */
  async getManyItems<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Promise<Map<string, Item<T>>> {
    const asBytes = wantsBytes(options)
    return this.many(keys, hit => this.itemOf<T>(hit, asBytes))
  }

  async getAndTouch<T = unknown>(
    key: string,
    options: TouchingReadOptions,
  ): Promise<T | undefined> {
    const asBytes = wantsBytes(options, TOUCHING_READ_NAMES)
    const exptime = exptimeOf(secondsUntilTold(options))
    checkKey(key)
    const hit = await this.keyed.get(key, exptime)
    return isValue(hit) ? this.valueOf<T>(this.codec.open(hit), asBytes) : undefined
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
    checkCas(cas, this.casEnd)
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
    if (cas !== undefined) checkCas(cas, this.casEnd)
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
    const claim = await this.keyed.lease(key, { claimS, recacheS: recache })
    if (claim === undefined) return undefined
    const { won, isClaimed, isStale } = claim
    const pending = { ...claim, isPending: won || isClaimed || isStale }
    const { flags, cas, ttlS } = claim
    const item: Omit<Item<T>, 'value'> & { value: T | undefined } = isValue(pending)
      ? this.itemOf<T>(claim, asBytes)
      : { value: undefined, flags, cas, ttlS: secondsLeft(ttlS) }
    return { ...item, won, isClaimed, isStale }
  }

  async expire(key: string, cas: bigint): Promise<boolean> {
    checkCas(cas, this.casEnd)
    checkKey(key)
    return this.keyed.expire(key, cas)
  }

  /** Expires all items on all servers. Rejects if one did not answer. */
  async flush(options?: FlushOptions): Promise<void> {
    const delayS = delayOf(options)
    const flush = (node: PoolNode) => node.flush(delayS, this.timeoutMs)
    const leaving = this.members
      .leaving()
      .map(member => this.members.on(member, flush).catch(() => this.members.giveUp(member)))
    await Promise.all([this.onAll(flush), ...leaving])
  }

  /** Each server's version text, by server. Rejects if one did not answer. */
  async versions(): Promise<Map<string, string>> {
    return new Map(
      await this.onAll(async node => [node.name, await node.version(this.timeoutMs)] as const),
    )
  }

  /**
   * The statistics of each server, by server; `name`: as in `stats items`. Rejects if one did not
   * answer.
   */
  async serverStats(name = ''): Promise<Map<string, Map<string, string>>> {
    if (typeof name !== 'string' || !/^[\x20-\x7e]*$/.test(name)) refuse('name', 'words', name)
    return new Map(
      await this.onAll(async node => [node.name, await node.stats(name, this.timeoutMs)] as const),
    )
  }

  /** The server that owns a key, whether it is up or not. Undefined in an empty pool. */
  ownerOf(key: string): string | undefined {
    checkKey(key)
    return this.members.ownerOf(key)?.node.name
  }

  /** The servers that are ejected now. */
  away(): string[] {
    const away = this.members.all().filter(({ health }) => !health.isUp())
    return away.map(({ node }) => node.name)
  }

  /** Closes all connections. Pending calls reject with CLOSED. */
  close(): void {
    this.stopDiscovery()
    this.closing.abort()
    this.known.reject(new CacheError('CLOSED', 'the client was closed'))
    this.members.close()
  }

  /** A summary for console.log, without passwords and values. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { driver = 'meta', replicas, timeoutMs } = this.options
    const isClosed = this.closing.signal.aborted
    const facts = {
      servers: this.servers(),
      away: this.away(),
      driver,
      replicas,
      timeoutMs,
      isClosed,
    }
    return `ClusterClient ${inspect(facts, options)}`
  }

  private keyedBy({ retries, failover, replicas }: CheckedOptions): Keyed {
    const terms = {
      members: this.members,
      timeoutMs: this.timeoutMs,
      retries,
      isMissing: failover === 'miss',
      known: () => (this.isKnown ? undefined : this.ready()),
    }
    if (replicas === 1) return new OneCopy(terms)
    return new Copies({ ...terms, copies: replicas, signal: this.closing.signal })
  }

  private follow(source: Discovery): () => void {
    return source.watch({
      change: servers => {
        if (servers.length > 0) this.setMembers(servers)
      },
      fail: error => this.options.onDiscoveryError?.(error),
    })
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

  private itemOf<T>(hit: Hit, asBytes: boolean): Item<T> {
    const opened = this.codec.open(hit)
    const { flags, cas, ttlS } = opened
    return { value: this.valueOf<T>(opened, asBytes), flags, cas, ttlS: secondsLeft(ttlS) }
  }

  private valueOf<T>(opened: Hit, asBytes: boolean): T {
    return (asBytes ? opened.value : this.codec.valueOf(opened)) as T
  }

  private async onAll<T>(call: (node: PoolNode) => Promise<T>): Promise<T[]> {
    if (!this.isKnown) await this.ready()
    return Promise.all(this.members.all().map(member => this.members.on(member, call)))
  }
}

/** Whether there is an item that is more than a claim. */
function isValue(hit: Hit | undefined): hit is Hit {
  return hit !== undefined && !isClaim(hit.value.length, hit.flags, hit.isPending === true)
}

function isStored(stored: Stored): boolean {
  return stored === 'STORED'
}

function secondsLeft(ttlS: number | undefined): number | undefined {
  return ttlS === -1 ? Number.POSITIVE_INFINITY : ttlS
}

function nodeOf(address: ServerAddress, options: ClusterOptions): PoolNode {
  return options.driver === 'memjs'
    ? new MemjsNode(address, options)
    : new MetaNode(address, options)
}
