// The main thread serves the peers whose sockets Node cannot hand to another thread: connections of
// a UNIX socket, and datagrams of UDP.
//
// The cost: one thread serves all of them, and it also accepts the TCP connections. (A worker could
// open the descriptor a second time, but then two owners close it, and the second may close another
// file.)
//
// An exception while a peer is served ends a worker, which is then replaced. The main thread goes
// on: it logs the error, drops its peers, cleans up as after a dead worker, and starts again with a
// new id for locks and holds.

import type { Socket } from 'node:net'
import type { Host } from '../protocol/host.ts'
import { Service } from './service.ts'
import { say } from './system/log.ts'
import type { Guards } from './worker-host.ts'
import type { Workers } from './workers.ts'

export class MainThreadService {
  private readonly workers: Workers
  private readonly guards: Guards | null
  private holder = 0
  private service: Service

  constructor(workers: Workers, guards: Guards | null) {
    this.workers = workers
    this.guards = guards
    this.service = this.start()
  }

  serve(socket: Socket, slot: number): void {
    this.service.serve(socket, slot)
  }

  /** The host for sessions without a connection. A failure replaces it. */
  get host(): Host {
    return this.service.host
  }

  /** Runs something that serves a peer, with the same handling of exceptions. */
  guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.service.fail(error)
    }
  }

  /** Runs something that serves a peer in a later turn, behind those that wait already. */
  later(work: () => void): void {
    this.service.later(work, 0)
  }

  /** Another process goes on: see Service. */
  leave(): void {
    this.service.leave()
  }

  async close(): Promise<void> {
    await this.service.close()
  }

  private start(): Service {
    const task = this.workers.mainThreadTask()
    this.holder = task.holder
    const service = new Service(task, this.guards, false, error => this.restart(error))
    // This thread alone hears of the death of a worker, but not while it waits for its lock.
    service.host.cache.watchLocks(holder => this.workers.recoverEnded(holder))
    return service
  }

  private restart(error: unknown): void {
    const reason = error instanceof Error ? error.stack : String(error)
    say(`main thread failed to serve its peers, they are dropped: ${reason}`, 'error')
    this.service.abandon()
    this.workers.recoverMainThread(this.holder)
    this.service = this.start()
  }
}
