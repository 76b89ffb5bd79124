// From samples to points: rates, gaps, counters that began again; and numbers as text.

import t from 'tap'
import type { Sample } from '../../lib/admin/shapes.ts'
import { age, brief, bytes, count, keyText, micros, percent, UNKNOWN } from '../../page/figures.ts'
import { History, POINTS_MAX, pointOf } from '../../page/history.ts'

function sampleAt(atMs: number, stats: Record<string, number> = {}, cpuUs = [0, 0, 0]): Sample {
  const workers = cpuUs.map(us => ({ connections: 1, cpuUs: us, loopDelayUs: 0 }))
  const memory = { limitBytes: 0, slabBytes: 0, itemBytes: 0, tableBytes: 0, freePages: 0 }
  const removed = { memory: 0, page_move: 0, expired: 0, crawler: 0, flushed: 0 }
  const arenas = [{ lockWaits: atMs, longestStepUs: 0 }]
  const others = stats.incr_hits ?? 0
  return { atMs, stats, others, latency: [], removed, workers, arenas, classes: [], memory }
}

t.test('a point has what happened since the sample before, by the second', async t => {
  const before = sampleAt(1000, { cmd_get: 100, get_hits: 50, cmd_set: 7 }, [0, 1_000_000, 0])
  const now = sampleAt(
    3000,
    { cmd_get: 500, get_hits: 350, cmd_set: 7, incr_hits: 4 },
    [1e6, 2e6, 9e6],
  )
  t.match(pointOf(before, now), {
    atS: 3,
    gets: 200,
    sets: 0,
    others: 2,
    hitRatio: 0.75,
    cpuMean: 0.5,
    cpuMost: 0.5,
    p50Us: null,
  })
})

t.test('what is not known is null', async t => {
  const now = sampleAt(10_000, { cmd_get: 500 })
  const isUnknown = { gets: null, hitRatio: null, cpuMean: null }
  t.match(pointOf(null, now), isUnknown, 'the first one')
  t.match(pointOf(sampleAt(1000, { cmd_get: 1 }), now), isUnknown, 'after a gap')
  t.match(pointOf(sampleAt(9000, { cmd_get: 900 }), now), { gets: null }, 'after a reset')
  t.match(pointOf(sampleAt(10_000), now), isUnknown, 'at the same time')
  t.match(pointOf(sampleAt(9000, { cmd_get: 500 }), now), { gets: 0, hitRatio: null })
})

t.test('the history has a bound', async t => {
  const history = new History()
  for (let i = 0; i < POINTS_MAX + 10; i++) history.push(sampleAt(i * 1000, { cmd_get: i }))
  t.equal(history.points.length, POINTS_MAX)
  t.equal(history.points.at(-1)?.gets, 1)
  t.equal(history.points[0]?.atS, 10)
  t.equal(history.lockWaitRate(0), 1000)
  t.equal(history.lockWaitRate(1), null)
})

t.test('the load of a thread is a share of a core', async t => {
  const history = new History()
  t.equal(history.threadLoad(0), null)
  history.push(sampleAt(1000, {}, [0, 5e6, 0]))
  t.equal(history.threadLoad(0), null, 'the first sample')
  history.push(sampleAt(3000, {}, [1e6, 1e6, 0]))
  t.same(
    [0, 1, 2, 3].map(thread => history.threadLoad(thread)),
    [0.5, null, 0, null],
  )
})

t.test('numbers as people read them', async t => {
  t.same([0, 7, 1.25, 99.4, 999, 999.7, 1000, 12_345, 4.2e6, 7e13].map(count), [
    '0',
    '7',
    '1.25',
    '99.4',
    '999',
    '1.00 k',
    '1.00 k',
    '12.3 k',
    '4.20 M',
    '70.0 T',
  ])
  t.same([0, 1023, 1536, 10 * 2 ** 20, 2 ** 40].map(bytes), [
    '0 B',
    '1023 B',
    '1.50 KiB',
    '10.0 MiB',
    '1.00 TiB',
  ])
  t.same([0.5, 999, 1500, 2.5e6].map(micros), ['1 µs', '999 µs', '1.50 ms', '2.50 s'])
  t.same(
    [-1, 0, 59, 60, 3661, 90_061].map(s => age(s)),
    ['0 s', '0 s', '59 s', '1 min 0 s', '1 h 1 min', '1 d 1 h'],
  )
  t.equal(age(7322, 1), '2 h')
  t.same([count(null), percent(null), micros(null), bytes(null)], Array(4).fill(UNKNOWN))
  t.equal(percent(0.12345), '12.3 %')
  t.same(['4.00 k', '1.50 ms', '32.0 MiB', '100 %'].map(brief), [
    '4 k',
    '1.5 ms',
    '32 MiB',
    '100 %',
  ])
})

t.test('keys are shown as text where that is safe', async t => {
  t.equal(keyText('user%3A1%2F%C3%A9'), 'user:1/é')
  for (const encoded of ['%00%FF', '%E2%80%AE', 'a%0Ab', '%E9']) t.equal(keyText(encoded), encoded)
})
