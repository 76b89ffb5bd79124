// The binary protocol without a socket: frames cut anywhere, an outlet that gets stuck, values
// streamed both ways, garbage, and released holds. Every run is random from a printed seed.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { KIB, MIB } from '../../../lib/bytes/units.ts'
import { resetArena } from '../../../lib/engine/items/keeps.ts'
import { type ProtocolName, State } from '../../../lib/protocol/conversation.ts'
import { Control } from '../../../lib/protocol/host.ts'
import { READ_BYTES } from '../../../lib/protocol/limits.ts'
import { BINARY, count, frame, Op, parseFrames, store, touch } from '../../support/binary-frames.ts'
import { randomFrames, randomGarbage } from '../../support/binary-stream.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'
import { createHost, heldCount, Peer, verifyAll } from '../../support/server-session.ts'

const seed = announceSeed(t)

const NOOP = frame(Op.NOOP)
const REQUESTS = [
  store(Op.SET, 'a', 'abc') + store(Op.SETQ, 'b', '') + store(Op.ADD, 'a', 'x'),
  frame(Op.APPEND, { key: 'a', value: 'de' }) + frame(Op.GETK, { key: 'a' }),
  frame(Op.GETQ, { key: 'none' }) + frame(Op.GETKQ, { key: 'b' }) + touch(Op.GATK, 'a', 0),
  count(Op.INCR, 'n', 1n, 9n, 0) + count(Op.DECR, 'n', 5n) + frame(Op.DELETE, { key: 'b' }),
  frame(0x50) + frame(Op.VERSION) + frame(Op.STAT, { key: 'none' }) + frame(Op.FLUSHQ),
  frame(Op.GET, { key: 'a' }) + frame(Op.SASL_AUTH, { key: 'PLAIN', value: 'secret' }) + NOOP,
]
const PARTING = NOOP + frame(Op.GET, { key: 'K'.repeat(300) })
const TOO_LONG = store(Op.SET, 'a', '', { bodyBytes: 2 ** 30 + 1 })
const LONG = 'long'.repeat(1050)
const LONG_VALUES =
  store(Op.SET, 'l', LONG) +
  frame(Op.GETK, { key: 'l' }) +
  frame(Op.PREPEND, { key: 'l', value: LONG }) +
  touch(Op.GAT, 'l', 0)
// A stream that ends in these leaves the session inside a value, or between requests.
const UNFINISHED = [
  '',
  frame(Op.GET, { key: 'a' }).slice(0, -1),
  store(Op.SET, 'v', 'v'.repeat(90_000)) + frame(Op.GET, { key: 'v' }).repeat(30),
  store(Op.SET, 'v', 'v'.repeat(90_000)).slice(0, 20_000),
  store(Op.SET, 'v', 'v'.repeat(3_000_000)).slice(0, 20_000),
]

t.test('frames cut at every byte get the same responses', async t => {
  for (const text of [REQUESTS.join(''), PARTING, NOOP + TOO_LONG]) {
    const stream = bytesOf(text)
    const [whole] = replies(stream, peer => peer.feed(stream))
    for (let cut = 1; cut < stream.length; cut++) {
      const [given] = replies(stream, peer => {
        peer.feed(stream.subarray(0, cut))
        peer.feed(stream.subarray(cut))
      })
      if (!given.equals(whole)) t.fail(`cut at ${cut}: ${difference(given, whole)}`)
    }
    const [bytewise] = replies(stream, peer => peer.feedPieces(stream, () => 1))
    t.ok(bytewise.equals(whole), 'byte by byte')
  }
})

t.test('a body above 1 GiB closes the connection, whatever the opcode', async t => {
  for (const opcode of [Op.GET, Op.SET, Op.SETQ, Op.APPEND, Op.TOUCH, Op.SASL_AUTH, 0x50]) {
    for (const bodyBytes of [2 ** 30 + 1, 2 ** 31, 2 ** 32 - 1]) {
      const host = createHost()
      const peer = new Peer(host)
      peer.feed(bytesOf(store(Op.SETQ, 'a', 'kept')))
      const extras = opcode === Op.SET || opcode === Op.SETQ ? '\0'.repeat(8) : ''
      peer.feed(bytesOf(frame(opcode, { extras, key: 'a', bodyBytes }) + NOOP))
      const { responses } = parseFrames(peer.take().toString('latin1'))
      t.equal(responses.length, 1, `${opcode} of ${bodyBytes}`)
      t.match(responses[0], { opcode, status: 4, value: 'Invalid arguments' })
      t.equal(peer.session.state, State.ENDED)
      const other = new Peer(host)
      other.feed(bytesOf(frame(Op.GET, { key: 'a' })))
      t.equal(parseFrames(other.take().toString('latin1')).responses[0].value, 'kept')
    }
  }
})

t.test('long values cut at every byte get the same responses', async t => {
  const stream = bytesOf(frame(Op.FLUSH) + LONG_VALUES)
  const host = createHost()
  const differing: number[] = []
  let whole = ''
  for (let cut = 0; cut < stream.length; cut++) {
    const peer = new Peer(host, () => false, 2 * stream.length)
    peer.feed(stream.subarray(0, cut))
    peer.feed(stream.subarray(cut))
    const given = BINARY.createNormaliser()(peer.take().toString('latin1'))
    if (cut === 0) whole = given
    if (given !== whole || heldCount(host) > 0) differing.push(cut)
  }
  t.same(differing, [])
  verifyAll(host)
})

t.test('random streams in random pieces get the same responses', async t => {
  for (let part = 0; part < runs(15, 60); part++) {
    const random = createRandom(seed, part)
    const stream = randomFrames(random, { valueBytesMax: random.pick([100, 2e6]), commands: 60 })
    const [whole] = replies(stream, peer => peer.feed(stream))
    const lengths = random.pick([[1, 7, 64], [1, 500, 5000], [4096], [65_535, 1, 65_536]])
    const [given, host] = replies(stream, peer =>
      peer.feedPieces(stream, () => random.pick(lengths)),
    )
    if (!given.equals(whole)) t.fail(`part ${part}: ${difference(given, whole)}`)
    if (heldCount(host) > 0) t.fail(`part ${part}: ${heldCount(host)} items are held`)
    verifyAll(host)
  }
})

t.test('an outlet that gets stuck anywhere gets the same responses', async t => {
  for (let part = 0; part < runs(20, 80); part++) {
    const random = createRandom(seed, 1000 + part)
    const stream = randomFrames(random, { valueBytesMax: 2e6, commands: 60 })
    const [whole] = replies(stream, peer => peer.feed(stream))
    const oneIn = random.pick([1, 2, 5])
    const pieces = random.pick([stream.length, 1000, 65_536])
    const feed = (peer: Peer) => peer.feedPieces(stream, () => random.between(1, pieces))
    const [given, host] = replies(stream, feed, () => random.once(oneIn))
    if (!given.equals(whole)) t.fail(`part ${part}: ${difference(given, whole)}`)
    if (heldCount(host) > 0) t.fail(`part ${part}: ${heldCount(host)} items are held`)
    verifyAll(host)
  }
})

t.test(
  'values of all lengths come back unchanged through an outlet that is always stuck',
  async t => {
    const lengths = [0, 1, 4095, 4096, 32_768, 32_769, 65_511, 65_536, 500_000, 1_000_000]
    const values = lengths.map(length => '0123456789abcdefghi'.repeat(60_000).slice(0, length))
    const stores = values.map((value, i) => store(Op.SETQ, `k${i}`, value))
    const gets = values.map((_, i) => frame(Op.GETKQ, { key: `k${i}` }))
    const stream = bytesOf(stores.join('') + gets.join('') + gets.join('') + NOOP)
    const [given, host] = replies(
      stream,
      peer => peer.feed(stream),
      () => true,
    )
    const { responses, rest } = parseFrames(given.toString('latin1'))
    t.equal(rest, '')
    t.equal(responses.length, 2 * lengths.length + 1)
    responses.slice(0, -1).forEach((response, i) => {
      t.equal(response.key, `k${i % lengths.length}`)
      t.ok(response.value === values[i % lengths.length], `${response.value.length} bytes`)
    })
    t.equal(heldCount(host), 0)
    verifyAll(host)
  },
)

t.test('two sessions of one thread do not disturb each other', async t => {
  for (let part = 0; part < runs(10, 30); part++) {
    const random = createRandom(seed, 2000 + part)
    const streams = ['x', 'y'].map(name => ownFrames(createRandom(seed, part), name))
    const alone = streams.map(stream => {
      const [given] = replies(stream, peer => peer.feed(stream))
      return BINARY.createNormaliser()(given.toString('latin1'))
    })
    const host = createHost()
    const peers = streams.map(() => new Peer(host, () => random.once(3)))
    const at = [0, 0]
    while (at.some((n, i) => n < streams[i].length || peers[i].session.isStuck())) {
      const i = random.below(2)
      const end = Math.min(streams[i].length, at[i] + random.between(1, 20_000))
      if (!peers[i].session.isStuck()) {
        peers[i].queue(streams[i].subarray(at[i], end))
        at[i] = end
      }
      peers[i].eat()
    }
    peers.forEach((peer, i) => {
      const given = BINARY.createNormaliser()(peer.take().toString('latin1'))
      if (given !== alone[i]) t.fail(`part ${part}: session ${i} got other responses`)
    })
    verifyAll(host)
  }
})

t.test('garbage is answered or closes the session, and the arena stays sound', async t => {
  let ended = 0
  const parts = runs(120, 400)
  for (let part = 0; part < parts; part++) {
    const random = createRandom(seed, 3000 + part)
    const host = createHost({ memoryBytes: 4 * MIB, itemBytesMax: 64 * KIB })
    const peer = new Peer(host, () => random.once(6), undefined, 'binary')
    const garbage = randomGarbage(random, random.between(1, 40))
    const pieces = random.pick([1, 30, 3000])
    peer.feedPieces(garbage, () => random.between(1, pieces))
    if (peer.session.state === State.ENDED) ended++
    if (peer.session.isStuck()) t.fail(`part ${part} is stuck`)
    peer.session.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    if (peer.restMax > 8 * KIB) t.fail(`part ${part} leaves ${peer.restMax} bytes uneaten`)
    verifyAll(host)
    const next = new Peer(host)
    next.feed(bytesOf(store(Op.SET, 'a', 'ok') + frame(Op.GET, { key: 'a' })))
    const { responses } = parseFrames(next.take().toString('latin1'))
    if (responses[1]?.value !== 'ok') t.fail(`part ${part}: the next session is not served`)
  }
  t.ok(ended > parts / 8, `${ended} of them end the conversation`)
})

t.test('a session closed in any state releases its holds', async t => {
  const seen = new Set<number>()
  for (let part = 0; part < runs(160, 300); part++) {
    const random = createRandom(seed, 5000 + part)
    const host = createHost()
    const stuckOneIn = random.pick([1, 4])
    const peer = new Peer(host, () => random.once(stuckOneIn), 64 * READ_BYTES)
    const stream = randomFrames(random, { valueBytesMax: 2e6, commands: 4 })
    peer.queue(stream.subarray(0, random.once(2) ? stream.length : random.below(stream.length)))
    peer.queue(bytesOf(random.pick(UNFINISHED)))
    for (let turns = random.between(1, 12); turns > 0; turns--) peer.eat()
    seen.add(peer.session.state)
    peer.session.close()
    peer.session.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    verifyAll(host)
  }
  for (const state of [State.COMMAND, State.SENDING, State.FILLING, State.SWALLOW]) {
    t.ok(seen.has(state), `state ${state} was met`)
  }
})

t.test('a value whose arena is emptied meanwhile arrives complete', async t => {
  const host = createHost()
  let stuck = true
  const peer = new Peer(host, () => stuck)
  peer.feed(bytesOf(store(Op.SETQ, 'a', 'v'.repeat(200_000))))
  peer.queue(bytesOf(frame(Op.GET, { key: 'a' }) + NOOP))
  peer.eat()
  t.equal(peer.session.state, State.SENDING)
  resetArena(host.cache.shards[0].arena, new Set())
  stuck = false
  peer.goOn()
  const [hit, noop] = parseFrames(peer.take().toString('latin1')).responses
  t.equal(hit.value, 'v'.repeat(200_000))
  t.equal(noop.opcode, Op.NOOP)
  t.equal(heldCount(host), 0)
  verifyAll(host)
})

t.test('an upload whose arena is emptied meanwhile is refused', async t => {
  for (const opcode of [Op.SET, Op.ADDQ, Op.APPEND]) {
    const host = createHost()
    const peer = new Peer(host)
    const extras = opcode === Op.APPEND ? '' : '\0'.repeat(8)
    const upload = frame(opcode, { extras, key: 'a', value: 'v'.repeat(100_000), cas: 5n })
    peer.feed(bytesOf(upload.slice(0, 60_000)))
    t.equal(peer.session.state, State.FILLING)
    resetArena(host.cache.shards[0].arena, new Set())
    peer.feed(bytesOf(upload.slice(60_000) + frame(Op.GET, { key: 'a' })))
    const { responses } = parseFrames(peer.take().toString('latin1'))
    t.same(
      responses.map(({ status, value }) => [status, value]),
      [
        [0x82, 'Out of memory allocating item'],
        [0x01, 'Not found'],
      ],
    )
    verifyAll(host)
  }
})

t.test('without memory the peer gets an error', async t => {
  const host = createHost({ memoryBytes: 4 * MIB, evictions: false })
  const peer = new Peer(host)
  const value = 'v'.repeat(20_000)
  for (let i = 0; i < 400; i++) peer.feed(bytesOf(store(Op.SETQ, `k${i}`, value)))
  peer.take()
  const large = store(Op.SET, 'large', 'v'.repeat(500_000))
  const none = count(Op.INCR, `n${'n'.repeat(200)}`, 1n, 1n, 0)
  for (let i = 0; i < 20_000; i++) peer.feed(bytesOf(store(Op.SETQ, `small${i}`, 'v'.repeat(150))))
  peer.take()
  peer.feed(bytesOf(store(Op.SET, 'new', value) + large + none + NOOP))
  const { responses } = parseFrames(peer.take().toString('latin1'))
  t.same(
    responses.map(({ status, value }) => [status, value]),
    [
      [0x82, 'Out of memory allocating item'],
      [0x82, 'Out of memory allocating item'],
      [0x82, 'Out of memory incrementing value'],
      [0, ''],
    ],
  )
  verifyAll(host)
})

t.test('a flush that is not allowed fails', async t => {
  const peer = new Peer({ ...createHost(), flushAllowed: false })
  peer.feed(bytesOf(frame(Op.FLUSH) + frame(Op.FLUSHQ) + NOOP))
  const { responses } = parseFrames(peer.take().toString('latin1'))
  t.same(
    responses.map(({ status, value }) => [status, value]),
    [
      [0x20, 'Auth failure.'],
      [0x20, 'Auth failure.'],
      [0, ''],
    ],
  )
})

t.test('the protocol of a listener decides', async t => {
  const said = (protocol: ProtocolName, text: string) => {
    const peer = new Peer(createHost(), undefined, undefined, protocol)
    peer.feed(bytesOf(text))
    return [peer.take().toString('latin1'), peer.session.state]
  }
  t.same(said('binary', 'version\r\n'), ['', State.COMMAND], 'a header is waited for')
  t.same(said('binary', 'version\r\n'.repeat(3)), ['', State.ENDED])
  t.same(said('ascii', `${frame(Op.GET, { key: 'k' })}\r\n`), ['ERROR\r\n', State.COMMAND])
  t.same(said('auto', NOOP), [frame(Op.NOOP, { magic: 0x81 }), State.COMMAND])
  t.same(said('binary', NOOP), [frame(Op.NOOP, { magic: 0x81 }), State.COMMAND])
})

t.test('-vv shows each header that comes and goes once', async t => {
  const lines: string[] = []
  const host = { ...createHost(), log: (line: string) => lines.push(line) }
  host.control[Control.VERBOSITY] = 2
  const peer = new Peer(host)
  peer.feedPieces(bytesOf(frame(Op.GET, { key: 'k' }) + frame(Op.GETQ, { key: 'k' })), () => 1)
  t.same(
    lines.map(line => line.split('\n')[0]),
    [
      '<32 Read binary protocol data:',
      '>32 Writing bin response:',
      '<32 Read binary protocol data:',
    ],
  )
  t.equal(lines[0].split('\n')[1], '<32    0x80 0x00 0x00 0x01')
  t.equal(lines[1].split('\n')[1], '>32    0x81 0x00 0x00 0x00')
  t.equal(lines[0].split('\n').length, 7)
  lines.length = 0
  peer.feedPieces(bytesOf(store(Op.SET, 'k', 'v'.repeat(5000))), () => 1000)
  t.equal(lines.length, 2, 'a value that streams is answered once')
  lines.length = 0
  host.control[Control.VERBOSITY] = 1
  peer.feed(bytesOf(frame(Op.GET)))
  new Peer(host, undefined, undefined, 'binary').feed(bytesOf('version\r\n'.repeat(3)))
  t.same(lines, ['<32 Protocol error: opcode 0x00', '<32 Invalid magic: 0x76'])
})

/** The responses to a stream on a new cache, and its host. */
function replies(stream: Buffer, feed: (peer: Peer) => void, sticks?: () => boolean) {
  const host = createHost()
  host.reply.area = Area.allocate(host.reply.area.bytes.length)
  const peer = new Peer(host, sticks, stream.length + 2 * READ_BYTES)
  feed(peer)
  return [peer.take(), host] as const
}

/** Frames on keys of this stream only, without frames about the whole cache. */
function ownFrames(random: ReturnType<typeof createRandom>, name: string): Buffer {
  const keys = ['1', '2', '3'].map(key => name + key)
  const parts = Array.from({ length: 60 }, () => {
    const key = random.pick(keys)
    const value = name.repeat(random.pick([0, 1, 100, 5000, 40_000, 70_000]))
    return random.pick([
      store(random.pick([Op.SET, Op.SETQ, Op.ADD]), key, value),
      frame(random.pick([Op.GET, Op.GETKQ]), { key }),
      frame(Op.DELETE, { key }),
      NOOP,
    ])
  })
  return bytesOf(parts.join(''))
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function difference(given: Buffer, wanted: Buffer): string {
  let at = 0
  while (at < given.length && given[at] === wanted[at]) at++
  const show = (bytes: Buffer) => JSON.stringify(bytes.toString('latin1', at - 40, at + 60))
  return `at ${at} of ${wanted.length}: ${show(given)} instead of ${show(wanted)}`
}
