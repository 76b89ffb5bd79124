// A session without a socket: requests cut anywhere, an outlet that gets stuck, garbage, and
// released holds. Every run is random from a printed seed.

import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { MIB } from '../../lib/bytes/units.ts'
import { resetArena } from '../../lib/engine/items/keeps.ts'
import { State } from '../../lib/protocol/conversation.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { runs } from '../support/runs.ts'
import { createHost, heldCount, Peer, verifyAll } from '../support/server-session.ts'
import { randomGarbage, randomStream } from '../support/server-stream.ts'

const seed = announceSeed(t)

const REQUESTS = [
  'set a 5 0 3\r\nabc\r\nset b 0 0 0\r\n\r\nadd a 0 0 1\r\nx\r\nappend a 0 0 2\r\nde\r\n',
  'get a b none\r\ngets a\r\nget a\ngat 0 a b\r\nset n 0 0 1\r\n9\r\nincr n 1\r\ndecr n 5\r\n',
  'set q 0 0 1 noreply\r\nq\r\nget q\r\ntouch q 5\r\ndelete q\r\ndelete q 0 noreply\r\n',
  'foo\r\n\r\nget\r\nset a 0 0 x\r\nset a 0 0 2\r\nabc\r\nget a\0b\r\nversion\r\nverbosity 1\r\n',
  `get a ${'k'.repeat(251)} b\r\nget b\r\ngat x a\r\nflush_all\r\nget a\r\n`,
]
const LONG_VALUE = `set long 0 0 4200\r\n${'long'.repeat(1050)}\r\nget long none long\r\n`
// A stream that ends in these leaves the session inside a get, inside a value, or between requests.
const UNFINISHED = [
  '',
  `\r\nget ${'a '.repeat(2000)}`,
  `\r\nset v 0 0 90000\r\n${'v'.repeat(90_000)}\r\nget ${'v '.repeat(30)}\r\n`,
  `\r\nset v 0 0 90000\r\n${'v'.repeat(20_000)}`,
  `\r\nset v 0 0 3000000\r\n${'v'.repeat(20_000)}`,
]
const BROKEN_VALUE = `set long 0 0 4100\r\n${'y'.repeat(4101)}\r\nget long\r\n`

t.test('requests cut at every byte get the same replies', async t => {
  const stream = Buffer.from(REQUESTS.join(''), 'latin1')
  const [whole] = replies(stream, peer => peer.feed(stream))
  for (let cut = 1; cut < stream.length; cut++) {
    const [given, host] = replies(stream, peer => {
      peer.feed(stream.subarray(0, cut))
      peer.feed(stream.subarray(cut))
    })
    if (!given.equals(whole)) t.equal(given.toString('latin1'), whole.toString('latin1'), `${cut}`)
    if (cut % 50 === 0) verifyAll(host)
  }
  const [bytewise] = replies(stream, peer => peer.feedPieces(stream, () => 1))
  t.equal(bytewise.toString('latin1'), whole.toString('latin1'), 'byte by byte')
})

t.test('long values cut at every byte get the same replies', async t => {
  for (const text of [LONG_VALUE, BROKEN_VALUE]) {
    const stream = Buffer.from(`flush_all\r\n${text}`)
    const [whole, host] = replies(stream, peer => peer.feed(stream))
    const differing: number[] = []
    for (let cut = 1; cut < stream.length; cut++) {
      const peer = new Peer(host, () => false, stream.length)
      peer.feed(stream.subarray(0, cut))
      peer.feed(stream.subarray(cut))
      if (!peer.take().equals(whole) || heldCount(host) > 0) differing.push(cut)
    }
    t.same(differing, [])
    verifyAll(host)
  }
})

t.test('random streams in random pieces get the same replies', async t => {
  for (let part = 0; part < runs(15, 60); part++) {
    const random = createRandom(seed, part)
    const stream = randomStream(random, { valueBytesMax: random.pick([100, 2e6]), commands: 60 })
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

t.test('an outlet that gets stuck anywhere gets the same replies', async t => {
  for (let part = 0; part < runs(30, 120); part++) {
    const random = createRandom(seed, 1000 + part)
    const stream = randomStream(random, { valueBytesMax: 2e6, commands: 60 })
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

t.test('a stuck session continues in multi-gets, long values and reports', async t => {
  const values = [10, 20_000, 32_768, 32_769, 65_535, 65_536, 65_537, 500_000]
  const stored = values.map(n => `set k${n} 0 0 ${n}\r\n${'v'.repeat(n)}\r\n`).join('')
  const get = `get ${values.map(n => `k${n}`).join(' none ')} ${'k20000 '.repeat(40)}\r\n`
  const stream = Buffer.from(`${stored}${get}stats settings\r\n${get}version\r\n`)
  const [whole] = replies(stream, peer => peer.feed(stream))
  let stuck = 0
  const always = () => ++stuck > 0
  const [given, host] = replies(stream, peer => peer.feed(stream), always)
  t.ok(given.equals(whole), difference(given, whole))
  t.ok(stuck > 30, `stuck ${stuck} times`)
  t.equal(heldCount(host), 0)
})

t.test('two sessions of one thread do not disturb each other', async t => {
  for (let part = 0; part < runs(10, 30); part++) {
    const random = createRandom(seed, 2000 + part)
    const streams = ['x', 'y'].map(name => ownKeys(random, name))
    const alone = streams.map(stream => replies(stream, peer => peer.feed(stream))[0])
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
      const [given, wanted] = [peer.take(), alone[i]].map(withoutChanges)
      if (!given.equals(wanted)) t.fail(`part ${part}: ${difference(given, wanted)}`)
    })
    verifyAll(host)
  }
})

/** Without what `stats settings` says of changes: each session sees those of the other. */
function withoutChanges(given: Buffer): Buffer {
  return Buffer.from(given.toString('latin1').replace(/STAT changed:.*\r\n/g, ''), 'latin1')
}

t.test('garbage is answered, and the arena stays sound', async t => {
  for (let part = 0; part < runs(120, 400); part++) {
    const random = createRandom(seed, 3000 + part)
    const host = createHost({ memoryBytes: 4 * MIB, itemBytesMax: 64 * 1024 })
    const peer = new Peer(host, () => random.once(6))
    const garbage = randomGarbage(random, random.between(1, 600))
    peer.feedPieces(garbage, () => random.between(1, 3000))
    verifyAll(host)
    peer.session.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    verifyAll(host)
    const next = new Peer(host)
    next.feed(Buffer.from('set a 1 0 2\r\nok\r\nget a\r\n'))
    t.ok(next.take().equals(Buffer.from('STORED\r\nVALUE a 1 2\r\nok\r\nEND\r\n')), `part ${part}`)
  }
})

t.test('a session closed in any state releases its holds', async t => {
  const seen = new Set<number>()
  for (let part = 0; part < runs(160, 300); part++) {
    const random = createRandom(seed, 4000 + part)
    const host = createHost()
    const stuckOneIn = random.pick([1, 4])
    const peer = new Peer(host, () => random.once(stuckOneIn))
    const stream = randomStream(random, { valueBytesMax: 2e6, commands: 4 })
    const taken = random.between(0, Math.min(stream.length, 150_000))
    peer.queue(stream.subarray(0, taken))
    peer.queue(Buffer.from(random.pick(UNFINISHED)))
    for (let turns = random.between(1, 12); turns > 0; turns--) peer.eat()
    seen.add(peer.session.state)
    peer.session.close()
    peer.session.close()
    if (heldCount(host) > 0) t.fail(`part ${part} leaves ${heldCount(host)} items held`)
    verifyAll(host)
  }
  for (const state of [State.COMMAND, State.KEYS, State.SENDING, State.FILLING, State.SWALLOW]) {
    t.ok(seen.has(state), `state ${state} was met`)
  }
})

t.test('a value whose arena is emptied meanwhile arrives complete', async t => {
  const host = createHost()
  let stuck = true
  const peer = new Peer(host, () => stuck)
  const value = 'v'.repeat(200_000)
  peer.feed(Buffer.from(`set a 0 0 200000\r\n${value}\r\n`))
  peer.take()
  peer.queue(Buffer.from('get a\r\nversion\r\n'))
  peer.eat()
  t.equal(peer.session.state, State.SENDING)
  resetArena(host.cache.shards[0].arena, new Set())
  stuck = false
  peer.goOn()
  const reply = `VALUE a 0 200000\r\n${value}\r\nEND\r\nVERSION 1.2.3-test\r\n`
  t.equal(peer.take().toString('latin1'), reply)
  t.equal(heldCount(host), 0)
  verifyAll(host)
})

t.test('an upload whose arena is emptied meanwhile is refused', async t => {
  const host = createHost()
  const peer = new Peer(host)
  peer.feed(Buffer.from(`set a 0 0 100000\r\n${'v'.repeat(60_000)}`))
  t.equal(peer.session.state, State.FILLING)
  resetArena(host.cache.shards[0].arena, new Set())
  peer.feed(Buffer.from(`${'v'.repeat(40_000)}\r\nget a\r\n`))
  t.equal(peer.take().toString(), 'SERVER_ERROR out of memory storing object\r\nEND\r\n')
  verifyAll(host)
})

/** The replies to a stream on a new cache, and its host. */
function replies(stream: Buffer, feed: (peer: Peer) => void, sticks?: () => boolean) {
  const host = createHost()
  host.reply.area = Area.allocate(host.reply.area.bytes.length)
  const peer = new Peer(host, sticks, Math.max(stream.length, 1000) + 70_000)
  feed(peer)
  return [peer.take(), host] as const
}

/** A stream with keys of its own, without replies that depend on CAS numbers or the whole cache. */
function ownKeys(random: Random, name: string): Buffer {
  const text = randomStream(random, { valueBytesMax: 70_000, commands: 40 }).toString('latin1')
  const renamed = text
    .replaceAll(/\b(a|b|c|long|longer|counter|none)\b/g, `$1${name}`)
    .replaceAll('K'.repeat(250), name.repeat(250))
    .replaceAll('flush_all', 'verbosity 0')
    .replaceAll(/(get|gat)s /g, '$1 ')
    .replaceAll(/ 0 0 1 \d+( noreply)?\r\n/g, ' 0 0 1 999999999$1\r\n')
  return Buffer.from(renamed, 'latin1')
}

function difference(given: Buffer, wanted: Buffer): string {
  let at = 0
  while (at < given.length && given[at] === wanted[at]) at++
  const show = (bytes: Buffer) => JSON.stringify(bytes.toString('latin1', at - 40, at + 60))
  return `at ${at} of ${wanted.length}: ${show(given)} instead of ${show(wanted)}`
}
