// Long values that bypass the buffers of a session, to and from their places in the arena: the
// replies are the same as through the buffers, whatever happens to the item and whenever the peer
// closes.

import t from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { HOLD_SLOTS_MAX } from '../../lib/engine/arena/arena.ts'
import { CLASS_USED_COUNT, classAt } from '../../lib/engine/arena/layout.ts'
import { resetArena } from '../../lib/engine/items/keeps.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { READ_BYTES, STREAM_VALUE_BYTES_MIN } from '../../lib/protocol/limits.ts'
import { INSERTS_HELD_MAX } from '../../lib/protocol/session.ts'
import { randomFrames } from '../support/binary-stream.ts'
import { DirectPeer } from '../support/direct-session.ts'
import { makeValue } from '../support/engine-values.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { runs } from '../support/runs.ts'
import { createHost, heldCount, Peer, verifyAll } from '../support/server-session.ts'
import { randomStream } from '../support/server-stream.ts'

const seed = announceSeed(t)

const NEVER = () => false
const CRLF = Buffer.from('\r\n')
const END = Buffer.from('END\r\n')
const STREAMS = {
  text: (random: Random) => randomStream(random, { valueBytesMax: 2e6, commands: 40 }),
  binary: (random: Random) => randomFrames(random, { valueBytesMax: 2e6, commands: 40 }),
}

for (const [name, make] of Object.entries(STREAMS)) {
  t.test(`${name}: the replies are the same as with copies`, async t => {
    let direct = 0
    let inserted = 0
    for (let part = 0; part < runs(20, 60); part++) {
      const random = createRandom(seed, part)
      const stream = make(random)
      const copying = new Peer(createHost(), NEVER, stream.length + READ_BYTES)
      copying.feed(stream)
      const wanted = copying.take()
      const oneIn = random.pick([1, 3, 1000])
      const host = createHost()
      const peer = new DirectPeer(host, () => random.once(oneIn), stream.length + READ_BYTES)
      const lengths = random.pick([[1, 5000, 65_536], [16_384], [65_536], [4095, 300_000]])
      peer.feedPieces(stream, () => random.pick(lengths))
      const given = peer.take()
      if (!given.equals(wanted)) t.fail(`part ${part}: ${given.length} of ${wanted.length} bytes`)
      if (heldCount(host) > 0) t.fail(`part ${part}: ${heldCount(host)} items are held`)
      verifyAll(host)
      direct += peer.directBytes
      inserted += peer.insertedBytes
    }
    t.ok(direct > MIB, `${direct} bytes went to their place`)
    t.ok(inserted > MIB, `${inserted} bytes came from their place`)
  })
}

t.test('a value and its line end, cut at every byte', async t => {
  const text = `set a 0 0 40000\r\n${'v'.repeat(40_000)}\r\nget a\r\nms b 39999\r\n${'w'.repeat(39_999)}\r\nmg b v\r\n`
  const stream = Buffer.from(text)
  const host = createHost()
  const [store, next] = [text.indexOf('\n') + 1, text.indexOf('ms b')]
  const cuts = [store - 1, store, store + 1, store + 20_000]
  for (let cut = 40_000 + store - 3; cut < next + 20; cut++) cuts.push(cut)
  for (let cut = stream.length - 12; cut < stream.length; cut++) cuts.push(cut)
  const whole = new Peer(createHost(), NEVER, stream.length)
  whole.feed(stream)
  const wanted = whole.take()
  for (const cut of cuts) {
    for (const second of [0, 1, 2]) {
      const peer = new DirectPeer(host, NEVER, stream.length)
      const at = Math.max(cut, 30_000)
      peer.feed(stream.subarray(0, Math.min(cut, 30_000)))
      peer.feed(stream.subarray(Math.min(cut, 30_000), at))
      peer.feed(stream.subarray(at, at + second))
      peer.feed(stream.subarray(at + second))
      if (!peer.take().equals(wanted)) t.fail(`cut at ${cut}, and ${second} behind it`)
    }
  }
  t.equal(heldCount(host), 0)
  verifyAll(host)
})

t.test('a value being sent arrives complete, whatever happens to its item', async t => {
  const fates: Record<string, (host: Host, peer: Peer) => void> = {
    replaced: (_host, peer) => peer.feed(setOf('a', makeValue(2, 700_000))),
    deleted: (_host, peer) => peer.feed(Buffer.from('delete a\r\n')),
    flushed: (_host, peer) => peer.feed(Buffer.from('flush_all\r\n')),
    appended: (_host, peer) => peer.feed(Buffer.from('append a 0 0 3\r\nend\r\n')),
    touched: (_host, peer) => peer.feed(Buffer.from('touch a 1\r\n')),
    evicted: (_host, peer) => {
      for (let i = 0; i < 60; i++) peer.feed(setOf(`e${i}`, makeValue(i, 400_000)))
    },
    moved: host => {
      for (let i = 0; i < 400; i++) {
        host.cache.reassignPage(-1, 0)
        host.cache.upkeep(0)
      }
    },
    emptied: (host, peer) => {
      resetArena(host.cache.shards[0].arena, new Set([99]))
      for (let i = 0; i < 60; i++) peer.feed(setOf(`e${i}`, makeValue(i, 400_000)))
    },
  }
  for (const [name, fate] of Object.entries(fates)) {
    for (const bytes of [33 * KIB, 700_000, 3 * MIB]) {
      const host = createHost({ memoryBytes: 16 * MIB, itemBytesMax: 4 * MIB })
      const other = new Peer(host, NEVER, 8 * MIB)
      const value = makeValue(1, bytes)
      other.feed(setOf('a', value))
      const slow = new DirectPeer(host, () => true)
      slow.queue(Buffer.from('get a none a\r\n'))
      slow.eat()
      fate(host, other)
      verifyAll(host)
      slow.goOn()
      const head = `VALUE a 0 ${bytes}\r\n`
      const got = slow.take()
      t.ok(got.subarray(head.length, head.length + bytes).equals(value), `${name}, ${bytes} bytes`)
      t.equal(heldCount(host), 0)
      verifyAll(host)
      other.feed(setOf('b', value))
      other.take()
      other.feed(Buffer.from('get b\r\n'))
      t.ok(other.take().includes(value), 'and the cache serves on')
    }
  }
})

t.test('an upload broken off anywhere releases its memory', async t => {
  const host = createHost({ memoryBytes: 16 * MIB, itemBytesMax: 8 * MIB })
  const random = createRandom(seed, 7)
  const before = usedChunks(host)
  for (let part = 0; part < runs(20, 60); part++) {
    const bytes = random.pick([5000, 70_000, 900_000, 5 * MIB])
    const stream = setOf('a', makeValue(part, bytes)).subarray(0, -3)
    const peer = new DirectPeer(host, NEVER, 8 * MIB)
    const end = random.between(1, stream.length)
    peer.feedPieces(stream.subarray(0, end), () => random.pick([100, 30_000, 65_536]))
    verifyAll(host)
    peer.close()
    if (heldCount(host) > 0 || usedChunks(host) !== before) t.fail(`${end} of ${bytes} bytes`)
    verifyAll(host)
  }
})

t.test('a connection lost while values wait to be sent releases its holds', async t => {
  for (let part = 0; part < runs(20, 40); part++) {
    const random = createRandom(seed, 2000 + part)
    const host = createHost()
    const peer = new DirectPeer(host, () => random.once(2), 8 * MIB)
    peer.queue(STREAMS[random.pick(['text', 'binary'] as const)](random))
    for (let turns = random.between(1, 12); turns > 0; turns--) peer.eat()
    peer.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    verifyAll(host)
  }
})

t.test(
  'an upload for which there is no more memory is refused, and the old value gone',
  async t => {
    const host = createHost({ memoryBytes: 16 * MIB, itemBytesMax: 8 * MIB, evictions: false })
    const peer = new DirectPeer(host, NEVER, 16 * MIB)
    peer.feed(setOf('a', makeValue(1, 6 * MIB)))
    const first = new DirectPeer(host, NEVER, 16 * MIB)
    const whole = setOf('b', makeValue(2, 7 * MIB))
    first.feed(whole.subarray(0, 4 * MIB))
    peer.take()
    peer.feed(Buffer.concat([setOf('a', makeValue(3, 7 * MIB)), Buffer.from('get a\r\n')]))
    t.equal(`${peer.take()}`, 'SERVER_ERROR out of memory storing object\r\nEND\r\n')
    verifyAll(host)
    first.feed(whole.subarray(4 * MIB))
    t.equal(`${first.take()}`, 'STORED\r\n')
    t.equal(heldCount(host), 0)
    verifyAll(host)
  },
)

t.test('values in flight are bounded by the holds, and one more gets an error', async t => {
  const host = createHost({ memoryBytes: 64 * MIB })
  const other = new Peer(host, NEVER, MIB)
  other.feed(setOf('a', makeValue(1, 40_000)))
  const slow: DirectPeer[] = []
  for (let i = 0; i < HOLD_SLOTS_MAX; i++) {
    const peer = new DirectPeer(host, () => true, 100)
    const upload = `set b${i} 0 0 ${STREAM_VALUE_BYTES_MIN}\r\n`
    peer.queue(Buffer.from(i < INSERTS_HELD_MAX ? 'get a\r\n' : upload))
    peer.eat()
    slow.push(peer)
  }
  t.equal(heldCount(host), HOLD_SLOTS_MAX)
  other.take()
  other.feed(Buffer.from('get a\r\n'))
  t.equal(
    `${other.take()}`,
    'SERVER_ERROR out of memory writing get response\r\n',
    'nobody waits for a hold',
  )
  const one = slow[5]
  one.goOn()
  t.ok(one.take().includes(makeValue(1, 40_000)))
  for (const peer of slow) peer.close()
  t.equal(heldCount(host), 0)
  verifyAll(host)
})

t.test('slow readers that ask for many values at once leave holds to others', async t => {
  const host = createHost()
  const other = new Peer(host, NEVER, MIB)
  const value = makeValue(1, 33 * KIB)
  other.feed(setOf('a', value))
  other.take()
  const keys = 60
  const slow: DirectPeer[] = []
  for (let i = 0; i < 160; i++) {
    const peer = new DirectPeer(host, () => true, 1000)
    peer.queue(Buffer.from(`get${' a'.repeat(keys)}\r\n`))
    peer.eat()
    slow.push(peer)
  }
  t.ok(heldCount(host) < (3 / 4) * HOLD_SLOTS_MAX, `${heldCount(host)} of ${HOLD_SLOTS_MAX}`)
  other.feed(Buffer.from('get a\r\n'))
  const hit = Buffer.concat([Buffer.from(`VALUE a 0 ${value.length}\r\n`), value, CRLF])
  t.ok(other.take().equals(Buffer.concat([hit, END])))
  const wanted = Buffer.concat([...new Array(keys).fill(hit), END])
  for (const peer of slow) {
    peer.goOn()
    if (!peer.take().equals(wanted)) t.fail('a slow reader gets what it asked for')
  }
  t.equal(heldCount(host), 0)
  verifyAll(host)
})

function setOf(key: string, value: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`set ${key} 0 0 ${value.length}\r\n`),
    value,
    Buffer.from('\r\n'),
  ])
}

function usedChunks({ cache }: Host): number {
  let used = 0
  for (const { arena } of cache.shards) {
    for (let classId = 1; classId <= arena.classCount; classId++) {
      used += arena.words[classAt(classId) + CLASS_USED_COUNT]
    }
  }
  return used
}
