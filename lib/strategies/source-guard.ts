// Protects a source of values from its callers: at most so many loads at once, and while it fails
// only a share of its time. Several caches may share the guard of one source.
//
//   const guard = new SourceGuard({ loadsMax: 20, failuresMax: 5, share: 0.1 })
//   const users = new CacheAside(cache, { ttlS: 60, guard })
//   const pages = new CacheAside(cache, { ttlS: 600, guard })
//
//   closed ──`failuresMax` failures in a row──> open ──after a pause──> one load tries
//      ^                                         ^                        │
//      └──────────────── it succeeded ───────────┼────────────────────────┤
//                                                └────── it failed ───────┘
//
// The pause is so long that the failing loads take at most `share` of the time. A load that another
// one waits for takes no place of its own, so loads within loads cannot wait for each other.

import { AsyncLocalStorage } from 'node:async_hooks'
import { checkOptions, countOption, numberOption } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'

const LOADS_MAX = 100
const WAITING_MAX = 10_000
const SHARE = 0.1

/** Bounds of the pause while a source fails. */
const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 10_000

export interface GuardOptions {
  /** Loads at the same time. Default 100. */
  loadsMax?: number | undefined
  /** Loads that may wait for their turn; more are refused with BUSY. Default 10,000. */
  waitingMax?: number | undefined
  /** Failures in a row after which loads are refused with BUSY. Default: never. */
  failuresMax?: number | undefined
  /** Share of the time in which a failing source is asked, above 0, at most 1. Default 0.1. */
  share?: number | undefined
}

const NAMES = ['loadsMax', 'waitingMax', 'failuresMax', 'share']

/** A load that waits for its turn. */
interface Waiting {
  start(): void
}

export class SourceGuard {
  private readonly loadsMax: number
  private readonly waitingMax: number
  private readonly failuresMax: number
  private readonly share: number
  private readonly inside = new AsyncLocalStorage<true>()
  private readonly line = new Set<Waiting>()
  private running = 0
  private failures = 0
  private openUntilMs = 0
  private isTrying = false

  /** CacheError ARGUMENT for wrong options. */
  constructor(options: GuardOptions = {}) {
    checkOptions(options, NAMES)
    const { MAX_SAFE_INTEGER: MOST, MIN_VALUE: ABOVE_0, POSITIVE_INFINITY: NEVER } = Number
    this.loadsMax = countOption(options, 'loadsMax', LOADS_MAX, [1, MOST])
    this.waitingMax = countOption(options, 'waitingMax', WAITING_MAX, [0, MOST])
    const { failuresMax } = options
    this.failuresMax =
      failuresMax === undefined ? NEVER : countOption(options, 'failuresMax', 1, [1, MOST])
    this.share = numberOption(options, 'share', SHARE, [ABOVE_0, 1])
  }

  /** Whether loads are refused because the source fails. */
  isOpen(): boolean {
    if (this.failures < this.failuresMax) return false
    return this.isTrying || performance.now() < this.openUntilMs
  }

  /** Loads that run, and loads that wait for their turn. */
  get counts(): { running: number; waiting: number } {
    return { running: this.running, waiting: this.line.size }
  }

  /**
   * Runs a load when it is its turn. Rejects as the load does, with BUSY if it is refused, and with
   * the signal's reason: its place is then free, whether the load heeded the signal or not.
   */
  async run<T>(load: () => T | PromiseLike<T>, signal: AbortSignal): Promise<T> {
    if (this.inside.getStore()) return this.race(load, signal)
    if (this.isOpen()) throw new CacheError('BUSY', 'the source fails: it is not asked for a while')
    const isTry = this.failures >= this.failuresMax
    if (isTry) this.isTrying = true
    try {
      await this.enter(signal)
    } catch (error) {
      if (isTry) this.isTrying = false
      throw error
    }
    const startedMs = performance.now()
    try {
      const value = await this.inside.run(true, () => this.race(load, signal))
      this.failures = 0
      return value
    } catch (error) {
      this.fail(performance.now() - startedMs)
      throw error
    } finally {
      if (isTry) this.isTrying = false
      this.leave()
    }
  }

  private async race<T>(load: () => T | PromiseLike<T>, signal: AbortSignal): Promise<T> {
    const aborted = Promise.withResolvers<never>()
    const abort = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([load(), aborted.promise])
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  private enter(signal: AbortSignal): Promise<void> {
    if (this.running < this.loadsMax) {
      this.running++
      return Promise.resolve()
    }
    if (this.line.size >= this.waitingMax) {
      const words = `${this.loadsMax} loads run and ${this.waitingMax} wait`
      return Promise.reject(new CacheError('BUSY', words))
    }
    return new Promise((resolve, reject) => {
      const waiting = { start: resolve }
      this.line.add(waiting)
      const abort = () => {
        if (this.line.delete(waiting)) reject(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  /** Passes the place on to the load that waits longest. */
  private leave(): void {
    const [next] = this.line
    if (next === undefined) this.running--
    else {
      this.line.delete(next)
      next.start()
    }
  }

  private fail(ms: number): void {
    this.failures++
    const pauseMs = ms * (1 / this.share - 1)
    const boundMs = Math.min(Math.max(pauseMs, PAUSE_MS_MIN), PAUSE_MS_MAX)
    this.openUntilMs = performance.now() + boundMs
  }
}
