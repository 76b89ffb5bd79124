// The daemon's settings and their defaults. cli.ts reads them from the command line. A program that
// starts the daemon itself calls `checkOptions` of options/checks.ts with those that it changes.

import { KIB, MIB } from '../bytes/units.ts'
import type { EvictionName } from '../engine/limits.ts'
import { ETCD_PREFIX, ETCD_TTL_S } from '../etcd/limits.ts'

export type ProtocolName = 'auto' | 'ascii' | 'binary'
export type TlsVersion = (typeof TLS_VERSIONS)[number]
export type SslEngine = (typeof SSL_ENGINES)[number]

/** Indexed by the numbers of -o ssl_min_version. */
export const TLS_VERSIONS = ['tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3'] as const
/** How OpenSSL is used: called through node:ffi, or through Node's TLS streams. */
export const SSL_ENGINES = ['direct', 'node'] as const
/** Of the daemon's log. */
export const LOG_FORMATS = ['text', 'json'] as const
export const HASH_ALGORITHMS = ['jenkins', 'murmur3', 'xxh3'] as const

export interface ListenAddress {
  /** A name or an address, IPv6 without brackets. */
  host: string
  port: number
  /** The listener's protocol, if it differs from that of all. */
  protocol?: ProtocolName
  /** Names the listener, and has no effect. */
  tag?: string
  /**
   * With TLS on: no TLS on this listener, no client certificates, or client certificates required.
   */
  tls?: 'none' | 'basic' | 'mutual'
}

/** Which snapshots are kept: the newest ones, or those of the last days. */
export type Keep = { count: number } | { days: number }

/** Client certificates: never, if the client has one, or always. */
export type PeerCheck = 'none' | 'request' | 'require'

export interface Options {
  // Where it listens.
  /** TCP port of listeners without their own; 0 lets the system choose. */
  port: number
  /** False: no TCP, but a UNIX socket or UDP. */
  tcpEnabled: boolean
  /** Empty: every interface. */
  listen: readonly ListenAddress[]
  /** The text of -l, for `stats settings`. */
  listenText: string | undefined
  /** 0: no UDP; -1 lets the system choose. */
  udpPort: number
  /** Path of a UNIX socket; with one there is neither TCP nor UDP. */
  unixSocket: string | undefined
  unixMask: number
  backlog: number

  // Connections.
  connectionsMax: number
  /** False: connections above the limit wait in the backlog instead of being turned away. */
  maxconnsFast: boolean
  /** Worker threads use io_uring where Node and the kernel allow it. */
  ioUring: boolean
  /** 0: connections may be idle forever. */
  idleTimeoutS: number
  /** Requests of one connection before others have their turn; undefined: as many as fit a read. */
  requestsPerEventMax: number | undefined
  readBufMemLimitBytes: number
  inlineAsciiResp: boolean
  /** 0: off. */
  napiIds: number

  // What clients may do.
  protocol: ProtocolName
  casEnabled: boolean
  flushAllowed: boolean
  dumpAllowed: boolean
  watchAllowed: boolean
  shutdownAllowed: boolean
  /** The delimiter after a key's prefix, for `stats detail`. */
  detailPrefix: string
  /** `stats detail` counts from the start. */
  detailEnabled: boolean
  /** Binary connections authenticate by SASL. */
  sasl: boolean
  /** Password file for SASL; undefined: `authFile`. */
  saslFile: string | undefined
  /** Password file for text connections; undefined: none is needed. */
  authFile: string | undefined
  /** The file that says who may do what; undefined: everybody may do everything. */
  acl: string | undefined
  /** Who may connect: addresses, networks, `@file` for a file of them; empty: everybody. */
  allow: readonly string[]
  /** The file of options that `allow` may come from, read again on request. */
  allowConfig: string | undefined

  // TLS.
  tls: boolean
  sslChainCert: string | undefined
  sslKey: string | undefined
  sslKeyFormat: 'PEM' | 'DER'
  /** Client certificates. 0: not requested, 1: verified if given, 2 and 3: required. */
  sslVerifyMode: number
  sslCiphers: string | undefined
  sslCaCert: string | undefined
  sslWbufSize: number
  sslSessionCache: boolean
  sslKernelTls: boolean
  sslMinVersion: TlsVersion
  /** `direct` where that is possible, else `node`. */
  sslEngine: SslEngine

  // Memory.
  memoryLimitBytes: number
  /** False: a full cache refuses new items instead of evicting. */
  evictions: boolean
  /** Longest item, bytes. */
  itemSizeMax: number
  growthFactor: number
  /** Room for key, value and flags in the smallest chunk, bytes. */
  chunkMinBytes: number
  slabChunkMaxBytes: number
  /** Fit slab classes to the sizes that come. */
  slabFit: boolean
  /** Chunk sizes, bytes, instead of those that grow by the factor; empty: grow by the factor. */
  slabSizes: readonly number[]
  slabReassign: boolean
  /** 0: pages move on command only, 1: by worth or age, 2: eagerly, by age. */
  slabAutomove: number
  slabAutomoveRatio: number
  slabAutomoveWindow: number
  slabAutomoveFreeRatio: number
  trackSizes: boolean
  lockMemory: boolean
  largePages: boolean

  /** The file that has the content between two processes; undefined: none. */
  memoryFile: string | undefined

  // The hash table.
  /** Buckets of an empty hash table as a power of two; 0: the engine's default. */
  hashpowerInit: number
  hashExpand: boolean
  hashAlgorithm: (typeof HASH_ALGORITHMS)[number]

  // LRU lists and their upkeep.
  lruCrawler: boolean
  lruCrawlerSleepUs: number
  /** 0: all. */
  lruCrawlerToCrawl: number
  lruMaintainer: boolean
  eviction: EvictionName
  hotLruPct: number
  warmLruPct: number
  hotMaxFactor: number
  warmMaxFactor: number
  temporaryLru: boolean
  /** Items with a shorter TTL are kept in their own list, if `temporaryLru`. */
  temporaryTtlS: number
  /** 0: never. */
  tailRepairTimeS: number

  /** Nodes for `config get cluster`, `host|ip|port`; empty: this daemon. */
  clusterNodes: readonly string[]
  /** Clients may change them, and settings, by `config set`. */
  configSetAllowed: boolean
  /** Endpoints of the etcd in which the daemon registers; empty: none. */
  etcd: readonly string[]
  /** Prefix of its key, before host:port. */
  etcdPrefix: string
  /** How clients connect to it, `host:port` or `host:port:weight`; undefined: where it listens. */
  etcdAdvertise: string | undefined
  /** How long its entry stays after it dies, seconds. */
  etcdTtlS: number

  // The admin listener.
  /** Where it listens; undefined: there is none. */
  admin: ListenAddress | undefined
  /** File of those who may see it; undefined: everybody may. */
  adminAuthFile: string | undefined
  /** Operators may delete items, flush and change settings there. */
  adminWrite: boolean
  /** It has metrics by slab class. */
  metricsSlabs: boolean
  /** Keys are sampled for `stats mrc` and `stats prefix`; by default if there is a listener. */
  missCurve: boolean

  // Snapshots.
  /** Where they are written; undefined: there are none. */
  snapshotDir: string | undefined
  /** One each this number of seconds; 0: none. */
  snapshotEveryS: number
  /** One at each of these local times, minutes of the day, ascending. */
  snapshotAt: readonly number[]
  /** One when the daemon ends. */
  snapshotOnExit: boolean
  snapshotKeep: Keep
  /** File of the key that seals them; undefined: they are not encrypted. */
  snapshotKeyFile: string | undefined
  /** Their items have CAS numbers. */
  snapshotCas: boolean
  /** Of zstd; 0: they are not compressed. */
  snapshotLevel: number
  /** A snapshot, or a directory of some, to start with; undefined: an empty cache. */
  restorePath: string | undefined
  /** Without a sound one it does not start. */
  restoreRequired: boolean
  /** It serves while it restores. */
  restoreServing: boolean

  // Logs: the daemon's, and those of `watch`.
  /** The file that the log is appended to; undefined: stderr. */
  logFile: string | undefined
  logFormat: (typeof LOG_FORMATS)[number]
  watcherLogbufBytes: number
  workerLogbufBytes: number

  // The process.
  threads: number
  /** How often -v was given. */
  verbosity: number
  /** The user to become after binding, if started by root. */
  user: string | undefined
  pidFile: string | undefined
  daemonize: boolean
  coreDumps: boolean
}

/** Why a command line or a setting is refused, in one line, and the exit code. */
export interface Refusal {
  line: string
  exitCode: number
}

export const DEFAULTS: Readonly<Options> = Object.freeze({
  port: 11211,
  tcpEnabled: true,
  listen: [],
  listenText: undefined,
  udpPort: 0,
  unixSocket: undefined,
  unixMask: 0o700,
  backlog: 1024,

  connectionsMax: 1024,
  maxconnsFast: true,
  ioUring: true,
  idleTimeoutS: 0,
  requestsPerEventMax: undefined,
  readBufMemLimitBytes: 0,
  inlineAsciiResp: false,
  napiIds: 0,

  protocol: 'auto',
  casEnabled: true,
  flushAllowed: true,
  dumpAllowed: true,
  watchAllowed: true,
  shutdownAllowed: false,
  detailPrefix: ':',
  detailEnabled: false,
  sasl: false,
  saslFile: undefined,
  authFile: undefined,
  acl: undefined,
  allow: [],
  allowConfig: undefined,

  tls: false,
  sslChainCert: undefined,
  sslKey: undefined,
  sslKeyFormat: 'PEM',
  sslVerifyMode: 0,
  sslCiphers: undefined,
  sslCaCert: undefined,
  sslWbufSize: 16 * KIB,
  sslSessionCache: false,
  sslKernelTls: false,
  sslMinVersion: 'tlsv1.2',
  sslEngine: 'direct',

  memoryLimitBytes: 64 * MIB,
  evictions: true,
  itemSizeMax: MIB,
  growthFactor: 1.25,
  chunkMinBytes: 48,
  slabChunkMaxBytes: 512 * KIB,
  slabFit: true,
  slabSizes: [],
  slabReassign: true,
  slabAutomove: 1,
  slabAutomoveRatio: 0.8,
  slabAutomoveWindow: 10,
  slabAutomoveFreeRatio: 0.01,
  trackSizes: false,
  lockMemory: false,
  largePages: false,
  memoryFile: undefined,

  hashpowerInit: 0,
  hashExpand: true,
  hashAlgorithm: 'murmur3',

  lruCrawler: true,
  lruCrawlerSleepUs: 100,
  lruCrawlerToCrawl: 0,
  lruMaintainer: true,
  eviction: 'worth',
  hotLruPct: 20,
  warmLruPct: 40,
  hotMaxFactor: 0.2,
  warmMaxFactor: 2,
  temporaryLru: false,
  temporaryTtlS: 61,
  tailRepairTimeS: 0,

  clusterNodes: [],
  configSetAllowed: false,
  etcd: [],
  etcdPrefix: ETCD_PREFIX,
  etcdAdvertise: undefined,
  etcdTtlS: ETCD_TTL_S,
  admin: undefined,
  adminAuthFile: undefined,
  adminWrite: false,
  metricsSlabs: false,
  missCurve: false,

  snapshotDir: undefined,
  snapshotEveryS: 0,
  snapshotAt: [],
  snapshotOnExit: false,
  snapshotKeep: { count: 7 },
  snapshotKeyFile: undefined,
  snapshotCas: false,
  snapshotLevel: 1,
  restorePath: undefined,
  restoreRequired: false,
  restoreServing: false,

  logFile: undefined,
  logFormat: 'text',
  watcherLogbufBytes: 256 * KIB,
  workerLogbufBytes: 64 * KIB,

  threads: 4,
  verbosity: 0,
  user: undefined,
  pidFile: undefined,
  daemonize: false,
  coreDumps: false,
})

/** memcached's exit codes: its general failure, and those from sysexits.h. */
export const EXIT_FAILURE = 1
export const EXIT_USAGE = 64
export const EXIT_NO_USER = 67
export const EXIT_OS_ERROR = 71

export function isRefusal(outcome: object): outcome is Refusal {
  return 'line' in outcome && 'exitCode' in outcome
}
