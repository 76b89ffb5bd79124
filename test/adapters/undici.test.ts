// The store as undici's cache interceptor uses it: two agents, as of two processes, share what an
// origin answered.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { Agent, type Dispatcher, interceptors, request } from 'undici'
import { type HttpCacheOptions, HttpCacheStore } from '../../lib/adapters/undici.ts'
import type { Store } from '../../lib/doors/types.ts'
import { DOORS, LOCAL } from '../support/doors.ts'
import { untilTrue } from '../support/pool.ts'

const FACTS = {
  statusCode: 200,
  statusMessage: 'OK',
  headers: { 'content-type': 'text/plain' },
  cacheControlDirectives: {},
}

/** What the origin says of some paths, which have an entity tag too. */
const CONTROLS: Record<string, string> = {
  '/tagged': 'no-cache',
  '/stale': 'max-age=0, stale-while-revalidate=100',
}

interface Origin {
  url: string
  /** Requests that it answered, by path. */
  counts: Map<string, number>
}

/** Answers `METHOD PATH NUMBER LANGUAGE`, where NUMBER counts the requests of the path. */
async function startOrigin(t: Test): Promise<Origin> {
  const counts = new Map<string, number>()
  const answer = ({ method, url = '', headers }: IncomingMessage, response: ServerResponse) => {
    const count = (counts.get(url) ?? 0) + 1
    counts.set(url, count)
    const language = headers['accept-language']
    response.setHeader('cache-control', CONTROLS[url] ?? 'max-age=100')
    if (url.startsWith('/vary')) response.setHeader('vary', 'accept-language')
    if (url in CONTROLS) response.setHeader('etag', '"1"')
    if (headers['if-none-match'] === '"1"') {
      response.writeHead(304).end()
      return
    }
    const text = `${method} ${url} ${count} ${language}`
    response.end(url.startsWith('/long') ? 'x'.repeat(3000) : text)
  }
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, counts }
}

/** Gives the text of a response, once all that undici told the store is done. */
function clientOf(t: Test, cache: Store, options: HttpCacheOptions = {}) {
  const store = new HttpCacheStore(cache, options)
  const streams: Writable[] = []
  const deletions: Promise<void>[] = []
  const remove = store.delete.bind(store)
  store.delete = key => {
    const deletion = remove(key)
    deletions.push(deletion)
    return deletion
  }
  const create = store.createWriteStream.bind(store)
  store.createWriteStream = (...args) => {
    const stream = create(...args)
    if (stream !== undefined) streams.push(stream)
    return stream
  }
  const agent = new Agent().compose(interceptors.cache({ store }))
  t.teardown(() => agent.close())
  return async (url: string, options: Partial<Dispatcher.RequestOptions> = {}) => {
    const { body } = await request(url, { ...options, dispatcher: agent })
    const text = await body.text()
    await untilTrue('responses are stored', () => streams.every(stream => stream.closed))
    await Promise.all(deletions)
    return text
  }
}

for (const { name, skip, open } of DOORS) {
  t.test(`responses are shared, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const { url, counts } = await startOrigin(t)
    const fail = (error: unknown) => t.fail(String(error))
    const first = clientOf(t, here, { onError: fail })
    const second = clientOf(t, there, { onError: fail })
    t.equal(await first(`${url}/a`), 'GET /a 1 undefined')
    t.equal(await second(`${url}/a`), 'GET /a 1 undefined')
    t.equal(await second(`${url}/a?b`), 'GET /a?b 1 undefined', 'the query is a part of it')

    const german = { headers: { 'accept-language': 'de' } }
    t.equal(await first(`${url}/vary`), 'GET /vary 1 undefined')
    t.equal(await first(`${url}/vary`, german), 'GET /vary 2 de')
    t.equal(await second(`${url}/vary`), 'GET /vary 1 undefined')
    t.equal(await second(`${url}/vary`, german), 'GET /vary 2 de')

    await second(`${url}/a`, { method: 'POST' })
    t.equal(await first(`${url}/a`), 'GET /a 3 undefined', 'an unsafe method invalidates')

    t.equal(await first(`${url}/tagged`), 'GET /tagged 1 undefined')
    t.equal(await second(`${url}/tagged`), 'GET /tagged 1 undefined', 'validated, not sent again')
    t.equal(counts.get('/tagged'), 2)

    for (let i = 1; i <= 3; i++) {
      t.equal(await first(`${url}/stale`), 'GET /stale 1 undefined', 'at once')
      await untilTrue('validated behind', () => counts.get('/stale') === i)
    }
  })
}

t.test('what is too long is not stored, and nothing is stored for good', async t => {
  const [cache] = await LOCAL.open(t)
  const { url, counts } = await startOrigin(t)
  const get = clientOf(t, cache, { bodyBytesMax: 2000 })
  for (let i = 0; i < 3; i++) t.equal((await get(`${url}/long`)).length, 3000)
  t.equal(counts.get('/long'), 3)
  await get(`${url}/a`)
  const ttls = [...(await cache.getManyItems([`http:${url}:/a`])).values()].map(item => item.ttlS)
  t.ok((ttls[0] ?? 1e9) < 86_400 * 30, 'it expires')
})

t.test('without its cache the application still works', async t => {
  const broken = new Proxy({} as Store, {
    get: () => () => {
      throw new Error('away')
    },
  })
  const { url } = await startOrigin(t)
  const errors: unknown[] = []
  const get = clientOf(t, broken, { onError: error => errors.push(error) })
  t.equal(await get(`${url}/a`), 'GET /a 1 undefined')
  t.equal(await get(`${url}/a`), 'GET /a 2 undefined')
  await get(`${url}/a`, { method: 'POST' })
  t.ok(errors.length >= 3)
  t.match(errors, [{ message: 'away' }])
})

t.test('a response that was invalidated on its way is not found', async t => {
  const [cache] = await LOCAL.open(t)
  const errors: unknown[] = []
  const store = new HttpCacheStore(cache, { onError: error => errors.push(error) })
  const key = { origin: 'http://a', path: '/', method: 'GET', headers: {} }
  const now = Date.now()
  const facts = { ...FACTS, cachedAt: now, staleAt: now + 10_000, deleteAt: now + 20_000 }
  const put = async (text: string, before = async () => {}) => {
    const stream = store.createWriteStream(key, facts)
    await before()
    stream?.end(text)
    if (stream) await once(stream, 'close')
  }
  await put('one')
  t.match(await store.get(key), { ...FACTS, body: [Buffer.from('one')] })
  await put('two', () => store.delete(key))
  t.equal(await store.get(key), undefined)
  await put('three')
  t.equal(String((await store.get(key))?.body), 'three')
  t.equal(await store.get({ ...key, method: 'HEAD' }), undefined)
  t.equal(store.createWriteStream(key, { ...facts, deleteAt: now - 1 }), undefined)
  await cache.set('http:http://a:/', 'damaged')
  t.equal(await store.get(key), undefined)
  t.equal(errors.length, 1)
})

t.test('a URI has a bounded number of variants', async t => {
  const [cache] = await LOCAL.open(t)
  const store = new HttpCacheStore(cache)
  const now = Date.now()
  const facts = { ...FACTS, cachedAt: now, staleAt: now + 10_000, deleteAt: now + 20_000 }
  for (let i = 0; i < 40; i++) {
    const key = { origin: 'http://a', path: '/', method: 'GET', headers: { [`x-${i}`]: 'y' } }
    const stream = store.createWriteStream(key, { ...facts, vary: { [`x-${i}`]: 'y' } })
    stream?.end(`${i}`)
    if (stream) await once(stream, 'close')
    t.equal(String((await store.get(key))?.body), `${i}`)
  }
  const record = await cache.get<{ variants: string[][] }>('http:http://a:/')
  t.equal(record?.variants.length, 16)
})

for (const { name, skip, open } of DOORS) {
  t.test(`what undici asks of its own stores, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const fail = (error: unknown) => t.fail(String(error))
    const options = { bodyBytesMax: 6, onError: fail }
    const store = new HttpCacheStore(here, options)
    const other = new HttpCacheStore(there, options)
    const now = Date.now()
    const keyOf = (path: string, headers = {}) => {
      return { origin: 'http://a', path, method: 'GET', headers }
    }
    const put = (key: ReturnType<typeof keyOf>, pieces: string[], more = {}) => {
      const times = { cachedAt: now, staleAt: now + 10_000, deleteAt: now + 60_000 }
      const facts = { ...FACTS, ...times, etag: '"e"', ...more }
      const stream = store.createWriteStream(key, facts)
      for (const piece of pieces) stream?.write(Buffer.from(piece))
      stream?.end()
      return facts
    }
    const found = async (key: ReturnType<typeof keyOf>, from = store) => {
      const response = await from.get(structuredClone(key))
      return response && { ...response, body: Buffer.concat(response.body).toString() }
    }

    t.equal(await found(keyOf('/')), undefined)
    const facts = put(keyOf('/'), ['asd', '123'])
    t.match(await found(keyOf('/')), { ...facts, body: 'asd123' }, 'at once, up to the most bytes')
    t.match(await found(keyOf('/'), other), { ...facts, body: 'asd123' })
    t.equal(await found(keyOf('/asd')), undefined, 'another path')
    put(keyOf('/'), ['foo'], { headers: { foo: 'baz' } })
    t.match(await found(keyOf('/')), { headers: { foo: 'baz' }, body: 'foo' }, 'the newest')

    const stale = put(keyOf('/stale'), ['s'], { cachedAt: now - 9, staleAt: now - 1 })
    t.match(await found(keyOf('/stale')), { staleAt: stale.staleAt, body: 's' })

    const [ada, bob] = ['ada', 'bob'].map(user => keyOf('/vary', { user }))
    put(ada, ['of a'], { vary: { user: 'ada' } })
    t.equal((await found(ada))?.body, 'of a')
    t.equal(await found(bob), undefined)
    put(bob, ['of b'], { vary: { user: 'bob' } })
    t.strictSame([(await found(bob))?.body, (await found(ada, other))?.body], ['of b', 'of a'])
    await store.delete(ada)
    t.strictSame([await found(ada), await found(bob, other)], [undefined, undefined])
  })
}

t.test('a get does not wait for a body that is still coming, nor for one that failed', async t => {
  const [cache] = await LOCAL.open(t)
  const store = new HttpCacheStore(cache, { bodyBytesMax: 3 })
  const key = { origin: 'http://a', path: '/', method: 'GET', headers: {} }
  const now = Date.now()
  const facts = { ...FACTS, cachedAt: now, staleAt: now + 10_000, deleteAt: now + 20_000 }
  const [coming, long] = [1, 2].map(() => store.createWriteStream(key, facts))
  coming?.write(Buffer.from('a'))
  long?.end(Buffer.from('too long'))
  t.equal(await store.get(key), undefined)
  coming?.end(Buffer.from('b'))
  t.equal(String((await store.get(key))?.body), 'ab')
})
