// Segmented lists: items used again survive a scan, others are evicted first. Without upkeep this
// still works, but less well.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import {
  ClassCounter,
  Counter,
  classCounterAt,
  counterAt,
} from '../../../lib/engine/arena/counters.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../../lib/engine/cache.ts'
import { UPKEEP_IDLE_MS } from '../../../lib/engine/limits.ts'
import { Status } from '../../../lib/engine/status.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const TURNS_MAX = 10_000
const LENGTH = 500
const { LIST_HOT, LIST_WARM, LIST_COLD, LIST_TEMP } = L
const seed = announceSeed(t)

t.test('a scan does not evict what is used again', async t => {
  const segmented = scan(createPeer({ eviction: 'segmented' }), 100)
  const late = scan(createPeer({ eviction: 'segmented' }), 5000)
  const flat = scan(createPeer({ eviction: 'lru', fitted: false }), 100)
  t.comment(
    `of the items in use are left: ${segmented} %, ${late} % with late upkeep, ${flat} % flat`,
  )
  t.ok(segmented > 95, `${segmented} %`)
  t.ok(late > 60, `${late} %`)
  t.ok(flat < 5, `${flat} %`)
})

t.test('more keys are hit where some are used often and most once', async t => {
  const rates = (['segmented', 'lru', 'worth'] as const).map(eviction => {
    const { peer } = createPeer({ eviction })
    const random = createRandom(seed, 1)
    let hits = 0
    for (let i = 0; i < 60_000; i++) {
      if (i % 200 === 0) turn(peer)
      if (i % 1000 === 0) peer.setClock(peer.nowS() + 1)
      const key = random.once(3) ? `often${random.below(2500)}` : `once${i}`
      if (peer.get(key) !== undefined) hits++
      else peer.set(key, makeValue(1, LENGTH))
    }
    peer.verify()
    return hits / 60_000
  })
  t.comment(
    `of the requests are hits: segmented ${rates[0]}, flat ${rates[1]}, by worth ${rates[2]}`,
  )
  t.ok(rates[0] > rates[1] * 1.05)
  t.ok(rates[2] > rates[1] * 1.05)
})

t.test('an item moves between lists by its use', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented' })
  for (let i = 0; i < 100; i++) peer.set(`k${i}`, makeValue(i, LENGTH))
  t.same(counts(arena), { hot: 100, warm: 0, cold: 0, temp: 0 }, 'new items are hot')
  for (let i = 0; i < 10; i++) {
    peer.get(`k${i}`)
    peer.get(`k${i}`)
  }
  runUpkeep(peer)
  t.same(counts(arena), { hot: 20, warm: 10, cold: 70, temp: 0 })
  t.equal(sumOf(arena, ClassCounter.MOVES_TO_COLD), 70)
  t.equal(sumOf(arena, ClassCounter.MOVES_TO_WARM), 10)
  peer.get('k10')
  t.equal(counts(arena).warm, 10, 'fetched once is not used again')
  peer.get('k10')
  runUpkeep(peer)
  t.equal(counts(arena).warm, 11)
  for (let i = 0; i < 11; i++) peer.get(`k${i}`)
  for (let i = 0; i < 60; i++) peer.remove(`k${i + 11}`)
  runUpkeep(peer)
  t.equal(sumOf(arena, ClassCounter.MOVES_WITHIN_LRU), 11)
  t.ok(arena.counters[counterAt(Counter.MAINTAINER_JUGGLES)] > 0)
  t.equal(sumOf(arena, ClassCounter.HITS_TO_WARM), 11)
  t.equal(sumOf(arena, ClassCounter.HITS_TO_HOT), 20)
  t.equal(sumOf(arena, ClassCounter.GET_HITS), 33)
  peer.verify()
})

t.test('hot and warm items cool down with time', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented' })
  for (let i = 0; i < 100; i++) peer.set(`k${i}`, makeValue(i, LENGTH))
  for (let i = 0; i < 20; i++) for (let times = 0; times < 2; times++) peer.get(`k${i}`)
  runUpkeep(peer)
  peer.setClock(peer.nowS() + 100)
  for (let i = 0; i < 10; i++) peer.set(`new${i}`, makeValue(i, LENGTH))
  runUpkeep(peer)
  t.equal(counts(arena).hot, 10, 'older than a fifth of the coldest')
  t.equal(counts(arena).warm, 20, 'not older than twice the coldest')
  peer.cache.tuneLists(20, 40, 0.2, 0.5)
  runUpkeep(peer)
  t.equal(counts(arena).warm, 0)
  peer.cache.tuneLists(5, 40, 0.2, 0.5)
  runUpkeep(peer)
  t.equal(counts(arena).hot, 5)
})

t.test('items that expire soon have their own list and stay in it', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented', temporaryTtlS: 60, crawler: false })
  const nowS = peer.nowS()
  peer.set('lasting', makeValue(1, LENGTH))
  peer.set('long', makeValue(1, LENGTH), { expiresAtS: nowS + 61 })
  for (let i = 0; i < 10; i++)
    peer.set(`k${i}`, makeValue(1, LENGTH), { expiresAtS: nowS + 60 - i })
  for (let times = 0; times < 3; times++) peer.get('k3')
  runUpkeep(peer)
  t.equal(counts(arena).temp, 10)
  t.equal(sumOf(arena, ClassCounter.HITS_TO_TEMP), 3)
  peer.setClock(nowS + 60)
  runUpkeep(peer)
  t.equal(counts(arena).temp, 0, 'they are reclaimed from the end')
  t.equal(sumOf(arena, ClassCounter.RECLAIMED), 10)
  peer.cache.setTemporaryTtlS(-1)
  peer.set('k', makeValue(1, LENGTH), { expiresAtS: nowS + 61 })
  t.equal(counts(arena).temp, 0)
})

t.test('the mode changes at run time', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented' })
  fill(peer, 'a', 3000)
  runUpkeep(peer)
  t.ok(counts(arena).hot > 500)
  peer.cache.setEviction('lru')
  peer.set('flat', makeValue(1, LENGTH))
  runUpkeep(peer)
  t.equal(counts(arena).hot + counts(arena).warm, 0)
  t.equal(counts(arena).cold, arena.words[L.ITEM_COUNT])
  peer.cache.setEviction('segmented')
  peer.set('segmented', makeValue(1, LENGTH))
  t.equal(counts(arena).hot, 1)
  peer.verify()
})

t.test('without upkeep nothing is refused, and items in use are evicted last', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented' })
  fill(peer, 'used', 2000)
  for (let i = 0; i < 2000; i++) for (let times = 0; times < 3; times++) peer.get(`used${i}`)
  for (let i = 0; i < 20_000; i++) {
    assert.equal(peer.set(`k${i}`, makeValue(1, LENGTH)), Status.OK)
  }
  let left = 0
  for (let i = 0; i < 2000; i++) if (peer.get(`used${i}`) !== undefined) left++
  t.ok(left > 1900, `${left} of 2000 are left`)
  t.ok(sumOf(arena, ClassCounter.DIRECT_RECLAIMS) > 10_000)
  for (let i = 0; i < 20_000; i++) {
    assert.equal(peer.set(`m${i}`, makeValue(1, 5000)), Status.OK)
  }
  peer.verify()
})

t.test('without the maintainer lists are not segmented', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented', maintainer: false })
  peer.set('a', makeValue(1, LENGTH))
  t.equal(counts(arena).cold, 1)
})

/** Percent that is left of a set used again, after a scan of three times the memory. */
function scan({ peer, arena }: { peer: Peer; arena: Arena }, upkeepEvery: number): number {
  const room = Math.floor((4 * MIB) / (LENGTH + 100))
  const used = Math.floor(room * 0.3)
  fill(peer, 'before', room)
  runUpkeep(peer)
  fill(peer, 'used', used)
  for (let i = 0; i < used; i++) for (let times = 0; times < 2; times++) peer.get(`used${i}`)
  runUpkeep(peer)
  for (let i = 0; i < 3 * room; i++) {
    if (i % upkeepEvery === 0) turn(peer)
    peer.set(`scan${i}`, makeValue(1, LENGTH))
  }
  peer.verify()
  assert(sumOf(arena, ClassCounter.EVICTED) > 2 * room)
  let left = 0
  for (let i = 0; i < used; i++) if (peer.get(`used${i}`) !== undefined) left++
  return Math.round((left / used) * 100)
}

function createPeer(options: Partial<CacheOptions>): { peer: Peer; arena: Arena } {
  const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB, hashpower: 6, ...options }))
  return { peer, arena: peer.cache.shards[0].arena }
}

function fill(peer: Peer, name: string, count: number): void {
  for (let i = 0; i < count; i++) peer.set(`${name}${i}`, makeValue(1, LENGTH))
}

function turn({ cache }: Peer): void {
  for (const index of cache.shards.keys()) cache.upkeep(index)
}

function runUpkeep({ cache }: Peer): void {
  for (let turn = 0; cache.upkeep(0) < UPKEEP_IDLE_MS; turn++) {
    if (turn > TURNS_MAX) throw new Error('upkeep has no end')
  }
}

function counts(arena: Arena): { hot: number; warm: number; cold: number; temp: number } {
  const of = (list: number) => {
    let sum = 0
    for (let id = 1; id <= arena.classCount; id++) {
      sum += arena.words[L.listAt(id, list) + L.LIST_COUNT]
    }
    return sum
  }
  return { hot: of(LIST_HOT), warm: of(LIST_WARM), cold: of(LIST_COLD), temp: of(LIST_TEMP) }
}

function sumOf(arena: Arena, counter: number): number {
  let sum = 0
  for (let id = 1; id <= arena.classCount; id++) sum += arena.counters[classCounterAt(id, counter)]
  return sum
}
