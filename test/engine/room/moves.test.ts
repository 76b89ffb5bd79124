// Page moves, on command, by balance and for a new memory limit: items of a page are found again
// with their values wherever they went, and are evicted only if no memory is left.

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
import { lock, unlock } from '../../../lib/engine/arena/lock.ts'
import { Cache, type CacheOptions } from '../../../lib/engine/cache.ts'
import { hasChunk, pagesAboveLimit } from '../../../lib/engine/chunks/slabs.ts'
import { keyAt } from '../../../lib/engine/items/item.ts'
import { UPKEEP_IDLE_MS } from '../../../lib/engine/limits.ts'
import {
  Busy,
  MOVE_WAIT_S_MAX,
  MovePhase,
  POOL,
  startMove,
  stepMove,
} from '../../../lib/engine/room/moves.ts'
import { Mode, Order, Status } from '../../../lib/engine/status.ts'
import { Upkeep } from '../../../lib/engine/upkeep/upkeep.ts'
import { Peer } from '../../support/engine-peer.ts'
import { isWhole, makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const TURNS_MAX = 5000
const KINDS = [20, 700, 9000, 90_000]
const seed = announceSeed(t)

t.test('items of a page that moves are found again, in chain, list and value', async t => {
  for (const length of KINDS) {
    const { peer, arena } = createPeer()
    const random = createRandom(seed, length)
    const count = Math.floor(MIB / length)
    for (let i = 0; i < count; i++) peer.set(`k${i}`, makeValue(i, length))
    for (let i = 0; i < count; i++) if (random.once(2)) peer.remove(`k${i}`)
    const classId = fullestClass(arena)
    const before = list(arena, classId)
    const items = arena.words[L.ITEM_COUNT]
    const pages = pagesOf(arena, classId)
    const toClass = classId === 2 ? 3 : 2
    t.equal(peer.cache.reassignPage(classId, toClass), Order.OK)
    t.equal(peer.cache.reassignPage(classId, toClass), Order.BUSY)
    stepThrough(peer, random)
    t.equal(arena.words[L.ITEM_COUNT], items, `${length} bytes: nothing is lost`)
    t.equal(pagesOf(arena, classId), pages - 1)
    t.same(list(arena, classId), before, 'the list is in the same order')
    for (let i = 0; i < count; i++) {
      const hit = peer.get(`k${i}`)
      assert(hit === undefined || hit.value.equals(makeValue(i, length)), `k${i}`)
    }
    t.ok(counter(arena, Counter.MOVE_RESCUES) + counter(arena, Counter.MOVE_CHUNK_RESCUES) > 0)
    t.equal(counter(arena, Counter.SLABS_MOVED), 1)
  }
})

t.test('in a full memory the coldest items are evicted, one for each moved item', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  let count = 0
  while (evictions(arena) === 0) peer.set(`k${count++}`, makeValue(count, 700))
  const classId = fullestClass(arena)
  const perPage = arena.words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE]
  peer.setClock(peer.nowS() + 100)
  for (let i = count - 1; i > count / 2; i--) peer.get(`k${i}`)
  const items = arena.words[L.ITEM_COUNT]
  t.equal(peer.cache.reassignPage(classId, POOL), Order.OK)
  stepThrough(peer, createRandom(seed, 1))
  t.equal(items - arena.words[L.ITEM_COUNT], perPage)
  t.equal(counter(arena, Counter.MOVE_EVICTIONS_NO_MEMORY), perPage)
  t.equal(arena.words[L.POOL_COUNT], 1)
  for (let i = count - 1; i > count / 2; i--) assert(peer.get(`k${i}`), 'what was used stays')
  peer.set('next', makeValue(1, 20))
  t.equal(arena.words[L.POOL_COUNT], 0, 'the next class in need takes it')
})

t.test('orders empty a class into the pool, however much memory is free', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  for (let i = 0; i < 1500; i++) peer.set(`k${i}`, makeValue(i, 700))
  t.equal(evictions(arena), 0)
  const classId = fullestClass(arena)
  const pages = pagesOf(arena, classId)
  assert(pages > 10)
  for (let left = pages - 1; left > 0; left--) {
    t.equal(peer.cache.reassignPage(classId, POOL), Order.OK)
    stepThrough(peer, createRandom(seed, left))
    t.equal(pagesOf(arena, classId), left)
  }
  t.equal(peer.cache.reassignPage(classId, POOL), Order.NO_SPARE)
  t.equal(arena.words[L.POOL_COUNT], pages - 1)
  peer.verify()
})

t.test('a class gives no page to the pool unasked if it would take another one', async t => {
  const { peer, arena } = createPeer({ fitted: false })
  for (let i = 0; i < 1500; i++) peer.set(`k${i}`, makeValue(i, 700))
  const classId = fullestClass(arena)
  const pages = pagesOf(arena, classId)
  t.equal(startMove(arena, classId, POOL), Order.OK)
  stepThrough(peer, createRandom(seed, 3))
  t.equal(pagesOf(arena, classId), pages)
  t.equal(counter(arena, Counter.SLABS_MOVED), 0)
  for (let i = 0; i < 1500; i++) assert(peer.get(`k${i}`), 'nothing is lost')
  peer.verify()
})

t.test('without evictions a full class keeps its pages', async t => {
  const { peer, arena } = createPeer({ evictions: false })
  let count = 0
  while (peer.set(`k${count}`, makeValue(count, 700)) === Status.OK) count++
  t.equal(peer.cache.reassignPage(fullestClass(arena), 1), Order.OK)
  stepThrough(peer, createRandom(seed, 2))
  for (let i = 0; i < count; i++) assert(peer.get(`k${i}`)?.value.equals(makeValue(i, 700)))
  t.equal(counter(arena, Counter.MOVE_BUSY_NO_MEMORY), 1)
  t.equal(counter(arena, Counter.SLABS_MOVED), 0)
  t.equal(peer.cache.setMemoryLimit(3 * MIB), Order.OK)
  runUpkeep(peer)
  for (let i = 0; i < count; i++) assert(peer.get(`k${i}`)?.value.equals(makeValue(i, 700)))
  for (let i = 0; i < count; i++) if (i % 2 === 0) peer.remove(`k${i}`)
  runSeconds(peer, 5, () => {})
  t.equal(pagesAboveLimit(arena), 0)
  for (let i = 1; i < count; i += 2) assert(peer.get(`k${i}`)?.value.equals(makeValue(i, 700)))
})

t.test('a held item moves once it is released, and keeps its page until then', async t => {
  const { peer, arena } = createPeer()
  for (let i = 0; i < 2000; i++) peer.set(`k${i}`, makeValue(i, 700))
  for (let i = 1800; i < 2000; i++) peer.remove(`k${i}`)
  const classId = fullestClass(arena)
  const short = peer.hold('k0')
  assert(short !== undefined)
  t.equal(peer.cache.reassignPage(classId, POOL), Order.OK)
  runUpkeep(peer)
  t.equal(arena.words[L.MOVE_PHASE], MovePhase.EVACUATE, 'it waits')
  t.ok(peer.get('k0')?.value.equals(makeValue(0, 700)), 'others find the copy')
  t.equal(arena.words[L.MOVE_LAST_BUSY], Busy.UPLOADING)
  t.ok(peer.read(short, 0, 700).equals(makeValue(0, 700)))
  peer.release(short)
  runUpkeep(peer)
  t.equal(arena.words[L.POOL_COUNT], 1)

  peer.set('long', makeValue(1, 60_000))
  const long = peer.hold('long')
  assert(long !== undefined)
  t.equal(peer.cache.reassignPage(arena.baseClasses, POOL), Order.NO_SPARE, 'its only page')
  peer.set('longer', makeValue(2, 60_000))
  t.equal(peer.cache.reassignPage(arena.baseClasses, POOL), Order.OK)
  runSeconds(peer, MOVE_WAIT_S_MAX, () => {})
  t.equal(arena.words[L.MOVE_PHASE], MovePhase.EVACUATE, 'it waits')
  runSeconds(peer, 2, () => {})
  t.equal(arena.words[L.MOVE_PHASE], MovePhase.NONE, 'the move was given up')
  t.equal(arena.words[L.MOVE_LAST_BUSY], Busy.ACTIVE)
  t.ok(peer.read(long, 0, 60_000).equals(makeValue(1, 60_000)))
  peer.release(long)
  peer.verify()
})

t.test('impossible orders are refused', async t => {
  const { peer, arena } = createPeer()
  peer.set('a', makeValue(1, 20))
  t.equal(peer.cache.reassignPage(5, 5), Order.SAME)
  t.equal(peer.cache.reassignPage(1, arena.classCount + 1), Order.BAD_CLASS)
  t.equal(peer.cache.reassignPage(-2, 1), Order.BAD_CLASS)
  t.equal(peer.cache.reassignPage(-1, 1), Order.BAD_CLASS, 'there is no class with two pages')
  t.equal(peer.cache.reassignPage(7, 1), Order.NO_SPARE)
  t.equal(peer.cache.reassignPage(POOL, 9), Order.OK, 'a page that nobody has')
  runUpkeep(peer)
  t.equal(pagesOf(arena, 9), 1)
  const off = createPeer({ reassign: false })
  t.equal(off.peer.cache.reassignPage(-1, 1), Order.OFF)
})

t.test('with several arenas, the one with most pages gives', async t => {
  const { peer } = createPeer({ memoryBytes: 8 * MIB, shards: 2, fitted: false })
  for (let i = 0; i < 3000; i++) peer.set(`k${i}`, makeValue(i, 700))
  for (let i = 0; i < 3000; i += 2) peer.remove(`k${i}`)
  const [first, second] = peer.cache.shards.map(({ arena }) => arena)
  const classId = fullestClass(first)
  const before = pagesOf(first, classId) + pagesOf(second, classId)
  for (let i = 0; i < 6; i++) {
    t.equal(peer.cache.reassignPage(classId, 1), Order.OK)
    runUpkeep(peer)
  }
  t.ok(Math.abs(pagesOf(first, classId) - pagesOf(second, classId)) <= 1)
  t.equal(pagesOf(first, classId) + pagesOf(second, classId), before - 6)
})

t.test('a page goes to an arena that has fitted its class', async t => {
  const { peer, arena } = createPeer({ memoryBytes: 8 * MIB, shards: 2 })
  const classId = arena.baseClasses + 1
  t.equal(peer.cache.reassignPage(POOL, classId), Order.BAD_CLASS)
  const { arena: second } = peer.cache.shards[1]
  second.words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] = 100
  second.words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE] = Math.floor(second.pageWords / 100)
  t.equal(peer.cache.reassignPage(POOL, classId), Order.OK)
  runUpkeep(peer)
  t.same([pagesOf(arena, classId), pagesOf(second, classId)], [0, 1])
})

t.test('a class that evicts young items gets pages from an idle one', async t => {
  for (const automove of [0, 1, 2]) {
    const { peer, arena } = createPeer({ automove, crawler: false })
    for (let i = 0; evictions(arena) === 0; i++) peer.set(`old${i}`, makeValue(i, 3000))
    const old = fullestClass(arena)
    const before = pagesOf(arena, old)
    runSeconds(peer, 200, second => {
      for (let i = 0; i < 400; i++) peer.set(`young${i + second * 400}`, makeValue(i, 300))
    })
    const given = before - pagesOf(arena, old)
    if (automove === 0) t.ok(given <= 2, `${given} pages without balance`)
    else t.ok(given > 20, `${given} of ${before} pages with balance ${automove}`)
    t.ok(pagesOf(arena, old) >= 2, 'it keeps some')
    peer.verify()
  }
})

t.test('spare pages go to the pool', async t => {
  const { peer, arena } = createPeer({ automove: 1 })
  for (let i = 0; i < 3000; i++) peer.set(`k${i}`, makeValue(i, 700))
  for (let i = 0; i < 3000; i++) if (i % 10 !== 0) peer.remove(`k${i}`)
  runSeconds(peer, 100, () => {})
  t.ok(arena.words[L.POOL_COUNT] > 20, `${arena.words[L.POOL_COUNT]} pages`)
  for (let i = 0; i < 3000; i += 10) assert(peer.get(`k${i}`)?.value.equals(makeValue(i, 700)))
  t.equal(evictions(arena), 0)
})

t.test('the memory limit is lowered and raised at run time', async t => {
  const { peer } = createPeer({ memoryBytes: 16 * MIB, shards: 2, headroom: true })
  const { cache } = peer
  const arenas = cache.shards.map(({ arena }) => arena)
  const used = () =>
    arenas.reduce((sum, arena) => sum + pagesAboveLimit(arena) + arena.words[L.PAGE_LIMIT], 0)
  let serial = 0
  const fill = () => {
    for (let i = 0; i < 3000; i++) {
      const length = KINDS[i % 3]
      assert.equal(peer.set(`k${serial % 20_000}`, makeValue(serial++, length)), Status.OK)
      if (i % 50 === 0) cache.upkeep(i % 2)
    }
    runUpkeep(peer)
    peer.verify()
  }
  const pageBytes = arenas[0].pageWords * 4
  t.equal(cache.memoryLimitBytes(), 16 * MIB)
  for (let i = 0; i < 4; i++) fill()
  t.equal(used() * pageBytes, 16 * MIB)
  t.equal(cache.setMemoryLimit(6 * MIB), Order.OK)
  fill()
  t.equal(used() * pageBytes, 6 * MIB)
  t.equal(cache.memoryLimitBytes(), 6 * MIB)
  fill()
  t.equal(used() * pageBytes, 6 * MIB, 'it stays there')
  t.equal(cache.setMemoryLimit(40 * MIB), Order.OK)
  for (let i = 0; i < 8; i++) fill()
  t.ok(used() * pageBytes > 30 * MIB && used() * pageBytes <= 40 * MIB)
  t.equal(cache.setMemoryLimit(MIB), Order.TOO_SMALL)
  t.equal(cache.setMemoryLimit(4096 * MIB), Order.TOO_LARGE)
  for (let i = 0; i < 20_000; i++) {
    const hit = peer.get(`k${i}`)
    assert(hit === undefined || isWhole(hit.value))
  }
})

t.test('without headroom the limit cannot be raised', async t => {
  const { peer } = createPeer()
  t.equal(peer.cache.setMemoryLimit(5 * MIB), Order.TOO_LARGE)
  t.equal(peer.cache.setMemoryLimit(2 * MIB), Order.OK)
  t.equal(peer.cache.setMemoryLimit(4 * MIB), Order.OK)
})

t.test('uploads begun before a move end after it', async t => {
  const { peer, arena } = createPeer()
  for (let i = 0; i < 30; i++) peer.set(`k${i}`, makeValue(i, 90_000))
  const upload = peer.begin(Mode.SET, 'up', 300_000)
  assert(upload !== undefined)
  const value = makeValue(77, 300_000)
  for (let i = 0; i < 60; i++) {
    peer.cache.reassignPage(arena.baseClasses, POOL)
    peer.fill(upload, value.subarray(i * 5000, i * 5000 + 5000))
    peer.cache.upkeep(0)
    peer.verify()
  }
  t.equal(peer.commit(Mode.SET, upload), Status.OK)
  t.ok(peer.get('up')?.value.equals(value))
})

t.test('a limit lowered within a step ends the move', async t => {
  const { peer, arena } = createPeer()
  for (let i = 0; i < 100; i++) peer.set(`k${i}`, makeValue(i, 700))
  const classId = fullestClass(arena)
  for (let i = 100; hasChunk(arena, classId); i++) peer.set(`k${i}`, makeValue(i, 700))
  startMove(arena, classId, 2)
  while (arena.words[L.MOVE_PHASE] === MovePhase.WITHHOLD) stepMove(arena)
  let looks = 0
  const get = (words: Int32Array, at: string | symbol) =>
    at === String(L.PAGE_LIMIT) && ++looks > 1 ? 1 : Reflect.get(words, at, words)
  const words = new Proxy(arena.words, { get })
  stepMove(Object.create(arena, { words: { value: words } }))
  t.ok(looks > 1, 'another look at the limit')
  t.equal(arena.words[L.MOVE_PHASE], MovePhase.UNDO)
  for (let step = 0; step < 100; step++) stepMove(arena)
  peer.verify()
})

t.test('above the limit nothing is withheld without evictions', async t => {
  const { peer, arena } = createPeer({ evictions: false, fitted: false })
  for (let i = 0; peer.store(Mode.SET, `k${i}`, makeValue(i, 700)) === Status.OK; i++);
  for (let i = 0; i < 40; i++) peer.remove(`k${i}`)
  t.equal(peer.cache.setMemoryLimit(3 * MIB), Order.OK)
  const upkeep = new Upkeep(arena)
  for (let step = 0; step < 50; step++) {
    if (step % 10 === 0) peer.setClock(peer.nowS() + 1)
    upkeep.step()
    if (arena.words[L.MOVE_PHASE] !== MovePhase.NONE) t.fail(`step ${step}`)
  }
  for (let i = 0; i < 40; i++) t.equal(peer.set(`k${i}`, makeValue(i, 700)), Status.OK)
  peer.verify()
})

function createPeer(options: Partial<CacheOptions> = {}): { peer: Peer; arena: Arena } {
  const peer = new Peer(
    Cache.create({ memoryBytes: 4 * MIB, hashpower: 6, automove: 0, ...options }),
  )
  return { peer, arena: peer.cache.shards[0].arena }
}

/** Single steps of upkeep, with `verify` after each, and an item that comes or goes at times. */
function stepThrough(peer: Peer, random: ReturnType<typeof createRandom>): void {
  const { arena, holder } = peer.cache.shards[0]
  const upkeep = new Upkeep(arena)
  for (let step = 0; arena.words[L.MOVE_PHASE] !== MovePhase.NONE; step++) {
    if (step > TURNS_MAX) throw new Error('a move has no end')
    lock(arena.words, holder)
    upkeep.step()
    unlock(arena.words)
    if (random.once(4)) peer.get(`k${random.below(100)}`)
    peer.verify()
  }
}

function runUpkeep(peer: Peer): void {
  for (const index of peer.cache.shards.keys()) {
    for (let turn = 0; peer.cache.upkeep(index) < UPKEEP_IDLE_MS; turn++) {
      if (turn > TURNS_MAX) throw new Error('upkeep has no end')
    }
  }
}

function runSeconds(peer: Peer, seconds: number, work: (second: number) => void): void {
  for (let second = 0; second < seconds; second++) {
    peer.setClock(peer.nowS() + 1)
    work(second)
    runUpkeep(peer)
  }
}

function list(arena: Arena, classId: number): string[] {
  const { words } = arena
  const keys: string[] = []
  for (let ref = words[L.listAt(classId, L.LIST_COLD)]; ref !== L.NIL; ) {
    const meta = words[ref + L.ITEM_META]
    const at = keyAt(arena, ref as L.Ref)
    keys.push(arena.area.bytes.toString('latin1', at, at + L.metaKeyBytes(meta)))
    ref = words[ref + L.ITEM_LRU_NEXT]
  }
  return keys
}

function fullestClass(arena: Arena): number {
  let best = 1
  for (let id = 1; id <= arena.classCount; id++) {
    if (pagesOf(arena, id) > pagesOf(arena, best)) best = id
  }
  return best
}

function pagesOf(arena: Arena, classId: number): number {
  return arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
}

function counter(arena: Arena, index: number): number {
  return arena.counters[counterAt(index)]
}

function evictions(arena: Arena): number {
  let sum = 0
  for (let id = 1; id <= arena.classCount; id++) {
    sum += arena.counters[classCounterAt(id, ClassCounter.EVICTED)]
  }
  return sum
}
