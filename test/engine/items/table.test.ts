// The hash table against a plain Map: random inserts, lookups and removals while it grows by single
// buckets, and keys that share a bucket or a tag.

import assert from 'node:assert/strict'
import t from 'tap'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import { tagOf } from '../../../lib/engine/arena/hash.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { NIL, type Ref } from '../../../lib/engine/arena/layout.ts'
import { giveChunk } from '../../../lib/engine/chunks/slabs.ts'
import {
  bucketOf,
  findItem,
  hashOfItem,
  insertItem,
  removeItem,
  reserveBuckets,
} from '../../../lib/engine/items/table.ts'
import { areaOf, createSmallArena, hashOf, makeItem } from '../../support/engine-arena.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

t.test('finds what a Map has, at every size of the table', async t => {
  const random = createRandom(seed)
  const arena = createSmallArena()
  const model = new Map<string, Ref>()
  for (let step = 0; step < 60_000; step++) {
    const key = `key-${random.below(12_000)}`
    const known = model.get(key) ?? NIL
    assert.equal(find(arena, key), known, `step ${step}: ${key}`)
    if (known === NIL) model.set(key, insert(arena, key))
    else if (random.once(3)) {
      remove(arena, key, known)
      model.delete(key)
    }
    if (step % 5000 === 0) assertTable(arena, model)
  }
  assertTable(arena, model)
  t.ok(arena.words[L.BUCKET_COUNT] > 4000, `${arena.words[L.BUCKET_COUNT]} buckets`)
  for (const [key, ref] of model) remove(arena, key, ref)
  assertTable(arena, new Map())
  t.equal(arena.words[L.ITEM_COUNT], 0)
})

t.test('a table with buckets for its items finds them, and grows on', async t => {
  for (const items of [64, 100, 1000, 4096, 5000]) {
    const arena = createSmallArena()
    reserveBuckets(arena, items)
    t.equal(arena.words[L.BUCKET_COUNT], items)
    const model = new Map<string, Ref>()
    for (let i = 0; i < items + 500; i++) model.set(`k${i}`, insert(arena, `k${i}`))
    assertTable(arena, model)
    t.equal(arena.words[L.BUCKET_COUNT], items + 500)
    reserveBuckets(arena, 50_000)
    t.equal(arena.words[L.BUCKET_COUNT], items + 500, 'only while it is empty')
  }
})

t.test('adds one bucket at a time, each power of two in its turn', async t => {
  const arena = createSmallArena()
  let before = arena.words[L.BUCKET_COUNT]
  t.equal(before, 64)
  for (let i = 0; i < 1000; i++) {
    insert(arena, `n${i}`)
    const count = arena.words[L.BUCKET_COUNT]
    if (count - before > 1) t.fail(`${count - before} buckets at once`)
    const mask = arena.words[L.BUCKET_MASK]
    if (count > mask + 1 || count <= mask >> 1) t.fail(`mask ${mask} with ${count} buckets`)
    before = count
  }
  t.equal(before, 1000)
  for (let i = 0; i < 1000; i++) if (find(arena, `n${i}`) === NIL) t.fail(`n${i} is lost`)
})

t.test('stops growing at the reserved size, and chains get longer', async t => {
  const arena = createSmallArena({ bucketsInitial: 128, tableGrows: false })
  t.equal(arena.words[L.BUCKETS_MAX], 128)
  const refs = new Map<string, Ref>()
  for (let i = 0; i < 400; i++) refs.set(`n${i}`, insert(arena, `n${i}`))
  t.equal(arena.words[L.BUCKET_COUNT], 128)
  assertTable(arena, refs)
})

t.test('keys with the same bucket and tag are distinguished', async t => {
  const arena = createSmallArena()
  const same: string[] = []
  const wanted = hashOf(arena, 'first')
  for (let i = 0; same.length < 12; i++) {
    const hash = hashOf(arena, `c${i}`)
    if (tagOf(hash) === tagOf(wanted) && ((hash ^ wanted) & 63) === 0) same.push(`c${i}`)
  }
  const refs = same.map(key => insert(arena, key))
  same.forEach((key, i) => {
    t.equal(find(arena, key), refs[i])
  })
  remove(arena, same[5], refs[5])
  remove(arena, same[0], refs[0])
  remove(arena, same[11], refs[11])
  same.forEach((key, i) => {
    t.equal(find(arena, key), [0, 5, 11].includes(i) ? NIL : refs[i])
  })
})

t.test('keys of all lengths, and keys that are prefixes of others', async t => {
  const arena = createSmallArena()
  const refs = new Map<string, Ref>()
  for (let length = 1; length <= 250; length++) {
    refs.set('k'.repeat(length), insert(arena, 'k'.repeat(length)))
  }
  assertTable(arena, refs)
  t.equal(find(arena, 'l'), NIL)
})

function find(arena: Arena, key: string): Ref {
  return findItem(arena, hashOf(arena, key), areaOf(`..${key}`), 2, key.length)
}

function insert(arena: Arena, key: string): Ref {
  const ref = makeItem(arena, key)
  insertItem(arena, hashOf(arena, key), ref)
  return ref
}

function remove(arena: Arena, key: string, ref: Ref): void {
  removeItem(arena, hashOf(arena, key), ref)
  giveChunk(arena, L.metaClass(arena.words[ref + L.ITEM_META]), ref)
}

/**
 * Asserts that every item of the model is in its bucket with its tag, and nothing else is there.
 */
function assertTable(arena: Arena, model: Map<string, Ref>): void {
  const { words } = arena
  assert.equal(words[L.ITEM_COUNT], model.size)
  for (const [key, ref] of model) {
    assert.equal(find(arena, key), ref, key)
    assert.equal(hashOfItem(arena, ref), hashOf(arena, key))
    assert.equal(L.metaTag(words[ref + L.ITEM_META]), tagOf(hashOf(arena, key)))
  }
  let count = 0
  for (let bucket = 0; bucket < words[L.BUCKET_COUNT]; bucket++) {
    const at = arena.bucketsAt + bucket
    for (let ref = words[at] as Ref; ref !== NIL; ref = words[ref + L.ITEM_CHAIN_NEXT] as Ref) {
      assert.equal(bucketOf(arena, hashOfItem(arena, ref)), at)
      count++
    }
  }
  assert.equal(count, model.size)
}
