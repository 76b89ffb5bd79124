/**
 * How much a random test does. `npm test` runs the smaller number of each, `npm run test:all` the
 * full one: it sets MEMSLAB_RUNS=1. A larger MEMSLAB_RUNS multiplies the full number, for a long
 * hunt; a test that only runs there skips in `npm test` and says so. The seed is printed in either
 * case: see prng.ts.
 *
 * `npm run test:all` finds its files by their import of this one: nothing else has to list them.
 */

const SHARE = shareFromEnvironment()

/** How many steps, rounds or seconds a test takes: `few`, or the share of `full` that is asked for. */
export function runs(few: number, full: number): number {
  return SHARE === undefined ? few : Math.ceil(full * SHARE)
}

/** For the `skip` option of a test that takes long and finds what shorter ones do not. */
export const SKIP_UNLESS_ALL: string | false =
  SHARE === undefined ? 'it takes long: npm run test:all' : false

function shareFromEnvironment(): number | undefined {
  const text = process.env.MEMSLAB_RUNS
  if (text === undefined || text === '') return undefined
  const share = Number(text)
  if (!(share > 0)) throw new Error(`MEMSLAB_RUNS is a number above 0, not ${JSON.stringify(text)}`)
  return share
}
