// Items that are invalidated together because they share a tag.

import t from 'tap'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { Tags } from '../../lib/strategies/tags.ts'
import { DOORS, LOCAL } from '../support/doors.ts'
import { StalledStore } from '../support/faulty-store.ts'
import { freeze, thaw } from '../support/freeze.ts'
import { POOL_KINDS, startPool, untilTrue } from '../support/pool.ts'
import { HOST } from '../support/process.ts'

for (const { name, skip, open } of DOORS) {
  t.test(`a tag invalidates its items and no others, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const [tags, theirs] = [new Tags(here), new Tags(there)]
    const aside = new CacheAside(here, { ttlS: 100 })
    const put = async (key: string, ...names: string[]) =>
      aside.set(await tags.key(key, ...names), `value of ${key}`)
    const get = async (key: string, ...names: string[]) => aside.get(await tags.key(key, ...names))
    await put('a', 'users', 'tenant:1')
    await put('b', 'users', 'tenant:2')
    await put('c', 'pages')
    t.equal(await theirs.key('a', 'users', 'tenant:1'), await tags.key('a', 'users', 'tenant:1'))
    await theirs.invalidate('tenant:1')
    t.equal(await get('a', 'users', 'tenant:1'), undefined)
    t.equal(await get('b', 'users', 'tenant:2'), 'value of b')
    await tags.invalidate('users', 'tenant:3')
    t.equal(await get('b', 'users', 'tenant:2'), undefined)
    t.equal(await get('c', 'pages'), 'value of c')
  })

  t.test(`an evicted version does not bring old items back, ${name}`, { skip }, async t => {
    const [here] = await open(t)
    const tags = new Tags(here)
    const before = await tags.key('a', 'x')
    await here.delete('tag:x')
    t.not(await tags.key('a', 'x'), before)
  })

  t.test(
    `callers that begin a tag at the same time get one version, ${name}`,
    { skip },
    async t => {
      const [here, there] = await open(t)
      const both = [new Tags(here), new Tags(there)]
      const asked = Array.from({ length: 40 }, (_, i) => both[i % 2].key('a', 'x', 'y'))
      t.equal(new Set(await Promise.all(asked)).size, 1)
    },
  )
}

t.test('any text may be a key and a tag', async t => {
  const [here] = await DOORS[0].open(t)
  const tags = new Tags(here)
  const key = await tags.key(
    `/path with spaces?${'q'.repeat(300)}`,
    'tag with spaces',
    't'.repeat(300),
  )
  t.match(key, /^sha256-[\w-]{43}$/)
  await here.set(key, Buffer.from('v'))
  t.not(await tags.key('/path with spaces', 'tag with spaces'), key)
})

t.test('a change stays made when the server of the tag was away and is back', async t => {
  const options = { timeoutMs: 300, failures: 1, restMs: 200 }
  const { client, servers } = await startPool(t, POOL_KINDS[0], 2, options)
  const tags = new Tags(client)
  const [first] = servers
  const isFirst = (tag: string) => client.ownerOf(`tag:${tag}`) === `${HOST}:${first.port}`
  const tag = Array.from({ length: 100 }, (_, i) => `t${i}`).find(isFirst) ?? ''
  const before = await tags.key('a', tag)
  await freeze(t, first.pid)
  await t.rejects(client.get(`tag:${tag}`), { code: 'TIMEOUT' })
  await tags.invalidate(tag)
  const after = await tags.key('a', tag)
  thaw(first.pid)
  await untilTrue('back', () => client.away().length === 0)
  const back = await tags.key('a', tag)
  t.not(back, before)
  t.not(after, before)
  t.equal(await tags.key('a', tag), back)
})

t.test('a version older than one that was seen is replaced', async t => {
  const [here, there] = await LOCAL.open(t)
  const [tags, theirs] = [new Tags(here), new Tags(there)]
  const first = await tags.key('a', 'x')
  const old = here.get('tag:x')
  await theirs.invalidate('x')
  const second = await tags.key('a', 'x')
  here.set('tag:x', old)
  const third = await tags.key('a', 'x')
  t.equal(new Set([first, second, third]).size, 3)
  t.equal(await theirs.key('a', 'x'), third)
})

t.test('changes at the same time', async t => {
  const [here, there] = await LOCAL.open(t)
  const both = [new Tags(here), new Tags(there)]
  const before = await both[0].key('a', 'x')
  await Promise.all(Array.from({ length: 40 }, (_, i) => both[i % 2].invalidate('x')))
  const after = await both[0].key('a', 'x')
  t.not(after, before)
  t.equal(await both[1].key('a', 'x'), after)
})

t.test('a change that cannot be made is refused', async t => {
  const [store] = await LOCAL.open(t)
  const stalled = new StalledStore(store)
  const tags = new Tags(stalled.store)
  stalled.isAway = true
  await t.rejects(tags.invalidate('x'), { code: 'TIMEOUT' })
})
