// A session's view of the daemon: the cache, the settings that change replies, the counters of its
// thread, and the facts for `stats`. The server builds it; tests build small ones.

import type { Desk } from '../access/pass.ts'
import type { Cache } from '../engine/cache.ts'
import type { HotKeys } from '../observe/hot-keys.ts'
import type { Journal } from '../observe/journal.ts'
import type { Latency } from '../observe/latency.ts'
import type { InsightBoard } from '../observe/miniature/insight.ts'
import type { Sampler } from '../observe/miniature/key-sampler.ts'
import type { Authenticator } from './authenticator.ts'
import type { Reply } from './reply.ts'
import type { Source } from './source.ts'

/** Counters of one thread, indices into `Host.counters`; only that thread writes them. */
export const ThreadCounter = {
  BYTES_READ: 0,
  BYTES_WRITTEN: 1,
  CMD_FLUSH: 2,
  CONN_YIELDS: 3,
  /** Only in the main thread: connections accepted, and those turned away. */
  ACCEPTED: 4,
  REJECTED: 5,
  CMD_META: 6,
  AUTH_CMDS: 7,
  AUTH_ERRORS: 8,
  /** Connections closed because they were idle. */
  IDLE_KICKS: 9,
  /**
   * Lines for watchers: written, dropped instead of written, sent to a watcher, skipped for one.
   */
  LOG_WRITTEN: 10,
  LOG_DROPPED: 11,
  LOG_SENT: 12,
  LOG_SKIPPED: 13,
  /** TLS: failed handshakes, errors after a handshake, new (not resumed) sessions. */
  TLS_ERRORS: 14,
  TLS_PROTOCOL_ERRORS: 17,
  TLS_SESSIONS: 18,
  /** Only in the main thread: how often and how long new connections had to wait. */
  LISTEN_DISABLED: 15,
  LISTEN_DISABLED_US: 16,
  /** Connections and gets that asked for more replies than a turn may have. */
  REPLIES_REFUSED: 19,
  /**
   * With an admin listener, once a second: CPU time and pauses for garbage collection so far, and
   * the longest delay of the event loop in that second.
   */
  CPU_US: 20,
  GC_US: 21,
  LOOP_DELAY_US: 22,
  /** TLS handshakes that are done, resumed sessions included. */
  TLS_HANDSHAKES: 23,
  /** With an admin listener, once a second: bytes in use of the thread's heap. */
  HEAP_BYTES: 24,
  /** Only in the main thread: connections and datagrams of addresses that may not connect. */
  ADDRESSES_REFUSED: 25,
  /** Requests of peers without the right; connections and datagrams above a limit; pauses. */
  REQUESTS_DENIED: 26,
  CONNECTIONS_LIMITED: 27,
  DATAGRAMS_LIMITED: 28,
  READS_DELAYED: 29,
  /** Connections that were closed since a token expired or a user is gone. */
  LOGINS_ENDED: 30,
} as const

/** Words shared by all threads, indices into `Host.control`. */
export const Control = {
  VERBOSITY: 0,
  /** In FREE_RATIO_UNITS, plus one; 0: as at the start of the daemon. */
  AUTOMOVE_FREE_RATIO: 1,
  /** When the step of a dump began that is under way, milliseconds; 0: none is. See dump.ts. */
  DUMPING: 2,
  // What `config set` has changed, plus one; 0: as at the start. A switch is 1 off, 2 on.
  CONNECTIONS_MAX: 3,
  MAXCONNS_FAST: 4,
  IDLE_TIMEOUT_S: 5,
  TURN_REQUESTS: 6,
  FLUSH_ALLOWED: 7,
  DUMP_ALLOWED: 8,
  SHUTDOWN_ALLOWED: 9,
  WATCHER_BUFFER_BYTES: 10,
} as const

/** Highest level of `verbosity`, as in memcached. */
export const VERBOSITY_MAX = 3

/** A number that `config set` may have changed; `atStart`: before. */
export function overridden(control: Int32Array, word: number, atStart: number): number {
  return control[word] === 0 ? atStart : control[word] - 1
}

/** A switch that `config set` may have changed. */
export function isAllowed(control: Int32Array, word: number, atStart: boolean): boolean {
  return control[word] === 0 ? atStart : control[word] === 2
}

export const FREE_RATIO_UNITS = 1000

/** A connection or listener, as in `stats conns`. */
export interface ConnectionFacts {
  id: number
  address: string
  listenAddress: string
  state: string
  idleS: number
}

/** Features that add rows to `stats` when they are on. */
export interface Features {
  idleTimeout: boolean
  slabReassign: boolean
  lruMaintainer: boolean
  maxconnsFast: boolean
  tls: boolean
  tlsSessions: boolean
}

/** The connections of all threads; `structures` is their largest number so far. */
export interface ConnectionCounts {
  current: number
  total: number
  rejected: number
  structures: number
  /** False: new connections wait. */
  accepting: boolean
}

/** Commands that peers may use. */
export interface Allowed {
  dump: boolean
  watch: boolean
  shutdown: boolean
  /** Most bytes that may wait to be sent to a watcher. */
  watcherBufferBytes: number
}

/** The nodes of this daemon's cluster, for clients that discover them. */
export interface Cluster {
  /** This daemon's host name. */
  readonly hostName: string
  /** Peers may set the nodes. */
  readonly isWritable: boolean
  /** Each is `host|ip|port`; empty: only this daemon. The version increases when they change. */
  read(): { version: number; nodes: readonly string[] }
  /** False if the version is not above the last one, or another thread is writing. */
  set(version: number, nodes: readonly string[]): boolean
}

/** Who changed which setting last. */
export interface Changes {
  note(name: string, who: string): void
  all(): Iterable<{ name: string; who: string; atS: number }>
}

/** The server's facts for `stats`. Every number is read when it is requested. */
export interface ServerFacts {
  /** Names and values in the order of memcached's `stats settings`. */
  settings: readonly (readonly [name: string, value: string | number])[]
  features: Features
  threads: number
  arenas: number
  connectionsMax: number
  /** When the statistics began, on the clock of the cache. */
  countedSinceS: number
  /** There is room for so many. */
  connectionsAtStart: number
  /** The address of a peer, as in `stats conns`; empty: it has none. */
  addressOf(id: number): string
  /** Workers that died and were replaced. */
  workerRestarts(): number
  /** memslab's own version, in addition to that of the memcached whose features it has. */
  ownVersion: string
  connections(): ConnectionCounts
  /** Seconds since the TLS certificates were read. */
  certificatesAgeS(): number
  /** Lost lines of the log on stderr. */
  logLinesDropped(): number
  /** Number of watchers. */
  watchers(): number
  /** Sum over all threads of one ThreadCounter. */
  sum(counter: number): number
  eachConnection(): Iterable<ConnectionFacts>
  /** Zeroes those of the counters above that `stats reset` zeroes. */
  reset(): void
}

/** More than any turn can have, since one read is bounded. */
export const TURN_UNBOUNDED = 2 ** 30

/** How much of one connection runs in a turn, before others have theirs. */
export interface Turn {
  /** Requests in a turn; the rest runs in a later turn. */
  requestsMax: number
  /** Replies in a turn, one per key of a get; a connection that requests more is closed. */
  repliesMax: number
}

export interface Host {
  readonly cache: Cache
  readonly reply: Reply
  readonly version: string
  readonly flushAllowed: boolean
  readonly turn: Turn
  readonly counters: Float64Array
  readonly control: Int32Array
  readonly facts: ServerFacts
  readonly journal: Journal
  readonly hotKeys: HotKeys
  readonly latency: Latency
  readonly sampler: Sampler
  /** What the sampled keys show: `stats mrc` and `stats prefix`. */
  readonly insight: InsightBoard
  readonly allowed: Allowed
  readonly cluster: Cluster
  readonly changes: Changes
  /** Of -Y and -S; null: everybody is served. */
  readonly auth: Authenticator | null
  /** Of --acl; null: everybody may do everything. */
  readonly access: Desk | null
  /**
   * Reads the TLS certificates again, in the background. `done` gets why that failed, or null, now
   * or later.
   */
  refreshCertificates(done: (fault: string | null) => void): void
  /** A snapshot of the cache, as the bytes of its file. */
  takeSnapshot(hasCas: boolean): Source
  /** One line to the daemon's log; its level is `info` if not given. */
  log(line: string, level?: 'warn' | 'info' | 'debug'): void
  /** Ends the daemon, as SIGINT does, or SIGUSR1 if `graceful`. */
  shutdown(graceful: boolean): void
}
