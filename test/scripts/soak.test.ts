// A soak of a minute. `npm run soak -- --help` has the options of longer ones.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { soak } from '../../scripts/soak/soak.ts'
import { announceSeed } from '../support/prng.ts'
import { runs, SKIP_UNLESS_ALL } from '../support/runs.ts'

const SECONDS = runs(0, 60)

t.test('after a soak every arena is sound', { skip: SKIP_UNLESS_ALL }, async t => {
  const seed = announceSeed(t)
  const result = await soak({ seconds: SECONDS, threads: 3, memoryBytes: 24 * MIB, seed })
  t.ok(result.hits > 0 && result.flushes > 0 && result.items > 0, JSON.stringify(result))
})
