// What delete and md mean for an item: it is deleted, marked stale, or loses its value. Assumes the
// arena's lock.

import type { Arena } from '../arena/arena.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { chosenCasAt, classOf, setExpiry } from '../items/item.ts'
import { renewCas, unlinkItem } from '../items/links.ts'
import { Status } from '../status.ts'
import type { Ask } from './ask.ts'
import { copyItem, succeed, successor } from './successor.ts'
import { casMatches, compareCas, findAsked, settle, stateOf, wordsOf } from './terms.ts'

/** OK, MISS, EXISTS or NO_MEMORY. */
export function removeItem(arena: Arena, ask: Ask): Status {
  if (!ask.isPlain) return removeOnTerms(arena, ask)
  const ref = findAsked(arena, ask)
  if (ref === NIL) {
    arena.counters[counterAt(Counter.DELETE_MISSES)]++
    return Status.MISS
  }
  if (!casMatches(arena, ask, ref)) return Status.EXISTS
  arena.counters[classCounterAt(classOf(arena, ref), ClassCounter.DELETE_HITS)]++
  unlinkItem(arena, ask.hash, ref)
  return Status.OK
}

function removeOnTerms(arena: Arena, ask: Ask): Status {
  const { counters } = arena
  let ref = findAsked(arena, ask)
  if (ref === NIL || (ask.compares && compareCas(arena, ask, ref) !== 0)) {
    counters[counterAt(Counter.DELETE_MISSES)]++
    return ref === NIL ? Status.MISS : Status.EXISTS
  }
  if (ask.clears) {
    ref = clearItem(arena, ask, ref)
    if (ref === NIL) return Status.NO_MEMORY
  }
  if (ask.invalidates) return invalidateItem(arena, ask, ref)
  counters[classCounterAt(classOf(arena, ref), ClassCounter.DELETE_HITS)]++
  if (!ask.clears) unlinkItem(arena, ask.hash, ref)
  return Status.OK
}

/** Marks an item stale, with a new CAS, so that the next peer that fetches it wins. */
function invalidateItem(arena: Arena, ask: Ask, old: Ref): Status {
  const { words } = arena
  let ref = old
  const wanted = wordsOf(ask)
  if ((wanted & ~words[old + L.ITEM_META]) !== 0) {
    ref = copyItem(arena, ask.hash, old, wanted)
    if (ref === NIL) return Status.NO_MEMORY
  }
  if (ask.touches) setExpiry(arena, ref, ask.expiresAtS)
  words[ref + L.ITEM_META] = (words[ref + L.ITEM_META] | L.STATE_STALE) & ~L.STATE_CLAIMED
  renewCas(arena, ref)
  settle(arena, ask, ref)
  return Status.OK
}

/** Replaces an item by one without a value, with the same CAS unless the request chooses one. */
function clearItem(arena: Arena, ask: Ask, old: Ref): Ref {
  const { words } = arena
  const cas = words[old + L.ITEM_CAS]
  const chosen = words[old + L.ITEM_META] & L.STATE_CHOSEN_CAS
  const chosenLow = chosen === 0 ? 0 : words[chosenCasAt(arena, old)]
  const chosenHigh = chosen === 0 ? 0 : words[chosenCasAt(arena, old) + 1]
  const ref = successor(arena, old, ask.flags, 0, stateOf(ask) | chosen)
  if (ref === NIL) return NIL
  setExpiry(arena, ref, ask.touches ? ask.expiresAtS : 0)
  succeed(arena, ask.hash, old, ref)
  words[ref + L.ITEM_CAS] = cas
  if (chosen !== 0) {
    words[chosenCasAt(arena, ref)] = chosenLow
    words[chosenCasAt(arena, ref) + 1] = chosenHigh
  }
  settle(arena, ask, ref)
  return ref
}
