// What one thread does for its peers: keeps what their connections share, begins and ends them.
// Every worker has one, and so has the main thread, for the peers that it cannot hand to a worker.

import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CLOCK_S } from '../engine/arena/layout.ts'
import { Cache } from '../engine/cache.ts'
import type { Host } from '../protocol/host.ts'
import { Reply } from '../protocol/reply.ts'
import { Connection, type Hall } from './connection.ts'
import type { Line, LineOwner } from './line/line.ts'
import { SocketBuffers, SocketLine } from './line/socket.ts'
import { Roster } from './roster.ts'
import type { TlsHall, TlsHandshakes } from './tls/handshakes.ts'
import type { Handshakes } from './tls/node-handshakes.ts'
import { UringLine } from './uring/line.ts'
import { UringLoop } from './uring/loop.ts'
import type { UringHandle } from './uring/uring.ts'
import { type Guards, hostOf, type ListenerFacts, type WorkerTask } from './worker-host.ts'

/** What connections may take to end with the thread that serves them. */
const SERVICE_CLOSE_MS_MAX = 2000

/** How often each thread looks for idle peers and slow handshakes; it ticks the clocks too. */
const SERVICE_TICK_MS = 1000

/** What becomes of something thrown while a peer was served; without it the thread ends. */
export type OnFailure = (error: unknown) => void

export class Service implements Hall, TlsHall {
  readonly host: Host
  readonly roster: Roster
  readonly listeners: readonly ListenerFacts[]
  readonly open = new Set<Connection>()
  readonly fail: OnFailure
  private readonly cache: Cache
  private readonly socketBuffers: SocketBuffers
  private readonly loop: UringLoop | null
  private readonly handshakes: Handshakes | TlsHandshakes | null
  private readonly idleTimeoutS: number
  private readonly clock: NodeJS.Timeout
  private tickedAtS = 0

  /** `guards`: of the task's settings, loaded. `rings`: through a uring, where there can be one. */
  constructor(task: WorkerTask, guards: Guards | null, rings: boolean, fail: OnFailure = rethrow) {
    this.cache = Cache.attach(task.cache, task.holder)
    this.roster = new Roster(task.roster)
    const reply = new Reply()
    this.host = hostOf(task, this.cache, this.roster, reply, guards)
    this.socketBuffers = new SocketBuffers(reply)
    this.handshakes = this.openHandshakes(task, guards)
    // Where Node speaks TLS it watches descriptors, which a uring does not see.
    const isDirect = this.handshakes === null || this.handshakes.isDirect
    this.loop = rings && task.settings.ioUring && isDirect ? UringLoop.open(reply) : null
    this.listeners = task.settings.listeners
    // As in memcached, peers of a UNIX socket may be idle.
    this.idleTimeoutS = task.worker === this.roster.mainThread ? 0 : task.settings.idleTimeoutS
    this.fail = fail
    this.tick()
    this.clock = setInterval(() => this.tick(), SERVICE_TICK_MS)
  }

  /** Of its uring, to be released if this thread dies; null: it has none. */
  uringHandle(): UringHandle | null {
    return this.loop?.uring.handle() ?? null
  }

  /** Serves the connection in this slot from now on. */
  serve(socket: Socket, slot: number): void {
    const { peerCheck } = this.listeners[this.roster.listenerOf(slot)]
    if (peerCheck !== null && this.handshakes !== null) {
      this.handshakes.begin(socket, slot, peerCheck)
      return
    }
    new Connection(this, owner => this.openLine(socket, owner, false), slot)
  }

  /** The line through an accepted socket, not reading yet. `encrypted`: Node speaks TLS in between. */
  openLine(accepted: Socket, owner: LineOwner, encrypted: boolean): Line {
    return this.loop === null
      ? new SocketLine(this.socketBuffers, accepted, owner, encrypted)
      : new UringLine(this.loop, accepted, owner)
  }

  /** The same for TLS, which says farewell to a peer that has ended its side. */
  openBelow(accepted: Socket, owner: LineOwner): Line {
    const line = this.openLine(accepted, owner, false)
    if (line instanceof SocketLine) line.stayHalfOpen()
    return line
  }

  /** Serves the connection in this slot, which has shaken hands. */
  welcome(line: Line, slot: number): LineOwner {
    return new Connection(this, () => line, slot)
  }

  later = (work: () => void, pauseMs: number): void => {
    this.loop?.leave()
    if (pauseMs === 0) setImmediate(work)
    else setTimeout(work, pauseMs)
  }

  /** Ends all connections; resolves when they have let go of all that they held. */
  async close(): Promise<void> {
    clearInterval(this.clock)
    this.handshakes?.close()
    for (const connection of this.open) connection.destroy()
    const endMs = performance.now() + SERVICE_CLOSE_MS_MAX
    while (this.open.size > 0 && performance.now() < endMs) await nextTurn()
    this.loop?.close()
  }

  /** Ends all connections and touches nothing that they hold: whoever failed is cleared up after. */
  abandon(): void {
    clearInterval(this.clock)
    for (const connection of this.open) connection.abandon()
  }

  private openHandshakes(
    { settings }: WorkerTask,
    guards: Guards | null,
  ): Handshakes | TlsHandshakes | null {
    if (settings.tls === null || guards === null) return null
    const { settings: terms, keyring: buffer } = settings.tls
    const keyring = new guards.Keyring(buffer)
    const { host, roster } = this
    const direct = guards.TlsHandshakes.open(terms, keyring, this)
    if (direct !== null) return direct
    return new guards.Handshakes(terms, keyring, host, roster, (socket, slot) => {
      new Connection(this, owner => this.openLine(socket, owner, true), slot)
    })
  }

  private tick(): void {
    this.cache.tick()
    const nowS = this.cache.shards[0].arena.words[CLOCK_S]
    if (nowS === this.tickedAtS) return
    this.tickedAtS = nowS
    this.handshakes?.sweep()
    if (this.idleTimeoutS === 0) return
    for (const connection of this.open) connection.endIfIdle(nowS - this.idleTimeoutS)
  }
}

function rethrow(error: unknown): never {
  throw error
}
