// Meta commands in sessions without a socket: cut anywhere, with outlets that get stuck, two
// sessions of one thread, and released holds. test/compat compares their meaning with memcached.

import t, { type Test } from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { chunkWords, HOLD_SLOTS_MAX } from '../../../lib/engine/arena/arena.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import type { Hold } from '../../../lib/engine/items/holds.ts'
import { resetArena } from '../../../lib/engine/items/keeps.ts'
import { READS_SLOTS_SHARE } from '../../../lib/engine/limits.ts'
import { Status } from '../../../lib/engine/status.ts'
import { Ask } from '../../../lib/engine/storing/ask.ts'
import { State } from '../../../lib/protocol/conversation.ts'
import type { Host } from '../../../lib/protocol/host.ts'
import {
  INLINE_VALUE_BYTES_MAX,
  REPLY_BYTES,
  STREAM_VALUE_BYTES_MIN,
} from '../../../lib/protocol/limits.ts'
import { randomMetaSession } from '../../support/meta-session.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'
import { createHost, heldCount, Peer, verifyAll } from '../../support/server-session.ts'
import { LARGE, randomGarbage, SIZES } from '../../support/server-stream.ts'

const seed = announceSeed(t)

const REQUESTS = [
  'ms a 3 F5 T300 k c O123\r\nabc\r\nmg a v k s f t O9\r\nms a 2 MA c\r\nde\r\nmg a v h\r\nmg none k O1\r\n',
  'mg b N60 v t\r\nmg b v N60 k\r\nms b 1 C1 I\r\nx\r\nmd b I T30 q\r\nmg b v c\r\nmg b v\r\nmd b k\r\nmd b q\r\n',
  'ms n 1 q\r\n9\r\nma n v t\r\nma n MD D5 v k O\r\nma m N0 J7 v c\r\nma none k\r\nma none q\r\nmn\r\n',
  'ms aw== 4 b k\r\n\r\n\r\n\r\nmg aw== b k v\r\nme k\r\nmd aw== b k O2\r\nmg = b\r\nmd k x\r\nme\r\n',
  'mg\r\nms\r\nms a\r\nms a x\r\nms a 3 !\r\nabc\r\nms a 3 k\r\nabcd\r\nms a 3 MX\r\nmn\r\r\nmg a v v\r\nmn\r\n',
  `mg ${'K'.repeat(251)} v\r\nms ${'K'.repeat(251)} 2\r\nhi\r\nma n !\r\nget a n\r\nmg a v q f\r\nmg x q\r\n mn x\r\n`,
]
const LONG_FLAGS = ['k O1 c s F7 T60', 'c', 'b k s', 'q', 'k O1 MA s']

t.test('requests cut at every byte get the same replies', async t => {
  cutEverywhere(t, REQUESTS.join(''), 'requests')
})

t.test('long values cut at every byte get the same replies', async t => {
  const length = STREAM_VALUE_BYTES_MIN + 30
  for (const flags of LONG_FLAGS) {
    const store = `ms a2V5 ${length} ${flags}\r\n${'x'.repeat(length)}\r\n`
    const broken = `ms a2V5 ${length} ${flags}\r\n${'y'.repeat(length + 1)}\r\n`
    for (const text of [store, broken]) {
      cutEverywhere(t, `${text}mg key s k\r\nmg a2V5 v f\r\n`, flags)
    }
  }
})

t.test('random sessions in pieces with stuck outlets get the same replies', async t => {
  for (let part = 0; part < runs(15, 60); part++) {
    const random = createRandom(seed, part)
    const stream = randomStream(random, 80)
    const [whole] = replies(stream, peer => peer.feed(stream))
    const oneIn = random.pick([1, 2, 5, 1e9])
    const longest = random.pick(stream.length < 20_000 ? [1, 20, 1000] : [1000, 65_536])
    const feed = (peer: Peer) => peer.feedPieces(stream, () => random.between(1, longest))
    const [given, host] = replies(stream, feed, () => random.once(oneIn))
    if (!given.equals(whole)) t.fail(`part ${part}: ${difference(given, whole)}`)
    if (heldCount(host) > 0) t.fail(`part ${part}: ${heldCount(host)} items are held`)
    verifyAll(host)
  }
})

t.test('values of every size come back, from one reply or from many', async t => {
  for (const size of [...SIZES, ...LARGE]) {
    const host = createHost()
    const value = 'v'.repeat(size)
    const given = talk(
      host,
      Buffer.from(`ms k ${size} T60\r\n${value}\r\nmg k v t s\r\nmg k s\r\nmn\r\n`),
    )
    t.ok(given === `HD\r\nVA ${size} t60 s${size}\r\n${value}\r\nHD s${size}\r\nMN\r\n`, `${size}`)
    t.equal(heldCount(host), 0)
  }
})

t.test('one session wins, and the other is told so', async t => {
  const host = createHost()
  const [first, second] = [new Peer(host), new Peer(host)]
  const say = (peer: Peer, request: string) => {
    peer.feed(Buffer.from(`${request}\r\n`))
    return peer.take().toString('latin1').trimEnd()
  }
  t.equal(say(first, 'mg k N60 v c'), 'VA 0 c1 W')
  t.equal(say(second, 'mg k N60 v'), 'VA 0 Z', 'a miss has one winner')
  t.equal(say(first, 'ms k 3 T90 C1\r\none'), 'HD')
  t.equal(say(second, 'mg k N60 v t'), 'VA 3 t90\r\none')
  t.equal(say(second, 'mg k R100 v'), 'VA 3 W\r\none', 'an item that ends soon has one')
  t.equal(say(first, 'mg k R100 v'), 'VA 3 Z\r\none')
  t.equal(say(second, 'ms k 3 T900\r\ntwo'), 'HD')
  t.equal(say(first, 'mg k R100 v'), 'VA 3\r\ntwo')
  t.equal(say(first, 'md k I T60'), 'HD')
  t.equal(say(second, 'mg k v c t'), 'VA 3 c4 t60 X W\r\ntwo', 'a stale item has one')
  t.equal(say(first, 'mg k v'), 'VA 3 Z X\r\ntwo')
  t.equal(say(first, 'ms k 3 C3 I T900\r\nold'), 'HD', 'an older value is taken, and is stale')
  t.equal(say(second, 'mg k v t'), 'VA 3 t60 Z X\r\nold')
  t.equal(say(second, 'ms k 5 C5 I\r\nthree'), 'HD')
  t.equal(say(first, 'mg k v t'), 'VA 5 t-1\r\nthree')
})

t.test('a win is reported once, however often its reply does not fit', async t => {
  const value = 'v'.repeat(30_000)
  for (let fill = 0; fill < REPLY_BYTES; fill += 1499) {
    const host = createHost()
    talk(
      host,
      Buffer.from(`ms k 30000\r\n${value}\r\nmd k I\r\nms f ${fill}\r\n${'f'.repeat(fill)}\r\n`),
    )
    let sticks = 3
    const peer = new Peer(host, () => sticks-- > 0)
    peer.feed(Buffer.from('mg f v\r\nmg k v\r\nmg k v\r\nmg new N60\r\nmg new N60\r\n'))
    const given = peer.take().toString('latin1')
    const wanted = `VA ${fill}\r\n${'f'.repeat(fill)}\r\nVA 30000 X W\r\n${value}\r\nVA 30000 Z X\r\n${value}\r\nHD W\r\nHD Z\r\n`
    if (given !== wanted) t.fail(`behind ${fill} bytes`)
  }
  t.pass('at each place of the reply buffer')
})

t.test('quiet commands answer when there is something to report', async t => {
  const host = createHost()
  const requests = [
    ['ms k 1 q', '\r\n5', ''],
    ['ms k 1 q ME', '\r\n6', 'NS'],
    ['ms k 1 q C99', '\r\n6', 'EX'],
    ['ms none 1 q C99', '\r\n6', 'NF'],
    ['ms k 1 q', '\r\n66', 'CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format'],
    ['mg k q', '', 'HD'],
    ['mg k q v', '', 'VA 1\r\n5'],
    ['mg none q k O1', '', ''],
    ['ma k q', '', ''],
    ['ma none q', '', 'NF'],
    ['ma k q C99', '', 'EX'],
    ['md k q C99', '', 'EX'],
    ['md k q I', '', ''],
    ['md k q', '', ''],
    ['md k q', '', 'NF'],
    ['mn', '', 'MN'],
  ]
  for (const [line, value, reply] of requests) {
    const wanted = reply === '' ? '' : `${reply}\r\n`
    t.equal(talk(host, Buffer.from(`${line}${value}\r\n`)), wanted, line)
  }
})

t.test('a session closed in any state releases its holds', async t => {
  const seen = new Set<number>()
  for (let part = 0; part < 120; part++) {
    const random = createRandom(seed, 1000 + part)
    const host = createHost()
    const stuckOneIn = random.pick([1, 4])
    const peer = new Peer(host, () => random.once(stuckOneIn), 4 * MIB)
    const value = 'v'.repeat(random.pick([5000, 300_000]))
    const unfinished = `ms z ${value.length} k\r\n${value.slice(0, random.pick([100, 4000]))}`
    const tail = random.pick([
      unfinished,
      `ms z ${value.length}\r\n${value}\r\nmg z v\r\nmg z v\r\n`,
      '',
    ])
    peer.queue(Buffer.concat([randomStream(random, 4), Buffer.from(`\r\n${tail}`)]))
    for (let turns = random.between(1, 12); turns > 0; turns--) peer.eat()
    seen.add(peer.session.state)
    peer.session.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    verifyAll(host)
  }
  for (const state of [State.COMMAND, State.SENDING, State.FILLING]) {
    t.ok(seen.has(state), `state ${state} was met`)
  }
})

t.test('an upload whose arena is emptied meanwhile is refused', async t => {
  const host = createHost()
  const peer = new Peer(host)
  peer.feed(Buffer.from(`ms a 100000 k q\r\n${'v'.repeat(60_000)}`))
  t.equal(peer.session.state, State.FILLING)
  resetArena(host.cache.shards[0].arena, new Set())
  peer.feed(Buffer.from(`${'v'.repeat(40_000)}\r\nmg a\r\n`))
  t.equal(peer.take().toString(), 'SERVER_ERROR out of memory storing object\r\nEN\r\n')
  verifyAll(host)
})

t.test('a value that cannot be held is refused, and no session wins it', async t => {
  const host = createHost()
  const [shard] = host.cache.shards
  const key = new Area(Buffer.from('k'))
  const value = 'v'.repeat(INLINE_VALUE_BYTES_MAX + 1)
  talk(host, Buffer.from(`ms k ${value.length}\r\n${value}\r\nmd k I\r\n`))
  const holds: Hold[] = []
  const sink = { accept: () => Status.HELD }
  const hash = host.cache.hash(key, 0, 1)
  for (let status: Status = Status.HELD; status === Status.HELD; ) {
    const ask = new Ask(key)
    ask.setKey(key, 0, 1, hash)
    status = shard.get(ask, sink)
    if (status === Status.HELD) holds.push(ask.hold)
  }
  t.equal(holds.length, HOLD_SLOTS_MAX * READS_SLOTS_SHARE)
  // Nor may it be copied.
  const room = host.reply.copyRoom.bytes
  host.reply.copyRoom.bytes = 0
  const refused = 'SERVER_ERROR out of memory writing get response\r\n'
  t.equal(talk(host, Buffer.from('mg k v\r\nmn\r\n')), `${refused}MN\r\n`)
  host.reply.copyRoom.bytes = room
  t.equal(talk(host, Buffer.from('mg k v\r\n')), `VA ${value.length} X W\r\n${value}\r\n`)
  for (const hold of holds) shard.release(hold)
  verifyAll(host)
})

t.test('garbage is answered, and the arena stays sound', async t => {
  for (let part = 0; part < runs(60, 120); part++) {
    const random = createRandom(seed, 2000 + part)
    const host = createHost({ memoryBytes: 4 * MIB, itemBytesMax: 64 * 1024 })
    const peer = new Peer(host, () => random.once(6))
    peer.feedPieces(spoiled(random, randomStream(random, 40)), () => random.between(1, 3000))
    verifyAll(host)
    peer.session.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    verifyAll(host)
    t.equal(talk(host, Buffer.from('ms a 2 k\r\nok\r\nmg a v\r\n')), 'HD ka\r\nVA 2\r\nok\r\n')
  }
})

/**
 * Asserts that a stream cut in two gets the same replies at every cut, each time on an empty cache.
 */
function cutEverywhere(t: Test, text: string, name: string): void {
  const stream = Buffer.from(`flush_all\r\n${text}`, 'latin1')
  const host = createHost()
  const wanted = withoutCas(talk(host, stream))
  const differing: number[] = []
  for (let cut = 1; cut < stream.length; cut++) {
    const peer = new Peer(host, () => false, stream.length)
    peer.feed(stream.subarray(0, cut))
    peer.feed(stream.subarray(cut))
    const given = withoutCas(peer.take().toString('latin1'))
    if (given !== wanted || heldCount(host) > 0) differing.push(cut)
    if (cut % 100 === 0) verifyAll(host)
  }
  const bytewise = new Peer(host)
  bytewise.feedPieces(stream, () => 1)
  t.equal(withoutCas(bytewise.take().toString('latin1')), wanted, `${name}, byte by byte`)
  t.same(differing, [], name)
  verifyAll(host)
}

function withoutCas(replies: string): string {
  return replies.replaceAll(/ c\d+/g, ' c*').replaceAll(/cas=\d+/g, 'cas=*')
}

/** A random session without absolute times, with fixed CAS numbers and long values. */
function randomStream(random: Random, commands: number): Buffer {
  const texts = randomMetaSession(random, commands).map(command => {
    return command
      .replaceAll(/<CAS [^>]*>/g, () => `${random.between(1, 60)}`)
      .replaceAll(/4000000000|2147483647/g, '100000')
  })
  for (let count = random.between(0, 6); count > 0; count--) {
    const size = random.pick([...SIZES, ...LARGE])
    const flags = random.pick(['', ' k c', ' O1 s q', ' MA', ' T60 k'])
    // No long lines: read as commands after a broken length they may close the session.
    const value = `${'v'.repeat(999)}\n`.repeat(Math.ceil(size / 1000)).slice(0, size)
    const store = `ms k1 ${size}${flags}\r\n${value}\r\n`
    texts.splice(random.below(texts.length), 0, store, 'mg k1 v k s\r\n')
  }
  return Buffer.from(texts.join(''), 'latin1')
}

/** A stream with some bytes changed, lost or inserted. */
function spoiled(random: Random, stream: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + random.between(1, 400))
    parts.push(stream.subarray(at, end))
    if (random.once(2)) parts.push(randomGarbage(random, random.between(1, 3)))
    at = end + (random.once(3) ? random.between(0, 3) : 0)
  }
  return Buffer.concat(parts)
}

/** The replies to a new session. */
function talk(host: Host, stream: Buffer): string {
  const peer = new Peer(host, () => false, Math.max(stream.length, 1000) + 70_000)
  peer.feed(stream)
  return peer.take().toString('latin1')
}

/** The replies to a stream on a new cache, and its host. */
function replies(stream: Buffer, feed: (peer: Peer) => void, sticks?: () => boolean) {
  const host = createHost()
  host.reply.area = Area.allocate(host.reply.area.bytes.length)
  const peer = new Peer(host, sticks, Math.max(stream.length, 1000) + 70_000)
  feed(peer)
  return [peer.take(), host] as const
}

function difference(given: Buffer, wanted: Buffer): string {
  let at = 0
  while (at < given.length && given[at] === wanted[at]) at++
  const show = (bytes: Buffer) => JSON.stringify(bytes.toString('latin1', at - 40, at + 60))
  return `at ${at} of ${wanted.length}: ${show(given)} instead of ${show(wanted)}`
}

t.test('a number in a long value grows without touching its neighbours', async t => {
  const host = createHost({ memoryBytes: 4 * MIB })
  const peer = new Peer(host)
  const { arena } = host.cache.shards[0]
  const largest = chunkWords(arena, arena.baseClasses) * 4
  const send = (text: string) => {
    peer.feed(Buffer.from(text, 'latin1'))
    return peer.take().toString('latin1')
  }
  for (let spare = 0; spare <= 16; spare++) {
    const length = largest - L.ITEM_WORDS * 4 - 'n'.length - spare
    const value = `5 ${'x'.repeat(length - 2)}`
    const next = 'y'.repeat(length)
    send(`ms n ${length}\r\n${value}\r\nms o ${length}\r\n${next}\r\n`)
    const reply = send(`ma n D1 E7 v\r\n`)
    t.match(reply, /^(VA 1\r\n6\r\n|CLIENT_ERROR cannot increment)/, `${spare} bytes to spare`)
    t.equal(send('mg o v\r\n'), `VA ${length}\r\n${next}\r\n`)
    verifyAll(host)
  }
})
