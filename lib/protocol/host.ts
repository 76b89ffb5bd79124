// What a session knows of the daemon around it: the cache, the settings that change replies, the
// counters of its thread, and what `stats` tells. The server builds it; tests build small ones.

import type { Cache } from '../engine/cache.ts'
import type { HotKeys } from '../observe/hot-keys.ts'
import type { Journal } from '../observe/journal.ts'
import type { Authenticator } from './authenticator.ts'
import type { Reply } from './reply.ts'

/** Counters of one thread, indices into `Host.counters`; only that thread writes them. */
export const ThreadCounter = {
  BYTES_READ: 0,
  BYTES_WRITTEN: 1,
  CMD_FLUSH: 2,
  CONN_YIELDS: 3,
  /** Of the main thread alone: connections accepted, and those turned away. */
  ACCEPTED: 4,
  REJECTED: 5,
  CMD_META: 6,
  AUTH_CMDS: 7,
  AUTH_ERRORS: 8,
  /** Connections closed because they were idle. */
  IDLE_KICKS: 9,
  /** Lines for watchers: written, dropped before they were, sent to one, skipped for one. */
  LOG_WRITTEN: 10,
  LOG_DROPPED: 11,
  LOG_SENT: 12,
  LOG_SKIPPED: 13,
  /** Of TLS: handshakes that failed, errors after one, sessions that were not resumed ones. */
  TLS_ERRORS: 14,
  TLS_PROTOCOL_ERRORS: 17,
  TLS_SESSIONS: 18,
  /** Of the main thread alone: how often, and for how long, new connections had to wait. */
  LISTEN_DISABLED: 15,
  LISTEN_DISABLED_US: 16,
  /** Connections and gets that asked for more replies than a turn may have. */
  REPLIES_REFUSED: 19,
} as const

/** Words shared by all threads, indices into `Host.control`. */
export const Control = {
  VERBOSITY: 0,
  /** In FREE_RATIO_UNITS, plus one; 0: as the daemon was started. */
  AUTOMOVE_FREE_RATIO: 1,
} as const

export const FREE_RATIO_UNITS = 1000

/** One connection or listener, as a line of `stats conns` tells of it. */
export interface ConnectionFacts {
  id: number
  address: string
  listenAddress: string
  state: string
  idleS: number
}

/** What is switched on, where `stats` has lines of it only then. */
export interface Features {
  idleTimeout: boolean
  slabReassign: boolean
  lruMaintainer: boolean
  maxconnsFast: boolean
  tls: boolean
  tlsSessions: boolean
}

/** The connections of all threads; `structures` is the most there were at once. */
export interface ConnectionCounts {
  current: number
  total: number
  rejected: number
  structures: number
  /** False: new ones have to wait. */
  accepting: boolean
}

/** What peers may ask for. */
export interface Allowed {
  dump: boolean
  watch: boolean
  shutdown: boolean
  /** Most that may wait to be sent to one that watches, bytes. */
  watcherBufferBytes: number
}

/** The nodes of the cluster that this daemon is of, as it tells clients that look for them. */
export interface Cluster {
  /** What this daemon is called. */
  readonly hostName: string
  /** Peers may say what the nodes are. */
  readonly isWritable: boolean
  /** `host|ip|port` each, none: this daemon alone; the version rises when they change. */
  read(): { version: number; nodes: readonly string[] }
  /** False if the version is none above the last, or somebody else is just saying so. */
  set(version: number, nodes: readonly string[]): boolean
}

/** What the server tells `stats`; every number is taken at the moment it is asked for. */
export interface ServerFacts {
  /** Names and values in the order of memcached's `stats settings`. */
  settings: readonly (readonly [name: string, value: string | number])[]
  features: Features
  threads: number
  arenas: number
  connectionsMax: number
  /** Workers that died and were replaced. */
  workerRestarts(): number
  /** memslab's own, beside that of the memcached whose features it has. */
  ownVersion: string
  connections(): ConnectionCounts
  /** How long ago the certificates of TLS were read. */
  certificatesAgeS(): number
  /** Lines of the log, on stderr, that were lost. */
  logLinesDropped(): number
  /** Connections that watch. */
  watchers(): number
  /** Sum over all threads of one ThreadCounter. */
  sum(counter: number): number
  eachConnection(): Iterable<ConnectionFacts>
  /** Zeroes what `stats reset` zeroes of the counters above. */
  reset(): void
}

/** More than any turn has: what one read brings is bounded. */
export const TURN_UNBOUNDED = 2 ** 30

/** How much of one connection runs before the others have their turn. */
export interface Turn {
  /** Requests; then it goes on in a later turn. */
  requestsMax: number
  /** Replies, of which each key of a get has one; a connection that asks for more is refused. */
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
  readonly allowed: Allowed
  readonly cluster: Cluster
  /** Null: everybody is served. */
  readonly auth: Authenticator | null
  /** Reads the certificates of TLS again; why that failed, or null. */
  refreshCertificates(): string | null
  /** One line to the daemon's log, stderr. */
  log(line: string): void
  /** Has the daemon end, as the signal does: SIGINT, or SIGUSR1 where it is graceful. */
  shutdown(graceful: boolean): void
}
