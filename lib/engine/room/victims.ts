// Chooses the victim of a class when memory is wanted, by the eviction rule (rules.ts). Assumes the
// arena's lock. Every search is bounded.

import type { Arena } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { isHeld } from '../items/holds.ts'
import { isDead } from '../items/links.ts'
import { COLD_FIRST, moveToList, tailOf, warmItem } from '../items/lru.ts'
import { ruleOf } from '../items/rules.ts'
import { isUsed } from '../items/uses.ts'
import { VICTIM_TRIES_MAX } from '../limits.ts'

/**
 * The item whose eviction costs least and frees a chunk at once; without evictions, a dead one.
 * Items met on the way that were used again are moved to WARM instead.
 */
export function pickVictim(arena: Arena, classId: number): Ref {
  const { words } = arena
  if (ruleOf(words).byWorth && words[L.EVICTIONS_ON] === 1) {
    const victim = unusedOf(arena, classId)
    if (victim !== NIL) return victim
  }
  for (let i = 0; i < L.LISTS; i++) {
    const victim = victimOf(arena, classId, COLD_FIRST[i])
    if (victim !== NIL) return victim
  }
  return NIL
}

/**
 * By worth: an unused new item while COLD has more than its share, else an item of WARM that has
 * spent its uses.
 */
function unusedOf(arena: Arena, classId: number): Ref {
  const { words } = arena
  for (let tries = 0; tries < VICTIM_TRIES_MAX; tries++) {
    const ref = tailOf(arena, classId, fullerList(arena, classId))
    if (ref === NIL) return NIL
    const used = isUsed(words, ref)
    if (!isHeld(arena, ref) && (!used || isDead(arena, ref))) return ref
    // An item that is only held is skipped.
    if (used) warmItem(arena, ref)
    else moveToList(arena, ref, L.LIST_WARM)
  }
  return NIL
}

/** COLD while it has more than its share of the two lists, or all, else WARM. */
function fullerList(arena: Arena, classId: number): number {
  const { words } = arena
  const cold = words[L.listAt(classId, L.LIST_COLD) + L.LIST_COUNT]
  const warm = words[L.listAt(classId, L.LIST_WARM) + L.LIST_COUNT]
  const share = words[L.classAt(classId) + L.CLASS_PROBATION] / L.PROBATION_ONE
  const isFull = cold > (cold + warm) * share
  return isFull || warm === 0 ? L.LIST_COLD : L.LIST_WARM
}

function victimOf(arena: Arena, classId: number, list: number): Ref {
  const { words } = arena
  const evictions = words[L.EVICTIONS_ON] === 1
  const spares = ruleOf(words).isSegmented && list !== L.LIST_WARM && list !== L.LIST_TEMP
  let ref = tailOf(arena, classId, list)
  for (let tries = 0; tries < VICTIM_TRIES_MAX && ref !== NIL; tries++) {
    const prev = words[ref + L.ITEM_LRU_PREV] as Ref
    if (!isHeld(arena, ref)) {
      if (isDead(arena, ref)) return ref
      const active = (words[ref + L.ITEM_META] & L.STATE_ACTIVE) !== 0
      if (evictions && !(spares && active)) return ref
      if (evictions) warmItem(arena, ref)
    }
    ref = prev
  }
  return NIL
}
