// The bounds of settings, the rules between them, and settings that follow from others. Errors have
// memcached's messages and exit codes where it has them, for settings from the command line and
// from programs alike.

import { ITEM_BYTES_MAX } from '../bytes/memcached.ts'
import { GIB, KIB, MIB } from '../bytes/units.ts'
import { CLASSES_MAX, LARGEST_CHUNKS_PER_PAGE, PAGE_BYTES_MIN } from '../engine/limits.ts'
import { ETCD_ENDPOINTS_MAX, ETCD_TTL_S_MAX, ETCD_TTL_S_MIN } from '../etcd/limits.ts'
import {
  DEFAULTS,
  EXIT_FAILURE,
  EXIT_OS_ERROR,
  EXIT_USAGE,
  HASH_ALGORITHMS,
  type ListenAddress,
  type Options,
  type ProtocolName,
  type Refusal,
  SSL_ENGINES,
  TLS_VERSIONS,
} from './options.ts'

export const PORT_MAX = 65535
export const UNIX_MASK_MAX = 0o777
export const MEMORY_LIMIT_BYTES_MAX = 1024 * GIB
export const ITEM_SIZE_MIN = KIB
export const ITEM_SIZE_MAX = ITEM_BYTES_MAX
export const THREADS_MAX = 256
/** More threads than this give a warning, as in memcached. */
export const THREADS_ADVISED_MAX = 64
export const CONNECTIONS_MAX = 1_048_576
export const BACKLOG_MAX = 2 ** 31 - 1
/** Several chunks of this size fit into the smallest page. */
export const CHUNK_MIN_BYTES_MAX = PAGE_BYTES_MIN / LARGEST_CHUNKS_PER_PAGE / 2
/** A page of memcached, which bounds -o slab_chunk_max. */
export const SLAB_PAGE_BYTES = MIB
/** Most sizes of -o slab_sizes, and the smallest difference between two. */
export const SLAB_SIZES_MAX = CLASSES_MAX - 2
export const SLAB_SIZES_STEP = 8
export const HASHPOWER_INIT_MIN = 12
export const HASHPOWER_INIT_MAX = 32
/** Longest time-outs and lifetimes, seconds, and largest log buffers, bytes. */
export const SECONDS_MAX = 2 ** 31 - 1
export const LOGBUF_BYTES_MAX = 64 * MIB
export const SSL_WBUF_BYTES_MAX = 64 * MIB
export const CRAWLER_SLEEP_US_MAX = 1_000_000
export const TAIL_REPAIR_S_MIN = 10
export const LRU_PCT_MAX = 79
export const LRU_PCT_SUM_MAX = 80
/** Longest time between two snapshots, most that are kept, and zstd's highest level. */
export const SNAPSHOT_EVERY_S_MAX = 35 * 86_400
export const SNAPSHOTS_KEPT_MAX = 10_000
export const SNAPSHOT_LEVEL_MAX = 19

/** All settings, with defaults for those not given; or a refusal for the first invalid one. */
export function checkOptions(given: Partial<Options> = {}): Options | Refusal {
  const options: Options = { ...DEFAULTS, ...given, ...whatFollows(given) }
  return (
    refusePorts(options) ??
    refuseCounts(options) ??
    refuseHashTable(options) ??
    refuseSlabs(options) ??
    refuseSlabSizes(options) ??
    refuseSizes(options) ??
    refuseLists(options) ??
    refuseAutomove(options) ??
    refuseBuffers(options) ??
    refuseTls(options) ??
    refuseAccess(options) ??
    refuseEtcd(options) ??
    refuseKeeping(options) ??
    options
  )
}

// With a UNIX socket there is no TCP and UDP. A UDP port alone sets the TCP port too. With -S or -Y
// alone only the protocol that authenticates is spoken.
function whatFollows(given: Partial<Options>): Partial<Options> {
  const { unixSocket, udpPort = 0, sasl, authFile, protocol } = given
  const follows: Partial<Options> = {}
  if (unixSocket !== undefined) Object.assign(follows, { tcpEnabled: false, udpPort: 0 })
  else if (udpPort !== 0) follows.port = tcpPortOf(given)
  if (protocol === undefined) follows.protocol = protocolFor(sasl === true, authFile !== undefined)
  if (given.missCurve === undefined) follows.missCurve = given.admin !== undefined
  return follows
}

/** The TCP port of these settings: a UDP port alone sets it too, and -1 chooses a free one. */
export function tcpPortOf({ port, udpPort = 0 }: Partial<Options>): number {
  if (port !== undefined || udpPort === 0) return port ?? DEFAULTS.port
  return udpPort === -1 ? 0 : udpPort
}

function protocolFor(sasl: boolean, tokens: boolean): ProtocolName {
  if (sasl === tokens) return DEFAULTS.protocol
  return sasl ? 'binary' : 'ascii'
}

function refusePorts(options: Options): Refusal | undefined {
  const { port, listen, udpPort, unixSocket, unixMask } = options
  if (!isWhole(udpPort, -1, PORT_MAX)) return usage(`ERROR: Invalid UDP port number ${udpPort}.`)
  if (!isWhole(port, 0, PORT_MAX)) return usage(`ERROR: Invalid port number ${port}.`)
  const wrong = listen.find(address => !isWhole(address.port, 0, PORT_MAX))
  if (wrong !== undefined) {
    return { line: `Invalid port number: "${wrong.port}"`, exitCode: EXIT_OS_ERROR }
  }
  if (unixSocket === '') return failure('The path of the UNIX socket is empty')
  if (!isWhole(unixMask, 0, UNIX_MASK_MAX)) {
    return failure('Access mask of the UNIX socket must be from 0 to 777, in octal')
  }
  return undefined
}

function refuseCounts(options: Options): Refusal | undefined {
  const { connectionsMax, threads, backlog, requestsPerEventMax, napiIds } = options
  if (!(connectionsMax > 0)) return failure('Maximum connections must be greater than 0')
  if (!isWhole(connectionsMax, 1, CONNECTIONS_MAX)) {
    return failure(`Maximum connections must be a whole number, at most ${CONNECTIONS_MAX}`)
  }
  if (!(threads > 0)) return failure('Number of threads must be greater than 0')
  if (!isWhole(threads, 1, THREADS_MAX)) {
    return failure(`Number of threads must be a whole number, at most ${THREADS_MAX}`)
  }
  if (!isWhole(backlog, 0, BACKLOG_MAX)) {
    return failure(`Listen backlog must be a whole number from 0 to ${BACKLOG_MAX}`)
  }
  if (!isWhole(requestsPerEventMax ?? 1, 1, Number.MAX_SAFE_INTEGER)) {
    return failure('Number of requests per event must be greater than 0')
  }
  if (!isWhole(options.idleTimeoutS, 0, SECONDS_MAX)) {
    return failure(`idle_timeout must be a whole number of seconds from 0 to ${SECONDS_MAX}`)
  }
  if (isWhole(napiIds, 0, threads)) return undefined
  return usage(
    `Number of napi_ids(${napiIds}) cannot be greater than number of threads(${threads})`,
  )
}

function refuseHashTable({ hashpowerInit, hashAlgorithm }: Options): Refusal | undefined {
  if (!HASH_ALGORITHMS.includes(hashAlgorithm)) {
    return failure(`Unknown hash_algorithm option (${HASH_ALGORITHMS.join(', ')})`)
  }
  if (hashpowerInit === 0) return undefined
  if (!(hashpowerInit >= HASHPOWER_INIT_MIN)) {
    return failure(`Initial hashtable multiplier of ${hashpowerInit} is too low`)
  }
  if (isWhole(hashpowerInit, HASHPOWER_INIT_MIN, HASHPOWER_INIT_MAX)) return undefined
  return failure(`Initial hashtable multiplier of ${hashpowerInit} is too high`)
}

function refuseSlabs(options: Options): Refusal | undefined {
  const { growthFactor, chunkMinBytes, itemSizeMax, slabChunkMaxBytes } = options
  if (!(growthFactor > 1)) return failure('Factor must be greater than 1')
  if (!Number.isFinite(growthFactor)) return failure('Factor must be finite')
  if (!(chunkMinBytes > 0)) return failure('Chunk size must be greater than 0')
  if (!isWhole(chunkMinBytes, 1, CHUNK_MIN_BYTES_MAX)) {
    return failure(`Chunk size must be a whole number, at most ${CHUNK_MIN_BYTES_MAX}`)
  }
  const chunk = `slab_chunk_max (bytes: ${slabChunkMaxBytes})`
  if (!isWhole(slabChunkMaxBytes, KIB, SLAB_PAGE_BYTES)) {
    return usage(`${chunk} must be from 1024 to ${SLAB_PAGE_BYTES}`)
  }
  // memcached's own default breaks these rules where -I is small, so it is not checked.
  if (slabChunkMaxBytes === DEFAULTS.slabChunkMaxBytes) return undefined
  if (slabChunkMaxBytes > itemSizeMax) {
    return usage(`${chunk} cannot be larger than -I (item_size_max ${itemSizeMax})`)
  }
  if (itemSizeMax % slabChunkMaxBytes !== 0) {
    return usage(`-I (item_size_max: ${itemSizeMax}) must be evenly divisible by ${chunk}`)
  }
  if (SLAB_PAGE_BYTES % slabChunkMaxBytes === 0) return undefined
  return usage(`${chunk} must divide evenly into ${SLAB_PAGE_BYTES} (slab_page_size)`)
}

function refuseSlabSizes(options: Options): Refusal | undefined {
  const { slabSizes, chunkMinBytes, slabChunkMaxBytes } = options
  if (slabSizes.length > SLAB_SIZES_MAX) return usage('too many slab classes specified')
  let before = 0
  for (const size of slabSizes) {
    if (!isWhole(size, chunkMinBytes, slabChunkMaxBytes)) {
      return usage(`slab size ${size} is out of valid range`)
    }
    if (size <= before) {
      return usage(`slab size ${size} cannot be lower than or equal to a previous class size`)
    }
    if (size <= before + SLAB_SIZES_STEP) {
      const least = `at least ${SLAB_SIZES_STEP} bytes larger than previous class`
      return usage(`slab size ${size} must be ${least}`)
    }
    before = size
  }
  return undefined
}

function refuseSizes(options: Options): Refusal | undefined {
  const { itemSizeMax, memoryLimitBytes } = options
  if (!isWhole(memoryLimitBytes, 0, MEMORY_LIMIT_BYTES_MAX)) {
    return usage(`Memory limit must be from 0 to ${MEMORY_LIMIT_BYTES_MAX / MIB} megabytes`)
  }
  if (memoryLimitBytes === 0) return usage('A memory limit of 0 leaves no room for items')
  if (!(itemSizeMax >= ITEM_SIZE_MIN)) {
    return usage(`Item max size cannot be less than ${ITEM_SIZE_MIN} bytes.`)
  }
  if (itemSizeMax > memoryLimitBytes / 2) {
    return usage('Cannot set item size limit higher than 1/2 of memory max.')
  }
  if (itemSizeMax > ITEM_SIZE_MAX) {
    return usage('Cannot set item size limit higher than a gigabyte.')
  }
  if (!Number.isInteger(itemSizeMax)) return usage('Item max size must be whole bytes.')
  return undefined
}

function refuseLists(options: Options): Refusal | undefined {
  const { hotLruPct, warmLruPct, hotMaxFactor, warmMaxFactor, tailRepairTimeS } = options
  if (!isWhole(hotLruPct, 1, LRU_PCT_MAX)) return failure('hot_lru_pct must be > 1 and < 80')
  if (!isWhole(warmLruPct, 1, LRU_PCT_MAX)) return failure('warm_lru_pct must be > 1 and < 80')
  if (!(hotMaxFactor > 0)) return failure('hot_max_factor must be > 0')
  if (!(warmMaxFactor > 0)) return failure('warm_max_factor must be > 0')
  if (!isWhole(options.lruCrawlerSleepUs, 0, CRAWLER_SLEEP_US_MAX)) {
    return failure('LRU crawler sleep must be between 0 and 1 second')
  }
  if (!isWhole(options.lruCrawlerToCrawl, 0, 2 ** 32 - 1)) {
    return failure('lru_crawler_tocrawl takes a numeric 32bit value')
  }
  if (tailRepairTimeS !== 0 && !isWhole(tailRepairTimeS, TAIL_REPAIR_S_MIN, SECONDS_MAX)) {
    return failure('Cannot set tail_repair_time to less than 10 seconds')
  }
  if (!isWhole(options.temporaryTtlS, 0, SECONDS_MAX)) {
    return failure(`temporary_ttl must be a whole number of seconds from 0 to ${SECONDS_MAX}`)
  }
  if (hotLruPct + warmLruPct > LRU_PCT_SUM_MAX) {
    return usage('hot_lru_pct + warm_lru_pct cannot be more than 80% combined')
  }
  if (options.lruMaintainer || !options.temporaryLru) return undefined
  return usage('temporary_ttl requires lru_maintainer to be enabled')
}

function refuseAutomove(options: Options): Refusal | undefined {
  const { slabAutomove, slabAutomoveRatio, slabAutomoveWindow, slabAutomoveFreeRatio } = options
  if (!isWhole(slabAutomove, 0, 2)) return failure('slab_automove must be between 0 and 2')
  if (!(slabAutomoveRatio > 0 && slabAutomoveRatio <= 1)) {
    return failure('slab_automove_ratio must be > 0 and < 1')
  }
  if (!isWhole(slabAutomoveWindow, 3, SECONDS_MAX)) {
    return failure('slab_automove_window must be > 2')
  }
  if (slabAutomoveFreeRatio >= 0 && slabAutomoveFreeRatio <= 1) return undefined
  return failure('slab_automove_freeratio must be from 0 to 1')
}

function refuseBuffers(options: Options): Refusal | undefined {
  if (!isWhole(options.watcherLogbufBytes, KIB, LOGBUF_BYTES_MAX)) {
    return failure('watcher_logbuf_size must be from 1 to 65536 kilobytes')
  }
  if (!isWhole(options.workerLogbufBytes, KIB, LOGBUF_BYTES_MAX)) {
    return failure('worker_logbuf_size must be from 1 to 65536 kilobytes')
  }
  if (!isWhole(options.sslWbufSize, KIB, SSL_WBUF_BYTES_MAX)) {
    return failure('ssl_wbuf_size must be from 1 to 65536 kilobytes')
  }
  if (isWhole(options.readBufMemLimitBytes, 0, MEMORY_LIMIT_BYTES_MAX)) return undefined
  return failure(`read_buf_mem_limit must be from 0 to ${MEMORY_LIMIT_BYTES_MAX / MIB} megabytes`)
}

function refuseTls(options: Options): Refusal | undefined {
  if (!isWhole(options.sslVerifyMode, 0, 3)) {
    return failure('Invalid ssl_verify_mode. Use help to see valid options.')
  }
  if (!TLS_VERSIONS.includes(options.sslMinVersion)) {
    return failure('Invalid ssl_min_version. Use help to see valid options.')
  }
  if (!SSL_ENGINES.includes(options.sslEngine)) {
    return failure('ssl_engine must be direct or node')
  }
  if (!options.tls) {
    const wrong = options.listen.find(({ tls }) => tls !== undefined)?.tls
    if (wrong === undefined) return undefined
    const word = { none: 'notls', basic: 'btls', mutual: 'mtls' }[wrong]
    return { line: `'${word}' option is valid only when SSL is enabled`, exitCode: EXIT_OS_ERROR }
  }
  if (!options.tcpEnabled && options.unixSocket === undefined) {
    return usage('ERROR: You cannot enable SSL without a TCP port.')
  }
  if (options.sslChainCert !== undefined) return undefined
  return usage('Error loading the certificate chain: -Z needs -o ssl_chain_cert=<file>')
}

function refuseAccess(options: Options): Refusal | undefined {
  const { sasl, authFile, protocol, listen, udpPort, detailPrefix } = options
  const tokens = authFile !== undefined
  const spoken = [protocol, ...listen.map(listener => listener.protocol ?? protocol)]
  // If clients of one protocol must log in, the other protocol must not let them in without.
  if (sasl && !tokens && spoken.some(name => name !== 'binary')) {
    return usage('ERROR: You cannot allow the ASCII protocol while using SASL.')
  }
  if (sasl && udpPort !== 0) {
    return usage('ERROR: Cannot enable UDP while using binary SASL authentication.')
  }
  if (tokens && !sasl && spoken.some(name => name !== 'ascii')) {
    return usage(
      'ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.',
    )
  }
  if (tokens && udpPort !== 0) {
    return usage('Cannot use UDP with ascii authentication enabled (-U 0 to disable)')
  }
  const hasAcl = options.acl !== undefined
  if (hasAcl && (sasl || tokens)) return usage('--acl has log-ins of its own: -Y and -S are others')
  if (options.adminWrite && options.adminAuthFile === undefined && (sasl || tokens || hasAcl)) {
    return usage('--admin-write needs --admin-auth where clients log in (-S, -Y, --acl)')
  }
  return detailPrefix.length === 1 ? undefined : failure('No delimiter specified')
}

const LOOPBACK = /^(?:127\.|::1$|localhost$)/

/**
 * The first address of the network on which everybody is served; undefined: there is none, or
 * something says who may.
 */
export function openAddressOf(options: Options): string | undefined {
  const { unixSocket, tcpEnabled, udpPort, listen, allow, acl, authFile, sasl, port } = options
  if (unixSocket !== undefined || !(tcpEnabled || udpPort !== 0)) return undefined
  if (allow.length > 0 || acl !== undefined || authFile !== undefined || sasl) return undefined
  const all = listen.length > 0 ? listen : [{ host: '0.0.0.0', port }]
  const found = all.find(
    address => !LOOPBACK.test(address.host) && !asksCertificate(address, options),
  )
  if (found === undefined) return undefined
  return found.host.includes(':') ? `[${found.host}]` : found.host
}

function asksCertificate(
  address: ListenAddress,
  { tls, sslVerifyMode, udpPort }: Options,
): boolean {
  if (!tls || udpPort !== 0) return false
  return address.tls === undefined ? sslVerifyMode >= 2 : address.tls === 'mutual'
}

function refuseEtcd(options: Options): Refusal | undefined {
  const { etcd, etcdPrefix, etcdAdvertise, etcdTtlS, tcpEnabled } = options
  const wrong = etcd.find(url => !isEndpoint(url))
  if (wrong !== undefined) return failure(`Illegal endpoint "${wrong}" of --etcd`)
  if (etcd.length > ETCD_ENDPOINTS_MAX) {
    return failure(`--etcd takes at most ${ETCD_ENDPOINTS_MAX} endpoints`)
  }
  if (etcdPrefix === '') return failure('etcd_prefix may not be empty')
  if (etcdAdvertise !== undefined && !ADVERTISED.test(etcdAdvertise)) {
    return failure('etcd_advertise must be host:port or host:port:weight')
  }
  if (!isWhole(etcdTtlS, ETCD_TTL_S_MIN, ETCD_TTL_S_MAX)) {
    return failure(`etcd_ttl must be from ${ETCD_TTL_S_MIN} to ${ETCD_TTL_S_MAX} seconds`)
  }
  if (etcd.length === 0 || tcpEnabled || etcdAdvertise !== undefined) return undefined
  return usage('ERROR: --etcd without TCP needs -o etcd_advertise')
}

function refuseKeeping(options: Options): Refusal | undefined {
  const { snapshotDir, snapshotEveryS, snapshotAt, snapshotOnExit, snapshotKeep } = options
  const isWanted = snapshotEveryS > 0 || snapshotAt.length > 0 || snapshotOnExit
  if (isWanted && snapshotDir === undefined) return usage('Snapshots need --snapshot-dir')
  if (!isWanted && snapshotDir !== undefined) {
    return usage('--snapshot-dir needs --snapshot-every, --snapshot-at or --snapshot-on-exit')
  }
  if (!isWhole(snapshotEveryS, 0, SNAPSHOT_EVERY_S_MAX)) {
    return failure('--snapshot-every must be at most 35 days')
  }
  const kept = 'count' in snapshotKeep ? snapshotKeep.count : snapshotKeep.days
  if (!isWhole(kept, 1, SNAPSHOTS_KEPT_MAX)) {
    return failure(`--snapshot-keep must be from 1 to ${SNAPSHOTS_KEPT_MAX}`)
  }
  if (!isWhole(options.snapshotLevel, 0, SNAPSHOT_LEVEL_MAX)) {
    return failure(`--snapshot-level must be from 0 to ${SNAPSHOT_LEVEL_MAX}`)
  }
  const isRestored = options.restorePath !== undefined
  if (isRestored || !(options.restoreRequired || options.restoreServing)) return undefined
  return usage('--restore-required and --restore-serving need --restore')
}

function isEndpoint(url: string): boolean {
  if (!/^https?:\/\/[^/\s]+\/?$/.test(url) || !URL.canParse(url)) return false
  try {
    // In user and password a % must be followed by two hex digits.
    decodeURIComponent(url)
    return true
  } catch {
    return false
  }
}

/** `host:port` or `[ipv6]:port`, optionally followed by `:weight`. */
const ADVERTISED = /^(?:\[[^\]\s]+\]|[^:\s[\]]+):\d{1,5}(?::[1-9]\d*)?$/

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

function failure(line: string): Refusal {
  return { line, exitCode: EXIT_FAILURE }
}

function usage(line: string): Refusal {
  return { line, exitCode: EXIT_USAGE }
}
