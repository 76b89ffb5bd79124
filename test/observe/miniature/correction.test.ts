// How the simulated curve is corrected by what is known of the present size.

import t, { type Test } from 'tap'
import { corrected, inOrder } from '../../../lib/observe/miniature/correction.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const PRESENT = 2
const seed = announceSeed(t)

function near(t: Test, got: readonly number[], wanted: readonly number[]): void {
  t.equal(got.length, wanted.length)
  const isNear = got.every((ratio, index) => Math.abs(ratio - wanted[index]) < 1e-9)
  t.ok(isNear, `${got} for ${wanted}`)
}

t.test('a simulation that is right is left as it is', async t => {
  const ratios = [0.5, 0.4, 0.3, 0.2, 0.1]
  near(t, corrected({ ratios, present: PRESENT, ofSample: 0.3, ofAll: 0.3 }), ratios)
})

t.test('what the sample misses too much counts at all sizes', async t => {
  const ratios = [0.5, 0.4, 0.3, 0.2, 0.1]
  const expected = corrected({ ratios, present: PRESENT, ofSample: 0.3, ofAll: 0.15 })
  near(t, expected, [0.25, 0.2, 0.15, 0.1, 0.05])
})

t.test('where the simulated memory goes too far, smaller sizes miss more', async t => {
  // The cache misses 0.34 where 0.3 was simulated: as with 0.4 doublings less.
  const ratios = [0.5, 0.4, 0.3, 0.2, 0.2]
  const expected = corrected({ ratios, present: PRESENT, ofSample: 0.34, ofAll: 0.34 })
  near(t, expected.slice(0, 3), [0.54, 0.44, 0.34])
  t.ok(expected[3] > 0.2 && expected[3] < 0.24, 'larger ones too, but less')
  t.equal(expected[4], 0.2, 'and not where the curve is flat')
})

t.test('one that goes not far enough moves the other way, up to a bound', async t => {
  const ratios = [0.5, 0.4, 0.3, 0.29, 0.28]
  const expected = corrected({ ratios, present: PRESENT, ofSample: 0.1, ofAll: 0.1 })
  t.equal(expected[PRESENT], 0.1)
  t.ok(expected[1] > 0.1 && expected[1] < 0.4)
  t.ok(expected[4] >= 0)
})

t.test('ratios are shares, and more memory never misses more', async t => {
  const random = createRandom(seed)
  const draw = () => random.between(0, 1000) / 1000
  for (let round = 0; round < 5000; round++) {
    const ratios = Array.from({ length: 5 }, draw)
    const ofSample = Math.max(0.001, draw())
    const ofAll = draw()
    const expected = corrected({ ratios, present: PRESENT, ofSample, ofAll })
    const isSound = expected.every(
      (ratio, i) => ratio >= 0 && ratio <= 1 && (i === 0 || ratio <= expected[i - 1]),
    )
    if (!isSound || expected[PRESENT] !== ofAll) throw new Error(`${ratios}: ${expected}`)
  }
  t.same(inOrder([0.1, 0.5, 0.3, 0.4, 0.2], PRESENT), [0.5, 0.5, 0.3, 0.3, 0.2])
})
