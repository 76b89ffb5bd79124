// The eviction rules, as answers to what other files ask of them. A new rule needs a name in
// EVICTIONS (limits.ts), a row here, and perhaps a way of its own to choose a victim (victims.ts).
//
// All rules use the four lists of a class. In all of them TEMP has the items that expire soon.
//
//   lru        all items are in COLD, the most recently used at its head
//   segmented  HOT, WARM and COLD, balanced by upkeep as in memcached (balance.ts)
//   worth      new items are in COLD and go to WARM if used before they reach the tail of COLD. The
//              tail of WARM goes to its head if it was used again. Lists change only when a victim
//              is needed (victims.ts). Pages go where they avoid most misses (worth.ts)

import * as L from '../arena/layout.ts'
import { EVICTIONS, type EvictionName } from '../limits.ts'

export interface Rule {
  /** A hit, or a store over the item, moves it to the head of its list. */
  readonly ordersByHits: boolean
  /** New items begin in HOT, upkeep balances the lists, items that were used again go to WARM. */
  readonly isSegmented: boolean
  /** WARM keeps what is in it. */
  readonly usesWarm: boolean
  /** The first hit already counts as use; without it the second one does. */
  readonly countsFirstHit: boolean
  /** Victims are new items that nobody used, and pages go where they save most misses. */
  readonly byWorth: boolean
}

const RULES: Readonly<Record<EvictionName, Rule>> = {
  lru: {
    ordersByHits: true,
    isSegmented: false,
    usesWarm: false,
    countsFirstHit: false,
    byWorth: false,
  },
  segmented: {
    ordersByHits: false,
    isSegmented: true,
    usesWarm: true,
    countsFirstHit: false,
    byWorth: false,
  },
  worth: {
    ordersByHits: false,
    isSegmented: false,
    usesWarm: true,
    countsFirstHit: true,
    byWorth: true,
  },
}

const BY_VALUE: readonly Rule[] = EVICTIONS.map(name => RULES[name])

/** The rule of an arena: its word EVICTION is the place of the name in EVICTIONS. */
export function ruleOf(words: Int32Array): Rule {
  return BY_VALUE[words[L.EVICTION]]
}
