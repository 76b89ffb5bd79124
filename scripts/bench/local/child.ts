// One case of bench:local as a process: `child.ts TASK`, the task in JSON. Starts the threads, has
// them fill their caches, then run the load, and prints the outcome in JSON.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { LocalCache } from '../../../lib/index.ts'
import type { Measured, Task } from './thread.ts'

export interface Outcome {
  threads: Measured[]
  /** CPU time of the process while the load ran, all threads and V8's own, microseconds. */
  cpuUs: number
  /** Resident memory of the process that the items take, bytes. */
  residentBytes: number
}

const THREAD = new URL('./thread.ts', import.meta.url)
const LOCAL_BYTES = 512 * 2 ** 20

const task = JSON.parse(process.argv[2]) as Task
const cache =
  task.kind === 'local'
    ? LocalCache.create({ memoryBytes: LOCAL_BYTES, shards: 4 * task.threads })
    : undefined
// Threads without items first: their memory is subtracted.
const idle = await startThreads(0, 0)
const before = process.memoryUsage.rss()
for (const worker of idle) await worker.terminate()
const workers = await startThreads(task.items, task.seconds)
const after = process.memoryUsage.rss()
const cpuBefore = process.cpuUsage()
const answers = workers.map(worker => once(worker, 'message'))
for (const worker of workers) worker.postMessage('go')
const threads = (await Promise.all(answers)).map(([measured]) => measured as Measured)
const cpu = process.cpuUsage(cpuBefore)
const ends = workers.map(worker => once(worker, 'exit'))
for (const worker of workers) worker.postMessage('end')
await Promise.all(ends)
cache?.close()
const cpuUs = cpu.user + cpu.system
console.log(JSON.stringify({ threads, cpuUs, residentBytes: after - before } satisfies Outcome))

async function startThreads(items: number, seconds: number): Promise<Worker[]> {
  const workers = Array.from({ length: task.threads }, (_, thread) => {
    const handle = cache?.handle
    return new Worker(THREAD, { workerData: { ...task, items, seconds, thread, handle } })
  })
  await Promise.all(workers.map(worker => once(worker, 'message')))
  return workers
}
