// What the channels say of pools and strategies, the meter that counts it, and that nothing is made
// where nobody listens.

import { channel } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { JournalChange, PoolCall, ServerChange, TierRead } from '../../lib/doors/channels.ts'
import { CacheMeter, LATENCY_BOUNDS_MS } from '../../lib/doors/meter.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { TieredCache } from '../../lib/strategies/tiered.ts'
import { startDaemon } from '../support/daemon.ts'
import { LOCAL } from '../support/doors.ts'
import { ONE_THREAD, POOL_KINDS, startPool, untilTrue } from '../support/pool.ts'
import { freePort, HOST } from '../support/process.ts'

/** The messages of a channel, until the test ends. */
function listen<T>(t: Test, name: string): T[] {
  const heard: T[] = []
  const hear = (message: unknown) => heard.push(message as T)
  channel(name).subscribe(hear)
  t.teardown(() => channel(name).unsubscribe(hear))
  return heard
}

function meterOf(t: Test): CacheMeter {
  const meter = new CacheMeter()
  t.teardown(() => meter.close())
  return meter
}

for (const replicas of [1, 2]) {
  t.test(`calls of a pool, copies: ${replicas}`, async t => {
    const { client } = await startPool(t, POOL_KINDS[0], 2, { replicas })
    const heard = listen<PoolCall>(t, 'memslab:pool:call')
    await client.get('a')
    await client.set('a', 'one')
    await client.add('a', 'two')
    await client.get('a')
    await client.getMany(['a', 'b', 'c'])
    await client.getMany(['b', 'c'])
    await client.touch('a', { ttlS: 10 })
    await client.incr('n', 1)
    await client.incr('n', 1, { initial: 5 })
    await client.lease('claimed', { claimS: 10 })
    await client.get('claimed')
    await client.lease('a', { claimS: 10 })
    const { cas = 0n } = (await client.getItem('a')) ?? {}
    await client.expire('a', cas)
    await client.delete('a')
    await client.delete('a')
    t.strictSame(
      heard.map(({ call, outcome, keys, hits }) => `${call} ${outcome} ${hits}/${keys}`),
      [
        ...['get miss 0/1', 'store done 0/1', 'store refused 0/1', 'get hit 1/1'],
        ...['getMany hit 1/3', 'getMany miss 0/2', 'touch done 0/1', 'adjust refused 0/1'],
        ...['adjust done 0/1', 'lease miss 0/1', 'get miss 0/1', 'lease hit 1/1', 'get hit 1/1'],
        ...['expire done 0/1', 'delete done 0/1', 'delete refused 0/1'],
      ],
    )
    t.ok(heard.every(({ ms, error }) => ms >= 0 && ms < 60_000 && error === undefined))
  })
}

t.test('servers that go and come back', async t => {
  const { port, stop } = await startDaemon(t, ONE_THREAD)
  const server = `${HOST}:${port}`
  const meter = meterOf(t)
  const changes = listen<ServerChange>(t, 'memslab:pool:server')
  const client = new ClusterClient([server], { failures: 2, restMs: 10, timeoutMs: 20_000 })
  t.teardown(() => client.close())
  await client.set('a', 1)
  await stop()
  for (let i = 0; i < 2; i++) await t.rejects(client.get('a'), { code: 'CONNECTION' })
  t.strictSame(changes, [{ server, isUp: false }])
  t.match(meter.read(), {
    servers: { [server]: { isUp: false, ejections: 1 } },
    errors: { CONNECTION: 2 },
    calls: { get: { error: 2, hit: 0 }, store: { done: 1 } },
  })
  const again = new ClusterClient([`${HOST}:${await freePort()}`], { timeoutMs: 20_000 })
  t.teardown(() => again.close())
  await t.rejects(again.get('a'), { code: 'CONNECTION' })
  t.equal(Object.keys(meter.read().servers).length, 1, 'one failure ejects nobody')
})

t.test('a server that comes back', async t => {
  const kind = POOL_KINDS[0]
  const { client, servers } = await startPool(t, kind, 1, { failures: 1, restMs: 10 })
  const meter = meterOf(t)
  const server = `${HOST}:${servers[0].port}`
  await client.set('a', 1)
  await servers[0].stop()
  await t.rejects(client.get('a'))
  await kind.startOn(t, servers[0].port, ONE_THREAD)
  await untilTrue('it is back', () => meter.read().servers[server]?.isUp)
  t.ok((meter.read().servers[server]?.ejections ?? 0) >= 1)
})

t.test('the journal: what a server missed, and that it is removed', async t => {
  const kind = POOL_KINDS[0]
  const terms = { replicas: 2, failures: 1, restMs: 10 }
  const { client, servers } = await startPool(t, kind, 2, terms)
  const meter = meterOf(t)
  const heard = listen<JournalChange>(t, 'memslab:pool:journal')
  await client.set('a', 'old')
  const { port, stop } = servers[0]
  const server = `${HOST}:${port}`
  await stop()
  t.ok(await client.set('a', 'new'), 'the other one stores it')
  t.strictSame(heard, [{ server, key: 'a', isStale: true }])
  await kind.startOn(t, port, ONE_THREAD)
  await untilTrue('the copy was removed', () => meter.read().journal.removed > 0)
  t.match(heard.at(-1), { server, key: 'a', isStale: false })
  t.match(meter.read().journal, { stale: 1, removed: 1, epochs: 0 })
})

t.test('two tiers: what was found in process', async t => {
  const { client } = await startPool(t, POOL_KINDS[0], 1)
  const near = LocalCache.create({ memoryBytes: 16 * MIB })
  t.teardown(() => near.close())
  const meter = meterOf(t)
  const tiered = new TieredCache(near, client)
  t.teardown(() => tiered.close())
  await untilTrue('it is fresh', () => tiered.isFresh)
  await tiered.set('a', 'one')
  const heard = listen<TierRead>(t, 'memslab:tier:read')
  await untilTrue('it is near', async () => {
    await tiered.getMany(['a', 'b'])
    return heard.at(-1)?.nearHits === 1
  })
  t.match(heard[0], { keys: 2, nearHits: 0, isFresh: true })
  const { tiers } = meter.read()
  t.equal(tiers.keys, 2 * heard.length)
  t.equal(
    tiers.nearHits,
    heard.reduce((sum, { nearHits }) => sum + nearHits, 0),
  )
})

t.test('reads, loads and errors of strategies', async t => {
  const [cache] = await LOCAL.open(t)
  const meter = meterOf(t)
  const aside = new CacheAside(cache, { ttlS: 1, staleS: 100, jitter: 0, onError: () => {} })
  const errors = listen<{ key: string }>(t, 'memslab:strategy:error')
  await aside.getOrSet('a', () => 'one')
  await aside.settled()
  await aside.getOrSet('a', () => 'two')
  await t.rejects(
    aside.getOrSet('b', () => {
      throw new Error('no source')
    }),
  )
  await cache.set('c', Buffer.from('{'), { flags: 2 << 16, ttlS: 100 })
  await aside.getOrSet('c', () => 'loaded')
  await aside.settled()
  await untilTrue('a is stale', async () => {
    await aside.getOrSet('a', () => 'three')
    return meter.read().strategies.stale > 0
  })
  await aside.settled()
  const { strategies } = meter.read()
  t.match(strategies, { miss: 3, failedLoads: 1 })
  t.ok(strategies.hit >= 1 && strategies.loads >= 4 && strategies.loadMs > 0)
  t.ok(strategies.errors >= 1 && errors.some(({ key }) => key === 'c'))
})

t.test('the meter: latencies, a reading is a copy, closed it counts no more', async t => {
  const { client } = await startPool(t, POOL_KINDS[0], 1)
  const meter = new CacheMeter()
  for (let i = 0; i < 50; i++) await client.set(`k${i}`, i)
  await client.getMany(['k1', 'k2', 'none'])
  const reading = meter.read()
  const { latency, totalMs, done } = reading.calls.store
  t.equal(latency.length, LATENCY_BOUNDS_MS.length + 1)
  t.equal(
    latency.reduce((sum, count) => sum + count, 0),
    50,
  )
  t.ok(totalMs > 0 && done === 50)
  t.match(reading, { keys: 53, hits: 2 })
  await client.get('k1')
  t.equal(reading.keys, 53)
  t.equal(meter.read().keys, 54)
  meter.close()
  t.notOk(channel('memslab:pool:call').hasSubscribers)
  await client.get('k1')
  t.equal(meter.read().keys, 54)
})

t.test('where nobody listens nothing is measured', async t => {
  const { client } = await startPool(t, POOL_KINDS[0], 1)
  const published = t.capture(channel('memslab:pool:call'), 'publish')
  await client.set('a', 1)
  await client.get('a')
  t.equal(published().length, 0)
})

t.test('a meter forgets servers beyond its bound', async t => {
  const meter = meterOf(t)
  const tell = (server: string) => {
    channel('memslab:pool:server').publish({ server, isUp: false })
  }
  for (let i = 0; i < 1500; i++) tell(`server-${i}`)
  const { servers } = meter.read()
  t.equal(Object.keys(servers).length, 1000)
  t.ok('server-1499' in servers && !('server-0' in servers))
})
