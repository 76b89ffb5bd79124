// The upkeep of one arena, done by the thread that owns it: bounded steps, one critical section
// each. Assumes the arena's lock. What was ordered stands in the arena; what is only learned stands
// here and is learned anew by whoever takes over.

import { UPKEEP_BUSY_MS, UPKEEP_IDLE_MS } from '../limits.ts'
import type { Arena } from './arena.ts'
import { Crawler } from './crawl.ts'
import * as L from './layout.ts'

export class Upkeep {
  private readonly arena: Arena
  private readonly crawler: Crawler
  private decidedAtS: number

  constructor(arena: Arena) {
    this.arena = arena
    this.crawler = new Crawler(arena)
    this.decidedAtS = arena.words[L.CLOCK_S]
  }

  /** One bounded step of what is due; whether there is more. */
  step(): boolean {
    const { words } = this.arena
    if (words[L.CLOCK_S] !== this.decidedAtS) {
      this.decidedAtS = words[L.CLOCK_S]
      this.decide()
    }
    return this.crawler.step()
  }

  /** How long to let others work before the next turn, ms. */
  restMs(more: boolean): number {
    if (!more) return UPKEEP_IDLE_MS
    return Math.max(UPKEEP_BUSY_MS, Math.ceil(this.arena.words[L.CRAWL_SLEEP_US] / 1000))
  }

  /** Once a second: what to begin. */
  private decide(): void {
    if (this.arena.words[L.MAINTAINER_ON] === 0) return
    this.crawler.startDue()
  }
}
