// Items that are invalidated together because they share a tag.

import t from 'tap'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { Tags } from '../../lib/strategies/tags.ts'
import { DOORS } from '../support/doors.ts'

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
