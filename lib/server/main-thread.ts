// The main thread as a server of peers: of those whose sockets Node cannot hand to another thread,
// the connections of a UNIX socket and the datagrams of UDP.
//
// What that costs: one thread serves them all, however many there are, and it is the one that accepts
// TCP connections. (A descriptor could be opened a second time in a worker, but two owners would
// close it, and the second might close somebody else's.)
//
// Something thrown while a peer is served ends a worker, which is replaced. The main thread goes on:
// it says what was thrown, drops its peers, clears up as after a dead worker, and begins anew with
// another id for locks and holds.

import type { Socket } from 'node:net'
import type { Host } from '../protocol/host.ts'
import { Service } from './service.ts'
import type { Guards } from './worker-host.ts'
import type { Workers } from './workers.ts'

export class LocalService {
  private readonly workers: Workers
  private readonly guards: Guards | null
  private holder = 0
  private service: Service

  constructor(workers: Workers, guards: Guards | null) {
    this.workers = workers
    this.guards = guards
    this.service = this.begin()
  }

  serve(socket: Socket, slot: number): void {
    this.service.serve(socket, slot)
  }

  /** What sessions without a connection are begun with; another one after a failure. */
  get host(): Host {
    return this.service.host
  }

  /** Runs something that serves a peer. */
  guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.service.fail(error)
    }
  }

  async close(): Promise<void> {
    await this.service.close()
  }

  private begin(): Service {
    const task = this.workers.localTask()
    this.holder = task.holder
    return new Service(task, this.guards, false, error => this.beginAnew(error))
  }

  private beginAnew(error: unknown): void {
    const reason = error instanceof Error ? error.stack : String(error)
    process.stderr.write(`main thread failed to serve its peers, they are dropped: ${reason}\n`)
    this.service.abandon()
    this.workers.buryLocal(this.holder)
    this.service = this.begin()
  }
}
