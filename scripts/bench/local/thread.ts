// One thread of bench:local: fills its cache, or its share of the shared cache, then gets and sets
// random items for a while. Sends its parent what it did and its longest pause for garbage
// collection.

import { PerformanceObserver } from 'node:perf_hooks'
import { parentPort, workerData } from 'node:worker_threads'
import { type Cache, openCache, type Place } from './caches.ts'

export interface Task extends Place {
  thread: number
  threads: number
  valueBytes: number
  setShare: number
  seconds: number
}

export interface Measured {
  operations: number
  hits: number
  gets: number
  seconds: number
  longestGcMs: number
}

/** Operations between two checks of the time; memjs has all of them in flight. */
const BATCH = 64

const task = workerData as Task
const cache = await openCache(task)
let longestGcMs = 0
new PerformanceObserver(list => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration)
}).observe({ entryTypes: ['gc'] })

await fill(cache)
parentPort?.postMessage('filled')
parentPort?.once('message', async () => {
  const measured = await measure(cache)
  // Observers learn of a pause in a later turn of the event loop.
  await new Promise(resolve => setTimeout(resolve, 100))
  parentPort?.postMessage({ ...measured, longestGcMs } satisfies Measured)
  parentPort?.once('message', () => {
    cache.close()
    process.exit(0)
  })
})

async function fill(cache: Cache): Promise<void> {
  const isShared = task.kind !== 'lru'
  const [first, step] = isShared ? [task.thread, task.threads] : [0, 1]
  for (let i = first; i < task.items; i += step) {
    const done = cache.set(keyOf(i), textOf(i))
    if (done instanceof Promise) await done
  }
}

async function measure(cache: Cache): Promise<Omit<Measured, 'longestGcMs'>> {
  let [operations, hits, gets] = [0, 0, 0]
  const startMs = performance.now()
  const endMs = startMs + task.seconds * 1000
  while (performance.now() < endMs) {
    const waits: (string | undefined | Promise<string | undefined>)[] = []
    for (let i = 0; i < BATCH; i++) {
      const item = Math.floor(Math.random() * task.items)
      if (Math.random() < task.setShare) {
        const done = cache.set(keyOf(item), textOf(operations + i))
        if (done instanceof Promise) waits.push(done.then(() => undefined))
        continue
      }
      gets++
      const found = cache.get(keyOf(item))
      if (found instanceof Promise) waits.push(found)
      else if (found?.length === task.valueBytes) hits++
    }
    if (waits.length > 0) {
      for (const found of await Promise.all(waits)) if (found?.length === task.valueBytes) hits++
    }
    operations += BATCH
    // Observers of the garbage collector run between turns of the event loop.
    if (operations % (BATCH * 1024) === 0) await new Promise(resolve => setImmediate(resolve))
  }
  return { operations, hits, gets, seconds: (performance.now() - startMs) / 1000 }
}

function keyOf(item: number): string {
  return `user:${item}`
}

/** A new string each time, as a value that was just computed or read. */
function textOf(item: number): string {
  return Buffer.alloc(task.valueBytes, String(item)).toString('latin1')
}
