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
import {
  CLIENT_FAILURES,
  CLIENT_REST_MS,
  CLIENT_RETRIES_MAX,
  CLIENT_TIMEOUT_MS,
} from '../limits.ts'
import type { ConnectionOptions, ServerAddress } from './connection.ts'
import type { Discovery } from './discovery/source.ts'
import { ClientError } from './errors.ts'
import { Health } from './health.ts'
import { isAway, type Member, Members } from './members.ts'
import { MemjsNode } from './memjs-node.ts'
import { MetaNode } from './meta-node.ts'
import {
  checkKey,
  type Hit,
  type Lease,
  type LeaseOptions,
  type PoolNode,
  type Stored,
  type StoreMode,
} from './node.ts'
import type { RingNode, RingOptions } from './ring.ts'
import { parseServer } from './servers.ts'

export interface ClusterOptions extends RingOptions, ConnectionOptions {
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
  /** Told the names of all servers when they are known, and when they changed. */
  onServers?: (names: string[]) => void
  /** Told why servers could not be looked up; those known before stay. */
  onDiscoveryError?: (error: Error) => void
}

export interface SetOptions {
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; 0, the default: for ever. */
  ttlS?: number
  /** Kept with the value: unsigned 32 bits. Default 0. */
  flags?: number
}

export class ClusterClient {
  private readonly options: ClusterOptions
  private readonly timeoutMs: number
  private readonly members: Members
  /** Settled when it is known which servers there are, or never will be. */
  private readonly known = Promise.withResolvers<void>()
  private isKnown = false
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
    })
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
  get(key: string): Promise<Hit | undefined> {
    return this.run(key, true, undefined, (node, ms) => node.get(key, ms))
  }

  /** The item, or undefined; it ends `ttlS` from now, as SetOptions has it. */
  getAndTouch(key: string, ttlS: number): Promise<Hit | undefined> {
    return this.run(key, true, undefined, (node, ms) => node.get(key, ms, ttlS))
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
  lease(key: string, options: LeaseOptions): Promise<Lease | undefined> {
    return this.run(key, false, undefined, async (node, ms) => {
      if (node.lease !== undefined) return node.lease(key, options, ms)
      const hit = await node.get(key, ms)
      return hit && { ...hit, won: false, isClaimed: false, isStale: false }
    })
  }

  /**
   * Keeps a value and lets the next `lease` win it, if the item is still this version: after a value
   * that could not be made anew, or to have one made anew while the old one is served.
   */
  expire(key: string, cas: bigint): Promise<boolean> {
    return this.run(key, false, false, async (node, ms) => {
      return node.expire === undefined ? false : node.expire(key, cas, ms)
    })
  }

  /**
   * The items there are, each server asked once for all its keys. One that is away, refuses or is busy
   * has none; rejects for KEY, AUTH and CLOSED alone.
   */
  async getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    for (const key of keys) checkKey(key)
    const found = new Map<string, Hit>()
    const deadlineMs = performance.now() + this.timeoutMs
    if (!this.isKnown) await this.ready()
    let left: readonly string[] = [...new Set(keys)]
    for (let tries = 0; tries <= this.retries() && left.length > 0; tries++) {
      const missed: string[] = []
      const ask = async ([member, group]: [Member, string[]]) => {
        const ms = deadlineMs - performance.now()
        try {
          for (const [key, hit] of await this.members.on(member, node => node.getMany(group, ms))) {
            found.set(key, hit)
          }
        } catch (error) {
          if (isAway(error)) for (const key of group) missed.push(key)
          else if (!isRefusal(error)) throw error
        }
      }
      await Promise.all([...this.group(left)].map(ask))
      left = performance.now() < deadlineMs ? missed : []
    }
    return found
  }

  set(key: string, value: Buffer | string, options?: SetOptions): Promise<Stored> {
    return this.store('set', key, value, options)
  }

  /** NOT_STORED where there is such an item. */
  add(key: string, value: Buffer | string, options?: SetOptions): Promise<Stored> {
    return this.store('add', key, value, options)
  }

  /** NOT_STORED where there is no such item. */
  replace(key: string, value: Buffer | string, options?: SetOptions): Promise<Stored> {
    return this.store('replace', key, value, options)
  }

  /** Puts bytes behind the value there is; flags and end stay. */
  append(key: string, value: Buffer | string): Promise<Stored> {
    return this.store('append', key, value)
  }

  /** Puts bytes before the value there is; flags and end stay. */
  prepend(key: string, value: Buffer | string): Promise<Stored> {
    return this.store('prepend', key, value)
  }

  /** Stores if the item is still the version that a hit named: else EXISTS, or NOT_FOUND. */
  cas(key: string, value: Buffer | string, cas: bigint, options?: SetOptions): Promise<Stored> {
    return this.store('set', key, value, options, cas)
  }

  /**
   * Deletes, if the item is still the version `cas` where that is given; whether it did. CONNECTION or
   * TIMEOUT: it may be gone, or not.
   */
  async delete(key: string, cas?: bigint): Promise<boolean> {
    return (await this.run(key, false, false, (node, ms) => node.delete(key, ms, cas))) === true
  }

  /** Moves the item's end to `ttlS` from now; whether there is such an item. */
  touch(key: string, ttlS: number): Promise<boolean> {
    return this.run(key, true, false, (node, ms) => node.touch(key, ttlS, ms))
  }

  /**
   * Adds to a decimal number of 64 bits, wrapping. Where there is none: undefined, or `initial`,
   * which is stored for `ttlS`.
   */
  incr(key: string, delta: bigint | number = 1, initial?: bigint, ttlS = 0) {
    return this.adjust(key, delta, false, initial, ttlS)
  }

  /** As `incr`, but subtracts, down to 0. */
  decr(key: string, delta: bigint | number = 1, initial?: bigint, ttlS = 0) {
    return this.adjust(key, delta, true, initial, ttlS)
  }

  /** Ends all items on all servers, `delayS` from now. Rejects if one did not answer. */
  async flush(delayS = 0): Promise<void> {
    await this.onAll(node => node.flush(delayS, this.timeoutMs))
  }

  /** What each server calls its version, by name. Rejects if one did not answer. */
  async versions(): Promise<Map<string, string>> {
    return new Map(
      await this.onAll(async node => [node.name, await node.version(this.timeoutMs)] as const),
    )
  }

  /** The statistics of each server, by name; `name`: as in `stats items`. */
  async stats(name = ''): Promise<Map<string, Map<string, string>>> {
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
    this.known.reject(new ClientError('CLOSED', 'the client was closed'))
    this.members.close()
  }

  private follow(source: Discovery): () => void {
    return source.watch({
      change: servers => {
        if (servers.length > 0) this.setMembers(servers)
      },
      fail: error => this.options.onDiscoveryError?.(error),
    })
  }

  private store(
    mode: StoreMode,
    key: string,
    value: Buffer | string,
    { ttlS = 0, flags = 0 }: SetOptions = {},
    cas?: bigint,
  ): Promise<Stored> {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    const request = { mode, key, value: bytes, flags, ttlS, cas }
    const isRepeatable = mode === 'set' && cas === undefined
    return this.run(key, isRepeatable, 'NOT_STORED', (node, ms) => node.store(request, ms))
  }

  private adjust(
    key: string,
    delta: bigint | number,
    subtract: boolean,
    initial: bigint | undefined,
    ttlS: number,
  ): Promise<bigint | undefined> {
    const request = { key, delta: BigInt(delta), subtract, initial, ttlS }
    return this.run(key, false, undefined, (node, ms) => node.adjust(request, ms))
  }

  /**
   * Asks the server of a key. A connection that breaks is tried again, on whoever has the key then,
   * if the request may be repeated. `away` is the answer where the key's server is out and its keys
   * are to miss.
   */
  private async run<T>(
    key: string,
    isRepeatable: boolean,
    away: T,
    call: (node: PoolNode, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    checkKey(key)
    const deadlineMs = performance.now() + this.timeoutMs
    if (!this.isKnown) await this.ready()
    for (let tries = 0; ; tries++) {
      const member = this.memberOf(key)
      if (member === undefined && this.options.failover === 'miss') return away
      if (member === undefined) throw new ClientError('CONNECTION', 'no server of the pool answers')
      try {
        return await this.members.on(member, node => call(node, deadlineMs - performance.now()))
      } catch (error) {
        const isOver = performance.now() >= deadlineMs || tries >= this.retries()
        if (!isAway(error) || !isRepeatable || isOver) throw error
      }
    }
  }

  private async onAll<T>(call: (node: PoolNode) => Promise<T>): Promise<T[]> {
    if (!this.isKnown) await this.ready()
    return Promise.all(this.members.all().map(member => this.members.on(member, call)))
  }

  /** The server to ask for a key: its owner, or the next that is up; undefined: they are out. */
  private memberOf(key: string): Member | undefined {
    const owner = this.members.ownerOf(key)
    if (owner === undefined) throw new ClientError('CONNECTION', 'the pool has no servers')
    if (owner.health.isUp()) return owner
    if (this.options.failover === 'miss') return undefined
    const successors = this.members.successors(key, this.members.count)
    return successors.find(({ health }) => health.isUp())
  }

  /** Keys by the server to ask for them; those that miss are left out. */
  private group(keys: readonly string[]): Map<Member, string[]> {
    const groups = new Map<Member, string[]>()
    for (const key of keys) {
      const member = this.memberOf(key)
      if (member === undefined) continue
      const group = groups.get(member)
      if (group === undefined) groups.set(member, [key])
      else group.push(key)
    }
    return groups
  }

  private retries(): number {
    return Math.min(this.options.retries ?? 1, CLIENT_RETRIES_MAX)
  }
}

function nodeOf(address: ServerAddress, options: ClusterOptions): PoolNode {
  return options.driver === 'memjs'
    ? new MemjsNode(address, options)
    : new MetaNode(address, options)
}

/** Whether an error says that the server, or its connection, would not take the request. */
function isRefusal(error: unknown): boolean {
  return error instanceof ClientError && (error.code === 'SERVER' || error.code === 'BUSY')
}
