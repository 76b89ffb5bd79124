// Hot keys: the sketch against plain counts, several threads, resets, and `stats hotkeys` in both
// protocols.

import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { HOT_SHOWN_MAX, HotKeys } from '../../lib/observe/hot-keys.ts'
import {
  createSketches,
  HOT_SAMPLES_MAX,
  HOT_SLOTS,
  LONG_SLOTS,
  readSketches,
  resetSketches,
  Sketch,
} from '../../lib/observe/hot-sketch.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { frame, Op } from '../support/binary-frames.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { createHost, Peer } from '../support/server-session.ts'

const seed = announceSeed(t)

t.test('a key was sampled between count - error and count times', async t => {
  const random = createRandom(seed, 1)
  const handle = createSketches(1)
  const sketch = new Sketch(handle, 0)
  const model = new Map<string, number>()
  const samples = HOT_SAMPLES_MAX - 1
  for (let i = 0; i < samples; i++) {
    // A few keys are frequent, hundreds are rare.
    const key = `key${random.once(2) ? random.below(5) : random.below(600)}`
    model.set(key, (model.get(key) ?? 0) + 1)
    count(sketch, key)
  }
  const sampling = readSketches(handle)
  t.equal(sampling.samples, samples)
  t.equal(sampling.hot.length, HOT_SLOTS)
  for (const { key, count, error } of sampling.hot) {
    const real = model.get(key) ?? 0
    t.ok(count - error <= real && real <= count, `${key}: ${count} - ${error}, is ${real}`)
  }
  const found = new Set(sampling.hot.map(({ key }) => key))
  for (const [key, real] of model) {
    if (real > samples / HOT_SLOTS) t.ok(found.has(key), `${key} with ${real} is there`)
  }
})

t.test('old counts fade', async t => {
  const handle = createSketches(1)
  const sketch = new Sketch(handle, 0)
  for (let i = 0; i < HOT_SAMPLES_MAX; i++) count(sketch, 'old')
  for (let i = 0; i < HOT_SAMPLES_MAX; i++) count(sketch, 'new')
  const { samples, hot } = readSketches(handle)
  t.ok(samples < HOT_SAMPLES_MAX)
  const [old, recent] = ['old', 'new'].map(name => hot.find(({ key }) => key === name)?.count ?? 0)
  t.ok(old > 0 && recent > 1.5 * old, `${old} and ${recent}`)
})

t.test('the longest values are kept, with the last length that was seen', async t => {
  const handle = createSketches(1)
  const sketch = new Sketch(handle, 0)
  const random = createRandom(seed, 2)
  const lengths = Array.from({ length: 200 }, (_, i) => 1000 + i).sort(() => random.below(3) - 1)
  for (const length of lengths) measure(sketch, `key${length}`, length)
  const longest = Array.from({ length: LONG_SLOTS }, (_, i) => 1199 - i)
  const kept = () => readSketches(handle).long.map(({ count }) => count)
  t.same(
    kept().sort((a, b) => b - a),
    longest,
  )
  t.equal(sketch.shortest(), 1200 - LONG_SLOTS)
  measure(sketch, 'key1199', 5)
  t.ok(kept().includes(5))
  measure(sketch, 'another', 6)
  t.notOk(kept().includes(5), 'the shortest makes room')
})

t.test('a reset empties the sketches of all threads', async t => {
  const handle = createSketches(2)
  const [one, two] = [new Sketch(handle, 0), new Sketch(handle, 1)]
  count(one, 'a')
  count(two, 'a')
  measure(two, 'a', 10)
  t.equal(readSketches(handle).hot.length, 2)
  resetSketches(handle)
  t.same(readSketches(handle), { samples: 0, hot: [], long: [] })
  count(one, 'b')
  const { samples, hot, long } = readSketches(handle)
  t.same([samples, hot.map(({ key }) => key), long], [1, ['b'], []])
})

t.test('a thread that died while it wrote leaves readable sketches', async t => {
  const handle = createSketches(1)
  const sketch = new Sketch(handle, 0)
  count(sketch, 'a')
  const words = new Int32Array(handle.buffer)
  const sequence = words.indexOf(2)
  words[sequence]++
  t.same(readSketches(handle).hot, [], 'it seems to write')
  count(new Sketch(handle, 0), 'b')
  t.same(
    readSketches(handle).hot.map(({ key }) => key),
    ['b'],
  )
})

t.test('requests of every kind are sampled, and threads are summed', async t => {
  const handle = createSketches(2)
  const host = { ...createHost(), hotKeys: new HotKeys(handle, 0) }
  const peers = [new Peer(host), new Peer({ ...host, hotKeys: new HotKeys(handle, 1) })]
  for (const peer of peers) {
    say(peer, 'set hot 0 0 5\r\nhello\r\n')
    say(peer, 'get hot\r\nmg hot v\r\nget gone\r\ndelete gone\r\ntouch hot 0\r\n'.repeat(8000))
    for (let i = 0; i < 200; i++) say(peer, `get other${i}\r\n`)
  }
  const report = host.hotKeys.report(host.cache)
  const [hot, gone] = report.hot
  t.same([hot.key, hot.valueBytes, gone.key, gone.valueBytes], ['hot', 5, 'gone', undefined])
  t.ok(Math.abs(report.requests - 80_000) < 16_000, `${report.requests} requests`)
  t.ok(Math.abs(hot.share - 0.6) < 0.1 && Math.abs(gone.share - 0.4) < 0.1, `${hot.share}`)
  t.ok(report.hot.length <= HOT_SHOWN_MAX)
})

t.test('refused stores do not count as longest values', async t => {
  const host = createHost({ itemBytesMax: 100_000 })
  const peer = new Peer(host)
  for (let i = 0; i < 2 * LONG_SLOTS; i++) {
    say(peer, `set no${i} 0 0 ${200_000 + i}\r\n${'x'.repeat(200_000 + i)}\r\n`)
    say(peer, `ms ms${i} ${200_000 + i}\r\n${'x'.repeat(200_000 + i)}\r\n`)
    say(peer, `add a 0 0 5000\r\n${'x'.repeat(5000)}\r\n`)
    say(peer, `cas c${i} 0 0 300 1\r\n${'x'.repeat(300)}\r\n`)
  }
  say(peer, `set long 0 0 9000\r\n${'x'.repeat(9000)}\r\n`)
  say(peer, `set short 0 0 30\r\n${'x'.repeat(30)}\r\n`)
  t.same(host.hotKeys.report(host.cache).long, [
    { key: 'long', valueBytes: 9000 },
    { key: 'a', valueBytes: 5000 },
    { key: 'short', valueBytes: 30 },
  ])
})

t.test('stats hotkeys: rows, encoded keys, reset, and -X', async t => {
  const host = createHost()
  const peer = new Peer(host)
  const key = 'k\xff%\x01"'
  say(peer, `set ${key} 0 0 3\r\nabc\r\nset long 0 0 9000\r\n${'x'.repeat(9000)}\r\n`)
  sampleAll(host)
  say(peer, `get ${key}\r\n`.repeat(3))
  const lines = say(peer, 'stats hotkeys\r\n').split('\r\n')
  t.same(lines, [
    'STAT sample_every 128',
    'STAT requests 128',
    'STAT hot:1:key k%FF%25%01%22',
    'STAT hot:1:requests 128',
    'STAT hot:1:percent 100.00',
    'STAT hot:1:value_bytes 3',
    'STAT long:1:key long',
    'STAT long:1:value_bytes 9000',
    'STAT long:2:key k%FF%25%01%22',
    'STAT long:2:value_bytes 3',
    'END',
    '',
  ])
  say(peer, 'delete long\r\n')
  t.notMatch(say(peer, 'stats hotkeys\r\n'), /key long/, 'what is gone is not told of')
  say(peer, 'stats reset\r\n')
  t.equal(say(peer, 'stats hotkeys\r\n'), 'STAT sample_every 128\r\nSTAT requests 0\r\nEND\r\n')
  const shut = new Peer({ ...host, allowed: { ...host.allowed, dump: false } })
  t.equal(say(shut, 'stats hotkeys\r\n'), 'CLIENT_ERROR stats hotkeys not allowed\r\n')
})

t.test('the binary protocol has the report too', async t => {
  const host = createHost()
  const peer = new Peer(host)
  sampleAll(host)
  say(peer, frame(Op.GET, { key: 'a b' }))
  t.match(say(peer, frame(Op.STAT, { key: 'hotkeys' })), /hot:1:keya%20b/)
})

t.test('long values that are gone are dropped in time', async t => {
  const host = createHost()
  const peer = new Peer(host)
  const big = 'x'.repeat(5000)
  for (let i = 0; i < LONG_SLOTS; i++) say(peer, `set big${i} 0 0 5000\r\n${big}\r\n`)
  for (let i = 0; i < LONG_SLOTS; i++) say(peer, `delete big${i}\r\n`)
  for (let i = 0; i < 500; i++) {
    host.hotKeys.left = 1
    say(peer, 'get a\r\n')
  }
  say(peer, 'set small 0 0 10\r\n0123456789\r\n')
  t.same(host.hotKeys.report(host.cache).long, [{ key: 'small', valueBytes: 10 }])
})

t.test('after a reset shorter values count as longest', async t => {
  const host = createHost()
  const peer = new Peer(host)
  const big = 'x'.repeat(5000)
  for (let i = 0; i < LONG_SLOTS; i++) say(peer, `set big${i} 0 0 5000\r\n${big}\r\n`)
  say(peer, 'stats reset\r\n')
  sampleAll(host)
  say(peer, 'get a\r\nset small 0 0 1\r\n0\r\n')
  t.same(host.hotKeys.report(host.cache).long, [{ key: 'small', valueBytes: 1 }])
})

/** The next request is sampled. */
function sampleAll({ hotKeys }: Host): void {
  hotKeys.left = 1
}

function say(peer: Peer, text: string): string {
  peer.feed(Buffer.from(text, 'latin1'))
  return peer.take().toString('latin1')
}

function count(sketch: Sketch, key: string): void {
  // The key is not at the start of its area.
  sketch.count(hashOf(key), new Area(Buffer.from(`get ${key}`, 'latin1')), 4, key.length)
}

function measure(sketch: Sketch, key: string, valueBytes: number): void {
  const area = new Area(Buffer.from(key, 'latin1'))
  sketch.measure(hashOf(key), area, 0, key.length, valueBytes)
}

/** Few different hashes, so that keys must be compared. */
function hashOf(key: string): number {
  return key.length * 3 + key.charCodeAt(key.length - 1)
}
