// The buffer of samples, what a thread writes into it, and the report of what they show.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { CLOCK_S } from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Ask } from '../../../lib/engine/storing/ask.ts'
import { createInsight, InsightBoard } from '../../../lib/observe/miniature/insight.ts'
import {
  createSamples,
  SAMPLES_A_SECOND_MAX,
  Sampler,
} from '../../../lib/observe/miniature/key-sampler.ts'
import { TAGS_MAX } from '../../../lib/observe/miniature/mini-cache.ts'
import { PrefixTable } from '../../../lib/observe/miniature/prefix-table.ts'
import {
  createRing,
  EMPTY_SAMPLE,
  isInShare,
  type ReadSample,
  RingDrain,
  RingSource,
  SAMPLES_MAX,
  SampleKind,
} from '../../../lib/observe/miniature/sample-ring.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)
const KEY = new Area(Buffer.from('user:17'))

function drained(drain: RingDrain): ReadSample[] {
  const samples: ReadSample[] = []
  drain.drain(sample => samples.push({ ...sample }))
  return samples
}

t.test('a share of all keys is sampled, and always the same ones', async t => {
  const random = createRandom(seed)
  const ring = createRing(true)
  const source = new RingSource(ring)
  const drain = new RingDrain(ring)
  for (const share of [1, 1 / 4, 1 / 64]) {
    drain.setShare(share)
    let taken = 0
    for (let i = 0; i < 100_000; i++) {
      const hash = random.below(2 ** 32) | 0
      if (source.takes(hash)) taken++
      if (source.takes(hash) !== isInShare(hash, share)) throw new Error(`${hash}`)
      if (isInShare(hash, share / 2) && !isInShare(hash, share)) throw new Error('not nested')
    }
    t.ok(Math.abs(taken / 100_000 - share) < 0.02, `${taken} of 100,000 for ${share}`)
  }
})

t.test('nothing is sampled before anybody evaluates, and never where it is off', async t => {
  for (const isOn of [true, false]) {
    const source = new RingSource(createRing(isOn))
    for (let hash = -1000; hash < 1000; hash++) {
      if (source.takes(hash * 2 ** 20)) throw new Error(`${hash}`)
    }
  }
  t.ok(createRing(false).buffer.byteLength < 100)
})

t.test('samples are read in order, and lost where the buffer is full', async t => {
  const ring = createRing(true)
  const source = new RingSource(ring)
  const drain = new RingDrain(ring)
  let written = 0
  let read = 0
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 700; i++) {
      source.write({ ...EMPTY_SAMPLE, hash: written++, bytes: 7, expiresAtS: 9 }, KEY, 0, 4)
    }
    for (const sample of drained(drain)) {
      if (sample.hash !== read++ || sample.prefix !== 'user') throw new Error(`${sample.hash}`)
    }
  }
  t.equal(read, written)
  t.equal(drain.takeLost(), 0)
  for (let i = 0; i < 3 * SAMPLES_MAX; i++) source.write(EMPTY_SAMPLE, KEY, 0, 0)
  const kept = drained(drain).length
  t.ok(kept > SAMPLES_MAX / 2 && kept <= SAMPLES_MAX, `${kept} kept`)
  t.equal(drain.takeLost(), 3 * SAMPLES_MAX - kept)
  t.equal(drain.takeLost(), 0)
})

t.test('a sample that a dead thread never wrote is skipped', async t => {
  const ring = createRing(true)
  const source = new RingSource(ring)
  const drain = new RingDrain(ring)
  const HEAD = 1
  Atomics.add(new Int32Array(ring.buffer), HEAD, 1)
  source.write({ ...EMPTY_SAMPLE, hash: 5 }, KEY, 0, 0)
  let looks = 0
  let samples: ReadSample[] = []
  while (samples.length === 0 && looks++ < 100) samples = drained(drain)
  t.same(
    samples.map(({ hash }) => hash),
    [5],
  )
  t.ok(looks > 2, 'a thread that is only slow gets time')
})

function createPlace() {
  const cache = Cache.create({ memoryBytes: 4 * MIB })
  const samples = createSamples(true, 1, ':')
  const [shard] = cache.shards
  const ask = new Ask(KEY)
  ask.setKey(KEY, 0, KEY.bytes.length, cache.hash(KEY, 0, KEY.bytes.length))
  ask.mode = Mode.SET
  ask.valueBytes = 100
  return { shard, ask, sampler: new Sampler(samples), drain: new RingDrain(samples) }
}

t.test('a sample says what happened to the key, with the size of the item', async t => {
  const { shard, ask, sampler, drain } = createPlace()
  ask.expiresAtS = 40
  sampler.missed(shard, ask)
  t.notOk(sampler.finds(shard, ask))
  t.equal(shard.store(ask, Area.allocate(100), 0), Status.OK)
  t.ok(sampler.finds(shard, ask))
  sampler.stored(shard, ask, true)
  sampler.hit(shard, ask)
  sampler.stored(shard, ask, false)
  sampler.removed(shard, ask)
  const samples = drained(drain)
  const { MISS, NEW, HIT, STORED, REMOVED } = SampleKind
  t.same(
    samples.map(({ kind }) => kind),
    [MISS, NEW, HIT, STORED, REMOVED],
  )
  for (const sample of samples) t.match(sample, { hash: ask.hash, prefix: 'user' })
  const bytes = 28 + 4 + KEY.bytes.length + 100
  for (const kind of [1, 2]) t.match(samples[kind], { bytes, expiresAtS: 40 })
})

t.test('of the hits of one key in a row one in eight is written', async t => {
  const { shard, ask, sampler, drain } = createPlace()
  shard.store(ask, Area.allocate(100), 0)
  for (let i = 0; i < 801; i++) sampler.hit(shard, ask)
  const samples = drained(drain)
  t.equal(samples.length, 101)
  t.equal(
    samples.reduce((sum, { times }) => sum + times, 0),
    801,
  )
})

t.test('samples of a second have a bound', async t => {
  const { shard, ask, sampler, drain } = createPlace()
  let kept = 0
  for (let i = 0; i < 3 * SAMPLES_A_SECOND_MAX; i++) {
    sampler.missed(shard, ask)
    if (i % 1000 === 0) kept += drained(drain).length
  }
  kept += drained(drain).length
  t.equal(kept, SAMPLES_A_SECOND_MAX)
  t.equal(drain.takeLost(), 2 * SAMPLES_A_SECOND_MAX)
  shard.arena.words[CLOCK_S]++
  sampler.missed(shard, ask)
  t.equal(drained(drain).length, 1)
})

t.test('a report is read as it was published', async t => {
  const handle = createInsight(true)
  const board = new InsightBoard(handle)
  t.equal(new InsightBoard(handle).read(), null)
  const curve = { points: [], sampledShare: 0.5, sampledKeys: 3, lookups: 7, lost: 0 }
  const facts = { items: 1, bytes: 2, lookups: 3, hitRatio: null }
  const prefixes = Array.from({ length: 64 }, () => ({ prefix: '\x01'.repeat(32), ...facts }))
  board.publish({ curve, prefixes })
  t.same(new InsightBoard(handle).read(), { curve, prefixes })
  t.equal(new InsightBoard(createInsight(false)).read(), null)
})

t.test('a prefix that no item has gives its number to another one', async t => {
  const table = new PrefixTable()
  const entries = new Int32Array(TAGS_MAX)
  const tags = Array.from({ length: TAGS_MAX + 50 }, (_, i) => {
    const tag = table.tagOf(`p${i}`, entries)
    entries[tag]++
    return tag
  })
  t.equal(new Set(tags).size, TAGS_MAX, 'each has its own, and the rest share one')
  t.same(tags.slice(TAGS_MAX), Array(50).fill(0))
  t.equal(table.tagOf('p7', entries), tags[7])
  entries[tags[7]] = 0
  t.equal(table.tagOf('new', entries), tags[7])
  t.equal(table.names[tags[7]], 'new')
  entries[tags[7]] = 1
  t.equal(table.tagOf('p7', entries), 0)
})
