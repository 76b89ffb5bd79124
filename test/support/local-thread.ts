// A thread of the tests of LocalCache: increments a number a given number of times and reports, or
// works until it is terminated.

import { parentPort, workerData } from 'node:worker_threads'
import { LocalCache } from '../../lib/local/local-cache.ts'
import type { LocalCacheHandle } from '../../lib/local/types.ts'

interface Work {
  cache: LocalCacheHandle
  counts: number
}

const { cache: handle, counts } = workerData as Work
const cache = LocalCache.attach(handle)
for (let i = 0; i < counts; i++) {
  cache.incr('count')
  cache.set(`key-${i % 1000}`, `value ${i}`)
}
parentPort?.postMessage(cache.get('greeting'))
