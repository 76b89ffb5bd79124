// When the pool client uses a server and when it ejects it.

import t from 'tap'
import { CLIENT_REST_MS_MAX } from '../../../lib/client/limits.ts'
import { CLIENT_STEADY_MS, Health } from '../../../lib/client/members/health.ts'

t.test('ejected after failures in a row, back with an answer', async t => {
  const health = new Health(3, 1000)
  t.equal(health.fail(0), false)
  t.equal(health.fail(0), false)
  health.succeed(0)
  t.equal(health.fail(1), false, 'an answer between starts the count anew')
  t.equal(health.fail(1), false)
  t.equal(health.fail(1), true)
  t.equal(health.isUp(), false)
  t.equal(health.fail(2), false, 'it is out already')
  health.succeed(1000)
  t.equal(health.isUp(), true)
})

t.test('a server that flaps is ejected at its first failure, for twice as long', async t => {
  const health = new Health(3, 1000)
  let nowMs = 0
  for (let i = 0; i < 3; i++) health.fail(nowMs)
  for (let restMs = 1000; restMs < CLIENT_REST_MS_MAX; restMs *= 2) {
    t.equal(health.rest(), restMs)
    nowMs += restMs
    health.succeed(nowMs)
    nowMs += CLIENT_STEADY_MS / 2
    t.equal(health.fail(nowMs), true)
  }
  t.equal(health.rest(), CLIENT_REST_MS_MAX, 'but not for ever')
})

t.test('forgiven after a steady period, with or without requests', async t => {
  for (const isHeard of [true, false]) {
    const health = new Health(2, 1000)
    health.fail(0)
    health.fail(0)
    health.succeed(1000)
    const laterMs = 1001 + CLIENT_STEADY_MS
    if (isHeard) health.succeed(laterMs)
    t.equal(health.fail(laterMs), false)
    t.equal(health.fail(laterMs), true)
    t.equal(health.rest(), 1000)
  }
})
