// The driver memjs, and the faults of memjs that it must not have: requests that wait forever, an
// ended process, no recovery, wrong requests, and missing results.

import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { Login } from '../../../lib/client/nodes/login.ts'
import { MemjsLink } from '../../../lib/client/nodes/memjs-link.ts'
import { MemjsNode } from '../../../lib/client/nodes/memjs-node.ts'
import { PASSWORD, USER } from '../../support/auth.ts'
import { startDaemon, startDaemonOn } from '../../support/daemon.ts'
import { skipWithout, startOracle, startOracleOn } from '../../support/oracle.ts'
import { HOST, type Owner } from '../../support/process.ts'
import { startSaslDaemon } from '../../support/sasl.ts'
import { comesTrue } from '../../support/server-peer.ts'

const LONG_MS = 20_000
const ONE_THREAD = ['-t', '1']
const PLAIN = { mode: 'set', key: 'a', value: Buffer.from('v'), flags: 0, exptime: 0 } as const
const SET = { ...PLAIN, cas: undefined }

/** A server that handles each piece of bytes as the test says. */
async function serve(owner: Owner, take: (part: Buffer, socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (part: Buffer) => take(part, socket))
  })
  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  owner.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, sockets }
}

function nodeAt(owner: Owner, port: number, options = {}): MemjsNode {
  const node = new MemjsNode({ host: HOST, port }, options)
  owner.teardown(() => node.close())
  return node
}

t.test('each request has its own deadline', async t => {
  const { port, sockets } = await serve(t, () => {})
  const node = nodeAt(t, port)
  await Promise.all([
    t.rejects(node.get('a', 100), { code: 'TIMEOUT' }),
    t.rejects(node.get('b', 200), { code: 'TIMEOUT' }),
  ])
  t.ok(await comesTrue(async () => sockets.size === 0), 'and the silent connection is over')
})

t.test('a server that comes back after a time-out is asked again', async t => {
  let isSilent = true
  const { port } = await serve(t, (part, socket) => {
    if (!isSilent) socket.write(replyTo(part))
  })
  const node = nodeAt(t, port)
  await t.rejects(node.probe(100), { code: 'TIMEOUT' })
  isSilent = false
  for (let i = 0; i < 5; i++) await node.probe(LONG_MS)
})

t.test('a connection that ends rejects its requests at once', async t => {
  const { port } = await serve(t, (_, socket) => socket.end())
  const node = nodeAt(t, port)
  for (let i = 0; i < 5; i++) await t.rejects(node.get('a', LONG_MS), { code: 'CONNECTION' })
})

t.test('a reply of another protocol rejects at once', async t => {
  const { port } = await serve(t, (_, socket) => socket.write('ERROR\r\n'))
  await t.rejects(nodeAt(t, port).get('a', LONG_MS), { code: 'PROTOCOL' })
})

t.test('a connection that cannot be opened', async t => {
  await t.rejects(nodeAt(t, 99_999).get('a', LONG_MS), { code: 'CONNECTION' })
  const node = nodeAt(t, 1)
  node.close()
  await t.rejects(node.get('a', LONG_MS), { code: 'CLOSED' })
})

t.test('what memjs cannot do is refused, not done without TLS', async t => {
  t.throws(() => new MemjsNode({ host: HOST, port: 1 }, { tls: {} }), { code: 'ARGUMENT' })
  t.throws(() => new MemjsNode({ host: '/run/memslab.sock' }), { code: 'ARGUMENT' })
})

t.test('pending requests are bounded', async t => {
  const { port } = await serve(t, () => {})
  const node = nodeAt(t, port, { pendingMax: 2 })
  const waiting = [node.get('a', LONG_MS), node.get('b', LONG_MS)]
  await t.rejects(node.get('c', LONG_MS), { code: 'BUSY' })
  node.close()
  for (const call of waiting) await t.rejects(call, { code: 'CLOSED' })
})

t.test('requests are numbered in 32 bits, over and over', async t => {
  const { port } = await startDaemon(t, ONE_THREAD)
  const link = new MemjsLink({ host: HOST, port }, {}, new Login('a'), () => {})
  t.teardown(() => link.close())
  Object.assign(link, { opaque: 0xffff_fffe })
  const nothing = { extras: Buffer.alloc(0), value: Buffer.alloc(0), cas: 0n, key: '' }
  const asks = Array.from({ length: 4 }, () => link.request({ ...nothing, opcode: 0x0a }, LONG_MS))
  const numbers = (await Promise.all(asks)).map(({ header }) => header.opaque)
  t.strictSame(numbers, [0xffff_fffe, 0xffff_ffff, 0x8000_0000, 0x8000_0001])
})

t.test('requests that memjs sends wrong, and results that it hides', async t => {
  const { port } = await startDaemon(t, ONE_THREAD)
  const node = nodeAt(t, port)
  await node.store({ ...SET, flags: 0xfedc_ba98 }, LONG_MS)
  await node.store({ ...SET, mode: 'prepend', value: Buffer.from('<') }, LONG_MS)
  await node.store({ ...SET, mode: 'append', value: Buffer.from('>') }, LONG_MS)
  const hit = await node.get('a', LONG_MS)
  t.equal(hit?.value.toString(), '<v>', 'prepend goes to the front')
  t.equal(hit?.flags, 0xfedc_ba98, 'flags')
  const cas = hit?.cas ?? 0n
  t.equal(await node.store({ ...SET, cas: cas + 1n }, LONG_MS), 'EXISTS')
  t.equal(await node.delete('a', LONG_MS, cas + 1n), 'EXISTS')
  t.equal(await node.store({ ...SET, cas }, LONG_MS), 'STORED')
  const count = { key: 'n', delta: 1n, subtract: false, initial: 2n ** 40n, exptime: 0 }
  t.equal(await node.adjust(count, LONG_MS), 2n ** 40n)
  t.equal(await node.adjust(count, LONG_MS), 2n ** 40n + 1n, 'more than 32 bits')
  await node.store({ ...SET, exptime: -1 }, LONG_MS)
  t.equal(await node.get('a', LONG_MS), undefined, 'a negative time is over at once')
  await t.rejects(node.stats('nonsense', LONG_MS), { code: 'SERVER' })
  t.match((await node.stats('', LONG_MS)).get('cmd_set'), /^\d+$/)
})

t.test('users are passed, not taken from the environment', async t => {
  const { port } = await startSaslDaemon(t)
  const auth = { user: USER, password: PASSWORD }
  const node = nodeAt(t, port, { auth })
  t.equal(await node.store(SET, LONG_MS), 'STORED')
  t.equal((await node.get('a', LONG_MS))?.value.toString(), 'v')
  const wrong = nodeAt(t, port, { auth: { ...auth, password: 'wrong' } })
  await t.rejects(wrong.get('a', LONG_MS), { code: 'AUTH' })
  t.teardown(() => {
    delete process.env.MEMCACHE_USERNAME
    delete process.env.MEMCACHE_PASSWORD
  })
  Object.assign(process.env, { MEMCACHE_USERNAME: USER, MEMCACHE_PASSWORD: PASSWORD })
  await t.rejects(nodeAt(t, port).get('a', LONG_MS), { code: 'AUTH' })
})

const PEERS = [
  { name: 'memslab', start: startDaemon, startOn: startDaemonOn, skip: false as const },
  {
    name: 'memcached',
    start: startOracle,
    startOn: startOracleOn,
    skip: skipWithout('memcached'),
  },
]

for (const { name, start, startOn, skip } of PEERS) {
  t.test(`${name} is killed under load, twice, and comes back`, { skip }, async t => {
    let server = await start(t, ONE_THREAD)
    const { port } = server
    const options = { driver: 'memjs', timeoutMs: 2000, restMs: 50, failures: 2 } as const
    const client = new ClusterClient([`${HOST}:${port}`], options)
    t.teardown(() => client.close())
    let isOver = false
    const outcomes = new Map<string, number>()
    const load = async (id: number) => {
      for (let i = 0; !isOver; i++) {
        const outcome = await client.set(`k${id}`, `${i}`).then(
          isStored => (isStored ? 'STORED' : 'NOT_STORED'),
          (error: { code: string }) => sleep(5).then(() => error.code),
        )
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    const loads = Promise.all(Array.from({ length: 20 }, (_, id) => load(id)))
    for (let round = 0; round < 2; round++) {
      await sleep(100)
      process.kill(server.pid, 'SIGKILL')
      t.ok(await comesTrue(async () => client.away().length === 1, LONG_MS), 'ejected')
      server = await startOn(t, port, ONE_THREAD)
      const before = outcomes.get('STORED') ?? 0
      const isBack = async () => (outcomes.get('STORED') ?? 0) > before + 100
      t.ok(await comesTrue(isBack, 60_000), `back in round ${round}`)
    }
    isOver = true
    await loads
    const known = new Set(['STORED', 'CONNECTION', 'TIMEOUT'])
    t.strictSame(
      [...outcomes.keys()].filter(outcome => !known.has(outcome)),
      [],
    )
  })
}

/** An empty success to each request. */
function replyTo(part: Buffer): Buffer {
  const reply = Buffer.alloc(24)
  reply[0] = 0x81
  reply[1] = part[1]
  part.copy(reply, 12, 12, 16)
  return reply
}
