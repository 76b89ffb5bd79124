// While all memory holds live items, pages follow their worth as fast as the traffic shows it,
// without a timer. Equal classes keep their pages.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { Counter, counterAt } from '../../../lib/engine/arena/counters.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'

const MEMORY_BYTES = 4 * MIB
const SMALL = 100
const LARGE = 10_000
/** Bytes of an item without its value, about. */
const OVERHEAD = 40
/** Size of all items, as a multiple of the memory. */
const SPREAD = 1.5
const NEAR = 0.9
const seed = announceSeed(t)

for (const eviction of ['worth', 'lru'] as const) {
  t.test(`${eviction}: values of another size soon get hits`, async t => {
    const random = createRandom(seed, 1)
    const peer = new Peer(Cache.create({ memoryBytes: MEMORY_BYTES, hashpower: 6, eviction }))
    run(peer, random, 'first', SMALL, 2)
    for (const [name, length] of [
      ['large', LARGE],
      ['small', SMALL],
    ] as const) {
      run(peer, random, name, length, 2)
      const soon = run(peer, random, name, length, 0.5)
      run(peer, random, name, length, 2)
      const final = run(peer, random, name, length, 0.5)
      t.ok(soon > final * NEAR, `${name}: ${soon.toFixed(3)}, then ${final.toFixed(3)}`)
    }
    peer.verify()
  })
}

t.test('of what is stored and not read, many small items are kept', async t => {
  const peer = new Peer(Cache.create({ memoryBytes: 8 * MIB, hashpower: 6, eviction: 'worth' }))
  const random = createRandom(seed, 5)
  const lengths = Array.from({ length: 60_000 }, () => etcBytes(random))
  for (const [i, length] of lengths.entries()) peer.set(keyOf(i), makeValue(i, length))
  let kept = 0
  let bytes = 0
  for (const [i, length] of lengths.entries()) {
    if (peer.get(keyOf(i)) === undefined) continue
    kept++
    bytes += length + OVERHEAD
  }
  // The same memory, if what was stored last were kept.
  let newest = 0
  for (let sum = 0; sum < bytes; newest++) sum += lengths[lengths.length - 1 - newest] + OVERHEAD
  t.ok(kept > newest * 1.3, `${kept} kept, ${newest} in the order in which they were stored`)
  peer.verify()
})

t.test('small items do not drive out long ones that are not read either', async t => {
  const options = { memoryBytes: 8 * MIB, hashpower: 6, eviction: 'worth' } as const
  const peer = new Peer(Cache.create(options))
  const long = makeValue(1, 200_000)
  const small = makeValue(1, 300)
  for (let i = 0; i < 100; i++) {
    peer.set(`long${i}`, long)
    for (let k = 0; k < 330; k++) peer.set(`small${i}-${k}`, small)
  }
  const left = Array.from({ length: 100 }, (_, i) => peer.get(`long${i}`)).filter(Boolean).length
  // In the order in which they were stored 25 were left, in two thirds of the memory.
  t.ok(left >= 24 && left < 33, `${left} of 100 long values are left`)
  peer.verify()
})

t.test('classes that are equally hot trade few pages', async t => {
  const moved = [2, 3, 4].map(part => {
    const peer = new Peer(Cache.create({ memoryBytes: 8 * MIB, hashpower: 10, eviction: 'worth' }))
    const random = createRandom(seed, part)
    const { counters } = peer.cache.shards[0].arena
    askEqually(peer, random, 250_000)
    const before = counters[counterAt(Counter.SLABS_MOVED)]
    askEqually(peer, random, 150_000)
    peer.verify()
    return counters[counterAt(Counter.SLABS_MOVED)] - before
  })
  // From 1 to 14 each; about 190 if as many evicted keys are remembered as there are items.
  const mean = moved.reduce((a, b) => a + b) / moved.length
  t.ok(mean < 60, `${moved} pages moved in 150,000 requests`)
})

/** Gets, and stores after a miss, of items of four sizes, each in use as much as the others. */
function askEqually(peer: Peer, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const length = [100, 400, 1600, 6400][i % 4]
    const id = square(random, Math.floor((4 * MIB) / (length + OVERHEAD)))
    const key = `${length}-${id}`
    if (peer.get(key) === undefined) peer.set(key, makeValue(1, length))
  }
}

/**
 * Gets, and stores after a miss, until `times` the memory was stored, or twice that was requested.
 * Returns the hit ratio.
 */
function run(peer: Peer, random: Random, name: string, length: number, times: number): number {
  const count = Math.floor((MEMORY_BYTES * SPREAD) / (length + OVERHEAD))
  const bytesMax = MEMORY_BYTES * times
  const value = makeValue(1, length)
  let stored = 0
  let gets = 0
  let hits = 0
  while (stored < bytesMax && gets * length < bytesMax * 2) {
    const key = `${name}-${square(random, count)}`
    gets++
    if (peer.get(key) !== undefined) {
      hits++
      continue
    }
    peer.set(key, value)
    stored += length + OVERHEAD
  }
  return hits / gets
}

/** Keys of one length. */
function keyOf(i: number): string {
  return `k${String(i).padStart(8, '0')}`
}

/** Bytes of a value as in Meta's ETC pool: generalised Pareto, most of 100 to 1,000. */
function etcBytes(random: Random): number {
  const share = (1 + random.below(1_000_000)) / 1_000_000
  return Math.floor(15 + 616 * (share ** -0.348238 - 1))
}

/** A random number below `count`; low ones are more frequent. */
function square(random: Random, count: number): number {
  return Math.floor(random.below(count) ** 2 / count)
}
