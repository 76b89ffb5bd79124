// The options of a pool client, checked before anything is opened. CacheError ARGUMENT names an
// option that is wrong or unknown.

import {
  checkChoice,
  checkOptions,
  checkSerializer,
  checkType,
  countOption,
  numberOption,
  refuse,
  TIMER_MS_MAX,
} from '../doors/arguments.ts'
import type { HedgeOptions, HedgeTerms } from './copies/hedge.ts'
import type { Discovery } from './discovery/source.ts'
import {
  CLIENT_FAILURES,
  CLIENT_PENDING_BYTES_MAX,
  CLIENT_PENDING_MAX,
  CLIENT_REST_MS,
  CLIENT_WARMUP_MS,
} from './limits.ts'
import { type ConnectionOptions, checkAuth, checkConnections } from './nodes/connection.ts'
import { KEY_HASHES, RING_KINDS, type RingNode, type RingOptions } from './ring/ring.ts'
import { CODEC_NAMES, type CodecOptions } from './values/codec.ts'

/** Copies of a value that a pool may keep. */
const COPIES_MAX = 8

/** Default deadline of calls, and the most retries of one. */
export const CLIENT_TIMEOUT_MS = 500
const CLIENT_RETRIES_MAX = 10

export interface ClusterOptions extends RingOptions, ConnectionOptions, CodecOptions {
  /**
   * The protocol to servers: `meta`, the default, uses memcached's meta commands (memcached 1.6 and
   * memslab). `memjs` uses the binary protocol, for servers that require SASL, without TLS and UNIX
   * sockets.
   */
  driver?: 'meta' | 'memjs' | undefined
  /** The longest that any call waits for its answer, ms. Default 500. */
  timeoutMs?: number | undefined
  /**
   * Retries of a request whose connection broke, before its deadline, if a repetition does no harm:
   * gets, touches, and sets and deletes without a CAS. 0 to 10, default 1.
   */
  retries?: number | undefined
  /** Failures in a row after which a server is ejected. Default 3. */
  failures?: number | undefined
  /**
   * How long an ejected server rests before it is probed, ms; doubles while it flaps. Default 1000.
   */
  restMs?: number | undefined
  /**
   * What happens to the keys of an ejected server: `next` asks the next server on the hash ring,
   * `miss` answers as if there were no item. Default `next`.
   */
  failover?: 'next' | 'miss' | undefined
  /**
   * How long after a change of servers a key that its new owner lacks is fetched from its former
   * owner, ms; 0: never. Default 60,000.
   */
  warmupMs?: number | undefined
  /**
   * At each change of servers whoever makes it moves all items to their owners, as `memslab scale`
   * does. What a server has of keys that it owns again is then kept. Otherwise it is removed once
   * `warmupMs` of an earlier change are over, since it may be old. Default false.
   */
  drained?: boolean | undefined
  /**
   * Number of servers that keep each value, 1 to 8: the owner and those after it on the hash ring.
   * Default 1. With more, the loss of a server loses no value. `failover` then says what happens to
   * keys all of whose servers are away: they miss, or calls reject with CONNECTION.
   */
  replicas?: number | undefined
  /**
   * With two copies or more: a read that its first server has not answered after a while asks a
   * second one too, and the value that comes first counts. Default: it waits for the first.
   */
  hedge?: HedgeOptions | undefined
  /** Called with the names of all servers once they are known, and after each change. */
  onServers?: ((names: string[]) => void) | undefined
  /** Called with the reason why servers could not be looked up. The known ones stay. */
  onDiscoveryError?: ((error: Error) => void) | undefined
}

const NAMES: Record<keyof Required<ClusterOptions>, true> = {
  driver: true,
  timeoutMs: true,
  retries: true,
  failures: true,
  restMs: true,
  failover: true,
  warmupMs: true,
  drained: true,
  replicas: true,
  hedge: true,
  onServers: true,
  onDiscoveryError: true,
  kind: true,
  keyHash: true,
  hashTag: true,
  tls: true,
  auth: true,
  connections: true,
  pendingMax: true,
  pendingBytesMax: true,
  codec: true,
  serializer: true,
  compression: true,
}
const COMPRESSION_NAMES = ['method', 'thresholdBytes', 'level']
const HEDGE_NAMES = ['afterMs', 'percentile', 'share']
const HEDGE_PERCENTILE = 95
const HEDGE_PERCENTILES = [50, 99.9] as const
const HEDGE_SHARE = 0.05
const DRIVERS = ['meta', 'memjs']
const FAILOVERS = ['next', 'miss']
const METHODS = ['zlib', 'brotli']
const BROTLI_LEVEL_MAX = 11
const ZLIB_LEVEL_MAX = 9
const COUNT_MAX = 2 ** 31 - 1

/** Options with defaults for all numbers. */
export type CheckedOptions = Omit<ClusterOptions, 'hedge'> & {
  hedge: HedgeTerms | undefined
} & Required<
    Pick<ClusterOptions, 'timeoutMs' | 'retries' | 'failures' | 'restMs' | 'warmupMs' | 'replicas'>
  >

export function checkClusterOptions(options: ClusterOptions): CheckedOptions {
  checkOptions(options, Object.keys(NAMES))
  checkChoice('driver', options.driver, DRIVERS)
  checkChoice('failover', options.failover, FAILOVERS)
  checkChoice('kind', options.kind, RING_KINDS)
  checkChoice('keyHash', options.keyHash, KEY_HASHES)
  checkType('hashTag', options.hashTag, 'string')
  checkType('drained', options.drained, 'boolean')
  checkType('onServers', options.onServers, 'function')
  checkType('onDiscoveryError', options.onDiscoveryError, 'function')
  checkSerializer(options.serializer)
  checkAuth(options.auth)
  checkCodec(options)
  if (options.tls !== undefined && (typeof options.tls !== 'object' || options.tls === null)) {
    refuse('tls', 'options of node:tls', options.tls)
  }
  checkConnections(options)
  countOption(options, 'pendingMax', CLIENT_PENDING_MAX, [1, COUNT_MAX])
  countOption(options, 'pendingBytesMax', CLIENT_PENDING_BYTES_MAX, [1, Number.MAX_SAFE_INTEGER])
  const replicas = countOption(options, 'replicas', 1, [1, COPIES_MAX])
  return {
    ...options,
    timeoutMs: numberOption(options, 'timeoutMs', CLIENT_TIMEOUT_MS, [1, TIMER_MS_MAX]),
    retries: countOption(options, 'retries', 1, [0, CLIENT_RETRIES_MAX]),
    failures: countOption(options, 'failures', CLIENT_FAILURES, [1, COUNT_MAX]),
    restMs: numberOption(options, 'restMs', CLIENT_REST_MS, [1, TIMER_MS_MAX]),
    warmupMs: numberOption(options, 'warmupMs', CLIENT_WARMUP_MS, [0, TIMER_MS_MAX]),
    replicas,
    hedge: hedgeOf(options.hedge, replicas),
  }
}

export type Servers = readonly (string | RingNode)[] | Discovery

/** Whether it is a source of servers, not a list of them. ARGUMENT for anything else. */
export function isDiscovery(servers: Servers): servers is Discovery {
  if (Array.isArray(servers)) return false
  const isSource = typeof servers === 'object' && servers !== null && 'watch' in servers
  if (isSource && typeof servers.watch === 'function') return true
  return refuse('servers', 'a list of servers, or a source that tells of them', servers)
}

function hedgeOf(hedge: ClusterOptions['hedge'], replicas: number): HedgeTerms | undefined {
  if (hedge === undefined) return undefined
  checkOptions(hedge, HEDGE_NAMES)
  if (replicas < 2) refuse('replicas', 'at least 2 for hedge', replicas)
  const { afterMs } = hedge
  if (afterMs !== undefined && hedge.percentile !== undefined) {
    refuse('hedge.percentile', 'none beside afterMs', hedge.percentile)
  }
  return {
    afterMs:
      afterMs === undefined
        ? undefined
        : numberOption(hedge, 'afterMs', afterMs, [1, TIMER_MS_MAX]),
    percentile: numberOption(hedge, 'percentile', HEDGE_PERCENTILE, HEDGE_PERCENTILES),
    share: numberOption(hedge, 'share', HEDGE_SHARE, [Number.MIN_VALUE, 1]),
  }
}

function checkCodec({ codec, serializer, compression }: CodecOptions): void {
  checkChoice('codec', codec, CODEC_NAMES)
  checkCompression(compression)
  if (codec === undefined || codec === 'memslab') return
  if (serializer !== undefined) refuse('serializer', `none beside codec ${codec}`, serializer)
  if (compression?.method === 'brotli') {
    refuse('compression.method', `zlib beside codec ${codec}`, 'brotli')
  }
}

function checkCompression(compression: CodecOptions['compression']): void {
  if (compression === undefined) return
  checkOptions(compression, COMPRESSION_NAMES)
  const { method } = compression
  checkChoice('compression.method', method, METHODS)
  countOption(compression, 'thresholdBytes', 0, [0, Number.MAX_SAFE_INTEGER])
  countOption(compression, 'level', 1, [0, method === 'brotli' ? BROTLI_LEVEL_MAX : ZLIB_LEVEL_MAX])
}
