// The pool client with servers that break, refuse or flap.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../lib/client/cluster-options.ts'
import type { Observer } from '../../lib/client/discovery/source.ts'
import { LOGIN_REST_MS } from '../../lib/client/nodes/login.ts'
import { MetaNode } from '../../lib/client/nodes/meta-node.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import { freePort, HOST, type Owner } from '../support/process.ts'
import { startScripted } from '../support/scripted-server.ts'
import { comesTrue } from '../support/server-peer.ts'

function clientOf(owner: Owner, ports: number[], options: ClusterOptions): ClusterClient {
  const names = ports.map(port => `${HOST}:${port}`)
  const client = new ClusterClient(names, { timeoutMs: 20_000, restMs: 60_000, ...options })
  owner.teardown(() => client.close())
  return client
}

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)

t.test('a connection that breaks is one failure, however many requests it had', async t => {
  const { port } = await startScripted(t, (line, socket) => {
    if (line.startsWith('mg k39 ')) socket.destroy()
    return undefined
  })
  const client = clientOf(t, [port], { failures: 2, retries: 0 })
  const ask = () => Promise.allSettled(KEYS.map(key => client.get(key)))
  t.ok((await ask()).every(({ status }) => status === 'rejected'))
  t.strictSame(client.away(), [])
  await ask()
  t.equal(client.away().length, 1)
})

t.test('a delete is sent again, one of a version is not', async t => {
  const { port, lines } = await startScripted(t, (line, socket) => {
    if (line.startsWith('stats')) return 'STAT pid 1\r\nSTAT time 9\r\nSTAT uptime 2\r\nEND\r\n'
    if (line.startsWith('mg ')) return 'VA 1 f0 c1 t-1\r\nv\r\n'
    socket.destroy()
    return undefined
  })
  const client = clientOf(t, [port], { failures: 9, retries: 3 })
  await t.rejects(client.delete('a'), { code: 'CONNECTION' })
  t.strictSame(
    lines,
    Array.from({ length: 4 }, () => 'md a'),
  )
  const cas = (await client.getItem('b'))?.cas
  await t.rejects(client.delete('b', { cas }), { code: 'CONNECTION' })
  t.strictSame(
    lines.filter(line => !line.startsWith('md a')),
    ['mg b v f t c', 'stats ', 'md b C1'],
  )
})

for (const driver of ['meta', 'memjs'] as const) {
  t.test(`a server with too many connections is ejected, by ${driver}`, async t => {
    const server = createServer(socket => socket.end('ERROR Too many open connections\r\n'))
    server.listen(0, HOST)
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as { port: number }
    const client = clientOf(t, [port], { driver, failures: 2, retries: 0 })
    for (let i = 0; i < 2; i++) await t.rejects(client.get('a'), { code: /CONNECTION|PROTOCOL/ })
    t.equal(client.away().length, 1)
  })
}

t.test('a wrong password stays one, however slow the server gets', async t => {
  let answers = 0
  const { port, lines } = await startScripted(t, line => {
    // The line after `set auth` has user and password.
    return line === 'u p' && answers++ === 0 ? 'CLIENT_ERROR authentication failure\r\n' : undefined
  })
  const auth = { user: 'u', password: 'p' }
  const client = clientOf(t, [port], { timeoutMs: 200, failures: 1, auth })
  for (let i = 0; i < 20; i++) await t.rejects(client.get('a'), { code: 'AUTH' })
  t.equal(lines.filter(line => line === 'u p').length, 1, 'nobody insists')
  await sleep(LOGIN_REST_MS + 100)
  await t.rejects(client.get('a'), { code: 'AUTH' }, 'the server is silent now')
  t.ok(answers > 1, 'though it was asked')
  t.strictSame(client.away(), [])
})

const HIT = 'VA 1 f0 c1 t-1\r\nv\r\n'
for (const [reply, call] of [
  ['VA 1 fx c1 t-1\r\nv\r\n', 'get'],
  ['VA 1 f0 c1z t-1\r\nv\r\n', 'get'],
  ['VA 1 f0 t-1\r\nv\r\n', 'get'],
  ['VA 1 f0 c1 t\r\nv\r\n', 'getItem'],
  ['VA 1 f0 c1 t-1\r\nvalue\r\n', 'get'],
  ['HD\r\n', 'get'],
  ['NS\r\n', 'get'],
  ['VA 3 f0 c1 t-1\r\n1x2\r\n', 'incr'],
  [HIT, 'delete'],
  [HIT, 'touch'],
  ['MN\r\n', 'set'],
  ['VA 1 fx c1 t-1 ka\r\nv\r\nMN\r\n', 'getItem'],
] as const) {
  t.test(`a damaged reply to ${call}: ${JSON.stringify(reply)}`, async t => {
    const { port } = await startScripted(t, () => reply)
    const client = clientOf(t, [port], { retries: 0, failures: 9 })
    const calls = {
      get: () => client.get('a'),
      getItem: () => client.getItem('a'),
      incr: () => client.incr('a'),
      delete: () => client.delete('a'),
      touch: () => client.touch('a', { ttlS: 1 }),
      set: () => client.set('a', 'v'),
    }
    await t.rejects(calls[call](), { name: 'CacheError', code: 'PROTOCOL' })
  })
}

t.test('errors of callbacks are warnings', async t => {
  const warnings: string[] = []
  const note = ({ message }: Error) => warnings.push(message)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const fail = (words: string) => () => {
    throw new Error(words)
  }
  let observer: Observer | undefined
  const source = {
    watch(given: Observer) {
      observer = given
      return () => {}
    },
  }
  const onDiscoveryError = async () => fail('in onDiscoveryError')()
  const client = new ClusterClient(source, { onServers: fail('in onServers'), onDiscoveryError })
  t.teardown(() => client.close())
  observer?.change([{ host: HOST, port: 1 }])
  observer?.fail(new Error('nobody there'))
  t.strictSame(client.servers(), [`${HOST}:1`])
  const isTold = () =>
    warnings.filter(text => /in on(Servers|DiscoveryError)/.test(text)).length === 2
  t.ok(await comesTrue(isTold), 'both')
})

t.test('a process ends though its pool is open', async t => {
  const { port } = await startScripted(t, () => 'EN\r\n')
  const path = new URL('../../lib/client/cluster.ts', import.meta.url)
  const code = `import { ClusterClient } from '${path}'
    const pool = new ClusterClient(['${HOST}:${port}'], { timeoutMs: 60_000 })
    console.log(await pool.get('a'))`
  const args = ['--input-type=module', '-e', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
  t.equal(stdout, 'undefined\n')
})

t.test('many keys: those of a server that is away miss', async t => {
  const client = clientOf(t, [await freePort()], { failures: 1 })
  t.equal((await client.getMany(KEYS)).size, 0)
  t.equal(client.away().length, 1)
  t.equal((await client.getMany(KEYS)).size, 0)
  await t.rejects(client.get('a'), { code: 'CONNECTION' })
})

t.test('many keys: one server that refuses does not affect the others', async t => {
  const hit = await startScripted(t, line => {
    const [word, key] = line.split(' ')
    return word === 'mn' ? 'MN\r\n' : `VA 1 f0 t-1 c1 k${key}\r\nv\r\n`
  })
  const full = await startScripted(t, line =>
    line === 'mn' ? 'MN\r\n' : 'SERVER_ERROR out of memory\r\n',
  )
  const client = clientOf(t, [hit.port, full.port], {})
  const wanted = KEYS.filter(key => client.ownerOf(key) === `${HOST}:${hit.port}`)
  t.ok(wanted.length > 0 && wanted.length < KEYS.length)
  t.strictSame([...(await client.getMany(KEYS)).keys()], wanted)
})

t.test('many keys: a wrong password and a closed client reject', async t => {
  const { port } = await startScripted(t, () => 'CLIENT_ERROR authentication failure\r\n')
  const client = clientOf(t, [port], { auth: { user: 'u', password: 'p' } })
  await t.rejects(client.getMany(KEYS), { code: 'AUTH' })
  client.close()
  await t.rejects(client.getMany(KEYS), { code: 'CLOSED' })
})

t.test('a server that flaps is probed by one loop', async t => {
  const late = Promise.withResolvers<undefined>()
  let probes = 0
  t.intercept(MetaNode.prototype, 'get', {
    value: async (key: string) => {
      if (key === 'late') return late.promise
      throw new CacheError('CONNECTION', 'broken')
    },
  })
  t.intercept(MetaNode.prototype, 'probe', {
    value: () => {
      probes++
      return new Promise(() => {})
    },
  })
  const client = clientOf(t, [1], { failures: 1, restMs: 10, retries: 0 })
  const answered = client.get('late')
  await t.rejects(client.get('a'))
  t.ok(await comesTrue(async () => probes === 1))
  late.resolve(undefined)
  await answered
  t.strictSame(client.away(), [], 'a late answer brings it back')
  await t.rejects(client.get('a'))
  await sleep(200)
  t.equal(client.away().length, 1)
  t.equal(probes, 1)
})
