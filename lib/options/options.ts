// The daemon's settings: what there is to set, and what each is by default. The command line is read
// in cli.ts; a program that starts the daemon by itself calls `checkOptions` of options/checks.ts with
// what it wants otherwise than by default.

import { KIB, MIB } from '../bytes/units.ts'
import type { EvictionName } from '../engine/limits.ts'
import { ETCD_PREFIX, ETCD_TTL_S } from '../etcd/limits.ts'

export type ProtocolName = 'auto' | 'ascii' | 'binary'
export type TlsVersion = (typeof TLS_VERSIONS)[number]
export type SslEngine = (typeof SSL_ENGINES)[number]

/** In the order of the numbers that -o ssl_min_version takes. */
export const TLS_VERSIONS = ['tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3'] as const
/** How OpenSSL is spoken to: called through node:ffi, or through Node's TLS streams. */
export const SSL_ENGINES = ['direct', 'node'] as const
export const HASH_ALGORITHMS = ['jenkins', 'murmur3', 'xxh3'] as const

export interface ListenAddress {
  /** A name or an address, IPv6 without brackets. */
  host: string
  port: number
  /** What this listener speaks, if not what all do. */
  protocol?: ProtocolName
  /** Names the listener; nothing else. */
  tag?: string
  /** With TLS on: without it here, without asking for certificates, or insisting on them. */
  tls?: 'none' | 'basic' | 'mutual'
}

/** Whether TLS peers show certificates: never, if they have one, or always. */
export type PeerCheck = 'none' | 'request' | 'require'

export interface Options {
  // Where it listens.
  /** TCP port of listeners that do not say theirs; 0 lets the system choose. */
  port: number
  /** False: no TCP at all, there is a UNIX socket or UDP. */
  tcpEnabled: boolean
  /** Empty: every interface. */
  listen: readonly ListenAddress[]
  /** What -l said, for `stats settings`. */
  listenText: string | undefined
  /** 0: no UDP; -1 lets the system choose. */
  udpPort: number
  /** Its path; with one there is neither TCP nor UDP. */
  unixSocket: string | undefined
  unixMask: number
  backlog: number

  // Connections.
  connectionsMax: number
  /** False: connections above the limit wait in the backlog instead of being turned away. */
  maxconnsFast: boolean
  /** Worker threads talk to their peers through a ring where Node and the kernel have one. */
  ioUring: boolean
  /** 0: connections may be idle for ever. */
  idleTimeoutS: number
  requestsPerEventMax: number
  readBufMemLimitBytes: number
  inlineAsciiResp: boolean
  /** 0: off. */
  napiIds: number

  // What peers may do.
  protocol: ProtocolName
  casEnabled: boolean
  flushAllowed: boolean
  dumpAllowed: boolean
  watchAllowed: boolean
  shutdownAllowed: boolean
  /** What ends the prefix of a key, in `stats detail`. */
  detailPrefix: string
  /** `stats detail` counts from the start. */
  detailEnabled: boolean
  /** Binary connections say who they are by SASL. */
  sasl: boolean
  /** Names and passwords for SASL; undefined: those of `authFile`. */
  saslFile: string | undefined
  /** Names and passwords for text connections. */
  authFile: string | undefined

  // TLS.
  tls: boolean
  sslChainCert: string | undefined
  sslKey: string | undefined
  sslKeyFormat: 'PEM' | 'DER'
  /** 0: certificates of peers are not asked for, 1: asked for, 2 and 3: needed. */
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
  /** False: a full cache answers with an error instead of evicting. */
  evictions: boolean
  /** Longest item, bytes. */
  itemSizeMax: number
  growthFactor: number
  /** Least room of the smallest chunk for key, value and flags. */
  chunkMinBytes: number
  slabChunkMaxBytes: number
  /** Cut classes for the sizes that come. */
  slabFit: boolean
  /** Chunk sizes, bytes, in place of those that grow by the factor; empty: those. */
  slabSizes: readonly number[]
  slabReassign: boolean
  /** 0: pages stay with their class, 1: they move by age, 2: at once on eviction. */
  slabAutomove: number
  slabAutomoveRatio: number
  slabAutomoveWindow: number
  slabAutomoveFreeRatio: number
  trackSizes: boolean
  lockMemory: boolean
  largePages: boolean

  // The hash table.
  /** Buckets of an empty hash table as a power of two; 0 is the engine's choice. */
  hashpowerInit: number
  hashExpand: boolean
  hashAlgorithm: (typeof HASH_ALGORITHMS)[number]

  // Lists of items and their upkeep.
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
  /** Items that live shorter than this are kept in a list of their own, if `temporaryLru`. */
  temporaryTtlS: number
  /** 0: never. */
  tailRepairTimeS: number

  /** Nodes that `config get cluster` names, `host|ip|port`; empty: this one. */
  clusterNodes: readonly string[]
  /** Peers may change them, by `config set cluster`. */
  configSetAllowed: boolean
  /** Endpoints of the etcd where the daemon says that it is there; empty: nowhere. */
  etcd: readonly string[]
  /** What its key begins with, before host:port. */
  etcdPrefix: string
  /** How clients reach it, `host:port` or `host:port:weight`; undefined: where it listens. */
  etcdAdvertise: string | undefined
  /** How long its entry outlives it if it dies. */
  etcdTtlS: number

  // Logs of `watch`.
  watcherLogbufBytes: number
  workerLogbufBytes: number

  // The process.
  threads: number
  /** How often -v was given. */
  verbosity: number
  /** Whose rights to take on after binding, when started by root. */
  user: string | undefined
  pidFile: string | undefined
  daemonize: boolean
  coreDumps: boolean
}

/** Why a command line or a setting cannot be, in one line, and the exit code that goes with it. */
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
  requestsPerEventMax: 20,
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
  watcherLogbufBytes: 256 * KIB,
  workerLogbufBytes: 64 * KIB,

  threads: 4,
  verbosity: 0,
  user: undefined,
  pidFile: undefined,
  daemonize: false,
  coreDumps: false,
})

/** Exit codes: memcached's plain failure, and those that it takes from sysexits.h. */
export const EXIT_FAILURE = 1
export const EXIT_USAGE = 64
export const EXIT_NO_USER = 67
export const EXIT_OS_ERROR = 71

export function isRefusal(outcome: object): outcome is Refusal {
  return 'line' in outcome && 'exitCode' in outcome
}
