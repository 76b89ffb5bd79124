// The worker threads: long piscina tasks, one per thread. Starts them, hands them sockets, writes
// their log, replaces dead ones, ends them.
//
// The death of a worker closes its connections and nothing else: the others go on, its locks and
// holds in the arenas are cleaned up (Cache.recover), and a new worker attaches to the same arenas.
// Workers are never terminated from here, because one may be inside a lock. Closing its port ends
// its task.
//
// A thread may fail to start, for example because its code cannot be read any more. It is retried
// with growing delays. The daemon fails if that goes on and no worker is left.

import type { Socket } from 'node:net'
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type Worker as Thread,
} from 'node:worker_threads'
import type { Cache } from '../engine/cache.ts'
import { hasEnded, observe } from '../engine/thread-end.ts'
import { forgetWatchers } from '../observe/journal.ts'
import { Control } from '../protocol/host.ts'
import type { Relay } from './relay/relay.ts'
import type { Roster } from './roster.ts'
import { say, sayFor } from './system/log.ts'
import { releaseUring, type UringHandle } from './uring/uring.ts'
import type { DaemonSettings, Delivery, Ready, WorkerMessage, WorkerTask } from './worker-host.ts'

/** A worker that takes no connections this long after its start is given up and restarted. */
const WORKER_START_S_MAX = 60

/** After this number of workers in a row with a shorter life than this, the next restart waits. */
const WORKER_STEADY_MS = 2000
const WORKER_DEATHS_MAX = 20
const WORKER_DELAY_MS = 1000

/**
 * How often each thread may die before it serves: the first times it is replaced at once, then
 * after a delay that doubles between these bounds. With no worker left the daemon gives up after
 * the last number, which takes some seconds.
 */
export const START_FAILURES_FREE = 3
export const START_FAILURES_MAX = 10
const START_DELAY_MS_MIN = 50
const START_DELAY_MS_MAX = 10_000

/** When to retry an arena that could not be cleaned up after a dead worker. */
const RECOVER_AGAIN_MS = 200

/**
 * The main thread's id for locks and holds in a cache that it creates. The cache gives the other
 * ids.
 */
export const MAIN_HOLDER = 1

/** The used part of piscina, whose own types do not compile with `skipLibCheck: false`. */
export interface ThreadPool {
  readonly threads: readonly Thread[]
  run(
    task: unknown,
    options: { name?: string; transferList?: MessagePort[]; signal?: AbortSignal },
  ): Promise<void>
  on(event: 'workerDestroy', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
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
  /** The thread that runs it, once it is ready. */
  thread: Thread | undefined
  /** Its uring, which it closes itself unless it dies. */
  uring: UringHandle | null
  /** Gives it up before it is ready. */
  abort: AbortController
  startedMs: number
}

export class Workers {
  readonly pool: ThreadPool
  /** Resolves when no worker is left and none can be started, with the reason in one line. */
  readonly failed: Promise<string>
  private readonly fail: (line: string) => void
  private readonly cache: Cache
  private readonly roster: Roster
  readonly settings: DaemonSettings
  private readonly workers: Worker[] = []
  private starting = true
  private closing = false
  private earlyDeaths = 0
  /** Threads that died before they served, since the last one that served. */
  private startFailures = 0
  /** The reason is the same for all threads: one line is enough. */
  private saidNoUring = false
  private nudging: NodeJS.Timeout | undefined
  /** Why no worker can be started. */
  private fault: Error | undefined

  constructor(pool: ThreadPool, cache: Cache, roster: Roster, settings: DaemonSettings) {
    this.pool = pool
    this.cache = cache
    this.roster = roster
    this.settings = settings
    const { promise, resolve } = Promise.withResolvers<string>()
    this.failed = promise
    this.fail = resolve
    pool.on('workerDestroy', () => setImmediate(() => this.nudgeLater()))
    pool.on('error', error => this.noteFailure(error))
  }

  /**
   * Starts all workers. Resolves when all of them take connections. The first is started alone, so
   * that it does not share the CPUs with the others; then `onFirst` is called, and connections may
   * be handed over. Connections for the others wait some milliseconds for them, so that all get
   * equally many.
   */
  async start(onFirst: () => void): Promise<void> {
    this.startWorker(0)
    await this.workers[0].ready
    for (let index = 1; index < this.roster.handle.threads; index++) this.startWorker(index)
    onFirst()
    await Promise.all(this.workers.map(worker => worker.ready))
    this.starting = false
  }

  /** The worker with the fewest connections, a running one if there is any. */
  leastLoaded(): number {
    let best = 0
    for (const { index, isReady } of this.workers) {
      const bestIsReady = this.workers[best].isReady
      const fewer = this.roster.loadOf(index) < this.roster.loadOf(best)
      if (this.starting || isReady === bestIsReady ? fewer : isReady) best = index
    }
    return best
  }

  /** How many workers take connections. */
  readyCount(): number {
    return this.workers.filter(({ isReady }) => isReady).length
  }

  /** Of each worker, whether it takes connections. */
  readiness(): boolean[] {
    return this.workers.map(({ isReady }) => isReady)
  }

  /** How many of them use io_uring. */
  uringCount(): number {
    return this.workers.filter(({ isReady, uring }) => isReady && uring !== null).length
  }

  /** Whether a worker takes connections by io_uring. */
  usesUring(index: number): boolean {
    return this.workers[index]?.isReady === true && this.workers[index].uring !== null
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

  /** Has every worker take part in giving or taking the content. */
  relay(relay: Relay): void {
    for (const { port } of this.workers) port.postMessage({ relay })
  }

  /** The task with which the main thread serves peers, with its own id. */
  mainThreadTask(): WorkerTask {
    return this.taskFor(this.roster.mainThread)
  }

  /**
   * Cleans up after a worker that has ended, though this thread could not hear of that yet: it
   * waits for a lock that this worker has.
   */
  recoverEnded(holder: number): void {
    const worker = this.workers.find(worker => worker.holder === holder)
    if (worker?.thread !== undefined && hasEnded(worker.thread)) this.recover(holder)
  }

  /** Cleans up after the main thread, which failed to serve its peers with this id. */
  recoverMainThread(holder: number): void {
    this.recover(holder)
    this.roster.giveAll(this.roster.mainThread)
    forgetWatchers(this.settings.log, this.roster.mainThread)
    this.roster.countRestart()
  }

  /** Ends all workers. Their connections are closed, and unsent replies are lost. */
  async close(): Promise<void> {
    this.closing = true
    clearTimeout(this.nudging)
    for (const { port, isReady, abort } of this.workers) {
      port.close()
      if (!isReady) abort.abort()
    }
    await Promise.allSettled(this.workers.map(worker => worker.done))
    await this.pool.destroy()
    // A cache that goes on without this daemon must hold nothing for its peers.
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
      thread: undefined,
      uring: null,
      abort,
      startedMs,
    }
    this.workers[index] = worker
    const notLate = afterRunning(WORKER_START_S_MAX, () => abort.abort())
    port1.on('message', (message: WorkerMessage) => {
      if ('log' in message) return sayFor(message)
      notLate()
      worker.uring = message.uring
      worker.thread = this.pool.threads.find(({ threadId }) => threadId === message.threadId)
      if (worker.thread !== undefined) observe(worker.thread)
      this.noteWays(index, message)
      worker.isReady = true
      this.startFailures = 0
      resolve()
    })
    ready.catch(() => {})
    done.catch((error: unknown) => {
      notLate()
      reject(this.fault ?? error)
      this.replace(worker, error)
    })
  }

  /** With -v, logs that a worker cannot use io_uring or OpenSSL directly. */
  private noteWays(worker: number, { uring, isDirectTls }: Ready): void {
    if (this.roster.control[Control.VERBOSITY] === 0) return
    const { tls, ioUring } = this.settings
    if (!isDirectTls && tls?.settings.sslEngine === 'direct') {
      say(`worker ${worker}: cannot call OpenSSL directly, TLS goes through Node`, 'warn')
    }
    if (uring === null && ioUring && isDirectTls && !this.saidNoUring) {
      this.saidNoUring = true
      say('cannot use io_uring, uses sockets', 'warn')
    }
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

  private nudgeLater(): void {
    if (this.closing || this.pool.threads.length >= this.workers.length) return
    this.nudging ??= setTimeout(() => this.nudge(), this.startDelayMs())
  }

  /**
   * piscina starts no new thread for one that dies during its start, and the task waits forever. A
   * further task makes it notice that a thread is missing; the new thread takes the oldest task.
   */
  private nudge(): void {
    this.nudging = undefined
    for (let missing = this.workers.length - this.pool.threads.length; missing > 0; missing--) {
      const options = { name: 'nudge', signal: AbortSignal.timeout(WORKER_START_S_MAX * 1000) }
      this.pool.run(undefined, options).catch(() => {})
    }
  }

  /** A thread died before it had a task, or with a task that did not serve yet. */
  private noteFailure(error: Error): void {
    if (this.closing || this.fault !== undefined) return
    this.startFailures++
    // All of them fail in the same way: one line is enough.
    if (this.startFailures % this.workers.length !== 0) return
    say(`a worker thread could not be started: ${error.message}`, 'error')
    if (this.startRounds() < START_FAILURES_MAX) return
    if (this.workers.some(({ isReady }) => isReady)) return
    this.fault = new Error(`no worker can be started: ${error.message}`)
    this.fail(this.fault.message)
    for (const { abort } of this.workers) abort.abort()
  }

  /** How often each thread has failed to start. */
  private startRounds(): number {
    return Math.floor(this.startFailures / this.workers.length)
  }

  private startDelayMs(): number {
    const doublings = this.startRounds() - START_FAILURES_FREE
    if (doublings < 0) return 0
    return Math.min(START_DELAY_MS_MIN * 2 ** doublings, START_DELAY_MS_MAX)
  }

  private restart(index: number): void {
    if (!this.closing && this.fault === undefined) this.startWorker(index)
  }

  private recover(holder?: number): void {
    const emptied = this.cache.recover(holder)
    if (emptied > 0) say(`${emptied} torn arena(s) emptied`, 'error')
    if (!this.cache.isRecovered()) setTimeout(() => this.recover(), RECOVER_AGAIN_MS).unref()
  }

  private replace(dead: Worker, error: unknown): void {
    // Also while the daemon closes: the process may go on, and must not keep the dead worker's
    // uring and sockets.
    const uring = lastWordsOf(dead.port) ?? dead.uring
    if (uring !== null) releaseUring(uring)
    if (this.closing) return
    const wasReady = dead.isReady
    dead.port.close()
    dead.isReady = false
    this.recover(dead.holder)
    this.roster.giveAll(dead.index)
    forgetWatchers(this.settings.log, dead.index)
    this.roster.countRestart()
    if (this.fault !== undefined) return
    const reason = error instanceof Error ? error : new Error(String(error))
    if (wasReady) say(`worker ${dead.index} died and is replaced: ${reason.message}`, 'error')
    else this.noteFailure(reason)
    const early = performance.now() - dead.startedMs < WORKER_STEADY_MS
    this.earlyDeaths = early ? this.earlyDeaths + 1 : 0
    const pauseMs = this.earlyDeaths > WORKER_DEATHS_MAX ? WORKER_DELAY_MS : 0
    const delayMs = Math.max(pauseMs, this.startDelayMs())
    if (delayMs === 0) this.restart(dead.index)
    else setTimeout(() => this.restart(dead.index), delayMs).unref()
  }
}

/**
 * Writes the last log lines of a dead worker. Returns its uring, if it had just reported to be
 * ready.
 */
function lastWordsOf(port: MessagePort): UringHandle | null {
  let uring: UringHandle | null = null
  for (;;) {
    const received = receiveMessageOnPort(port) as { message: WorkerMessage } | undefined
    if (received === undefined) return uring
    if ('log' in received.message) sayFor(received.message)
    else uring = received.message.uring
  }
}

/**
 * Calls after this number of seconds in which the process ran: a pause does not count. Returns a
 * function that cancels it.
 */
function afterRunning(seconds: number, call: () => void): () => void {
  let left = seconds
  const timer = setInterval(() => {
    if (--left > 0) return
    clearInterval(timer)
    call()
  }, 1000)
  return () => clearInterval(timer)
}
