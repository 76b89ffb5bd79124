// The upkeep of one arena, done by the thread that owns it in bounded steps, one critical section
// each. Assumes the arena's lock. Orders are in the arena. What upkeep learns is here; a thread
// that takes over learns it again.

import type { Arena } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { abandonedClass, isCurrent } from '../chunks/fit.ts'
import { pagesAboveLimit } from '../chunks/slabs.ts'
import { flushIfDue } from '../items/links.ts'
import { ruleOf } from '../items/rules.ts'
import { UPKEEP_BUSY_MS, UPKEEP_IDLE_MS, UPKEEP_IDLE_MS_MAX, UPKEEP_PRESSED_MS } from '../limits.ts'
import { Balancer } from '../room/balance.ts'
import { canGivePage, nextDonor } from '../room/donors.ts'
import { MovePhase, POOL, startMove, stepMove } from '../room/moves.ts'
import { Order } from '../status.ts'
import { Automove, Automover, oldestClass } from './automove.ts'
import { Crawl, Crawler } from './crawl.ts'
import { Sweeper } from './sweep.ts'

export class Upkeep {
  private readonly arena: Arena
  private readonly crawler: Crawler
  private readonly automover: Automover
  private readonly balancer: Balancer
  private readonly sweeper: Sweeper
  private decidedAtS: number
  /** The pause after a turn without work: it doubles each time. */
  private idleMs = UPKEEP_IDLE_MS / 2
  /** The class last asked for a page above the memory limit; 0 after it gave one. */
  private donor = 0
  /** PAGEFULS_EVICTED at the last pause. */
  private pagefuls = 0
  /** Whether the current move waits for held items until the next turn. */
  private waits = false
  /** Whether classes may still be asked in this second: not after one could not give a page. */
  private asks = true

  constructor(arena: Arena) {
    this.arena = arena
    this.crawler = new Crawler(arena)
    this.automover = new Automover(arena)
    this.balancer = new Balancer(arena)
    this.sweeper = new Sweeper(arena)
    this.decidedAtS = arena.words[L.CLOCK_S]
  }

  /** One bounded step of the work that is due. Returns whether there is more. */
  step(): boolean {
    const { words } = this.arena
    if (words[L.CLOCK_S] !== this.decidedAtS) {
      this.decidedAtS = words[L.CLOCK_S]
      this.decide()
    }
    flushIfDue(this.arena)
    const sweeps = this.sweeper.step()
    const crawls = this.crawler.step()
    const moves = this.stepMove()
    const balances = words[L.MAINTAINER_ON] === 1 && this.balancer.step()
    return sweeps || crawls || moves || balances
  }

  /** The pause before the next turn, ms. */
  restMs(more: boolean): number {
    const { words } = this.arena
    this.waits = false
    this.idleMs = more ? UPKEEP_IDLE_MS / 2 : Math.min(2 * this.idleMs, UPKEEP_IDLE_MS_MAX)
    const pressed = words[L.PAGEFULS_EVICTED] !== this.pagefuls
    this.pagefuls = words[L.PAGEFULS_EVICTED]
    if (!more) return pressed ? Math.min(this.idleMs, UPKEEP_PRESSED_MS) : this.idleMs
    if (words[L.CRAWL_KIND] === Crawl.NONE) return UPKEEP_BUSY_MS
    return Math.max(UPKEEP_BUSY_MS, Math.ceil(words[L.CRAWL_SLEEP_US] / 1000))
  }

  /** Starts what is due, once a second. */
  private decide(): void {
    const { words } = this.arena
    this.asks = true
    if (words[L.MAINTAINER_ON] === 1) this.crawler.startDue()
    if (words[L.REASSIGN_ON] === 1) this.automover.watch()
  }

  private stepMove(): boolean {
    const { words } = this.arena
    if (this.waits) return false
    const idle = words[L.MOVE_PHASE] === MovePhase.NONE
    if (idle && !this.giveBack() && !this.yieldPage() && !this.giveUpPage()) return false
    const more = stepMove(this.arena)
    this.waits = !more && words[L.MOVE_PHASE] === MovePhase.EVACUATE
    if (words[L.MOVE_PHASE] === MovePhase.UNDO) this.asks = false
    if (words[L.MOVE_PHASE] === MovePhase.SETTLE) this.donor = 0
    return more || (words[L.MOVE_PHASE] === MovePhase.NONE && this.isAboveLimit())
  }

  /** Starts to give a page back if the memory limit requires it. False: none, or not now. */
  private giveBack(): boolean {
    if (!this.isAboveLimit()) return false
    do this.donor = nextDonor(this.arena, this.donor)
    while (this.donor !== 0 && !canGivePage(this.arena, this.donor))
    if (this.donor === 0) this.asks = false
    return this.donor !== 0 && startMove(this.arena, this.donor, POOL) === Order.OK
  }

  /** Starts to move a page to a class that evicts. In the mode WORTH stores do that (room.ts). */
  private yieldPage(): boolean {
    const { words } = this.arena
    const wanting = words[L.WANTING_CLASS]
    if (ruleOf(words).byWorth || wanting === 0 || !this.movesUnasked()) return false
    words[L.WANTING_CLASS] = 0
    if (!isCurrent(this.arena, wanting)) return false
    const donor = abandonedClass(this.arena) || oldestClass(this.arena, wanting)
    return donor !== 0 && startMove(this.arena, donor, wanting) === Order.OK
  }

  /**
   * Starts to move a page of an abandoned class to the pool. While memory for more pages is left
   * its items stay: they would only move from page to page of their class.
   */
  private giveUpPage(): boolean {
    const { arena } = this
    if (!this.asks || !this.movesUnasked() || arena.words[L.EVICTIONS_ON] === 0) return false
    const donor = abandonedClass(arena)
    if (donor === 0 || (pagesAboveLimit(arena) < 0 && !hasPageful(arena, donor))) return false
    return startMove(arena, donor, POOL) === Order.OK
  }

  private movesUnasked(): boolean {
    const { words } = this.arena
    return words[L.REASSIGN_ON] === 1 && words[L.AUTOMOVE] !== Automove.OFF
  }

  private isAboveLimit(): boolean {
    return this.asks && pagesAboveLimit(this.arena) > 0
  }
}

/** Whether a class has at least a page's worth of free chunks. */
function hasPageful({ words }: Arena, classId: number): boolean {
  const at = L.classAt(classId)
  const free = words[at + L.CLASS_FREE_COUNT] + words[at + L.CLASS_FRESH_COUNT]
  return free >= words[at + L.CLASS_CHUNKS_PER_PAGE]
}
