// The adapter as Keyv 5 and 6 use it, over LocalCache and ClusterClient, and what Keyv expects of
// an adapter.

import { setTimeout as sleep } from 'node:timers/promises'
import Keyv6, { detectKeyvStorage, type KeyvStorageAdapter } from 'keyv'
import Keyv5 from 'keyv5'
import t from 'tap'
import type { SetOptions } from '../../lib/doors/types.ts'
import { KeyvStore } from '../../lib/strategies/keyv.ts'
import { DOORS, LOCAL } from '../support/doors.ts'

const VERSIONS = [
  { version: 'Keyv 5', Keyv: Keyv5 as unknown as typeof Keyv6 },
  { version: 'Keyv 6', Keyv: Keyv6 },
]
const CASES = VERSIONS.flatMap(each => DOORS.map(door => ({ ...each, ...door })))

for (const { version, Keyv, name, skip, open } of CASES) {
  t.test(`${version} on ${name}`, { skip }, async t => {
    const [here] = await open(t)
    const keyv = new Keyv({ store: new KeyvStore(here), throwOnErrors: true })
    t.ok(keyv.store instanceof KeyvStore, 'it is used as it is, without a bridge')
    t.equal(await keyv.get('foo'), undefined)
    t.equal(await keyv.set('foo', 'bar'), true)
    t.equal(await keyv.get('foo'), 'bar')
    for (const value of [0, false, null, '', { a: ['b'] }, '🦄', 'it\'s "quoted"']) {
      await keyv.set('any', value)
      t.strictSame(await keyv.get('any'), value)
    }
    t.strictSame([await keyv.has('foo'), await keyv.has('fizz')], [true, false])
    t.strictSame([await keyv.delete('foo'), await keyv.delete('foo')], [true, false])
    t.equal(await keyv.get('foo'), undefined)
    const entries = ['a', 'b', 'c'].map(key => ({ key, value: key.toUpperCase() }))
    t.strictSame(await keyv.setMany(entries), [true, true, true])
    t.strictSame(await keyv.getMany(['a', 'x', 'c']), ['A', undefined, 'C'])
    t.strictSame(await keyv.hasMany(['a', 'x']), [true, false])
    t.strictSame(await keyv.deleteMany(['a', 'x']), version === 'Keyv 6' ? [true, false] : false)
    t.equal(await keyv.clear(), undefined)
    t.strictSame(await keyv.getMany(['a', 'b', 'c']), [undefined, undefined, undefined])
    const long = `a key with spaces ${'k'.repeat(500)}`
    await keyv.set(long, 'v')
    t.equal(await keyv.get(long), 'v')
  })

  t.test(`values expire to the millisecond, ${version} on ${name}`, { skip }, async t => {
    const [here] = await open(t)
    const keyv = new Keyv({ store: new KeyvStore(here), throwOnErrors: true })
    await keyv.set('soon', 'v', 100)
    await keyv.set('later', 'v', 86_400_000 * 60)
    t.equal(await keyv.get('later'), 'v')
    await sleep(150)
    t.equal(await keyv.get('soon'), undefined)
    t.equal(await keyv.get('later'), 'v', 'above 30 days too')
    await new KeyvStore(here).set('over', 'v', Date.now() - 1)
    t.equal(await new KeyvStore(here).has('over'), false)
  })

  t.test(`namespaces are cleared one by one, ${version} on ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const users = new Keyv({ store: new KeyvStore(here), namespace: 'users' })
    const pages = new Keyv({ store: new KeyvStore(here), namespace: 'pages' })
    const same = new Keyv({ store: new KeyvStore(there), namespace: 'users' })
    const bare = new Keyv({ store: new KeyvStore(here) })
    for (const keyv of [users, pages, bare]) await keyv.set('a', `of ${keyv.namespace}`)
    t.equal(await same.get('a'), 'of users')
    await users.clear()
    t.equal(await same.get('a'), undefined)
    t.equal(await pages.get('a'), 'of pages')
    t.equal(await bare.get('a'), `of ${bare.namespace}`)
    await bare.clear()
    t.equal(await bare.get('a'), undefined)
    t.equal(await pages.get('a'), 'of pages')
  })
}

for (const { name, skip, open } of DOORS) {
  t.test(`the items of a namespace are listed, on ${name}`, { skip }, async t => {
    const [here] = await open(t)
    const users = new Keyv6({ store: new KeyvStore(here), namespace: 'users' })
    const pages = new Keyv6({ store: new KeyvStore(here), namespace: 'pages' })
    const keys = Array.from({ length: 600 }, (_, i) => `k${i}`)
    const odd = ['with space', '100%', '%20', 'ü', 'a@b']
    await users.setMany([...keys, ...odd].map(key => ({ key, value: { of: key } })))
    await pages.set('a', 'page')
    const found = new Map<string, unknown>()
    for await (const [key, value] of users.iterator() ?? []) found.set(key, value)
    t.strictSame([...found.keys()].sort(), [...keys, ...odd].sort())
    for (const [key, value] of found) if (!isOf(value, key)) t.fail(`${key}: ${value}`)
    await users.clear()
    for await (const [key] of users.iterator() ?? []) t.fail(key)
  })
}

t.test('Keyv 5 users call the iterator of the store', async t => {
  const [here] = await LOCAL.open(t)
  const store = new KeyvStore(here)
  const keyv = new Keyv5({ store, namespace: 'users' })
  await keyv.set('a', 1, 60_000)
  const found: unknown[] = []
  for await (const item of store.iterator('users')) found.push(item)
  t.match(found, [['users:a', /^\{"value":1,"expires":\d+\}$/]])
})

t.test('Keyv recognises the adapter', async t => {
  const [here] = await LOCAL.open(t)
  const store: KeyvStorageAdapter = new KeyvStore(here)
  const { compatible, store: kind } = detectKeyvStorage(store)
  t.strictSame([compatible, kind], [true, 'keyvStorage'])
  t.match(store.capabilities, { compatible, store: kind, expires: true })
})

t.test('an item does not expire early, though the cache counts whole seconds', async t => {
  const [here] = await LOCAL.open(t)
  const times: unknown[] = []
  const spying = new Proxy(here, {
    get: (store, name) =>
      name === 'set'
        ? (key: string, value: unknown, options: SetOptions) => {
            times.push(options.expiresAt)
            return store.set(key, value, options)
          }
        : Reflect.get(store, name).bind(store),
  })
  const inMs = Date.now() + 500
  const store = new KeyvStore(spying)
  await store.set('a', 'v', inMs)
  await store.setMany([{ key: 'b', value: 'v', expires: inMs }])
  await store.set('c', 'v')
  t.strictSame(times, [inMs + 1000, inMs + 1000, undefined])
})

t.test('a store of its own answers as Keyv 6 wants it', async t => {
  const [here] = await LOCAL.open(t)
  const store = new KeyvStore(here)
  await store.setMany([
    { key: 'a', value: 1 },
    { key: 'b', value: 2 },
  ])
  t.strictSame(await store.deleteMany(['a', 'x', 'b']), [true, false, true])
  t.strictSame(await store.deleteMany([]), [])
})

t.test('values without a serializer in Keyv', async t => {
  const [here] = await LOCAL.open(t)
  const keyv = new Keyv6({ store: new KeyvStore(here), serialization: false })
  await keyv.set('a', { b: [1] })
  t.strictSame(await keyv.get('a'), { b: [1] })
})

function isOf(value: unknown, key: string): boolean {
  return (value as { of?: string }).of === key
}
