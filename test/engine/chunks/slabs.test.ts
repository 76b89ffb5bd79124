// Slab classes and their chunks against a plain set: no chunk is taken twice or crosses a page's
// end, and pages come and go.

import assert from 'node:assert/strict'
import t from 'tap'
import { GIB, KIB, MIB } from '../../../lib/bytes/units.ts'
import {
  type Arena,
  chunkWords,
  createArena,
  pageOf,
  pageRef,
} from '../../../lib/engine/arena/arena.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { NIL, type Ref } from '../../../lib/engine/arena/layout.ts'
import {
  classFor,
  freshCountIn,
  giveChunk,
  pageRoom,
  takeChunk,
  withholdChunk,
} from '../../../lib/engine/chunks/slabs.ts'
import { CLASSES_MAX, LARGEST_CHUNKS_PER_PAGE } from '../../../lib/engine/limits.ts'
import { createSmallArena } from '../../support/engine-arena.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

t.test('classes grow by the factor, each larger than the one before', async t => {
  for (const growthFactor of [1.01, 1.05, 1.25, 1.5, 2, 4, 100]) {
    for (const chunkBytesMin of [1, 48, 500, 8000]) {
      const arena = createSmallArena({ growthFactor, chunkBytesMin })
      const name = `-f ${growthFactor} -n ${chunkBytesMin}`
      if (arena.classCount >= CLASSES_MAX) t.fail(`${name}: too many classes`)
      for (let classId = 2; classId <= arena.baseClasses; classId++) {
        if (chunkWords(arena, classId) <= chunkWords(arena, classId - 1)) t.fail(name)
      }
      const largest = chunkWords(arena, arena.baseClasses)
      t.equal(largest, Math.floor(arena.pageWords / LARGEST_CHUNKS_PER_PAGE), name)
      if (chunkWords(arena, 1) * 4 < L.ITEM_WORDS * 4 + chunkBytesMin)
        t.fail(`${name}: the least room`)
    }
  }
})

t.test('classFor is the smallest class that fits', async t => {
  for (const growthFactor of [1.03, 1.25, 3]) {
    const arena = createSmallArena({ growthFactor })
    const largest = chunkWords(arena, arena.baseClasses)
    for (let words = 1; words <= largest + 2; words++) {
      let expected = 1
      while (expected <= arena.baseClasses && chunkWords(arena, expected) < words) expected++
      if (expected > arena.baseClasses) expected = 0
      assert.equal(classFor(arena, words), expected, `${words} words`)
    }
  }
  t.pass('all sizes')
})

t.test('pages are a share of the arena, within bounds', async t => {
  const sizes = [
    [64 * KIB, 64 * KIB],
    [4 * MIB, 64 * KIB],
    [64 * MIB, 256 * KIB],
    [100 * MIB, 256 * KIB],
    [GIB, MIB],
    [1536 * MIB, MIB],
  ]
  for (const [dataBytes, pageBytes] of sizes) {
    const arena = createSmallArena({ dataBytes })
    t.equal(arena.pageWords * 4, pageBytes, `${dataBytes} bytes`)
    t.equal(arena.pageCount, Math.floor(dataBytes / pageBytes))
    t.ok(arena.buffer.byteLength <= 2 ** 31)
  }
  t.throws(() => createArena({ ...smallOptions(), dataBytes: 1600 * MIB }))
})

t.test('chunks are taken and freed as from a set', async t => {
  const random = createRandom(seed)
  for (const dataBytes of [256 * KIB, 4 * MIB]) {
    const arena = createSmallArena({ dataBytes })
    const taken = new Map<Ref, number>()
    for (let step = 0; step < 20_000; step++) {
      if (taken.size > 0 && random.below(100) < 45) {
        const [ref, classId] = [...taken.entries()][0]
        giveChunk(arena, classId, ref)
        taken.delete(ref)
        continue
      }
      const classId = random.between(1, Math.min(arena.baseClasses, 6))
      const ref = takeChunk(arena, classId)
      if (ref === NIL) {
        assertFull(arena, classId, taken)
        continue
      }
      assert(!taken.has(ref), 'a chunk is handed out twice')
      assertInPage(arena, ref, classId)
      taken.set(ref, classId)
    }
    assertDisjoint(arena, taken)
    assertCounts(arena, taken)
  }
  t.pass('20000 steps')
})

t.test('a page is cut as it is used, and used completely', async t => {
  const arena = createSmallArena()
  const perPage = arena.words[L.classAt(1) + L.CLASS_CHUNKS_PER_PAGE]
  const refs: Ref[] = []
  for (let i = 0; i < perPage; i++) {
    refs.push(takeChunk(arena, 1))
    assert.equal(freshCountIn(arena, 1, 0), perPage - 1 - i)
  }
  t.equal(arena.words[L.PAGES_USED], 1)
  t.equal(new Set(refs).size, perPage)
  t.equal(pageOf(arena, takeChunk(arena, 1)), 1, 'then the next page')
  giveChunk(arena, 1, refs[7])
  t.equal(takeChunk(arena, 1), refs[7], 'a freed chunk is used first')
})

t.test('only the chunks of the leaving page leave the free list', async t => {
  const random = createRandom(seed, 1)
  const arena = createSmallArena({ dataBytes: 256 * KIB })
  const refs: Ref[] = []
  for (let ref = takeChunk(arena, 3); ref !== NIL; ref = takeChunk(arena, 3)) refs.push(ref)
  const kept = new Set<Ref>()
  for (const ref of refs) {
    if (pageOf(arena, ref) === 2 || random.once(2)) giveChunk(arena, 3, ref)
    else kept.add(ref)
  }
  for (const ref of refs) if (pageOf(arena, ref) === 2) withholdChunk(arena, 3, ref)
  const again: Ref[] = []
  for (let ref = takeChunk(arena, 3); ref !== NIL; ref = takeChunk(arena, 3)) again.push(ref)
  t.notOk(again.some(ref => pageOf(arena, ref) === 2 || kept.has(ref)))
  t.equal(again.length + kept.size, refs.filter(ref => pageOf(arena, ref) !== 2).length)
})

function smallOptions() {
  return {
    dataBytes: MIB,
    itemBytesMax: MIB,
    growthFactor: 1.25,
    chunkBytesMin: 48,
    evictions: true,
    trackSizes: false,
    bucketsInitial: 64,
    seeds: [1, 2] as const,
  }
}

function assertInPage(arena: Arena, ref: Ref, classId: number): void {
  const page = pageOf(arena, ref)
  assert(page >= 0 && page < arena.words[L.PAGES_USED], `page ${page}`)
  assert.equal(arena.words[arena.pagesAt + page], classId, 'a chunk of its own class')
  const offset = ref - pageRef(arena, page)
  assert.equal(offset % chunkWords(arena, classId), 0)
  assert(offset + chunkWords(arena, classId) <= arena.pageWords, 'a chunk ends in its page')
  assert.equal(L.metaClass(arena.words[ref + L.ITEM_META]), classId)
}

function assertDisjoint(arena: Arena, taken: Map<Ref, number>): void {
  const sorted = [...taken].sort(([a], [b]) => a - b)
  let end = 0
  for (const [ref, classId] of sorted) {
    assert(ref >= end, 'chunks overlap')
    end = ref + chunkWords(arena, classId)
  }
}

/** A class is refused only when all pages are taken and all chunks of its own are in use. */
function assertFull(arena: Arena, classId: number, taken: Map<Ref, number>): void {
  const at = L.classAt(classId)
  assert.equal(arena.words[L.PAGES_USED], pageRoom(arena))
  const used = [...taken.values()].filter(id => id === classId).length
  const total = arena.words[at + L.CLASS_PAGE_COUNT] * arena.words[at + L.CLASS_CHUNKS_PER_PAGE]
  assert.equal(used, total, 'refused though a chunk is free')
}

function assertCounts(arena: Arena, taken: Map<Ref, number>): void {
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const at = L.classAt(classId)
    const used = [...taken.values()].filter(id => id === classId).length
    assert.equal(arena.words[at + L.CLASS_USED_COUNT], used)
    const total = arena.words[at + L.CLASS_PAGE_COUNT] * arena.words[at + L.CLASS_CHUNKS_PER_PAGE]
    const free = arena.words[at + L.CLASS_FREE_COUNT] + arena.words[at + L.CLASS_FRESH_COUNT]
    assert.equal(used + free, total)
  }
}
