// What may be chosen for memory and table, and what it must not change: every value comes back whole,
// whatever the longest chunk is and however crowded the table.

import t from 'tap'
import { chunkWords } from '../../lib/engine/arena.ts'
import { Area } from '../../lib/engine/bytes.ts'
import { Cache } from '../../lib/engine/cache.ts'
import * as L from '../../lib/engine/layout.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { ValueSink } from '../../lib/engine/value-sink.ts'
import { verify } from '../../lib/engine/verify.ts'
import { KIB, MIB } from '../../lib/limits.ts'
import { areaOf } from '../support/engine-arena.ts'
import { isWhole, makeValue } from '../support/engine-values.ts'
import { announceSeed, createRandom } from '../support/prng.ts'

const seed = announceSeed(t)
const VALUE_BYTES_MAX = 300 * KIB

t.test('the longest chunk may be shorter than half a page', async t => {
  for (const chunkBytesMax of [KIB, 4 * KIB, 16 * KIB, MIB]) {
    const cache = Cache.create({ memoryBytes: 8 * MIB, chunkBytesMax })
    const { arena } = cache.shards[0]
    const halfPage = (arena.pageWords * 4) / 2
    t.equal(chunkWords(arena, arena.baseClasses) * 4, Math.min(chunkBytesMax, halfPage))
    const random = createRandom(seed)
    for (let serial = 0; serial < 200; serial++) {
      const key = `key-${random.below(40)}`
      put(cache, key, makeValue(serial, random.below(VALUE_BYTES_MAX)))
      const value = take(cache, key)
      if (value === undefined || !isWhole(value)) t.fail(`${key} after ${serial} stores`)
    }
    verify(arena)
  }
})

t.test('chunk sizes may be chosen', async t => {
  const chunkBytes = [48, 100, 1_000, 1_001, 20_000, 10 * MIB]
  const cache = Cache.create({ memoryBytes: 8 * MIB, chunkBytes })
  const { arena } = cache.shards[0]
  const sizes = Array.from({ length: arena.baseClasses }, (_, i) => chunkWords(arena, i + 1) * 4)
  t.same(sizes, [48, 100, 1_000, 1_004, 20_000, (arena.pageWords * 4) / 2])
  for (let serial = 0; serial < 500; serial++) {
    const value = makeValue(serial, createRandom(seed + serial).below(30_000))
    put(cache, 'key', value)
    if (take(cache, 'key')?.equals(value) !== true) t.fail(`a value of ${value.length} bytes`)
  }
  verify(arena)
})

t.test('a table that does not grow finds all that is in it', async t => {
  const cache = Cache.create({ memoryBytes: 8 * MIB, hashpower: 8, tableGrows: false })
  const { arena } = cache.shards[0]
  const buckets = arena.words[L.BUCKET_COUNT]
  const keys = Array.from({ length: 5_000 }, (_, index) => `key-${index}`)
  for (const [serial, key] of keys.entries()) put(cache, key, makeValue(serial, 20))
  t.equal(buckets, 256)
  t.equal(arena.words[L.BUCKET_COUNT], buckets)
  t.same(
    keys.filter(key => take(cache, key) === undefined),
    [],
  )
  verify(arena)
})

function put(cache: Cache, key: string, value: Buffer): void {
  const area = areaOf(key)

  const valueArea = new Area(value)
  const hash = cache.hash(area, 0, key.length)
  const status = cache
    .shardOf(hash)
    .store(Mode.SET, hash, area, 0, key.length, 0, 0, 0, 0, valueArea, 0, value.length)
  if (status !== Status.OK) throw new Error(`store of ${value.length} bytes: ${status}`)
}

function take(cache: Cache, key: string): Buffer | undefined {
  const area = areaOf(key)
  const sink = new ValueSink(VALUE_BYTES_MAX)
  const hash = cache.hash(area, 0, key.length)
  const status = cache
    .shardOf(hash)
    .get(hash, area, 0, key.length, sink, { slot: 0, generation: 0 })
  return status === Status.OK ? sink.area.bytes.subarray(0, sink.length) : undefined
}
