// Delays of answers: they grow with failures up to a bound, are shared by the connections of an
// address, are forgiven with time, and do not affect other addresses.

import t from 'tap'
import {
  AUTH_ADDRESS_FAILURES_FREE,
  AUTH_ADDRESSES_MAX,
  AUTH_DELAY_MS_MAX,
  AUTH_DELAY_MS_MIN,
  AUTH_FAILURES_FREE,
  AUTH_FORGIVE_MS,
  delayAfter,
  Penalties,
} from '../../../lib/protocol/auth/penalties.ts'

t.test(
  'the first failures cost nothing, each further one twice as much, up to a bound',
  async t => {
    for (let failures = 0; failures <= AUTH_FAILURES_FREE; failures++) {
      t.equal(delayAfter(failures), 0)
    }
    t.equal(delayAfter(AUTH_FAILURES_FREE + 1), AUTH_DELAY_MS_MIN)
    t.equal(delayAfter(AUTH_FAILURES_FREE + 2), 2 * AUTH_DELAY_MS_MIN)
    t.equal(delayAfter(1000), AUTH_DELAY_MS_MAX)
    t.equal(delayAfter(1_000_000), AUTH_DELAY_MS_MAX)
  },
)

t.test('a connection that failed waits for a right answer as for a wrong one', async t => {
  const penalties = new Penalties()
  const failures = AUTH_FAILURES_FREE + 2
  t.equal(penalties.judge('a', failures, true, 0), delayAfter(failures))
})

t.test('a new connection with a wrong claim continues the count of its address', async t => {
  const penalties = new Penalties()
  for (let i = 1; i <= AUTH_FAILURES_FREE; i++) t.equal(penalties.judge('a', 1, false, 0), 0)
  t.equal(penalties.judge('a', 1, false, 0), AUTH_DELAY_MS_MIN)
  t.equal(penalties.judge('a', 1, false, 0), 2 * AUTH_DELAY_MS_MIN)
  t.equal(penalties.judge('a', 0, true, 0), 0, 'but not if it is right')
  t.equal(penalties.judge('b', 1, false, 0), 0, 'and not at another address')
})

t.test('an address that keeps failing waits for right answers too', async t => {
  const penalties = new Penalties()
  const failures = AUTH_ADDRESS_FAILURES_FREE + AUTH_FAILURES_FREE
  for (let i = 0; i < failures; i++) penalties.judge('a', 1, false, 0)
  t.equal(penalties.judge('a', 0, true, 0), 0)
  penalties.judge('a', 1, false, 0)
  t.equal(penalties.judge('a', 0, true, 0), AUTH_DELAY_MS_MIN)
})

t.test('failures are forgiven one at a time, and their number is bounded', async t => {
  const penalties = new Penalties()
  for (let i = 0; i < 10; i++) penalties.judge('a', 1, false, 0)
  t.equal(penalties.failuresOf('a', AUTH_FORGIVE_MS - 1), 10)
  t.equal(penalties.failuresOf('a', AUTH_FORGIVE_MS), 9)
  t.equal(penalties.failuresOf('a', 20 * AUTH_FORGIVE_MS), 0)
  for (let i = 0; i < 10_000; i++) penalties.judge('a', 1, false, 0)
  t.equal(penalties.failuresOf('a', 200 * AUTH_FORGIVE_MS), 0)
})

t.test('the table is bounded: the address that failed longest ago is forgotten', async t => {
  const penalties = new Penalties()
  for (let i = 0; i < AUTH_ADDRESSES_MAX; i++) penalties.judge(`${i}`, 1, false, 0)
  penalties.judge('0', 1, false, 0)
  penalties.judge('new', 1, false, 0)
  t.equal(penalties.failuresOf('1', 0), 0)
  t.equal(penalties.failuresOf('0', 0), 2)
  t.equal(penalties.failuresOf('2', 0), 1)
  t.equal(penalties.failuresOf('new', 0), 1)
})
