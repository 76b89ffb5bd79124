// Random operations on a cache against a plain Map, with `verify` after every step: with enough
// memory, with evictions, without evictions, and with several arenas.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Peer } from '../support/engine-peer.ts'
import { makeValue } from '../support/engine-values.ts'
import { Walk, type WalkOptions } from '../support/engine-walk.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { runs } from '../support/runs.ts'

interface Run extends WalkOptions {
  name: string
  /** In a full run; a short run does a fifth. */
  steps: number
}

const RUNS: Run[] = [
  {
    name: 'the histogram of sizes follows every change',
    steps: 700,
    keys: 30,
    lengths: mixedLengths(150_000),
    cache: { memoryBytes: 4 * MIB, itemBytesMax: MIB, hashpower: 6, trackSizes: true },
    rules: { evicts: true, refuses: false, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 2,
  },
  {
    name: 'with enough memory nothing is lost',
    steps: 5000,
    keys: 12,
    lengths: mixedLengths(150_000),
    cache: { memoryBytes: 16 * MIB, itemBytesMax: MIB, shards: 2, hashpower: 6 },
    rules: { evicts: false, refuses: false, itemBytesMax: MIB },
    joinBytesMax: 200_000,
    holdsMax: 6,
  },
  {
    name: 'with evictions keys miss, but never return wrong values',
    steps: 6000,
    keys: 2000,
    lengths: phasedLengths(130_000),
    cache: { memoryBytes: 4 * MIB, itemBytesMax: MIB, hashpower: 6 },
    rules: { evicts: true, refuses: false, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 6,
  },
  {
    name: 'with evictions nothing is refused while nothing is held',
    steps: 6000,
    keys: 2000,
    lengths: phasedLengths(130_000),
    cache: { memoryBytes: 4 * MIB, itemBytesMax: MIB, hashpower: 6 },
    rules: { evicts: true, refuses: false, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 0,
  },
  {
    name: 'with segmented lists nothing is refused while nothing is held',
    steps: 6000,
    keys: 2000,
    lengths: phasedLengths(130_000),
    cache: {
      memoryBytes: 4 * MIB,
      itemBytesMax: MIB,
      hashpower: 6,
      eviction: 'segmented',
      temporaryTtlS: 20,
    },
    rules: { evicts: true, refuses: false, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 0,
  },
  {
    name: 'with eviction by worth nothing is refused while nothing is held',
    steps: 6000,
    keys: 2000,
    lengths: phasedLengths(130_000),
    cache: {
      memoryBytes: 4 * MIB,
      itemBytesMax: MIB,
      hashpower: 6,
      eviction: 'worth',
      temporaryTtlS: 20,
    },
    rules: { evicts: true, refuses: false, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 0,
  },
  {
    name: 'two arenas that evict, with the longest items',
    steps: 5000,
    keys: 1500,
    lengths: phasedLengths(MIB + 1000),
    cache: { memoryBytes: 8 * MIB, itemBytesMax: MIB, shards: 2, hashpower: 6, growthFactor: 2 },
    rules: { evicts: true, refuses: false, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 2,
  },
  {
    name: 'without evictions nothing stored is lost',
    steps: 5000,
    keys: 800,
    lengths: phasedLengths(60_000),
    cache: { memoryBytes: 4 * MIB, itemBytesMax: MIB, evictions: false, hashpower: 6 },
    rules: { evicts: false, refuses: true, itemBytesMax: MIB },
    joinBytesMax: MIB,
    holdsMax: 6,
  },
  {
    name: 'items of half an arena are stored with short ones',
    steps: 6000,
    keys: 800,
    lengths: phasedLengths(2 * MIB),
    cache: { memoryBytes: 4 * MIB, itemBytesMax: 2 * MIB, hashpower: 6 },
    rules: { evicts: true, refuses: false, itemBytesMax: 2 * MIB },
    joinBytesMax: MIB,
    holdsMax: 0,
  },
]

const seed = announceSeed(t)

for (const [part, run] of RUNS.entries()) {
  t.test(run.name, async t => {
    const walk = new Walk(run, createRandom(seed, part))
    const steps = runs(run.steps / 5, run.steps)
    for (let step = 0; step < steps; step++) {
      let what = 'in it'
      try {
        what = walk.step()
        walk.peer.verify()
      } catch (error) {
        throw new Error(`after step ${step}, ${what}`, { cause: error })
      }
    }
    walk.finish()
    t.pass(`${steps} steps`)
  })
}

t.test('a flush that is due is not undone by a later one', async t => {
  const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB }))
  peer.set('a', makeValue(1, 100))
  peer.flush(peer.nowS() + 5)
  peer.setClock(peer.nowS() + 6)
  peer.flush(peer.nowS() + 50)
  t.equal(peer.get('a'), undefined)
  peer.set('b', makeValue(2, 100))
  t.ok(peer.get('b'))
  peer.setClock(peer.nowS() + 50)
  t.equal(peer.get('b'), undefined)
})

/** Mostly short values, some spanning several chunks. */
function mixedLengths(max: number): (random: Random) => number {
  return random => {
    const kind = random.below(100)
    if (kind < 45) return random.between(0, 100)
    if (kind < 70) return random.between(0, 5000)
    if (kind < 92) return random.between(0, 40_000)
    return random.between(0, max)
  }
}

/** Periods of one size after the other, so that classes take each other's pages. */
function phasedLengths(max: number): (random: Random) => number {
  const mixed = mixedLengths(max)
  let left = 0
  let about = 0
  return random => {
    if (left-- === 0) {
      left = random.between(100, 800)
      about = Math.floor(2 ** ((random.below(1000) / 1000) * Math.log2(max)))
    }
    return random.once(5) ? mixed(random) : Math.floor(about * (0.8 + random.below(200) / 1000))
  }
}
