// The pool client: many servers, memslab or memcached, as one cache. The ring says which server owns a
// key; a server that does not answer is ejected, and its keys fall to the next on the ring or miss,
// as configured, until it answers again.
//
//   const pool = new ClusterClient(['10.0.0.1:11211', '10.0.0.2:11211'], { timeoutMs: 200 })
//   await pool.set('user:1', Buffer.from('...'), { ttlS: 60 })
//   const hit = await pool.get('user:1')
//
// Which servers there are may change while it runs: members.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { Copies } from './copies/copies.ts'
import type { Keyed } from './copies/keyed.ts'
import { OneCopy } from './copies/one-copy.ts'
import type { Discovery } from './discovery/source.ts'
import { ClientError } from './errors.ts'
import { CLIENT_FAILURES, CLIENT_REST_MS, CLIENT_WARMUP_MS } from './limits.ts'
import { Health } from './members/health.ts'
import { Members } from './members/members.ts'
import { parseServer } from './members/servers.ts'
import type { ConnectionOptions, ServerAddress } from './nodes/connection.ts'
import { MemjsNode } from './nodes/memjs-node.ts'
import { MetaNode } from './nodes/meta-node.ts'
import {
  checkKey,
  type Hit,
  type Lease,
  type LeaseOptions,
  type PoolNode,
  type Stored,
  type StoreMode,
} from './nodes/node.ts'
import type { RingNode, RingOptions } from './ring/ring.ts'
import { Codec, type CodecOptions } from './values/codec.ts'

/** Copies of a value that a pool may keep. */
const COPIES_MAX = 8

/** What a pool's client waits for an answer by default, and how often it tries again at most. */
const CLIENT_TIMEOUT_MS = 500
const CLIENT_RETRIES_MAX = 10

export interface ClusterOptions extends RingOptions, ConnectionOptions, CodecOptions {
  /**
   * How servers are spoken to: `meta`, the default, over memcached's meta commands (memcached 1.6 and
   * memslab); `memjs` over the binary protocol, for servers that want SASL, without TLS and UNIX
   * sockets.
   */
  driver?: 'meta' | 'memjs'
  /** The longest that any call waits for its answer, ms. Default 500. */
  timeoutMs?: number
  /**
   * How often a request whose connection broke is sent again before its deadline, if that changes
   * nothing: gets, touches, and sets without a CAS. Default 1.
   */
  retries?: number
  /** Failures in a row after which a server is ejected. Default 3. */
  failures?: number
  /** How long an ejected server rests before it is probed, ms; doubles while it flaps. Default 1000. */
  restMs?: number
  /**
   * What becomes of the keys of an ejected server: `next` asks the next server on the ring, `miss`
   * answers as if there were none. Default next.
   */
  failover?: 'next' | 'miss'
  /**
   * How long after a change of servers what is not on its new owner is fetched from the owner before,
   * ms; 0: never. Default 60,000.
   */
  warmupMs?: number
  /**
   * On how many servers each value is kept: the owner and those that follow on the ring. Default 1.
   * With more, a server that dies takes nothing with it, and `failover` says what becomes of keys all
   * of whose servers are away: `miss`, or else CONNECTION.
   */
  replicas?: number
  /** Told the names of all servers when they are known, and when they changed. */
  onServers?: (names: string[]) => void
  /** Told why servers could not be looked up; those known before stay. */
  onDiscoveryError?: (error: Error) => void
}

export interface SetOptions {
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; 0, the default: for ever. */
  ttlS?: number
  /**
   * Client flags of a string or of bytes, unsigned 32 bits; default: what tells the kind of value
   * (ValueFlags). Those of other values are the serializer's.
   */
  flags?: number
}

export class ClusterClient {
  private readonly options: ClusterOptions
  private readonly timeoutMs: number
  private readonly members: Members
  private readonly codec: Codec
  private readonly keyed: Keyed
  /** Settled when it is known which servers there are, or never will be. */
  private readonly known = Promise.withResolvers<void>()
  private isKnown = false
  /** Ends what goes on in the background. */
  private readonly closing = new AbortController()
  private readonly stopDiscovery: () => void

  /**
   * `servers`: `host:port`, `host:port:weight`, `[ipv6]:port`, a path, or the parts of these; or a
   * source that tells of them, and of each change. Until it told of the first, requests wait.
   */
  constructor(servers: readonly (string | RingNode)[] | Discovery, options: ClusterOptions = {}) {
    const { failures = CLIENT_FAILURES, restMs = CLIENT_REST_MS } = options
    this.options = options
    this.timeoutMs = options.timeoutMs ?? CLIENT_TIMEOUT_MS
    this.members = new Members([], {
      ...options,
      createNode: ({ host, port }) => nodeOf({ host, port }, options),
      createHealth: () => new Health(failures, restMs),
      probeMs: this.timeoutMs,
      warmupMs: options.warmupMs ?? CLIENT_WARMUP_MS,
    })
    this.codec = new Codec(options)
    this.keyed = this.keyedBy(options)
    this.known.promise.catch(() => {})
    this.stopDiscovery = 'watch' in servers ? this.follow(servers) : () => {}
    if (!('watch' in servers)) this.setMembers(servers)
  }

  /**
   * These are the servers from now on. Requests on their way end where they are, servers that stay
   * keep their connections, and those of servers that left are closed once they are idle.
   */
  setMembers(servers: readonly (string | RingNode)[]): void {
    const nodes = servers.map(server => (typeof server === 'string' ? parseServer(server) : server))
    this.members.set(nodes)
    this.isKnown = true
    this.known.resolve()
    this.options.onServers?.(this.servers())
  }

  /** The names of all servers, those that are away among them. */
  servers(): string[] {
    return this.members.all().map(({ node }) => node.name)
  }

  /** Resolves when it is known which servers there are. TIMEOUT: not within `timeoutMs`. */
  async ready(timeoutMs = this.timeoutMs): Promise<void> {
    if (this.isKnown) return
    const timer = new AbortController()
    const late = sleep(timeoutMs, undefined, timer).then(() => {
      throw new ClientError('TIMEOUT', 'no servers were found in time')
    })
    await Promise.race([this.known.promise, late]).finally(() => timer.abort())
  }

  /** The item, or undefined. */
  async get(key: string): Promise<Hit | undefined> {
    checkKey(key)
    return this.open(await this.keyed.get(key))
  }

  /** What was stored, or undefined: text as a string, bytes as a Buffer, the rest by the serializer. */
  async getValue<T = unknown>(key: string): Promise<T | undefined> {
    const hit = await this.get(key)
    return hit && this.codec.valueOf<T>(hit)
  }

  /** The item, or undefined; it ends `ttlS` from now, as SetOptions has it. */
  async getAndTouch(key: string, ttlS: number): Promise<Hit | undefined> {
    checkKey(key)
    return this.open(await this.keyed.get(key, ttlS))
  }

  /** As `get`: the name that both doors have for an item with its flags and CAS. */
  gets(key: string): Promise<Hit | undefined> {
    return this.get(key)
  }

  /**
   * The item, or a claim where there is none, so that of all clients a single one makes its value: the
   * one that is told `won`. It stores with `cas` and the version it was given. Undefined where no claim
   * can be had: the servers are away and keys miss, or they are asked in a way that knows no claims.
   */
  async lease(key: string, options: LeaseOptions): Promise<Lease | undefined> {
    checkKey(key)
    return this.open(await this.keyed.lease(key, options))
  }

  /**
   * Keeps a value and lets the next `lease` win it, if the item is still this version: after a value
   * that could not be made anew, or to have one made anew while the old one is served.
   */
  async expire(key: string, cas: bigint): Promise<boolean> {
    checkKey(key)
    return this.keyed.expire(key, cas)
  }

  /**
   * The items there are, each server asked once for all its keys. One that is away, refuses or is busy
   * has none, and what is damaged is none; rejects for KEY, AUTH and CLOSED alone.
   */
  async getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    for (const key of keys) checkKey(key)
    return this.each(await this.keyed.getMany(keys), hit => this.codec.open(hit))
  }

  /** The values there are, by key, each as `getValue` has it; those that cannot be read are none. */
  async getManyValues<T = unknown>(keys: readonly string[]): Promise<Map<string, T>> {
    return this.each(await this.getMany(keys), hit => this.codec.valueOf<T>(hit))
  }

  /**
   * Strings and bytes are stored as they are, the rest goes through the serializer, and rejects with
   * what that throws. SERVER: the value is too long, or finds no memory.
   */
  set(key: string, value: unknown, options?: SetOptions): Promise<Stored> {
    return this.store('set', key, value, options)
  }

  /** NOT_STORED where there is such an item. */
  add(key: string, value: unknown, options?: SetOptions): Promise<Stored> {
    return this.store('add', key, value, options)
  }

  /** NOT_STORED where there is no such item. */
  replace(key: string, value: unknown, options?: SetOptions): Promise<Stored> {
    return this.store('replace', key, value, options)
  }

  /** Puts bytes behind the value there is; flags and end stay. VALUE where values are compressed. */
  append(key: string, value: Uint8Array | string): Promise<Stored> {
    return this.join('append', key, value)
  }

  /** Puts bytes before the value there is; flags and end stay. VALUE where values are compressed. */
  prepend(key: string, value: Uint8Array | string): Promise<Stored> {
    return this.join('prepend', key, value)
  }

  /** Stores if the item is still the version that a hit named: else EXISTS, or NOT_FOUND. */
  cas(key: string, value: unknown, cas: bigint, options?: SetOptions): Promise<Stored> {
    return this.store('set', key, value, options, cas)
  }

  /**
   * Deletes, if the item is still the version `cas` where that is given; whether it did. CONNECTION or
   * TIMEOUT: it may be gone, or not.
   */
  async delete(key: string, cas?: bigint): Promise<boolean> {
    checkKey(key)
    return this.keyed.delete(key, cas)
  }

  /** Moves the item's end to `ttlS` from now; whether there is such an item. */
  async touch(key: string, ttlS: number): Promise<boolean> {
    checkKey(key)
    return this.keyed.touch(key, ttlS)
  }

  /**
   * Adds to a decimal number of 64 bits, wrapping. Where there is none: undefined, or `initial`,
   * which is stored for `ttlS`.
   */
  incr(key: string, delta: bigint | number = 1, initial?: bigint | number, ttlS = 0) {
    return this.adjust(key, delta, false, initial, ttlS)
  }

  /** As `incr`, but subtracts, down to 0. */
  decr(key: string, delta: bigint | number = 1, initial?: bigint | number, ttlS = 0) {
    return this.adjust(key, delta, true, initial, ttlS)
  }

  /** Ends all items on all servers, `delayS` from now. Rejects if one did not answer. */
  async flush(delayS = 0): Promise<void> {
    const flush = (node: PoolNode) => node.flush(delayS, this.timeoutMs)
    const leaving = this.members
      .leaving()
      .map(member => this.members.on(member, flush).catch(() => this.members.giveUp(member)))
    await Promise.all([this.onAll(flush), ...leaving])
  }

  /** What each server calls its version, by name. Rejects if one did not answer. */
  async versions(): Promise<Map<string, string>> {
    return new Map(
      await this.onAll(async node => [node.name, await node.version(this.timeoutMs)] as const),
    )
  }

  /** The statistics of each server, by name; `name`: as in `stats items`. RangeError for two lines. */
  async stats(name = ''): Promise<Map<string, Map<string, string>>> {
    if (/[\r\n]/.test(name)) throw new RangeError('a name of statistics is one line')
    return new Map(
      await this.onAll(async node => [node.name, await node.stats(name, this.timeoutMs)] as const),
    )
  }

  /** The server that owns a key, whether it is up or not. Undefined in an empty pool. */
  ownerOf(key: string): string | undefined {
    return this.members.ownerOf(key)?.node.name
  }

  /** The servers that are ejected now. */
  away(): string[] {
    const away = this.members.all().filter(({ health }) => !health.isUp())
    return away.map(({ node }) => node.name)
  }

  /** Ends all connections; what waits for an answer is told CLOSED. */
  close(): void {
    this.stopDiscovery()
    this.closing.abort()
    this.known.reject(new ClientError('CLOSED', 'the client was closed'))
    this.members.close()
  }

  private keyedBy({ retries = 1, failover, replicas = 1 }: ClusterOptions): Keyed {
    if (!Number.isInteger(replicas) || replicas < 1 || replicas > COPIES_MAX) {
      throw new RangeError(`replicas: a whole number from 1 to ${COPIES_MAX}`)
    }
    const terms = {
      members: this.members,
      timeoutMs: this.timeoutMs,
      retries: Math.min(retries, CLIENT_RETRIES_MAX),
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
    { ttlS = 0, flags }: SetOptions = {},
    cas?: bigint,
  ): Promise<Stored> {
    checkKey(key)
    const encoded = this.codec.encode(value, flags)
    const request = { mode, key, value: encoded.bytes, flags: encoded.flags, ttlS, cas }
    return this.keyed.store(request)
  }

  private async join(
    mode: 'append' | 'prepend',
    key: string,
    piece: Uint8Array | string,
  ): Promise<Stored> {
    checkKey(key)
    const value = this.codec.encodePiece(piece)
    return this.keyed.store({ mode, key, value, flags: 0, ttlS: 0, cas: undefined })
  }

  private async adjust(
    key: string,
    delta: bigint | number,
    subtract: boolean,
    initial: bigint | number | undefined,
    ttlS: number,
  ): Promise<bigint | undefined> {
    checkKey(key)
    const start = initial === undefined ? undefined : BigInt(initial)
    return this.keyed.adjust({ key, delta: BigInt(delta), subtract, initial: start, ttlS })
  }

  private open<H extends Hit>(hit: H | undefined): H | undefined {
    return hit && this.codec.open(hit)
  }

  /** What can be made of hits. */
  private each<T>(hits: Map<string, Hit>, make: (hit: Hit) => T): Map<string, T> {
    const made = new Map<string, T>()
    for (const [key, hit] of hits) {
      try {
        made.set(key, make(hit))
      } catch (error) {
        if (!(error instanceof ClientError && error.code === 'VALUE')) throw error
      }
    }
    return made
  }

  private async onAll<T>(call: (node: PoolNode) => Promise<T>): Promise<T[]> {
    if (!this.isKnown) await this.ready()
    return Promise.all(this.members.all().map(member => this.members.on(member, call)))
  }
}

function nodeOf(address: ServerAddress, options: ClusterOptions): PoolNode {
  return options.driver === 'memjs'
    ? new MemjsNode(address, options)
    : new MetaNode(address, options)
}
