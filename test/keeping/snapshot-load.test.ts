// A snapshot under random load from several threads, against a model: what may be in it is what a
// key had at some moment between its beginning and its end, and a key that had a value all the time
// must be in it.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Peer } from '../support/engine-peer.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { runs } from '../support/runs.ts'
import type { History, SnapshotThread, Version } from '../support/snapshot-thread.ts'
import { restoreBytes, takeSnapshot } from '../support/snapshots.ts'

const seed = announceSeed(t)
const ENTRY = new URL('../support/snapshot-thread.ts', import.meta.url)
const THREADS = 3
/** Steps before the snapshot begins: most keys are there. */
const TICKS_BEFORE = 20_000

t.test('what is in a snapshot was there, and what was there all the time is in it', async t => {
  for (let round = 0; round < runs(3, 60); round++) {
    const random = createRandom(seed, round)
    const peer = new Peer(Cache.create({ memoryBytes: 256 * MIB, shards: random.between(1, 3) }))
    const control = new Int32Array(new SharedArrayBuffer(8))
    const { handle } = peer.cache
    const threads = Array.from({ length: THREADS }, (_, index) => {
      const keys = random.pick([50, 1000, 5000])
      const valueBytesMax = random.pick([1, 20, 400]) * KIB
      const name = `t${index}`
      const workerData: SnapshotThread = {
        handle,
        seed: seed + round * THREADS + index,
        name,
        keys,
        valueBytesMax,
        control,
      }
      return new Worker(ENTRY, { workerData, execArgv: [] })
    })
    await Promise.all(threads.map(thread => once(thread, 'message')))
    const histories = threads.map(async thread => (await once(thread, 'message'))[0] as History)
    while (Atomics.load(control, 1) < TICKS_BEFORE) await sleep(1)
    const begun = Atomics.add(control, 1, 1)
    const bytes = takeSnapshot(peer.cache, { level: 0 })
    const ended = Atomics.add(control, 1, 1)
    Atomics.store(control, 0, 1)
    const restored = new Peer(Cache.create({ memoryBytes: 256 * MIB, shards: 2 }))
    const fills = restoreBytes(t.testdir(), bytes, restored.cache)
    if (fills.refused > 0) t.fail('something did not fit')
    for (const history of await Promise.all(histories)) {
      for (const [key, versions] of history) {
        const value = restored.get(key)?.value.toString('latin1') ?? null
        const fault = faultOf(versions, value, begun, ended)
        if (fault !== null) t.fail(`seed ${seed}, round ${round}, ${key}: ${fault}`)
      }
    }
    peer.verify()
    t.ok(fills.filled > 0, `${fills.filled} items, ${ended - begun} ticks`)
  }
})

/** What is wrong with a value in a snapshot, or with there being none. */
function faultOf(
  versions: readonly Version[],
  value: string | null,
  begun: number,
  ended: number,
): string | null {
  const during = versions.filter(({ before }, index) => {
    const until = versions[index + 1]?.after ?? Number.POSITIVE_INFINITY
    return before < ended && until > begun
  })
  // Before its first version it was not there.
  const isNewborn = versions[0].after > begun
  if (value === null) {
    const mayMiss = isNewborn || during.some(version => version.value === null)
    return mayMiss ? null : 'it was there all the time and is missing'
  }
  return during.some(version => version.value === value) ? null : 'it never had this value then'
}
