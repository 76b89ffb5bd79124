// One cache for the worker threads of a process: four threads count in it, and share a value.

import { isMainThread, threadId, Worker, workerData } from 'node:worker_threads'
import { LocalCache } from 'memslab'

const THREADS = 4

if (isMainThread) {
  const cache = LocalCache.create({ memoryBytes: 64 * 2 ** 20, shards: THREADS })
  cache.set('settings', { greeting: 'hello' }, { ttlS: 60 })
  const exits = Array.from({ length: THREADS }, () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { cache: cache.handle } })
    cache.guard(worker)
    return new Promise(resolve => worker.once('exit', resolve))
  })
  await Promise.all(exits)
  console.log(`counted ${cache.get('count')}`)
  cache.close()
} else {
  const cache = LocalCache.attach(workerData.cache)
  for (let i = 0; i < 1000; i++) cache.incr('count', 1, { initial: 1 })
  console.log(`thread ${threadId} says ${cache.get('settings').greeting}`)
  cache.close()
}
