// UDP of a daemon process: where it listens, what it answers and what not, and that a flood of
// datagrams does no harm.

import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { UDP_REPLY_BYTES_MAX } from '../../lib/server/udp.ts'
import { startDaemon } from '../support/daemon.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { freePort, HOST, type Owner } from '../support/process.ts'
import {
  ask,
  askOnce,
  comesTrue,
  openPeer,
  residentBytes,
  statsOf,
  usedChunks,
} from '../support/server-peer.ts'
import { bodyOf, datagramOf, UdpPeer } from '../support/udp-peer.ts'

const seed = announceSeed(t)

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const FLOOD = 20_000
const FLOOD_BYTES_MAX = 64 * 2 ** 20
const SERVED_MS_MAX = 2000
/** Nothing came by then: there is no answer. */
const SILENCE_MS = 100

t.test('it serves the same items as TCP, and stats has both', async t => {
  const port = await freePort()
  const daemon = await startServing(t, port)
  const peer = await UdpPeer.open(t, port)
  t.equal(await peer.askText('set a 0 0 1\r\n4\r\n'), 'STORED\r\n')
  t.equal(await askOnce(daemon.port, 'get a\r\n', 'END\r\n'), 'VALUE a 0 1\r\n4\r\nEND\r\n')
  const conns = await peer.askText('stats conns\r\n')
  t.match(
    conns,
    `STAT 2:UDP UDP\r\nSTAT 2:addr udp:${HOST}:${port}\r\nSTAT 2:state conn_parse_cmd\r\n`,
  )
  t.match(await askOnce(daemon.port, 'stats conns\r\n', 'END\r\n'), 'STAT 2:state conn_read\r\n')
  t.equal((await statsOf(daemon.port, 'settings')).get('udpport'), `${port}`)
  const stats = await statsOf(daemon.port)
  t.ok(Number(stats.get('bytes_read')) > 60, 'bytes are counted')
})

t.test('-p 0 leaves UDP alone', async t => {
  const port = await freePort()
  await startUdpOnly(t, port)
  const peer = await UdpPeer.open(t, port)
  t.equal(
    await peer.askText('set a 0 0 1\r\n4\r\nget a\r\n'),
    'STORED\r\nVALUE a 0 1\r\n4\r\nEND\r\n',
  )
  await t.rejects(openPeer(port), 'no TCP')
})

t.test('two TCP listeners on one host share a UDP port', async t => {
  const port = await freePort()
  await startServing(t, port, ['-l', `${HOST}:${port}`])
  const peer = await UdpPeer.open(t, port)
  t.equal(await peer.askText('set a 0 0 1\r\n4\r\n'), 'STORED\r\n')
  t.equal(await askOnce(port, 'get a\r\n', 'END\r\n'), 'VALUE a 0 1\r\n4\r\nEND\r\n')
})

t.test('a port in use is reported', async t => {
  const taken = createSocket('udp4')
  taken.bind(0, HOST)
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address()
  const args = [MAIN, '-p', '-1', '-l', HOST, '-U', `${port}`]
  const { status, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 10_000,
  })
  t.match(stderr, `failed to listen on UDP port ${port}: Address already in use\n`)
  t.equal(status, 71)
})

t.test('a reply is bounded, and an item of a megabyte fits', async t => {
  const port = await freePort()
  const daemon = await startServing(t, port, ['-I', '4m', '-t', '1'])
  const peer = await UdpPeer.open(t, port)
  for (const size of [1_000_000, UDP_REPLY_BYTES_MAX]) {
    const value = 'v'.repeat(size)
    await askOnce(daemon.port, `set v${size} 0 0 ${size}\r\n${value}\r\n`, 'STORED\r\n')
  }
  const reply = bodyOf(await peer.ask('get v1000000\r\n', 7, 200)).toString()
  // The socket's buffer may be too small for all datagrams.
  t.match(reply, /^VALUE v1000000 0 1000000\r\nv{1000}/)
  const refusal = 'SERVER_ERROR reply too large for UDP\r\n'
  t.equal(await peer.askText(`get v${UDP_REPLY_BYTES_MAX}\r\n`), refusal)
  t.equal(await peer.askText(`get ${'v1000000 '.repeat(2)}\r\n`), refusal)
  t.equal(await peer.askText('get none\r\n'), 'END\r\n', 'and it goes on')
  await ask(
    await openPeer(daemon.port),
    `delete v1000000\r\ndelete v${UDP_REPLY_BYTES_MAX}\r\nget x\r\n`,
    'END\r\n',
  )
  t.ok(await comesTrue(async () => (await usedChunks(daemon.port)) === 0), 'nothing stays held')
})

t.test('a partial request leaves nothing behind', async t => {
  const port = await freePort()
  const daemon = await startServing(t, port)
  const peer = await UdpPeer.open(t, port)
  t.same(await peer.ask('set a 0 0 10000\r\nhalf', 1, SILENCE_MS, SILENCE_MS), [])
  const more = `set a 0 0 10000\r\n${'x'.repeat(8000)}`
  t.same(await peer.ask(more, 1, SILENCE_MS, SILENCE_MS), [])
  t.equal(await peer.askText('get a\r\n'), 'END\r\n', 'not the rest of that')
  t.equal(await usedChunks(daemon.port), 0)
})

t.test('datagrams from its own port are not answered', async t => {
  const port = await freePort()
  await startServing(t, port)
  const twin = createSocket('udp4')
  twin.bind(port, '127.0.0.2')
  await once(twin, 'listening')
  t.teardown(() => twin.close())
  const received: Buffer[] = []
  twin.on('message', datagram => received.push(datagram))
  const request = datagramOf({ id: 1, sequence: 0, total: 1 }, 'get a\r\n')
  twin.send(request, port, HOST)
  const peer = await UdpPeer.open(t, port)
  t.equal(await peer.askText('get a\r\n'), 'END\r\n')
  t.same(received, [])
})

t.test('an error reply is not answered, so that two daemons do not loop', async t => {
  const port = await freePort()
  await startServing(t, port)
  const sender = createSocket('udp4')
  sender.bind(0, HOST)
  await once(sender, 'listening')
  t.teardown(() => sender.close())
  const received: string[] = []
  sender.on('message', datagram => received.push(datagram.toString('latin1', 8)))
  for (const text of [
    'ERROR',
    'CLIENT_ERROR bad',
    'SERVER_ERROR reply too large for UDP',
    'get a',
  ]) {
    sender.send(datagramOf({ id: 1, sequence: 0, total: 1 }, `${text}\r\n`), port, HOST)
  }
  await comesTrue(async () => received.length > 0)
  t.same(received, ['END\r\n'], 'the request behind them is')
})

t.test('a flood of garbage and requests does no harm', async t => {
  const port = await freePort()
  const daemon = await startServing(t, port)
  const random = createRandom(seed, 1)
  const asker = await openPeer(daemon.port)
  await ask(asker, `set big 0 0 300000\r\n${'b'.repeat(300_000)}\r\n`, '\r\n')
  const before = residentBytes(daemon.pid)
  const flooder = await UdpPeer.open(t, port)
  for (let sent = 0; sent < FLOOD; sent++) {
    const body = random.pick([
      'get big\r\n',
      'get ',
      'stats\r\n',
      '\x80\x00\x00',
      'set a 0 0 9\r\n',
      '\r\n\r\n',
    ])
    const datagram = datagramOf({ id: sent % 65536, sequence: 0, total: 1 }, body)
    flooder.send(random.once(4) ? datagram.subarray(0, random.below(12)) : datagram)
    if (sent % 500 > 0) continue
    const asked = performance.now()
    t.equal(await ask(asker, 'get none\r\n', 'END\r\n'), 'END\r\n')
    const tookMs = performance.now() - asked
    if (tookMs > SERVED_MS_MAX) t.fail(`a TCP peer waited ${tookMs} ms`)
  }
  const isServed = async () => (await askOnce(daemon.port, 'get none\r\n', '\r\n')) === 'END\r\n'
  t.ok(await comesTrue(isServed), 'a new connection is taken')
  const grown = residentBytes(daemon.pid) - before
  t.ok(grown < FLOOD_BYTES_MAX, `${grown} bytes more`)
})

/** Starts the daemon with TCP too; resolves once it answers on both. */
async function startServing(t: Owner, udpPort: number, args: string[] = []) {
  const daemon = await startDaemon(t, ['-U', `${udpPort}`, ...args])
  await askOnce(daemon.port, 'get none\r\n', 'END\r\n')
  return daemon
}

/** Starts the daemon without TCP; resolves once it answers. */
async function startUdpOnly(t: Owner, port: number) {
  const probe = await UdpPeer.open(t, port)
  const args = [MAIN, '-p', '0', '-l', HOST, '-U', `${port}`]
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  if (
    !(await comesTrue(
      async () => (await probe.ask('get a\r\n', 1, SILENCE_MS, SILENCE_MS)).length > 0,
    ))
  ) {
    throw new Error('it does not answer')
  }
}
