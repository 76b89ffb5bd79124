// The pool client against real servers: its whole surface, and what it does when servers are killed,
// frozen and come back.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient, type ClusterOptions } from '../../lib/client/cluster.ts'
import { parseServer } from '../../lib/client/servers.ts'
import { startDaemon } from '../support/daemon.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import { freePort, type Owner, type ServerProcess } from '../support/process.ts'

const KINDS = (['meta', 'memjs'] as const).flatMap(driver => [
  { driver, name: `memslab, ${driver}`, start: startDaemon, skip: false as const },
  { driver, name: `memcached, ${driver}`, start: startOracle, skip: skipWithout('memcached') },
])

/** The deadline of calls to a frozen server, ms; long enough for a busy machine to serve the rest. */
const FROZEN_MS = 3000

interface Pool {
  client: ClusterClient
  servers: ServerProcess[]
}

async function poolOf(
  t: Test,
  start: (owner: Owner) => Promise<ServerProcess>,
  count: number,
  options: ClusterOptions = {},
): Promise<Pool> {
  const servers = await Promise.all(Array.from({ length: count }, () => start(t)))
  const names = servers.map(({ port }) => `127.0.0.1:${port}`)
  const client = new ClusterClient(names, { timeoutMs: 20_000, ...options })
  t.teardown(() => client.close())
  return { client, servers }
}

async function untilTrue(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await isTrue()) return
    await sleep(50)
  }
  throw new Error(`not in time: ${what}`)
}

async function wholeSurface(t: Test, client: ClusterClient, driver: 'meta' | 'memjs') {
  t.equal(await client.get('a'), undefined)
  t.equal(await client.set('a', 'one', { flags: 7, ttlS: 100 }), 'STORED')
  const hit = await client.get('a')
  t.strictSame([hit?.value.toString(), hit?.flags], ['one', 7])
  const [left, forEver] = driver === 'meta' ? [hit?.ttlS, -1] : [100, undefined]
  t.ok(left !== undefined && left > 90 && left <= 100, 'seconds left')
  t.equal(await client.add('a', 'x'), 'NOT_STORED')
  t.equal(await client.add('b', Buffer.from([0, 13, 10, 255])), 'STORED')
  t.strictSame((await client.get('b'))?.value, Buffer.from([0, 13, 10, 255]))
  t.equal((await client.get('b'))?.ttlS, forEver)
  t.equal(await client.replace('c', 'x'), 'NOT_STORED')
  t.equal(await client.append('a', '>'), 'STORED')
  t.equal(await client.prepend('a', '<'), 'STORED')
  t.equal(await client.append('c', '>'), 'NOT_STORED')
  const whole = await client.get('a')
  t.equal(whole?.value.toString(), '<one>')
  t.equal(await client.cas('a', 'two', whole?.cas ?? 0n), 'STORED')
  t.equal(await client.cas('a', 'three', whole?.cas ?? 0n), 'EXISTS')
  t.equal(await client.cas('c', 'three', 1n), 'NOT_FOUND')
  t.equal(await client.delete('a'), true)
  t.equal(await client.delete('a'), false)
  t.equal(await client.touch('b', 50), true)
  t.equal(await client.touch('c', 50), false)
  t.equal((await client.getAndTouch('b', 500))?.value.length, 4)
  t.equal(await client.incr('n'), undefined)
  t.equal(await client.incr('n', 1, 10n), 10n)
  t.equal(await client.incr('n', 5, 10n), 15n)
  t.equal(await client.decr('n', 100n), 0n)
  t.equal(await client.incr('n', 2n ** 64n - 1n), 2n ** 64n - 1n)
  await t.rejects(client.incr('b'), { code: 'SERVER' })
  await t.rejects(client.set('b', Buffer.alloc(2 ** 21)), { code: 'SERVER' })
  for (const key of ['', 'a b', 'a\n', 'k'.repeat(251)]) {
    await t.rejects(client.get(key), { code: 'KEY' }, JSON.stringify(key.slice(0, 9)))
  }
  t.equal((await client.versions()).size, 3)
  const stats = await client.stats()
  t.ok([...stats.values()].every(server => Number(server.get('cmd_set')) >= 0))
  await client.flush()
  t.equal(await client.get('b'), undefined)
}

for (const { driver, name, start, skip } of KINDS) {
  for (const replicas of [1, 2]) {
    t.test(`the whole surface, on ${name}, copies: ${replicas}`, { skip }, async t => {
      const { client } = await poolOf(t, start, 3, { driver, replicas })
      await wholeSurface(t, client, driver)
    })
  }
  // The driver memjs is killed in its own tests.
  if (driver === 'memjs' && start === startDaemon) continue

  t.test(`many at once, on ${name}`, { skip }, async t => {
    const { client, servers } = await poolOf(t, start, 3, { driver })
    const keys = Array.from({ length: 1000 }, (_, i) => `schlüssel-${i}`)
    await Promise.all(keys.map((key, i) => client.set(key, `value ${i}`, { flags: i })))
    const hits = await client.getMany([...keys, 'nobody', ...keys])
    t.equal(hits.size, 1000)
    t.ok(keys.every((key, i) => hits.get(key)?.value.toString() === `value ${i}`))
    const long = Buffer.alloc(900_000, 'x')
    await client.set('long', long)
    t.ok((await client.get('long'))?.value.equals(long))
    const counts = await client.stats()
    for (const { port } of servers) {
      const items = Number(counts.get(`127.0.0.1:${port}`)?.get('curr_items'))
      t.ok(items > 150, `${items} of 1000 items on one of three`)
    }
  })

  t.test(`a server that is killed is ejected and comes back, on ${name}`, { skip }, async t => {
    const { client, servers } = await poolOf(t, start, 3, { driver, timeoutMs: 4000, restMs: 100 })
    const gone = `127.0.0.1:${servers[1].port}`
    const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(k => client.ownerOf(k) === gone)
    if (key === undefined) throw new Error('no key on the second server')
    await client.set(key, 'before')
    process.kill(servers[1].pid, 'SIGKILL')
    await untilTrue('ejected', async () => {
      await client.set(key, 'after').catch(() => {})
      return client.away().includes(gone)
    })
    t.equal(await client.set(key, 'elsewhere'), 'STORED', 'the next on the ring takes it')
    t.equal((await client.get(key))?.value.toString(), 'elsewhere')
    t.equal((await client.getMany([key])).size, 1)
  })

  t.test(`a frozen server costs no call more than its deadline, on ${name}`, { skip }, async t => {
    const options = { driver, timeoutMs: FROZEN_MS, restMs: 100, failures: 2, retries: 0 }
    const { client, servers } = await poolOf(t, start, 2, { ...options, failover: 'miss' })
    const frozen = `127.0.0.1:${servers[0].port}`
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
    await Promise.all(keys.map(key => client.set(key, 'v')))
    process.kill(servers[0].pid, 'SIGSTOP')
    t.teardown(() => process.kill(servers[0].pid, 'SIGCONT'))
    // On a busy machine its threads answer for a while yet.
    await untilTrue('stopped', () => stateOf(servers[0].pid) === 'T')
    const startedMs = performance.now()
    const outcomes = await Promise.allSettled(keys.map(key => client.get(key)))
    const tookMs = performance.now() - startedMs
    t.ok(tookMs < 2 * FROZEN_MS, `${Math.round(tookMs)} ms, deadline ${FROZEN_MS}`)
    for (const [i, key] of keys.entries()) {
      const wanted = client.ownerOf(key) === frozen ? 'rejected' : 'fulfilled'
      if (outcomes[i].status !== wanted) t.fail(`${key}: ${outcomes[i].status}`)
    }
    await untilTrue('ejected', async () => {
      await client.getMany(keys)
      return client.away().includes(frozen)
    })
    const hits = await client.getMany(keys)
    t.ok(hits.size > 0 && hits.size < keys.length, 'keys of the other are served, these miss')
    process.kill(servers[0].pid, 'SIGCONT')
    await untilTrue('back', () => client.away().length === 0)
    t.equal((await client.getMany(keys)).size, keys.length, 'with all it had')
  })
}

t.test('a port where nobody listens', async t => {
  const client = new ClusterClient([`127.0.0.1:${await freePort()}`], { timeoutMs: 300 })
  t.teardown(() => client.close())
  await t.rejects(client.get('a'), { code: 'CONNECTION' })
})

t.test('a server that speaks something else', async t => {
  const server = createServer(socket => socket.end('<html>hello</html>\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const client = new ClusterClient([`127.0.0.1:${port}`], { timeoutMs: 300, retries: 0 })
  t.teardown(() => client.close())
  await t.rejects(client.get('a'), { code: 'PROTOCOL' })
})

t.test('a closed client answers nobody', async t => {
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
    t.throws(() => parseServer(text), RangeError, text)
  }
})

/** Of a process, as Linux tells it: T is stopped. */
function stateOf(pid: number): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]
}
