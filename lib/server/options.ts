// The daemon's settings: what there is to set, what each is by default, and the bounds they must
// keep, alone and between each other. Where memcached has words for a value that cannot be, and an
// exit code, they are used here. The command line is read in cli.ts; a program that starts the
// daemon by itself calls `checkOptions` with what it wants otherwise than by default.

import {
  GIB,
  ITEM_BYTES_MAX,
  KIB,
  LARGEST_CHUNKS_PER_PAGE,
  MIB,
  PAGE_BYTES_MIN,
} from '../limits.ts'

export interface ListenAddress {
  /** A name or an address, IPv6 without brackets. */
  host: string
  port: number
}

export interface Options {
  /** TCP port of listeners that do not say theirs; 0 lets the system choose. */
  port: number
  /** Empty: every interface. */
  listen: readonly ListenAddress[]
  /** What -l said, for `stats settings`. */
  listenText: string | undefined
  memoryLimitBytes: number
  /** False: a full cache answers with an error instead of evicting. */
  evictions: boolean
  threads: number
  connectionsMax: number
  backlog: number
  /** Longest item, bytes. */
  itemSizeMax: number
  growthFactor: number
  /** Least room of the smallest chunk for key, value and flags. */
  chunkMinBytes: number
  lockMemory: boolean
  /** How often -v was given. */
  verbosity: number
  /** Whose rights to take on after binding, when started by root. */
  user: string | undefined
  pidFile: string | undefined
  daemonize: boolean
  /** Buckets of an empty hash table as a power of two; 0 is the engine's choice. */
  hashpowerInit: number
  trackSizes: boolean
  flushAllowed: boolean
  dumpAllowed: boolean
  requestsPerEventMax: number
  protocol: 'auto' | 'ascii'
}

/** Why a command line or a setting cannot be, in one line, and the exit code that goes with it. */
export interface Refusal {
  line: string
  exitCode: number
}

export const DEFAULTS: Readonly<Options> = Object.freeze({
  port: 11211,
  listen: [],
  listenText: undefined,
  memoryLimitBytes: 64 * MIB,
  evictions: true,
  threads: 4,
  connectionsMax: 1024,
  backlog: 1024,
  itemSizeMax: MIB,
  growthFactor: 1.25,
  chunkMinBytes: 48,
  lockMemory: false,
  verbosity: 0,
  user: undefined,
  pidFile: undefined,
  daemonize: false,
  hashpowerInit: 0,
  trackSizes: false,
  flushAllowed: true,
  dumpAllowed: true,
  requestsPerEventMax: 20,
  protocol: 'auto',
})

/** Exit codes: memcached's plain failure, and those that it takes from sysexits.h. */
export const EXIT_FAILURE = 1
export const EXIT_USAGE = 64
export const EXIT_NO_USER = 67
export const EXIT_OS_ERROR = 71

export const PORT_MAX = 65535
export const MEMORY_LIMIT_BYTES_MAX = 1024 * GIB
export const ITEM_SIZE_MIN = KIB
export const ITEM_SIZE_MAX = ITEM_BYTES_MAX
export const THREADS_MAX = 256
/** More threads than this earn a warning, as they do in memcached. */
export const THREADS_ADVISED_MAX = 64
export const CONNECTIONS_MAX = 1_048_576
export const BACKLOG_MAX = 2 ** 31 - 1
/** An empty chunk of this size fits several times into the smallest page there is. */
export const CHUNK_MIN_BYTES_MAX = PAGE_BYTES_MIN / LARGEST_CHUNKS_PER_PAGE / 2
export const HASHPOWER_INIT_MIN = 12
export const HASHPOWER_INIT_MAX = 32

/** All settings, with defaults for those not given; or the first of them that cannot be. */
export function checkOptions(given: Partial<Options> = {}): Options | Refusal {
  const options: Options = { ...DEFAULTS, ...given }
  return (
    refusePorts(options) ??
    refuseCounts(options) ??
    refuseSlabs(options) ??
    refuseSizes(options) ??
    options
  )
}

export function isRefusal(outcome: object): outcome is Refusal {
  return 'line' in outcome && 'exitCode' in outcome
}

function refusePorts({ port, listen }: Options): Refusal | undefined {
  if (!isWhole(port, 0, PORT_MAX)) return usage(`ERROR: Invalid port number ${port}.`)
  const wrong = listen.find(address => !isWhole(address.port, 0, PORT_MAX))
  if (wrong === undefined) return undefined
  return { line: `Invalid port number: "${wrong.port}"`, exitCode: EXIT_OS_ERROR }
}

function refuseCounts(options: Options): Refusal | undefined {
  const { connectionsMax, threads, backlog, requestsPerEventMax, hashpowerInit } = options
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
  if (!isWhole(requestsPerEventMax, 1, Number.MAX_SAFE_INTEGER)) {
    return failure('Number of requests per event must be greater than 0')
  }
  if (hashpowerInit === 0) return undefined
  if (!(hashpowerInit >= HASHPOWER_INIT_MIN)) {
    return failure(`Initial hashtable multiplier of ${hashpowerInit} is too low`)
  }
  if (isWhole(hashpowerInit, HASHPOWER_INIT_MIN, HASHPOWER_INIT_MAX)) return undefined
  return failure(`Initial hashtable multiplier of ${hashpowerInit} is too high`)
}

function refuseSlabs({ growthFactor, chunkMinBytes }: Options): Refusal | undefined {
  if (!(growthFactor > 1)) return failure('Factor must be greater than 1')
  if (!Number.isFinite(growthFactor)) return failure('Factor must be finite')
  if (!(chunkMinBytes > 0)) return failure('Chunk size must be greater than 0')
  if (isWhole(chunkMinBytes, 1, CHUNK_MIN_BYTES_MAX)) return undefined
  return failure(`Chunk size must be a whole number, at most ${CHUNK_MIN_BYTES_MAX}`)
}

function refuseSizes({ itemSizeMax, memoryLimitBytes }: Options): Refusal | undefined {
  if (!isWhole(memoryLimitBytes, 0, MEMORY_LIMIT_BYTES_MAX)) {
    return usage(`Memory limit must be from 0 to ${MEMORY_LIMIT_BYTES_MAX / MIB} megabytes`)
  }
  if (!(itemSizeMax >= ITEM_SIZE_MIN)) {
    return usage(`Item max size cannot be less than ${ITEM_SIZE_MIN} bytes.`)
  }
  if (itemSizeMax > memoryLimitBytes / 2) {
    return usage('Cannot set item size limit higher than 1/2 of memory max.')
  }
  if (itemSizeMax > ITEM_SIZE_MAX)
    return usage('Cannot set item size limit higher than a gigabyte.')
  if (!Number.isInteger(itemSizeMax)) return usage('Item max size must be whole bytes.')
  return undefined
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

function failure(line: string): Refusal {
  return { line, exitCode: EXIT_FAILURE }
}

function usage(line: string): Refusal {
  return { line, exitCode: EXIT_USAGE }
}
