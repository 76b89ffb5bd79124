// Turns of a connection: -R ends one, -o read_buf_mem_limit bounds one, and `stats conns` shows
// what a connection is in the middle of.

import t from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { runScript } from '../support/differential.ts'
import { ask, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'
import { Wire } from '../support/wire.ts'

const SET = 'set k 0 0 5\r\nBubba\r\n'
const LONG = 'v'.repeat(100_000)

t.test('-R 1 yields after each request and counts it', async t => {
  const daemon = await startDaemon(t, ['-R', '1', '-t', '1'])
  const peer = await openPeer(daemon.port)
  t.equal(await ask(peer, `${SET.repeat(6)}mn\r\n`, 'MN\r\n'), `${'STORED\r\n'.repeat(6)}MN\r\n`)
  const stats = await statsOf(daemon.port)
  t.ok(Number(stats.get('conn_yields')) >= 6, `${stats.get('conn_yields')} yields`)
  t.equal((await statsOf(daemon.port, 'settings')).get('reqs_per_event'), '1')
  peer.destroy()
})

t.test('without -R a short pipeline is one turn', async t => {
  const daemon = await startDaemon(t, ['-t', '1'])
  const peer = await openPeer(daemon.port)
  await ask(peer, `${SET.repeat(60)}mn\r\n`, 'MN\r\n')
  t.equal((await statsOf(daemon.port)).get('conn_yields'), '0')
  t.equal((await statsOf(daemon.port, 'settings')).get('reqs_per_event'), '20')
  peer.destroy()
})

t.test('turns change no reply', async t => {
  const requests = [
    `set l 0 0 ${LONG.length}\r\n${LONG}\r\n`,
    'get l k none\r\nmg l v\r\nincr n 1\r\nset n 0 0 1\r\n5\r\nincr n 1 noreply\r\nget n\r\n',
    `ms m 5000 q\r\n${'x'.repeat(5000)}\r\nmg m s v\r\nset x 0 x 4\r\nquit\r\nfoo\r\ndelete k\r\n`,
  ]
  const session = [SET, ...requests, SET, ...requests].join('')
  const replies: string[] = []
  for (const args of [[], ['-R', '1'], ['-R', '3']]) {
    const daemon = await startDaemon(t, ['-t', '2', ...args])
    const { replies: given, state } = await runScript(daemon.port, { steps: [session] })
    t.equal(state, 'open')
    replies.push(given.join(''))
  }
  t.ok(replies[0].length > 2 * LONG.length)
  t.ok(replies[1] === replies[0] && replies[2] === replies[0])
})

t.test('read_buf_mem_limit bounds the replies of a turn', async t => {
  // 1 MiB for 16 threads: 64 replies each.
  const daemon = await startDaemon(t, ['-t', '16', '-o', 'read_buf_mem_limit=1'])
  const peer = await openPeer(daemon.port)
  await ask(peer, SET, 'STORED\r\n')
  const get = (keys: number) => `get${' k'.repeat(keys)}\r\n`
  const hits = await ask(peer, get(64), 'END\r\n')
  t.equal(hits.split('VALUE').length, 65)
  const refused = await ask(peer, get(65), '\r\n')
  t.equal(refused, 'SERVER_ERROR out of memory writing get response\r\n')
  t.equal(await ask(peer, 'mn\r\n'.repeat(64), 'MN\r\n'.repeat(64)), 'MN\r\n'.repeat(64))
  const wire = await Wire.connect(daemon.port)
  wire.send(Buffer.from('mn\r\n'.repeat(65)))
  t.equal(await wire.readUntil(Buffer.from('never'), 10_000), 'closed')
  t.equal(wire.take().toString(), '', 'its replies are not sent')
  t.equal((await statsOf(daemon.port)).get('response_obj_oom'), '2')
  peer.destroy()
})

t.test('stats conns shows who is sending a value', async t => {
  const daemon = await startDaemon(t, ['-t', '2'])
  const peer = await openPeer(daemon.port)
  const states = async () =>
    [...(await statsOf(daemon.port, 'conns'))]
      .filter(([name]) => /^\d{2,}:state$/.test(name))
      .map(([, state]) => state)
      .sort()
  const become = (...wanted: string[]) =>
    comesTrue(async () => `${await states()}` === `${[...wanted].sort()}`)
  for (const bytes of [5, LONG.length]) {
    await ask(peer, 'mn\r\n', 'MN\r\n')
    t.ok(await become('conn_parse_cmd', 'conn_read'), 'between requests')
    peer.write(`set k 0 0 ${bytes}\r\n`)
    t.ok(await become('conn_nread', 'conn_parse_cmd'), `its value of ${bytes} is on its way`)
    t.equal(await ask(peer, `${LONG.slice(0, bytes)}\r\n`, '\r\n'), 'STORED\r\n')
  }
  await ask(peer, 'watch\r\n', 'OK\r\n')
  t.ok(await become('conn_parse_cmd', 'conn_watch'))
  peer.destroy()
})
