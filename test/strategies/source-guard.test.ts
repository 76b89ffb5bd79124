// The guard of a source: loads at once, loads within loads, and a source that fails.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { SourceGuard } from '../../lib/strategies/source-guard.ts'
import { LOCAL, loud } from '../support/doors.ts'
import { StalledStore } from '../support/faulty-store.ts'

t.test('a cache that is away does not let all loads go at once', async t => {
  const [store] = await LOCAL.open(t)
  const stalled = new StalledStore(store)
  stalled.isAway = true
  let running = 0
  let most = 0
  const load = async () => {
    running++
    most = Math.max(most, running)
    await sleep(2)
    running--
    return 'loaded'
  }
  const aside = new CacheAside(stalled.store, { ttlS: 100, onError: () => {} })
  const asked = Array.from({ length: 1000 }, (_, i) => aside.getOrSet(`k${i}`, load))
  t.strictSame(new Set(await Promise.all(asked)), new Set(['loaded']))
  t.equal(most, 100, 'the default')
})

t.test('loads that wait too long, and too many of them, are refused', async t => {
  const [store] = await LOCAL.open(t)
  const guard = new SourceGuard({ loadsMax: 2, waitingMax: 2 })
  const options = { ttlS: 100, loadMs: 100, guard, onError: loud }
  // Two caches before one source.
  const asides = [new CacheAside(store, options), new CacheAside(store, options)]
  const hang = () => new Promise<string>(() => {})
  const ask = (key: string, n: number) => asides[n % 2].getOrSet(key, hang).catch(e => e.code)
  const codes = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(ask))
  t.strictSame(codes.sort(), ['BUSY', 'DEADLINE', 'DEADLINE', 'DEADLINE', 'DEADLINE'])
  t.strictSame(guard.counts, { running: 0, waiting: 0 })
  t.equal(await asides[0].getOrSet('a', () => 'loaded'), 'loaded', 'their places are free')
})

t.test('a load that needs another load does not wait for its own place', async t => {
  const [store] = await LOCAL.open(t)
  const guard = new SourceGuard({ loadsMax: 1 })
  const aside = new CacheAside(store, { ttlS: 100, guard, onError: loud })
  const outer = () => aside.getOrSet('inner', () => 'inner')
  t.equal(await aside.getOrSet('outer', outer), 'inner')
})

t.test('a failing source is asked for a share of the time', async t => {
  const [store] = await LOCAL.open(t)
  const guard = new SourceGuard({ failuresMax: 3, share: 0.2 })
  const options = { ttlS: 1, staleS: 1000, jitter: 0, guard, onError: () => {} }
  const aside = new CacheAside(store, options)
  await aside.set('stale', 'old')
  while ((store.getItem('stale') as { ttlS: number }).ttlS > 1000) await sleep(20)
  let loads = 0
  const broken = async () => {
    loads++
    await sleep(50)
    throw new Error('connection refused')
  }
  const codes = new Map<string, number>()
  const beganMs = performance.now()
  for (let i = 0; performance.now() < beganMs + 1000; i++) {
    const { code, message } = await aside.getOrSet(`k${i}`, broken).catch(error => error)
    codes.set(code ?? message, (codes.get(code ?? message) ?? 0) + 1)
    t.equal(await aside.getOrSet('stale', broken), 'old')
    await sleep(1)
  }
  // 3 to begin with, perhaps as many refreshes, then one of 50 ms in 250 ms.
  t.ok(loads <= 12, `${loads} loads`)
  t.ok((codes.get('BUSY') ?? 0) > 20, 'the others are refused at once')
  while (guard.isOpen()) await sleep(10)
  t.equal(await aside.getOrSet('works', () => 'loaded'), 'loaded')
  t.equal(await aside.getOrSet('again', () => 'loaded'), 'loaded')
})

t.test('wrong options are refused', async t => {
  for (const options of [{ loadsMax: 0 }, { share: 0 }, { share: 2 }, { failuresMax: 0.5 }]) {
    t.throws(() => new SourceGuard(options), { code: 'ARGUMENT' })
  }
  const [store] = await LOCAL.open(t)
  t.throws(() => new CacheAside(store, { ttlS: 1, guard: {} as SourceGuard }), { code: 'ARGUMENT' })
})
