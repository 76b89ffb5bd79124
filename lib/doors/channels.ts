// What pools and strategies do, for those who watch: channels of node:diagnostics_channel. Without
// a subscriber nothing is measured and no message is made. A message is for reading only.
//
//   subscribe('memslab:pool:call', message => ...)       PoolCall: one call on keys of a pool
//   subscribe('memslab:pool:server', message => ...)     ServerChange: ejected, or back
//   subscribe('memslab:pool:journal', message => ...)    JournalChange: a copy went out of date
//   subscribe('memslab:pool:hedge', message => ...)      PoolHedge: a second server was asked
//   subscribe('memslab:tier:read', message => ...)       TierRead: keys were asked for in two tiers
//   subscribe('memslab:strategy:read', message => ...)   StrategyRead: a value was asked for
//   subscribe('memslab:strategy:load', message => ...)   StrategyLoad: a loader has ended
//   subscribe('memslab:strategy:error', message => ...)  StrategyError: what `onError` gets

import { channel } from 'node:diagnostics_channel'

export interface PoolCall {
  /** `get`, `getMany`, `store`, `delete`, `touch`, `adjust`, `lease` or `expire`. */
  call: string
  /**
   * Reads: `hit` or `miss`. Others: `done`, or `refused` if there was no such item or its condition
   * did not hold. `error`: it rejected.
   */
  outcome: 'hit' | 'miss' | 'done' | 'refused' | 'error'
  /** Keys that were asked for, and those that had a value. */
  keys: number
  hits: number
  /** From the call to its answer. */
  ms: number
  /** What it rejected with, usually a CacheError. */
  error: unknown
}

export interface ServerChange {
  /** `host:port`, or the path of a UNIX socket. */
  server: string
  /** False: it was ejected. True: it answered again. */
  isUp: boolean
}

export interface JournalChange {
  /** The server whose copy it is. */
  server: string
  /** Undefined: copies that cannot be listed, those of an epoch. */
  key: string | undefined
  /** True: the copy is out of date and is not read. False: it was removed or replaced. */
  isStale: boolean
}

export interface PoolHedge {
  /** The server that was late, and those that were asked instead of it. */
  slow: string
  servers: readonly string[]
  /** How many keys were asked for. */
  keys: number
  /** After which time, ms. */
  afterMs: number
  /**
   * `won`: the others gave all values first. `lost`: the first server answered or failed first.
   * `refused`: nobody was asked, because the share of the reads was used up.
   */
  outcome: 'won' | 'lost' | 'refused'
}

export interface TierRead {
  /** Keys that were asked for, and those found in process. */
  keys: number
  nearHits: number
  /** Whether near copies were used: the log of changes was read in time. */
  isFresh: boolean
}

export interface StrategyRead {
  key: string
  /** `stale`: a hit that is loaded anew in the background. */
  outcome: 'hit' | 'stale' | 'miss'
}

export interface StrategyLoad {
  key: string
  ms: number
  /** What the loader rejected with, or DEADLINE; undefined: it gave a value. */
  error: unknown
}

export interface StrategyError {
  key: string
  error: unknown
}

export const POOL_CALLS = channel('memslab:pool:call')
export const SERVER_CHANGES = channel('memslab:pool:server')
export const JOURNAL_CHANGES = channel('memslab:pool:journal')
export const POOL_HEDGES = channel('memslab:pool:hedge')
export const TIER_READS = channel('memslab:tier:read')
export const STRATEGY_READS = channel('memslab:strategy:read')
export const STRATEGY_LOADS = channel('memslab:strategy:load')
export const STRATEGY_ERRORS = channel('memslab:strategy:error')
