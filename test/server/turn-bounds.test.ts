// What ends a turn, and who is next: connections without sockets, whose turns this test steps.

import t from 'tap'
import { ThreadCounter } from '../../lib/protocol/host.ts'
import {
  INSERTS_BYTES_MAX,
  ROUND_INSERTS_BYTES,
  TURN_LOOK_KEYS_BYTES,
  TURN_LOOK_REQUESTS,
  TURN_MS_MAX,
  TURN_REPLY_BYTES,
  TURN_REQUESTS_MAX,
} from '../../lib/protocol/limits.ts'
import { REPLY_ROOM_BYTES } from '../../lib/server/line/replies.ts'
import { openPeers } from '../support/turn-peers.ts'

const KEY = 'k'
const GET = `get ${KEY}\r\n`
const MISS = 'END\r\n'

t.test('a turn ends by requests', async t => {
  const { host, turns, peers } = openPeers(t, 1)
  const count = 3 * TURN_REQUESTS_MAX
  peers[0].send(GET.repeat(count))
  t.equal(peers[0].got.length, TURN_REQUESTS_MAX * MISS.length)
  for (let turn = 2; turn <= 3; turn++) {
    turns.step()
    t.equal(peers[0].got.length, turn * TURN_REQUESTS_MAX * MISS.length)
  }
  t.ok(turns.isEmpty)
  t.equal(peers[0].got, MISS.repeat(count))
  t.equal(host.counters[ThreadCounter.CONN_YIELDS], 2)
})

t.test('a turn ends by time', async t => {
  const { turns, peers, clock } = openPeers(t, 1)
  clock.stepMs = TURN_MS_MAX / 2
  const count = TURN_REQUESTS_MAX
  peers[0].send(GET.repeat(count))
  t.equal(peers[0].got.length, 3 * TURN_LOOK_REQUESTS * MISS.length, 'at the third look')
  while (!turns.isEmpty) turns.step()
  t.equal(peers[0].got, MISS.repeat(count))
})

t.test('a turn of appends looks at the clock after each', async t => {
  const { turns, peers, clock } = openPeers(t, 1)
  clock.stepMs = TURN_MS_MAX / 2
  const append = `append ${KEY} 0 0 1\r\nx\r\n`
  peers[0].send(append.repeat(9))
  t.equal(peers[0].got, 'NOT_STORED\r\n'.repeat(3))
  while (!turns.isEmpty) turns.step()
  t.equal(peers[0].got, 'NOT_STORED\r\n'.repeat(9))
})

t.test('a turn ends inside a get of many keys', async t => {
  const { turns, peers, clock } = openPeers(t, 1)
  clock.stepMs = TURN_MS_MAX
  const bytes = 6 * TURN_LOOK_KEYS_BYTES
  peers[0].send(`get${' absent'.repeat(bytes / ' absent'.length)}\r\nmn\r\n`)
  t.equal(peers[0].got, '')
  let count = 0
  for (; !turns.isEmpty; count++) turns.step()
  t.ok(count >= 2, `${count} more turns`)
  t.equal(peers[0].got, `${MISS}MN\r\n`)
})

t.test('a turn ends by bytes of replies', async t => {
  const { turns, peers } = openPeers(t, 1)
  const value = 'v'.repeat(10_000)
  peers[0].send(`set ${KEY} 0 0 ${value.length}\r\n${value}\r\n`)
  peers[0].take()
  const hit = `VALUE ${KEY} 0 ${value.length}\r\n${value}\r\nEND\r\n`
  peers[0].send(GET.repeat(100))
  let longest = peers[0].got.length
  let all = peers[0].take()
  for (; !turns.isEmpty; all += peers[0].take()) {
    turns.step()
    longest = Math.max(longest, peers[0].got.length)
  }
  t.equal(all, hit.repeat(100))
  t.ok(longest <= TURN_REPLY_BYTES + REPLY_ROOM_BYTES, `${longest} bytes in one turn`)
})

t.test('peers with more to run take turns, and others do not wait for them', async t => {
  const { turns, peers } = openPeers(t, 4)
  const [quick, ...busy] = peers
  for (const peer of busy) peer.send(GET.repeat(5 * TURN_REQUESTS_MAX))
  for (let round = 1; round <= 5; round++) {
    const done = busy.map(({ got }) => got.length / MISS.length / TURN_REQUESTS_MAX)
    t.strictSame(done, [round, round, round])
    quick.send('mn\r\n')
    t.equal(quick.take(), 'MN\r\n', 'at once')
    for (const _ of busy) turns.step()
  }
  t.ok(turns.isEmpty)
})

t.test('what comes during a turn waits behind what came before', async t => {
  const { turns, peers } = openPeers(t, 1)
  const [peer] = peers
  peer.send(GET.repeat(2 * TURN_REQUESTS_MAX))
  peer.send('mn\r\n')
  peer.send('mn\r\n')
  while (!turns.isEmpty) turns.step()
  t.equal(peer.got, `${MISS.repeat(2 * TURN_REQUESTS_MAX)}MN\r\nMN\r\n`)
})

t.test('the next turn begins when the replies of the last one are sent', async t => {
  const { turns, peers } = openPeers(t, 1)
  const [peer] = peers
  peer.sendsSoon = true
  peer.send(GET.repeat(3 * TURN_REQUESTS_MAX))
  for (let turn = 1; turn <= 2; turn++) {
    t.ok(turns.isEmpty, 'not before')
    t.equal(peer.got.length, turn * TURN_REQUESTS_MAX * MISS.length)
    peer.finish()
    t.notOk(turns.isEmpty, 'behind others')
    turns.step()
  }
  peer.finish()
  t.ok(turns.isEmpty)
  t.equal(peer.got, MISS.repeat(3 * TURN_REQUESTS_MAX))
})

t.test('a round ends by the long values of all peers', async t => {
  const { turns, peers } = openPeers(t, 60, true)
  const [quick, ...readers] = peers
  const value = 'v'.repeat(60_000)
  quick.send(`set ${KEY} 0 0 ${value.length}\r\n${value}\r\n`)
  t.equal(quick.take(), 'STORED\r\n')
  const sent = () => readers.reduce((sum, { gotInserts }) => sum + gotInserts, 0)
  for (const reader of readers) reader.send(GET)
  quick.send('get absent\r\n')
  t.equal(quick.take(), MISS, 'who asks for little waits for nobody')
  const inRounds = [sent()]
  let before = sent()
  for (; !turns.isEmpty; before = sent()) {
    turns.step()
    inRounds.push(sent() - before)
  }
  t.ok(Math.max(...inRounds) < ROUND_INSERTS_BYTES + INSERTS_BYTES_MAX, `${inRounds} bytes`)
  t.equal(before, readers.length * value.length)
  const frame = `VALUE ${KEY} 0 ${value.length}\r\n\r\nEND\r\n`
  for (const { got } of readers) t.equal(got, frame)
})
