// Strategies over a pool with `failover: 'miss'` whose server is away: what was not stored and what
// was not deleted is no success.

import { once } from 'node:events'
import { createServer } from 'node:net'
import session, { type SessionData } from 'express-session'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../lib/client/cluster-options.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { KeyvStore } from '../../lib/strategies/keyv.ts'
import { createSessionStore } from '../../lib/strategies/session-store.ts'
import { Tags } from '../../lib/strategies/tags.ts'
import { WriteThrough } from '../../lib/strategies/through.ts'
import { HOST } from '../support/process.ts'

const AWAY = { code: 'CONNECTION' }

/** A pool whose servers are all ejected. */
async function openAway(t: Test, options: ClusterOptions = {}): Promise<ClusterClient> {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  const servers = options.replicas === 2 ? [`${HOST}:${port}`, `${HOST}:1`] : [`${HOST}:${port}`]
  const pool = new ClusterClient(servers, { failures: 1, failover: 'miss', ...options })
  t.teardown(() => pool.close())
  while (pool.away().length < servers.length) await pool.get('a').catch(() => {})
  return pool
}

for (const replicas of [1, 2]) {
  t.test(`with ${replicas} copies`, async t => {
    const pool = await openAway(t, { replicas })
    const errors: unknown[] = []
    const options = { ttlS: 100, onError: (error: unknown) => errors.push(error) }

    const aside = new CacheAside(pool, options)
    t.equal(await aside.getOrSet('a', () => 'loaded'), 'loaded')
    await aside.settled()
    t.match(errors.splice(0), [AWAY], 'it was not stored')
    await t.rejects(aside.set('a', 'v'), AWAY)
    await t.rejects(aside.delete('a'), AWAY)
    errors.length = 0

    const source = { load: () => 'v', save: () => {}, remove: () => {} }
    const users = new WriteThrough<string>(pool, source, options)
    await users.set('a', 'v')
    t.ok(errors.length > 0, 'the cache may still have the old value')
    await t.rejects(users.invalidate('a'), AWAY)

    await t.rejects(new Tags(pool).invalidate('x'), AWAY)

    const sessions = createSessionStore(session.Store, pool)
    const data = { cookie: { originalMaxAge: null } } as unknown as SessionData
    const call = (run: (done: (error?: unknown) => void) => void) =>
      new Promise<unknown>(resolve => run(resolve))
    t.match(await call(done => sessions.set('id', data, done)), AWAY, 'no login')
    t.match(await call(done => sessions.destroy('id', done)), AWAY, 'no logout')

    const keyv = new KeyvStore(pool)
    await t.rejects(keyv.set('a', 'v'), AWAY)
    t.strictSame(await keyv.setMany([{ key: 'a', value: 'v' }]), [false])
    await t.rejects(keyv.delete('a'), AWAY)
    await t.rejects(keyv.clear(), AWAY)
  })
}
