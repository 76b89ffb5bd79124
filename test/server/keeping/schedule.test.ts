// When snapshots are due: intervals, times of the day, clocks that are set.

import t from 'tap'
import { Schedule } from '../../../lib/server/keeping/schedule.ts'

const HOUR_MS = 3_600_000

/** Before any date is made in this process. */
process.env.TZ = 'Europe/Berlin'

function at(text: string): number {
  return new Date(text).getTime()
}

t.test('at an interval, whatever the wall clock does', async t => {
  const schedule = new Schedule({ everyS: 3600, at: [] }, at('2026-11-30T12:00'), 0)
  t.notOk(schedule.takeDue(at('2027-11-30T12:00'), HOUR_MS - 1))
  t.ok(schedule.takeDue(at('2020-11-30T12:00'), HOUR_MS))
  t.notOk(schedule.takeDue(at('2026-11-30T13:00'), HOUR_MS + 1))
  t.ok(schedule.takeDue(at('2026-11-30T14:00'), 2 * HOUR_MS))
  t.equal(schedule.waitMs(0, 3 * HOUR_MS - 5), 5)
  t.equal(schedule.waitMs(0, 2 * HOUR_MS), 30_000, 'it looks at times')
})

t.test('at times of the day', async t => {
  const schedule = new Schedule({ everyS: 0, at: [180, 900] }, at('2026-11-30T02:59'), 0)
  t.notOk(schedule.takeDue(at('2026-11-30T02:59:59'), 0))
  t.ok(schedule.takeDue(at('2026-11-30T03:00:10'), 0))
  t.notOk(schedule.takeDue(at('2026-11-30T14:59'), 0))
  t.ok(schedule.takeDue(at('2026-11-30T15:00'), 0))
  t.notOk(schedule.takeDue(at('2026-12-01T02:59'), 0))
  t.ok(schedule.takeDue(at('2026-12-01T09:00'), 0), 'late, after a pause')
  t.notOk(schedule.takeDue(at('2026-12-01T09:01'), 0))
})

t.test('a clock that is set back', async t => {
  const schedule = new Schedule({ everyS: 0, at: [180] }, at('2036-01-01T02:00'), 0)
  t.notOk(schedule.takeDue(at('2026-11-30T02:00'), 0))
  t.ok(schedule.takeDue(at('2026-11-30T03:00'), 0))
})

t.test('summer time', async t => {
  const spring = new Schedule({ everyS: 0, at: [150] }, at('2026-03-29T01:00'), 0)
  t.notOk(spring.takeDue(at('2026-03-29T01:59'), 0))
  t.ok(spring.takeDue(at('2026-03-29T03:30'), 0), 'half past two does not come')
  const autumn = new Schedule({ everyS: 0, at: [150] }, at('2026-10-25T01:00'), 0)
  const first = at('2026-10-25T00:30Z')
  t.ok(autumn.takeDue(first, 0))
  t.notOk(autumn.takeDue(first + HOUR_MS, 0), 'half past two comes twice')
})
