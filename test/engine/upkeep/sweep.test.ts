// The sweep after a flush finds all flushed items, in bounded steps, without a crawler, also after
// another thread takes over and whatever is done meanwhile. Nothing comes back after 2^32 stores.

import t, { type Test } from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import {
  ClassCounter,
  Counter,
  classCounterAt,
  counterAt,
} from '../../../lib/engine/arena/counters.ts'
import type { Ref } from '../../../lib/engine/arena/layout.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { isFlushed } from '../../../lib/engine/items/links.ts'
import { allClasses, type ItemSink, walkItems } from '../../../lib/engine/items/walk.ts'
import { SWEEP_STEP_RECLAIMS_MAX, SWEEP_WAIT_S } from '../../../lib/engine/limits.ts'
import { Upkeep } from '../../../lib/engine/upkeep/upkeep.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const ITEMS = 3000
const STEPS_MAX = 20_000
const seed = announceSeed(t)

/** Flushed items that are still in memory. */
class FlushedSink implements ItemSink {
  count = 0

  take(arena: Arena, ref: Ref): boolean {
    if (isFlushed(arena, ref)) this.count++
    return true
  }
}

t.test('flushed items do not come back after 2^32 further stores', async t => {
  const peer = createPeer(1)
  const { arena } = peer.cache.shards[0]
  fill(peer, 'old', ITEMS)
  peer.flush(peer.nowS())
  fill(peer, 'new', 100)
  finish(peer, [new Upkeep(arena)], t)
  arena.words[L.CAS_HIGH]++
  t.equal(present(peer, 'old', ITEMS), 0)
  t.equal(present(peer, 'new', 100), 100, 'what came after the flush lives')
  peer.verify()
})

t.test(
  'the sweep waits, works in bounded steps, counts, and begins once for each flush',
  async t => {
    const peer = createPeer(1)
    const { arena } = peer.cache.shards[0]
    const { words } = arena
    const upkeep = new Upkeep(arena)
    fill(peer, 'old', ITEMS)
    peer.flush(peer.nowS() + 10)
    peer.setClock(peer.nowS() + 10)
    upkeep.step()
    t.equal(words[L.SWEEP_AT_S], peer.nowS() + SWEEP_WAIT_S, 'a delayed flush is seen by upkeep')
    const items = words[L.ITEM_COUNT]
    peer.setClock(peer.nowS() + SWEEP_WAIT_S - 1)
    upkeep.step()
    t.equal(words[L.ITEM_COUNT], items, 'not yet')
    peer.setClock(peer.nowS() + 1)
    let steps = 0
    for (let more = true; more; steps++) {
      const before = words[L.ITEM_COUNT]
      more = upkeep.step()
      const ended = before - words[L.ITEM_COUNT]
      if (ended > SWEEP_STEP_RECLAIMS_MAX) t.fail(`a step ended ${ended} items`)
      if (steps > STEPS_MAX) throw new Error('the sweep has no end')
    }
    t.ok(steps >= items / SWEEP_STEP_RECLAIMS_MAX, `${steps} steps`)
    t.equal(words[L.ITEM_COUNT], 0)
    t.equal(crawlerReclaimed(arena), items)
    t.equal(arena.counters[counterAt(Counter.SWEPT)], items)
    peer.setClock(peer.nowS() + 2 * SWEEP_WAIT_S)
    upkeep.step()
    t.same([words[L.SWEEP_AT_S], words[L.SWEEP_PAGE]], [0, 0], 'none is due')
    peer.verify()
  },
)

t.test('another thread continues a sweep, and a flush during it gets its own', async t => {
  const peer = createPeer(1)
  const { arena } = peer.cache.shards[0]
  fill(peer, 'old', ITEMS)
  peer.flush(peer.nowS())
  peer.setClock(peer.nowS() + SWEEP_WAIT_S)
  new Upkeep(arena).step()
  t.ok(arena.words[L.SWEEP_PAGE] > 0 && arena.words[L.SWEEP_AT_S] === 0, 'it runs')
  fill(peer, 'new', ITEMS)
  peer.flush(peer.nowS())
  finish(peer, [new Upkeep(arena)], t)
  t.equal(arena.words[L.ITEM_COUNT], 0)
  peer.verify()
})

t.test('items stored, held and moved meanwhile hide nothing', async t => {
  const random = createRandom(seed)
  const peer = createPeer(2)
  const { cache } = peer
  const upkeeps = cache.shards.map(({ arena }) => new Upkeep(arena))
  for (let round = 0; round < 5; round++) {
    fill(peer, `r${round}k`, ITEMS)
    const held = peer.hold(`r${round}k${random.below(20)}`)
    peer.flush(peer.nowS())
    peer.setClock(peer.nowS() + SWEEP_WAIT_S)
    for (let step = 0; step < 100; step++) {
      cache.reassignPage(-1, random.between(0, cache.shards[0].arena.baseClasses))
      fill(peer, `r${round}n`, 20, random.below(1000))
      for (const upkeep of upkeeps) upkeep.step()
    }
    if (held !== undefined) peer.release(held)
    finish(peer, upkeeps, t)
    peer.verify()
  }
})

/** A cache without crawler and maintainer. */
function createPeer(shards: number): Peer {
  return new Peer(
    Cache.create({ memoryBytes: 16 * MIB, shards, crawler: false, maintainer: false }),
  )
}

function fill(peer: Peer, prefix: string, count: number, first = 0): void {
  for (let i = first; i < first + count; i++) {
    peer.set(`${prefix}${i}`, makeValue(i, i % 50 === 0 ? 20_000 : (i * 37) % 2000))
  }
}

function present(peer: Peer, prefix: string, count: number): number {
  let found = 0
  for (let i = 0; i < count; i++) if (peer.get(`${prefix}${i}`) !== undefined) found++
  return found
}

/** Does upkeep until every sweep is done and asserts that no flushed item is left. */
function finish(peer: Peer, upkeeps: Upkeep[], t: Test): void {
  peer.setClock(peer.nowS() + SWEEP_WAIT_S)
  for (const [index, upkeep] of upkeeps.entries()) {
    const { words } = peer.cache.shards[index].arena
    const isDue = () => words[L.SWEEP_AT_S] !== 0 || words[L.SWEEP_PAGE] !== 0
    for (let step = 0; upkeep.step() || isDue(); step++) {
      if (step > STEPS_MAX) throw new Error('the sweep has no end')
    }
  }
  for (const { arena } of peer.cache.shards) t.equal(flushedIn(arena), 0, 'nothing is left')
}

function flushedIn(arena: Arena): number {
  const sink = new FlushedSink()
  const cursor = { page: 0, chunk: 0 }
  while (walkItems(arena, cursor, allClasses(), sink));
  return sink.count
}

function crawlerReclaimed({ counters, classCount }: Arena): number {
  let sum = 0
  for (let classId = 1; classId <= classCount; classId++) {
    sum += counters[classCounterAt(classId, ClassCounter.CRAWLER_RECLAIMED)]
  }
  return sum
}
