// What cache-aside asks of a pool: how many requests, and how often it waits for an answer.

import t, { type Test } from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../lib/client/cluster-options.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { claimKeyOf } from '../../lib/strategies/claims.ts'
import { RequestCounter } from '../../scripts/bench/pool/request-counter.ts'
import { startDaemon } from '../support/daemon.ts'
import { loud } from '../support/doors.ts'
import { ONE_THREAD } from '../support/pool.ts'

const LONG_MS = 20_000

interface Counted {
  pool: ClusterClient
  aside: CacheAside
  /** Requests and round trips of a call, and of what it leaves to do. */
  countOf(call: () => Promise<unknown>): Promise<[requests: number, roundTrips: number]>
}

async function counted(t: Test, servers: number, options: ClusterOptions = {}): Promise<Counted> {
  const daemons = await Promise.all(
    Array.from({ length: servers }, () => startDaemon(t, ONE_THREAD)),
  )
  const counter = await RequestCounter.open(daemons.map(({ port }) => port))
  t.teardown(() => counter.close())
  const pool = new ClusterClient(counter.names, { timeoutMs: LONG_MS, ...options })
  t.teardown(() => pool.close())
  const aside = new CacheAside(pool, { ttlS: 600, onError: loud })
  // Connections learn once which life their server is in.
  for (let i = 0; i < 20; i++) await aside.getOrSet(`first ${i}`.replace(' ', ':'), () => i)
  await aside.settled()
  const countOf = async (call: () => Promise<unknown>): Promise<[number, number]> => {
    counter.reset()
    await call()
    await aside.settled()
    return [counter.requests, counter.roundTrips]
  }
  return { pool, aside, countOf }
}

/** A key whose claim is on its server, and one whose claim is on another. */
function keysOf(pool: ClusterClient): [together: string, apart: string] {
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
  const isTogether = (key: string) => pool.ownerOf(key) === pool.ownerOf(claimKeyOf(key))
  return [keys.find(isTogether) ?? '', keys.find(key => !isTogether(key)) ?? '']
}

t.test('a hit takes one request, a miss three round trips', async t => {
  const { aside, countOf } = await counted(t, 1)
  t.strictSame(await countOf(() => aside.getOrSet('a', () => 1)), [6, 3], 'a miss')
  t.strictSame(await countOf(() => aside.getOrSet('a', () => 2)), [1, 1], 'a hit')
  t.strictSame(await countOf(() => aside.get('a')), [1, 1], 'get')
  t.strictSame(await countOf(() => aside.set('a', 3)), [2, 1], 'set')
  t.strictSame(await countOf(() => aside.delete('a')), [2, 1], 'delete')
  t.equal(await aside.get('a'), undefined)
})

t.test('a miss of many keys takes as many round trips as one', async t => {
  const { aside, countOf } = await counted(t, 1)
  const keys = Array.from({ length: 50 }, (_, i) => `many:${i}`)
  const load = (missing: string[]) => new Map(missing.map(key => [key, key]))
  const [requests, roundTrips] = await countOf(() => aside.getOrSetMany(keys, load))
  t.equal(requests, 6 * keys.length)
  t.ok(roundTrips <= 6, `${roundTrips} round trips`)
  t.strictSame(await countOf(() => aside.getOrSetMany(keys, load)), [50, 1])
})

t.test('on several servers: where a key and its claim are on one', async t => {
  const { pool, aside, countOf } = await counted(t, 3)
  const [together, apart] = keysOf(pool)
  t.strictSame(await countOf(() => aside.getOrSet(together, () => 1)), [6, 3])
  t.strictSame(await countOf(() => aside.getOrSet(apart, () => 1)), [6, 5], 'one after the other')
})

for (const [what, options] of Object.entries({
  'two copies': { replicas: 2 },
  'several connections': { connections: 2 },
})) {
  t.test(`${what}: nothing is sent before what must be done first`, async t => {
    const { aside, countOf } = await counted(t, 2, options)
    const [, roundTrips] = await countOf(() => aside.getOrSet('a', () => 1))
    t.ok(roundTrips >= 5, `${roundTrips} round trips`)
    t.equal(await aside.getOrSet('a', () => 2), 1)
  })
}
