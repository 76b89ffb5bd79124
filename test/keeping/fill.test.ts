/**
 * A fill stores many small items under one lock. It does the same as one store after the other,
 * which is what items get whose value is not behind their key.
 */
import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { MIB } from '../../lib/bytes/units.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { BATCHED_BYTES_MAX } from '../../lib/engine/storing/fill-batch.ts'
import { verify } from '../../lib/engine/verify.ts'
import { beginFill, Filler, type Fills, noFills, PastItem } from '../../lib/keeping/fill.ts'
import { Peer } from '../support/engine-peer.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { runs } from '../support/runs.ts'

const seed = announceSeed(t)
const OPTIONS: CacheOptions = {
  memoryBytes: 8 * MIB,
  shards: 2,
  hashpower: 6,
  past: { seeds: [1, 2], clockS: 100 },
}
/** Bytes of the areas that items come in. */
const AREA_BYTES = 128 * 1024

interface Record {
  key: string
  value: Buffer
  item: Partial<PastItem>
}

function randomRecord(random: Random, keys: number): Record {
  const key = `key-${random.below(keys)}`.padEnd(random.between(8, 40), 'k')
  const length = random.once(30) ? random.below(2 * BATCHED_BYTES_MAX) : random.below(300)
  return {
    key,
    value: Buffer.alloc(length, `${key} ${random.below(1000)} `),
    item: {
      flags: random.once(2) ? 0 : random.below(2 ** 32),
      expiresAtS: random.once(3) ? random.between(90, 10_000) : 0,
      casHigh: random.once(4) ? 7 : 0,
      casLow: random.once(4) ? random.below(1000) : 0,
      uses: random.below(5),
      isKeyBinary: random.once(5),
    },
  }
}

/** Fills a cache with records: in areas as of a snapshot, or with each value apart from its key. */
function fillWith(cache: Cache, records: readonly Record[], isApart: boolean): Fills {
  const filler = new Filler(cache, beginFill(cache), Area.allocate(0))
  let area = Area.allocate(AREA_BYTES)
  let at = 0
  for (const { key, value, item } of records) {
    if (at + key.length + value.length > AREA_BYTES) {
      area = Area.allocate(AREA_BYTES)
      at = 0
    }
    const past = new PastItem(area)
    Object.assign(past, item, {
      keyStart: at,
      keyBytes: area.bytes.write(key, at),
      valueBytes: value.length,
    })
    at += key.length
    value.copy(area.bytes, at)
    filler.fill(past, isApart ? new Area(Buffer.from(value)) : area, isApart ? 0 : at)
    at += value.length
  }
  return filler.end()
}

/** All that peers see of the keys of some records. */
function seen(cache: Cache, records: readonly Record[]): string[] {
  for (const { arena } of cache.shards) verify(arena)
  const peer = new Peer(cache)
  return records.map(({ key }) => {
    const hit = peer.get(key)
    return JSON.stringify(hit === undefined ? {} : { key, ...hit, value: hit.value.toString() })
  })
}

t.test('a batch does what stores do', async t => {
  for (let round = 0; round < runs(5, 200); round++) {
    const random = createRandom(seed, round)
    const count = random.between(1, 4000)
    const records = Array.from({ length: count }, () => randomRecord(random, count))
    const [batched, apart] = [Cache.create(OPTIONS), Cache.create(OPTIONS)]
    const fills = fillWith(batched, records, false)
    t.strictSame(fills, fillWith(apart, records, true), `seed ${seed}, round ${round}`)
    t.equal(fills.filled + fills.expired + fills.newer + fills.refused, count)
    const [ours, theirs] = [seen(batched, records), seen(apart, records)]
    t.equal(
      ours.find((text, i) => text !== theirs[i]),
      undefined,
      'each is the same',
    )
  }
})

t.test('what does not fit evicts as stores do', async t => {
  for (let round = 0; round < runs(2, 50); round++) {
    const random = createRandom(seed, round)
    const records = Array.from({ length: 40_000 }, (_, i) => {
      return { ...randomRecord(random, 1), key: `key-${i}`, item: {} }
    })
    const cache = Cache.create(OPTIONS)
    t.strictSame(fillWith(cache, records, false), { ...noFills(), filled: records.length })
    const items = seen(cache, records)
    const wrong = items.find((text, i) => {
      const { value } = records[i]
      return text !== '{}' && JSON.parse(text).value !== value.toString()
    })
    t.equal(wrong, undefined, `seed ${seed}, round ${round}`)
    const apart = Cache.create(OPTIONS)
    fillWith(apart, records, true)
    const [ours, theirs] = [cache.itemCount(), apart.itemCount()]
    t.ok(ours < records.length && ours > theirs * 0.9, `${ours} stay, of stores ${theirs}`)
    const first = items.slice(0, 1000).filter(text => text !== '{}').length
    const last = items.slice(-1000).filter(text => text !== '{}').length
    t.ok(last > first, `${last} of the last stay, ${first} of the first`)
  }
})

t.test('what clients did since the fill began wins over a batch', async t => {
  const cache = Cache.create({ ...OPTIONS, filled: true })
  const random = createRandom(seed)
  const records = Array.from({ length: 500 }, (_, i) => {
    const record = randomRecord(random, 1)
    return { ...record, key: `key-${i}`, item: { ...record.item, expiresAtS: 0 } }
  })
  const peer = new Peer(cache)
  const [stored, deleted] = [records[0], records[1]]
  peer.set(stored.key, Buffer.from('new'))
  const key = Area.allocate(deleted.key.length)
  key.bytes.write(deleted.key)
  cache.changed?.mark(cache.hash(key, 0, deleted.key.length))
  const fills = fillWith(cache, records, false)
  t.equal(peer.get(stored.key)?.value.toString(), 'new')
  t.equal(peer.get(deleted.key), undefined)
  t.equal(fills.newer + fills.filled, records.length)
  t.ok(fills.newer >= 2)

  // A flush between the beginning and a batch.
  const other = Cache.create({ ...OPTIONS, filled: true })
  const start = beginFill(other)
  for (const shard of other.shards) shard.flush(0)
  const filler = new Filler(other, start, Area.allocate(0))
  const item = new PastItem(new Area(Buffer.from('keyvalue')))
  Object.assign(item, { keyBytes: 3, valueBytes: 5 })
  filler.fill(item, item.area, 3)
  t.match(filler.end(), { filled: 0, newer: 1 })
  t.equal(new Peer(other).get('key'), undefined)
})
