// The adapter as Keyv uses it, over LocalCache and ClusterClient, and what Keyv expects of an
// adapter.

import { setTimeout as sleep } from 'node:timers/promises'
import Keyv, { detectKeyvStorage, type KeyvStorageAdapter } from 'keyv'
import t from 'tap'
import { KeyvStore } from '../../lib/strategies/keyv.ts'
import { DOORS, LOCAL } from '../support/doors.ts'

for (const { name, skip, open } of DOORS) {
  t.test(`Keyv on ${name}`, { skip }, async t => {
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
    t.strictSame(await keyv.deleteMany(['a', 'x']), [true, false])
    t.equal(await keyv.clear(), undefined)
    t.strictSame(await keyv.getMany(['a', 'b', 'c']), [undefined, undefined, undefined])
    const long = `a key with spaces ${'k'.repeat(500)}`
    await keyv.set(long, 'v')
    t.equal(await keyv.get(long), 'v')
  })

  t.test(`values expire to the millisecond, on ${name}`, { skip }, async t => {
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

  t.test(`namespaces are cleared one by one, on ${name}`, { skip }, async t => {
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
    t.equal(await bare.get('a'), 'of undefined')
    await bare.clear()
    t.equal(await bare.get('a'), undefined)
    t.equal(await pages.get('a'), 'of pages')
  })
}

t.test('Keyv recognises the adapter', async t => {
  const [here] = await LOCAL.open(t)
  const store: KeyvStorageAdapter = new KeyvStore(here)
  const { compatible, store: kind } = detectKeyvStorage(store)
  t.strictSame([compatible, kind], [true, 'keyvStorage'])
  t.match(store.capabilities, { compatible, store: kind, expires: true })
})

t.test('values without a serializer in Keyv', async t => {
  const [here] = await LOCAL.open(t)
  const keyv = new Keyv({ store: new KeyvStore(here), serialization: false })
  await keyv.set('a', { b: [1] })
  t.strictSame(await keyv.get('a'), { b: [1] })
})
