// Turns of UDP, without a network: what waits, what is answered in one turn, what is dropped.

import type { Socket } from 'node:dgram'
import { EventEmitter } from 'node:events'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { TURN_MS_MAX } from '../../lib/protocol/limits.ts'
import { UDP_TURN_DATAGRAMS, UDP_WAITING_MAX, UdpService } from '../../lib/server/udp.ts'
import { createHost } from '../support/server-session.ts'
import { datagramOf } from '../support/udp-peer.ts'

const PEER = { address: '192.0.2.1', port: 999, family: 'IPv4', size: 0 }

t.test('a flood is answered in turns, and bounded', async t => {
  const { receive, later, sent } = serve(t)
  for (let id = 0; id < 2 * UDP_WAITING_MAX; id++) receive('mn\r\n', id)
  t.equal(sent.length, 0, 'nothing is answered while datagrams come')
  t.equal(later.length, 1)
  for (let turn = 1; later.length > 0; turn++) {
    later.shift()?.()
    const ids = sent.map(datagram => datagram.readUInt16BE(0))
    t.strictSame(ids, [...Array(Math.min(turn * UDP_TURN_DATAGRAMS, UDP_WAITING_MAX)).keys()])
  }
  t.equal(sent.length, UDP_WAITING_MAX, 'the others were dropped')
  receive('mn\r\n', 7)
  later.shift()?.()
  t.equal(sent.length, UDP_WAITING_MAX + 1, 'and it goes on')
})

t.test('a turn ends by time', async t => {
  const { receive, later, sent } = serve(t, TURN_MS_MAX)
  receive('mn\r\n', 1)
  receive('mn\r\n', 2)
  later.shift()?.()
  t.equal(sent.length, 1)
  later.shift()?.()
  t.equal(sent.length, 2)
})

t.test('nothing is answered while the socket has too much to send', async t => {
  const { receive, later, sent, queue } = serve(t)
  for (const [bytes, answers] of [
    [4 * MIB, 0],
    [0, 1],
  ]) {
    receive('mn\r\n', 1)
    queue.bytes = bytes
    later.shift()?.()
    t.equal(sent.length, answers)
  }
})

/**
 * A service over a socket that keeps what it sends; `later` has the work of later turns. The clock
 * advances by `stepMs` with each look.
 */
function serve(t: Test, stepMs = 0) {
  let nowMs = 0
  t.intercept(performance, 'now', {
    value: () => {
      nowMs += stepMs
      return nowMs
    },
  })
  const host = createHost()
  const later: (() => void)[] = []
  const sent: Buffer[] = []
  const queue = { bytes: 0 }
  const socket = Object.assign(new EventEmitter(), {
    getSendQueueSize: () => queue.bytes,
    send: (datagram: Buffer) => sent.push(Buffer.from(datagram)),
  }) as unknown as Socket
  const guard = (work: () => void) => work()
  const mainThread = { host, guard, later: (work: () => void) => void later.push(work) }
  const bound = { address: '127.0.0.1', port: 11211, family: 'IPv4' }
  new UdpService(mainThread, { socket, bound }, 1, { admits: () => true })
  const receive = (request: string, id: number) =>
    socket.emit('message', datagramOf({ id, sequence: 0, total: 1 }, request), PEER)
  return { receive, later, sent, queue }
}
