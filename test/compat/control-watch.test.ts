/**
 * What watchers see: the same requests to memcached and to memslab while a connection of each
 * watches. Log lines are compared field by field, except for the time, the number of the line, the
 * number of the connection, slab classes (item headers differ in size) and ports.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { startPair } from '../support/differential.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import type { ServerProcess } from '../support/process.ts'
import { ask, openPeer, readUntil } from '../support/server-peer.ts'
import { Wire } from '../support/wire.ts'

const OK = Buffer.from('OK\r\n')
const QUIET_MS = 400
const ANSWER_MS = 15_000
/** Once it is logged, everything before it has been. */
const MARK = 'the-mark'
/** How long to wait for lines that must not come; the next step would see them too. */
const BIG = 900_000

const REQUESTS: readonly (readonly [bytes: string, ending: string])[] = [
  ['get a\r\n', 'END\r\n'],
  ['set a 0 0 1\r\nx\r\n', 'STORED\r\n'],
  ['gets a b\r\n', 'END\r\n'],
  ['gat 10 a\r\n', 'END\r\n'],
  ['gat 10 z\r\n', 'END\r\n'],
  ['touch a 100\r\n', 'TOUCHED\r\n'],
  ['touch z 100\r\n', 'NOT_FOUND\r\n'],
  ['set n 7 0 1\r\n1\r\n', 'STORED\r\n'],
  ['incr n 1000000\r\n', '1000001\r\n'],
  ['incr zz 1\r\n', 'NOT_FOUND\r\n'],
  ['decr n 1\r\n', '1000000\r\n'],
  ['add a 0 0 1\r\ny\r\n', 'NOT_STORED\r\n'],
  ['add new 0 60 1\r\ny\r\n', 'STORED\r\n'],
  ['replace z 0 0 1\r\ny\r\n', 'NOT_STORED\r\n'],
  ['append new 0 0 3\r\nyyy\r\n', 'STORED\r\n'],
  ['prepend z 0 0 1\r\nx\r\n', 'NOT_STORED\r\n'],
  ['cas a 0 0 1 1000000\r\nx\r\n', 'EXISTS\r\n'],
  ['cas z 0 0 1 1\r\nx\r\n', 'NOT_FOUND\r\n'],
  ['delete a\r\n', 'DELETED\r\n'],
  ['delete a\r\n', 'NOT_FOUND\r\n'],
  ['set k%+&=/é-._~ 0 0 1 noreply\r\nx\r\nget k%+&=/é-._~\r\n', 'END\r\n'],
  [`set big 5 50 ${BIG}\r\n${'x'.repeat(BIG)}\r\n`, 'STORED\r\n'],
  ['get big\r\n', 'END\r\n'],
  ['set bad 0 0 1\r\nxyzfoo\r\n', '\nERROR\r\n'],
  [`get ${'K'.repeat(250)}\r\n`, 'END\r\n'],
]

t.test('lines about items are the same', { skip: skipWithout('memcached') }, async t => {
  const { oracle, daemon } = await startPair(t)
  for (const words of ['fetchers mutations', 'fetchers', 'mutations', '']) {
    const [left, right] = await Promise.all([linesOf(oracle, words), linesOf(daemon, words)])
    t.ok(left.length > 10, `${left.length} lines`)
    t.same(right, left, words)
    for (const server of [oracle, daemon]) await ends(server, 'flush_all\r\n', OK.toString())
  }
})

t.test('lines about connections are the same', { skip: skipWithout('memcached') }, async t => {
  const { oracle, daemon } = await startPair(t)
  const [left, right] = await Promise.all([oracle, daemon].map(connectionLines))
  t.equal(left.length, 8)
  t.same(right, left)
})

t.test('lines about evictions are the same', { skip: skipWithout('memcached') }, async t => {
  const flags = ['-m', '8', '-t', '1']
  const oracle = await startOracle(t, flags)
  const daemon = await startDaemon(t, [...flags, '-o', 'eviction=segmented'])
  const [left, right] = await Promise.all([oracle, daemon].map(evictionLines))
  // How much fits differs, but the first items evicted and their log lines do not.
  const shown = Math.min(left.length, right.length)
  t.ok(shown >= 5, `${shown} lines`)
  t.same(right.slice(0, shown), left.slice(0, shown))
})

t.test('a too large value is logged too', async t => {
  const daemon = await startDaemon(t)
  const watcher = await watch(daemon, 'fetchers mutations')
  await ends(daemon, `set big 0 0 2000000\r\n${'x'.repeat(2_000_000)}\r\n`, 'cache\r\n')
  t.same(await takeToMark(daemon, watcher), [
    'type=item_store key=big status=too_large cmd=set ttl=0 cfd=# size=0',
    'type=item_get key=big status=not_found cfd=# size=0',
  ])
  watcher.close()
})

t.test('deletions are logged', async t => {
  const daemon = await startDaemon(t)
  const watcher = await watch(daemon, 'deletions')
  await ends(daemon, 'set vfoo 0 0 4\r\nvbar\r\ndelete vfoo\r\ndelete vfoo\r\n', 'NOT_FOUND\r\n')
  t.same(await takeToMark(daemon, watcher), ['type=deleted key=vfoo cmd=delete size=4'])
  watcher.close()
})

async function linesOf(server: ServerProcess, words: string): Promise<string[]> {
  const watcher = await watch(server, words)
  for (const [bytes, ending] of REQUESTS) await ends(server, bytes, ending)
  const lines = await takeToMark(server, watcher)
  watcher.close()
  return lines
}

async function connectionLines(server: ServerProcess): Promise<string[]> {
  const watcher = await watch(server, 'connevents')
  // Earlier connections may still be closing.
  while ((await take(watcher)).length > 0);
  const leave = [
    async (wire: Wire) => wire.close(),
    async (wire: Wire) => wire.send(Buffer.from('quit\r\n')),
    async (wire: Wire) => wire.send(Buffer.from('x'.repeat(5000))),
    async (wire: Wire) => wire.send(Buffer.from('GET / HTTP/1.1\r\n')),
  ]
  const lines: string[] = []
  for (const way of leave) {
    const wire = await Wire.connect(server.port)
    await sleep(50)
    await way(wire)
    await wire.readUntilQuiet(QUIET_MS)
    wire.close()
    lines.push(...(await take(watcher)))
  }
  watcher.close()
  return lines
}

async function evictionLines(server: ServerProcess): Promise<string[]> {
  const watcher = await watch(server, 'evictions')
  const value = 'x'.repeat(400_000)
  await ends(server, `set first 0 0 400000\r\n${value}\r\nget first\r\n`, 'END\r\n')
  for (let i = 0; i < 30; i++) {
    await ends(server, `set key${i} 0 ${i % 2 ? 1000 : 0} 400000\r\n${value}\r\n`, 'STORED\r\n')
  }
  const lines = await take(watcher)
  watcher.close()
  return lines
}

async function watch(server: ServerProcess, words: string): Promise<Wire> {
  const wire = await Wire.connect(server.port)
  wire.send(Buffer.from(`watch ${words}\r\n`))
  await wire.readUntil(OK, ANSWER_MS)
  wire.take()
  return wire
}

/** The lines up to those about a last key of the test. */
async function takeToMark(server: ServerProcess, watcher: Wire): Promise<string[]> {
  const requests = `set ${MARK} 0 0 1\r\nx\r\nget ${MARK}\r\ndelete ${MARK}\r\n`
  await ends(server, requests, 'DELETED\r\n')
  let lines: string[] = []
  const deadline = performance.now() + ANSWER_MS
  const isThere = (line: string) => line.includes(` key=${MARK} `)
  while (!lines.some(isThere) && performance.now() < deadline) {
    lines = [...lines, ...(await take(watcher))]
  }
  return lines.filter(line => !isThere(line))
}

/** The lines since the last call, without what may differ. */
async function take(watcher: Wire): Promise<string[]> {
  await watcher.readUntilQuiet(QUIET_MS)
  const lines = watcher.take().toString('latin1').split('\n').slice(0, -1)
  // memcached sends the lines of one thread after those of another.
  lines.sort((a, b) => numberOf(a) - numberOf(b))
  return lines
    .map(line =>
      line
        .replace(/^ts=\d+\.\d+ gid=\d+ /, '')
        .replace(/cfd=\d+/, 'cfd=#')
        .replace(/rport=\d+/, 'rport=#')
        // Depends on whether a background sweep came first.
        .replace(/status=(flushed|expired)/, 'status=not_found')
        .replace(/ la=[01] /, ' la=# ')
        .replace(/ttl=(94|95|9[89]|100|49|50|59|60|999|1000) /, 'ttl=about ')
        .replace(/ clsid=(\d+)/, (_, id) => (id === '0' ? ' clsid=0' : '')),
    )
    .map(line => line.replace(/ clsid=0/, ''))
}

function numberOf(line: string): number {
  return Number(/ gid=(\d+) /.exec(line)?.[1])
}

async function ends(server: ServerProcess, bytes: string, ending: string): Promise<void> {
  const peer = await openPeer(server.port)
  await ask(peer, Buffer.from(bytes, 'latin1'), ending)
  peer.end()
  await readUntil(peer, '')
}
