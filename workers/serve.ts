// A worker: one long piscina task. It attaches every arena, serves the sockets that come through
// its port, and ends when the port is closed.

import { type MessagePort, threadId } from 'node:worker_threads'
import { Keeper } from '../lib/engine/keeper.ts'
import { takePart } from '../lib/server/relay/relay.ts'
import { Service } from '../lib/server/service.ts'
import { sayThrough } from '../lib/server/system/log.ts'
import {
  type Delivery,
  type Errand,
  isGuarded,
  type Ready,
  type WorkerTask,
} from '../lib/server/worker-host.ts'

export default async function serve(task: WorkerTask & { port: MessagePort }): Promise<void> {
  const { port, worker } = task
  sayThrough(port, task.settings.logWords)
  const guards = isGuarded(task.settings) ? await import('../lib/server/guards.ts') : null
  const service = new Service(task, guards, true)
  const keeper = new Keeper(service.host.cache, ownArenas(task), error => {
    throw error
  })
  let deliveries = 0
  port.on('message', (message: Delivery | Errand) => {
    if ('relay' in message) {
      if (takePart(message.relay, worker, service.host.cache)) service.leave()
      return
    }
    deliveries++
    service.serve(message.socket, message.slot)
  })
  // A socket that could not be rebuilt here: only the number of its delivery tells which one it
  // was.
  port.on('messageerror', () => service.roster.giveLost(worker, ++deliveries))
  const { isDirectTls } = service
  const ready: Ready = { threadId, uring: service.uringHandle(), isDirectTls }
  port.postMessage(ready)
  await new Promise<void>(resolve => port.once('close', resolve))
  keeper.stop()
  // After the task the pool may end the thread at any moment: by then it must need no lock.
  await service.close()
}

/** The arenas whose upkeep is this worker's. */
function ownArenas({ worker, cache, roster }: WorkerTask): number[] {
  return [...cache.arenas.keys()].filter(index => index % roster.threads === worker)
}
