// The pool client: many servers, memslab or memcached, as one cache. The ring says which server owns a
// key; a server that does not answer is ejected, and its keys fall to the next on the ring or miss,
// as configured, until it answers again.
//
//   const pool = new ClusterClient(['10.0.0.1:11211', '10.0.0.2:11211'], { timeoutMs: 200 })
//   await pool.set('user:1', Buffer.from('...'), { ttlS: 60 })
//   const hit = await pool.get('user:1')

import { setTimeout as sleep } from 'node:timers/promises'
import {
  CLIENT_FAILURES,
  CLIENT_REST_MS,
  CLIENT_RETRIES_MAX,
  CLIENT_TIMEOUT_MS,
} from '../limits.ts'
import type { ConnectionOptions } from './connection.ts'
import { ClientError } from './errors.ts'
import { Health } from './health.ts'
import { checkKey, type Hit, MetaNode, type PoolNode, type Stored, type StoreMode } from './node.ts'
import { createRing, type Ring, type RingNode, type RingOptions, successorsOf } from './ring.ts'

export interface ClusterOptions extends RingOptions, ConnectionOptions {
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
}

export interface SetOptions {
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; 0, the default: for ever. */
  ttlS?: number
  /** Kept with the value: unsigned 32 bits. Default 0. */
  flags?: number
}

interface Member {
  node: PoolNode
  health: Health
  isProbed: boolean
}

export class ClusterClient {
  private readonly options: ClusterOptions
  private readonly timeoutMs: number
  private readonly members: Member[]
  private readonly ring: Ring
  private readonly closing = new AbortController()
  /** All requests on a connection that broke have one error, which is one failure. */
  private readonly counted = new WeakSet<ClientError>()

  /** `servers`: `host:port`, `host:port:weight`, `[ipv6]:port`, a path, or the parts of these. */
  constructor(servers: readonly (string | RingNode)[], options: ClusterOptions = {}) {
    const nodes = servers.map(server => (typeof server === 'string' ? parseServer(server) : server))
    const { failures = CLIENT_FAILURES, restMs = CLIENT_REST_MS } = options
    this.options = options
    this.timeoutMs = options.timeoutMs ?? CLIENT_TIMEOUT_MS
    this.ring = createRing(nodes, options)
    this.members = nodes.map(({ host, port }) => ({
      node: new MetaNode({ host, port }, options),
      health: new Health(failures, restMs),
      isProbed: false,
    }))
  }

  /** The item, or undefined. */
  get(key: string): Promise<Hit | undefined> {
    return this.run(key, true, undefined, (node, ms) => node.get(key, ms))
  }

  /** The item, or undefined; it ends `ttlS` from now, as SetOptions has it. */
  getAndTouch(key: string, ttlS: number): Promise<Hit | undefined> {
    return this.run(key, true, undefined, (node, ms) => node.get(key, ms, ttlS))
  }

  /**
   * The items there are, each server asked once for all its keys. One that is away, refuses or is busy
   * has none; rejects for KEY, AUTH and CLOSED alone.
   */
  async getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    for (const key of keys) checkKey(key)
    const found = new Map<string, Hit>()
    const deadlineMs = performance.now() + this.timeoutMs
    let left: readonly string[] = [...new Set(keys)]
    for (let tries = 0; tries <= this.retries() && left.length > 0; tries++) {
      const missed: string[] = []
      const ask = async ([member, group]: [Member, string[]]) => {
        const ms = deadlineMs - performance.now()
        try {
          for (const [key, hit] of await this.on(member, node => node.getMany(group, ms))) {
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

  /** Deletes; whether there was such an item. CONNECTION or TIMEOUT: it may be gone, or not. */
  async delete(key: string): Promise<boolean> {
    return (await this.run(key, false, false, (node, ms) => node.delete(key, ms))) === true
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
    const [owner] = successorsOf(this.ring, key, 1)
    return owner === undefined ? undefined : this.members[owner].node.name
  }

  /** The servers that are ejected now. */
  away(): string[] {
    return this.members.filter(({ health }) => !health.isUp()).map(({ node }) => node.name)
  }

  /** Ends all connections; what waits for an answer is told CLOSED. */
  close(): void {
    this.closing.abort()
    for (const { node } of this.members) node.close()
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
    for (let tries = 0; ; tries++) {
      const member = this.memberOf(key)
      if (member === undefined && this.options.failover === 'miss') return away
      if (member === undefined) throw new ClientError('CONNECTION', 'no server of the pool answers')
      try {
        return await this.on(member, node => call(node, deadlineMs - performance.now()))
      } catch (error) {
        const isOver = performance.now() >= deadlineMs || tries >= this.retries()
        if (!isAway(error) || !isRepeatable || isOver) throw error
      }
    }
  }

  /** Asks one server, and keeps the account of its health. */
  private async on<T>(member: Member, call: (node: PoolNode) => Promise<T>): Promise<T> {
    const { node, health } = member
    try {
      const answer = await call(node)
      health.succeed(performance.now())
      return answer
    } catch (error) {
      if (isAway(error) && !this.counted.has(error)) {
        this.counted.add(error)
        if (health.fail(performance.now())) void this.probe(member)
      }
      throw error
    }
  }

  private onAll<T>(call: (node: PoolNode) => Promise<T>): Promise<T[]> {
    return Promise.all(this.members.map(member => this.on(member, call)))
  }

  /** The server to ask for a key: its owner, or the next that is up; undefined: they are out. */
  private memberOf(key: string): Member | undefined {
    const { failover = 'next' } = this.options
    const count = failover === 'next' ? this.members.length : 1
    const successors = successorsOf(this.ring, key, count)
    if (successors.length === 0) throw new ClientError('CONNECTION', 'the pool has no servers')
    const up = successors.find(index => this.members[index].health.isUp())
    return up === undefined ? undefined : this.members[up]
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

  /** Asks an ejected server from time to time until it answers. One loop a server. */
  private async probe(member: Member): Promise<void> {
    const { node, health } = member
    const { signal } = this.closing
    if (member.isProbed) return
    member.isProbed = true
    while (!health.isUp() && !signal.aborted) {
      await sleep(health.rest(), undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      await node.probe(this.timeoutMs).then(
        () => health.succeed(performance.now()),
        () => health.fail(performance.now()),
      )
    }
    member.isProbed = false
  }

  private retries(): number {
    return Math.min(this.options.retries ?? 1, CLIENT_RETRIES_MAX)
  }
}

/** `host:port`, `host:port:weight`, `[ipv6]:port`, or the path of a UNIX socket. */
export function parseServer(text: string): RingNode {
  if (text.startsWith('/')) return { host: text }
  const [, bracketed, plain, port, weight] = SERVER.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) throw new RangeError(`not a server: ${text}`)
  const node: RingNode = { host, port: port === undefined ? MEMCACHED_PORT : Number(port) }
  return weight === undefined ? node : { ...node, weight: Number(weight) }
}

const SERVER = /^(?:\[([^\]]+)\]|([^:\s[\]]+))(?::(\d{1,5})(?::(\d+))?)?$/
const MEMCACHED_PORT = 11211

/** Whether an error says that the server could not be asked, rather than what it answered. */
function isAway(error: unknown): error is ClientError {
  return error instanceof ClientError && AWAY_CODES.has(error.code)
}

const AWAY_CODES = new Set(['TIMEOUT', 'CONNECTION', 'PROTOCOL'])

/** Whether an error says that the server, or its connection, would not take the request. */
function isRefusal(error: unknown): boolean {
  return error instanceof ClientError && (error.code === 'SERVER' || error.code === 'BUSY')
}
