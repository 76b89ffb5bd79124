// An application's load on a pool: gets of random keys, a set after each miss, and sets of new
// versions at a given share. It counts hits, and stale hits: those of a version older than the one
// that was stored before the get began.

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
  /** Requests in flight. */
  inFlight: number
  random: () => number
}

export class PoolLoad {
  private readonly client: ClusterClient
  private readonly options: LoadOptions
  /** By key: the application's version, and the newest version whose set was acknowledged. */
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
    await this.inParallel(async () => {
      while (next < this.options.keys) await this.store(next++)
    })
  }

  /** Sends `count` requests and returns what came of them. */
  async run(count: number): Promise<Tally> {
    let left = count
    await this.inParallel(async () => {
      while (left-- > 0) await this.step()
    })
    return this.take()
  }

  /** Sends requests at this rate until the signal. `take` returns the counts meanwhile. */
  async runAt(perSecond: number, signal: AbortSignal): Promise<void> {
    const startedMs = performance.now()
    let begun = 0
    await this.inParallel(async () => {
      while (!signal.aborted) {
        const dueMs = startedMs + (begun++ * 1000) / perSecond
        const aheadMs = dueMs - performance.now()
        if (aheadMs > 1) await sleep(aheadMs)
        await this.step()
      }
    })
  }

  /** The counts since the last call. */
  take(): Tally {
    const { tally } = this
    this.tally = { gets: 0, hits: 0, stale: 0 }
    return tally
  }

  private async inParallel(work: () => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: this.options.inFlight }, work))
  }

  private async step(): Promise<void> {
    const { keys, writeShare, random } = this.options
    const index = Math.floor(random() * keys)
    if (random() < writeShare) {
      this.versions[index]++
      return this.store(index)
    }
    const least = this.stored[index]
    const hit = await this.client.getItem(nameOf(index), { as: 'bytes' })
    this.tally.gets++
    if (hit === undefined) return this.store(index)
    this.tally.hits++
    if (hit.flags < least) this.tally.stale++
  }

  /** The flags carry the version. */
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
