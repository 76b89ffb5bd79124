// Upkeep in a daemon: it runs by itself, in every arena, and goes on after a worker's death.

import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ITEM_COUNT, POOL_COUNT } from '../../lib/engine/arena/layout.ts'
import { POOL } from '../../lib/engine/room/moves.ts'
import { Order } from '../../lib/engine/status.ts'
import { checkOptions } from '../../lib/options/checks.ts'
import { isRefusal, type Options } from '../../lib/options/options.ts'
import { type Daemon, startDaemon } from '../../lib/server/daemon.ts'
import { HOST } from '../support/process.ts'
import { ask, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'
import { verifyAll } from '../support/server-session.ts'

const ITEMS = 400
const VALUE_BYTES = 5000

t.test('expired items are found without requests, after a death too', async t => {
  const daemon = await start(t, { threads: 2, memoryLimitBytes: 16 * MIB })
  const [{ port }] = daemon.addresses
  for (let round = 0; round < 2; round++) {
    await store(port, `ends${round}`)
    await store(port, 'lasts')
    const { cache, workers, roster } = daemon
    t.ok(cache.shards.every(({ arena }) => arena.words[ITEM_COUNT] > ITEMS))
    await expireSoon(port, `ends${round}`)
    if (round === 1) {
      await workers.pool.threads[0].terminate()
      t.ok(await comesTrue(() => roster.restarts() === 1))
    }
    t.ok(await comesTrue(() => cache.crawl() === Order.OK))
    const isFound = () => {
      cache.crawl() // again, in case the first crawl came too early
      return itemCount(daemon) === ITEMS * cache.shards.length
    }
    t.ok(await comesTrue(isFound))
  }
  const stats = await statsOf(port)
  const found = Number(stats.get('crawler_reclaimed')) + Number(stats.get('reclaimed'))
  t.equal(found, 2 * ITEMS * daemon.cache.shards.length)
  t.doesNotThrow(() => verifyAll(daemon))
})

t.test('pages move and the memory limit changes while it serves', async t => {
  const daemon = await start(t, { threads: 2, memoryLimitBytes: 16 * MIB, slabAutomove: 0 })
  const [{ port }] = daemon.addresses
  const { cache } = daemon
  await store(port, 'k', VALUE_BYTES)
  t.equal(cache.reassignPage(-1, POOL), Order.OK)
  const pooled = () => cache.shards.reduce((sum, { arena }) => sum + arena.words[POOL_COUNT], 0)
  t.ok(await comesTrue(() => pooled() === 1))
  t.equal((await statsOf(port)).get('slab_global_page_pool'), '1')
  t.equal((await statsOf(port)).get('slabs_moved'), '1')
  const lost = ITEMS * cache.shards.length - itemCount(daemon)
  t.ok(
    lost <= (cache.shards[0].arena.pageWords * 4) / VALUE_BYTES,
    `${lost} items lost: the page was full, and ordered away`,
  )
  t.equal(cache.setMemoryLimit(64 * MIB), Order.OK)
  t.equal((await statsOf(port)).get('limit_maxbytes'), `${64 * MIB}`)
  t.equal(cache.setMemoryLimit(3 * MIB), Order.OK)
  const malloced = async () => Number((await statsOf(port, 'slabs')).get('total_malloced'))
  t.ok(await comesTrue(async () => (await malloced()) <= 3 * MIB))
  t.doesNotThrow(() => verifyAll(daemon))
})

/** Stores ITEMS items for each arena. */
async function store(port: number, name: string, bytes = 5): Promise<void> {
  const peer = await openPeer(port)
  const value = 'v'.repeat(bytes)
  for (let i = 0; i < 2 * ITEMS; i++) {
    await ask(peer, `set ${name}${i} 0 0 ${bytes}\r\n${value}\r\n`, 'STORED\r\n')
  }
  peer.destroy()
}

/** Waits until the items with this name have expired, a second or two. */
async function expireSoon(port: number, name: string): Promise<void> {
  const peer = await openPeer(port)
  for (let i = 0; i < 2 * ITEMS; i++) await ask(peer, `touch ${name}${i} 1\r\n`, 'TOUCHED\r\n')
  peer.destroy()
}

function itemCount({ cache }: Daemon): number {
  return cache.shards.reduce((sum, { arena }) => sum + arena.words[ITEM_COUNT], 0)
}

async function start(t: Test, given: Partial<Options>): Promise<Daemon> {
  const options = checkOptions({ listen: [{ host: HOST, port: 0 }], ...given })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(() => daemon.close())
  return daemon
}
