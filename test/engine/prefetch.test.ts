// A prefetch may read memory that another thread is writing: whatever is there, it ends, throws
// nothing and changes nothing.

import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { MIB } from '../../lib/bytes/units.ts'
import { BUCKET_COUNT, ITEM_CHAIN_NEXT } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { findItem } from '../../lib/engine/items/table.ts'
import { PREFETCH_KEYS_MAX } from '../../lib/engine/limits.ts'
import { loaded, prefetch } from '../../lib/engine/prefetch.ts'
import { Ask } from '../../lib/engine/storing/ask.ts'
import { announceSeed, createRandom } from '../support/prng.ts'

const seed = announceSeed(t)

for (const shards of [1, 3]) {
  t.test(`${shards} arenas`, async t => {
    const random = createRandom(seed, shards)
    const cache = Cache.create({ memoryBytes: 64 * MIB, shards })
    t.equal(cache.shards.length, shards)
    const keys = Array.from({ length: 2000 }, (_, i) => new Area(Buffer.from(`key-${i}`)))
    for (const key of keys) store(cache, key)
    for (const key of keys) {
      if (random.once(10)) spoil(cache, key, random.pick([-1, -(2 ** 31), 2 ** 31 - 1, 1, 12345]))
    }
    const before = cache.shards.map(({ arena }) => Buffer.from(arena.area.bytes))
    const hashes = new Int32Array(PREFETCH_KEYS_MAX)
    for (let count = 0; count <= PREFETCH_KEYS_MAX; count++) {
      for (let i = 0; i < count; i++) {
        const key = random.pick(keys)
        hashes[i] = cache.hash(key, 0, key.bytes.length)
      }
      prefetch(cache, hashes, count)
      t.equal(typeof loaded, 'number')
    }
    const same = cache.shards.every(({ arena }, i) => arena.area.bytes.equals(before[i]))
    t.ok(same, 'nothing was written')
  })
}

function store(cache: Cache, key: Area): void {
  const length = key.bytes.length
  const ask = new Ask(key)
  ask.setKey(key, 0, length, cache.hash(key, 0, length))
  ask.valueBytes = length
  cache.shardOf(ask.hash).store(ask, key, 0)
}

/** Makes an item's chain lead somewhere else. */
function spoil(cache: Cache, key: Area, word: number): void {
  const hash = cache.hash(key, 0, key.bytes.length)
  const { arena } = cache.shardOf(hash)
  const ref = findItem(arena, hash, key, 0, key.bytes.length)
  if (ref !== 0) arena.words[ref + ITEM_CHAIN_NEXT] = word
  else arena.words[arena.bucketsAt + (hash & (arena.words[BUCKET_COUNT] - 1))] = word
}
