// Costs of a session: the input it leaves unconsumed, long pipelines and long gets, and the heap
// over millions of requests.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { KEY_BYTES_MAX } from '../../lib/bytes/memcached.ts'
import { MIB } from '../../lib/bytes/units.ts'
import { State } from '../../lib/protocol/conversation.ts'
import {
  LINE_BYTES_MAX,
  READ_BYTES,
  REPLY_BYTES,
  STREAM_VALUE_BYTES_MIN,
} from '../../lib/protocol/limits.ts'
import { Session } from '../../lib/protocol/session.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { createHost, heldCount, Peer, verifyAll } from '../support/server-session.ts'

const seed = announceSeed(t)

const REQUESTS = 3_000_000
const BATCH = 1000
const HEAP_BYTES_MAX = MIB
const ALLOCATED_BYTES_PER_REQUEST_MAX = 4

/** Endless requests: a head, and what follows it for ever. */
const ENDLESS: Record<string, [head: string, more: string]> = {
  'a line without an end': ['set ', 'x'],
  'a line of blanks': ['', ' '],
  'a verb without an end': ['', 'g'],
  'a get of short keys': ['get ', 'a b '],
  'a gets of long keys': ['gets ', `${'k'.repeat(KEY_BYTES_MAX)} `],
  'a gat of keys': ['gat 0 ', 'key '],
  'a get of blanks': ['get a', ' '],
  'a get of a key without an end': ['get ', 'k'],
  'a get that has failed': [`get ${'k'.repeat(300)} `, 'a '],
  'a get that goes on behind a NUL': ['get a\0', 'b '],
  'a value': ['set a 0 0 900000\r\n', 'v'],
  'a value of the largest size': ['set a 0 0 2147483645\r\n', 'v'],
  'a value that is too large': ['set a 0 0 50000000\r\n', 'v'],
  'values that are cut': ['', `set a 0 0 4095\r\n${'v'.repeat(4095)}\r\n`],
  'lines with much white space': [
    '',
    `set a${' '.repeat(1900)}0 0 4095\r\n${'v'.repeat(4095)}\r\n`,
  ],
  'empty lines': ['', '\r\n'],
}

for (const [name, [head, more]] of Object.entries(ENDLESS)) {
  t.test(`${name} leaves little unconsumed`, async t => {
    const random = createRandom(seed, name.length)
    const host = createHost()
    const peer = new Peer(host, () => random.once(5), 8 * READ_BYTES)
    const bytes = Buffer.from(head + more.repeat(Math.ceil(MIB / more.length)), 'latin1')
    peer.feedPieces(bytes, () => random.between(1, 700))
    const line = LINE_BYTES_MAX + STREAM_VALUE_BYTES_MIN + 2
    t.ok(peer.restMax <= line, `${peer.restMax} bytes of ${line}`)
    peer.take()
    const fast = new Peer(host, () => false, 8 * READ_BYTES)
    fast.feedPieces(bytes, () => READ_BYTES)
    const most = READ_BYTES + STREAM_VALUE_BYTES_MIN + 2
    t.ok(fast.restMax <= most, `${fast.restMax} bytes of ${most} from whole reads`)
    peer.session.close()
    fast.session.close()
    t.equal(heldCount(host), 0)
    verifyAll(host)
  })
}

t.test('thousands of requests in one run', async t => {
  const host = createHost()
  const count = 20_000
  const sets = Array.from({ length: count }, (_, i) => `set k${i} 0 0 ${`${i}`.length}\r\n${i}\r\n`)
  const gets = Array.from({ length: count }, (_, i) => `get k${i}\r\n`)
  const stream = Buffer.from(sets.join('') + gets.join(''))
  const input = new Area(stream)
  const chunks: Buffer[] = []
  const flush = () => {
    t.ok(host.reply.length <= REPLY_BYTES)
    chunks.push(Buffer.from(host.reply.area.bytes.subarray(0, host.reply.length)))
    host.reply.length = 0
    return true
  }
  const session = new Session(host, { flush, later: () => {} }, 1)
  t.equal(session.run(input, 0, stream.length), stream.length)
  flush()
  const hits = sets.map((_, i) => `VALUE k${i} 0 ${`${i}`.length}\r\n${i}\r\nEND\r\n`)
  t.ok(Buffer.concat(chunks).equals(Buffer.from('STORED\r\n'.repeat(count) + hits.join(''))))
})

t.test('a get of 100 000 keys that arrive in pieces', async t => {
  const random = createRandom(seed, 1)
  const host = createHost()
  const peer = new Peer(host, () => random.once(20))
  const stored = Array.from({ length: 1000 }, (_, i) => `set k${i} 0 0 3\r\n${1000 + i}\r\n`)
  peer.feed(Buffer.from(stored.join('').replaceAll(' 3\r\n', ' 4\r\n')))
  peer.take()
  const keys = Array.from({ length: 100_000 }, () => random.below(2000))
  const get = Buffer.from(`get ${keys.map(key => `k${key}`).join(' ')}\r\n`)
  peer.feedPieces(get, () => random.between(1, 4000))
  const hits = keys.filter(key => key < 1000).map(key => `VALUE k${key} 0 4\r\n${1000 + key}\r\n`)
  t.ok(peer.take().equals(Buffer.from(`${hits.join('')}END\r\n`)))
  t.equal(peer.session.state, State.COMMAND)
})

t.test('millions of gets and sets do not grow the heap', async t => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const host = createHost()
  const session = new Session(host, { flush: () => empty(host.reply), later: () => {} }, 1)
  const requests = Array.from({ length: BATCH / 2 }, (_, i) => [
    `set key${i} ${i % 3} 0 20\r\n${'v'.repeat(20)}\r\n`,
    `get key${i} none\r\n`,
  ])
  const stream = Buffer.from(requests.flat().join(''))
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
