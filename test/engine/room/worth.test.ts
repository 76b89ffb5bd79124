// Eviction by worth: an item used once while it is new stays, a scan passes through, and pages go
// to the class where they avoid most misses.

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
import { classFor } from '../../../lib/engine/chunks/slabs.ts'
import { type EvictionName, UPKEEP_IDLE_MS, VICTIM_TRIES_MAX } from '../../../lib/engine/limits.ts'
import { Status } from '../../../lib/engine/status.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const TURNS_MAX = 10_000
const LENGTH = 500
const SMALL = 100
const LARGE = 4000
const seed = announceSeed(t)

t.test('an item used once while it is new survives a scan', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  const used = 500
  for (let i = 0; i < used; i++) {
    peer.set(keyOf('used', i), makeValue(i, LENGTH))
    peer.get(keyOf('used', i))
  }
  t.equal(countOf(arena, L.LIST_COLD), used, 'nothing is moved before a victim is wanted')
  for (let i = 0; i < 50_000; i++) {
    peer.set(keyOf('scan', i), makeValue(i, LENGTH))
    if (i % 1000 === 0) runUpkeep(peer)
  }
  peer.verify()
  t.ok(sumOf(arena, ClassCounter.EVICTED) > 40_000)
  let hits = 0
  for (let i = 0; i < used; i++) if (peer.get(keyOf('used', i)) !== undefined) hits++
  // A search that meets only used items stops after VICTIM_TRIES_MAX of them and evicts one.
  t.ok(hits >= used - used / VICTIM_TRIES_MAX, `${hits} of ${used}`)
})

t.test('items that are no longer used are evicted in the end', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  let oldLeft = 0
  for (const name of ['old', 'new']) {
    for (let i = 0; i < 20_000; i++) {
      peer.set(keyOf(name, i), makeValue(i, LENGTH))
      peer.get(keyOf(name, i))
      if (i % 1000 === 0) runUpkeep(peer)
    }
  }
  peer.verify()
  for (let i = 0; i < 20_000; i++) if (peer.get(keyOf('old', i)) !== undefined) oldLeft++
  t.equal(oldLeft, 0)
  const cold = countOf(arena, L.LIST_COLD)
  const warm = countOf(arena, L.LIST_WARM)
  const share = probationOf(arena, classOf(arena, LENGTH))
  t.ok(cold <= (cold + warm) * share + 1, `${cold} cold, ${warm} warm, share ${share}`)
})

t.test('a held item at the tail of a list is skipped', async t => {
  const { peer, arena } = createPeer({})
  peer.set('held', makeValue(1, LENGTH))
  const held = peer.hold('held')
  assert(held !== undefined)
  for (let i = 0; i < 20_000; i++) peer.set(`k${i}`, makeValue(i, LENGTH))
  peer.verify()
  t.ok(peer.get('held') !== undefined)
  t.ok(sumOf(arena, ClassCounter.EVICTED) > 10_000)
  held.shard.release(held.hold)
})

t.test('an item that is only held does not count as kept', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  const large = 30_000
  for (let i = 0; i < 20; i++) peer.set(`k${i}`, makeValue(i, large))
  for (let i = 0; i < 20_000; i++) peer.set(`small${i}`, makeValue(i, SMALL))
  const held = Array.from({ length: 16 }, (_, i) => peer.hold(`k${i}`))
  for (let i = 20; i < 1000; i++) peer.set(`k${i}`, makeValue(i, large))
  peer.verify()
  t.ok(sumOf(arena, ClassCounter.EVICTED) > 900)
  const kept =
    sumOf(arena, ClassCounter.MOVES_TO_WARM) + sumOf(arena, ClassCounter.MOVES_WITHIN_LRU)
  t.equal(kept, held.length, 'each once, for the get that holds it')
  for (const hold of held) if (hold !== undefined) peer.release(hold)
})

t.test('a store finds room though the coldest items lie on a page that moves', async t => {
  const { moved } = mix('worth', createRandom(3_285_786_001, 2))
  t.ok(moved > 0, 'and every store succeeded')
})

t.test('at the same rate of hits small items take the pages of large ones', async t => {
  const [worth, lru] = (['worth', 'segmented'] as const).map(eviction => mix(eviction))
  t.comment(`pages of small items ${worth.pages}, segmented ${lru.pages}`)
  t.comment(`hits ${worth.hits}, segmented ${lru.hits}`)
  t.ok(worth.moved > 0)
  t.ok(worth.pages > lru.pages)
  t.ok(worth.hits > lru.hits * 1.05)
})

t.test('pages stay in classes with hits and leave classes without', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  const random = createRandom(seed, 3)
  const small = classOf(arena, SMALL)
  const large = classOf(arena, LARGE)
  for (let i = 0; i < 100_000; i++) peer.set(`small${i}`, makeValue(i, SMALL))
  assert(pagesOf(arena, large) <= 1)
  for (let i = 0; i < 60_000; i++) {
    if (i % 500 === 0) runUpkeep(peer)
    if (i % 20_000 === 0) peer.setClock(peer.nowS() + 60)
    ask(peer, `large${random.below(800)}`, LARGE)
    peer.set(`once${i}`, makeValue(i, SMALL))
  }
  peer.verify()
  const pages = pagesOf(arena, large)
  t.comment(`pages of large items that are used: ${pages}, of small ones: ${pagesOf(arena, small)}`)
  t.ok(pages > 40, 'of 64: small ones are never used again')
})

t.test('a class that was emptied gives its pages to one that evicts', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  const random = createRandom(seed, 4)
  const large = classOf(arena, LARGE)
  for (let i = 0; i < 200; i++) peer.set(`large${i}`, makeValue(i, LARGE))
  for (let i = 0; i < 100_000; i++) {
    if (i % 500 === 0) runUpkeep(peer)
    ask(peer, `small${random.below(40_000)}`, SMALL)
  }
  assert(pagesOf(arena, large) <= 2)
  for (let i = 0; i < 40_000; i++) peer.remove(`small${i}`)
  for (let i = 0; i < 3000; i++) {
    if (i % 50 === 0) runUpkeep(peer)
    peer.set(`large${i}`, makeValue(i, LARGE))
  }
  peer.verify()
  t.ok(pagesOf(arena, large) > 6, `${pagesOf(arena, large)} pages`)
})

t.test('pages are weighed, however much another mode evicted before', async t => {
  const { peer, arena } = createPeer({ fitted: false, eviction: 'segmented' })
  const large = classOf(arena, LARGE)
  for (let i = 0; i < 50_000; i++) peer.set(`small${i}`, makeValue(i, SMALL))
  arena.words[L.PAGEFULS_EVICTED] = 2 ** 31 + 5
  arena.words[L.ITEMS_EVICTED] = 2 ** 31 + 5
  peer.cache.setEviction('worth')
  for (let i = 0; i < 20_000; i++) {
    ask(peer, `large${i % 200}`, LARGE)
    if (i % 50 === 0) runUpkeep(peer)
  }
  t.ok(pagesOf(arena, large) > 4, `${pagesOf(arena, large)} pages`)
})

t.test('no class gives a page to itself, whatever the ratio', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  peer.cache.setAutomoveRatio(3)
  for (let i = 0; i < 50_000; i++) {
    peer.set(`k${i}`, makeValue(i, LENGTH))
    if (i % 100 === 0) runUpkeep(peer)
  }
  t.equal(arena.counters[counterAt(Counter.SLABS_MOVED)], 0)
})

t.test('without automove pages stay', async t => {
  const { peer, arena } = createPeer({ fitted: false, automove: 0 })
  for (let i = 0; i < 50_000; i++) peer.set(`small${i}`, makeValue(i, SMALL))
  for (let i = 0; i < 5000; i++) ask(peer, `large${i % 500}`, LARGE)
  runUpkeep(peer)
  t.equal(
    arena.counters[counterAt(Counter.SLABS_MOVED)],
    1,
    'the one that a class cannot do without',
  )
})

t.test('the mode changes at run time', async t => {
  const { peer, arena } = createPeer({ eviction: 'segmented' })
  const random = createRandom(seed, 5)
  for (const eviction of ['segmented', 'worth', 'lru', 'worth', 'segmented'] as const) {
    peer.cache.setEviction(eviction)
    for (let i = 0; i < 20_000; i++) {
      ask(peer, `k${random.below(15_000)}`, LENGTH)
      if (i % 1000 === 0) runUpkeep(peer)
    }
    runUpkeep(peer)
    peer.verify()
    t.equal(peer.cache.eviction(), eviction)
    if (eviction !== 'segmented')
      t.equal(countOf(arena, L.LIST_HOT), 0, `${eviction}: no hot items`)
    if (eviction === 'lru') t.equal(countOf(arena, L.LIST_WARM), 0, `${eviction}: no warm items`)
    else t.ok(countOf(arena, L.LIST_WARM) > 0, `${eviction}: warm items`)
  }
})

/** Small and large items that are requested equally often, in turn. */
function mix(eviction: EvictionName, random = createRandom(seed, 2)) {
  const { peer, arena } = createPeer({ eviction, fitted: false })
  let hits = 0
  for (let i = 0; i < 120_000; i++) {
    if (i % 100 === 0) runUpkeep(peer)
    if (i % 10_000 === 0) peer.setClock(peer.nowS() + 1)
    // The square favours low numbers.
    const id = Math.floor(random.below(10_000) ** 2 / 10_000)
    if (ask(peer, `${i % 2}-${id}`, i % 2 === 0 ? SMALL : LARGE)) hits++
  }
  peer.verify()
  const pages = pagesOf(arena, classOf(arena, SMALL))
  return { hits, pages, moved: arena.counters[counterAt(Counter.SLABS_MOVED)] }
}

/** Keys of one length, so that their items have the same class. */
function keyOf(name: string, i: number): string {
  return name + String(i).padStart(8, '0')
}

/** A get, and a set after a miss, as applications do. Returns whether it hit. */
function ask(peer: Peer, key: string, length: number): boolean {
  if (peer.get(key) !== undefined) return true
  assert.equal(peer.set(key, makeValue(1, length)), Status.OK)
  return false
}

function createPeer(options: Partial<CacheOptions>): { peer: Peer; arena: Arena } {
  const settings = { memoryBytes: 4 * MIB, hashpower: 6, eviction: 'worth' as const, ...options }
  const peer = new Peer(Cache.create(settings))
  return { peer, arena: peer.cache.shards[0].arena }
}

function runUpkeep({ cache }: Peer): void {
  for (let turn = 0; cache.upkeep(0) < UPKEEP_IDLE_MS; turn++) {
    if (turn > TURNS_MAX) throw new Error('upkeep has no end')
  }
}

/** The class of items with values of this length and keys of a few bytes. */
function classOf(arena: Arena, length: number): number {
  return classFor(arena, L.ITEM_WORDS + Math.ceil((length + 8) / 4))
}

/** The share of a class for new items, 0 to 1. */
function probationOf({ words }: Arena, classId: number): number {
  return words[L.classAt(classId) + L.CLASS_PROBATION] / L.PROBATION_ONE
}

function pagesOf({ words }: Arena, classId: number): number {
  return words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
}

function countOf({ words, classCount }: Arena, list: number): number {
  let sum = 0
  for (let id = 1; id <= classCount; id++) sum += words[L.listAt(id, list) + L.LIST_COUNT]
  return sum
}

function sumOf({ counters, classCount }: Arena, counter: number): number {
  let sum = 0
  for (let id = 1; id <= classCount; id++) sum += counters[classCounterAt(id, counter)]
  return sum
}
