// Classes that hold only the last parts of long items: they have no item to evict, so a page of
// theirs is free only when the items with parts in it go. Such classes must not block anything.

import assert from 'node:assert/strict'
import t from 'tap'
import { KIB, MIB } from '../../../lib/bytes/units.ts'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import { Counter, counterAt } from '../../../lib/engine/arena/counters.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { classFor, hasChunk, pagesAboveLimit } from '../../../lib/engine/chunks/slabs.ts'
import { ROOM_STEPS_MAX, UPKEEP_IDLE_MS } from '../../../lib/engine/limits.ts'
import { stepTowardsRoom } from '../../../lib/engine/room/room.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const TURNS_MAX = 10_000
/**
 * One page is the hash table's, and a long item has half of one page and most of half of another.
 */
const MEMORY = 65 * 64 * KIB
const LONG = 57_000
const SMALL = 500
const SMALL_WORDS = SMALL / 4 + 20
const seed = announceSeed(t)

t.test('pages of long items without requests go to items with requests', async t => {
  const { peer, arena } = createPeer()
  const random = createRandom(seed, 1)
  for (let i = 0; i < 40; i++) peer.set(`long${i}`, makeValue(i, LONG))
  for (let i = 0; i < 40_000; i++) {
    if (i % 100 === 0) runUpkeep(peer)
    const key = `small${random.below(6000)}`
    if (peer.get(key) === undefined) peer.set(key, makeValue(i, SMALL))
    if (i % 200 === 0) peer.get(`long${random.below(4)}`)
  }
  peer.verify()
  const moved = arena.counters[counterAt(Counter.SLABS_MOVED)]
  t.comment(`${moved} pages moved, ${arena.words[L.ITEM_COUNT]} items`)
  t.ok(moved > 10, 'of the 40 that long items had')
})

t.test('a class without a page gets one in few steps', async t => {
  const { peer, arena } = createPeer()
  for (let i = 0; i < 100; i++) peer.set(`long${i}`, makeValue(i, LONG))
  let steps = 0
  const small = classFor(arena, SMALL_WORDS)
  while (stepTowardsRoom(arena, small, 1, steps) && steps < ROOM_STEPS_MAX) steps++
  t.ok(steps < 100, `${steps} steps`)
  t.ok(hasChunk(arena, small))
  peer.verify()
})

t.test('a lower limit is reached without waiting for them', async t => {
  const { peer, arena } = createPeer()
  for (let i = 0; i < 100; i++) peer.set(`long${i}`, makeValue(i, LONG))
  peer.cache.setMemoryLimit(2 * MIB)
  t.ok(pagesAboveLimit(arena) > 20)
  runUpkeep(peer)
  t.ok(pagesAboveLimit(arena) <= 0)
  t.ok(arena.words[L.ITEM_COUNT] > 20)
  peer.verify()
})

function createPeer(): { peer: Peer; arena: Arena } {
  const options = { memoryBytes: MEMORY, hashpower: 6, eviction: 'worth', fitted: false } as const
  const peer = new Peer(Cache.create(options))
  const { arena } = peer.cache.shards[0]
  assert(arena.pageWords * 4 === 2 * 32_768, 'LONG fits the pages')
  return { peer, arena }
}

function runUpkeep({ cache }: Peer): void {
  for (let turn = 0; cache.upkeep(0) < UPKEEP_IDLE_MS; turn++) {
    if (turn > TURNS_MAX) throw new Error('upkeep has no end')
  }
}
