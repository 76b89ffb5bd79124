// The pool client against real servers: its whole API.

import { once } from 'node:events'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { parseServer } from '../../lib/client/members/servers.ts'
import { POOL_KINDS, startPool } from '../support/pool.ts'
import { freePort } from '../support/process.ts'

/** The application's bits. */
const OWN_FLAGS = 7 << 24

async function wholeSurface(t: Test, client: ClusterClient, driver: 'meta' | 'memjs') {
  t.equal(await client.get('a'), undefined)
  t.equal(await client.set('a', 'one', { flags: OWN_FLAGS, ttlS: 100 }), true)
  const item = await client.getItem('a')
  t.strictSame([item?.value, item?.flags], ['one', OWN_FLAGS])
  const never = Number.POSITIVE_INFINITY
  const [left, forEver] = driver === 'meta' ? [item?.ttlS, never] : [100, undefined]
  t.ok(left !== undefined && left > 90 && left <= 100, 'seconds left')
  t.equal(await client.add('a', 'x'), false)
  t.equal(await client.add('b', Buffer.from([0, 13, 10, 255])), true)
  t.strictSame(await client.get('b'), Buffer.from([0, 13, 10, 255]))
  t.equal((await client.getItem('b'))?.ttlS, forEver)
  t.equal(await client.replace('c', 'x'), false)
  t.equal(await client.append('a', '>'), true)
  t.equal(await client.prepend('a', '<'), true)
  t.equal(await client.append('c', '>'), false)
  const whole = await client.getItem('a')
  t.equal(whole?.value, '<one>')
  const cas = whole?.cas ?? 0n
  t.equal(await client.cas('a', 'two', cas), true)
  t.equal(await client.cas('a', 'three', cas), false)
  t.match(await client.casItem('a', 'three', cas), { isStored: false, item: { value: 'two' } })
  t.equal(await client.cas('c', 'three', 1n), false)
  t.strictSame(await client.casItem('c', 'three', 1n), { isStored: false, item: undefined })
  t.equal(await client.delete('a'), true)
  t.equal(await client.delete('a'), false)
  t.equal(await client.touch('b', { ttlS: 50 }), true)
  t.equal(await client.touch('c', { ttlS: 50 }), false)
  t.equal((await client.getAndTouch<Buffer>('b', { ttlS: 500 }))?.length, 4)
  t.equal(await client.incr('n'), undefined)
  t.equal(await client.incr('n', 1, { initial: 10n }), 10n)
  t.equal(await client.incr('n', 5, { initial: 10n }), 15n)
  t.equal(await client.decr('n', 100n), 0n)
  t.equal(await client.incr('n', 2n ** 64n - 1n), 2n ** 64n - 1n)
  await t.rejects(client.incr('b'), { code: 'NON_NUMERIC' })
  await t.rejects(client.set('b', Buffer.alloc(2 ** 21)), { code: 'TOO_LARGE' })
  for (const key of ['', 'a b', 'a\n', 'k'.repeat(251), 'a\ud800']) {
    await t.rejects(client.get(key), { code: 'KEY' }, JSON.stringify(key.slice(0, 9)))
  }
  t.equal((await client.versions()).size, 3)
  const stats = await client.serverStats()
  t.ok([...stats.values()].every(server => Number(server.get('cmd_set')) >= 0))
  await client.flush()
  t.equal(await client.get('b'), undefined)
}

for (const kind of POOL_KINDS) {
  const { name, driver, skip } = kind
  for (const replicas of [1, 2]) {
    t.test(`the whole API, on ${name}, copies: ${replicas}`, { skip }, async t => {
      const { client } = await startPool(t, kind, 3, { replicas })
      await wholeSurface(t, client, driver)
    })
  }
  t.test(`many at once, on ${name}`, { skip }, async t => {
    const { client, servers } = await startPool(t, kind, 3)
    const keys = Array.from({ length: 1000 }, (_, i) => `schlüssel-${i}`)
    await Promise.all(
      keys.map((key, i) => client.set(key, `value ${i}`, { flags: (i % 100) * 2 ** 24 })),
    )
    const hits = await client.getMany([...keys, 'nobody', ...keys])
    t.equal(hits.size, 1000)
    t.ok(keys.every((key, i) => hits.get(key) === `value ${i}`))
    const long = Buffer.alloc(900_000, 'x')
    await client.set('long', long)
    t.ok((await client.get<Buffer>('long'))?.equals(long))
    const counts = await client.serverStats()
    for (const { port } of servers) {
      const items = Number(counts.get(`127.0.0.1:${port}`)?.get('curr_items'))
      t.ok(items > 150, `${items} of 1000 items on one of three`)
    }
  })
}

t.test('a port where nobody listens', async t => {
  const client = new ClusterClient([`127.0.0.1:${await freePort()}`], { timeoutMs: 300 })
  t.teardown(() => client.close())
  await t.rejects(client.get('a'), { code: 'CONNECTION' })
})

t.test('a server with another protocol', async t => {
  const server = createServer(socket => socket.end('<html>hello</html>\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const client = new ClusterClient([`127.0.0.1:${port}`], { timeoutMs: 300, retries: 0 })
  t.teardown(() => client.close())
  await t.rejects(client.get('a'), { code: 'PROTOCOL' })
})

t.test('a closed client rejects all calls', async t => {
  const client = new ClusterClient(['127.0.0.1:1'])
  client.close()
  await t.rejects(client.get('a'), { code: 'CLOSED' })
})

t.test('servers as text', async t => {
  t.strictSame(parseServer('host'), { host: 'host', port: 11211 })
  t.strictSame(parseServer('host:1'), { host: 'host', port: 1 })
  t.strictSame(parseServer('10.0.0.1:1:5'), { host: '10.0.0.1', port: 1, weight: 5 })
  t.strictSame(parseServer('[::1]:11212'), { host: '::1', port: 11212 })
  t.strictSame(parseServer('/run/memslab.sock'), { host: '/run/memslab.sock' })
  for (const text of ['', ':1', 'a b', '[::1', 'a:b', '::1']) {
    t.throws(() => parseServer(text), { code: 'ARGUMENT' }, text)
  }
})
