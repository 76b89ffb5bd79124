// Where the daemon listens and which connections it accepts: addresses and ports, both families,
// the connection limit, delays, and how connections are spread.

import type { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startDaemon } from '../../support/daemon.ts'
import { freePort, HOST, startServer } from '../../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil, statsOf } from '../../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
const TOO_MANY = 'ERROR Too many open connections\r\n'
const HAS_IPV6 = Object.values(networkInterfaces()).some(list =>
  list?.some(({ address }) => address === '::1'),
)
const NEEDS_IPV6 = { skip: HAS_IPV6 ? false : 'no IPv6 here' }
/** 100 exchanges, each with a delayed acknowledgement, would take four seconds. */
const EXCHANGES = 100
const EXCHANGES_MS_MAX = 2000

t.test('one connection too many gets an error, and a freed place is taken again', async t => {
  const limit = 5
  const daemon = await startDaemon(t, ['-c', `${limit}`, '-t', '2'])
  const peers: Socket[] = []
  const takePlace = async () => {
    const peer = await openPeer(daemon.port)
    const isServed = (await ask(peer, 'get none\r\n', '\r\n')) === 'END\r\n'
    if (isServed) peers.push(peer)
    else peer.destroy()
    return isServed
  }
  for (let i = 0; i < limit; i++) t.ok(await comesTrue(takePlace))
  for (let i = 0; i < 20; i++) {
    const extra = await openPeer(daemon.port)
    t.equal((await readUntil(extra, '')).toString(), TOO_MANY)
    t.ok(extra.readableEnded || extra.destroyed, 'and closed')
    extra.destroy()
  }
  for (const peer of peers) t.equal(await ask(peer, 'get none\r\n', 'END\r\n'), 'END\r\n')
  const stats = await ask(peers[0], 'stats\r\n', 'END\r\n')
  t.match(stats, /STAT max_connections 5\r\n/)
  t.match(stats, /STAT curr_connections 5\r\n/)
  const [, rejected = '0'] = /STAT rejected_connections (\d+)/.exec(stats) ?? []
  t.ok(Number(rejected) >= 20, `${rejected} rejected`)
  for (let i = 0; i < 20; i++) {
    peers.shift()?.destroy()
    t.ok(await comesTrue(takePlace), 'a freed place is taken again')
  }
})

t.test('places taken and freed quickly are all free again', async t => {
  const limit = 20
  const daemon = await startDaemon(t, ['-c', `${limit}`, '-t', '4'])
  for (let round = 0; round < 40; round++) {
    const batch = Array.from({ length: limit + 10 }, () => openPeer(daemon.port))
    for (const peer of await Promise.all(batch)) peer.destroy()
  }
  const empty = async () => (await statsOf(daemon.port)).get('curr_connections') === '1'
  t.ok(await comesTrue(empty), 'all are free')
  t.ok(await comesTrue(() => allServed(daemon.port, limit)), 'all are served')
})

t.test('small requests are not delayed', async t => {
  const daemon = await startDaemon(t)
  const peer = await openPeer(daemon.port)
  const started = performance.now()
  for (let i = 0; i < EXCHANGES; i++) {
    peer.write('set a 0 0 1\r\n')
    await new Promise(resolve => setImmediate(resolve))
    t.equal(await ask(peer, 'a\r\nget a\r\n', 'END\r\n'), 'STORED\r\nVALUE a 0 1\r\na\r\nEND\r\n')
  }
  const took = performance.now() - started
  t.ok(took < EXCHANGES_MS_MAX, `${EXCHANGES} exchanges in ${took.toFixed(0)} ms`)
})

t.test('without -l it listens on both families', NEEDS_IPV6, async t => {
  const daemon = await startServer(t, process.execPath, port => [MAIN, '-p', `${port}`])
  await askOnce(daemon.port, 'set a 0 0 1\r\n4\r\n', 'STORED\r\n', HOST)
  const reply = await askOnce(daemon.port, 'get a\r\n', 'END\r\n', '::1')
  t.equal(reply, 'VALUE a 0 1\r\n4\r\nEND\r\n')
  const peer = await openPeer(daemon.port, '::1')
  const conns = await ask(peer, 'stats conns\r\n', 'END\r\n')
  t.match(conns, `addr tcp:0.0.0.0:${daemon.port}`)
  t.match(conns, `addr tcp6:[::]:${daemon.port}`)
  t.match(conns, /addr tcp6:\[::1\]:\d+\r\nSTAT \d+:listen_addr tcp6:\[::\]:/)
})

t.test('several -l, in a list and repeated, with their own ports', NEEDS_IPV6, async t => {
  const [other, third, fourth] = [await freePort(), await freePort(), await freePort()]
  const list = `127.0.0.2,127.0.0.3:${other}`
  const args = ['-l', list, '-l', `[::1]:${third}`, `-l127.0.0.1:${fourth}`, '-l', HOST]
  const daemon = await startServer(t, process.execPath, port => [MAIN, '-p', `${port}`, ...args])
  const places: [host: string, port: number][] = [
    [HOST, daemon.port],
    ['127.0.0.2', daemon.port],
    ['127.0.0.3', other],
    ['::1', third],
    [HOST, fourth],
  ]
  await askOnce(daemon.port, 'set a 0 0 2\r\nok\r\n', 'STORED\r\n')
  for (const [host, port] of places) {
    const reply = await askOnce(port, 'get a\r\n', 'END\r\n', host)
    t.equal(reply, 'VALUE a 0 2\r\nok\r\nEND\r\n', `${host} ${port}`)
  }
  await t.rejects(openPeer(other, HOST), 'and nowhere else')
  await t.rejects(openPeer(daemon.port, '::1'))
})

t.test('fifty connections are all served and listed', async t => {
  const daemon = await startDaemon(t, ['-t', '4'])
  const peers = await Promise.all(Array.from({ length: 50 }, () => served(daemon.port)))
  for (const [i, peer] of peers.entries()) {
    await ask(peer, `set key${i} 0 0 ${`${i}`.length}\r\n${i}\r\n`, 'STORED\r\n')
  }
  const replies = await Promise.all(
    peers.map((peer, i) => ask(peer, `get key${(i + 7) % 50}\r\n`, 'END\r\n')),
  )
  replies.forEach((reply, i) => {
    const value = `${(i + 7) % 50}`
    t.equal(reply, `VALUE key${value} 0 ${value.length}\r\n${value}\r\nEND\r\n`)
  })
  const conns = await statsOf(daemon.port, 'conns')
  const ports = new Set([...conns.values()])
  for (const peer of peers) t.ok(ports.has(`tcp:${HOST}:${peer.localPort}`), 'listed')
  const states = [...conns].filter(([name]) => name.endsWith(':state')).map(([, state]) => state)
  t.equal(states.filter(state => state === 'conn_parse_cmd').length, 1)
  t.equal(states.filter(state => state === 'conn_read').length, 50)
  const all = async () => (await statsOf(daemon.port)).get('curr_connections') === '51'
  t.ok(await comesTrue(all), 'and the one that asks')
})

/** Whether `count` connections are served at the same time. */
async function allServed(port: number, count: number): Promise<boolean> {
  const peers = await Promise.all(Array.from({ length: count }, () => openPeer(port)))
  const replies = await Promise.all(peers.map(peer => ask(peer, 'get none\r\n', '\r\n')))
  for (const peer of peers) peer.destroy()
  return replies.every(reply => reply === 'END\r\n')
}

/** A connection that has been given a place, as an answer shows. */
async function served(port: number): Promise<Socket> {
  const peer = await openPeer(port)
  const reply = await ask(peer, 'get none\r\n', '\r\n')
  if (reply !== 'END\r\n') throw new Error(reply)
  return peer
}
