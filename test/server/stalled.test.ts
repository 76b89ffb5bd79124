// Peers that stop in the middle of a long value, by every way for bytes: the others lose nothing,
// the refused get an error and keep their connection.

import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { KIB } from '../../lib/bytes/units.ts'
import { frame, Op, store } from '../support/binary-frames.ts'
import { createAuthority } from '../support/certificates.ts'
import { startDaemon } from '../support/daemon.ts'
import { makeValue } from '../support/engine-values.ts'
import { skipWithout } from '../support/oracle.ts'
import { ask, comesTrue, openPeer, readUntil, sendPieces, statsOf } from '../support/server-peer.ts'
import { openSecure, startTlsDaemon } from '../support/tls-peer.ts'

const SMALL_COUNT = 300
const BYTES = 1000 * KIB
/** What a peer may send before it stops. */
const BEGUN_BYTES = 5000
/** One arena of 16 MiB: more than both shares. */
const MEMORY = ['-m', '16', '-t', '1']
const STALLED = 16
/** More than the buffers of two sockets take. */
const GETS = 8
const REFUSED = /out of memory storing object\r\n$|Out of memory allocating item$/
/** A request that follows a store in text or meta, and in binary, and the end of its reply. */
const NO_OPS = ['mn\r\n', frame(Op.NOOP, { opaque: 0x4d41524b })]
const NO_OP_ENDS = ['MN\r\n', `MARK${'\0'.repeat(8)}`]
const NO_OP_REPLY_BYTES = [4, 24]

interface Served {
  port: number
  open(): Promise<Socket>
}

const WAYS: Record<string, (t: Test) => Promise<Served>> = {
  'io_uring, where there is one': t => plain(t, []),
  'sockets of Node': t => plain(t, ['-o', 'no_io_uring']),
  'TLS by OpenSSL': t => secure(t, []),
  'TLS by Node': t => secure(t, ['ssl_engine=node']),
}

for (const [way, start] of Object.entries(WAYS)) {
  const options = { skip: way.startsWith('TLS') && skipWithout('openssl') }
  t.test(`stalled uploads: ${way}`, options, async t => {
    const { port, open } = await start(t)
    const control = await openPeer(port)
    await storeSmall(control)
    const uploads: { peer: Socket; rest: Buffer }[] = []
    for (let i = 0; i < STALLED; i++) {
      const peer = await open()
      const request = storeOf(i)
      peer.write(request.subarray(0, BEGUN_BYTES))
      uploads.push({ peer, rest: request.subarray(BEGUN_BYTES) })
    }
    t.ok(await comesTrue(async () => (await own(port, 'uploads_refused')) >= STALLED - 5))
    t.ok((await own(port, 'uploads_held_bytes')) < 6 * 1024 * KIB)
    t.equal(await smallLeft(control), SMALL_COUNT)
    t.equal(await ask(control, `set short 0 0 5\r\nhello\r\n`, '\r\n'), 'STORED\r\n')
    let refused = 0
    for (const [i, { peer, rest }] of uploads.entries()) {
      const kind = i % 3 === 2 ? 1 : 0
      const reply = readUntil(peer, NO_OP_ENDS[kind])
      await sendPieces(peer, rest, () => 300_000)
      peer.write(NO_OPS[kind], 'latin1')
      const stored = (await reply).subarray(0, -NO_OP_REPLY_BYTES[kind])
      if (REFUSED.test(stored.toString('latin1'))) refused++
      peer.destroy()
    }
    t.equal(refused, await own(port, 'uploads_refused'), 'each is told so, and goes on')
    t.ok(await comesTrue(async () => (await own(port, 'uploads_held_bytes')) === 0))
    t.equal(await ask(control, storeOf(0), '\r\n'), 'STORED\r\n')
    t.equal(await smallLeft(control), SMALL_COUNT)
    control.destroy()
  })

  t.test(`stalled readers: ${way}`, options, async t => {
    const { port, open } = await start(t)
    const control = await openPeer(port)
    await storeSmall(control)
    const readers: Socket[] = []
    for (let i = 0; i < STALLED; i++) {
      t.equal(await ask(control, storeOf(3 * i), '\r\n'), 'STORED\r\n')
      const peer = await open()
      peer.write(`get k${3 * i}\r\n`.repeat(GETS))
      readers.push(peer)
    }
    t.ok(await comesTrue(async () => (await own(port, 'reads_copied')) > 0))
    t.ok((await own(port, 'reads_held_bytes')) < 10 * 1024 * KIB)
    t.equal(await smallLeft(control), SMALL_COUNT)
    for (const [i, peer] of readers.entries()) {
      if (i % 6 > 0) continue
      const value = makeValue(3 * i, BYTES)
      const got = await readUntil(peer, 'END\r\n')
      const head = `VALUE k${3 * i} 0 ${BYTES}\r\n`.length
      t.ok(got.subarray(head, head + BYTES).equals(value), 'a value is not torn')
    }
    for (const peer of readers) peer.destroy()
    t.ok(await comesTrue(async () => (await own(port, 'reads_held_bytes')) === 0))
    control.destroy()
  })
}

async function plain(t: Test, args: string[]): Promise<Served> {
  const { port } = await startDaemon(t, [...MEMORY, ...args])
  return { port, open: () => openPeer(port) }
}

async function secure(t: Test, suboptions: string[]): Promise<Served> {
  const pair = createAuthority(t, 'authority').sign('server')
  const { port, tlsPort } = await startTlsDaemon(t, pair, suboptions, MEMORY)
  return { port, open: () => openSecure(tlsPort) }
}

/** A store in text, meta or binary, in turn. */
function storeOf(i: number): Buffer {
  const value = makeValue(i, BYTES).toString('latin1')
  const key = `k${i}`
  const request = [
    `set ${key} 0 0 ${BYTES}\r\n${value}\r\n`,
    `ms ${key} ${BYTES}\r\n${value}\r\n`,
    store(Op.SET, key, value),
  ][i % 3]
  return Buffer.from(request, 'latin1')
}

async function storeSmall(peer: Socket): Promise<void> {
  for (let i = 0; i < SMALL_COUNT; i++)
    await ask(peer, `set s${i} 0 0 5\r\nsmall\r\n`, 'STORED\r\n')
}

async function smallLeft(peer: Socket): Promise<number> {
  const keys = Array.from({ length: SMALL_COUNT }, (_, i) => ` s${i}`)
  const reply = await ask(peer, `get${keys.join('')}\r\n`, 'END\r\n')
  return reply.split('small').length - 1
}

async function own(port: number, name: string): Promise<number> {
  return Number((await statsOf(port, 'memslab')).get(name))
}
