// The worker threads: long piscina tasks, one a thread. Starts them, hands them sockets, replaces
// one that dies, ends them.
//
// A worker that dies takes its connections with it and nothing else: the others go on, whatever it
// left in the arenas is cleared up (Cache.recover), and a new worker attaches to the same arenas.
// No worker is ever terminated from here: it may be inside a lock. Closing its port ends its task.

import type { Socket } from 'node:net'
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type Worker as Thread,
} from 'node:worker_threads'
import type { Cache } from '../engine/cache.ts'
import { forgetWatchers } from '../observe/journal.ts'
import { Control } from '../protocol/host.ts'
import type { Roster } from './roster.ts'
import { releaseUring, type UringHandle } from './uring/uring.ts'
import type { DaemonSettings, Delivery, Ready, WorkerTask } from './worker-host.ts'

/** A worker that takes no connections this long after its start is given up and started again. */
const WORKER_START_MS_MAX = 60_000

/** After so many workers, one after the other, that did not live this long, the next one waits. */
const WORKER_STEADY_MS = 2000
const WORKER_DEATHS_MAX = 20
const WORKER_DELAY_MS = 1000

/** When to look again at an arena that could not be cleared up after a dead worker. */
const RECOVER_AGAIN_MS = 200

/** The main thread's id for locks and holds in a cache that it makes; the cache names the others. */
export const MAIN_HOLDER = 1

/** What is asked of piscina, whose own types an application with `skipLibCheck: false` fails on. */
export interface ThreadPool {
  readonly threads: readonly Thread[]
  run(
    task: unknown,
    options: { name?: string; transferList?: MessagePort[]; signal?: AbortSignal },
  ): Promise<void>
  on(event: 'workerDestroy', listener: () => void): unknown
  destroy(): Promise<void>
}

interface Worker {
  index: number
  holder: number
  port: MessagePort
  /** Settled once it takes connections, or never will. */
  ready: Promise<void>
  isReady: boolean
  /** Settled when its task has ended. */
  done: Promise<void>
  /** Connections sent to it so far. */
  deliveries: number
  /** Its uring, which it closes itself unless it dies. */
  uring: UringHandle | null
  /** Gives it up before it is ready. */
  abort: AbortController
  startedMs: number
}

export class Workers {
  readonly pool: ThreadPool
  private readonly cache: Cache
  private readonly roster: Roster
  readonly settings: DaemonSettings
  private readonly workers: Worker[] = []
  private starting = true
  private closing = false
  private earlyDeaths = 0

  constructor(pool: ThreadPool, cache: Cache, roster: Roster, settings: DaemonSettings) {
    this.pool = pool
    this.cache = cache
    this.roster = roster
    this.settings = settings
    pool.on('workerDestroy', () => setImmediate(() => this.nudge()))
  }

  /**
   * Starts all workers; resolves when all of them take connections. The first is started by itself,
   * so that it need not share the processors with the others; `onFirst`: connections may be handed
   * over. Those of the others wait for them, some milliseconds, and all have as many.
   */
  async start(onFirst: () => void): Promise<void> {
    this.startWorker(0)
    await this.workers[0].ready
    for (let index = 1; index < this.roster.handle.threads; index++) this.startWorker(index)
    onFirst()
    await Promise.all(this.workers.map(worker => worker.ready))
    this.starting = false
  }

  /** The worker with the fewest connections, of those that live if there are such. */
  leastLoaded(): number {
    let best = 0
    for (const { index, isReady } of this.workers) {
      const bestIsReady = this.workers[best].isReady
      const fewer = this.roster.loadOf(index) < this.roster.loadOf(best)
      if (this.starting || isReady === bestIsReady ? fewer : isReady) best = index
    }
    return best
  }

  /** Hands a paused socket over; false if it is gone already. */
  deliver(index: number, socket: Socket, slot: number): boolean {
    const worker = this.workers[index]
    try {
      const delivery: Delivery = { socket, slot }
      this.roster.deliver(slot, worker.deliveries + 1)
      worker.port.postMessage(delivery, [socket])
      worker.deliveries++
      return true
    } catch {
      return false
    }
  }

  /** What the main thread serves peers with, under an id of its own. */
  localTask(): WorkerTask {
    return this.taskFor(this.roster.mainThread)
  }

  /** Clears up after the main thread, which failed to serve its peers under this id. */
  buryLocal(holder: number): void {
    this.recover(holder)
    this.roster.giveAll(this.roster.mainThread)
    forgetWatchers(this.settings.log, this.roster.mainThread)
    this.roster.countRestart()
  }

  /** Ends all workers; their connections end with what was not sent yet. */
  async close(): Promise<void> {
    this.closing = true
    for (const { port, isReady, abort } of this.workers) {
      port.close()
      if (!isReady) abort.abort()
    }
    await Promise.allSettled(this.workers.map(worker => worker.done))
    await this.pool.destroy()
    // A cache that goes on without this daemon keeps nothing for its peers.
    for (const { holder } of this.workers) this.recover(holder)
  }

  private startWorker(index: number): void {
    const { port1, port2 } = new MessageChannel()
    const task = this.taskFor(index)
    const abort = new AbortController()
    const options = { transferList: [port2], signal: abort.signal }
    const done = this.pool.run({ ...task, port: port2 }, options)
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
    const startedMs = performance.now()
    const worker: Worker = {
      index,
      holder: task.holder,
      port: port1,
      ready,
      isReady: false,
      done,
      deliveries: 0,
      uring: null,
      abort,
      startedMs,
    }
    this.workers[index] = worker
    const late = setTimeout(() => abort.abort(), WORKER_START_MS_MAX)
    port1.once('message', ({ uring }: Ready) => {
      clearTimeout(late)
      worker.uring = uring
      this.noteUring(index, uring)
      worker.isReady = true
      resolve()
    })
    ready.catch(() => {})
    done.catch((error: unknown) => {
      clearTimeout(late)
      reject(error)
      this.replace(worker, error)
    })
  }

  private noteUring(worker: number, uring: UringHandle | null): void {
    if (uring !== null || !this.settings.ioUring) return
    if (this.roster.control[Control.VERBOSITY] === 0) return
    process.stderr.write(`worker ${worker}: no io_uring here, through sockets\n`)
  }

  private taskFor(index: number): WorkerTask {
    return {
      worker: index,
      holder: this.cache.newHolder(),
      cache: this.cache.handle,
      roster: this.roster.handle,
      settings: this.settings,
    }
  }

  /**
   * piscina makes no new thread for one that dies while it starts, and its task waits for ever. Any
   * further task makes it see that a thread is missing; that one takes the task that waits longest.
   */
  private nudge(): void {
    if (this.closing || this.pool.threads.length >= this.workers.length) return
    const options = { name: 'nudge', signal: AbortSignal.timeout(WORKER_START_MS_MAX) }
    this.pool.run(undefined, options).catch(() => {})
  }

  private restart(index: number): void {
    if (!this.closing) this.startWorker(index)
  }

  private recover(holder?: number): void {
    const emptied = this.cache.recover(holder)
    if (emptied > 0) process.stderr.write(`${emptied} torn arena(s) emptied\n`)
    if (!this.cache.isRecovered()) setTimeout(() => this.recover(), RECOVER_AGAIN_MS).unref()
  }

  private replace(dead: Worker, error: unknown): void {
    // Whoever goes on without this daemon keeps no uring, and no sockets, of a worker that died last.
    const uring = dead.uring ?? lastWordOf(dead.port)
    if (uring !== null) releaseUring(uring)
    if (this.closing) return
    dead.port.close()
    dead.isReady = false
    this.recover(dead.holder)
    this.roster.giveAll(dead.index)
    forgetWatchers(this.settings.log, dead.index)
    this.roster.countRestart()
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`worker ${dead.index} died and is replaced: ${reason}\n`)
    const early = performance.now() - dead.startedMs < WORKER_STEADY_MS
    this.earlyDeaths = early ? this.earlyDeaths + 1 : 0
    if (this.earlyDeaths <= WORKER_DEATHS_MAX) this.startWorker(dead.index)
    else setTimeout(() => this.restart(dead.index), WORKER_DELAY_MS).unref()
  }
}

/** The uring of a worker that died right behind saying that it is ready, if that was not heard yet. */
function lastWordOf(port: MessagePort): UringHandle | null {
  const ready = receiveMessageOnPort(port) as { message: Ready } | undefined
  return ready?.message.uring ?? null
}
