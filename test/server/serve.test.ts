// A daemon on a cache that the application's threads use too.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { Arena } from '../../lib/engine/arena/arena.ts'
import { HOLD_COUNT, ITEM_COUNT, UPKEEP_HOLDER } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { verify } from '../../lib/engine/verify.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { checkOptions } from '../../lib/options/checks.ts'
import { isRefusal } from '../../lib/options/options.ts'
import { startDaemon } from '../../lib/server/daemon.ts'
import { type Served, type ServeOptions, serve } from '../../lib/server/serve.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { HOST } from '../support/process.ts'
import { ask, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'

const seed = announceSeed(t)
const THREAD = new URL('../support/local-thread.ts', import.meta.url)
const ON_ANY_PORT = { listen: [{ host: HOST, port: 0 }] }

t.test('clients on the network and threads in the process share items', async t => {
  const { cache, port } = await start(t, { threads: 2 })
  const peer = await openPeer(port)
  cache.set('greeting', 'hello', { ttlS: 100 })
  cache.set('count', '0')
  t.equal(await ask(peer, 'get greeting\r\n', 'END\r\n'), 'VALUE greeting 0 5\r\nhello\r\nEND\r\n')
  t.equal(await ask(peer, 'set back 0 0 2\r\nhi\r\n', '\r\n'), 'STORED\r\n')
  t.equal(cache.get('back'), 'hi')
  const handle = { workerData: { cache: cache.handle, counts: 5000 } }
  const workers = [1, 2].map(() => new Worker(THREAD, { ...handle, execArgv: [] }))
  const counted = Promise.all(workers.map(worker => once(worker, 'exit')))
  for (let i = 0; i < 500; i++) await ask(peer, 'incr count 1\r\n', '\r\n')
  await counted
  t.equal(cache.incr('count', 0), 10_500n, 'no increment is lost')
  const stats = await statsOf(port)
  t.equal(stats.get('limit_maxbytes'), `${16 * MIB}`)
  t.equal(Number(stats.get('curr_items')), cache.stats().items)
  for (const buffer of cache.handle.arenas) verify(new Arena(buffer))
})

t.test('exactly one caller makes a value, over the network or in process', async t => {
  const { cache, port } = await start(t)
  const peer = await openPeer(port)
  t.ok(cache.lease('a', { claimS: 100 }).won)
  t.match(await ask(peer, 'mg a N100\r\n', '\r\n'), /^HD Z/)
  t.equal(await ask(peer, 'mg b N100\r\n', '\r\n'), 'HD W\r\n')
  t.match(cache.lease('b', { claimS: 100 }), { won: false, isClaimed: true })
})

t.test('the daemon closes first, and another one starts', async t => {
  const { cache, served, port } = await start(t)
  cache.set('a', 'kept')
  await openPeer(port)
  await served.close()
  await t.rejects(openPeer(port))
  t.equal(cache.get('a'), 'kept')
  t.equal(cache.lease('b', { claimS: 1 }).won, true)
  const again = await serve(cache, ON_ANY_PORT)
  t.teardown(() => again.close())
  const peer = await openPeer(portOf(again))
  t.equal(await ask(peer, 'get a\r\n', 'END\r\n'), 'VALUE a 0 4\r\nkept\r\nEND\r\n')
})

t.test('the cache is closed first, and the daemon does the upkeep', async t => {
  const { cache, port } = await start(t, { threads: 2 })
  const peer = await openPeer(port)
  const keepers = () => cache.handle.arenas.map(buffer => new Arena(buffer).words[UPKEEP_HOLDER])
  const before = keepers()
  t.equal(new Set(before).size, 1, 'the thread that made it does so at first')
  cache.close()
  t.ok(await comesTrue(() => keepers().every(holder => holder !== 0 && holder !== before[0])))
  for (let i = 0; i < 100; i++) await ask(peer, `set k${i} 0 0 1\r\nv\r\n`, '\r\n')
  t.equal(itemsOf(cache), 100)
  for (let i = 0; i < 100; i++) await ask(peer, `touch k${i} 1\r\n`, 'TOUCHED\r\n')
  await comesTrue(async () => (await ask(peer, 'mg k0\r\n', '\r\n')) === 'EN\r\n')
  const isGone = async () => {
    await ask(peer, 'lru_crawler crawl all\r\n', '\r\n')
    return itemsOf(cache) === 0
  }
  t.ok(await comesTrue(isGone, 30_000), 'what has ended is found')
})

t.test('two daemons on one cache', async t => {
  const { cache, port } = await start(t)
  const second = await serve(cache, ON_ANY_PORT)
  t.teardown(() => second.close())
  const [a, b] = [await openPeer(port), await openPeer(portOf(second))]
  for (let i = 0; i < 200; i++) {
    await Promise.all([
      ask(a, `set k${i} 0 0 1\r\na\r\n`, '\r\n'),
      ask(b, 'set k 0 0 1\r\nb\r\n', '\r\n'),
    ])
  }
  t.equal(cache.stats().items, 201)
  for (const buffer of cache.handle.arenas) verify(new Arena(buffer))
})

t.test('the hold of an upload is released with the daemon', async t => {
  const { cache, served, port } = await start(t)
  const peer = await openPeer(port)
  peer.write(`set big 0 0 500000\r\n${'x'.repeat(100_000)}`)
  const held = () =>
    cache.handle.arenas.reduce((sum, buffer) => sum + new Arena(buffer).words[HOLD_COUNT], 0)
  t.ok(await comesTrue(() => held() === 1))
  await served.close()
  t.ok(await comesTrue(() => held() === 0))
})

t.test('threads of the application and of the daemon die, and the others go on', async t => {
  const random = createRandom(seed)
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, shards: 2 })
  const options = checkOptions({ ...ON_ANY_PORT, threads: 2 })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options, Cache.attach(cache.handle))
  t.teardown(() => daemon.close())
  t.capture(process.stderr, 'write', () => true)
  const { port } = daemon.addresses[0]
  cache.set('count', '0')
  for (let round = 1; round <= 5; round++) {
    const thread = new Worker(THREAD, {
      workerData: { cache: cache.handle, counts: 1e9 },
      execArgv: [],
    })
    const gone = once(thread, 'exit')
    cache.guard(thread)
    const before = cache.incr('count', 0) ?? 0n
    t.ok(await comesTrue(() => (cache.incr('count', 0) ?? 0n) > before + 1000n), 'it works')
    await sleep(random.below(20))
    await thread.terminate()
    await gone
    if (round === 3) {
      await daemon.workers.pool.threads[random.below(2)].terminate()
      t.ok(await comesTrue(() => daemon.roster.restarts() === 1), 'it is replaced')
    }
    const peer = await openPeer(port)
    t.equal(await ask(peer, `set after 0 0 1\r\n${round}\r\n`, '\r\n'), 'STORED\r\n')
    peer.destroy()
    t.equal(cache.get('after'), `${round}`)
    if (!cache.has('count')) cache.set('count', '0')
  }
  await daemon.close()
  for (const buffer of cache.handle.arenas) {
    const arena = new Arena(buffer)
    t.equal(arena.words[HOLD_COUNT], 0)
    t.doesNotThrow(() => verify(arena))
  }
  const keepers = new Set(cache.handle.arenas.map(buffer => new Arena(buffer).words[UPKEEP_HOLDER]))
  t.equal(keepers.size, 1, 'the thread that made it keeps it in order')
})

t.test('a cache with other options is served as it is', async t => {
  const cache = LocalCache.create({ memoryBytes: 8 * MIB, itemBytesMax: 2 * KIB, evictions: false })
  const served = await serve(cache, ON_ANY_PORT)
  t.teardown(() => served.close())
  const peer = await openPeer(portOf(served))
  const value = 'v'.repeat(3000)
  t.match(await ask(peer, `set a 0 0 3000\r\n${value}\r\n`, '\r\n'), /too large/)
  const settings = await statsOf(portOf(served), 'settings')
  t.strictSame([settings.get('item_size_max'), settings.get('evictions')], ['2048', 'off'])
})

t.test('impossible options are refused in one line', async t => {
  const { cache, port } = await start(t)
  await t.rejects(serve(cache, { threads: 0 }), /^[^\n]+$/)
  await t.rejects(serve(cache, { listen: [{ host: HOST, port }] }), /^[^\n]+$/)
  cache.set('a', 'still there')
  t.equal(cache.get('a'), 'still there')
})

async function start(t: Test, options: ServeOptions = {}) {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, shards: 2 })
  const served = await serve(cache, { ...ON_ANY_PORT, ...options })
  t.teardown(() => served.close())
  return { cache, served, port: portOf(served) }
}

function portOf({ addresses }: Served): number {
  return addresses[0].port
}

function itemsOf({ handle }: LocalCache): number {
  return handle.arenas.reduce((sum, buffer) => sum + new Arena(buffer).words[ITEM_COUNT], 0)
}
