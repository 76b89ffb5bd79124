// Faults in cache-aside: spread expiry, caches that are away, frozen or without claims, damaged
// values, threads that are terminated while they load.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { Store } from '../../lib/doors/types.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { claimKeyOf } from '../../lib/strategies/claims.ts'
import { startDaemon } from '../support/daemon.ts'
import { LOCAL, loud } from '../support/doors.ts'
import { freeze } from '../support/freeze.ts'

const THREAD = new URL('../support/aside-thread.ts', import.meta.url)

const fail = (error: unknown) => {
  throw error
}

t.test('expiry is spread', async t => {
  const [store] = await LOCAL.open(t)
  const ends: number[] = []
  const set = (key: string, value: Buffer, options?: { ttlS?: number }) => {
    ends.push(options?.ttlS ?? 0)
    return store.set(key, value, options)
  }
  const spied: Store = new Proxy(store, {
    get: (s, name) => (name === 'set' ? set : Reflect.get(s, name).bind(s)),
  })
  const aside = new CacheAside(spied, { ttlS: 1000, jitter: 0.2, onError: loud })
  for (let i = 0; i < 200; i++) await aside.set('a', i)
  t.ok(Math.min(...ends) >= 800 && Math.max(...ends) <= 1000)
  t.ok(new Set(ends).size > 50)
  ends.length = 0
  await new CacheAside(spied, { ttlS: Number.POSITIVE_INFINITY }).set('a', 1)
  await new CacheAside(spied, { ttlS: 86_400 * 365, jitter: 0 }).set('a', 1)
  t.strictSame(ends, [Number.POSITIVE_INFINITY, 86_400 * 365])
})

t.test('without its cache the application still works', async t => {
  const errors: unknown[] = []
  const away = new Proxy({} as Store, { get: () => () => fail(new Error('away')) })
  const aside = new CacheAside(away, { ttlS: 1, onError: error => errors.push(error) })
  t.equal(await aside.getOrSet('a', () => 'loaded'), 'loaded')
  t.equal(errors.length, 1, 'and nobody waits for it a second time')
  const warnings = t.capture(process, 'emitWarning')
  const silent = new CacheAside(away, { ttlS: 1 })
  for (let i = 0; i < 5; i++) t.equal(await silent.getOrSet('a', () => 'loaded'), 'loaded')
  t.equal(warnings().length, 1, 'one warning in a while')
})

t.test('a frozen server costs its deadline, and no load is stored twice', async t => {
  const server = await startDaemon(t)
  const pool = new ClusterClient([`127.0.0.1:${server.port}`], { timeoutMs: 300, failover: 'miss' })
  t.teardown(() => pool.close())
  const errors: unknown[] = []
  const aside = new CacheAside(pool, { ttlS: 100, onError: error => errors.push(error) })
  await freeze(t, server.pid)
  for (let i = 0; i < 5; i++) {
    t.equal(await aside.getOrSet('a', () => `load ${i}`), `load ${i}`)
    await aside.settled()
  }
  t.ok(errors.length >= 3, 'until it is ejected')
  process.kill(server.pid, 'SIGCONT')
  const seen = new Set<number>()
  for (let tries = 0; tries < 600 && seen.size === tries; tries++) {
    await sleep(50)
    seen.add(await aside.getOrSet('a', () => tries))
  }
  t.ok(seen.size < 600, 'it caches again once it is back')
})

t.test('without claims each process loads, and cached values are served', async t => {
  const server = await startDaemon(t)
  const options = { driver: 'memjs', timeoutMs: 20_000 } as const
  const pool = new ClusterClient([`127.0.0.1:${server.port}`], options)
  t.teardown(() => pool.close())
  const aside = new CacheAside(pool, { ttlS: 100, onError: loud })
  t.strictSame(await aside.getOrSet('a', () => ({ n: 1 })), { n: 1 })
  t.strictSame(await aside.getOrSet('a', () => ({ n: 2 })), { n: 1 })
})

t.test('a damaged value is loaded again', async t => {
  const [store] = await LOCAL.open(t)
  const errors: unknown[] = []
  const aside = new CacheAside(store, { ttlS: 100, onError: error => errors.push(error) })
  await aside.set('a', { a: 1 })
  const { flags = 0 } = (await store.getItem('a')) ?? {}
  await store.set('a', Buffer.from('{"a'), { flags })
  t.strictSame(await aside.getOrSet('a', () => ({ a: 2 })), { a: 2 })
  t.strictSame(await aside.getOrSet('a', () => ({ a: 3 })), { a: 2 })
  t.equal(errors.length, 1)
})

t.test('keys and values that the cache or the serializer refuses', async t => {
  const [store] = await LOCAL.open(t)
  const errors: unknown[] = []
  const aside = new CacheAside(store, { ttlS: 100, onError: error => errors.push(error) })
  await t.rejects(
    aside.getOrSet('k'.repeat(300), () => 1),
    { code: 'KEY' },
  )
  t.equal(await aside.getOrSet('big', () => 1n), 1n, 'the caller has it')
  t.match(errors, [{ code: 'VALUE', cause: TypeError }])
  t.equal(await aside.getOrSet('big', () => 'next'), 'next', 'and the claim is given back')
  await t.rejects(aside.set('big', 1n), { code: 'VALUE' })
  for (const options of [
    { ttlS: 0 },
    { ttlS: Number.NaN },
    { ttlS: 1, jitter: 2 },
    { ttlS: 1, staleS: Number.POSITIVE_INFINITY },
    { ttlS: 1, negativeTtlS: -1 },
    { ttlS: 1, negativeTtlS: Number.NaN },
    { ttlS: 1, loadMs: 0 },
    { ttlS: 1, loadMs: 2 ** 31 },
    { ttlS: 1, loadMs: Number.POSITIVE_INFINITY },
  ]) {
    t.throws(() => new CacheAside(store, options), { code: 'ARGUMENT' })
  }
})

t.test('threads load a value once, also after the loading thread was terminated', async t => {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, shards: 2 })
  t.teardown(() => cache.close())
  const said: string[] = []
  const start = (hangs: boolean) => {
    const worker = new Worker(THREAD, { workerData: { handle: cache.handle, hangs }, execArgv: [] })
    worker.on('message', text => said.push(text))
    cache.guard(worker)
    return worker
  }
  const dead = start(true)
  await once(dead, 'message')
  await dead.terminate()
  t.equal(cache.has(claimKeyOf('cold')), true, 'its claim is there')
  await Promise.all([1, 2, 3].map(() => once(start(false), 'exit')))
  t.strictSame(said, ['loading', 'loading', 'made', 'made', 'made'])
})
