// Thread of an attack: starts it, goes on until it is asked for what it noticed, and ends.

import { parentPort, workerData } from 'node:worker_threads'
import { type Target, Watch } from './attack.ts'
import { attackOf } from './attacks/index.ts'
import type { Noticed } from './threads.ts'

const { name, target } = workerData as { name: string; target: Target }
const watch = new Watch()
const attack = attackOf(name)
await attack.prepare?.(target)
parentPort?.postMessage('prepared')
parentPort?.once('message', async () => {
  parentPort?.once('message', () => {
    const { lost, reason } = watch
    parentPort?.postMessage({ lost, reason } satisfies Noticed)
    process.exit(0)
  })
  await attack.start(target, watch)
  parentPort?.postMessage('started')
})
