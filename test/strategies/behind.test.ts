// Write-behind over LocalCache and a pool, with a Map as the source.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type UnsavedError, WriteBehind } from '../../lib/strategies/behind.ts'
import { ReadThrough } from '../../lib/strategies/through.ts'
import { DOORS, LOCAL, loud } from '../support/doors.ts'
import { withCalls } from '../support/faulty-store.ts'
import { MapSource } from '../support/map-source.ts'
import { untilTrue } from '../support/pool.ts'

for (const { name, skip, open } of DOORS) {
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
  await cache.flush()
  source.gate = new Promise(() => {})
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
  t.strictSame(errors, Array(2).fill('a: Error: read only'), 'each try that failed')
  source.broken = new Error('read only')
  await cache.set('b', 'lost')
  await t.rejects(cache.close(), { name: 'UnsavedError', errors: [{ message: 'read only' }] })
  t.strictSame(errors.slice(2), Array(3).fill('b: Error: read only'))
  t.equal(await cache.get('b'), 'saved before')
})

t.test('close ends in time and says what is left', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  source.values.set('a', 'saved before')
  source.gate = new Promise(() => {})
  const cache = new WriteBehind<string>(store, source, { ttlS: 100, savesMax: 1, onError: loud })
  await cache.set('a', 'hangs')
  await cache.set('b', 'waits')
  await cache.delete('c')
  const error: UnsavedError = await cache.close({ timeoutMs: 50 }).catch(error => error)
  t.equal(error.name, 'UnsavedError')
  t.strictSame(error.left, [
    { key: 'a', value: 'hangs', isRemoval: false },
    { key: 'b', value: 'waits', isRemoval: false },
    { key: 'c', value: undefined, isRemoval: true },
  ])
  t.match(source.signals[0].reason, { code: 'CLOSED' })
  t.strictSame([store.has('a'), store.has('b')], [false, false], 'not what nobody saves')
  await t.rejects(cache.set('d', 'late'), { code: 'CLOSED' })
})

t.test('one save of a key at a time, until it settles', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  const gate = Promise.withResolvers<void>()
  source.gate = gate.promise
  const errors: unknown[] = []
  const onError = (error: unknown) => errors.push(error)
  const cache = new WriteBehind<string>(store, source, { ttlS: 100, saveMs: 20, onError })
  await cache.set('a', 'v1')
  await untilTrue('late', () => errors.length > 0)
  t.match(errors, [{ code: 'DEADLINE' }])
  t.ok(source.signals[0].aborted, 'the save is told that it is late')
  await cache.set('a', 'v2')
  await sleep(200)
  t.equal(source.saves, 1, 'and waited for all the same')
  gate.resolve()
  await cache.flush()
  t.strictSame(source.saved, ['v1', 'v2'])
})

t.test('no write is lost while the source is away', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  source.broken = new Error('connection refused')
  const cache = new WriteBehind<string>(store, source, { ttlS: 100, onError: () => {} })
  const keys = Array.from({ length: 32 }, (_, i) => `k${i}`)
  for (const key of keys) await cache.set(key, 'v')
  await sleep(600)
  // 8 saves at once, then one after 100, 200, 400 ms.
  t.ok(source.saves <= 12, `${source.saves} saves while it was away`)
  source.broken = undefined
  await cache.close()
  t.strictSame([...source.values.keys()].sort(), keys.sort())
})

t.test('a write that the source refuses does not delay the others', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  const save = source.save.bind(source)
  source.save = async (key, value, signal) => {
    if (value === 'poison') throw new Error('violates a constraint')
    return save(key, value, signal)
  }
  const cache = new WriteBehind<string>(store, source, { ttlS: 100, onError: () => {} })
  await cache.set('poison', 'poison')
  for (let i = 0; i < 20; i++) await cache.set(`k${i}`, 'v')
  await untilTrue('saved', () => source.values.size === 20)
  await cache.set('poison', 'antidote')
  await cache.close()
  t.equal(source.values.get('poison'), 'antidote')
})

t.test('undefined is a value that is saved, not a removal', async t => {
  const [store] = await LOCAL.open(t)
  const source = new MapSource()
  const cache = new WriteBehind<string | undefined>(store, source, { ttlS: 100, onError: loud })
  await cache.set('a', 'v')
  await cache.set('a', undefined)
  t.equal(await cache.get('a'), undefined)
  await cache.close()
  t.strictSame([...source.values], [['a', undefined]])
})

t.test('an item evicted before its save does not bring the old value back', async t => {
  const [here, there] = await LOCAL.open(t)
  const source = new MapSource()
  source.values.set('a', 'old')
  const gate = Promise.withResolvers<void>()
  source.gate = gate.promise
  const cache = new WriteBehind<string>(here, source, { ttlS: 100, onError: loud })
  const other = new ReadThrough<string>(there, source, { ttlS: 100, onError: loud })
  await cache.set('a', 'new')
  await here.delete('a')
  t.equal(await other.get('a'), 'old', 'another process loads what the source still has')
  await other.settled()
  gate.resolve()
  await cache.flush()
  t.equal(await other.get('a'), 'new')
})

t.test('a write that is lost before the cache stores it is not served', async t => {
  const [store] = await LOCAL.open(t)
  // A slow cache: the write has finally failed when the value reaches it.
  const far = withCalls(store, {
    set: async (...args) => {
      await sleep(50)
      return store.set(...args)
    },
  })
  const source = new MapSource()
  source.broken = new Error('read only')
  for (const cache of [far, store]) {
    const options = { ttlS: 100, triesMax: 1, onError: () => {} }
    const values = new WriteBehind<string>(cache, source, options)
    await values.set('a', 'lost')
    await t.rejects(values.close(), { name: 'UnsavedError' })
    t.equal(await values.get('a'), undefined)
  }
})

t.test('close resolves after lost writes are deleted from the cache', async t => {
  const [store] = await LOCAL.open(t)
  const far = withCalls(store, {
    delete: async (...args) => {
      await sleep(50)
      return store.delete(...args)
    },
  })
  const source = new MapSource()
  source.broken = new Error('read only')
  const values = new WriteBehind<string>(far, source, { ttlS: 100, triesMax: 2, onError: () => {} })
  await values.set('a', 'lost')
  await t.rejects(values.close(), { name: 'UnsavedError' })
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
  const throwing = () => {
    throw new Error('of the handler')
  }
  const options = { ttlS: 100, triesMax: 1, onError: throwing }
  const cache = new WriteBehind<string>(store, source, options)
  await cache.set('a', 'lost')
  await t.rejects(cache.close(), { errors: [{ message: 'read only' }] })
  t.match(warnings(), [{ args: [/of the handler/] }])
  t.equal(await store.getItem('a'), undefined)
})
