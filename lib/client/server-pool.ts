// The servers of a pool as a whole: who they are, how they are found and asked, and the end. The
// calls on keys are in cluster.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { type InspectOptions, inspect } from 'node:util'
import { checkOptions, delayOf, numberOption, refuse, TIMER_MS_MAX } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import type { FlushOptions } from '../doors/types.ts'
import {
  type CheckedOptions,
  type ClusterOptions,
  checkClusterOptions,
  isDiscovery,
  type Servers,
} from './cluster-options.ts'
import { Copies } from './copies/copies.ts'
import { Hedge } from './copies/hedge.ts'
import { Hedged } from './copies/hedged.ts'
import type { Keyed } from './copies/keyed.ts'
import { Observed } from './copies/observed.ts'
import { OneCopy } from './copies/one-copy.ts'
import type { Discovery } from './discovery/source.ts'
import { loopClock } from './loop-clock.ts'
import { Health } from './members/health.ts'
import { Members } from './members/members.ts'
import { parseServer } from './members/servers.ts'
import type { ServerAddress } from './nodes/connection.ts'
import { keysOf } from './nodes/key-dump.ts'
import { MemjsNode } from './nodes/memjs-node.ts'
import { MetaNode } from './nodes/meta-node.ts'
import { checkKey, type PoolNode } from './nodes/node.ts'
import type { RingNode } from './ring/ring.ts'

/** How often a closing pool looks whether calls are still in flight. */
const CLOSE_LOOK_MS = 5

export interface CloseOptions {
  /** How long calls in flight may go on, ms. Default 0: they reject at once. */
  graceMs?: number | undefined
}

export class ServerPool {
  protected readonly options: CheckedOptions
  protected readonly keyed: Keyed
  private readonly timeoutMs: number
  private readonly members: Members
  /** Settled when the servers are known, or never will be. */
  private readonly known = Promise.withResolvers<void>()
  private isKnown = false
  private isClosing = false
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
    const { failures, restMs } = checked
    this.options = checked
    this.timeoutMs = checked.timeoutMs
    this.members = new Members([], {
      ...checked,
      createNode: ({ host, port }) => nodeOf({ host, port }, checked),
      createHealth: name => new Health(failures, restMs, name),
      probeMs: this.timeoutMs,
    })
    this.keyed = new Observed(this.keyedBy(checked))
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
    tell(this.options.onServers, this.servers())
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

  /**
   * The keys that are stored, each from the server that owns it, or from another while that is
   * away. A key that is stored or deleted meanwhile comes once, more often or not at all. Rejects
   * if a server does not answer. Servers list their keys by `lru_crawler metadump`.
   */
  async *keys(): AsyncGenerator<string, void> {
    if (!this.isKnown) await this.ready()
    for (const { node } of this.members.all()) {
      for await (const key of keysOf(parseServer(node.name), this.options)) {
        const owner = key === '' ? undefined : this.members.ownerOf(key)
        if (owner !== undefined && (owner.node === node || !owner.health.isUp())) yield key
      }
    }
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

  /**
   * Closes all connections; calls from now on reject with CLOSED. Calls in flight do so too, or
   * have up to `graceMs` to end, before that.
   */
  async close(options?: CloseOptions): Promise<void> {
    checkOptions(options, ['graceMs'])
    const graceMs = numberOption(options ?? {}, 'graceMs', 0, [0, TIMER_MS_MAX])
    this.isClosing = true
    this.stopDiscovery()
    const untilMs = performance.now() + graceMs
    while (graceMs > 0 && this.members.isBusy() && performance.now() < untilMs) {
      await sleep(CLOSE_LOOK_MS)
    }
    this.closing.abort()
    this.known.reject(new CacheError('CLOSED', 'the client was closed'))
    this.members.close()
  }

  /** Closes it once the calls in flight have ended, which takes `timeoutMs` at most. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ graceMs: this.timeoutMs })
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

  /** That of a call which begins now. */
  protected deadline(): number {
    return loopClock.nowMs() + this.timeoutMs
  }

  private keyedBy({ retries, failover, replicas, hedge: hedging }: CheckedOptions): Keyed {
    const terms = {
      members: this.members,
      timeoutMs: this.timeoutMs,
      retries,
      isMissing: failover === 'miss',
      signal: this.closing.signal,
      known: () => this.begin(),
    }
    if (replicas === 1) return new OneCopy(terms)
    const hedge = hedging && new Hedge(hedging)
    const copies = new Copies({ ...terms, copies: replicas, hedge })
    return hedge === undefined ? copies : new Hedged(copies, hedge)
  }

  /** At the start of each call. CLOSED: no more of them. Undefined: the servers are known. */
  private begin(): Promise<void> | undefined {
    if (this.isClosing) throw new CacheError('CLOSED', 'the client was closed')
    return this.isKnown ? undefined : this.ready()
  }

  private follow(source: Discovery): () => void {
    return source.watch({
      change: servers => {
        if (servers.length > 0) this.setMembers(servers)
      },
      fail: error => tell(this.options.onDiscoveryError, error),
    })
  }

  private async onAll<T>(call: (node: PoolNode) => Promise<T>): Promise<T[]> {
    await this.begin()
    return Promise.all(this.members.all().map(member => this.members.on(member, call)))
  }
}

function nodeOf(address: ServerAddress, options: ClusterOptions): PoolNode {
  return options.driver === 'memjs'
    ? new MemjsNode(address, options)
    : new MetaNode(address, options)
}

/** Calls what the application gave. Its errors are its own: they become warnings of the process. */
function tell<T>(callback: ((value: T) => unknown) | undefined, value: T): void {
  const warn = (error: unknown) => {
    const words = error instanceof Error ? error.message : String(error)
    process.emitWarning(`a callback of the cache pool failed: ${words}`)
  }
  try {
    Promise.resolve(callback?.(value)).catch(warn)
  } catch (error) {
    warn(error)
  }
}
