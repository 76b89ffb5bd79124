// Options of memory and table: every value comes back complete, whatever the longest chunk is and
// however crowded the table.

import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { chunkWords } from '../../lib/engine/arena/arena.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { pageRoom } from '../../lib/engine/chunks/slabs.ts'
import { ARENA_PAGES_MIN } from '../../lib/engine/create.ts'
import { Mode, Order, Status } from '../../lib/engine/status.ts'
import { Ask } from '../../lib/engine/storing/ask.ts'
import { ValueSink } from '../../lib/engine/value-sink.ts'
import { verify } from '../../lib/engine/verify.ts'
import { areaOf } from '../support/engine-arena.ts'
import { Peer } from '../support/engine-peer.ts'
import { isWhole, makeValue } from '../support/engine-values.ts'
import { announceSeed, createRandom } from '../support/prng.ts'

const seed = announceSeed(t)
const VALUE_BYTES_MAX = 300 * KIB

t.test('slab_chunk_max may be less than half a page', async t => {
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

t.test('a table that does not grow finds all its items', async t => {
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

t.test('a large table leaves half of the memory to items', async t => {
  const cache = Cache.create({ memoryBytes: 64 * MIB, hashpower: 24, headroom: true })
  const { arena } = cache.shards[0]
  const limit = arena.words[L.PAGE_LIMIT]
  t.equal(pageRoom(arena), limit / 2)
  const bytes = arena.pageWords * 4
  t.equal(cache.setMemoryLimit(2 * ARENA_PAGES_MIN * bytes), Order.OK)
  t.equal(cache.setMemoryLimit((2 * ARENA_PAGES_MIN - 2) * bytes), Order.TOO_SMALL)
})

t.test('the longest item fits into the least memory', async t => {
  const peer = new Peer(Cache.create({ memoryBytes: MIB }))
  const limit = peer.cache.shards[0].arena.words[L.ITEM_BYTES_LIMIT]
  t.ok(limit < MIB && limit > MIB / 2, `${limit} bytes`)
  t.equal(peer.set('k', makeValue(1, limit - 100)), Status.OK)
  t.equal(peer.set('k', makeValue(1, limit)), Status.TOO_LARGE)
  peer.verify()
})

t.test('a value of many chunks is copied in one pass', async t => {
  const peer = new Peer(
    Cache.create({ memoryBytes: 64 * MIB, chunkBytesMax: 256, itemBytesMax: 16 * MIB }),
  )
  const value = makeValue(1, 12 * MIB)
  peer.set('k', value)
  const startedMs = performance.now()
  t.equal(peer.touch('k', peer.nowS() + 100), Status.OK)
  const tookMs = performance.now() - startedMs
  t.ok(tookMs < 1500, `${tookMs} ms`)
  t.ok(peer.get('k')?.value.equals(value))
})

t.test('values that grow at either end stay complete', async t => {
  const peer = new Peer(Cache.create({ memoryBytes: 8 * MIB, chunkBytesMax: KIB }))
  const random = createRandom(seed, 1)
  for (let round = 0; round < 20; round++) {
    let expected = makeValue(round, random.below(3000))
    peer.set('k', expected)
    for (let step = 0; step < 15; step++) {
      const part = makeValue(step, random.below(random.pick([3, 1200, 5000])))
      const isAppend = random.once(2)
      expected = Buffer.concat(isAppend ? [expected, part] : [part, expected])
      t.equal(peer.store(isAppend ? Mode.APPEND : Mode.PREPEND, 'k', part), Status.OK)
    }
    if (peer.get('k')?.value.equals(expected) !== true) t.fail(`round ${round}`)
  }
  peer.verify()
})

function askOf(cache: Cache, key: string): Ask {
  const area = areaOf(key)
  const ask = new Ask(area)
  ask.setKey(area, 0, key.length, cache.hash(area, 0, key.length))
  return ask
}

function put(cache: Cache, key: string, value: Buffer): void {
  const ask = askOf(cache, key)
  ask.valueBytes = value.length
  const status = cache.shardOf(ask.hash).store(ask, new Area(value), 0)
  if (status !== Status.OK) throw new Error(`store of ${value.length} bytes: ${status}`)
}

function take(cache: Cache, key: string): Buffer | undefined {
  const ask = askOf(cache, key)
  const sink = new ValueSink(VALUE_BYTES_MAX)
  const status = cache.shardOf(ask.hash).get(ask, sink)
  return status === Status.OK ? sink.area.bytes.subarray(0, sink.length) : undefined
}
