// Does the upkeep of arenas on timers: each turn says when the next one is due. Each arena has one
// keeper at a time. If its keeper stops, or dies and was cleaned up after, the next keeper that
// checks takes over. The timers do not keep the process alive.

import type { Cache } from './cache.ts'
import { LOCK_WAIT_MS_MAX, UPKEEP_IDLE_MS, UPKEEP_IDLE_MS_MAX } from './limits.ts'

export class Keeper {
  private readonly cache: Cache
  private readonly timers = new Map<number, NodeJS.Timeout>()
  private readonly fail: (error: unknown) => void

  /**
   * `fail` is called when a turn throws, as at a stuck lock; the next one comes after a long rest.
   */
  constructor(cache: Cache, indices: Iterable<number>, fail: (error: unknown) => void) {
    this.cache = cache
    this.fail = fail
    for (const index of indices) {
      cache.takeUpkeep(index)
      this.rest(index, UPKEEP_IDLE_MS)
    }
  }

  stop(): void {
    for (const [index, timer] of this.timers) {
      clearTimeout(timer)
      this.cache.leaveUpkeep(index)
    }
    this.timers.clear()
  }

  private rest(index: number, ms: number): void {
    this.timers.set(index, setTimeout(() => this.rest(index, this.turn(index)), ms).unref())
  }

  /** One turn. Returns when the next one is due, ms. */
  private turn(index: number): number {
    if (!this.cache.takeUpkeep(index)) return UPKEEP_IDLE_MS_MAX
    try {
      return this.cache.upkeep(index)
    } catch (error) {
      this.fail(error)
      return LOCK_WAIT_MS_MAX
    }
  }
}
