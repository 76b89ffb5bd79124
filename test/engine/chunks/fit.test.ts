// Classes fitted to the sizes that come: added where they save memory, given up where they do not,
// and never harmful to stored items.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import {
  type Arena,
  chunkWords,
  emptyArena,
  FITTED_CLASSES_MAX,
} from '../../../lib/engine/arena/arena.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../../lib/engine/cache.ts'
import { noteSize } from '../../../lib/engine/chunks/fit.ts'
import { classFor, pagesAboveLimit } from '../../../lib/engine/chunks/slabs.ts'
import { FIT_EVERY, FIT_SAMPLES, UPKEEP_IDLE_MS } from '../../../lib/engine/limits.ts'
import { POOL } from '../../../lib/engine/room/moves.ts'
import { Status } from '../../../lib/engine/status.ts'
import { Upkeep } from '../../../lib/engine/upkeep/upkeep.ts'
import { verify } from '../../../lib/engine/verify.ts'
import { Peer } from '../../support/engine-peer.ts'
import { isWhole, makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)
const TURNS_MAX = 2000

function createPeer(options: Partial<CacheOptions> = {}) {
  const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB, hashpower: 6, ...options }))
  return { peer, arena: peer.cache.shards[0].arena }
}

const keyOf = (index: number) => `k${String(index).padStart(7, '0')}`

/** Stores `count` items, with a second of upkeep at intervals. */
function store(peer: Peer, count: number, lengthOf: () => number): void {
  for (let i = 0; i < count; i++) {
    const length = lengthOf()
    assert.equal(peer.set(keyOf(i), makeValue(length, length)), Status.OK)
    if (i % 100 !== 0) continue
    peer.setClock(peer.nowS() + 1)
    for (let turn = 0; turn < TURNS_MAX && peer.cache.upkeep(0) < UPKEEP_IDLE_MS; turn++);
  }
}

t.test('items of one size get chunks of that size, and nearly all pages', async t => {
  for (const length of [10, 100, 700, 5000]) {
    const { peer, arena } = createPeer()
    store(
      peer,
      2 * FIT_SAMPLES * FIT_EVERY + 8 * Math.ceil((4 * MIB) / (length + 60)),
      () => length,
    )
    const size = (L.ITEM_WORDS * 4 + keyOf(0).length + length + 3) >> 2
    const classId = classFor(arena, size)
    const chunk = chunkWords(arena, classId)
    t.ok(chunk >= size && chunk <= size + 1, `${chunk} words for ${size}`)
    const pages = arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    t.ok(pages > 0.9 * arena.words[L.PAGES_USED], `${pages} of ${arena.words[L.PAGES_USED]} pages`)
    t.ok(pagesAboveLimit(arena) <= 0, 'the hash table is within the limit')
    peer.verify()
  }
})

t.test('without fitting there are only the classes of the factor', async t => {
  for (const options of [{ fitted: false }, { chunkBytes: [100, 1000] }]) {
    const { peer, arena } = createPeer(options)
    store(peer, 20_000, () => 100)
    for (let id = arena.baseClasses + 1; id <= arena.classCount; id++) {
      if (chunkWords(arena, id) !== 0) t.fail(`class ${id}`)
    }
  }
  t.pass('none')
})

t.test('a changing mix gets new classes, and no value is torn', async t => {
  const { peer, arena } = createPeer()
  const random = createRandom(seed)
  const cut = new Set<number>()
  for (let phase = 0; phase < 3 * FITTED_CLASSES_MAX; phase++) {
    const length = random.between(1, 3000)
    store(peer, 2 * FIT_SAMPLES * FIT_EVERY, () => length + random.below(3))
    peer.verify()
    for (let id = arena.baseClasses + 1; id <= arena.classCount; id++) {
      if (chunkWords(arena, id) > 0) cut.add(id * 1e6 + chunkWords(arena, id))
    }
    for (let i = 0; i < 50; i++) {
      const hit = peer.get(keyOf(random.below(4096)))
      if (hit !== undefined && !isWhole(hit.value)) t.fail('a torn value')
    }
  }
  t.ok(cut.size > FITTED_CLASSES_MAX, `${cut.size} classes with ${FITTED_CLASSES_MAX} numbers`)
})

t.test('each size goes to the smallest class that is in use for it', async t => {
  const { peer, arena } = createPeer()
  const random = createRandom(seed, 1)
  store(peer, 40_000, () => random.pick([20, 90, 300, 2000]) + random.below(8))
  for (let size = 1; size <= chunkWords(arena, arena.baseClasses); size++) {
    const classId = classFor(arena, size)
    const chunk = chunkWords(arena, classId)
    if (chunk < size) t.fail(`${size} words in a chunk of ${chunk}`)
    if (size > 1 && chunk < chunkWords(arena, classFor(arena, size - 1))) t.fail(`at ${size}`)
  }
  t.equal(classFor(arena, chunkWords(arena, arena.baseClasses) + 1), 0)
})

t.test('fitted classes go when an arena is emptied', async t => {
  const { peer, arena } = createPeer()
  store(peer, 20_000, () => 100)
  arena.words[L.LOCK] = 99
  arena.words[arena.bucketsAt] = -5
  peer.cache.recover(99)
  peer.verify()
  store(peer, 20_000, () => 700)
  peer.verify()
  t.ok(peer.get(keyOf(19_999)))
})

t.test('one class after the other is given up', async t => {
  const { peer, arena } = createPeer({ automove: 0 })
  let most = 0
  for (let phase = 0; phase < 3 * FITTED_CLASSES_MAX; phase++) {
    const length = 50 + ((phase * 397) % 2500)
    store(peer, 2 * FIT_SAMPLES * FIT_EVERY, () => length)
    let abandoned = 0
    for (let id = arena.baseClasses + 1; id <= arena.classCount; id++) {
      const size = chunkWords(arena, id)
      if (size > 0 && pagesOf(arena, id) > 0 && classFor(arena, size) !== id) abandoned++
    }
    most = Math.max(most, abandoned)
  }
  t.equal(most, 1)
  peer.verify()
})

t.test('the pages of a class that was given up go to the pool', async t => {
  const { peer, arena } = createPeer()
  store(peer, 20_000, () => 700)
  const classId = giveUp(arena, 700)
  t.ok(pagesOf(arena, classId) > 10)
  peer.verify()
  for (let i = 0; i < 20_000; i++) peer.remove(keyOf(i))
  for (let turn = 0; turn < TURNS_MAX; turn++) peer.cache.upkeep(0)
  t.equal(pagesOf(arena, classId), 0)
  peer.verify()
})

t.test('a class that was given up gets no pages, though it asked', async t => {
  const { peer, arena } = createPeer()
  store(peer, 20_000, () => 700)
  arena.words[L.WANTING_CLASS] = giveUp(arena, 700)
  new Upkeep(arena).step()
  t.equal(arena.words[L.MOVE_TO_CLASS], POOL)
  t.equal(arena.words[L.WANTING_CLASS], 0)
})

t.test('no class is added without a gain', async t => {
  const { arena } = createPeer()
  emptyArena(arena)
  const classId = arena.baseClasses
  // First no samples, then samples of sizes whose class fits already.
  arena.words[L.FIT_LOOK_AT] = FIT_EVERY
  for (let i = 0; i < 3 * FIT_SAMPLES * FIT_EVERY; i++) noteSize(arena, chunkWords(arena, classId))
  t.ok(arena.words[L.FIT_LOOK_AT] > FIT_SAMPLES * FIT_EVERY)
  const perPage = L.classAt(arena.baseClasses + 1) + L.CLASS_CHUNKS_PER_PAGE
  t.equal(arena.words[perPage], 0)
  t.equal(arena.area.bytes[arena.mapAt << 2], 1)
})

t.test('a class that a dead thread left its smaller sizes is not reused for others', async t => {
  const { peer, arena } = createPeer()
  const left = arena.baseClasses + 1
  arena.words[L.classAt(left) + L.CLASS_CHUNK_WORDS] = 200
  arena.words[L.classAt(left) + L.CLASS_CHUNKS_PER_PAGE] = Math.floor(arena.pageWords / 200)
  const mapAt = arena.mapAt << 2
  arena.area.bytes.fill(left, mapAt + 180, mapAt + 190)
  verify(arena)
  store(peer, 20_000, () => 100)
  t.equal(chunkWords(arena, left), 200)
  t.not(chunkWords(arena, left + 1), 0)
  peer.verify()
})

t.test('verify notices a size that goes to a class with shorter chunks', async t => {
  const { arena } = createPeer()
  const at = (arena.mapAt << 2) + chunkWords(arena, 3)
  for (const classId of [0, 2, arena.baseClasses + 1, arena.classCount + 1]) {
    arena.area.bytes[at] = classId
    t.throws(() => verify(arena), `class ${classId}`)
  }
})

/** Gives up the class of values of this length. */
function giveUp(arena: Arena, length: number): number {
  const { bytes } = arena.area
  const size = (L.ITEM_WORDS * 4 + keyOf(0).length + length + 3) >> 2
  const classId = classFor(arena, size)
  const larger = classFor(arena, chunkWords(arena, classId) + 1)
  const mapAt = arena.mapAt << 2
  for (let at = mapAt; at <= mapAt + chunkWords(arena, classId); at++) {
    if (bytes[at] === classId) bytes[at] = larger
  }
  return classId
}

function pagesOf(arena: Arena, classId: number): number {
  return arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
}
