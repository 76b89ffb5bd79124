// Cache-aside over LocalCache and pools: one load for all callers; and what is served when loads
// fail, hang, die or are late.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { claimKeyOf } from '../../lib/strategies/claims.ts'
import { DOORS, loud } from '../support/doors.ts'

const fail = (error: unknown) => {
  throw error
}

for (const { name, skip, open } of DOORS) {
  t.test(`values of any kind come from the cache the second time, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    const aside = new CacheAside(store, { ttlS: 100, negativeTtlS: 100, onError: loud })
    const values = ['text', '', { a: [1] }, 0, false, null, undefined, Buffer.from([0, 255])]
    for (const [i, value] of values.entries()) {
      t.strictSame(await aside.getOrSet(`k${i}`, () => value), value)
      await aside.settled()
      t.strictSame(await aside.getOrSet(`k${i}`, () => fail(new Error('loaded twice'))), value)
      t.strictSame(await aside.get(`k${i}`), value)
    }
    t.ok(await aside.delete('k0'))
    t.equal(await aside.get('k0'), undefined)
    t.equal(await aside.getOrSet('k0', async () => 'new'), 'new')
    await aside.set('k0', 'set')
    t.equal(await aside.getOrSet('k0', () => 'not asked'), 'set')
  })

  t.test(`one load for all callers of all processes, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    let loads = 0
    const load = async () => {
      loads++
      await sleep(100)
      return { loads }
    }
    const asides = [here, there].map(store => new CacheAside(store, { ttlS: 100, onError: loud }))
    const asked = asides.flatMap(aside =>
      Array.from({ length: 250 }, () => aside.getOrSet('cold', load)),
    )
    const values = await Promise.all(asked)
    t.equal(loads, 1)
    t.ok(values.every(value => value.loads === 1))
  })

  t.test(
    `an error reaches all waiting callers, and the next may try, ${name}`,
    { skip },
    async t => {
      const [here, there] = await open(t)
      const aside = new CacheAside(here, { ttlS: 100, onError: loud })
      let loads = 0
      const broken = async () => {
        loads++
        await sleep(20)
        throw new Error('no database')
      }
      const asked = Array.from({ length: 20 }, () => aside.getOrSet('a', broken))
      const outcomes = await Promise.allSettled(asked)
      t.ok(outcomes.every(o => o.status === 'rejected' && o.reason.message === 'no database'))
      t.equal(loads, 1, 'the error of one load')
      const other = new CacheAside(there, { ttlS: 100, onError: loud })
      t.equal(await other.getOrSet('a', () => 'works'), 'works')
      t.throws(() => fail(new Error('sync')), 'sync')
      await t.rejects(
        aside.getOrSet('b', () => fail(new Error('thrown at once'))),
        { message: 'thrown at once' },
      )
    },
  )

  t.test(`a hanging loader is given up, a dead one is replaced, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const options = { ttlS: 100, loadMs: 300, onError: loud }
    const aside = new CacheAside(here, options)
    let signal: AbortSignal | undefined
    const hang = (given: AbortSignal) => {
      signal = given
      return new Promise<string>(() => {})
    }
    await t.rejects(aside.getOrSet('a', hang), { code: 'DEADLINE' })
    t.ok(signal?.aborted)
    t.equal(await aside.getOrSet('a', () => 'then'), 'then')
    t.equal(await there.add(claimKeyOf('b'), 'of a dead owner', { ttlS: 1 }), true)
    const patient = new CacheAside(here, { ttlS: 100, onError: loud })
    t.equal(await patient.getOrSet('b', () => 'in its place'), 'in its place')
  })

  t.test(`a value deleted while it is loaded is not stored, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const [aside, other] = [here, there].map(
      store => new CacheAside(store, { ttlS: 100, onError: loud }),
    )
    const value = await aside.getOrSet('a', async () => {
      await other.delete('a')
      return 'old'
    })
    t.equal(value, 'old')
    await aside.settled()
    t.equal(await aside.get('a'), undefined)
    t.equal(await here.get(claimKeyOf('a')), undefined)
  })

  t.test(`callers after a change do not wait for an older load, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    const aside = new CacheAside(store, { ttlS: 100, onError: loud })
    const gate = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const old = () => {
      begun.resolve()
      return gate.promise.then(() => 'old')
    }
    const before = aside.getOrSet('a', old)
    await begun.promise
    await aside.delete('a')
    t.equal(await aside.getOrSet('a', () => 'deleted meanwhile'), 'deleted meanwhile')
    await aside.set('a', 'set meanwhile')
    gate.resolve()
    t.equal(await before, 'old')
    t.equal(await aside.getOrSet('a', () => 'not asked'), 'set meanwhile')
    const again = Promise.withResolvers<string>()
    const loading = Promise.withResolvers<void>()
    const slow = aside.getOrSet('b', () => {
      loading.resolve()
      return again.promise
    })
    await loading.promise
    t.equal(await store.getItem('b'), undefined, 'a claim is no item')
    await aside.set('b', 'set meanwhile')
    t.equal(await aside.getOrSet('b', () => 'not asked'), 'set meanwhile')
    again.resolve('old')
    t.equal(await slow, 'old')
  })

  t.test(`stale values are served while one caller loads, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const options = { ttlS: 1, staleS: 1000, jitter: 0, onError: loud }
    const asides = [here, there].map(store => new CacheAside(store, options))
    await asides[0].set('a', 'old')
    let loads = 0
    const gate = Promise.withResolvers<string>()
    const load = () => {
      loads++
      return gate.promise
    }
    for (let tries = 0; tries < 600 && loads === 0; tries++) {
      await sleep(20)
      for (const aside of asides) t.equal(await aside.getOrSet('a', load), 'old')
    }
    for (const aside of asides) t.equal(await aside.getOrSet('a', load), 'old')
    t.equal(loads, 1)
    gate.resolve('new')
    await Promise.all(asides.map(aside => aside.settled()))
    t.equal(await asides[1].getOrSet('a', load), 'new')
  })

  t.test(`a failed refresh is reported and retried, ${name}`, { skip }, async t => {
    const [here] = await open(t)
    const errors: string[] = []
    const onError = (error: unknown, key: string) => errors.push(`${key}: ${error}`)
    const aside = new CacheAside(here, { ttlS: 1, staleS: 1000, jitter: 0, onError })
    await aside.set('a', 'old')
    const broken = () => fail(new Error('no database'))
    for (let tries = 0; tries < 600 && errors.length < 2; tries++) {
      t.equal(await aside.getOrSet('a', broken), 'old')
      await aside.settled()
      await sleep(20)
    }
    t.strictSame(errors, ['a: Error: no database', 'a: Error: no database'])
    t.equal(await aside.getOrSet('a', () => 'new'), 'old')
    await aside.settled()
    t.equal(await aside.getOrSet('a', broken), 'new')
  })

  t.test(`missing values are cached on request, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    let loads = 0
    const load = () => {
      loads++
      return null
    }
    const forgets = new CacheAside(store, { ttlS: 100, onError: loud })
    for (let i = 0; i < 3; i++) t.equal(await forgets.getOrSet('a', load), null)
    t.equal(loads, 3)
    const remembers = new CacheAside(store, { ttlS: 100, negativeTtlS: 100, onError: loud })
    for (let i = 0; i < 3; i++) t.equal(await remembers.getOrSet('a', load), null)
    t.equal(loads, 4)
  })
}
