// Room for a class without chunks in a full memory: a page of another class is emptied step by
// step, and other threads get the lock in between.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { type Arena, pageOf } from '../../../lib/engine/arena/arena.ts'
import { Counter, counterAt } from '../../../lib/engine/arena/counters.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { classFor, hasChunk } from '../../../lib/engine/chunks/slabs.ts'
import { heldRef } from '../../../lib/engine/items/holds.ts'
import { ROOM_REFUSED_MIN } from '../../../lib/engine/limits.ts'
import { MOVE_STEP_CHUNKS_MAX, MovePhase } from '../../../lib/engine/room/moves.ts'
import { REAP_STEPS_MAX, stepTowardsRoom } from '../../../lib/engine/room/room.ts'
import { Status } from '../../../lib/engine/status.ts'
import { type Held, Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'

const STEPS_MAX = 100_000
const LARGE_BYTES = 10_000
const LARGE_WORDS = LARGE_BYTES / 4 + 20
const KEYS = 300_000

t.test(
  'no step ends more items than it looks at chunks, and the last one brings a page',
  async t => {
    const { peer, arena } = full()
    const large = classFor(arena, LARGE_WORDS)
    t.equal(arena.words[L.classAt(large) + L.CLASS_PAGE_COUNT], 0)
    let steps = 0
    for (
      let before = itemsOf(arena);
      stepTowardsRoom(arena, large, 1, steps);
      before = itemsOf(arena)
    ) {
      const ended = before - itemsOf(arena)
      if (ended > MOVE_STEP_CHUNKS_MAX) t.fail(`a step ended ${ended} items`)
      if (++steps > STEPS_MAX) throw new Error('there is never room')
    }
    t.ok(steps > 10, `${steps} steps`)
    t.ok(hasChunk(arena, large))
    peer.verify()
  },
)

t.test('a store is answered once there is room, also during another move', async t => {
  const { peer, arena } = full()
  peer.cache.reassignPage(-1, 0)
  t.not(arena.words[L.MOVE_PHASE], MovePhase.NONE)
  peer.set('large', makeValue(1, LARGE_BYTES))
  t.equal(peer.status, Status.OK)
  t.equal(peer.get('large')?.value.length, LARGE_BYTES)
  peer.verify()
})

t.test('a page with a held item is skipped for another', async t => {
  const { peer, arena } = full()
  const oldest =
    Array.from({ length: KEYS }, (_, i) => `k${i}`).find(key => peer.get(key) !== undefined) ?? ''
  const held = peer.hold(oldest)
  t.ok(held)
  peer.set('large', makeValue(1, LARGE_BYTES))
  t.equal(peer.get('large')?.value.length, LARGE_BYTES)
  t.equal(arena.words[L.MOVE_PHASE], MovePhase.NONE, 'no move waits for it')
  if (held !== undefined) peer.release(held)
  peer.verify()
})

t.test('if all pages have a held item, a store is refused soon', async t => {
  const { peer, arena } = full()
  const pages = new Set<number>()
  const held: Held[] = []
  for (let i = 0; i < KEYS; i++) {
    const hold = peer.hold(`k${i}`)
    if (hold === undefined) continue
    const page = pageOf(arena, heldRef(arena, hold.hold.slot))
    if (pages.has(page)) peer.release(hold)
    else held.push(hold)
    pages.add(page)
  }
  t.equal(held.length, arena.words[L.PAGES_USED])
  const before = busyItems(arena)
  t.equal(peer.set('large', makeValue(1, LARGE_BYTES)), Status.NO_MEMORY)
  const met = busyItems(arena) - before
  t.ok(met <= ROOM_REFUSED_MIN, `${met} of ${held.length} pages were tried`)
  for (const hold of held) peer.release(hold)
  peer.verify()
  t.equal(peer.set('large', makeValue(1, LARGE_BYTES)), Status.OK)
})

t.test('without evictions nothing is moved for a store', async t => {
  const { peer, arena } = full(false)
  t.equal(stepTowardsRoom(arena, classFor(arena, LARGE_WORDS), 1, REAP_STEPS_MAX), false)
  t.equal(arena.words[L.MOVE_PHASE], MovePhase.NONE)
  peer.verify()
})

/** A cache full of small items. */
function full(evictions = true): { peer: Peer; arena: Arena } {
  const peer = new Peer(Cache.create({ memoryBytes: 16 * MIB, evictions }))
  for (let i = 0; i < KEYS; i++) peer.set(`k${i}`, makeValue(i, 20))
  return { peer, arena: peer.cache.shards[0].arena }
}

function busyItems({ counters }: Arena): number {
  return counters[counterAt(Counter.MOVE_BUSY_ITEMS)]
}

function itemsOf({ words }: Arena): number {
  return words[L.ITEM_COUNT]
}
