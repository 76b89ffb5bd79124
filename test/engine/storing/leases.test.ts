// Operations with terms against a plain model, with `verify` after every step: fetches that create,
// touch and win, stale items, CAS numbers chosen by peers, values that are removed.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { TermsWalk } from '../../support/engine-terms.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'

const seed = announceSeed(t)
const LARGE = { memoryBytes: 16 * MIB, itemBytesMax: MIB, shards: 2, hashpower: 6 }
const SMALL = { memoryBytes: 4 * MIB, itemBytesMax: MIB, hashpower: 6 }
const RUNS = [
  {
    name: 'few keys, many collisions',
    keys: 4,
    lengths: [0, 1, 5, 50],
    cache: LARGE,
    evicts: false,
  },
  { name: 'long values', keys: 6, lengths: [0, 5000, 40_000], cache: LARGE, evicts: false },
  {
    name: 'with evictions',
    keys: 300,
    lengths: [10, 30_000, 60_000],
    cache: SMALL,
    evicts: true,
  },
]
const STEPS = runs(1200, 5000)

for (const [part, run] of RUNS.entries()) {
  t.test(run.name, async t => {
    const random = createRandom(seed, part)
    const walk = new TermsWalk(random, run.keys, run.lengths, run.cache, run.evicts)
    for (let step = 0; step < STEPS; step++) {
      let what = 'in it'
      try {
        what = walk.step()
        walk.peer.verify()
      } catch (error) {
        throw new Error(`after step ${step}, ${what}`, { cause: error })
      }
    }
    walk.finish()
    t.pass(`${STEPS} steps`)
  })
}
