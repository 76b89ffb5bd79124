// Many keys at once, and options of one call: times, tags, a forced refresh, a signal.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { SourceGuard } from '../../lib/strategies/source-guard.ts'
import { DOORS, LOCAL, loud } from '../support/doors.ts'
import { StalledStore } from '../support/faulty-store.ts'

const fail = () => {
  throw new Error('not to be loaded')
}

for (const { name, skip, open } of DOORS) {
  t.test(`many keys take one load, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const guard = new SourceGuard({ loadsMax: 1 })
    const asides = [here, there].map(store => {
      return new CacheAside(store, { ttlS: 100, guard, onError: loud })
    })
    const loads: string[][] = []
    const load = async (keys: string[]) => {
      loads.push(keys)
      await sleep(20)
      return new Map(keys.filter(key => key !== 'none').map(key => [key, { of: key }]))
    }
    await asides[0].set('c', 'cached')
    const keys = ['a', 'b', 'c', 'none', 'a']
    const found = await asides[0].getOrSetMany<unknown>(keys, load)
    t.strictSame(
      [...found],
      [
        ['a', { of: 'a' }],
        ['b', { of: 'b' }],
        ['c', 'cached'],
      ],
    )
    // Two, where a server of a busy machine needs longer for a claim than a batch waits.
    t.ok(loads.length <= (name === LOCAL.name ? 1 : 2), `${loads.length} loads`)
    t.strictSame(loads.splice(0).flat().sort(), ['a', 'b', 'none'])
    await asides[0].settled()
    t.equal(await asides[1].getOrSet('a', fail).then(() => true), true, 'it is cached')

    // What another process loads is waited for, and not loaded again.
    const gate = Promise.withResolvers<string>()
    const begun = Promise.withResolvers<void>()
    const slow = asides[1].getOrSet('slow', () => {
      begun.resolve()
      return gate.promise
    })
    await begun.promise
    const other = new CacheAside(here, { ttlS: 100, onError: loud })
    const both = other.getOrSetMany<unknown>(['slow', 'd'], load)
    while (loads.length === 0) await sleep(5)
    gate.resolve('by another')
    t.strictSame(
      [...(await both)],
      [
        ['slow', 'by another'],
        ['d', { of: 'd' }],
      ],
    )
    t.strictSame(loads, [['d']])
    await slow
  })

  t.test(`ttl and tags of a call, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const aside = new CacheAside(here, { ttlS: 1000, jitter: 0, onError: loud })
    await aside.getOrSet('a', () => 'v', { ttlS: 50 })
    await aside.settled()
    t.match(await there.getItem('a'), { ttlS: /^(49|50)$/ })
    await aside.set('b', 'v', { ttlS: 60, staleS: 10 })
    t.match(await there.getItem('b'), { ttlS: /^(69|70)$/ })

    const other = new CacheAside(there, { ttlS: 1000, onError: loud })
    const tagged = { tags: ['users', 'tenant:1'] }
    t.equal(await aside.getOrSet('u', () => 'first', tagged), 'first')
    await aside.settled()
    t.equal(await other.getOrSet('u', fail, tagged), 'first')
    t.equal(await other.get('u', tagged), 'first')
    t.equal(await other.get('u'), undefined, 'with tags it is another item')
    await aside.tags.invalidate('tenant:1')
    const load = (keys: string[]) => new Map(keys.map(key => [key, 'second']))
    t.strictSame([...(await other.getOrSetMany(['u'], load, tagged))], [['u', 'second']])
    await other.settled()
    await aside.set('u', 'third', tagged)
    t.equal(await other.getOrSet('u', fail, tagged), 'third')
    t.equal(await aside.delete('u', tagged), true)
    t.equal(await other.get('u', tagged), undefined)
  })
}

t.test('a forced refresh loads whatever the cache has', async t => {
  const [store] = await LOCAL.open(t)
  const aside = new CacheAside(store, { ttlS: 100, onError: loud })
  await aside.set('a', 'old')
  const gate = Promise.withResolvers<string>()
  const refreshed = aside.getOrSet('a', () => gate.promise, { refresh: true })
  const shared = aside.getOrSet('a', fail)
  gate.resolve('new')
  t.strictSame([await refreshed, await shared], ['new', 'new'])
  await aside.settled()
  t.equal(await aside.getOrSet('a', fail), 'new')
  // A load that began before it does not store over it.
  const slow = Promise.withResolvers<string>()
  const begun = Promise.withResolvers<void>()
  const before = aside.getOrSet('b', () => {
    begun.resolve()
    return slow.promise
  })
  await begun.promise
  t.equal(await aside.getOrSet('b', () => 'newer', { refresh: true }), 'newer')
  await aside.settled()
  slow.resolve('older')
  t.equal(await before, 'older')
  await aside.settled()
  t.equal(await aside.get('b'), 'newer')
})

t.test('a signal ends the call of its caller alone', async t => {
  const [store] = await LOCAL.open(t)
  const aside = new CacheAside(store, { ttlS: 100, onError: loud })
  const gate = Promise.withResolvers<string>()
  const controller = new AbortController()
  const { signal } = controller
  const given = aside.getOrSet('a', () => gate.promise, { signal })
  const other = aside.getOrSet('a', fail)
  controller.abort(new Error('the client left'))
  await t.rejects(given, { message: 'the client left' })
  await t.rejects(aside.getOrSet('a', fail, { signal }), { message: 'the client left' })
  gate.resolve('loaded')
  t.equal(await other, 'loaded')
})

t.test('a load of many that fails, and a cache that is away', async t => {
  const [store] = await LOCAL.open(t)
  const stalled = new StalledStore(store)
  const aside = new CacheAside(stalled.store, { ttlS: 100, onError: () => {} })
  const broken = () => Promise.reject(new Error('no database'))
  await t.rejects(aside.getOrSetMany(['a', 'b'], broken), { message: 'no database' })
  const calls: string[][] = []
  const load = (keys: string[]) => {
    calls.push(keys)
    return new Map(keys.map(key => [key, key]))
  }
  t.equal((await aside.getOrSetMany(['a', 'b'], load)).size, 2, 'the claims were released')
  await aside.settled()
  stalled.isAway = true
  t.equal((await aside.getOrSetMany(['a', 'c'], load, { tags: ['x'] })).size, 2)
  t.equal(await aside.getOrSet('d', () => 'loaded', { tags: ['x'] }), 'loaded')
  t.strictSame(
    calls.map(keys => keys.sort()),
    [
      ['a', 'b'],
      ['a', 'c'],
    ],
  )
})

t.test('wrong options of a call are refused', async t => {
  const [store] = await LOCAL.open(t)
  const aside = new CacheAside(store, { ttlS: 100, onError: loud })
  for (const call of [{ ttlS: 0 }, { tags: 'x' }, { tag: 'x' }, { refresh: 1 }, { signal: {} }]) {
    await t.rejects(aside.getOrSet('a', fail, call as object), { code: 'ARGUMENT' })
  }
  await t.rejects(
    aside.getOrSetMany('ab', () => new Map()),
    { code: 'ARGUMENT' },
  )
})
