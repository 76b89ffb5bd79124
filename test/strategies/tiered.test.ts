// Two tiers: near copies, how soon changes of other processes are seen, and what happens when the
// log of changes has gaps, goes back or is away.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import type { Store } from '../../lib/doors/types.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { Tags } from '../../lib/strategies/tags.ts'
import { TieredCache, type TieredOptions } from '../../lib/strategies/tiered.ts'
import { DOORS, loud } from '../support/doors.ts'
import { StalledStore, withCalls } from '../support/faulty-store.ts'
import { untilTrue } from '../support/pool.ts'

const [, MEMSLAB] = DOORS

interface Tier {
  cache: TieredCache
  near: LocalCache
}

/** A near cache before a far one, and its log read to the end. */
async function tierOn(t: Test, far: Store, options: TieredOptions = {}): Promise<Tier> {
  const near = LocalCache.create({ memoryBytes: 8 * MIB })
  const tiered = { staleMs: 200, onError: loud, ...options }
  const cache = new TieredCache(near, far as Store<'async'>, tiered)
  t.teardown(() => {
    cache.close()
    near.close()
  })
  await untilTrue('fresh', () => cache.isFresh)
  return { cache, near }
}

for (const { name, skip, open } of DOORS.slice(1)) {
  t.test(`values of any kind are read near the second time, ${name}`, { skip }, async t => {
    const [far] = await open(t)
    let reads = 0
    const counting = withCalls(far, {
      getItem: (...args) => {
        reads++
        return far.getItem(...args)
      },
    })
    const { cache } = await tierOn(t, counting, { staleMs: 20_000 })
    const values = ['text', '', { a: [1] }, 0, false, Buffer.from([0, 255])]
    for (const [i, value] of values.entries()) {
      await cache.set(`k${i}`, value, { ttlS: 100 })
      for (let n = 0; n < 3; n++) t.strictSame(await cache.get(`k${i}`), value)
    }
    t.equal(reads, values.length)
    const keys = values.map((_, i) => `k${i}`)
    t.strictSame([...(await cache.getMany([...keys, 'none'])).values()], values)
    t.match(await cache.getItem('k0'), { value: 'text', ttlS: /^(9\d|100)$/ })
    const { cas } = (await cache.getItem('k0')) ?? { cas: 0n }
    t.equal(await cache.cas('k0', 'next', cas), true, 'a near copy has the far version')
    t.equal(await cache.get('k0'), 'next')
    t.equal(await cache.delete('k0'), true)
    t.equal(await cache.has('k0'), false)
    t.equal(await cache.incr('n', 1, { initial: 5 }), 5n)
  })

  t.test(`a change is seen by all after staleMs, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const staleMs = 100
    const [writer, reader] = [
      await tierOn(t, here, { staleMs }),
      await tierOn(t, there, { staleMs }),
    ]
    const done: { version: number; atMs: number }[] = []
    let isOver = false
    const old: string[] = []
    const reading = (async () => {
      while (!isOver) {
        const askedMs = performance.now()
        const least = done.findLast(({ atMs }) => atMs <= askedMs - staleMs)?.version ?? 0
        const version = Number((await reader.cache.get('a')) ?? 0)
        if (version < least) old.push(`${version} after ${least}`)
        await sleep(1)
      }
    })()
    for (let version = 1; version <= 30; version++) {
      await writer.cache.set('a', String(version))
      done.push({ version, atMs: performance.now() })
      await sleep(10)
    }
    await sleep(2 * staleMs)
    isOver = true
    await reading
    t.strictSame(old, [])
    t.equal(await reader.cache.get('a'), '30')
  })
}

t.test('a value that changed while it was fetched is not kept', async t => {
  const [here, there] = await MEMSLAB.open(t)
  const gate = Promise.withResolvers<void>()
  const isRead = Promise.withResolvers<void>()
  const slow = withCalls(here, {
    getItem: async (key, ...rest) => {
      const item = await here.getItem(key, ...rest)
      if (key === 'slow') {
        isRead.resolve()
        await gate.promise
      }
      return item
    },
  })
  const [first, second] = [await tierOn(t, slow), await tierOn(t, there)]
  await second.cache.set('slow', 'old')
  const fetching = first.cache.get('slow')
  await isRead.promise
  await second.cache.set('slow', 'new')
  first.near.set('marker', 'until the log was read')
  await second.cache.set('marker', 'v')
  await untilTrue('the log was read', () => !first.near.has('marker'))
  gate.resolve()
  t.equal(await fetching, 'old')
  t.equal(first.near.has('slow'), false)
  t.equal(await first.cache.get('slow'), 'new')
})

t.test('a missing entry, a log that begins again, a flush', async t => {
  const [here, there] = await MEMSLAB.open(t)
  const [first, second] = [await tierOn(t, here), await tierOn(t, there)]
  const fill = async () => {
    for (const { cache } of [first, second]) {
      await cache.set('a', 'v')
      await cache.get('a')
      await untilTrue('near', async () => (await cache.get('a')) === 'v' && cache.isFresh)
    }
    await first.cache.get('a')
    t.equal(first.near.has('a'), true)
  }
  await fill()
  await there.incr('tier:seq')
  await untilTrue('emptied after a while', () => !first.near.has('a'))
  await untilTrue('fresh again', () => first.cache.isFresh)
  await fill()
  await there.delete('tier:seq')
  await untilTrue('emptied', () => !first.near.has('a'))
  await untilTrue('fresh again', () => first.cache.isFresh)
  await fill()
  await second.cache.flush()
  await untilTrue('flushed', () => !first.near.has('a'))
  t.equal(await first.cache.get('a'), undefined)
})

t.test('near copies are not used while the log is away', async t => {
  const [here] = await MEMSLAB.open(t)
  const stalled = new StalledStore(here)
  const { cache, near } = await tierOn(t, stalled.store, { staleMs: 40, onError: () => {} })
  await cache.set('a', 'v')
  t.equal(await cache.get('a'), 'v')
  t.equal(near.has('a'), true)
  stalled.isAway = true
  await untilTrue('not fresh', () => !cache.isFresh)
  await t.rejects(cache.get('a'), { code: 'TIMEOUT' })
  stalled.isAway = false
  await untilTrue('fresh', () => cache.isFresh)
  t.equal(await cache.get('a'), 'v')
})

t.test('a change that could not be told is told later', async t => {
  const [here, there] = await MEMSLAB.open(t)
  const stalled = new StalledStore(here)
  const errors: unknown[] = []
  const onError = (error: unknown) => errors.push(error)
  const first = await tierOn(t, stalled.store, { onError })
  const second = await tierOn(t, there)
  await first.cache.set('a', 'old')
  await untilTrue('near', async () => {
    return (await second.cache.get('a')) === 'old' && second.near.has('a')
  })
  await there.set('a', 'new')
  stalled.isAway = true
  await t.rejects(first.cache.set('a', 'unknown'), { code: 'TIMEOUT' })
  t.ok(errors.length > 0)
  stalled.isAway = false
  await untilTrue('told', () => !second.near.has('a'))
  t.equal(await second.cache.get('a'), 'new')
})

t.test('cache-aside and tags on two tiers', async t => {
  const [here, there] = await MEMSLAB.open(t)
  const tiers = [await tierOn(t, here), await tierOn(t, there)]
  const asides = tiers.map(({ cache }) => new CacheAside(cache, { ttlS: 100, onError: loud }))
  let loads = 0
  const load = async () => {
    loads++
    for (const { near } of tiers) t.equal(near.has('a~claim'), false, 'a claim is far alone')
    await sleep(50)
    return { loads }
  }
  const asked = asides.flatMap(aside => Array.from({ length: 20 }, () => aside.getOrSet('a', load)))
  t.strictSame(new Set((await Promise.all(asked)).map(value => value.loads)), new Set([1]))
  await Promise.all(asides.map(aside => aside.settled()))
  t.equal(loads, 1)
  await asides[0].delete('a')
  t.strictSame(await asides[0].getOrSet('a', load), { loads: 2 })
  const tags = tiers.map(({ cache }) => new Tags(cache))
  const before = await tags[1].key('x', 'tag')
  await tags[0].invalidate('tag')
  await tags[1].invalidate('tag')
  t.not(await tags[1].key('x', 'tag'), before)
})
