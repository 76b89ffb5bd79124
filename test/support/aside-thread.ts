// A thread of the tests of cache-aside: asks for one key many times; each thread that loads it says so.
// One that is told to hang never ends its load.

import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { LocalCache } from '../../lib/local/local-cache.ts'
import type { LocalCacheHandle } from '../../lib/local/types.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'

const { handle, hangs } = workerData as { handle: LocalCacheHandle; hangs: boolean }
const aside = new CacheAside(LocalCache.attach(handle), { ttlS: 1000 })
const load = async () => {
  parentPort?.postMessage('loading')
  await sleep(hangs ? 1_000_000 : 100)
  return 'made'
}
const values = await Promise.all(Array.from({ length: 50 }, () => aside.getOrSet('cold', load)))
parentPort?.postMessage(new Set(values).size === 1 ? values[0] : 'different')
