// The seat among the scalers of one host and one folder, where there is no etcd: a socket in the
// kernel's abstract namespace, which is free again as soon as its process has ended.

import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { STANDBY_MS } from '../limits.ts'
import type { Seat, Tell } from './seat.ts'

export class HostSeat implements Seat {
  private readonly path: string
  private readonly tell: Tell
  private readonly stop = new AbortController()
  private readonly held = new AbortController()
  private server: Server | null = null

  /** `what`: the folder that only one scaler may change. */
  constructor(what: string, tell: Tell) {
    // Such a name has at most 107 bytes.
    this.path = `\0memslab-scale:${hash('sha256', what)}`
    this.tell = tell
    void this.run()
  }

  term(): AbortSignal | null {
    return this.server === null || this.held.signal.aborted ? null : this.held.signal
  }

  async close(): Promise<void> {
    this.stop.abort()
    this.held.abort(new Error('this scaler does not act any more'))
    this.server?.close()
  }

  private async run(): Promise<void> {
    const { signal } = this.stop
    for (let tries = 0; !signal.aborted; tries++) {
      const server = createServer(socket => socket.destroy())
      try {
        await once(server.listen(this.path), 'listening')
        if (signal.aborted) return void server.close()
        this.server = server
        return this.tell('acting')
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        const reason =
          code === 'EADDRINUSE' ? 'another scaler acts on this folder' : `no lock: ${code}`
        if (tries === 0) this.tell(`standing by: ${reason}`)
      }
      await sleep(STANDBY_MS, undefined, { signal }).catch(() => {})
    }
  }
}
