// The arena's clock, and how an exptime becomes a time on it.

import t from 'tap'
import { RELATIVE_S_MAX } from '../../../lib/bytes/memcached.ts'
import { expiresAt, moveClock, startClock } from '../../../lib/engine/arena/clock.ts'
import { CLOCK_S, HEADER_WORDS, STARTED_AT_S } from '../../../lib/engine/arena/layout.ts'

/** A clock that started `agoS` seconds ago. */
function clockAfter(agoS: number): Int32Array {
  const words = new Int32Array(HEADER_WORDS)
  startClock(words)
  moveClock(words, agoS)
  return words
}

t.test('a new clock starts above 0 (never) and 1 (long ago)', async t => {
  const words = clockAfter(0)
  t.equal(words[CLOCK_S], 2)
  const wallS = Date.now() / 1000
  t.ok(Math.abs(words[STARTED_AT_S] + words[CLOCK_S] - wallS) <= 2, 'clock + start = wall clock')
})

t.test('the clock follows the seconds elapsed and never goes back', async t => {
  const words = clockAfter(0)
  for (const [elapsedS, expected] of [
    [0, 2],
    [1, 3],
    [10, 12],
    [9, 12],
    [-5, 12],
    [10, 12],
    [11, 13],
  ]) {
    moveClock(words, elapsedS)
    t.equal(words[CLOCK_S], expected, `after ${elapsedS} s`)
  }
})

t.test('exptime 0 never expires, a negative one at once', async t => {
  for (const agoS of [0, 1, 100_000]) {
    const words = clockAfter(agoS)
    t.equal(expiresAt(words, 0), 0)
    for (const exptime of [-1, -2, -(2 ** 31)]) {
      const atS = expiresAt(words, exptime)
      t.ok(atS > 0 && atS <= words[CLOCK_S], `${exptime} is over`)
    }
  }
})

t.test('an exptime up to 30 days is relative', async t => {
  t.equal(RELATIVE_S_MAX, 2_592_000)
  for (const agoS of [0, 7, 100_000]) {
    const words = clockAfter(agoS)
    for (const exptime of [1, 2, 60, RELATIVE_S_MAX - 1, RELATIVE_S_MAX]) {
      t.equal(expiresAt(words, exptime), words[CLOCK_S] + exptime, `${exptime} s`)
    }
  }
})

t.test('an exptime above 30 days is a Unix time', async t => {
  for (const agoS of [0, 7, 100_000]) {
    const words = clockAfter(agoS)
    const nowS = words[STARTED_AT_S] + words[CLOCK_S]
    t.equal(expiresAt(words, nowS + 5), words[CLOCK_S] + 5)
    t.equal(expiresAt(words, nowS), words[CLOCK_S], 'now is over')
    t.equal(expiresAt(words, nowS + 40 * 86_400), words[CLOCK_S] + 40 * 86_400)
  }
  const words = clockAfter(50)
  for (const exptime of [
    RELATIVE_S_MAX + 1,
    1_000_000_000,
    words[STARTED_AT_S],
    words[STARTED_AT_S] - 1,
  ]) {
    t.equal(expiresAt(words, exptime), 1, `${exptime} is long ago`)
  }
})

t.test('the last Unix time of 32 bits is not in the past', async t => {
  const words = clockAfter(50)
  words[CLOCK_S + 2] = expiresAt(words, 2 ** 31 - 1)
  t.ok(words[CLOCK_S + 2] > words[CLOCK_S])
})

t.test('a time beyond the range of an item is far in the future', async t => {
  const words = clockAfter(7)
  for (const exptime of [2 ** 32 - 1, 2 ** 32 - 2]) {
    t.ok(expiresAt(words, exptime) > words[CLOCK_S] + 10 * 365 * 86_400)
    t.equal(expiresAt(words, exptime) | 0, expiresAt(words, exptime))
  }
})
