// The times of requests: buckets against a plain list, threads, resets, and `stats latency`.

import t, { type Test } from 'tap'
import {
  createLatencies,
  LATENCY_COMMANDS,
  LATENCY_SAMPLE_EVERY,
  Latency,
  readLatencies,
  resetLatencies,
  type Timed,
} from '../../lib/observe/latency.ts'
import { startWithAdmin } from '../support/admin.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { ask, openPeer, statsOf } from '../support/server-peer.ts'

const seed = announceSeed(t)

/** Makes the clock of a test stand where it is set. */
function clockOf(t: Test): { ms: number } {
  const clock = { ms: 0 }
  const { now } = performance
  performance.now = () => clock.ms
  t.teardown(() => {
    performance.now = now
  })
  return clock
}

function beginSampled(latency: Latency): void {
  for (let reads = 0; reads <= 2 * LATENCY_SAMPLE_EVERY; reads++) if (latency.begins()) return
  throw new Error('no read is sampled')
}

t.test('percentiles are those of a sorted list, at most a fifth too high', async t => {
  const random = createRandom(seed)
  const clock = clockOf(t)
  const handle = createLatencies(3)
  const threads = [0, 1, 2].map(thread => new Latency(handle, thread))
  const listed: number[] = []
  for (let i = 0; i < 3000; i++) {
    const latency = random.pick(threads)
    beginSampled(latency)
    const us = 2 ** (random.below(24_000) / 1000)
    clock.ms += us / 1000
    latency.note(0)
    listed.push(us)
  }
  listed.sort((a, b) => a - b)
  const [get, ...others] = readLatencies(handle)
  t.same(
    readLatencies(handle).map(({ command }) => command),
    LATENCY_COMMANDS,
  )
  t.ok(others.every(({ count }) => count === 0))
  t.equal(get?.count, 3000)
  const sum = listed.reduce((a, b) => a + b, 0)
  t.ok(Math.abs((get?.sumUs ?? 0) / sum - 1) < 1e-6)
  t.ok(Math.abs((get?.longestUs ?? 0) / (listed.at(-1) ?? 1) - 1) < 1e-6)
  for (const share of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = listed[Math.ceil(share * 3000) - 1] ?? 0
    const found = get?.percentileUs(share) ?? 0
    t.ok(found >= exact * (1 - 1e-6) && found <= exact * 1.2, `${share}: ${found} for ${exact}`)
  }
  for (let power = 0; power < 24; power++) {
    const exact = listed.filter(us => us <= 2 ** power).length
    const found = get?.countUpTo(2 ** power) ?? 0
    // Times at the very end of a bucket may fall on either side of it by rounding.
    const near = listed.filter(us => Math.abs(us / 2 ** power - 1) < 1e-6).length
    t.ok(Math.abs(found - exact) <= near, `up to 2^${power} us: ${found} for ${exact}`)
  }
  resetLatencies(handle)
  t.ok(readLatencies(handle).every(({ count, longestUs }) => count === 0 && longestUs === 0))
})

t.test('two readings have the samples between them, two commands those of both', async t => {
  const clock = clockOf(t)
  const handle = createLatencies(1)
  const latency = new Latency(handle, 0)
  const note = (command: Exclude<Timed, -1>, us: number) => {
    beginSampled(latency)
    clock.ms += us / 1000
    latency.note(command)
  }
  note(0, 1000)
  note(0, 1000)
  const before = readLatencies(handle)
  note(0, 100)
  note(1, 10)
  const [get, gat] = readLatencies(handle).map((times, i) => times.since(before[i] ?? times))
  if (get === undefined || gat === undefined) throw new Error('no times')
  t.same([get.count, Math.round(get.sumUs)], [1, 100])
  t.ok(get.longestUs >= 99.9 && get.longestUs < 120, `${get.longestUs}`)
  t.equal(get.percentileUs(1), get.longestUs)
  const both = gat.plus(get)
  t.same([both.command, both.count], ['gat', 2])
  t.ok(both.percentileUs(0.5) < 12 && both.percentileUs(1) === get.longestUs)
  t.equal(before[0]?.since(before[0]).count, 0)
  resetLatencies(handle)
  note(0, 5)
  const [after] = readLatencies(handle)
  t.equal(before[0] && after?.since(before[0]).count, 1, 'after a reset all are new')
})

t.test('times out of all bounds are counted', async t => {
  const clock = clockOf(t)
  const handle = createLatencies(1)
  const latency = new Latency(handle, 0)
  for (const ms of [0, 1e-9, 1e9]) {
    beginSampled(latency)
    clock.ms += ms
    latency.note(1)
  }
  const gat = readLatencies(handle)[1]
  t.equal(gat?.count, 3)
  t.equal(gat?.percentileUs(0.5), 2 ** 0.25)
  t.equal(Math.round(gat?.percentileUs(1) ?? 0), 1e12)
})

t.test('one read in SAMPLE_EVERY is timed', async t => {
  const latency = new Latency(createLatencies(1), 0)
  let timed = 0
  const reads = 200_000
  for (let i = 0; i < reads; i++) if (latency.begins()) timed++
  t.ok(Math.abs(timed / (reads / LATENCY_SAMPLE_EVERY) - 1) < 0.1, `${timed} of ${reads}`)
})

t.test('stats latency has each command that was sampled, until a reset', async t => {
  const { port } = (await startWithAdmin(t, ['-t', '1'])).daemon
  const peer = await openPeer(port)
  t.same([...(await statsOf(port, 'latency')).keys()], ['sample_every'])
  const round =
    'set a 0 0 1\r\n1\r\nget a\r\ngat 0 a\r\ntouch a 0\r\nincr a 1\r\ndelete a\r\nme a\r\nmn\r\n'
  for (let i = 0; i < 12 * LATENCY_SAMPLE_EVERY; i++) await ask(peer, round, 'MN\r\n')
  const stats = await statsOf(port, 'latency')
  for (const command of LATENCY_COMMANDS) {
    t.ok(Number(stats.get(`${command}:samples`)) > 0, command)
    const [p50, p99, p999, longest] = ['p50', 'p99', 'p99.9', 'longest'].map(name =>
      Number(stats.get(`${command}:${name}_us`)),
    ) as [number, number, number, number]
    t.ok(
      0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= longest,
      `${p50} ${p99} ${p999} ${longest}`,
    )
  }
  t.equal(new Set(LATENCY_COMMANDS.map(name => stats.get(`${name}:samples`))).size, 1, 'once each')
  t.equal(await ask(peer, 'stats reset\r\n', '\r\n'), 'RESET\r\n')
  t.notOk((await statsOf(port, 'latency')).has('get:samples'))
  // A get of many keys is one command.
  const keys = Array.from({ length: 50 }, (_, i) => `k${i}`).join(' ')
  for (let i = 0; i < 4 * LATENCY_SAMPLE_EVERY; i++) {
    await ask(peer, `get ${keys}\r\nmd a q\r\nmn\r\n`, 'MN\r\n')
  }
  const many = await statsOf(port, 'latency')
  t.equal(many.get('get:samples'), many.get('delete:samples'))
})
