// Memory at its limit: after each kind of fill an item of every size must still find room with
// bounded work, also with held victims, with all hold slots taken, and in arenas that must not
// evict.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import { HOLD_SLOTS_MAX } from '../../../lib/engine/arena/arena.ts'
import {
  ClassCounter,
  Counter,
  classCounterAt,
  counterAt,
} from '../../../lib/engine/arena/counters.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { pageRoom } from '../../../lib/engine/chunks/slabs.ts'
import { keyAt } from '../../../lib/engine/items/item.ts'
import { PAGE_BYTES_MIN, VICTIM_TRIES_MAX } from '../../../lib/engine/limits.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { type Held, Peer } from '../../support/engine-peer.ts'
import { isWhole, makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { someOf } from '../../support/runs.ts'

const KEY = 'wanted--'
const LONGEST = 2 * MIB - 59 - KEY.length
const NEARLY_LONGEST = LONGEST - 100
const LARGEST_CHUNKS = 128
const HEADER = L.ITEM_WORDS * 4

interface Fill {
  name: string
  run(peer: Peer): void
}

const seed = announceSeed(t)

const FILLS: Fill[] = [
  { name: 'the smallest class', run: peer => fillWith(peer, 6 * MIB, () => 20) },
  { name: 'a middle class', run: peer => fillWith(peer, 6 * MIB, () => 1000) },
  { name: 'the largest class', run: peer => fillWith(peer, 6 * MIB, () => 32_000) },
  { name: 'items of two chunks', run: peer => fillWith(peer, 6 * MIB, () => 40_000) },
  { name: 'items of many chunks', run: peer => fillWith(peer, 8 * MIB, () => 500_000) },
  { name: 'the longest items', run: peer => fillWith(peer, 9 * MIB, () => NEARLY_LONGEST) },
  { name: 'every size', run: fillMixed },
  { name: 'pages whose items are cold and hot in turn', run: fillInterleaved },
  { name: 'one class after the other', run: fillInTurn },
  { name: 'items that were all deleted', run: fillAndDelete },
  { name: 'items that have all ended', run: fillAndExpire },
]

for (const [part, fill] of FILLS.entries()) {
  t.test(`full of ${fill.name}, it stores every size`, async t => {
    const random = createRandom(seed, 100 + part)
    const peer = createPeer(true)
    const { arena } = peer.cache.shards[0]
    fill.run(peer)
    peer.verify()
    t.ok(arena.words[L.PAGES_USED] > pageRoom(arena) - 3, 'nearly all pages are used')
    const saved = arena.words.slice()
    for (const length of someOf(wantedLengths(arena), 4, random)) {
      arena.words.set(saved)
      const failure = storeOne(peer, length)
      if (failure !== '') t.fail(`${length} bytes: ${failure}`)
    }
    t.pass('all sizes')
  })
}

t.test('full of one size, it stores a complete fill of any other', async t => {
  const peer = createPeer(true)
  for (const length of [20, 5000, 31_000, 200_000, 100, 1_000_000, 700, 20, NEARLY_LONGEST, 3000]) {
    const refused = fillWith(peer, 5 * MIB, () => length)
    t.equal(refused, 0, `a fill of ${length} bytes each`)
    peer.verify()
  }
})

t.test('appending finds room in a full memory', async t => {
  const random = createRandom(seed, 1)
  const peer = createPeer(true)
  fillMixed(peer)
  let expected = Buffer.alloc(0)
  let evicted = 0
  t.equal(peer.set(KEY, expected), Status.OK)
  for (let i = 0; expected.length < 600_000; i++) {
    const part = makeValue(i, random.between(0, 40_000))
    const after = random.once(2)
    const mode = after ? Mode.APPEND : Mode.PREPEND
    const status = peer.store(mode, KEY, part)
    if (status === Status.OK) {
      expected = Buffer.concat(after ? [expected, part] : [part, expected])
    } else {
      // The page that the part got held some of the item, which was evicted like any other.
      assert.equal(status, Status.NOT_STORED)
      assert.equal(peer.get(KEY), undefined, 'refused though it is there')
      assert.equal(peer.set(KEY, expected), Status.OK)
      evicted++
    }
    assert(peer.get(KEY)?.value.equals(expected), 'another value')
    peer.verify()
  }
  t.ok(evicted < 6, `evicted ${evicted} times`)
})

for (const count of [1, 4, 5, 6, 20, VICTIM_TRIES_MAX - 1]) {
  t.test(`with ${count} held victims nothing is refused while others can be evicted`, async t => {
    for (const length of [20, 3000, 32_000, 70_000]) {
      const peer = createPeer(true)
      fillWith(peer, 6 * MIB, () => length)
      const held = holdColdest(peer, count)
      const wanted = held.length < count ? 10 : length
      t.equal(peer.set(KEY, makeValue(1, wanted)), Status.OK, `${length} bytes beside holds`)
      peer.verify()
      for (const { value, held: one } of held) {
        t.ok(peer.read(one, 0, one.valueBytes).equals(value), 'the held value is whole')
        peer.release(one)
      }
      peer.verify()
    }
  })
}

t.test('held pages alone do not make another class refuse', async t => {
  const peer = createPeer(true)
  // The pages of the large items stay theirs, though nobody uses them.
  peer.cache.setAutomove(0)
  fillWith(peer, 3 * MIB, () => 32_000)
  fillWith(peer, 4 * MIB, () => 1000)
  const held: Held[] = []
  for (let i = 0; i < 100; i++) {
    const one = peer.hold(`32000-${i}`)
    if (one !== undefined) held.push(one)
  }
  t.ok(held.length > 50)
  for (const length of [20, 5000, 20_000]) {
    t.equal(peer.set(KEY, makeValue(1, length)), Status.OK, `${length} bytes`)
  }
  for (const one of held) peer.release(one)
  peer.verify()
})

t.test('a memory full of held values refuses, and stores again after their release', async t => {
  const peer = createPeer(true)
  const held: Held[] = []
  while (peer.set(`m-${held.length}`, makeValue(held.length, 300_000)) === Status.OK) {
    const one = peer.hold(`m-${held.length}`)
    if (one === undefined || held.length > 20) break
    held.push(one)
  }
  t.ok(held.length >= 12, `${held.length} values of 300 kB in 4 MiB`)
  peer.verify()
  t.equal(peer.set(KEY, makeValue(1, 300_000)), Status.NO_MEMORY)
  for (const one of held) peer.release(one)
  peer.verify()
  for (const length of [10, 1000, 300_000, LONGEST]) t.equal(storeOne(peer, length), '')
})

t.test('all hold slots taken', async t => {
  const peer = createPeer(true)
  const held: Held[] = []
  t.equal(peer.set('a', makeValue(1, 100)), Status.OK)
  t.equal(peer.set('old', makeValue(2, 100)), Status.OK)
  t.equal(peer.set('n', Buffer.from('9')), Status.OK)
  for (let one = peer.hold('a'); one !== undefined; one = peer.hold('a')) held.push(one)
  t.equal(held.length, HOLD_SLOTS_MAX)
  t.equal(peer.status, Status.NO_MEMORY)
  peer.verify()
  t.equal(peer.begin(Mode.SET, 'old', 100), undefined)
  t.equal(peer.status, Status.NO_MEMORY)
  t.equal(peer.get('old'), undefined, 'nothing stale stays after a refused set')
  t.ok(peer.get('a'), 'a get that copies needs no slot')
  t.equal(peer.set('b', makeValue(3, 100)), Status.OK)
  t.equal(peer.set('a', makeValue(4, 100)), Status.OK, 'the held item is replaced')
  peer.verify()
  t.equal(peer.store(Mode.APPEND, 'b', makeValue(3, 100)), Status.OK, 'a join needs no slot')
  t.equal(peer.adjust('n', false, 1n), Status.OK, 'nor does a number that grows')
  t.equal(peer.touch('n', peer.nowS() + 100), Status.OK, 'nor does an item that learns to expire')
  peer.verify()
  for (const one of held) {
    if (peer.read(one, 0, 100).equals(makeValue(1, 100)) !== true) t.fail('a held value changed')
    peer.release(one)
  }
  peer.verify()
  t.equal(peer.get('n')?.value.toString(), '10')
  t.ok(peer.begin(Mode.SET, 'old', 100))
})

t.test('without evictions nothing stored is lost, and freed room is used', async t => {
  for (const length of [20, 3000, 32_000, 70_000, 700_000]) {
    const peer = createPeer(false, 9)
    const stored = fillUntilRefused(peer, length)
    t.equal(peer.status, Status.NO_MEMORY)
    for (let i = 0; i < stored; i++) {
      if (peer.get(`m-${i}`)?.value.equals(makeValue(i, length)) !== true) t.fail(`${i} is lost`)
    }
    peer.verify()
    t.equal(peer.remove('m-0'), Status.OK)
    t.equal(peer.set(KEY, makeValue(1, length)), Status.OK, 'a deleted item leaves room')
    for (let i = 1; i < stored; i++) peer.remove(`m-${i}`)
    peer.remove(KEY)
    peer.verify()
    for (const other of wantedLengths(peer.cache.shards[0].arena)) {
      const status = peer.set(KEY, makeValue(1, other))
      if (status !== Status.OK) t.fail(`${other} bytes in a memory all given back: ${status}`)
    }
    peer.verify()
  }
})

t.test('without evictions a flush makes room for every class', async t => {
  for (const length of [20, 3000, 32_000, 70_000]) {
    const peer = createPeer(false, 9)
    const stored = fillUntilRefused(peer, length)
    peer.flush(peer.nowS() + 10)
    peer.setClock(peer.nowS() + 10)
    t.equal(peer.store(Mode.ADD, KEY, makeValue(1, length)), Status.OK, 'at once')
    for (const other of wantedLengths(peer.cache.shards[0].arena)) {
      const status = peer.set(KEY, makeValue(1, other))
      if (status !== Status.OK) t.fail(`${other} bytes after a flush of ${length}: ${status}`)
    }
    t.equal(peer.get(`m-${stored - 1}`), undefined)
    peer.verify()
  }
})

/**
 * 64 pages, and `tablePages` more for the hash table and the ghosts: one is enough except for tiny
 * items.
 */
function createPeer(evictions: boolean, tablePages = 1): Peer {
  const memoryBytes = 4 * MIB + tablePages * PAGE_BYTES_MIN
  // Tests with evictions count on the chunk sizes of -f and -n.
  const options = {
    memoryBytes,
    itemBytesMax: 2 * MIB,
    hashpower: 6,
    evictions,
    fitted: !evictions,
  }
  return new Peer(Cache.create(options))
}

/** Stores values of `bytes` in total. Returns how many were refused. */
function fillWith(peer: Peer, bytes: number, lengthOf: () => number): number {
  let refused = 0
  let left = bytes
  for (let i = 0; left > 0; i++) {
    const length = lengthOf()
    const value = length < 3000 ? makeValue(7, length) : makeValue(i, length)
    if (peer.set(`${length}-${i}`, value) !== Status.OK) refused++
    left -= length + HEADER
  }
  return refused
}

function fillMixed(peer: Peer): void {
  const random = createRandom(seed, 2)
  fillWith(peer, 12 * MIB, () => Math.floor(2 ** (4 + random.below(1600) / 100)))
}

/** Each page of the largest class gets one cold and one hot item. */
function fillInterleaved(peer: Peer): void {
  for (let i = 0; i < LARGEST_CHUNKS; i++) peer.set(`p-${i}`, makeValue(i, 32_000))
  peer.setClock(peer.nowS() + 100)
  for (let i = 1; i < LARGEST_CHUNKS; i += 2) peer.get(`p-${i}`)
}

/** Every class has some pages, the smallest class most. */
function fillInTurn(peer: Peer): void {
  const { arena } = peer.cache.shards[0]
  for (const length of wantedLengths(arena).filter(length => length < 32_000)) {
    fillWith(peer, 200_000, () => length)
  }
  fillWith(peer, 4 * MIB, () => 10)
}

function fillAndDelete(peer: Peer): void {
  for (let i = 0; i < 5000; i++) peer.set(`d-${i}`, makeValue(i, 1000))
  for (let i = 0; i < 5000; i++) peer.remove(`d-${i}`)
}

function fillAndExpire(peer: Peer): void {
  const expiresAtS = peer.nowS() + 10
  for (let i = 0; i < 5000; i++) peer.set(`e-${i}`, makeValue(i, 1000), { expiresAtS })
  peer.setClock(expiresAtS)
}

function fillUntilRefused(peer: Peer, length: number): number {
  for (let i = 0; ; i++) {
    peer.status = peer.set(`m-${i}`, makeValue(i, length))
    if (peer.status !== Status.OK) return i
  }
}

/**
 * Value sizes that fill a chunk of each class exactly, one byte more and one less, and long values.
 */
function wantedLengths(arena: Arena): number[] {
  const lengths = [0, 65_000, 100_000, 333_333, MIB, 1_500_000, LONGEST - 40_000, LONGEST]
  for (let classId = 1; classId <= arena.baseClasses; classId++) {
    const full = arena.words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] * 4 - HEADER - KEY.length
    lengths.push(full - 1, full, full + 1)
  }
  const largest = arena.words[L.classAt(arena.baseClasses) + L.CLASS_CHUNK_WORDS] * 4
  for (let count = 1; count < 5; count++) {
    const full = (largest - HEADER) * count - KEY.length - 4
    lengths.push(full - 1, full, full + 1, full + 4)
  }
  return lengths
}

/** Stores a value of this length while nothing is held. Returns what went wrong, '' if nothing. */
function storeOne(peer: Peer, length: number): string {
  const { arena } = peer.cache.shards[0]
  const movedBefore = movedPages(arena)
  const evictedBefore = goneItems(arena)
  const status = peer.set(KEY, makeValue(length, length))
  if (status !== Status.OK) return `refused with ${status}`
  const hit = peer.get(KEY)
  if (hit === undefined || !isWhole(hit.value) || hit.value.length !== length) return 'not there'
  const largestBytes = arena.words[L.classAt(arena.baseClasses) + L.CLASS_CHUNK_WORDS] * 4
  const chunks = Math.ceil((length + 100) / (largestBytes - HEADER)) + 1
  const moved = movedPages(arena) - movedBefore
  if (moved > chunks) return `${moved} pages moved for ${chunks} chunks`
  const gone = goneItems(arena) - evictedBefore
  const mostAPage = arena.words[L.classAt(1) + L.CLASS_CHUNKS_PER_PAGE]
  if (gone > chunks + moved * mostAPage) return `${gone} items gone for ${chunks} chunks`
  peer.verify()
  return ''
}

function movedPages(arena: Arena): number {
  return arena.counters[counterAt(Counter.SLABS_MOVED)]
}

function goneItems(arena: Arena): number {
  let gone = 0
  for (let classId = 1; classId <= arena.classCount; classId++) {
    gone += arena.counters[classCounterAt(classId, ClassCounter.EVICTED)]
    gone += arena.counters[classCounterAt(classId, ClassCounter.RECLAIMED)]
  }
  return gone
}

/** Holds the coldest items of the class with most items. */
function holdColdest(peer: Peer, count: number): { held: Held; value: Buffer }[] {
  const { arena } = peer.cache.shards[0]
  const found: { held: Held; value: Buffer }[] = []
  for (const key of coldestKeys(arena, count)) {
    const value = peer.get(key)?.value
    const held = peer.hold(key)
    if (value !== undefined && held !== undefined) found.push({ held, value })
  }
  return found
}

function coldestKeys(arena: Arena, count: number): string[] {
  const { words } = arena
  let best = 1
  const listed = (classId: number) => words[L.listAt(classId, L.LIST_COLD) + L.LIST_COUNT]
  for (let classId = 1; classId <= arena.classCount; classId++) {
    if (listed(classId) > listed(best)) best = classId
  }
  const keys: string[] = []
  let ref = words[L.listAt(best, L.LIST_COLD) + L.LIST_TAIL]
  while (ref !== L.NIL && keys.length < Math.min(count, listed(best) / 2)) {
    const meta = words[ref + L.ITEM_META]
    const at = keyAt(arena, ref as L.Ref)
    keys.push(arena.area.bytes.toString('latin1', at, at + L.metaKeyBytes(meta)))
    ref = words[ref + L.ITEM_LRU_PREV]
  }
  return keys
}
