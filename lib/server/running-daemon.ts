// The daemon once its parts are there: opens it, and ends it in one of two ways. It closes, or it
// leaves everything to a new process (succession/).

import { setTimeout as sleep } from 'node:timers/promises'
import { MIB } from '../bytes/units.ts'
import type { Cache } from '../engine/cache.ts'
import { lookupsOf } from '../engine/census.ts'
import { CLOCK_TICK_MS } from '../engine/limits.ts'
import type { Options } from '../options/options.ts'
import type { AclFile } from './access/acl-file.ts'
import type { AllowList } from './access/allow-list.ts'
import type { AdminListener, AdminParts } from './admin-listener.ts'
import type { AuthFiles } from './auth/files.ts'
import type { Door } from './door.ts'
import type { Keeping } from './keeping/keeping.ts'
import { EVALUATION_MS, TLS_SESSION_S_MAX } from './limits.ts'
import { type Bound, closeAll, type Listener } from './listen/address.ts'
import { PORTS_FILE_VARIABLE, writePortsFile } from './listen/ports-file.ts'
import type { Registration } from './listen/registration.ts'
import type { MainThreadService } from './main-thread.ts'
import type { Vitals } from './process/service-watch.ts'
import type { Roster } from './roster.ts'
import type { Successor } from './succession/new-process.ts'
import type { HandedOver } from './succession/old-process.ts'
import type { WarmRestart } from './succession/warm-restart.ts'
import { say } from './system/log.ts'
import { faultOf } from './system/reason.ts'
import type { TlsHandle } from './tls/keyring.ts'
import type { UdpListener } from './udp.ts'
import { type DaemonSettings, isGuarded } from './worker-host.ts'
import type { Workers } from './workers.ts'

/** How often a daemon that ends looks whether its connections are closed. */
const EMPTIED_POLL_MS = 20

/** How long a daemon with -e may take to close, and how much longer for each MiB that it keeps. */
const SAVE_MS_MIN = 10_000
const SAVE_MS_PER_MIB = 20

export interface DaemonParts {
  options: Options
  auth: AuthFiles | null
  /** Which addresses may connect. */
  allowed: AllowList
  /** Who may do what; null: everybody everything. */
  access: AclFile | null
  /** Its certificates, and what reads them again. */
  tls: DaemonTls | null
  cache: Cache
  roster: Roster
  settings: DaemonSettings
  door: Door
  /** Of streams, then of datagrams. */
  listeners: readonly Listener[]
  datagrams: readonly UdpListener[]
  workers: Workers
  local: MainThreadService | undefined
  /** Another process gives this one its sockets and its content. */
  successor: Successor | undefined
  /** Its snapshots, and a restore; null: the options ask for none. */
  keeping: Keeping | null
  /** The content is in a file between two processes. */
  warm: WarmRestart | undefined
}

export interface DaemonTls {
  handle: TlsHandle
  refresh(nowS: number, done: (fault: string | null) => void): void
  renewTicketKey(): void
}

export class RunningDaemon {
  private readonly parts: DaemonParts
  private registration: Registration | undefined
  private admin: AdminListener | undefined
  private stopTimers = (): void => {}
  private ended: Promise<void> | undefined
  private isLeft = false

  constructor(parts: DaemonParts) {
    this.parts = parts
  }

  /** Starts the threads and lets connections in. Rejects with an Error of one line. */
  async open(): Promise<void> {
    const { parts } = this
    const { options, workers, door, local, successor, auth, keeping, warm } = parts
    try {
      if (successor === undefined) await this.openAdmin()
      keeping?.serve(parts.settings.log)
      // Those who come before the content is there wait for it.
      const open = () => door.open({ workers, mainThread: local })
      await workers.start(warm === undefined ? open : () => {})
      if (warm !== undefined) {
        warm.load(workers, options.threads)
        open()
      }
      if (successor !== undefined) await this.succeed(successor)
    } catch (error) {
      await Promise.all([this.closeDoors(), keeping?.stop()])
      throw error
    }
    tellPorts(parts, this.addresses)
    this.stopTimers = await startTimers(parts)
    auth?.watch()
    this.registration = await register(options, this.addresses)
  }

  /** Where it listens for TCP, in the order of the options. */
  get addresses(): Bound[] {
    return this.parts.listeners.flatMap(({ facts, bound }) => {
      return bound === undefined || facts.state === 'conn_read' ? [] : [bound]
    })
  }

  /** The same, including UDP and UNIX sockets, as in `stats conns`. */
  get places(): string[] {
    const places = this.parts.listeners.map(({ facts }) => facts.address)
    return [...places, ...(this.admin?.places ?? [])]
  }

  /** For monitoring: the shared state of connections and workers. */
  get roster(): Roster {
    return this.parts.roster
  }

  get workers(): Workers {
    return this.parts.workers
  }

  get cache(): Cache {
    return this.parts.cache
  }

  /** Resolves when no worker is left and none can be started, with the reason in one line. */
  get failed(): Promise<string> {
    return this.parts.workers.failed
  }

  /** Reads passwords, lists of addresses and certificates again. Resolves when that is done. */
  reload = async (): Promise<void> => {
    const { auth, allowed, access, tls, cache } = this.parts
    auth?.reload()
    sayFault(faultOf(() => allowed.reload()))
    sayFault(faultOf(() => access?.reload()))
    if (tls === null) return
    const { promise, resolve } = Promise.withResolvers<string | null>()
    tls.refresh(cache.nowS, resolve)
    sayFault(await promise)
  }

  /** See Watched. */
  beats(): number[] {
    const { workers, roster } = this.parts
    return workers.readiness().map((isReady, i) => (isReady ? roster.beats[i] : -1))
  }

  vitals(): Vitals {
    const { cache, roster } = this.parts
    return {
      items: cache.itemCount(),
      usedBytes: cache.bytesInUse(),
      limitBytes: cache.memoryLimitBytes(),
      ...lookupsOf(cache),
      connections: roster.current(),
    }
  }

  /**
   * Starts a new process in place of this one and gives it everything. Resolves when that serves.
   * Rejects with an Error of one line; unless `hasLeft`, this daemon goes on as before.
   */
  async upgrade(): Promise<HandedOver> {
    const { handOver } = await import('./succession/old-process.ts')
    const { cache, workers, roster, settings, listeners, keeping, warm } = this.parts
    if (keeping !== null && keeping.restored() !== null) throw new Error('a restore is under way')
    const { ownVersion, countedSinceS } = settings
    const passed = listeners.map(listener => listener.passed())
    if (this.admin !== undefined) passed.push(this.admin.passed())
    const memoryFile = warm?.passed()
    const estate = {
      cache,
      workers,
      roster,
      ownVersion,
      countedSinceS,
      listeners: passed,
      memoryFile,
    }
    return handOver(estate, () => this.leave())
  }

  /** Another process goes on: this one only waits for its end. */
  hasLeft(): boolean {
    return this.isLeft
  }

  /** Resolves when the last connection is closed, or `waitMs` is over. */
  async emptied(waitMs: number): Promise<void> {
    const { roster } = this.parts
    const endMs = performance.now() + waitMs
    while (roster.current() > 0 && performance.now() < endMs) await sleep(EMPTIED_POLL_MS)
  }

  /** Stops listening, closes all connections and workers. A second call waits for the same end. */
  close = (): Promise<void> => {
    this.ended ??= this.end()
    return this.ended
  }

  /** How long `close` may take, ms; undefined: not long. */
  get closeMsMax(): number | undefined {
    const { keeping, warm, cache } = this.parts
    if (this.isLeft || warm === undefined) return this.isLeft ? undefined : keeping?.closeMsMax
    return (keeping?.closeMsMax ?? 0) + SAVE_MS_MIN + (cache.bytesInUse() / MIB) * SAVE_MS_PER_MIB
  }

  /** Everything is given and taken: from here on the new process serves. */
  private async succeed(successor: Successor): Promise<void> {
    const { cache, workers, roster, listeners } = this.parts
    const loaded = await successor.receive(cache, workers, roster)
    for (const listener of listeners) await listener.start()
    await this.openAdmin()
    successor.serving(loaded)
  }

  /** Stops to accept and to run requests, at once. */
  private leave(): void {
    const { door, listeners, local, keeping } = this.parts
    this.isLeft = true
    void keeping?.stop()
    this.registration?.leave()
    door.close()
    for (const listener of listeners) listener.leave()
    local?.leave()
    void this.admin?.close()
  }

  private async end(): Promise<void> {
    const { auth, warm, local, workers, options, cache, settings } = this.parts
    await this.registration?.close()
    this.stopTimers()
    auth?.close()
    if (warm !== undefined && !this.isLeft) {
      // It listens until the file is written, so that no other daemon takes its place before.
      await local?.close()
      await warm.save(workers, options.threads, cache, settings.ownVersion)
    }
    await this.closeDoors()
    if (this.isLeft) await this.parts.keeping?.stop()
    else await this.parts.keeping?.close()
  }

  private async closeDoors(): Promise<void> {
    const { door, local, listeners, workers } = this.parts
    door.close()
    await Promise.all([local?.close(), closeAll(listeners), workers.close(), this.admin?.close()])
  }

  private async openAdmin(): Promise<void> {
    const { options, workers, roster, tls, auth, successor } = this.parts
    this.admin = await openAdmin(options, {
      workers,
      roster,
      tls: tls?.handle ?? null,
      users: auth?.admin ?? null,
      slabMetrics: options.metricsSlabs,
      mayWrite: options.adminWrite,
      heritage: successor,
      isClosing: () => this.ended !== undefined,
      registered: () => (options.etcd.length === 0 ? null : Number(this.registration?.isPut ?? 0)),
      restored: () => this.parts.keeping?.restored() ?? null,
      snapshots: () => this.parts.keeping?.facts() ?? null,
    })
  }
}

/**
 * The clock of the cache, the evaluation of sampled keys, and new keys for TLS sessions. Resolves
 * to what stops them.
 */
async function startTimers({ settings, cache, tls }: DaemonParts): Promise<() => void> {
  const { samples, insight } = settings
  cache.tick()
  const timers = [
    setInterval(() => cache.tick(), CLOCK_TICK_MS),
    setInterval(() => tls?.renewTicketKey(), TLS_SESSION_S_MAX * 1000),
  ]
  if (samples.isOn) {
    const { Evaluator } = await import('../observe/miniature/evaluator.ts')
    const evaluator = new Evaluator(samples, insight, cache)
    timers.push(setInterval(() => evaluator.step(), EVALUATION_MS))
  }
  return () => timers.forEach(clearInterval)
}

function tellPorts({ options, datagrams }: DaemonParts, tcp: Bound[]): void {
  const portsFile = process.env[PORTS_FILE_VARIABLE]
  if (portsFile === undefined || options.unixSocket !== undefined) return
  writePortsFile(portsFile, { tcp, udp: datagrams.map(({ bound }) => bound) })
}

async function openAdmin(options: Options, parts: AdminParts): Promise<AdminListener | undefined> {
  if (options.admin === undefined) return undefined
  const { listenAdmin } = await import('./admin-listener.ts')
  const guards = isGuarded(parts.workers.settings) ? await import('./guards.ts') : null
  return listenAdmin(options.admin, parts, guards)
}

function sayFault(fault: string | null): void {
  if (fault !== null) say(fault, 'error')
}

/** Registers this daemon where clients discover it. */
async function register(options: Options, addresses: readonly Bound[]) {
  if (options.etcd.length === 0) return undefined
  const { register } = await import('./listen/registration.ts')
  return register(options, addresses, say)
}
