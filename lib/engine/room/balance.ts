// Balances the lists of each class, mainly segmented ones as in memcached: an item used again while
// it was new or cold goes to WARM and stays there, an item not used again goes to COLD, whose tail
// is evicted. So a scan passes through HOT and COLD and leaves WARM alone. Assumes the lock.
//
//                  not used again                      not used again
//   new --> HOT -------------------> COLD --> evicted <---------------- WARM <-+
//            |                        |                                  |     | used again
//            +------- used again -----+--------------------------------> +-----+
//
// A hit only records that the item is in use (lru.ts). It is moved when it reaches the tail of its
// list, here or in the search for a victim (victims.ts). HOT and WARM each have a share of the
// items, and their tails may be idle for a share of the idle time of COLD's tail. TEMP holds items
// that expire soon: they are never moved, and reclaimed from its tail.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { isDead, reclaimItem } from '../items/links.ts'
import { listedCount, moveToList, tailIdleS, warmItem } from '../items/lru.ts'
import { ruleOf } from '../items/rules.ts'

/** Items that one step of list balance moves. */
const BALANCE_STEP_ITEMS_MAX = 64

/** An idle time that every tail exceeds: everything in the list goes. */
const AT_ONCE_S = -1

/** The owner's walk through the classes of one arena. */
export class Balancer {
  private readonly arena: Arena
  private classId = 1
  /** Items that this step may still move. */
  private left = 0

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** One bounded step. Returns whether there is more to move. */
  step(): boolean {
    this.left = BALANCE_STEP_ITEMS_MAX
    for (let i = 0; i < this.arena.classCount && this.left > 0; i++) {
      this.balance(this.classId)
      this.classId = this.classId === this.arena.classCount ? 1 : this.classId + 1
    }
    if (this.left < BALANCE_STEP_ITEMS_MAX) {
      this.arena.counters[counterAt(Counter.MAINTAINER_JUGGLES)]++
    }
    return this.left === 0
  }

  private balance(classId: number): void {
    const { words } = this.arena
    const count = listedCount(this.arena, classId)
    if (count === 0) return
    if (ruleOf(words).isSegmented) {
      const coldS = tailIdleS(this.arena, classId, L.LIST_COLD)
      const hotMax = (count * words[L.LRU_HOT_PERCENT]) / 100
      const warmMax = (count * words[L.LRU_WARM_PERCENT]) / 100
      this.drain(classId, L.LIST_HOT, hotMax, (coldS * words[L.LRU_HOT_FACTOR]) / 1000)
      this.drain(classId, L.LIST_WARM, warmMax, (coldS * words[L.LRU_WARM_FACTOR]) / 1000)
    } else {
      this.drain(classId, L.LIST_HOT, 0, AT_ONCE_S)
      if (!ruleOf(words).usesWarm) this.drain(classId, L.LIST_WARM, 0, AT_ONCE_S)
    }
    this.tidy(classId, L.LIST_COLD)
    this.tidy(classId, L.LIST_TEMP)
  }

  /**
   * Moves items beyond the share or too idle from the tail of HOT or WARM, and those used again.
   */
  private drain(classId: number, list: number, countMax: number, idleMaxS: number): void {
    const { words, counters } = this.arena
    const at = L.listAt(classId, list)
    const segmented = idleMaxS !== AT_ONCE_S
    while (this.left > 0 && words[at + L.LIST_TAIL] !== NIL) {
      const ref = words[at + L.LIST_TAIL] as Ref
      if (isDead(this.arena, ref)) {
        reclaimItem(this.arena, ref)
      } else if (segmented && (words[ref + L.ITEM_META] & L.STATE_ACTIVE) !== 0) {
        warmItem(this.arena, ref)
      } else {
        const tooMany = words[at + L.LIST_COUNT] > countMax
        if (!tooMany && tailIdleS(this.arena, classId, list) <= idleMaxS) return
        counters[classCounterAt(classId, ClassCounter.MOVES_TO_COLD)]++
        moveToList(this.arena, ref, L.LIST_COLD)
      }
      this.left--
    }
  }

  /**
   * Reclaims dead items at the tail of COLD or TEMP, and moves items used again from COLD to WARM.
   */
  private tidy(classId: number, list: number): void {
    const { words } = this.arena
    const at = L.listAt(classId, list)
    const warms = list === L.LIST_COLD && ruleOf(words).isSegmented
    while (this.left > 0 && words[at + L.LIST_TAIL] !== NIL) {
      const ref = words[at + L.LIST_TAIL] as Ref
      const active = (words[ref + L.ITEM_META] & L.STATE_ACTIVE) !== 0
      if (isDead(this.arena, ref)) reclaimItem(this.arena, ref)
      else if (warms && active) warmItem(this.arena, ref)
      else return
      this.left--
    }
  }
}
