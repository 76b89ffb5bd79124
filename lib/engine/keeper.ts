// Keeps arenas in order on timers: a turn when the one before wants it, as long as no other thread
// does so. Each arena has one keeper at a time; where it stops, or dies and is cleared up after, the
// next one that looks takes over. The timers keep no process alive.

import type { Cache } from './cache.ts'
import { LOCK_WAIT_MS_MAX, UPKEEP_IDLE_MS, UPKEEP_IDLE_MS_MAX } from './limits.ts'

export class Keeper {
  private readonly cache: Cache
  private readonly timers = new Map<number, NodeJS.Timeout>()
  private readonly fail: (error: unknown) => void

  /** `fail` is told of a turn that threw, as at a stuck lock; the next one comes after a long rest. */
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

  /** One turn; when the next is due, ms. */
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
