// A loaded pool grows from three servers to four and shrinks again: no request misses, none is
// answered with what is old. Without what keeps it warm many do, so the test can tell.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../../lib/client/cluster-options.ts'
import { drain } from '../../../lib/client/drain/drain.ts'
import { PoolLoad } from '../../../scripts/bench/pool-load.ts'
import { startDaemon } from '../../support/daemon.ts'
import { skipWithout, startOracle } from '../../support/oracle.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { HOST } from '../../support/process.ts'

const KINDS = [
  { name: 'memslab', start: startDaemon, skip: false as const },
  { name: 'memcached', start: startOracle, skip: skipWithout('memcached') },
]
const KEYS = 2000
const ROUND = 1500
/** So short that each change is forgotten before the next one. */
const WARMUP_MS = 50

for (const { name, start, skip } of KINDS) {
  /** Growing, shrinking and after that: misses and stale hits of each. */
  const scale = async (t: Test, options: ClusterOptions) => {
    const random = createRandom(announceSeed(t))
    const servers = await Promise.all([0, 1, 2, 3].map(() => start(t, ['-t', '1'])))
    const all = servers.map(({ port }) => `${HOST}:${port}`)
    const client = new ClusterClient(all.slice(0, 3), { timeoutMs: 20_000, ...options })
    t.teardown(() => client.close())
    const load = new PoolLoad(client, {
      keys: KEYS,
      writeShare: 0.05,
      valueBytes: 100,
      inFlight: 16,
      random: () => random.below(2 ** 30) / 2 ** 30,
    })
    await load.fill()
    const loaded = async (change: () => unknown) => {
      const running = load.run(ROUND)
      await change()
      const { gets, hits, stale } = await running
      return { misses: gets - hits, stale }
    }
    const grown = await loaded(() => client.setMembers(all))
    // Those that nobody asked for yet are moved too, so that no old value is left behind.
    const evened = await loaded(async () => {
      for (const server of all.slice(0, 3)) await drain(server, all)
    })
    const shrunk = await loaded(async () => {
      client.setMembers(all.slice(0, 3))
      if (options.warmupMs === 0) return
      await drain(all[3], all.slice(0, 3))
      await servers[3].stop()
    })
    const after = await loaded(() => {})
    return { grown, evened, shrunk, after }
  }

  t.test(`nothing misses, nothing is stale, on ${name}`, { skip }, async t => {
    const none = { misses: 0, stale: 0 }
    const counts = await scale(t, { warmupMs: 600_000 })
    t.strictSame(counts, { grown: none, evened: none, shrunk: none, after: none })
  })

  t.test(`changes that the client has forgotten, on ${name}`, { skip }, async t => {
    const misses = async (drained: boolean) => {
      const servers = await Promise.all([0, 1].map(() => start(t, ['-t', '1'])))
      const both = servers.map(({ port }) => `${HOST}:${port}`)
      const client = new ClusterClient(both, { timeoutMs: 20_000, warmupMs: WARMUP_MS, drained })
      t.teardown(() => client.close())
      const keys = Array.from({ length: 200 }, (_, i) => `key:${i}`)
      for (const key of keys) await client.set(key, 'v')
      for (const names of [both.slice(0, 1), both, both.slice(1), both]) {
        client.setMembers(names)
        for (const server of both) await drain(server, names)
        await sleep(4 * WARMUP_MS)
      }
      const found = await client.getMany(keys)
      return keys.length - found.size
    }
    t.equal(await misses(true), 0, 'what was moved is kept')
    t.ok((await misses(false)) > 50, 'else it may be old, and is removed')
  })

  t.test(`without a window many miss, on ${name}`, { skip }, async t => {
    const { grown } = await scale(t, { warmupMs: 0 })
    t.ok(grown.misses > ROUND / 20, `${grown.misses} misses`)
  })
}
