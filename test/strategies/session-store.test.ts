// express-session over LocalCache and a pool, in an application with HTTP requests.

import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import session, { type SessionData } from 'express-session'
import t, { type Test } from 'tap'
import type { Store } from '../../lib/doors/types.ts'
import { createSessionStore } from '../../lib/strategies/session-store.ts'
import { DOORS, LOCAL } from '../support/doors.ts'

declare module 'express-session' {
  interface SessionData {
    views?: number
  }
}

for (const { name, skip, open } of DOORS) {
  t.test(
    `sessions last from request to request and process to process, ${name}`,
    { skip },
    async t => {
      const [here, there] = await open(t)
      const [first, second] = [await startApp(t, here), await startApp(t, there)]
      const begun = await fetch(`${first}/`)
      const cookie = begun.headers.get('set-cookie')?.split(';')[0] ?? ''
      const as = { headers: { cookie } }
      t.equal(await begun.text(), '1')
      t.equal(await (await fetch(`${second}/`, as)).text(), '2')
      t.equal(await (await fetch(`${first}/`, as)).text(), '3')
      t.equal(await (await fetch(`${first}/`)).text(), '1', 'somebody else')
      await fetch(`${second}/leave`, as)
      t.equal(await (await fetch(`${first}/`, as)).text(), '1')
    },
  )
}

t.test('a session expires with its cookie, or after its own TTL', async t => {
  const [cache] = await LOCAL.open(t)
  const store = createSessionStore(session.Store, cache, { ttlS: 500 })
  const ttlOf = async (id: string) => {
    const item = await cache.getItem(`session:${id}`)
    return item && 'ttlS' in item ? item.ttlS : undefined
  }
  const call = (name: 'set' | 'touch', id: string, expires?: Date | boolean) =>
    new Promise<void>((resolve, reject) => {
      const data = { cookie: { originalMaxAge: null, expires } } as unknown as SessionData
      store[name](id, data, error => (error ? reject(error) : resolve()))
    })
  await call('set', 'a')
  t.equal(await ttlOf('a'), 500)
  await call('touch', 'a', new Date(Date.now() + 99_500))
  t.equal(await ttlOf('a'), 100)
  await call('touch', 'a', new Date(Date.now() - 1000))
  t.equal(await ttlOf('a'), undefined)
  await call('set', 'b', new Date(Date.now() - 1000))
  t.equal(await ttlOf('b'), undefined)
  await call('set', 'c', false)
  t.equal(await ttlOf('c'), 500, 'as long as the browser is open')
  await new Promise(resolve => store.set('d', { views: 1 } as unknown as SessionData, resolve))
  t.equal(await ttlOf('d'), 500, 'an application stored it, without a cookie')
})

t.test('errors of the cache reach the application', async t => {
  const broken = new Proxy({} as Store, {
    get: () => () => {
      throw new Error('away')
    },
  })
  const store = createSessionStore(session.Store, broken)
  const error = await new Promise(resolve => store.get('a', resolve))
  t.match(error, { message: 'away' })
  t.doesNotThrow(() => store.destroy('a'))
})

async function startApp(t: Test, cache: Store): Promise<string> {
  const app = express()
  const store = createSessionStore(session.Store, cache)
  app.use(session({ secret: 'a test', resave: false, saveUninitialized: true, store }))
  app.get('/leave', (request, response) => {
    request.session.destroy(() => response.send('bye'))
  })
  app.get('/', (request, response) => {
    request.session.views = (request.session.views ?? 0) + 1
    response.send(String(request.session.views))
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}
