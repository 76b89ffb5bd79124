// Evicts one item and counts it. Assumes the arena's lock.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, classCounterAt } from '../arena/counters.ts'
import type { Ref } from '../arena/layout.ts'
import * as L from '../arena/layout.ts'
import { addGhost } from '../items/ghosts.ts'
import { expiryOf, idleS } from '../items/item.ts'
import { isDead, reclaimItem, unlinkItem } from '../items/links.ts'
import { ruleOf } from '../items/rules.ts'
import { hashOfItem } from '../items/table.ts'

/** Evicts a linked item because its memory is wanted. A dead one is reclaimed instead. */
export function evictItem(arena: Arena, ref: Ref): void {
  if (isDead(arena, ref)) {
    reclaimItem(arena, ref)
    return
  }
  if (arena.witness !== null) arena.witness.evicting(arena, ref)
  const { words, counters } = arena
  const meta = words[ref + L.ITEM_META]
  const classId = L.metaClass(meta)
  const at = classCounterAt(classId, 0)
  counters[at + ClassCounter.EVICTED]++
  if (expiryOf(arena, ref) !== 0) counters[at + ClassCounter.EVICTED_NONZERO]++
  if ((meta & L.STATE_FETCHED) === 0) counters[at + ClassCounter.EVICTED_UNFETCHED]++
  if ((meta & L.STATE_ACTIVE) !== 0) counters[at + ClassCounter.EVICTED_ACTIVE]++
  words[L.classAt(classId) + L.CLASS_EVICTED_IDLE_S] = idleS(arena, ref)
  const hash = hashOfItem(arena, ref)
  if (ruleOf(words).byWorth) addGhost(arena, hash, classId, L.metaList(meta))
  unlinkItem(arena, hash, ref)
}
