// UDP: the same datagrams to memcached and to memslab. Replies to a request for one item, or for
// none, are the same datagrams, byte for byte. For a datagram with more requests memcached sends
// one message per item and memslab one for all: then their contents are the same.

import t from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import { freePort } from '../support/process.ts'
import { askOnce } from '../support/server-peer.ts'
import { bodyOf, datagramOf, UdpPeer } from '../support/udp-peer.ts'

interface Case {
  title: string
  datagrams: Buffer[]
  /** The datagrams may differ, but their contents are the same. */
  bodyOnly?: boolean
  /** The contents that 1.6.45 answers, where the oracle answers otherwise. */
  newer?: string
}

const QUIET_MS = 60
/** No answer came by then, from either: there is none. */
const SILENCE_MS = 1500
const ID = 0xfedc
const LONG_KEY = 'k'.repeat(251)
const BAD_LINE = 'CLIENT_ERROR bad command line format\r\n'
const BAD_CHUNK = 'CLIENT_ERROR bad data chunk\r\n'

const one = (title: string, request: string | Buffer): Case => ({
  title,
  datagrams: [datagramOf({ id: ID, sequence: 0, total: 1 }, request)],
})
const several = (title: string, request: string | Buffer): Case => ({
  ...one(title, request),
  bodyOnly: true,
})

const CASES: Case[] = [
  one('a miss', 'get none\r\n'),
  one('a hit', 'get a\r\n'),
  one('a hit with cas', 'gets a\r\n'),
  one('a value in three datagrams', 'get b\r\n'),
  one('a value in many', 'get c\r\n'),
  { ...one('nothing but a line end', '\n'), newer: BAD_LINE },
  one('an unknown command', 'what is this\r\n'),
  one('without a line end', 'get a'),
  one('binary without a whole header', binary(0, 'a').subarray(0, 20)),
  one('storage', 'set d 5 0 3\r\nabc\r\n'),
  one('storage of a long value', `set e 0 0 60000\r\n${'e'.repeat(60_000)}\r\n`),
  one('what was stored', 'get d\r\n'),
  one('and the long one', 'get e\r\n'),
  one('storage without reply', 'set d 5 0 3 noreply\r\nxyz\r\n'),
  one('what that stored', 'get d\r\n'),
  one('add', 'add d 0 0 1\r\n1\r\n'),
  { ...several('a bad value', 'set d 0 0 3\r\nabcdef\r\n'), newer: `${BAD_CHUNK}${BAD_LINE}` },
  one('numbers', 'set n 0 0 1\r\n7\r\n'),
  one('incr', 'incr n 5\r\n'),
  one('touch', 'touch n 0\r\n'),
  one('delete', 'delete n\r\n'),
  one('a key that is too long', `get ${LONG_KEY}\r\n`),
  one('verbosity', 'verbosity 0\r\n'),
  one('a binary get', binary(0x00, 'a')),
  one('a binary miss', binary(0x00, 'none')),
  one('a binary get in three datagrams', binary(0x00, 'b')),
  one('a binary noop', binary(0x0a, '')),
  several('a quiet binary miss', binary(0x09, 'none')),
  several('many keys', 'get a b none a c\r\n'),
  several('two commands', 'get a\r\nget b\r\n'),
  several('four commands', 'get a\r\nget none\r\nverbosity 0\r\ngets a\r\n'),
  several(
    'quiet binary gets and a noop',
    binaries([0x09, 'a'], [0x09, 'none'], [0x09, 'b'], [0x0a, '']),
  ),
  several('quit', 'quit\r\n'),
  { title: 'too short', datagrams: [Buffer.from('1234567')] },
  { title: 'a header alone', datagrams: [datagramOf({ id: ID, sequence: 0, total: 1 }, '')] },
  {
    title: 'one of two datagrams',
    datagrams: [datagramOf({ id: ID, sequence: 0, total: 2 }, 'get a\r\n')],
  },
  {
    title: 'both of two datagrams',
    datagrams: [
      datagramOf({ id: ID, sequence: 0, total: 2 }, 'get '),
      datagramOf({ id: ID, sequence: 1, total: 2 }, 'a\r\n'),
    ],
  },
  {
    title: 'none of none',
    datagrams: [datagramOf({ id: ID, sequence: 0, total: 0 }, 'get a\r\n')],
  },
  {
    title: 'a high total',
    datagrams: [datagramOf({ id: ID, sequence: 0, total: 257 }, 'get a\r\n')],
  },
  {
    title: 'a sequence number',
    datagrams: [datagramOf({ id: ID, sequence: 9, total: 1 }, 'get a\r\n')],
  },
  {
    title: 'something in the reserved bytes',
    datagrams: [datagramOf({ id: ID, sequence: 0, total: 1, reserved: 77 }, 'get a\r\n')],
  },
]

t.test('datagrams are answered as memcached does', { skip: skipWithout('memcached') }, async t => {
  const [oraclePort, ownPort] = [await freePort(), await freePort()]
  const oracle = await startOracle(t, ['-U', `${oraclePort}`, '-t', '1'])
  // One thread each, because each arena has its own CAS sequence.
  const own = await startDaemon(t, ['-U', `${ownPort}`, '-t', '1'])
  for (const { port } of [oracle, own]) {
    const values = { a: 'A', b: 'b'.repeat(3000), c: 'c'.repeat(90_000) }
    for (const [key, value] of Object.entries(values)) {
      await askOnce(port, `set ${key} 3 0 ${value.length}\r\n${value}\r\n`, 'STORED\r\n')
    }
  }
  const oraclePeer = await UdpPeer.open(t, oraclePort)
  const ownPeer = await UdpPeer.open(t, ownPort)
  for (const { title, datagrams, bodyOnly, newer } of CASES) {
    const [wanted, found] = await Promise.all(
      [oraclePeer, ownPeer].map(peer => peer.exchange(datagrams, QUIET_MS, SILENCE_MS)),
    )
    if (newer !== undefined) {
      t.same(text(bodyOf(found)), newer, title)
      t.not(text(bodyOf(wanted)), newer, `${title}: the oracle answers otherwise`)
    } else if (bodyOnly) t.same(text(bodyOf(found)), text(bodyOf(wanted)), title)
    else t.same(found.map(text), wanted.map(text), title)
  }
})

function text(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function binary(opcode: number, key: string): Buffer {
  const header = Buffer.alloc(24)
  header[0] = 0x80
  header[1] = opcode
  header.writeUInt16BE(key.length, 2)
  header.writeUInt32BE(key.length, 8)
  header.writeUInt32BE(0xcafe, 12)
  return Buffer.concat([header, Buffer.from(key)])
}

function binaries(...requests: [opcode: number, key: string][]): Buffer {
  return Buffer.concat(requests.map(([opcode, key]) => binary(opcode, key)))
}
