// Walks and crawls: every item is seen once, expired items are found everywhere in bounded steps,
// and classes where that never pays are left alone.

import t from 'tap'
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
import { Cache, type CacheOptions } from '../../../lib/engine/cache.ts'
import { keyAt } from '../../../lib/engine/items/item.ts'
import { allClasses, type ItemSink } from '../../../lib/engine/items/walk.ts'
import { CLASSES_MAX, UPKEEP_BUSY_MS, UPKEEP_IDLE_MS } from '../../../lib/engine/limits.ts'
import { Mode, Order, Status } from '../../../lib/engine/status.ts'
import { CRAWL_WAIT_S_MAX } from '../../../lib/engine/upkeep/crawl.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const TURNS_MAX = 10_000
const seed = announceSeed(t)

/** Records the keys that it is shown, and stops before every `stopEvery`th. */
class KeySink implements ItemSink {
  readonly keys: string[] = []
  readonly #stopEvery: number
  #calls = 0

  constructor(stopEvery = 0) {
    this.#stopEvery = stopEvery
  }

  take(arena: Arena, ref: Ref): boolean {
    if (this.#stopEvery > 0 && ++this.#calls % this.#stopEvery === 0) return false
    const at = keyAt(arena, ref)
    const length = L.metaKeyBytes(arena.words[ref + L.ITEM_META])
    this.keys.push(arena.area.bytes.toString('latin1', at, at + length))
    return true
  }
}

t.test('a walk sees each item once, however often its sink has no room', async t => {
  const random = createRandom(seed)
  for (const stopEvery of [0, 2, 7]) {
    const peer = createPeer({ memoryBytes: 8 * MIB, shards: 2 })
    const keys = new Set<string>()
    for (let i = 0; i < 3000; i++) {
      peer.set(`k${i}`, makeValue(i, Math.floor(2 ** (random.below(170) / 10))))
      if (random.once(5)) peer.remove(`k${random.below(i + 1)}`)
    }
    for (let i = 0; i < 3000; i++) if (peer.get(`k${i}`) !== undefined) keys.add(`k${i}`)
    const sink = new KeySink(stopEvery)
    walkAll(peer, sink)
    t.same(sink.keys.sort(), [...keys].sort(), `${keys.size} items`)
  }
})

t.test('a walk shows neither dead items nor items that are only held', async t => {
  const peer = createPeer()
  peer.set('stays', makeValue(1, 100))
  peer.set('ends', makeValue(1, 100), { expiresAtS: peer.nowS() + 5 })
  peer.set('removed', makeValue(1, 90_000))
  const held = peer.hold('removed')
  peer.begin(Mode.SET, 'begun', 90_000)
  peer.remove('removed')
  peer.setClock(peer.nowS() + 5)
  const sink = new KeySink()
  walkAll(peer, sink)
  t.same(sink.keys, ['stays'])
  if (held !== undefined) peer.release(held)
})

t.test('a walk of some classes keeps to them, and a list is shown newest first', async t => {
  const peer = createPeer()
  for (let i = 0; i < 20; i++) peer.set(`short${i}`, makeValue(i, 10))
  for (let i = 0; i < 20; i++) peer.set(`long${i}`, makeValue(i, 3000))
  const classId = classOf(peer, 'long1')
  const classes = new Uint8Array(CLASSES_MAX)
  classes[classId] = 1
  const sink = new KeySink()
  walkAll(peer, sink, classes)
  t.equal(sink.keys.length, 20)
  t.ok(sink.keys.every(key => key.startsWith('long')))
  const newest = new KeySink()
  peer.cache.shards[0].walkList(classId, 3, newest)
  t.same(newest.keys, ['long19', 'long18', 'long17'])
  const all = new KeySink()
  peer.cache.shards[0].walkList(classId, 0, all)
  t.equal(all.keys.length, 20)
})

t.test('a crawl reclaims expired items, behind live ones and in every class', async t => {
  const peer = createPeer({ memoryBytes: 8 * MIB, shards: 2 })
  const endsAtS = peer.nowS() + 10
  for (let i = 0; i < 4000; i++) {
    const expiresAtS = i % 3 === 0 ? endsAtS : 0
    peer.set(`k${i}`, makeValue(i, i % 100 === 0 ? 40_000 : i % 700), { expiresAtS })
  }
  const held = peer.hold('k300')
  peer.setClock(endsAtS)
  t.equal(peer.cache.crawl(), Order.OK)
  t.equal(peer.cache.crawl(), Order.BUSY)
  runUpkeep(peer)
  t.equal(itemCount(peer), 4000 - 1334)
  t.equal(sumOf(peer, ClassCounter.CRAWLER_RECLAIMED), 1334)
  t.equal(sumOf(peer, ClassCounter.CRAWLER_CHECKED), 4000)
  t.equal(sumOf(peer, ClassCounter.EXPIRED_UNFETCHED), 1333, 'all but the one that was held')
  t.ok(peer.get('k1'))
  if (held !== undefined) t.ok(peer.read(held, 0, held.valueBytes), 'a held value is still there')
  if (held !== undefined) peer.release(held)
  peer.verify()
})

t.test('without evictions the room that a crawl found is used', async t => {
  const peer = createPeer({ memoryBytes: 4 * MIB, evictions: false, fitted: false })
  const endsAtS = peer.nowS() + 10
  let stored = 0
  while (
    peer.set(`k${stored}`, makeValue(1, 1000), { expiresAtS: stored < 500 ? 0 : endsAtS }) === 0
  )
    stored++
  t.ok(stored > 2000)
  peer.setClock(endsAtS)
  t.equal(peer.set('new', makeValue(1, 1000)), Status.OK, 'without a crawl too')
  peer.cache.crawl()
  runUpkeep(peer)
  t.equal(itemCount(peer), 501)
  t.equal(peer.set('newer', makeValue(1, 1000)), Status.OK)
  peer.verify()
})

t.test('a crawl checks as many items of a class as ordered', async t => {
  const peer = createPeer({ fitted: false })
  for (let i = 0; i < 300; i++) peer.set(`short${i}`, makeValue(i, 10))
  for (let i = 0; i < 20; i++) peer.set(`long${i}`, makeValue(i, 3000))
  peer.cache.setCrawlerItemsMax(50)
  t.equal(peer.cache.crawl(), Order.OK)
  runUpkeep(peer)
  t.equal(sumOf(peer, ClassCounter.CRAWLER_CHECKED), 70)
})

t.test('a crawl is refused, stopped, and not started without items', async t => {
  const peer = createPeer({ crawlerSleepUs: 5000 })
  t.equal(peer.cache.crawl(), Order.NOT_STARTED)
  for (let i = 0; i < 20_000; i++) peer.set(`k${i}`, makeValue(i, 10))
  peer.cache.crawlerEnable(false)
  t.equal(peer.cache.crawl(), Order.OFF)
  peer.cache.crawlerEnable(true)
  t.equal(peer.cache.crawl(), Order.OK)
  t.equal(peer.cache.upkeep(0), 5, 'it rests as long as it is told')
  peer.cache.setCrawlerSleepUs(0)
  t.equal(peer.cache.upkeep(0), UPKEEP_BUSY_MS)
  peer.cache.crawlerEnable(false)
  t.equal(peer.cache.upkeep(0), UPKEEP_IDLE_MS)
  t.ok(sumOf(peer, ClassCounter.CRAWLER_CHECKED) < 20_000)
})

t.test('another thread continues an ordered crawl', async t => {
  const peer = createPeer()
  for (let i = 0; i < 20_000; i++) peer.set(`k${i}`, makeValue(i, 10))
  peer.cache.crawl()
  peer.cache.upkeep(0)
  const heir = new Peer(Cache.attach(peer.cache.handle, 2))
  runUpkeep(heir)
  t.equal(sumOf(peer, ClassCounter.CRAWLER_CHECKED), 20_000)
})

t.test(
  'a class where items end is crawled unasked, one where none does ever less often',
  async t => {
    const peer = createPeer({ maintainer: true })
    const { arena } = peer.cache.shards[0]
    peer.cache.upkeep(0)
    const startS = peer.nowS()
    for (let i = 0; i < 300; i++) peer.set(`lasting${i}`, makeValue(i, 10))
    let missed = 0
    for (let second = 1; second <= 7200; second++) {
      const expiresAtS = peer.nowS() + 20
      if (second % 10 === 0) peer.set(`ending${second}`, makeValue(1, 3000), { expiresAtS })
      peer.setClock(startS + second)
      runUpkeep(peer)
      missed = Math.max(missed, itemCount(peer) - 300)
    }
    t.ok(missed < 15, `${missed} items at most were there though 3 were alive`)
    const lasting = classCounterAt(classOf(peer, 'lasting1'), ClassCounter.CRAWLER_CHECKED)
    const crawls = arena.counters[lasting] / 300
    t.ok(crawls > 3 && crawls < 25, `${crawls} crawls of items that never end in two hours`)
    t.ok(arena.counters[counterAt(Counter.CRAWLER_STARTS)] > 400)
    t.ok(CRAWL_WAIT_S_MAX >= 3600)
  },
)

t.test('without the maintainer nothing is crawled automatically', async t => {
  const peer = createPeer()
  peer.cache.upkeep(0)
  peer.set('ends', makeValue(1, 10), { expiresAtS: peer.nowS() + 2 })
  peer.setClock(peer.nowS() + 100)
  runUpkeep(peer)
  t.equal(itemCount(peer), 1)
})

function createPeer(options: Partial<CacheOptions> = {}): Peer {
  return new Peer(
    Cache.create({ memoryBytes: 4 * MIB, hashpower: 6, maintainer: false, ...options }),
  )
}

function walkAll(peer: Peer, sink: ItemSink, classes = allClasses()): void {
  for (const shard of peer.cache.shards) {
    const cursor = { page: 0, chunk: 0 }
    for (let step = 0; shard.walk(cursor, classes, sink); step++) {
      if (step > TURNS_MAX) throw new Error('a walk has no end')
    }
  }
}

/** Does upkeep until no arena has more to do. */
function runUpkeep(peer: Peer): void {
  for (const index of peer.cache.shards.keys()) {
    for (let turn = 0; peer.cache.upkeep(index) < UPKEEP_IDLE_MS; turn++) {
      if (turn > TURNS_MAX) throw new Error('upkeep has no end')
    }
  }
}

function itemCount(peer: Peer): number {
  return peer.cache.shards.reduce((sum, { arena }) => sum + arena.words[L.ITEM_COUNT], 0)
}

function sumOf(peer: Peer, counter: number): number {
  let sum = 0
  for (const { arena } of peer.cache.shards) {
    for (let id = 1; id <= arena.classCount; id++)
      sum += arena.counters[classCounterAt(id, counter)]
  }
  return sum
}

/** The class of an item. */
function classOf(peer: Peer, key: string): number {
  const { arena } = peer.cache.shards[0]
  for (let id = 1; id <= arena.classCount; id++) {
    const sink = new KeySink()
    peer.cache.shards[0].walkList(id, 0, sink)
    if (sink.keys.includes(key)) return id
  }
  throw new Error(`${key} is in no class`)
}
