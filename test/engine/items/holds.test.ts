// Hold slots against a plain Map, up to the last slot and back.

import assert from 'node:assert/strict'
import t from 'tap'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import { HOLD_SLOTS_MAX } from '../../../lib/engine/arena/arena.ts'
import type { Ref } from '../../../lib/engine/arena/layout.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import {
  dropHold,
  heldRef,
  isHeld,
  NO_SLOT,
  slotOf,
  takeHold,
} from '../../../lib/engine/items/holds.ts'
import { createSmallArena } from '../../support/engine-arena.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

t.test('holds come and go as in a Map', async t => {
  const random = createRandom(seed)
  const arena = createSmallArena()
  const model = new Map<number, { ref: Ref; holder: number }>()
  for (let step = 0; step < 20_000; step++) {
    const ref = refAt(arena, random.below(20))
    if (model.size < 40 && random.once(2)) {
      const holder = random.between(1, 5)
      const slot = takeHold(arena, ref, holder)
      assert(slot !== NO_SLOT && !model.has(slot), `slot ${slot} is taken`)
      model.set(slot, { ref, holder })
    } else if (model.size > 0) {
      const slot = random.pick([...model.keys()])
      assert.equal(heldRef(arena, slot), model.get(slot)?.ref)
      assert.equal(dropHold(arena, slot), model.get(slot)?.ref)
      model.delete(slot)
    }
    const values = [...model.values()]
    assert.equal(arena.words[L.HOLD_COUNT], model.size)
    assert.equal(
      isHeld(arena, ref),
      values.some(held => held.ref === ref),
    )
    const holder = random.between(1, 6)
    const slot = slotOf(arena, holder)
    const expected = values.some(held => held.holder === holder)
    assert.equal(slot !== NO_SLOT, expected, `holds of thread ${holder}`)
    if (slot !== NO_SLOT) assert.equal(model.get(slot)?.holder, holder)
  }
  t.pass('20000 steps')
})

t.test('every slot can be taken, and no more', async t => {
  const random = createRandom(seed, 1)
  const arena = createSmallArena()
  const slots = new Set<number>()
  for (let i = 0; i < HOLD_SLOTS_MAX; i++) slots.add(takeHold(arena, refAt(arena, i), 9))
  t.equal(slots.size, HOLD_SLOTS_MAX)
  t.notOk(slots.has(NO_SLOT))
  t.equal(takeHold(arena, refAt(arena, 5), 9), NO_SLOT)
  t.equal(arena.words[L.HOLD_COUNT], HOLD_SLOTS_MAX)
  t.ok(isHeld(arena, refAt(arena, HOLD_SLOTS_MAX - 1)))
  t.notOk(isHeld(arena, refAt(arena, HOLD_SLOTS_MAX)))
  const some = [...slots].filter(() => random.once(2))
  for (const slot of some) dropHold(arena, slot)
  for (const _ of some) assert(takeHold(arena, refAt(arena, 7), 8) !== NO_SLOT)
  t.equal(takeHold(arena, refAt(arena, 7), 8), NO_SLOT)
  for (let slot = slotOf(arena, 8); slot !== NO_SLOT; slot = slotOf(arena, 8)) {
    dropHold(arena, slot)
  }
  t.equal(arena.words[L.HOLD_COUNT], HOLD_SLOTS_MAX - some.length)
})

t.test('an item held twice stays held until both holds are released', async t => {
  const arena = createSmallArena()
  const first = takeHold(arena, refAt(arena, 77), 1)
  const second = takeHold(arena, refAt(arena, 77), 2)
  dropHold(arena, first)
  t.ok(isHeld(arena, refAt(arena, 77)))
  dropHold(arena, second)
  t.notOk(isHeld(arena, refAt(arena, 77)))
})

/** A chunk of the arena, far enough from its neighbours for a header. */
function refAt(arena: Arena, index: number): Ref {
  return (arena.dataAt + index * 16) as Ref
}
