// A uring by itself, in the thread of this test, and whether the daemon uses it. Needs Linux 6.1
// and a system that allows io_uring.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { KIB } from '../../../lib/bytes/units.ts'
import { READ_REST_BYTES_MAX } from '../../../lib/protocol/limits.ts'
import { Reply } from '../../../lib/protocol/reply.ts'
import { URING_BUFFER_BYTES, URING_BUFFERS } from '../../../lib/server/limits.ts'
import { descriptorOf } from '../../../lib/server/line/node-handle.ts'
import { loadNative, type Native } from '../../../lib/server/native/libc.ts'
import { Turns } from '../../../lib/server/turns.ts'
import { POLLIN } from '../../../lib/server/uring/layout.ts'
import { UringLoop } from '../../../lib/server/uring/loop.ts'
import { releaseUring, URING_SUBMISSIONS, Uring } from '../../../lib/server/uring/uring.ts'
import { startDaemon } from '../../support/daemon.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { HOST } from '../../support/process.ts'
import { askOnce, openPeer } from '../../support/server-peer.ts'

const seed = announceSeed(t)
const native = loadNative()
const reason = native === undefined ? 'no node:ffi' : tryToOpen(native)
const skip = reason ?? false

const RECEIVE = 5
const SEND = 6
const CANCEL = 7
const TURNS_MAX = 100_000
const TIMERS = 50
/** Bound for a timer of libuv's loop: its delay, and two checks of that loop. */
const ENTERS_MAX = 20

t.test('received bytes are those sent, however many buffers they need', { skip }, async t => {
  const { uring, descriptor, peer } = await setUp(t)
  const random = createRandom(seed, 1)
  const sent = randomBytes(3_000_000)
  uring.receive(descriptor, RECEIVE)
  let written = 0
  const chunks: Buffer[] = []
  let bytes = 0
  for (let turns = 0; bytes < sent.length && turns < TURNS_MAX; turns++) {
    if (written < sent.length) {
      const length = random.between(1, 100 * KIB)
      peer.write(sent.subarray(written, written + length))
      written += length
    }
    await turn()
    uring.submit(false)
    while (uring.next()) {
      t.equal(uring.token, RECEIVE) || t.bailout('a stranger')
      if (uring.result > 0) {
        chunks.push(
          Buffer.from(uring.input.bytes.subarray(uring.start, uring.start + uring.result)),
        )
        bytes += uring.result
        // The room before a buffer belongs to its reader.
        uring.input.bytes.fill(1, uring.start - READ_REST_BYTES_MAX, uring.start + uring.result)
        uring.giveBuffer()
      }
      // All buffers are in use.
      if (!uring.hasMore) uring.receive(descriptor, RECEIVE)
    }
  }
  t.ok(Buffer.concat(chunks).equals(sent))
})

t.test(
  'buffers that are not given back end the reading, and nothing is lost',
  { skip },
  async t => {
    const { uring, descriptor, peer } = await setUp(t)
    const sent = randomBytes(4_000_000)
    peer.write(sent)
    uring.receive(descriptor, RECEIVE)
    const seen: [start: number, bytes: number][] = []
    const wasted = await completions(
      uring,
      () => !uring.hasMore,
      () => {
        if (uring.start >= 0) seen.push([uring.start, uring.result])
      },
    )
    t.ok(wasted, 'it ended')
    t.ok(seen.length <= URING_BUFFERS, `${seen.length} buffers`)
    t.equal(new Set(seen.map(([start]) => start)).size, seen.length, 'each once')
    const first = Buffer.concat(
      seen.map(([at, bytes]) => uring.input.bytes.subarray(at, at + bytes)),
    )
    t.ok(first.equals(sent.subarray(0, first.length)))
  },
)

t.test('more requests than the uring has entries for are all done', { skip }, async t => {
  const { uring, descriptor, peer } = await setUp(t)
  const count = URING_SUBMISSIONS * 3 + 1
  const what = Buffer.from('0123456789')
  const area = uring.input
  what.copy(area.bytes, 0)
  const at = (native as Native).addressOf(area.bytes)
  for (let i = 0; i < count; i++) uring.sendNow(descriptor, at + (i % 10), 1, SEND)
  let sent = 0
  const all = await completions(
    uring,
    () => sent === count,
    () => {
      if (uring.token === SEND && uring.result === 1) sent++
    },
  )
  t.ok(all, `${sent} of ${count}`)
  const got = await read(peer, count)
  t.equal(got.toString(), '0123456789'.repeat(count).slice(0, count), 'in their order')
})

t.test('a partial send is reported', { skip }, async t => {
  const { uring, descriptor } = await setUp(t)
  let sent = 0
  let refused = 0
  for (let i = 0; i < 1000 && refused === 0; i++) {
    uring.sendNow(descriptor, (native as Native).addressOf(uring.input.bytes), 100_000, SEND)
    uring.submit(false)
    while (uring.next()) {
      if (uring.result > 0) sent += uring.result
      else refused = uring.result
    }
  }
  t.ok(sent > 0)
  t.equal(refused, -11, 'EAGAIN')
})

t.test('reading is cancelled, a poll reports once, and the end is reported', { skip }, async t => {
  const { uring, descriptor, peer } = await setUp(t)
  uring.receive(descriptor, RECEIVE)
  uring.cancel(RECEIVE, CANCEL)
  const results = new Map<number, number>()
  const note = () => {
    results.set(uring.token, uring.result)
  }
  t.ok(await completions(uring, () => results.size === 2, note))
  t.same([results.get(RECEIVE), results.get(CANCEL)], [-125, 0], 'ECANCELED')
  uring.poll(descriptor, POLLIN, RECEIVE)
  results.clear()
  uring.submit(false)
  t.notOk(uring.next(), 'there is nothing to read')
  peer.write('x')
  t.ok(await completions(uring, () => results.size === 1, note))
  t.equal((results.get(RECEIVE) ?? 0) & POLLIN, POLLIN)
  results.clear()
  uring.receive(descriptor, RECEIVE)
  peer.end()
  t.ok(await completions(uring, () => results.get(RECEIVE) === 0, note), 'the end, behind the byte')
})

t.test('a uring whose thread died holds sockets until it is released', { skip }, async t => {
  const { uring, descriptor, accepted, peer } = await setUp(t, false)
  uring.receive(descriptor, RECEIVE)
  uring.submit(false)
  const handle = uring.handle()
  accepted.destroy()
  const ended = once(peer.resume(), 'end').then(() => 'ended')
  t.equal(await Promise.race([ended, turn(100)]), undefined, 'still open')
  releaseUring(handle)
  t.equal(await ended, 'ended')
})

t.test('a daemon uses io_uring where it can, unless an option forbids it', async t => {
  const without = await startDaemon(t, ['-t', '2', '-o', 'no_io_uring'])
  const daemon = await startDaemon(t, ['-t', '2', '-v'])
  if (reason !== undefined) {
    t.equal(daemon.output().match(/cannot use io_uring, uses sockets/g)?.length, 1)
    t.equal(await askOnce(daemon.port, 'get none\r\n', 'END\r\n'), 'END\r\n')
    return
  }
  // libuv may have rings of its own.
  t.equal(ringsOf(daemon.pid) - ringsOf(without.pid), 2, 'one a thread')
})

t.test('an idle loop sleeps', { skip }, async t => {
  const known = native as Native
  let enters = 0
  const enter: Native['enter'] = (...request) => {
    enters++
    return known.enter(...request)
  }
  const loop = new UringLoop({ ...known, enter }, new Reply(), new Turns())
  for (let i = 0; i < TIMERS; i++) await turn(5)
  loop.close()
  t.ok(enters > 0)
  t.ok(enters < ENTERS_MAX * TIMERS, `${enters} system calls for ${TIMERS} timers`)
})

t.test('a peer that closes its side while a reply is being sent gets all replies', async t => {
  const daemon = await startDaemon(t, ['-t', '1'])
  const line = `get ${'k'.repeat(250)}\r\n`
  const count = Math.ceil((URING_BUFFER_BYTES * 5) / 2 / line.length)
  for (let tries = 0; tries < 20; tries++) {
    const peer = await openPeer(daemon.port)
    // More than one buffer of requests and the end of input, before the first reply is sent.
    peer.end(line.repeat(count))
    const got = await read(peer, count * 5 + 1)
    t.equal(got.length, count * 5, 'a reply to each')
  }
})

/** Why there is no io_uring here, or undefined. */
function tryToOpen(native: Native): string | undefined {
  try {
    new Uring(native).close()
    return undefined
  } catch (error) {
    return String(error)
  }
}

async function setUp(t: Test, closes = true) {
  const uring = new Uring(native as Native)
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, HOST)
  await once(server, 'listening')
  const incoming = once(server, 'connection')
  const peer = await openPeer((server.address() as { port: number }).port)
  const [accepted] = (await incoming) as [Socket]
  t.teardown(() => {
    if (closes) uring.close()
    for (const socket of [accepted, peer]) socket.destroy()
    server.close()
  })
  return { uring, descriptor: descriptorOf(accepted), accepted, peer }
}

/** Takes completions and calls `each`, until `done`; false if that never happens. */
async function completions(uring: Uring, done: () => boolean, each: () => void): Promise<boolean> {
  for (let turns = 0; turns < TURNS_MAX; turns++) {
    uring.submit(false)
    while (uring.next()) {
      each()
      if (done()) return true
    }
    await turn()
  }
  return false
}

function turn(ms = 0): Promise<undefined> {
  return new Promise(resolve => setTimeout(() => resolve(undefined), ms))
}

async function read(peer: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of peer) {
    chunks.push(chunk as Buffer)
    if (Buffer.concat(chunks).length >= bytes) break
  }
  return Buffer.concat(chunks)
}

function ringsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`
  const targets = readdirSync(folder).map(name => {
    try {
      return readlinkSync(`${folder}/${name}`)
    } catch {
      return ''
    }
  })
  return targets.filter(target => target === 'anon_inode:[io_uring]').length
}
