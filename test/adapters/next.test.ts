// The handlers as Next.js documents and calls them (16.4: `cacheHandlers` and `cacheHandler` of
// next.config), for two servers of one application. Next.js itself has 190 MB: it is not installed.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  createCacheHandler,
  createUseCacheHandler,
  type NextContext,
  type UseCacheEntry,
} from '../../lib/adapters/next.ts'
import { TAGS_MAX } from '../../lib/adapters/next-tags.ts'
import type { Store } from '../../lib/doors/types.ts'
import { DOORS, LOCAL } from '../support/doors.ts'

const PAGE: NextContext = { kind: 'APP_PAGE' }

function entryOf(text: string, tags: string[] = [], expire = 1000): UseCacheEntry {
  const value = new Blob([text]).stream() as UseCacheEntry['value']
  return { value, tags, stale: 30, timestamp: Date.now(), expire, revalidate: 100 }
}

async function textOf(entry: UseCacheEntry | undefined): Promise<string | undefined> {
  return entry && new Response(entry.value).text()
}

function pageOf(text: string, tags: string) {
  const segmentData = new Map([['/_tree', Buffer.from(text)]])
  const rscData = Buffer.from(`rsc ${text}`)
  const headers = { 'x-next-cache-tags': tags }
  return { kind: 'APP_PAGE', html: text, rscData, headers, status: 200, segmentData }
}

const fetched = (body: string) => ({
  kind: 'FETCH',
  data: { headers: {}, body, status: 200, url: 'http://a' },
  tags: ['users'],
  revalidate: 60,
})

/** Lets the clock go on: marks and entries of the same millisecond count as invalid. */
const tick = () => sleep(2)
const fail = (error: unknown, key: string) => {
  throw new Error(`${key}: ${error}`)
}

for (const { name, skip, open } of DOORS) {
  t.test(`'use cache', ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const first = createUseCacheHandler(here, { onError: fail })
    const second = createUseCacheHandler(there, { onError: fail })
    const key = JSON.stringify(['build', 'function', [{ id: 7 }]])
    t.equal(await first.get(key, []), undefined)
    // The list of tags begins with the first read; what is older is not trusted.
    await tick()
    await first.set(key, Promise.resolve(entryOf('one', ['users'])))
    for (const handler of [first, second, second]) {
      const found = await handler.get(key, ['_N_T_/a'])
      t.match(found, { tags: ['users'], stale: 30, expire: 1000, revalidate: 100 })
      t.equal(await textOf(found), 'one')
    }
    t.equal(await first.getExpiration(['_N_T_/a']), Number.POSITIVE_INFINITY, 'get looks at them')
    await first.refreshTags()

    await tick()
    await first.updateTags(['users'])
    t.equal(await second.get(key, []), undefined, 'elsewhere too')
    t.equal(await first.get(key, []), undefined)
    await tick()
    await second.set(key, Promise.resolve(entryOf('two', ['users'])))
    t.equal(await textOf(await first.get(key, [])), 'two', 'what was made after that is valid')

    await tick()
    await second.updateTags(['_N_T_/b'])
    t.equal(await textOf(await first.get(key, ['_N_T_/a'])), 'two')
    t.equal(await first.get(key, ['_N_T_/a', '_N_T_/b']), undefined, 'a path was revalidated')

    await tick()
    await first.updateTags(['users'], { expire: 1000 })
    const stale = await second.get(key, [])
    t.equal(stale?.revalidate, -1, 'served once more, and made again')
    t.equal(await textOf(stale), 'two')
    await tick()
    await first.updateTags(['users'], { expire: 0 })
    await tick()
    t.equal(await second.get(key, []), undefined, 'and not any more once its time is over')
  })

  t.test(`pages and fetches, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const First = createCacheHandler(here, { onError: fail })
    const Second = createCacheHandler(there, { onError: fail })
    const cacheControl = { revalidate: 10, expire: 100 }
    await new First().get('/a', PAGE)
    await tick()
    await new First().set('/a', pageOf('one', 'users,_N_T_/a'), { ...PAGE, cacheControl })
    const found = await new Second({}).get('/a', PAGE)
    t.match(found, { cacheControl, value: { kind: 'APP_PAGE', html: 'one', status: 200 } })
    t.ok(Math.abs((found?.lastModified ?? 0) - Date.now()) < 60_000)
    const page = found?.value as unknown as ReturnType<typeof pageOf> | undefined
    t.ok(Buffer.isBuffer(page?.rscData) && page.rscData.equals(Buffer.from('rsc one')))
    t.equal(String(page?.segmentData.get('/_tree')), 'one')
    await new First().set('/none', null, PAGE)
    t.match(await new Second().get('/none', PAGE), { value: null }, 'a page that there is not')
    const image = { kind: 'IMAGE', buffer: Buffer.from([1, 2]), etag: 'e', extension: 'png' }
    await new First().set('image', image, { kind: 'IMAGE' })
    t.match(await new Second().get('image', { kind: 'IMAGE' }), { value: image })

    const context = { kind: 'FETCH', tags: ['users'], softTags: ['_N_T_/a'] }
    await new First().set('fetch', fetched('one'), context)
    t.match(await new Second().get('fetch', context), { value: fetched('one') })
    await tick()
    await new First().revalidateTag('users', { expire: 100 })
    t.match(await new Second().get('fetch', context), { lastModified: 1 }, 'old: fetched again')
    t.equal(await new Second().get('/a', PAGE), null)
    await tick()
    await new First().set('/a', pageOf('two', 'users,_N_T_/a'), { ...PAGE, cacheControl })
    t.match(await new Second().get('/a', PAGE), { value: { html: 'two' } })
    await tick()
    await new Second().revalidateTag(['_N_T_/a'])
    t.equal(await new First().get('/a', PAGE), null)
    t.equal(await new First().get('fetch', context), null, 'a soft tag')
    new First().resetRequestCache()
  })
}

/** Handlers whose list of tags has begun before the next entry. */
async function begun(cache: Store) {
  const handler = createUseCacheHandler(cache, { onError: fail })
  await handler.updateTags(['first'])
  await tick()
  return handler
}

t.test('a get waits for a set of its process', async t => {
  const [cache] = await LOCAL.open(t)
  const handler = await begun(cache)
  const pending = Promise.withResolvers<UseCacheEntry>()
  const storing = handler.set('key', pending.promise)
  const found = handler.get('key', [])
  pending.resolve(entryOf('one'))
  t.equal(await textOf(await found), 'one')
  await storing
})

t.test('what must not be stored is not', async t => {
  const [cache] = await LOCAL.open(t)
  const errors: string[] = []
  await begun(cache)
  const onError = (_: unknown, key: string) => errors.push(key)
  const handler = createUseCacheHandler(cache, { onError })
  await handler.set('no time', Promise.resolve(entryOf('x', [], 0)))
  const value = new ReadableStream({
    pull: controller => controller.error(new Error('broke')),
  })
  await handler.set('broken', Promise.resolve({ ...entryOf('x'), value }))
  await handler.set('rejected', Promise.reject(new Error('not made')))
  await handler.set('long', Promise.resolve(entryOf('x'.repeat(20_000_000))))
  for (const key of ['no time', 'broken', 'rejected', 'long']) {
    t.equal(await handler.get(key, []), undefined, key)
  }
  t.strictSame(errors, ['broken', 'rejected', 'long'])
})

t.test('a list of tags that was lost lets no entry come back', async t => {
  const [cache, same] = await LOCAL.open(t)
  const handler = await begun(cache)
  await handler.set('key', Promise.resolve(entryOf('one', ['users'])))
  await tick()
  await handler.updateTags(['users'])
  await same.delete('next:tags')
  await same.delete('next:tags-version')
  const other = createUseCacheHandler(same, { onError: fail })
  t.equal(await other.get('key', []), undefined)
  await tick()
  await other.set('key', Promise.resolve(entryOf('two', ['users'])))
  t.equal(await textOf(await handler.get('key', [])), 'two')
  await same.delete('next:tags-version')
  t.equal(await textOf(await handler.get('key', [])), 'two', 'its version is made again')
  t.ok(await same.get('next:tags-version'))
  await same.set('next:tags-version', 'of a server that died')
  t.equal(await textOf(await handler.get('key', [])), 'two')
  t.not(await same.get('next:tags-version'), 'of a server that died')
})

t.test('many tags: the oldest are dropped, and nothing comes back', async t => {
  const [cache] = await LOCAL.open(t)
  const handler = await begun(cache)
  await handler.set('old', Promise.resolve(entryOf('old', ['tag 0'])))
  await tick()
  await handler.updateTags(['tag 0'])
  await tick()
  await handler.updateTags(Array.from({ length: TAGS_MAX }, (_, i) => `tag ${i + 1}`))
  t.equal(await handler.get('old', []), undefined)
  const list = await cache.get<{ tags: object }>('next:tags')
  t.equal(Object.keys(list?.tags ?? {}).length, TAGS_MAX)
  t.notOk('tag 0' in (list?.tags ?? {}))
  await tick()
  await handler.set('new', Promise.resolve(entryOf('new', ['tag 0', 'tag 1'])))
  t.equal(await textOf(await handler.get('new', [])), 'new')
})

t.test('servers that revalidate at the same time lose no mark', async t => {
  const [here, there] = await LOCAL.open(t)
  const handlers = [await begun(here), createUseCacheHandler(there, { onError: fail })]
  const tags = Array.from({ length: 8 }, (_, i) => `tag ${i}`)
  for (const tag of tags) await handlers[0].set(tag, Promise.resolve(entryOf('x', [tag])))
  await tick()
  await Promise.all(tags.map((tag, i) => handlers[i % 2].updateTags([tag])))
  for (const tag of tags) t.equal(await handlers[1].get(tag, []), undefined)
})

t.test('without its cache the application still works, but learns of revalidations', async t => {
  const broken = new Proxy({} as Store, {
    get: () => () => {
      throw new Error('away')
    },
  })
  const errors: unknown[] = []
  const onError = (error: unknown) => errors.push(error)
  const use = createUseCacheHandler(broken, { onError })
  const Handler = createCacheHandler(broken, { onError })
  t.equal(await use.get('key', []), undefined)
  await use.set('key', Promise.resolve(entryOf('x')))
  t.equal(await new Handler().get('key', PAGE), null)
  await new Handler().set('key', null, PAGE)
  t.equal(errors.length, 4)
  await t.rejects(use.updateTags(['a']), { message: 'away' })
  await t.rejects(new Handler().revalidateTag('a'), { message: 'away' })
})
