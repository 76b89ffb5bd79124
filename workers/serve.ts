// A worker's entry: one long piscina task. Attaches every arena, serves the sockets that come
// through its port, ends when the port is closed.

import type { MessagePort } from 'node:worker_threads'
import type { Cache } from '../lib/engine/cache.ts'
import { UPKEEP_IDLE_MS } from '../lib/limits.ts'
import type { Delivery, WorkerTask } from '../lib/server/host.ts'
import { Service } from '../lib/server/service.ts'

/** Does nothing: the main thread runs it when the pool is short of a thread. */
export function nudge(): void {}

export default async function serve(task: WorkerTask & { port: MessagePort }): Promise<void> {
  const { port, worker } = task
  const service = new Service(task)
  const upkeep = startUpkeep(service.host.cache, task)
  let deliveries = 0
  port.on('message', ({ socket, slot }: Delivery) => {
    deliveries++
    service.serve(socket, slot)
  })
  // A socket that could not be rebuilt here: only its number in the row tells which one it was.
  port.on('messageerror', () => service.roster.giveLost(worker, ++deliveries))
  port.postMessage('ready')
  await new Promise<void>(resolve => port.once('close', resolve))
  for (const stop of upkeep) stop()
  service.close()
}

/** Keeps the arenas in order that are this worker's own; how to stop it. */
function startUpkeep(cache: Cache, { worker, roster }: WorkerTask): (() => void)[] {
  const own = [...cache.shards.keys()].filter(index => index % roster.threads === worker)
  return own.map(index => {
    let timer = setTimeout(function turn() {
      timer = setTimeout(turn, cache.upkeep(index))
    }, UPKEEP_IDLE_MS)
    return () => clearTimeout(timer)
  })
}
