/** The main thread's side of threads.test.ts: starts, watches and ends its threads. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { lockHolder } from '../../lib/engine/arena/lock.ts'
import { Cache, type CacheHandle, type CacheOptions } from '../../lib/engine/cache.ts'
import { Peer } from './engine-peer.ts'

const ENTRY = new URL('./engine-thread.ts', import.meta.url)
/** The main thread's id as a holder. */
export const MAIN = 1
export const GATE = 1
const ADVANCE_MS_MAX = 5000

export interface ThreadOptions {
  handle: CacheHandle
  holder: number
  seed: number
  /** Operations; each step does one of them at random. */
  jobs: Job[]
  /** Steps before it ends by itself. */
  stepsMax: number
  /** Longest value, bytes. */
  valueBytesMax: number
  /** Word 0: not 0 to end; word GATE: not 0 to begin; word `holder`: steps done so far. */
  control: Int32Array
}

export type Job = 'adjust' | 'cas' | 'value' | 'hold' | 'upload' | 'remove' | 'append' | 'upkeep'

export interface ThreadReport {
  holder: number
  adjusted: number
  swapped: number
  /** The error, '' if none. */
  failure: string
}

/** The threads of one cache and what they share. */
export class Crew {
  readonly peer: Peer
  readonly control = new Int32Array(new SharedArrayBuffer(4 * 1024))
  readonly #jobs: Job[]
  readonly #stepsMax: number
  readonly #valueBytesMax: number
  readonly #seed: number
  readonly members = new Map<number, { worker: Worker; report: Promise<ThreadReport> }>()
  #nextHolder = MAIN + 1

  constructor(
    options: CacheOptions,
    jobs: Job[],
    stepsMax: number,
    valueBytesMax: number,
    seed: number,
  ) {
    this.peer = new Peer(Cache.create(options, MAIN))
    this.#jobs = jobs
    this.#stepsMax = stepsMax
    this.#valueBytesMax = valueBytesMax
    this.#seed = seed
  }

  async start(): Promise<number> {
    const holder = this.#nextHolder++
    const workerData: ThreadOptions = {
      handle: this.peer.cache.handle,
      holder,
      seed: this.#seed,
      jobs: this.#jobs,
      stepsMax: this.#stepsMax,
      valueBytesMax: this.#valueBytesMax,
      control: this.control,
    }
    // Without the test runner's loaders, which take a second to start in each thread.
    const worker = new Worker(ENTRY, { workerData, execArgv: [] })
    const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
    failed.catch(() => {})
    await Promise.race([once(worker, 'message'), failed])
    const report = once(worker, 'message').then(([report]) => report as ThreadReport)
    this.members.set(holder, { worker, report: Promise.race([report, failed]) })
    return holder
  }

  /** Terminates a thread wherever it is. Returns whether it held a lock. */
  async kill(holder: number): Promise<boolean> {
    const member = this.members.get(holder)
    this.members.delete(holder)
    await member?.worker.terminate()
    const { shards } = this.peer.cache
    return shards.some(({ arena }) => lockHolder(arena.words) === holder)
  }

  /** Lets the threads begin, also those that are started later. */
  go(): void {
    Atomics.store(this.control, GATE, 1)
    Atomics.notify(this.control, GATE)
  }

  stop(): void {
    Atomics.store(this.control, 0, 1)
  }

  reports(): Promise<ThreadReport[]> {
    return Promise.all([...this.members.values()].map(member => member.report))
  }

  /** Waits until every thread has done one more step; false if one does not. */
  async advances(): Promise<boolean> {
    const before = this.control.slice()
    const deadlineMs = performance.now() + ADVANCE_MS_MAX
    for (;;) {
      const steps = [...this.members.keys()].map(holder => Atomics.load(this.control, holder))
      const old = [...this.members.keys()].map(holder => before[holder])
      if (steps.every((step, i) => step > old[i])) return true
      if (performance.now() > deadlineMs) return false
      await sleep(2)
    }
  }
}
