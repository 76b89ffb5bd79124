// Ghosts against a plain model, what returning keys teach a class, and the count of uses.

import t from 'tap'
import { Appraisal, classCounterAt } from '../../../lib/engine/arena/counters.ts'
import type { Ref } from '../../../lib/engine/arena/layout.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { addGhost, takeGhost } from '../../../lib/engine/items/ghosts.ts'
import {
  countFurther,
  isUsed,
  spendUse,
  spendUses,
  touch,
  touchedAtS,
  touchNew,
} from '../../../lib/engine/items/uses.ts'
import { createSmallArena, makeItem } from '../../support/engine-arena.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const CLASS = 3
const seed = announceSeed(t)

t.test('as a model of sets, while their number changes', async t => {
  const arena = createSmallArena()
  const random = createRandom(seed, 1)
  const model = new Map<number, { hash: number; warm: boolean }[]>()
  let found = 0
  for (let i = 0; i < 50_000; i++) {
    // Sets come and go at the end; a set in use keeps what it has.
    if (i % 1000 === 0) arena.words[L.ITEM_COUNT] = 400 + random.below(3600)
    const hash = random.below(2000) * 0x01000193
    const set = setOf(hash, Math.max(8, arena.words[L.ITEM_COUNT] >> 5))
    const ghosts = model.get(set) ?? []
    if (random.below(2) === 0) {
      const warm = random.below(3) === 0
      addGhost(arena, hash, CLASS, warm ? L.LIST_WARM : L.LIST_COLD)
      model.set(set, [{ hash, warm }, ...ghosts].slice(0, L.GHOSTS_PER_SET))
      continue
    }
    const at = ghosts.findIndex(ghost => ghost.hash === hash)
    const taken = takeGhost(arena, hash, CLASS)
    if (taken !== at >= 0) t.fail(`step ${i}: ${taken}, place ${at} of set ${set}`)
    if (at >= 0) ghosts.splice(at, 1)
    if (taken) found++
  }
  t.ok(found > 3000, `${found} found`)
  t.equal(arena.counters[classCounterAt(CLASS, Appraisal.RETURNED)], found)
})

t.test('other lists leave no ghosts', async t => {
  const arena = createSmallArena()
  addGhost(arena, 1, CLASS, L.LIST_TEMP)
  addGhost(arena, 1, CLASS, L.LIST_HOT)
  t.notOk(takeGhost(arena, 1, CLASS))
})

t.test('the share for new items follows what returns, within bounds', async t => {
  const arena = createSmallArena()
  const at = L.classAt(CLASS) + L.CLASS_PROBATION
  arena.words[L.listAt(CLASS, L.LIST_COLD) + L.LIST_COUNT] = 1000
  for (const [list, grows] of [
    [L.LIST_COLD, true],
    [L.LIST_WARM, false],
  ] as const) {
    const before = arena.words[at]
    addGhost(arena, 7, CLASS, list)
    takeGhost(arena, 7, CLASS)
    t.equal(arena.words[at] > before, grows)
    t.ok(Math.abs(arena.words[at] - before) <= L.PROBATION_ONE / 500, 'by two items at most')
  }
  for (const [list, share] of [
    [L.LIST_COLD, 0.9],
    [L.LIST_WARM, 0.05],
  ] as const) {
    for (let i = 0; i < 200_000; i++) {
      // The other kind has ghosts too: returns of the rarer kind weigh more.
      addGhost(arena, 8, CLASS, list === L.LIST_COLD ? L.LIST_WARM : L.LIST_COLD)
      addGhost(arena, 7, CLASS, list)
      takeGhost(arena, 7, CLASS)
    }
    t.ok(Math.abs(arena.words[at] / L.PROBATION_ONE - share) < 1e-6, `list ${list}`)
  }
})

t.test('early returns count as early', async t => {
  const arena = createSmallArena()
  const early = classCounterAt(CLASS, Appraisal.RETURNED_EARLY)
  addGhost(arena, 0, CLASS, L.LIST_COLD)
  takeGhost(arena, 0, CLASS)
  t.equal(arena.counters[early], 1 - 0.5 / 8)
  // Sets are eight: the hashes that are multiples of eight share one.
  for (let i = 1; i <= 8; i++) addGhost(arena, i * 8, CLASS, L.LIST_COLD)
  t.ok(takeGhost(arena, 8, CLASS), 'the oldest of a full set')
  t.equal(arena.counters[early], 1 - 0.5 / 8 + 0.5 / 8)
})

t.test('uses are counted and spent one by one', async t => {
  const arena = createSmallArena()
  const { words } = arena
  const ref: Ref = makeItem(arena, 'k')
  words[L.CLOCK_S] = 1_000_000
  touchNew(words, ref)
  t.notOk(isUsed(words, ref))
  words[ref + L.ITEM_META] |= L.STATE_ACTIVE
  for (let i = 0; i < 10; i++) countFurther(words, ref)
  words[L.CLOCK_S] = 2 ** 29 + 5
  touch(words, ref)
  t.equal(touchedAtS(words, ref), 2 ** 29 + 5, 'years later')
  for (let left = 4; left > 0; left--) {
    t.ok(isUsed(words, ref), `${left} left`)
    spendUse(words, ref)
    t.equal(words[ref + L.ITEM_META] & L.STATE_ACTIVE, 0, 'the first one is spent first')
  }
  t.notOk(isUsed(words, ref))
  spendUse(words, ref)
  t.equal(touchedAtS(words, ref), 2 ** 29 + 5)
  words[ref + L.ITEM_META] |= L.STATE_ACTIVE
  countFurther(words, ref)
  spendUses(words, ref)
  t.notOk(isUsed(words, ref))
})

/** Linear hashing over `sets` sets. */
function setOf(hash: number, sets: number): number {
  const bits = Math.ceil(Math.log2(sets))
  const set = (hash >>> 0) % 2 ** bits
  return set < sets ? set : set % 2 ** (bits - 1)
}
