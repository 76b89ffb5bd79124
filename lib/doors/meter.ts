// Counts what the channels say: for a page of numbers, or for a metrics library that polls. Of all
// pools and strategies of the process.
//
//   const meter = new CacheMeter()
//   setInterval(() => console.log(meter.read()), 10_000)

import type { Channel } from 'node:diagnostics_channel'
import {
  JOURNAL_CHANGES,
  type JournalChange,
  POOL_CALLS,
  POOL_HEDGES,
  type PoolCall,
  type PoolHedge,
  SERVER_CHANGES,
  type ServerChange,
  STRATEGY_ERRORS,
  STRATEGY_LOADS,
  STRATEGY_READS,
  type StrategyLoad,
  type StrategyRead,
  TIER_READS,
  type TierRead,
} from './channels.ts'
import { CacheError } from './errors.ts'

/** Upper bounds of the buckets of `latency`, ms; a last one takes the rest. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000,
]

/** Servers that are counted one by one; of more, those that changed first are forgotten. */
const SERVERS_MAX = 1000

export interface CallCounts {
  hit: number
  miss: number
  done: number
  refused: number
  error: number
  /** Calls by latency: for each bound, and for what took longer. Not cumulative. */
  latency: number[]
  /** Sum of all latencies, ms. */
  totalMs: number
}

export interface ServerCounts {
  isUp: boolean
  ejections: number
}

export interface MeterReading {
  /** By name of the call. */
  calls: Record<string, CallCounts>
  /** Keys that calls asked for, and those that had a value. */
  keys: number
  hits: number
  /** Calls that rejected, by the code of the CacheError; `other`: not one. */
  errors: Record<string, number>
  /** Servers that were ejected since the meter began. */
  servers: Record<string, ServerCounts>
  /** Copies on servers that became stale, and those removed or replaced; epochs that began. */
  journal: { stale: number; removed: number; epochs: number }
  /** Reads that asked a second server, those that this answered, those that were refused it. */
  hedges: { sent: number; won: number; refused: number }
  /** Keys asked for in two tiers, those found in process, and those while near was not used. */
  tiers: { keys: number; nearHits: number; keysWithoutNear: number }
  /** What strategies were asked for, what they loaded, and errors that they reported. */
  strategies: {
    hit: number
    stale: number
    miss: number
    loads: number
    failedLoads: number
    loadMs: number
    errors: number
  }
}

export class CacheMeter {
  private readonly calls = new Map<string, CallCounts>()
  private readonly errors = new Map<string, number>()
  private readonly servers = new Map<string, ServerCounts>()
  private readonly strategies = {
    ...{ hit: 0, stale: 0, miss: 0, loads: 0, failedLoads: 0, loadMs: 0, errors: 0 },
  }
  private readonly journal = { stale: 0, removed: 0, epochs: 0 }
  private readonly hedges = { sent: 0, won: 0, refused: 0 }
  private readonly tiers = { keys: 0, nearHits: 0, keysWithoutNear: 0 }
  private keys = 0
  private hits = 0
  private readonly subscriptions: readonly (readonly [Channel, (message: unknown) => void])[]

  /** Counts from now on. */
  constructor() {
    this.subscriptions = [
      [POOL_CALLS, message => this.countCall(message as PoolCall)],
      [SERVER_CHANGES, message => this.countChange(message as ServerChange)],
      [JOURNAL_CHANGES, message => this.countJournal(message as JournalChange)],
      [POOL_HEDGES, message => this.countHedge(message as PoolHedge)],
      [TIER_READS, message => this.countTier(message as TierRead)],
      [STRATEGY_READS, message => this.strategies[(message as StrategyRead).outcome]++],
      [STRATEGY_LOADS, message => this.countLoad(message as StrategyLoad)],
      [STRATEGY_ERRORS, () => this.strategies.errors++],
    ]
    for (const [channel, count] of this.subscriptions) channel.subscribe(count)
  }

  /** A copy of the counts. */
  read(): MeterReading {
    const { keys, hits, journal, hedges, tiers, strategies } = this
    const calls = Object.fromEntries(this.calls)
    const servers = Object.fromEntries(this.servers)
    const errors = Object.fromEntries(this.errors)
    const pools = { calls, keys, hits, errors, servers, journal, hedges }
    return structuredClone({ ...pools, tiers, strategies })
  }

  /** Counts no more: without another subscriber nothing is measured. */
  close(): void {
    for (const [channel, count] of this.subscriptions) channel.unsubscribe(count)
  }

  private countCall({ call, outcome, keys, hits, ms, error }: PoolCall): void {
    const counts = this.calls.get(call) ?? emptyCounts()
    this.calls.set(call, counts)
    counts[outcome]++
    counts.totalMs += ms
    const bucket = LATENCY_BOUNDS_MS.findIndex(bound => ms <= bound)
    counts.latency[bucket < 0 ? LATENCY_BOUNDS_MS.length : bucket]++
    this.keys += keys
    this.hits += hits
    if (outcome !== 'error') return
    const code = error instanceof CacheError ? error.code : 'other'
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
  }

  private countChange({ server, isUp }: ServerChange): void {
    const { ejections } = this.servers.get(server) ?? { ejections: 0 }
    this.servers.delete(server)
    this.servers.set(server, { isUp, ejections: ejections + (isUp ? 0 : 1) })
    const [oldest] = this.servers.keys()
    if (this.servers.size > SERVERS_MAX) this.servers.delete(oldest)
  }

  private countJournal({ key, isStale }: JournalChange): void {
    if (key === undefined) this.journal.epochs++
    else this.journal[isStale ? 'stale' : 'removed']++
  }

  private countHedge({ outcome }: PoolHedge): void {
    if (outcome === 'refused') this.hedges.refused++
    else this.hedges.sent++
    if (outcome === 'won') this.hedges.won++
  }

  private countTier({ keys, nearHits, isFresh }: TierRead): void {
    this.tiers.keys += keys
    this.tiers.nearHits += nearHits
    if (!isFresh) this.tiers.keysWithoutNear += keys
  }

  private countLoad({ ms, error }: StrategyLoad): void {
    this.strategies.loads++
    this.strategies.loadMs += ms
    if (error !== undefined) this.strategies.failedLoads++
  }
}

function emptyCounts(): CallCounts {
  const latency = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0)
  return { hit: 0, miss: 0, done: 0, refused: 0, error: 0, latency, totalMs: 0 }
}
