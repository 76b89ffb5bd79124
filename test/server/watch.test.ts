// Watchers on a daemon with several workers: each sees what all workers do, one that does not read
// loses lines and costs nothing, one that closes is forgotten, and a worker may die.

import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { WATCHERS_MAX } from '../../lib/observe/journal.ts'
import { checkOptions } from '../../lib/options/checks.ts'
import { isRefusal, type Options } from '../../lib/options/options.ts'
import { type Daemon, startDaemon } from '../../lib/server/daemon.ts'
import { HOST } from '../support/process.ts'
import { ask, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'

const THREADS = 3
const PEERS = 6
const FLOOD_REQUESTS = 100_000
const ROUNDS = 4
const LINES = (1 + ROUNDS) * FLOOD_REQUESTS
/** What sockets may buffer for a watcher that does not read, and a few buffers of the daemon. */
const KEPT_BYTES_MAX = 16 * MIB
const QUIET_MS = 300
const SKIPPED_LINE = /^skipped=\d+$/

/** Shared by the tests that leave it unchanged: starting one takes long. */
const common = await start(t)

t.test('a watcher sees what all workers do, in order', async t => {
  const daemon = common
  const watcher = await watch(daemon, 'fetchers mutations')
  const peers = await Promise.all(Array.from({ length: PEERS }, () => openPeer(portOf(daemon))))
  for (let round = 0; round < 20; round++) {
    await Promise.all(peers.map((peer, i) => ask(peer, `get key${i}-${round}\r\n`, 'END\r\n')))
  }
  const lines = await linesOf(watcher)
  t.equal(lines.length, 20 * PEERS)
  t.equal(new Set(lines.map(keyOf)).size, 20 * PEERS, 'each of them once')
  const rounds = lines.map(line => Number(keyOf(line).split('-')[1]))
  t.ok(
    rounds.every((round, i) => i === 0 || round >= rounds[i - 1] - 1),
    'about as they came',
  )
  for (const peer of peers) peer.destroy()
  watcher.destroy()
})

t.test('each watcher gets the kinds that it asked for', async t => {
  const daemon = common
  // One after the other: a connection made meanwhile would be logged after the OK.
  const watchers: Socket[] = []
  for (const words of ['fetchers', 'mutations', 'connevents']) {
    watchers.push(await watch(daemon, words))
  }
  const peer = await openPeer(portOf(daemon))
  await ask(peer, 'set a 0 0 1\r\nx\r\nget a\r\n', 'END\r\n')
  peer.end()
  const types = []
  for (const watcher of watchers) types.push((await linesOf(watcher)).map(typeOf))
  t.same(types[0], ['item_get', 'item_get'])
  t.same(types[1], ['item_store'])
  t.ok(types[2].includes('conn_new') && types[2].includes('conn_close'), types[2].join(' '))
  for (const watcher of watchers) watcher.destroy()
})

t.test('input of a watcher is ignored, and its close is noticed', async t => {
  const daemon = common
  const watcher = await watch(daemon, '')
  watcher.write('set deaf 0 0 1\r\nx\r\nquit\r\n'.repeat(1000))
  await sleep(50)
  t.equal((await statsOf(portOf(daemon))).get('log_watchers'), '1')
  t.equal(await askOnce(daemon, 'get deaf\r\n'), 'END\r\n')
  t.equal((await linesOf(watcher)).map(keyOf).join(), 'deaf')
  watcher.end()
  t.ok(await comesTrue(async () => (await statsOf(portOf(daemon))).get('log_watchers') === '0'))
  t.ok(await comesTrue(() => daemon.roster.current() === 0), 'its connection is closed')
})

t.test('a watcher that does not read loses lines and blocks nobody', async t => {
  const daemon = await start(t, { workerLogbufBytes: 65_536 })
  const port = portOf(daemon)
  const deaf = await watch(daemon, 'fetchers')
  const peer = await openPeer(port)
  await flood(peer)
  for (let round = 0; round < ROUNDS; round++) await flood(peer)
  const stats = await statsOf(port)
  t.equal(stats.get('log_watchers'), '1')
  t.equal(stats.get('log_worker_written'), `${LINES}`)
  const lines = await linesOf(deaf)
  const skipped = lines.filter(line => SKIPPED_LINE.test(line))
  const lost = skipped.reduce((sum, line) => sum + Number(line.slice('skipped='.length)), 0)
  t.ok(lost > FLOOD_REQUESTS, `${lost} lines lost`)
  const keptBytes = lines.join('\n').length
  t.ok(keptBytes < KEPT_BYTES_MAX, `${keptBytes} bytes were kept for it`)
  t.equal(lines.length - skipped.length + lost, LINES, 'each line came or was counted')
  t.ok(
    lines.every(
      line =>
        SKIPPED_LINE.test(line) ||
        /^ts=\d+\.\d+ gid=\d+ type=item_get key=\w+ status=not_found clsid=0 cfd=\d+ size=0$/.test(
          line,
        ),
    ),
    'none is torn',
  )
  const after = await statsOf(port)
  t.equal(after.get('log_watcher_skipped'), `${lost}`)
  t.equal(Number(after.get('log_watcher_sent')), lines.length - skipped.length)
  deaf.destroy()
  peer.destroy()
})

t.test('the number of watchers is bounded', async t => {
  const daemon = common
  const watchers: Socket[] = []
  for (let i = 0; i < WATCHERS_MAX; i++) watchers.push(await watch(daemon, ''))
  const refused = await openPeer(portOf(daemon))
  const words = 'WATCHER_TOO_MANY log watcher limit reached\r\n'
  t.equal(await ask(refused, 'watch\r\n', '\r\n'), words)
  t.match(await ask(refused, 'version\r\n', '\r\n'), /^VERSION/, 'and is served on')
  watchers.pop()?.destroy()
  t.ok(await comesTrue(async () => (await ask(refused, 'watch\r\n', '\r\n')) === 'OK\r\n'))
  for (const watcher of [...watchers, refused]) watcher.destroy()
  t.ok(await comesTrue(() => daemon.roster.current() === 0))
})

t.test('a worker that dies closes its watchers and no others', async t => {
  const daemon = await start(t)
  const port = portOf(daemon)
  const watchers = await Promise.all(Array.from({ length: 6 }, () => watch(daemon, 'fetchers')))
  const [thread] = daemon.workers.pool.threads
  await thread.terminate()
  t.ok(await comesTrue(() => daemon.roster.restarts() === 1))
  t.ok(await comesTrue(() => daemon.roster.current() === 4), 'two were its own')
  t.equal((await statsOf(port)).get('log_watchers'), '4')
  t.ok(await comesTrue(async () => (await askOnce(daemon, 'get probe\r\n')) === 'END\r\n'))
  for (let i = 0; i < 2 * THREADS; i++) await askOnce(daemon, `get again${i}\r\n`)
  const seen = []
  for (const watcher of watchers) {
    const keys = (await linesOf(watcher)).map(keyOf)
    seen.push(keys.filter(key => key.startsWith('again')).length)
    watcher.destroy()
  }
  t.same(seen.sort(), [0, 0, ...Array(4).fill(2 * THREADS)], 'the others see the new one too')
  t.ok(await comesTrue(async () => (await statsOf(port)).get('log_watchers') === '0'))
})

t.test('meta and binary commands are logged too', async t => {
  const daemon = common
  const watcher = await watch(daemon, 'fetchers mutations deletions')
  const peer = await openPeer(portOf(daemon))
  await ask(peer, `ms k 1 T30 F5\r\nx\r\nms k 5000 T30\r\n${'y'.repeat(5000)}\r\n`, 'HD\r\nHD\r\n')
  await ask(peer, 'mg k v\r\nma n\r\nme k\r\nmd k\r\nmd k\r\n', 'NF\r\n')
  const lines = (await linesOf(watcher)).map(line =>
    line
      .replace(/^ts=\S+ gid=\d+ /, '')
      .replace(/ clsid=\d+/, '')
      .replace(/ cfd=\d+/, '')
      .replace(/ttl=(29|30)/, 'ttl=30'),
  )
  t.same(lines, [
    'type=item_get key=k status=not_found size=0',
    'type=item_store key=k status=stored cmd=set ttl=30 size=1',
    'type=item_get key=k status=found size=1',
    'type=item_store key=k status=stored cmd=set ttl=30 size=5000',
    'type=item_get key=k status=found size=5000',
    'type=item_get key=n status=not_found size=0',
    'type=item_get key=k status=found size=5000',
    'type=item_get key=k status=found size=5000',
    'type=deleted key=k cmd=md size=5000',
    'type=item_get key=k status=not_found size=0',
  ])
  const binary = await openPeer(portOf(daemon))
  const frame = Buffer.alloc(25)
  frame[0] = 0x80
  frame.writeUInt16BE(1, 2)
  frame.writeUInt32BE(1, 8)
  frame.write('b', 24)
  await ask(binary, frame, 'Not found')
  t.equal(keyOf((await linesOf(watcher))[0]), 'b')
  for (const socket of [peer, binary, watcher]) socket.destroy()
})

t.test('stats conns shows watchers', async t => {
  const daemon = common
  const watcher = await watch(daemon, '')
  const states = [...(await statsOf(portOf(daemon), 'conns'))].filter(([name]) =>
    name.endsWith(':state'),
  )
  t.equal(states.filter(([, state]) => state === 'conn_watch').length, 1)
  watcher.destroy()
  t.ok(await comesTrue(() => daemon.roster.current() === 0))
  const other = await openPeer(portOf(daemon))
  const later = await ask(other, 'stats conns\r\n', 'END\r\n')
  t.notMatch(later, 'conn_watch', "the slot is another one's now")
  other.destroy()
})

t.test('-W refuses watch', async t => {
  const daemon = await start(t, { watchAllowed: false })
  const words = 'CLIENT_ERROR watch commands not allowed\r\n'
  t.equal(await askOnce(daemon, 'watch\r\n'), words)
  t.equal(await askOnce(daemon, 'watch nonsense\r\n'), words)
})

async function flood(peer: Socket): Promise<void> {
  const batch = 'get flood\r\n'.repeat(1000)
  const end = 'END\r\n'.repeat(1000)
  for (let i = 0; i < FLOOD_REQUESTS; i += 1000) await ask(peer, batch, end)
}

async function start(t: Test, given: Partial<Options> = {}): Promise<Daemon> {
  const options = checkOptions({ listen: [{ host: HOST, port: 0 }], threads: THREADS, ...given })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(() => daemon.close())
  return daemon
}

function portOf(daemon: Daemon): number {
  return daemon.addresses[0].port
}

async function watch(daemon: Daemon, words: string): Promise<Socket> {
  const socket = await openPeer(portOf(daemon))
  await ask(socket, `watch ${words}\r\n`, 'OK\r\n')
  return socket
}

async function askOnce(daemon: Daemon, request: string): Promise<string> {
  const peer = await openPeer(portOf(daemon))
  const reply = await ask(peer, request, '\r\n').catch(String)
  peer.destroy()
  return reply
}

/** Everything received until nothing comes. */
async function linesOf(watcher: Socket): Promise<string[]> {
  const chunks: Buffer[] = []
  let quietMs = 0
  const take = (chunk: Buffer) => {
    chunks.push(chunk)
    quietMs = 0
  }
  watcher.on('data', take).resume()
  for (; quietMs < QUIET_MS; quietMs += 20) await sleep(20)
  watcher.pause().off('data', take)
  return Buffer.concat(chunks).toString('latin1').split('\n').slice(0, -1)
}

function keyOf(line: string): string {
  return / key=(\S+) /.exec(line)?.[1] ?? ''
}

function typeOf(line: string): string {
  return / type=(\S+) /.exec(line)?.[1] ?? ''
}
