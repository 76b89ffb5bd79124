// A client with a server that is slow, silent, endless or missing; and TLS.

import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer } from 'node:tls'
import t from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { CLIENT_KEEP_ALIVE_MS } from '../../../lib/client/limits.ts'
import { MemjsNode } from '../../../lib/client/nodes/memjs-node.ts'
import { MetaNode } from '../../../lib/client/nodes/meta-node.ts'
import { createAuthority } from '../../support/certificates.ts'
import {
  skipWithoutTls,
  startServing,
  startServingTls,
  startServingUnix,
} from '../../support/client-server.ts'
import { skipWithout, startUnixOracle } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'
import { startScripted } from '../../support/scripted-server.ts'
import { comesTrue } from '../../support/server-peer.ts'
import { shortFolder } from '../../support/unix.ts'

t.test('TLS to an address', { skip: skipWithoutTls() }, async t => {
  const { port, ca } = await startServingTls(t)
  const node = new MetaNode({ host: HOST, port }, { tls: { ca: readFileSync(ca) } })
  t.teardown(() => node.close())
  t.equal(await node.touch('a', 1, 20_000), false)
})

for (const [name, start, skip] of [
  ['memslab', startServingUnix, false],
  ['memcached', startUnixOracle, skipWithout('memcached')],
] as const) {
  t.test(`a UNIX socket of ${name}, through a pool`, { skip }, async t => {
    const { path } = await start(t)
    const client = new ClusterClient([path], { timeoutMs: 20_000 })
    t.teardown(() => client.close())
    t.equal(client.ownerOf('a'), path)
    const long = Buffer.alloc(100_000, 'x')
    t.equal(await client.set('a', long), true)
    t.ok((await client.get<Buffer>('a'))?.equals(long))
  })
}

t.test('short parts and long ones go out in the order of calls', async t => {
  const { port } = await startServing(t)
  const node = new MetaNode({ host: HOST, port })
  t.teardown(() => node.close())
  const lengths = [1, 16_384, 16_385, 5, 100_000, 0, 70_000, 3]
  const sets = lengths.map((length, i) => {
    const value = Buffer.alloc(length, String(i))
    const request = { mode: 'set', key: `größe${i}`, value, flags: 0, exptime: 0 } as const
    return node.store({ ...request, cas: undefined }, 20_000)
  })
  const gets = lengths.map((_, i) => node.get(`größe${i}`, 20_000))
  t.ok((await Promise.all(sets)).every(stored => stored === 'STORED'))
  for (const [i, hit] of (await Promise.all(gets)).entries()) {
    t.ok(hit?.value.equals(Buffer.alloc(lengths[i], String(i))), `${lengths[i]} bytes`)
  }
})

t.test('TLS to a UNIX socket', { skip: skipWithoutTls() }, async t => {
  const authority = createAuthority(t, 'authority')
  const { cert, key } = authority.sign('server')
  const pems = { cert: readFileSync(cert), key: readFileSync(key) }
  const server = createServer(pems, socket => socket.on('data', () => socket.write('MN\r\n')))
  const host = join(shortFolder(t), 'tls')
  await new Promise<void>(resolve => server.listen(host, resolve))
  t.teardown(() => server.close())
  const node = new MetaNode({ host }, { tls: { ca: readFileSync(authority.ca) } })
  await node.probe(20_000)
  node.close()
  const stranger = new MetaNode({ host }, { tls: {} })
  t.teardown(() => stranger.close())
  await t.rejects(stranger.probe(20_000), { code: 'CONNECTION' }, 'whose certificate nobody signed')
})

t.test('pending requests are bounded, in number and in bytes', async t => {
  const { port } = await startScripted(t, () => undefined)
  const address = { host: HOST, port }
  const few = new MetaNode(address, { pendingMax: 2 })
  const waiting = [few.get('a', 20_000), few.get('b', 20_000)]
  await t.rejects(few.get('c', 20_000), { code: 'BUSY', message: /2 requests wait already/ })
  few.close()
  t.strictSame(
    (await Promise.allSettled(waiting)).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  const short = new MetaNode(address, { pendingBytesMax: 1000 })
  const long = { mode: 'set', key: 'k', value: Buffer.alloc(5000), flags: 0, exptime: 0 } as const
  const alone = short.store({ ...long, cas: undefined }, 20_000)
  await t.rejects(short.get('c', 20_000), { code: 'BUSY', message: /50\d\d bytes of requests/ })
  short.close()
  await t.rejects(alone, { code: 'CLOSED' }, 'one alone may be longer')
})

t.test('a connection that cannot be opened', async t => {
  const noPort = new MetaNode({ host: HOST, port: 99_999 })
  await t.rejects(noPort.get('a', 1000), { name: 'CacheError', code: 'CONNECTION' })
  const noKey = new MetaNode({ host: HOST, port: 1 }, { tls: { key: 'no key' } })
  await t.rejects(noKey.get('a', 1000), { name: 'CacheError', code: 'CONNECTION' })
})

t.test('a deadline holds though authentication may take longer', async t => {
  const { port } = await startScripted(t, () => undefined)
  const node = new MetaNode({ host: HOST, port }, { auth: { user: 'u', password: 'p' } })
  t.teardown(() => node.close())
  const startedMs = performance.now()
  const calls = await Promise.allSettled([node.get('a', 200), node.get('b', 300)])
  const tookMs = performance.now() - startedMs
  t.ok(tookMs < 5000, `${Math.round(tookMs)} ms`)
  const [first, second] = calls.map(call => (call.status === 'rejected' ? call.reason : call))
  t.match(first, { code: 'TIMEOUT' })
  t.equal(first, second, 'and one silent server is one error')
})

t.test('a server that sends without end is given up', async t => {
  const { port, sockets } = await startScripted(t, (line, socket) => {
    if (line.startsWith('mg a ')) return 'EN\r\n'
    const timer = setInterval(() => socket.write('x'.repeat(100)), 5)
    socket.once('close', () => clearInterval(timer))
    return 'VA 1000000000 f0\r\n'
  })
  const node = new MetaNode({ host: HOST, port })
  t.teardown(() => node.close())
  const both = [node.get('a', 2000), node.get('b', 300)]
  t.equal(await both[0], undefined)
  await t.rejects(both[1], { code: 'TIMEOUT' })
  t.ok(await comesTrue(async () => sockets.size === 0), 'the connection is over')
})

t.test('a number that others keep deleting rejects at the deadline', async t => {
  const answers = new Map([['mn', 'MN\r\n']])
  const { port, lines } = await startScripted(t, line => answers.get(line) ?? 'NF\r\n')
  const node = new MetaNode({ host: HOST, port })
  t.teardown(() => node.close())
  await node.probe(20_000)
  const request = { key: 'n', delta: 1n, subtract: false, initial: 1n, exptime: 0 }
  await t.rejects(node.adjust(request, 0), { code: 'TIMEOUT' })
  await sleep(50)
  t.strictSame(lines, ['mn'], 'nobody is asked when the time is over')
})

t.test('a request without time left is not sent, and does not affect others', async t => {
  const { port, lines } = await startScripted(t, (_, socket) => {
    setTimeout(() => socket.write('EN\r\n'), 100)
    return undefined
  })
  for (const driver of [MetaNode, MemjsNode]) {
    const none = new driver({ host: HOST, port })
    t.teardown(() => none.close())
    await t.rejects(none.get('c', 0), { code: 'TIMEOUT' })
  }
  const node = new MetaNode({ host: HOST, port })
  t.teardown(() => node.close())
  const waits = node.get('a', 20_000)
  await t.rejects(node.get('b', -1), { code: 'TIMEOUT' })
  t.equal(await waits, undefined)
  t.strictSame(lines, ['mg a v f t c'])
})

t.test('statistics in other rows than STAT end at END', async t => {
  const { port } = await startScripted(t, line => {
    if (line === 'stats detail dump') return 'PREFIX a get 1 hit 2\r\nPREFIX b get 3\r\nEND\r\n'
    if (line === 'stats cachedump 1 1') return 'ITEM a [1 b; 0 s]\r\nEND\r\n'
    if (line === 'stats detail on') return 'OK\r\n'
    return line.startsWith('mg') ? 'VA 1 f0 t-1 c1\r\nv\r\n' : 'ERROR\r\n'
  })
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: 20_000 })
  t.teardown(() => client.close())
  const of = async (name: string) => [...([...(await client.serverStats(name)).values()][0] ?? [])]
  const asked = [of('detail dump'), of('cachedump 1 1'), of('detail on')]
  const hits = ['x', 'y', 'z'].map(key => client.get(key))
  t.strictSame(await Promise.all(asked), [
    [
      ['a', 'get 1 hit 2'],
      ['b', 'get 3'],
    ],
    [['a', '[1 b; 0 s]']],
    [],
  ])
  t.strictSame((await Promise.all(hits)).map(String), ['v', 'v', 'v'])
  await t.rejects(of('none'), { code: 'SERVER' })
  await t.rejects(of('x\r\nflush_all'), { code: 'ARGUMENT' })
})

for (const connections of [1, 2]) {
  t.test(`a small get and a long value, connections: ${connections}`, async t => {
    const { port, sockets } = await startScripted(t, line => {
      if (line.startsWith('mg long')) return 'VA 1000 f0 c1 t-1\r\npart'
      return connections > 1 ? 'EN\r\n' : undefined
    })
    const node = new MetaNode({ host: HOST, port }, { connections })
    t.teardown(() => node.close())
    const long = node.get('long', 20_000)
    t.ok(await comesTrue(() => sockets.size === 1))
    let isAnswered = false
    const small = node.get('small', 20_000).then(() => {
      isAnswered = true
    })
    if (connections > 1) await small
    else await sleep(200)
    t.equal(isAnswered, connections > 1)
    t.equal(sockets.size, connections)
    const [socket] = sockets
    socket.write(`${'x'.repeat(996)}\r\n${connections > 1 ? '' : 'EN\r\n'}`)
    t.equal((await long)?.value.length, 1000)
    await small
  })
}

t.test('requests for a key keep their order on several connections', async t => {
  const orders: string[][] = []
  const { port } = await startScripted(t, (line, socket) => {
    const at = [...socketsSeen].indexOf(socket)
    if (at < 0) socketsSeen.add(socket)
    const own = orders[at < 0 ? socketsSeen.size - 1 : at] ?? []
    orders[at < 0 ? socketsSeen.size - 1 : at] = own
    if (line !== '1' && line !== 'mn') own.push(line.split(' ').slice(0, 2).join(' '))
    return undefined
  })
  const socketsSeen = new Set<object>()
  const node = new MetaNode({ host: HOST, port }, { connections: 3 })
  t.teardown(() => node.close())
  const set = {
    mode: 'set',
    value: Buffer.from('1'),
    flags: 0,
    exptime: 0,
    cas: undefined,
  } as const
  const calls = [
    node.store({ ...set, key: 'a' }, 20_000),
    node.store({ ...set, key: 'b' }, 20_000),
    node.get('a', 20_000),
    node.delete('b', 20_000),
    node.getMany(['a', 'b', 'c'], 20_000),
    node.touch('a', 1, 20_000),
  ]
  const ofKey = (key: string) => orders.filter(own => own.some(text => text.endsWith(` ${key}`)))
  t.ok(await comesTrue(() => orders.flat().length === 8), '8 requests')
  t.strictSame(
    ofKey('a').map(own => own.filter(text => text.endsWith(' a'))),
    [['ms a', 'mg a', 'mg a', 'mg a']],
  )
  t.strictSame(
    ofKey('b').map(own => own.filter(text => text.endsWith(' b'))),
    [['ms b', 'md b', 'mg b']],
  )
  node.close()
  await Promise.allSettled(calls)
})

for (const Node of [MetaNode, MemjsNode]) {
  t.test(`the system asks silent peers whether they are there, by ${Node.name}`, async t => {
    const { port } = await startServing(t)
    const { setKeepAlive } = Socket.prototype
    const asked: unknown[][] = []
    t.intercept(Socket.prototype, 'setKeepAlive', {
      value(this: Socket, ...args: [boolean, number]) {
        asked.push([this.remotePort ?? port, ...args])
        return setKeepAlive.apply(this, args)
      },
    })
    const node = new Node({ host: HOST, port })
    t.teardown(() => node.close())
    t.equal(await node.touch('a', 1, 20_000), false)
    t.strictSame(asked.at(-1), [port, true, CLIENT_KEEP_ALIVE_MS])
  })
}
