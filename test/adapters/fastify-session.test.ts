// @fastify/session over LocalCache and a pool, in an application.

import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { createFastifySessionStore } from '../../lib/adapters/fastify-session.ts'
import type { Store } from '../../lib/doors/types.ts'
import { DOORS } from '../support/doors.ts'

declare module 'fastify' {
  interface Session {
    views?: number
  }
}

async function startApp(t: Test, cache: Store) {
  const app = fastify()
  const store = createFastifySessionStore(cache, { prefix: 'fastify:' })
  await app.register(fastifyCookie)
  const secret = 'a secret with thirty-two letters'
  await app.register(fastifySession, { secret, store, cookie: { secure: false } })
  app.get('/', async ({ session }) => {
    session.views = (session.views ?? 0) + 1
    return String(session.views)
  })
  app.get('/renew', async ({ session }) => {
    await session.regenerate(['views'])
    return 'new'
  })
  app.get('/leave', async ({ session }) => {
    await session.destroy()
    return 'bye'
  })
  t.teardown(() => app.close())
  return async (url: string, cookie = '') => {
    const { statusCode, payload, headers } = await app.inject({ url, headers: { cookie } })
    const [given] = [headers['set-cookie']].flat()
    return { statusCode, payload, cookie: given?.split(';')[0] ?? cookie }
  }
}

for (const { name, skip, open } of DOORS) {
  t.test(`sessions last from process to process, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const [first, second] = [await startApp(t, here), await startApp(t, there)]
    const { payload, cookie } = await first('/')
    t.equal(payload, '1')
    t.equal((await second('/', cookie)).payload, '2')
    t.equal((await first('/', cookie)).payload, '3')
    t.equal((await first('/')).payload, '1', 'somebody else')
    const renewed = await second('/renew', cookie)
    t.not(renewed.cookie, cookie)
    t.equal((await first('/', cookie)).payload, '1', 'the old session is gone')
    t.equal((await first('/', renewed.cookie)).payload, '4')
    await second('/leave', renewed.cookie)
    t.equal((await first('/', renewed.cookie)).payload, '1')
  })
}

t.test('errors of the cache reach the application', async t => {
  const broken = new Proxy({} as Store, {
    get: () => () => {
      throw new Error('away')
    },
  })
  const app = await startApp(t, broken)
  t.equal((await app('/', 'sessionId=abc.def')).statusCode, 500)
})
