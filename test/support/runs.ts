/**
 * How much a random test does. `npm test` runs the smaller number of each, `npm run test:all` the
 * full one: it sets MEMSLAB_RUNS=1. A larger MEMSLAB_RUNS multiplies the full number, for a long
 * hunt; a test that only runs there skips in `npm test` and says so. The seed is printed in either
 * case: see prng.ts.
 *
 * `npm run test:all` finds its files by their import of this one: nothing else has to list them.
 */

import type { Random } from './prng.ts'

const SHARE = shareFromEnvironment()

/** Steps, rounds or seconds of a test: `few`, or `full` times MEMSLAB_RUNS. */
export function runs(few: number, full: number): number {
  return SHARE === undefined ? few : Math.ceil(full * SHARE)
}

/** All elements of a list in a full run, otherwise each with a chance of one in `oneIn`. */
export function someOf<T>(list: readonly T[], oneIn: number, random: Random): readonly T[] {
  return SHARE === undefined ? list.filter(() => random.once(oneIn)) : list
}

/** For the `skip` option of a long test that finds what shorter ones do not. */
export const SKIP_UNLESS_ALL: string | false =
  SHARE === undefined ? 'it takes long: npm run test:all' : false

function shareFromEnvironment(): number | undefined {
  const text = process.env.MEMSLAB_RUNS
  if (text === undefined || text === '') return undefined
  const share = Number(text)
  if (!(share > 0)) throw new Error(`MEMSLAB_RUNS is a number above 0, not ${JSON.stringify(text)}`)
  return share
}
