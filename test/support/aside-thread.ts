// A thread of the cache-aside tests: gets one key many times and reports whether it loaded the
// value. With `hang` its load never ends.

import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { LocalCache } from '../../lib/local/local-cache.ts'
import type { LocalCacheHandle } from '../../lib/local/types.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import type { AsideOptions } from '../../lib/strategies/aside-options.ts'

interface Given {
  handle: LocalCacheHandle
  hangs: boolean
  options?: AsideOptions
}

const { handle, hangs, options } = workerData as Given
const aside = new CacheAside(LocalCache.attach(handle), options ?? { ttlS: 1000 })
const load = async () => {
  parentPort?.postMessage('loading')
  await sleep(hangs ? 1_000_000 : 100)
  return 'made'
}
const values = await Promise.all(Array.from({ length: 50 }, () => aside.getOrSet('cold', load)))
parentPort?.postMessage(new Set(values).size === 1 ? values[0] : 'different')
