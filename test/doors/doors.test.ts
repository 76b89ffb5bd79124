// One name, one meaning: the same calls on a LocalCache, a pool of memslab and a pool of memcached
// give the same results.

import { inspect } from 'node:util'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { structured, ValueFlags } from '../../lib/serializer.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { WriteBehind } from '../../lib/strategies/behind.ts'
import { startDaemon } from '../support/daemon.ts'
import { DOORS } from '../support/doors.ts'
import { HOST } from '../support/process.ts'

const NEVER = Number.POSITIVE_INFINITY
const OLD_POOL = 'a pool of memcached'
const LATER = { claimS: 100 }

for (const { name, skip, open } of DOORS) {
  t.test(`values, items and conditions, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    t.strictSame([await here.get('a'), await here.getItem('a')], [undefined, undefined])
    t.strictSame([await here.replace('a', 1), await here.append('a', '1')], [false, false])
    t.strictSame([await here.set('a', { n: 1 }), await here.add('a', 2)], [true, false])
    t.strictSame(await there.get('a'), { n: 1 })
    const item = await there.getItem('a')
    const cas = item?.cas ?? 0n
    t.strictSame(item, { value: { n: 1 }, flags: ValueFlags.JSON, cas, ttlS: NEVER })
    t.equal(typeof cas, 'bigint')
    t.equal(await there.cas('a', 'two', cas, { ttlS: 50 }), true)
    t.equal(await here.cas('a', 'three', cas), false)
    const failed = await here.casItem('a', 'three', cas)
    t.match(failed, { isStored: false, item: { value: 'two', flags: 0, ttlS: /^(49|50)$/ } })
    const again = await here.casItem('a', 'three', failed.item?.cas ?? 0n)
    t.strictSame(again, { isStored: true, item: undefined })
    t.strictSame(await here.casItem('none', 'v', 1n), { isStored: false, item: undefined })
    t.strictSame([await here.append('a', '!'), await here.prepend('a', '<')], [true, true])
    t.equal(await here.get('a'), '<three!')
    t.strictSame(await here.get('a', { as: 'bytes' }), Buffer.from('<three!'))
    t.strictSame((await here.getItem('a', { as: 'bytes' }))?.value, Buffer.from('<three!'))
    t.equal(await here.touch('a', { ttlS: 30 }), true)
    t.equal(await here.touch('none', { ttlS: 30 }), false)
    t.equal(await here.getAndTouch('a', { expiresAt: new Date(Date.now() + 39_900) }), '<three!')
    t.equal((await here.getItem('a'))?.ttlS, 40)
    t.equal(await here.delete('a', { cas }), false)
    t.equal(await here.delete('a'), true)
    t.strictSame([await here.delete('a'), await here.has('a')], [false, false])
  })

  t.test(`many keys, numbers and errors, ${name}`, { skip }, async t => {
    const [here] = await open(t)
    await here.set('text', 'v', { flags: 7 << 24, ttlS: 100 })
    await here.set('empty', '')
    await here.set('damaged', '{', { flags: ValueFlags.JSON })
    const keys = new Set(['text', 'empty', 'damaged', 'none'])
    const values = await here.getMany(keys)
    t.strictSame([...values].sort(), [
      ['empty', ''],
      ['text', 'v'],
    ])
    const items = await here.getManyItems(keys)
    t.match(items.get('text'), { value: 'v', flags: 7 << 24 })
    t.ok((items.get('text')?.ttlS ?? 0) > 90)
    t.equal(items.size, 2)
    t.equal((await here.getMany(keys, { as: 'bytes' })).size, 3, 'bytes are never damaged')
    const rejects = (call: () => unknown, code: string) =>
      t.rejects(async () => call(), { name: 'CacheError', code })
    await rejects(() => here.get('damaged'), 'VALUE')
    t.equal(await here.incr('n'), undefined)
    t.equal(await here.incr('n', 1, { initial: 10n, ttlS: 60 }), 10n)
    t.equal((await here.getItem('n'))?.ttlS, 60)
    t.strictSame([await here.incr('n', 5), await here.decr('n', 100n)], [15n, 0n])
    await rejects(() => here.incr('text'), 'NON_NUMERIC')
    await rejects(() => here.set('text', Buffer.alloc(2 * MIB)), 'TOO_LARGE')
    t.equal(await here.get('text'), undefined, 'nothing old stays')
    await here.flush()
    t.equal((await here.getMany(keys)).size, 0)
  })

  t.test(`claims do not appear as values, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const claim = await here.lease('a', LATER)
    t.match(claim, { won: true, isClaimed: false, isStale: false, value: undefined })
    const theirs = await there.lease('a', LATER)
    t.match(theirs, { won: false, isClaimed: true, value: undefined })
    t.strictSame(
      [await there.get('a'), await there.get('a', { as: 'bytes' }), await there.getItem('a')],
      [undefined, undefined, undefined],
    )
    t.equal(await there.getAndTouch('a', { ttlS: 100 }), undefined)
    t.equal(await there.has('a'), false)
    t.equal((await there.getMany(['a'])).size + (await there.getManyItems(['a'])).size, 0)
    t.equal(await there.add('a', 'v'), false, 'but keep others from storing')
    t.equal(await here.cas('a', '', claim?.cas ?? 0n, { ttlS: 50 }), true)
    t.match(await there.getItem('a'), { value: '' }, 'an empty text is a value')
    const soon = await there.lease('a', { claimS: 100, recacheS: 60 })
    t.match(soon, { won: true, value: '' }, 'also while it is claimed')
    t.equal(await here.get('a'), '')
    t.equal(await here.expire('a', soon?.cas ?? 0n), true)
    t.match(await there.lease('a', LATER), { won: true, isStale: true, value: '' })
    t.match(await there.getItem('a'), { value: '' }, 'and while it is stale')
  })

  // In memcached a plain read wins a stale item, and before 1.6.22 the win cannot be given back.
  const wins = skip || (name === OLD_POOL && 'its memcached may be old')
  t.test(`a plain read wins nothing, ${name}`, { skip: wins }, async t => {
    const [here, there] = await open(t)
    await here.set('a', 'old')
    const { cas = 0n } = (await here.getItem('a')) ?? {}
    t.equal(await here.expire('a', cas), true)
    const item = await here.getItem('a')
    t.equal(await here.get('a'), 'old')
    t.equal((await here.getMany(['a'])).size, 1)
    t.match(await here.lease('a', LATER), { won: true, isStale: true, value: 'old' })
    t.match(await there.lease('a', LATER), { won: false, isClaimed: true })
    t.equal(await there.cas('a', 'new', item?.cas ?? 0n), true, 'and changes no version')
  })

  t.test(`a miss and a hit return the same kind of value, ${name}`, { skip }, async t => {
    const [store] = await open(t)
    const at = new Date(0)
    const json = new CacheAside(store, { ttlS: 100 })
    const rich = new CacheAside(store, { ttlS: 100, serializer: structured })
    for (let i = 0; i < 2; i++) {
      t.strictSame(await json.getOrSet('json', () => ({ at })), { at: '1970-01-01T00:00:00.000Z' })
      t.strictSame(await rich.getOrSet('rich', () => ({ at })), { at })
      t.strictSame(await json.getOrSet('bytes', () => new Uint8Array([1])), Buffer.from([1]))
    }
    const source = { load: () => undefined, save: () => {}, remove: () => {} }
    const behind = new WriteBehind<{ at: unknown }>(store, source, { ttlS: 100 })
    await behind.set('behind', { at })
    const queued = await behind.get('behind')
    await behind.close()
    t.strictSame([queued, await behind.get('behind')], Array(2).fill({ at: at.toJSON() }))
  })
}

t.test('memjs has no claims, and does not show those of others', async t => {
  const { port } = await startDaemon(t, ['-t', '1'])
  const [meta, memjs] = (['meta', 'memjs'] as const).map(driver => {
    const pool = new ClusterClient([`${HOST}:${port}`], { driver, timeoutMs: 20_000 })
    t.teardown(() => pool.close())
    return pool
  })
  await meta.lease('a', LATER)
  t.strictSame([await memjs.get('a'), await memjs.has('a')], [undefined, false])
  await memjs.set('b', '')
  t.equal(await memjs.get('b'), '')
  t.equal(await memjs.cas('b', 'v', 0n), false, 'version 0 is not any version')
  t.equal(await memjs.delete('b', { cas: 0n }), false)
  t.equal(await memjs.delete('b', { cas: (await memjs.getItem('b'))?.cas }), true)
})

for (const { name, skip, open } of DOORS) {
  t.test(`the keys of a cache, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const stored = Array.from({ length: 1000 }, (_, i) => `${i % 2 === 0 ? 'ü%' : 'key:'}${i}`)
    await Promise.all(stored.map(key => there.set(key, key.repeat(1 + (key.length % 50)))))
    const keys: string[] = []
    for await (const key of here.keys()) keys.push(key)
    t.strictSame(keys.sort(), stored.sort())
  })
}

t.test('console.log of a door prints a summary and no values', async t => {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, shards: 2 })
  t.teardown(() => cache.close())
  cache.set('secret key', 'secret value')
  const auth = { user: 'somebody', password: 'secret' }
  const pool = new ClusterClient(['a:1', 'b:2'], { auth })
  t.teardown(() => pool.close())
  const aside = new CacheAside(cache, { ttlS: 1 })
  const [local, cluster] = [inspect(cache), inspect(pool)]
  t.match(local, /^LocalCache \{\s+items: 1,\s+itemBytes: \d+,\s+memoryBytes: 16777216,/)
  t.match(cluster, /^ClusterClient \{\s+servers: \[ 'a:1', 'b:2' \],/)
  for (const text of [local, cluster, inspect({ cache, pool }), inspect(aside, { depth: 9 })]) {
    t.notMatch(text, /secret|Uint8|Buffer|Int32/)
    t.ok(text.length < 2000, `${text.length} characters`)
  }
})
