// The messages between the main thread and the workers, and the Host of one thread that is built
// from them: the daemon as a session sees it.

import type { Socket } from 'node:net'
import type { Desk } from '../access/pass.ts'
import type { Cache, CacheHandle } from '../engine/cache.ts'
import { HotKeys } from '../observe/hot-keys.ts'
import type { SketchHandle } from '../observe/hot-sketch.ts'
import { countWatchers, Journal } from '../observe/journal.ts'
import { Latency, type LatencyHandle } from '../observe/latency.ts'
import type { LogHandle } from '../observe/log-buffer.ts'
import { InsightBoard, type InsightHandle } from '../observe/miniature/insight.ts'
import { Sampler, type SamplerHandle } from '../observe/miniature/key-sampler.ts'
import { Prefixes, type PrefixHandle } from '../observe/prefixes.ts'
import type { PeerCheck } from '../options/options.ts'
import type { Authenticator } from '../protocol/authenticator.ts'
import { ChangeBoard, type ChangeHandle } from '../protocol/control/change-board.ts'
import { ClusterBoard, type ClusterHandle } from '../protocol/control/cluster-board.ts'
import type { ProtocolName } from '../protocol/conversation.ts'
import {
  type Allowed,
  type ConnectionFacts,
  Control,
  type Features,
  type Host,
  isAllowed,
  overridden,
  ThreadCounter,
  type Turn,
} from '../protocol/host.ts'
import type { Reply } from '../protocol/reply.ts'
import type { AccessHandle } from './access/acl-file.ts'
import type { AuthHandle } from './auth/files.ts'
import type * as guards from './guards.ts'
import type { Relay } from './relay/relay.ts'
import { Phase, type Roster, type RosterHandle } from './roster.ts'
import { SnapshotSource } from './snapshot-source.ts'
import { type LogLine, type LogWords, linesDropped, say } from './system/log.ts'
import type { TlsHandle } from './tls/keyring.ts'
import type { UringHandle } from './uring/uring.ts'

/** Start data of a thread that serves peers. Fit for postMessage. */
export interface WorkerTask {
  /** Index of the worker, 0 to threads - 1; the number of threads for the main thread. */
  worker: number
  /** Its id for locks and holds, unique in the process. */
  holder: number
  cache: CacheHandle
  roster: RosterHandle
  settings: DaemonSettings
}

/** Sent through a worker's port by the main thread: a connection to serve. */
export interface Delivery {
  socket: Socket
  /** Its index in the roster. */
  slot: number
}

/** Sent through a worker's port by the main thread: the content goes over. */
export interface Errand {
  relay: Relay
}

/** Sent through its port by a worker: first that it is ready, then its log lines. */
export type WorkerMessage = Ready | LogLine

/** Sent by a worker when it is ready for connections. */
export interface Ready {
  threadId: number
  /** Null: it has none. */
  uring: UringHandle | null
  /** False: its TLS is Node's, so it has no uring either. */
  isDirectTls: boolean
}

/** Facts about the daemon that sessions report. Constant once it listens. */
export interface DaemonSettings {
  version: string
  ownVersion: string
  flushAllowed: boolean
  turn: Turn
  /** Whether workers use io_uring if the system allows it. */
  ioUring: boolean
  /** 0: connections may be idle forever. */
  idleTimeoutS: number
  /** Threads tell of their health and time requests, for the admin listener. */
  tellsHealth: boolean
  allowed: Allowed
  cluster: ClusterHandle
  /** Who changed which setting. */
  changes: ChangeHandle
  /** The log of all threads for watchers, and the counts of `stats detail`. */
  log: LogHandle
  /** Counts of this daemon's lines on stderr. */
  logWords: LogWords
  prefixes: PrefixHandle
  /** Each thread has a sketch in which it counts hot keys. */
  sketches: SketchHandle
  /** Each thread times some of its requests. */
  latencies: LatencyHandle
  /** Threads sample keys, and the main thread says what they show. */
  samples: SamplerHandle
  insight: InsightHandle
  features: Features
  /** When the statistics began, on the clock of the cache. */
  countedSinceS: number
  /** Names and values, in the order of `stats settings`. */
  lines: [name: string, value: string | number][]
  /** In the order that roster slots refer to. */
  listeners: ListenerFacts[]
  /** Null: all peers are served. */
  auth: AuthHandle | null
  /** Of --acl; null: everybody may do everything. */
  access: AccessHandle | null
  /** Null: without TLS. */
  tls: TlsHandle | null
}

/** A listener, as its connections know it. */
export interface ListenerFacts {
  /** `tcp:127.0.0.1:11211`, as in `stats conns`. */
  address: string
  /** `conn_listening`, or `conn_read` for UDP, as in memcached. */
  state: string
  protocol: ProtocolName
  /** Null: without TLS. */
  peerCheck: PeerCheck | null
}

export type Guards = typeof guards

/** Whether the threads of this daemon need guards.ts. */
export function isGuarded({ auth, access, tls }: DaemonSettings): boolean {
  return auth !== null || access !== null || tls !== null
}

export function hostOf(
  task: WorkerTask,
  cache: Cache,
  roster: Roster,
  reply: Reply,
  guards: Guards | null,
): Host {
  const { settings } = task
  const counters = roster.countersOf(task.worker)
  const journal = new Journal(
    settings.log,
    task.worker,
    counters.subarray(ThreadCounter.LOG_WRITTEN),
    new Prefixes(settings.prefixes),
  )
  for (const { arena } of cache.shards) arena.witness = journal
  const clockS = () => cache.nowS
  return {
    cache,
    reply,
    version: settings.version,
    get flushAllowed() {
      return isAllowed(roster.control, Control.FLUSH_ALLOWED, settings.flushAllowed)
    },
    turn: { ...settings.turn },
    counters,
    journal,
    hotKeys: new HotKeys(settings.sketches, task.worker),
    latency: new Latency(settings.latencies, task.worker, settings.tellsHealth),
    sampler: new Sampler(settings.samples),
    insight: new InsightBoard(settings.insight),
    allowed: allowedNow(settings.allowed, roster.control),
    cluster: new ClusterBoard(settings.cluster),
    changes: new ChangeBoard(settings.changes),
    // The main thread handles it, whichever thread sends it.
    shutdown: graceful => process.kill(process.pid, graceful ? 'SIGUSR1' : 'SIGINT'),
    control: roster.control,
    facts: {
      settings: settings.lines,
      features: featuresNow(settings, roster.control),
      threads: task.roster.threads,
      arenas: cache.shards.length,
      countedSinceS: settings.countedSinceS,
      get connectionsMax() {
        return overridden(roster.control, Control.CONNECTIONS_MAX, task.roster.slots)
      },
      connectionsAtStart: task.roster.slots,
      addressOf: id => roster.addressOf(id),
      workerRestarts: () => roster.restarts(),
      logLinesDropped: linesDropped,
      ownVersion: settings.ownVersion,
      watchers: () => countWatchers(settings.log),
      certificatesAgeS: () => clockS() - refreshedAtS(settings.tls, guards),
      connections: () => roster.connections(),
      sum: counter => roster.sum(counter),
      reset: () => roster.reset(),
      eachConnection: () => connectionFacts(settings.listeners, roster, clockS()),
    },
    auth: authenticatorOf(settings.auth, roster, guards),
    access: deskOf(settings.access, roster, counters, guards),
    refreshCertificates: done => refreshCertificates(settings.tls, clockS(), guards, done),
    takeSnapshot: hasCas => new SnapshotSource(cache, roster.control, hasCas),
    log: say,
  }
}

/** What peers may do, as `config set` may have changed it. */
function allowedNow(atStart: Allowed, control: Int32Array): Allowed {
  return {
    watch: atStart.watch,
    get dump() {
      return isAllowed(control, Control.DUMP_ALLOWED, atStart.dump)
    },
    get shutdown() {
      return isAllowed(control, Control.SHUTDOWN_ALLOWED, atStart.shutdown)
    },
    get watcherBufferBytes() {
      return overridden(control, Control.WATCHER_BUFFER_BYTES, atStart.watcherBufferBytes)
    },
  }
}

function featuresNow({ features, idleTimeoutS }: DaemonSettings, control: Int32Array): Features {
  return {
    ...features,
    get idleTimeout() {
      return overridden(control, Control.IDLE_TIMEOUT_S, idleTimeoutS) > 0
    },
    get maxconnsFast() {
      return isAllowed(control, Control.MAXCONNS_FAST, features.maxconnsFast)
    },
  }
}

function refreshedAtS(tls: TlsHandle | null, guards: Guards | null): number {
  return tls === null || guards === null ? 0 : new guards.Keyring(tls.keyring).refreshedAtS
}

function refreshCertificates(
  tls: TlsHandle | null,
  nowS: number,
  guards: Guards | null,
  done: (fault: string | null) => void,
): void {
  if (tls === null || guards === null) return done('Error TLS not enabled')
  guards.refreshKeyring(tls, nowS, fault => {
    if (fault !== null) say(fault, 'error')
    done(fault)
  })
}

function authenticatorOf(
  handle: AuthHandle | null,
  roster: Roster,
  guards: Guards | null,
): Authenticator | null {
  if (handle === null) return null
  if (guards === null) throw new Error('who checks passwords loads the guards')
  return new guards.FileAuthenticator(handle, {
    addressOf: id => roster.addressOf(id),
    log: line => {
      if (roster.control[Control.VERBOSITY] > 0) say(line, 'warn')
    },
  })
}

function deskOf(
  handle: AccessHandle | null,
  roster: Roster,
  counters: Float64Array,
  guards: Guards | null,
): Desk | null {
  if (handle === null) return null
  if (guards === null) throw new Error('who checks rights loads the guards')
  return new guards.AclDesk(handle.board, {
    addressOf: id => roster.addressOf(id),
    nowS: () => Date.now() / 1000,
    log: line => {
      if (roster.control[Control.VERBOSITY] > 0) say(line, 'warn')
    },
    meter: (id, meter) => {
      const isRoom = roster.countFor(id, meter)
      if (!isRoom) counters[ThreadCounter.CONNECTIONS_LIMITED]++
      return isRoom
    },
  })
}

function* connectionFacts(
  listeners: readonly ListenerFacts[],
  roster: Roster,
  nowS: number,
): Generator<ConnectionFacts> {
  for (const [index, { address, state }] of listeners.entries()) {
    yield { id: index + 1, address, listenAddress: '', state, idleS: 0 }
  }
  for (const { id, address, listener, lastS, phase } of roster.each()) {
    yield {
      id,
      address,
      listenAddress: listeners[listener]?.address ?? '',
      state: PHASE_WORDS[phase],
      idleS: Math.max(0, nowS - lastS),
    }
  }
}

/** memcached's states. */
const PHASE_WORDS = {
  [Phase.REQUEST]: 'conn_read',
  [Phase.VALUE]: 'conn_nread',
  [Phase.WATCH]: 'conn_watch',
} as const
