// Serves the peers of one thread: keeps what their connections share, opens and closes them. Every
// worker has one, and so has the main thread, for peers that it cannot hand to a worker.

import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Cache } from '../engine/cache.ts'
import { Control, type Host, overridden } from '../protocol/host.ts'
import { Reply } from '../protocol/reply.ts'
import { Connection, type Hall } from './connection.ts'
import { LimitedConnection } from './limited-connection.ts'
import type { Line, LineOwner } from './line/line.ts'
import { hasKnownHandle } from './line/node-handle.ts'
import { REPLY_ROOM_BYTES, Replies } from './line/replies.ts'
import { SocketBuffers, SocketLine } from './line/socket.ts'
import { StreamLine } from './line/stream.ts'
import { Roster } from './roster.ts'
import { ThreadHealth } from './thread-health.ts'
import type { TlsHall } from './tls/engine.ts'
import type { Handshakes } from './tls/handshakes.ts'
import { Turns } from './turns.ts'
import { UringLine } from './uring/line.ts'
import { UringLoop } from './uring/loop.ts'
import type { UringHandle } from './uring/uring.ts'
import {
  type DaemonSettings,
  type Guards,
  hostOf,
  type ListenerFacts,
  type WorkerTask,
} from './worker-host.ts'

/** How long connections may take to close with the thread that serves them. */
const SERVICE_CLOSE_MS_MAX = 2000

/** How often each thread updates its clock and checks for idle peers and slow handshakes. */
const SERVICE_TICK_MS = 1000

/**
 * A tick this late means that the thread did not run, as in a container that was paused. What its
 * peers sent meanwhile is unread: they are judged only when that is over.
 */
const PAUSE_S_MIN = 3

/** Reply buffers that a thread without a uring keeps for reuse. */
const REPLY_SPARES_MAX = 64

/** Handles an exception while a peer is served; without it the thread ends. */
export type OnFailure = (error: unknown) => void

export class Service implements Hall, TlsHall {
  readonly host: Host
  readonly roster: Roster
  readonly listeners: readonly ListenerFacts[]
  readonly replies: Replies
  readonly open = new Set<Connection>()
  readonly fail: OnFailure
  private readonly cache: Cache
  private readonly buffers: SocketBuffers
  private readonly loop: UringLoop | null
  private readonly handshakes: Handshakes | null
  private readonly health: ThreadHealth | null
  private readonly turns = new Turns()
  private readonly endsIdle: boolean
  private readonly settings: DaemonSettings
  private readonly thread: number
  private readonly clock: NodeJS.Timeout
  private tickedAtS = 0
  /** When the thread went on after a pause. */
  private resumedAtS = 0

  /**
   * `guards`: loaded if the settings need them. `mayUseUring`: whether this thread may have a
   * uring, if the settings and the system allow one.
   */
  constructor(
    task: WorkerTask,
    guards: Guards | null,
    mayUseUring: boolean,
    fail: OnFailure = rethrow,
  ) {
    const { settings } = task
    this.cache = Cache.attach(task.cache, task.holder)
    this.roster = new Roster(task.roster)
    const reply = new Reply()
    this.host = hostOf(task, this.cache, this.roster, reply, guards)
    this.handshakes = this.openHandshakes(task, guards)
    const usesUring = mayUseUring && settings.ioUring && this.isDirectTls
    this.loop = usesUring ? UringLoop.open(reply, this.turns) : null
    this.replies = this.loop?.replies ?? new Replies(reply, REPLY_ROOM_BYTES, REPLY_SPARES_MAX)
    this.buffers = new SocketBuffers(this.replies)
    this.listeners = settings.listeners
    // The admin listener tells of the main thread.
    const isMain = task.worker === this.roster.mainThread
    this.health = settings.tellsHealth && !isMain ? new ThreadHealth(this.host.counters) : null
    // As in memcached, peers of a UNIX socket may be idle.
    this.endsIdle = !isMain
    this.settings = settings
    this.thread = task.worker
    this.fail = fail
    this.tick()
    this.clock = setInterval(() => this.tick(), SERVICE_TICK_MS)
  }

  /** False: TLS is Node's, which watches descriptors in ways that a uring's loop does not see. */
  get isDirectTls(): boolean {
    return this.handshakes === null || this.handshakes.isDirect
  }

  /** Handle of its uring, to release it if this thread dies; null: it has none. */
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
    this.welcome(owner => this.openLine(socket, owner), slot)
  }

  openLine(accepted: Socket, owner: LineOwner): Line {
    if (this.loop !== null) return new UringLine(this.loop, accepted, owner)
    if (hasKnownHandle(accepted)) return new SocketLine(this.buffers, accepted, owner)
    return this.openStream(accepted, owner)
  }

  openStream(socket: Socket, owner: LineOwner): Line {
    return new StreamLine(this.buffers.input, socket, owner)
  }

  welcome(
    open: (owner: LineOwner) => Line,
    slot: number,
    names: readonly string[] = [],
  ): LineOwner {
    if (this.host.access === null) return new Connection(this, open, slot)
    return new LimitedConnection(this, open, slot, names)
  }

  later = (work: () => void, pauseMs: number): void => {
    if (pauseMs > 0) {
      this.loop?.leave()
      setTimeout(work, pauseMs).unref()
      return
    }
    if (this.loop === null && this.turns.isEmpty) setImmediate(this.goOn)
    this.turns.add(work)
  }

  /** Without a uring libuv looks at what has arrived between two turns. */
  private readonly goOn = (): void => {
    this.turns.step()
    if (!this.turns.isEmpty) setImmediate(this.goOn)
  }

  /** Another process goes on: no request is run any more, replies on their way are sent. */
  leave(): void {
    this.handshakes?.close()
    for (const connection of this.open) connection.leave()
  }

  /** Closes all connections. Resolves when they have released all holds. */
  async close(): Promise<void> {
    clearInterval(this.clock)
    this.health?.close()
    this.handshakes?.close()
    for (const connection of this.open) connection.destroy()
    const endMs = performance.now() + SERVICE_CLOSE_MS_MAX
    while (this.open.size > 0 && performance.now() < endMs) await nextTurn()
    this.loop?.close()
  }

  /** Closes all connections without releasing holds: the main thread cleans up. */
  abandon(): void {
    clearInterval(this.clock)
    this.health?.close()
    for (const connection of this.open) connection.abandon()
  }

  private openHandshakes({ settings }: WorkerTask, guards: Guards | null): Handshakes | null {
    if (settings.tls === null || guards === null) return null
    const { settings: terms, keyring } = settings.tls
    return new guards.Handshakes(terms, new guards.Keyring(keyring), this)
  }

  private tick(): void {
    this.cache.tick()
    this.roster.beats[this.thread]++
    this.health?.tick()
    this.applyChanges()
    const nowS = this.cache.nowS
    if (nowS === this.tickedAtS) return
    if (nowS - this.tickedAtS >= PAUSE_S_MIN) this.resumedAtS = nowS
    this.tickedAtS = nowS
    if (this.resumedAtS === nowS) return
    this.handshakes?.sweep()
    if (this.host.access !== null) this.endPasses()
    const { control } = this.host
    const idleS = overridden(control, Control.IDLE_TIMEOUT_S, this.settings.idleTimeoutS)
    if (!this.endsIdle || idleS === 0 || nowS - this.resumedAtS < idleS) return
    for (const connection of this.open) connection.endIfIdle(nowS - idleS)
  }

  /** Closes the connections whose peers may be here no more. */
  private endPasses(): void {
    for (const connection of this.open) {
      if (connection instanceof LimitedConnection) connection.endIfOver()
    }
  }

  /** What `config set` changed for new connections. */
  private applyChanges(): void {
    const { control, turn } = this.host
    turn.requestsMax = overridden(control, Control.TURN_REQUESTS, this.settings.turn.requestsMax)
  }
}

function rethrow(error: unknown): never {
  throw error
}
