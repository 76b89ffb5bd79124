// Costs of a binary session: the input it leaves unconsumed, long rows of quiet frames, and the
// heap over millions of requests.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { KEY_BYTES_MAX } from '../../../lib/bytes/memcached.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { State } from '../../../lib/protocol/conversation.ts'
import { READ_BYTES, STREAM_VALUE_BYTES_MIN } from '../../../lib/protocol/limits.ts'
import { Session } from '../../../lib/protocol/session.ts'
import { count, frame, Op, parseFrames, store, touch } from '../../support/binary-frames.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { createHost, heldCount, Peer, verifyAll } from '../../support/server-session.ts'

const seed = announceSeed(t)

const REQUESTS = 2_000_000
const BATCH = 1000
const HEAP_BYTES_MAX = MIB
const ALLOCATED_BYTES_PER_REQUEST_MAX = 4
/** A header, extras and a key, without the value that they announce. */
const REST_BYTES_MAX = 24 + 255 + KEY_BYTES_MAX + STREAM_VALUE_BYTES_MIN

/** Endless requests: a head, and what follows it for ever. */
const ENDLESS: Record<string, [head: string, more: string]> = {
  'a key that is too long': [frame(Op.GET, { keyBytes: 65_535, bodyBytes: 65_535 }), 'k'],
  'a key of the longest that is looked at': [
    frame(Op.GET, { keyBytes: 16_360, bodyBytes: 20_000 }),
    'k',
  ],
  'quiet gets': ['', frame(Op.GETQ, { key: 'none' })],
  'gets of the longest keys': ['', frame(Op.GETK, { key: 'K'.repeat(KEY_BYTES_MAX) })],
  'a value': [store(Op.SET, 'a', '', { bodyBytes: 900_000 }), 'v'],
  'a value that is too large': [store(Op.SET, 'a', '', { bodyBytes: 2 ** 31 - 1 }), 'v'],
  'a value with a negative length': [store(Op.SET, 'a', '', { bodyBytes: 2 ** 32 - 1 }), 'v'],
  'a command that is not known': [frame(0x50, { bodyBytes: 2 ** 31 - 1 }), 'v'],
  sasl: [frame(Op.SASL_AUTH, { key: 'PLAIN', bodyBytes: 2 ** 31 - 1 }), 'v'],
  'values that are cut': ['', store(Op.SETQ, 'a', 'v'.repeat(STREAM_VALUE_BYTES_MIN - 1))],
  'values that stream': ['', store(Op.SETQ, 'a', 'v'.repeat(STREAM_VALUE_BYTES_MIN + 1))],
  'extras of the longest': ['', frame(Op.GET, { extras: 'e'.repeat(255), key: 'K'.repeat(250) })],
}

for (const [name, [head, more]] of Object.entries(ENDLESS)) {
  t.test(`${name} leaves little unconsumed`, async t => {
    const random = createRandom(seed, name.length)
    const host = createHost()
    const peer = new Peer(host, () => random.once(5), 8 * READ_BYTES)
    const bytes = Buffer.from(head + more.repeat(Math.ceil(MIB / more.length)), 'latin1')
    peer.feedPieces(bytes, () => random.between(1, 700))
    t.ok(peer.restMax <= REST_BYTES_MAX, `${peer.restMax} bytes of ${REST_BYTES_MAX}`)
    peer.take()
    const fast = new Peer(host, () => false, 8 * READ_BYTES)
    fast.feedPieces(bytes, () => READ_BYTES)
    t.ok(fast.restMax <= REST_BYTES_MAX, `${fast.restMax} bytes from whole reads`)
    peer.session.close()
    fast.session.close()
    t.equal(heldCount(host), 0)
    verifyAll(host)
  })
}

t.test('a long row of quiet frames sends its hits together', async t => {
  const host = createHost()
  const rows = 20_000
  const hits = 100
  const parts = Array.from({ length: rows }, (_, i) => frame(Op.GETKQ, { key: `k${i}`, opaque: i }))
  const stores = Array.from({ length: hits }, (_, i) => store(Op.SETQ, `k${i * 200}`, `${i}`))
  const stream = Buffer.from([...stores, ...parts, frame(Op.NOOP)].join(''), 'latin1')
  const chunks: Buffer[] = []
  const flush = () => {
    chunks.push(Buffer.from(host.reply.area.bytes.subarray(0, host.reply.length)))
    host.reply.length = 0
    return true
  }
  const session = new Session(host, { flush, later: () => {} }, 1)
  t.equal(session.run(new Area(stream), 0, stream.length), stream.length)
  t.equal(chunks.length, 0, 'nothing is sent before the end of the read')
  flush()
  const { responses, rest } = parseFrames(Buffer.concat(chunks).toString('latin1'))
  t.equal(rest, '')
  const wanted = Array.from({ length: hits }, (_, i) => [i * 200, `k${i * 200}`, `${i}`])
  const given = responses.slice(0, -1).map(({ opaque, key, value }) => [opaque, key, value])
  t.same(given, wanted)
  t.equal(responses.at(-1)?.opcode, Op.NOOP)
  t.equal(session.state, State.COMMAND)
})

t.test('millions of requests do not grow the heap', async t => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const host = createHost()
  const session = new Session(host, { flush: () => empty(host.reply), later: () => {} }, 1)
  const requests = Array.from({ length: BATCH / 10 }, (_, i) => [
    store(Op.SET, `key${i}`, 'v'.repeat(20)),
    frame(Op.GET, { key: `key${i}` }),
    store(Op.SETQ, `key${i}`, 'w'.repeat(20)),
    frame(Op.GETKQ, { key: `key${i}` }),
    frame(Op.GETQ, { key: 'none' }),
    touch(Op.GAT, `key${i}`, 100),
    frame(Op.APPEND, { key: `key${i}`, value: 'x' }),
    count(Op.INCR, `n${i}`, 1n, 7n, 0),
    frame(Op.DELETEQ, { key: `key${i}` }),
    frame(Op.NOOP),
  ])
  const stream = Buffer.from(requests.flat().join(''), 'latin1')
  const input = new Area(stream)
  const run = (batches: number) => {
    for (let batch = 0; batch < batches; batch++) {
      session.run(input, 0, stream.length)
      empty(host.reply)
    }
  }
  run(300)
  collect()
  const before = getHeapStatistics()
  run(REQUESTS / BATCH)
  const between = getHeapStatistics()
  collect()
  const after = getHeapStatistics()
  const grown = after.used_heap_size - before.used_heap_size
  t.ok(grown < HEAP_BYTES_MAX, `the heap has grown by ${grown} bytes`)
  const each = (allocated(between) - allocated(before)) / REQUESTS
  t.ok(each < ALLOCATED_BYTES_PER_REQUEST_MAX, `${each.toFixed(2)} bytes allocated a request`)
  verifyAll(host)
})

function empty(reply: { length: number }): boolean {
  reply.length = 0
  return true
}

/** Bytes allocated since the start. Node's types do not have it yet. */
function allocated(statistics: object): number {
  return 'total_allocated_bytes' in statistics ? Number(statistics.total_allocated_bytes) : 0
}
