// An application's load on a pool: gets of keys in no order, and after a miss a set of what the
// application has; now and then a new version of one. It counts hits, and hits of a version older
// than what was stored before the get began.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterClient } from '../../lib/client/cluster.ts'

export interface Tally {
  gets: number
  hits: number
  stale: number
}

export interface LoadOptions {
  keys: number
  /** Share of requests that store a new version. */
  writeShare: number
  valueBytes: number
  /** Requests at the same time. */
  atOnce: number
  random: () => number
}

export class PoolLoad {
  private readonly client: ClusterClient
  private readonly options: LoadOptions
  /** By key: the version that the application has, and the one whose set is acknowledged. */
  private readonly versions: Uint32Array
  private readonly stored: Uint32Array
  private tally: Tally = { gets: 0, hits: 0, stale: 0 }

  constructor(client: ClusterClient, options: LoadOptions) {
    this.client = client
    this.options = options
    this.versions = new Uint32Array(options.keys).fill(1)
    this.stored = new Uint32Array(options.keys)
  }

  /** Stores all keys. */
  async fill(): Promise<void> {
    let next = 0
    await this.side(async () => {
      while (next < this.options.keys) await this.store(next++)
    })
  }

  /** So many requests. */
  async run(count: number): Promise<Tally> {
    let left = count
    await this.side(async () => {
      while (left-- > 0) await this.step()
    })
    return this.take()
  }

  /** Requests at this rate until the signal; what `take` gives grows meanwhile. */
  async runAt(perSecond: number, signal: AbortSignal): Promise<void> {
    const startedMs = performance.now()
    let begun = 0
    await this.side(async () => {
      while (!signal.aborted) {
        const dueMs = startedMs + (begun++ * 1000) / perSecond
        const aheadMs = dueMs - performance.now()
        if (aheadMs > 1) await sleep(aheadMs)
        await this.step()
      }
    })
  }

  /** What was counted since the last call. */
  take(): Tally {
    const { tally } = this
    this.tally = { gets: 0, hits: 0, stale: 0 }
    return tally
  }

  private async side(work: () => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: this.options.atOnce }, work))
  }

  private async step(): Promise<void> {
    const { keys, writeShare, random } = this.options
    const index = Math.floor(random() * keys)
    if (random() < writeShare) {
      this.versions[index]++
      return this.store(index)
    }
    const least = this.stored[index]
    const hit = await this.client.get(nameOf(index))
    this.tally.gets++
    if (hit === undefined) return this.store(index)
    this.tally.hits++
    if (hit.flags < least) this.tally.stale++
  }

  /** The version stands in the flags. */
  private async store(index: number): Promise<void> {
    const version = this.versions[index]
    const value = Buffer.alloc(this.options.valueBytes, index)
    await this.client.set(nameOf(index), value, { flags: version, ttlS: 3600 })
    this.stored[index] = Math.max(this.stored[index], version)
  }
}

function nameOf(index: number): string {
  return `item:${index}`
}
