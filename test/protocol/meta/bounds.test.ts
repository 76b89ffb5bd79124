// Costs of meta commands: the heap over millions of requests, and long pipelines.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { LINE_BYTES_MAX, READ_BYTES, STREAM_VALUE_BYTES_MIN } from '../../../lib/protocol/limits.ts'
import { Session } from '../../../lib/protocol/session.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { createHost, heldCount, Peer, verifyAll } from '../../support/server-session.ts'

const seed = announceSeed(t)

const REQUESTS = 2_000_000
const BATCH = 1000
const HEAP_BYTES_MAX = MIB
const ALLOCATED_BYTES_PER_REQUEST_MAX = 4

/** Endless requests: a head, and what follows it for ever. */
const ENDLESS: Record<string, [head: string, more: string]> = {
  'a key without an end': ['mg ', 'k'],
  'flags without an end': ['mg k ', 'v '],
  'a value': ['ms a 900000 k O1\r\n', 'v'],
  'a value of the largest size': ['ms a 2147483645\r\n', 'v'],
  'a value that is too large': ['ms a 50000000\r\n', 'v'],
  'a value behind bad flags': ['ms a 50000000 !\r\n', 'v'],
  'values that are cut': ['', `ms a 4095 k c\r\n${'v'.repeat(4095)}\r\n`],
}

for (const [name, [head, more]] of Object.entries(ENDLESS)) {
  t.test(`${name} leaves little unconsumed`, async t => {
    const random = createRandom(seed, name.length)
    const host = createHost()
    const peer = new Peer(host, () => random.once(5), 8 * READ_BYTES)
    peer.feedPieces(Buffer.from(head + more.repeat(Math.ceil(MIB / more.length))), () => {
      return random.between(1, 700)
    })
    const most = LINE_BYTES_MAX + STREAM_VALUE_BYTES_MIN + 2
    t.ok(peer.restMax <= most, `${peer.restMax} bytes of ${most}`)
    peer.session.close()
    t.equal(heldCount(host), 0)
    verifyAll(host)
  })
}

t.test('millions of meta commands do not grow the heap', async t => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const host = createHost()
  const empty = () => {
    host.reply.length = 0
    return true
  }
  const session = new Session(host, { flush: empty, later: () => {} }, 1)
  const requests = Array.from({ length: BATCH / 10 }, (_, i) => [
    `ms key${i} 20 T600 F${i % 3} c k O${i}\r\n${'v'.repeat(20)}\r\n`,
    `ms a${i.toString().padStart(3, '0')} 8 b q ME\r\n12345678\r\n`,
    `mg key${i} v s t c f k O7\r\nmg key${i} h l u q\r\nmg none k\r\nmg key${i} N60 R30 v\r\n`,
    `md key${i} I T60 q\r\nmg key${i} T90 v\r\nma n${i % 7} N0 J5 D3 v c\r\nmn\r\n`,
  ])
  const stream = Buffer.from(requests.flat().join(''))
  const input = new Area(stream)
  const run = (batches: number) => {
    for (let batch = 0; batch < batches; batch++) {
      session.run(input, 0, stream.length)
      empty()
    }
  }
  run(200)
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

/** Bytes allocated since the start. Node's types do not have it yet. */
function allocated(statistics: object): number {
  return 'total_allocated_bytes' in statistics ? Number(statistics.total_allocated_bytes) : 0
}
