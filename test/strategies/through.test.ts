// Read-through, write-through and write-behind, over LocalCache and a pool, with a Map as the
// source.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Store } from '../../lib/doors/types.ts'
import { WriteBehind } from '../../lib/strategies/behind.ts'
import { ReadThrough, WriteThrough } from '../../lib/strategies/through.ts'
import { DOORS, LOCAL, loud } from '../support/doors.ts'

const fail = (error: unknown) => {
  throw error
}

class MapSource {
  readonly values = new Map<string, string>()
  loads = 0
  saves = 0
  /** The error that the next changing calls throw. */
  broken: Error | undefined
  /** A promise that changes wait for. */
  gate: Promise<void> = Promise.resolve()

  load(key: string): string | undefined {
    this.loads++
    return this.values.get(key)
  }

  async save(key: string, value: string): Promise<void> {
    this.saves++
    await this.gate
    if (value === 'slow') await sleep(50)
    if (this.broken !== undefined) throw this.broken
    this.values.set(key, value)
  }

  async remove(key: string): Promise<void> {
    await this.gate
    if (this.broken !== undefined) throw this.broken
    this.values.delete(key)
  }
}

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

  t.test(`values are written behind the cache, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    const source = new MapSource()
    const gate = Promise.withResolvers<void>()
    source.gate = gate.promise
    const cache = new WriteBehind<string>(store, source, { ttlS: 100, onError: loud })
    for (let i = 0; i < 10; i++) await cache.set('a', `v${i}`)
    await cache.set('b', 'kept')
    await cache.set('c', 'gone')
    await cache.delete('c')
    t.equal(await cache.get('a'), 'v9', 'before it is saved')
    t.equal(await cache.get('c'), undefined)
    await store.delete('b')
    t.equal(await cache.get('b'), 'kept', 'evicted before it was saved')
    t.equal(source.values.size, 0)
    gate.resolve()
    await cache.close()
    t.strictSame(
      [...source.values],
      [
        ['a', 'v9'],
        ['b', 'kept'],
      ],
    )
    t.equal(source.saves, 4, 'the first and the last of a, b, c')
    await t.rejects(cache.set('a', 'late'), { code: 'CLOSED' })
    t.equal(cache.pending, 0)
  })
}

t.test('a full queue delays writers, then refuses', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  let open = () => {}
  source.gate = new Promise(resolve => {
    open = resolve
  })
  const options = { ttlS: 100, queueMax: 2, savesMax: 1, saveMs: 1000, onError: () => {} }
  const cache = new WriteBehind<string>(store, source, options)
  for (const key of ['saving', 'a', 'b']) await cache.set(key, 'v')
  await cache.set('a', 'again')
  const late = cache.set('c', 'v')
  t.equal(cache.pending, 3, 'it waits')
  open()
  await late
  source.gate = new Promise(() => {})
  await cache.flush()
  for (const key of ['saving', 'a', 'b']) await cache.set(key, 'w')
  await t.rejects(cache.set('c', 'w'), { code: 'FULL' })
})

t.test('a failed write is retried, then reported and not served', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  source.values.set('b', 'saved before')
  const errors: string[] = []
  const onError = (error: unknown, key: string) => errors.push(`${key}: ${error}`)
  const cache = new WriteBehind<string>(store, source, { ttlS: 100, triesMax: 3, onError })
  source.broken = new Error('read only')
  await cache.set('a', 'v')
  while (source.saves < 2) await sleep(5)
  source.broken = undefined
  await cache.flush()
  t.equal(source.values.get('a'), 'v')
  t.strictSame(errors, [])
  source.broken = new Error('read only')
  await cache.set('b', 'lost')
  await t.rejects(cache.close(), { name: 'AggregateError', errors: [{ message: 'read only' }] })
  t.strictSame(errors, ['b: Error: read only'])
  t.equal(await cache.get('b'), 'saved before')
})

t.test('a hanging save does not delay close forever', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  source.gate = new Promise(() => {})
  const options = { ttlS: 100, triesMax: 2, saveMs: 50, onError: () => {} }
  const cache = new WriteBehind<string>(store, source, options)
  await cache.set('a', 'v')
  await t.rejects(cache.close(), { errors: [{ code: 'DEADLINE' }] })
})

t.test('a write that is lost before the cache stores it is not served', async t => {
  const [store] = await LOCAL.open(t)
  // A slow cache: the write has finally failed when the value reaches it.
  const set: typeof store.set = async (...args) => {
    await sleep(50)
    return store.set(...args)
  }
  const far: Store = new Proxy(store, {
    get: (s, name) => (name === 'set' ? set : Reflect.get(s, name).bind(s)),
  })
  const source = new MapSource()
  source.broken = new Error('read only')
  for (const cache of [far, store]) {
    const options = { ttlS: 100, triesMax: 1, onError: () => {} }
    const values = new WriteBehind<string>(cache, source, options)
    await values.set('a', 'lost')
    await t.rejects(values.close(), { name: 'AggregateError' })
    t.equal(await values.get('a'), undefined)
  }
})

t.test('close resolves after lost writes are deleted from the cache', async t => {
  const [store] = await LOCAL.open(t)
  const remove: typeof store.delete = async (...args) => {
    await sleep(50)
    return store.delete(...args)
  }
  const far: Store = new Proxy(store, {
    get: (s, name) => (name === 'delete' ? remove : Reflect.get(s, name).bind(s)),
  })
  const source = new MapSource()
  source.broken = new Error('read only')
  const values = new WriteBehind<string>(far, source, { ttlS: 100, triesMax: 2, onError: () => {} })
  await values.set('a', 'lost')
  await t.rejects(values.close(), { name: 'AggregateError' })
  t.equal(await store.getItem('a'), undefined)
})

t.test('options by which a queue could never empty are refused', async t => {
  const [store] = await LOCAL.open(t)
  for (const options of [
    { queueMax: 0 },
    { savesMax: 0 },
    { triesMax: Number.NaN },
    { saveMs: Number.POSITIVE_INFINITY },
  ]) {
    const make = () => new WriteBehind(store, new MapSource(), { ttlS: 1, ...options })
    t.throws(make, { code: 'ARGUMENT' })
  }
})

t.test('an onError that throws gives a warning, and the queue goes on', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  source.broken = new Error('read only')
  const warnings = t.capture(process, 'emitWarning')
  const options = { ttlS: 100, triesMax: 1, onError: () => fail(new Error('of the handler')) }
  const cache = new WriteBehind<string>(store, source, options)
  await cache.set('a', 'lost')
  await t.rejects(cache.close(), { errors: [{ message: 'read only' }] })
  t.match(warnings(), [{ args: [/of the handler/] }])
  t.equal(await store.getItem('a'), undefined)
})
