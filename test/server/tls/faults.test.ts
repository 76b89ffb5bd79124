// Faulty TLS peers: without TLS, with an unfinished handshake, broken off.

import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { TLS_HANDSHAKE_MS_MAX } from '../../../lib/server/limits.ts'
import { createAuthority } from '../../support/certificates.ts'
import { skipWithout } from '../../support/oracle.ts'
import {
  ask,
  comesTrue,
  openFiles,
  openPeer,
  readUntil,
  residentBytes,
  statsOf,
  usedChunks,
} from '../../support/server-peer.ts'
import { isServed, openSecure, startTlsDaemon } from '../../support/tls-peer.ts'

const NEEDS_OPENSSL = { skip: skipWithout('openssl') }
const SERVED_MS_MAX = 3000
/** Handshakes are checked once a second; the machine may be busy. */
const GIVEN_UP_MS_MAX = TLS_HANDSHAKE_MS_MAX + 10_000

t.test(
  'a peer that does not finish its handshake is closed, others are served',
  NEEDS_OPENSSL,
  async t => {
    const daemon = await startTlsDaemon(
      t,
      createAuthority(t, 'authority').sign('server'),
      [],
      ['-c', '300'],
    )
    const plain = await openPeer(daemon.tlsPort)
    plain.write('get a\r\n')
    const garbage = await openPeer(daemon.tlsPort)
    garbage.write(randomBytes(3000))
    t.notMatch((await readUntil(plain, '')).toString(), 'END', 'a peer without TLS')
    await readUntil(garbage, '')
    const before = residentBytes(daemon.pid)
    const hello = Buffer.from('16030102000100', 'hex')
    const silent = await Promise.all(Array.from({ length: 200 }, () => openPeer(daemon.tlsPort)))
    for (const [i, peer] of silent.entries()) if (i % 2 === 0) peer.write(hello)
    const dripping = setInterval(() => silent[0].write('\x01'), 500)
    t.teardown(() => clearInterval(dripping))
    const asked = performance.now()
    t.ok(await isServed(daemon.tlsPort, {}))
    t.ok(performance.now() - asked < SERVED_MS_MAX, 'at once')
    const started = performance.now()
    await Promise.all(silent.map(peer => readUntilMs(peer, GIVEN_UP_MS_MAX)))
    const tookMs = performance.now() - started
    t.ok(tookMs < GIVEN_UP_MS_MAX, `all are gone after ${tookMs.toFixed(0)} ms`)
    const grown = residentBytes(daemon.pid) - before
    t.ok(grown < 64 * 2 ** 20, `${grown} bytes`)
    const stats = await statsOf(daemon.port)
    t.equal(stats.get('ssl_handshake_errors'), '202')
    t.ok(await comesTrue(async () => (await statsOf(daemon.port)).get('curr_connections') === '1'))
  },
)

t.test('connections that break at any time leave nothing', NEEDS_OPENSSL, async t => {
  const daemon = await startTlsDaemon(
    t,
    createAuthority(t, 'authority').sign('server'),
    [],
    ['-t', '2'],
  )
  const warm = await Promise.all(Array.from({ length: 4 }, () => openSecure(daemon.tlsPort)))
  for (const peer of warm) await ask(peer, 'get none\r\n', 'END\r\n')
  for (const peer of warm) peer.destroy()
  await sleep(300)
  const files = openFiles(daemon.pid)
  for (let round = 0; round < 20; round++) {
    const raw = await Promise.all(Array.from({ length: 4 }, () => openPeer(daemon.tlsPort)))
    raw[0].resetAndDestroy()
    raw[1].destroy()
    raw[2].write('16', 'hex', () => raw[2].resetAndDestroy())
    raw[3].end()
    const socket = await openPeer(daemon.tlsPort)
    const peer = await openSecure(daemon.tlsPort, { socket })
    peer.write(
      ['get a\r\n'.repeat(100), 'set a 0 0 90000\r\nhalf', 'set a 0', 'quit\r\n'][round % 4],
    )
    if (round % 2 === 0) peer.destroy()
    else socket.resetAndDestroy()
    raw[3].destroy()
  }
  const gone = async () => (await statsOf(daemon.port)).get('curr_connections') === '1'
  t.ok(await comesTrue(gone), 'places')
  t.ok(
    await comesTrue(() => openFiles(daemon.pid) <= files + 4),
    `files ${openFiles(daemon.pid)}, ${files} before`,
  )
  t.equal(await usedChunks(daemon.port), 0, 'memory')
  t.ok(await isServed(daemon.tlsPort, {}))
})

/** Resolves when the server closed the connection, or after `ms`. */
async function readUntilMs(peer: Socket, ms: number): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, ms)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    peer.on('end', finish).on('close', finish).resume()
  })
}
