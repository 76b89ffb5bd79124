// Connections that -o idle_timeout closes and those that it does not, connections that wait for a
// place with -o no_maxconns_fast, and the file with the bound ports.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createAuthority } from '../support/certificates.ts'
import { startDaemon, startUnixDaemon } from '../support/daemon.ts'
import { skipWithout } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil, statsOf } from '../support/server-peer.ts'
import { openSecure, startTlsDaemon } from '../support/tls-peer.ts'
import { shortFolder } from '../support/unix.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const TIMEOUT = ['-o', 'idle_timeout=1']
/** Idleness is measured in whole seconds: more than one may take two seconds to be noticed. */
const KICKED_MS_MAX = 4000
/** Longer than a thread takes for a pause. */
const PAUSE_MS = 4200
/** A value that a slow reader has not read before the others are idle, and its reads. */
const LONG = 48_000_000
const SLOW_BYTES = 200_000
const ROOM = ['-t', '1', '-m', '128', '-I', '60m']
const TOO_MANY = 'ERROR Too many open connections\r\n'

t.test('idle connections are closed, busy ones are not', async t => {
  const daemon = await startDaemon(t, [...TIMEOUT, '-t', '2'])
  const busy = await openPeer(daemon.port)
  const asked = keepAsking(busy, KICKED_MS_MAX)
  const silent = await Promise.all(Array.from({ length: 6 }, () => openPeer(daemon.port)))
  await ask(silent[1], 'get a\r\n', 'END\r\n')
  silent[2].write('get half a lin')
  const trickle = setInterval(() => silent[3].write('x'), 200)
  t.teardown(() => clearInterval(trickle))
  const started = performance.now()
  const ends = await Promise.all(silent.map(peer => readUntil(peer, '')))
  const tookMs = performance.now() - started
  t.same(ends.map(String), Array(6).fill(''), 'without a word')
  t.ok(tookMs > 900 && tookMs < KICKED_MS_MAX, `after ${tookMs.toFixed(0)} ms`)
  t.ok(await asked, 'the busy one was served all the time')
  const stats = await statsOf(daemon.port)
  t.ok(Number(stats.get('idle_kicks')) >= 6, `${stats.get('idle_kicks')} kicks`)
})

t.test('a pause of the daemon makes no peer idle', async t => {
  for (const more of [[], ['-o', 'no_io_uring']]) {
    const daemon = await startDaemon(t, [...TIMEOUT, '-t', '2', ...more])
    const peers = await Promise.all(Array.from({ length: 6 }, () => openPeer(daemon.port)))
    for (const peer of peers) await ask(peer, 'mn\r\n', 'MN\r\n')
    process.kill(daemon.pid, 'SIGSTOP')
    await sleep(PAUSE_MS)
    const answers = peers.map(peer => ask(peer, 'mn\r\n', 'MN\r\n').catch(String))
    process.kill(daemon.pid, 'SIGCONT')
    t.same(await Promise.all(answers), Array(6).fill('MN\r\n'), more.join(' '))
  }
})

for (const way of ['io_uring', 'no_io_uring', 'TLS']) {
  const options = { skip: way === 'TLS' && skipWithout('openssl') }
  t.test(`a peer whose value does not move is idle: ${way}`, options, async t => {
    const { port, open } = await startSlow(t, way)
    const value = 'v'.repeat(900_000)
    const upload = `set a 0 0 900000\r\n${value}\r\n`
    await askOnce(port, upload, 'STORED\r\n')
    await askOnce(port, `set long 0 0 ${LONG}\r\n${'v'.repeat(LONG)}\r\n`, 'STORED\r\n')
    const begun = [
      'get a\r\n'.repeat(30),
      upload.slice(0, 50_000),
      'set b 0 0 100\r\nhalf',
      'set c 0 0 90000000\r\nrefused',
    ]
    const stalled = await Promise.all(begun.map(() => open()))
    for (const [i, peer] of stalled.entries()) peer.write(begun[i])
    const [reader, long, short] = [await open(), await open(), await open()]
    reader.write('get long\r\n')
    long.write(upload.slice(0, 50_000))
    short.write('set b 0 0 100\r\n')
    let [longBytes, shortBytes] = [50_000, 0]
    const moving = setInterval(() => {
      long.write('v'.repeat(100))
      longBytes += 100
      if (shortBytes++ < 99) short.write('v')
      reader.read(SLOW_BYTES)
    }, 100)
    t.teardown(() => clearInterval(moving))
    const kicked = async () => Number((await statsOf(port)).get('idle_kicks')) >= stalled.length
    t.ok(await comesTrue(kicked), 'those that stopped are closed')
    clearInterval(moving)
    await Promise.all(stalled.slice(1).map(peer => readUntil(peer, '')))
    t.match(await ask(long, upload.slice(longBytes), '\r\n'), 'STORED', 'those that moved are not')
    t.match(await ask(short, `${'v'.repeat(100 - Math.min(shortBytes, 99))}\r\n`, '\r\n'), 'STORED')
    t.equal((await statsOf(port)).get('idle_kicks'), `${stalled.length}`)
    const own = await statsOf(port, 'memslab')
    t.equal(own.get('uploads_held_bytes'), '0')
    for (const peer of [...stalled, reader, long, short]) peer.destroy()
  })
}

t.test('peers of a UNIX socket may be idle, as in memcached', async t => {
  const daemon = await startUnixDaemon(t, TIMEOUT)
  const peer = await openPeer(daemon.path)
  await sleep(3000)
  t.equal(await ask(peer, 'get a\r\n', 'END\r\n'), 'END\r\n')
})

t.test('with no_maxconns_fast connections wait for a place', async t => {
  const daemon = await startDaemon(t, ['-c', '3', '-b', '4', '-o', 'no_maxconns_fast', '-t', '2'])
  const peers: Socket[] = []
  while (peers.length < 3) peers.push(await servedPeer(daemon.port))
  const waiting = await Promise.all(Array.from({ length: 4 }, () => openPeer(daemon.port)))
  const replies = waiting.map(peer => ask(peer, 'get none\r\n', '\r\n'))
  const stat = async (name: string) => {
    const stats = await ask(peers[0], 'stats\r\n', 'END\r\n')
    return new RegExp(`STAT ${name} (\\d+)`).exec(stats)?.[1]
  }
  t.ok(await comesTrue(async () => (await stat('accepting_conns')) === '0'))
  t.equal(await stat('listen_disabled_num'), '1')
  t.equal(await stat('curr_connections'), '3')
  const extra = await openPeer(daemon.port)
  t.equal((await readUntil(extra, '')).toString(), TOO_MANY, 'no more than the backlog wait')
  for (const [index, reply] of replies.entries()) {
    if (index < 2) peers[index + 1].destroy()
    else waiting[index - 2].destroy()
    t.equal(await reply, 'END\r\n', 'the next one is served')
  }
  t.ok(await comesTrue(async () => (await stat('accepting_conns')) === '1'))
  t.ok(Number(await stat('time_in_listen_disabled_us')) > 0)
})

t.test('connections that wait may close', async t => {
  const daemon = await startDaemon(t, ['-c', '2', '-o', 'no_maxconns_fast'])
  const peers = [await servedPeer(daemon.port), await servedPeer(daemon.port)]
  const waiting = await Promise.all(Array.from({ length: 20 }, () => openPeer(daemon.port)))
  for (const peer of waiting.slice(0, 19)) peer.resetAndDestroy()
  for (const peer of peers) peer.destroy()
  t.equal(await ask(waiting[19], 'get none\r\n', '\r\n'), 'END\r\n')
})

t.test('ports that the system chose are written to a file', async t => {
  const file = join(shortFolder(t), 'ports')
  const args = [MAIN, '-p', '-1', '-U', '-1', '-l', HOST, '-l', 'localhost']
  const env = { ...process.env, MEMCACHED_PORT_FILENAME: file }
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  t.ok(await comesTrue(() => existsSync(file)))
  const text = readFileSync(file, 'utf8')
  t.match(text, /^(TCP INET6?: [1-9]\d*\n){2,}(UDP INET6?: [1-9]\d*\n){2,}$/)
  const [, port] = /^TCP INET: (\d+)/.exec(text) ?? []
  const peer = await openPeer(Number(port))
  t.equal(await ask(peer, 'get none\r\n', '\r\n'), 'END\r\n')
  t.notOk(existsSync(`${file}.lck`))
})

/** A daemon with the arguments of a way for bytes, and a timeout that a slow peer keeps. */
async function startSlow(t: Test, way: string) {
  const timeout = 'idle_timeout=3'
  if (way === 'TLS') {
    const pair = createAuthority(t, 'authority').sign('server')
    const { port, tlsPort } = await startTlsDaemon(t, pair, [timeout], ROOM)
    return { port, open: () => openSecure(tlsPort) }
  }
  const more = way === 'no_io_uring' ? [`${timeout},${way}`] : [timeout]
  const { port } = await startDaemon(t, [...ROOM, '-o', ...more])
  return { port, open: () => openPeer(port) }
}

/** Sends a request at times; false if one was not answered. */
async function keepAsking(peer: Socket, ms: number): Promise<boolean> {
  const end = performance.now() + ms
  while (performance.now() < end) {
    if ((await ask(peer, 'get none\r\n', '\r\n')) !== 'END\r\n') return false
    await sleep(100)
  }
  return true
}

/** A connection that has been given a place, once one is free. */
async function servedPeer(port: number): Promise<Socket> {
  const peer = await openPeer(port)
  const reply = await ask(peer, 'get none\r\n', '\r\n')
  if (reply !== 'END\r\n') throw new Error(reply)
  return peer
}
