// The event streams: samples that all listeners share, their bounds, and lines of watchers.

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { ADMIN_LISTENERS_MAX, DETAIL_EVERY, LISTENER_BYTES_MAX } from '../../lib/admin/limits.ts'
import { Broadcast, Listeners } from '../../lib/admin/live/broadcast.ts'
import { SAMPLED_ROWS } from '../../lib/admin/live/sampler.ts'
import type { Detail, Hello, PageMap, Sample } from '../../lib/admin/shapes.ts'
import { fetchFrom, startWithAdmin } from '../support/admin.ts'
import { openStream } from '../support/events.ts'
import { ask, askOnce, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'

interface Lines {
  lines: string[]
  leftOut: number
}

t.test('a stream begins with all that the page shows', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  const stream = await openStream(t, admin, '/events')
  t.match(stream, { status: 200, headers: { 'content-type': /^text\/event-stream/ } })
  t.match(await stream.next<Hello>('hello'), {
    threads: 2,
    places: [`tcp:127.0.0.1:${daemon.port}`],
    mayWrite: false,
    mayWatch: true,
    tellsKeys: true,
  })
  t.match(await stream.next<Detail>('detail'), { hot: [], long: [] })
  const map = await stream.next<PageMap>('map')
  t.ok(map.arenas.every(cells => Buffer.from(cells, 'base64').every(cell => cell === 0)))
  const first = await stream.next<Sample>('sample')
  t.same(Object.keys(first.stats), [...SAMPLED_ROWS])
  t.equal(first.workers.length, 3, 'two workers and the main thread')
  t.same(first.removed, { memory: 0, page_move: 0, expired: 0, crawler: 0, flushed: 0 })
  t.equal(first.arenas.length, 2)
  const value = 'x'.repeat(1000)
  await askOnce(daemon.port, `set a 0 0 1000\r\n${value}\r\nget a b\r\n`, 'END\r\n')
  const after = await stream.next<Sample>('sample', ({ stats }) => stats.get_misses === 1)
  t.match(after.stats, { get_hits: 1, cmd_set: 1, curr_items: 1 })
  t.match(after.classes, [{ pages: 1, items: 1, usedChunks: 1 }])
  t.equal(after.memory.itemBytes, after.classes[0]?.itemBytes)
  const used = await stream.next<PageMap>('map')
  const cells = used.arenas.flatMap(text => [...Buffer.from(text, 'base64')])
  t.same(
    cells.filter(cell => cell !== 0),
    [after.classes[0]?.id],
  )
})

t.test('the curve and the prefixes come once keys were sampled', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  const peer = await openPeer(daemon.port)
  for (let i = 0; i < 2000; i++) peer.write(`set user:${i} 0 0 1 noreply\r\n1\r\nget user:${i}\r\n`)
  await ask(peer, 'mn\r\n', 'MN\r\n')
  const stream = await openStream(t, admin, '/events')
  const { curve, prefixes } = await stream.next<Detail>('detail', ({ curve, prefixes }) => {
    return (curve?.sampledKeys ?? 0) > 0 && (prefixes?.length ?? 0) > 0
  })
  const now = curve?.points.find(({ bytes }) => bytes === curve.nowBytes)
  t.equal(now?.hitRatio, 1, 'all that was asked for was there')
  t.same(
    prefixes?.map(({ prefix }) => prefix),
    ['user'],
  )
})

t.test('keys are not in the stream where dumps are refused', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-X'])
  const peer = await openPeer(daemon.port)
  for (let i = 0; i < 500; i++) await ask(peer, 'get hot\r\n', 'END\r\n')
  const stream = await openStream(t, admin, '/events')
  t.match(await stream.next<Detail>('detail'), { hot: null, long: null, prefixes: null })
})

t.test('listeners have a bound of their own', async t => {
  const { admin } = await startWithAdmin(t)
  const open = () => openStream(t, admin, '/events')
  const streams = await Promise.all(Array.from({ length: ADMIN_LISTENERS_MAX }, open))
  for (const stream of streams) await stream.next('sample')
  t.match(await open(), { status: 503, headers: { 'retry-after': '1' } })
  t.match(await fetchFrom(admin, '/metrics'), { status: 200 }, 'they are no requests in progress')
  t.match(await fetchFrom(admin, '/events', { method: 'HEAD' }), { status: 200 })
  streams[0]?.close()
  t.ok(await comesTrue(async () => (await open()).status === 200), 'one may come for one that went')
})

t.test('watched lines come until the listener goes', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  for (const query of ['', '?kinds=', '?kinds=fetchers,nothing']) {
    t.match(await fetchFrom(admin, `/events/watch${query}`), { status: 400 }, query)
  }
  const stream = await openStream(t, admin, '/events/watch?kinds=fetchers,deletions')
  await stream.next<Lines>('lines')
  await askOnce(daemon.port, 'set a 0 0 1\r\n1\r\nget a\r\ndelete a\r\n', 'DELETED\r\n')
  const { lines } = await stream.next<Lines>('lines', ({ lines }) => lines.length > 0)
  t.match(lines.find(line => /item_get key=a status=found/.test(line)) ?? '', /clsid=/)
  stream.close()
  const watchers = async () => (await statsOf(daemon.port)).get('log_watchers')
  t.ok(await comesTrue(async () => (await watchers()) === '0'))
})

t.test('-W refuses the lines', async t => {
  const { admin } = await startWithAdmin(t, ['-W'])
  t.match(await fetchFrom(admin, '/events/watch?kinds=fetchers'), { status: 403 })
})

/** A response that keeps what was written, and says how much of it waits. */
class FakeResponse extends EventEmitter {
  text = ''
  writableLength = 0

  writeHead(): void {}

  write(text: string): void {
    this.text += text
  }

  destroy(): void {
    this.emit('close')
  }

  get asResponse(): ServerResponse {
    return this as unknown as ServerResponse
  }
}

function createBroadcast(t: Test, sample: () => Sample = () => ({}) as Sample) {
  const counts = { sample: 0, detail: 0, errors: 0 }
  const sampler = {
    hello: () => ({}) as Hello,
    map: () => ({}) as PageMap,
    detail: () => ({ turn: counts.detail++ }) as unknown as Detail,
    sample: () => {
      counts.sample++
      return sample()
    },
  }
  const broadcast = new Broadcast(sampler, new Listeners(), () => counts.errors++)
  t.teardown(() => broadcast.stop())
  return { broadcast, counts }
}

t.test('one sample for all listeners, and none without', async t => {
  const { broadcast, counts } = createBroadcast(t)
  t.same(counts, { sample: 0, detail: 0, errors: 0 })
  const [a, b] = [new FakeResponse(), new FakeResponse()]
  broadcast.add(a.asResponse)
  broadcast.add(b.asResponse)
  t.equal(counts.sample, 1, 'the second one gets what the first one got')
  t.match(b.text, /^event: hello\n(.|\n)*event: map\n(.|\n)*event: sample\n/)
  for (let i = 0; i < 2 * DETAIL_EVERY; i++) broadcast.tick()
  t.equal(counts.sample, 1 + 2 * DETAIL_EVERY)
  t.equal(counts.detail, 3)
  t.equal(a.text.match(/event: detail/g)?.length, 3)
  t.equal(a.text.match(/event: map/g)?.length, 1, 'what does not change is sent once')
  a.destroy()
  b.destroy()
  const again = new FakeResponse()
  broadcast.add(again.asResponse)
  t.equal(counts.sample, 2 + 2 * DETAIL_EVERY, 'nothing old is told')
  again.destroy()
})

t.test('a listener that does not read is dropped', async t => {
  const { broadcast } = createBroadcast(t, () => ({ atMs: Math.random() }) as Sample)
  const [slow, other] = [new FakeResponse(), new FakeResponse()]
  broadcast.add(slow.asResponse)
  broadcast.add(other.asResponse)
  slow.writableLength = LISTENER_BYTES_MAX + 1
  const [slowText, otherText] = [slow.text, other.text]
  broadcast.tick()
  t.equal(slow.text, slowText)
  t.ok(other.text.length > otherText.length)
  slow.writableLength = 0
  broadcast.tick()
  t.equal(slow.text, slowText, 'it is gone')
})

t.test('a sample that fails is told, and the next one comes', async t => {
  let fails = true
  const { broadcast, counts } = createBroadcast(t, () => {
    if (fails) throw new Error('an arena is locked')
    return {} as Sample
  })
  const listener = new FakeResponse()
  broadcast.add(listener.asResponse)
  t.equal(counts.errors, 1)
  fails = false
  broadcast.tick()
  t.match(listener.text, 'event: sample')
})
