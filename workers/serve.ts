// A worker's entry: one long piscina task. Attaches every arena, serves the sockets that come
// through its port, ends when the port is closed.

import type { MessagePort } from 'node:worker_threads'
import { Area } from '../lib/engine/bytes.ts'
import { Cache } from '../lib/engine/cache.ts'
import { CLOCK_TICK_MS, READ_BYTES, UPKEEP_IDLE_MS } from '../lib/limits.ts'
import { Reply } from '../lib/protocol/reply.ts'
import { Connection, type Hall } from '../lib/server/connection.ts'
import { type Delivery, hostOf, type WorkerTask } from '../lib/server/host.ts'
import { Roster } from '../lib/server/roster.ts'

/** Does nothing: the main thread runs it when the pool is short of a thread. */
export function nudge(): void {}

export default async function serve(task: WorkerTask & { port: MessagePort }): Promise<void> {
  const { port } = task
  const cache = Cache.attach(task.cache, task.holder)
  const roster = new Roster(task.roster)
  const host = hostOf(task, cache, roster, new Reply())
  const hall: Hall = {
    host,
    roster,
    input: new Area(Buffer.allocUnsafeSlow(READ_BYTES)),
    spare: [],
    open: new Set(),
  }
  cache.tick()
  const clock = setInterval(() => cache.tick(), CLOCK_TICK_MS)
  const upkeep = startUpkeep(cache, task)
  port.on('message', ({ socket, slot }: Delivery) => new Connection(hall, socket, slot))
  port.postMessage('ready')
  await new Promise<void>(resolve => port.once('close', resolve))
  clearInterval(clock)
  for (const stop of upkeep) stop()
  for (const connection of hall.open) connection.destroy()
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
