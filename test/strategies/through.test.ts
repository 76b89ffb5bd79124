// Read-through and write-through, over LocalCache and a pool, with a Map as the
// source.

import t from 'tap'
import { ReadThrough, WriteThrough } from '../../lib/strategies/through.ts'
import { DOORS, LOCAL, loud } from '../support/doors.ts'
import { StalledStore } from '../support/faulty-store.ts'
import { MapSource } from '../support/map-source.ts'
import { untilTrue } from '../support/pool.ts'

for (const { name, skip, open } of DOORS) {
  t.test(`values are read through the cache, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    const source = new MapSource()
    source.values.set('a', 'one')
    const cache = new ReadThrough<string>(store, source, { ttlS: 100, prefix: 'p:', onError: loud })
    for (let i = 0; i < 3; i++) t.equal(await cache.get('a'), 'one')
    t.equal(source.loads, 1)
    t.ok(await store.getItem('p:a'))
    source.values.set('a', 'two')
    await cache.invalidate('a')
    t.equal(await cache.get('a'), 'two')
    t.equal(await cache.get('nobody'), undefined)
  })

  t.test(`values are written through the cache, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    const source = new MapSource()
    const cache = new WriteThrough<string>(store, source, { ttlS: 100, onError: loud })
    await cache.set('a', 'one')
    t.equal(source.values.get('a'), 'one')
    t.equal(await cache.get('a'), 'one')
    t.equal(source.loads, 0)
    await Promise.all([cache.set('a', 'slow'), cache.set('a', 'v19')])
    t.strictSame([source.values.get('a'), await cache.get('a')], ['v19', 'v19'], 'in order')
    source.broken = new Error('read only')
    await t.rejects(cache.set('a', 'lost'), { message: 'read only' })
    await t.rejects(cache.delete('a'), { message: 'read only' })
    t.equal(await cache.get('a'), 'v19', 'what the source has')
    t.equal(source.loads, 1)
    source.broken = undefined
    await cache.delete('a')
    t.strictSame([source.values.size, await cache.get('a')], [0, undefined])
  })
}

t.test('a cache that stalls does not keep the old value', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  const stalled = new StalledStore(store)
  const errors: unknown[] = []
  const options = { ttlS: 100, onError: (error: unknown) => errors.push(error) }
  const cache = new WriteThrough<string>(stalled.store, source, options)
  const other = new ReadThrough<string>(store, source, { ttlS: 100, onError: loud })
  await cache.set('a', 'old')
  await cache.set('b', 'old')
  stalled.isAway = true
  await cache.set('a', 'new')
  await cache.delete('b')
  t.equal(source.values.get('a'), 'new')
  t.match(errors[0], { code: 'TIMEOUT' })
  t.equal(store.get('a'), 'old')
  stalled.isAway = false
  t.equal(await cache.get('a'), 'new', 'it is not read here')
  t.equal(await cache.get('b'), undefined)
  await untilTrue('deleted', () => store.get('a') !== 'old' && store.get('b') !== 'old')
  t.equal(await other.get('a'), 'new')
  t.equal(await other.get('b'), undefined)
})
