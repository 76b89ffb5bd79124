// The values of command line options: text -> settings. memcached's own words where it has them,
// and one line of ours where it would guess (it reads `-m 2g` as two megabytes). Bounds are not
// checked here but in options.ts, for settings that come from a program too.

import {
  EXIT_FAILURE,
  EXIT_OS_ERROR,
  EXIT_USAGE,
  type ListenAddress,
  type Options,
  PORT_MAX,
} from './options.ts'

export type Given = Partial<Options>

const MEGABYTE_BYTES = 2 ** 20

/** Suboptions of -o that have no meaning here: bare words, and those that need a value. */
const IDLE_WORDS = new Set(
  (
    'modern no_modern maxconns_fast no_maxconns_fast lru_crawler no_lru_crawler lru_maintainer no_lru_maintainer slab_reassign ' +
    'no_slab_reassign slab_automove no_slab_automove no_hashexpand inline_ascii_resp ' +
    'no_inline_ascii_resp drop_privileges no_drop_privileges'
  ).split(' '),
)
const IDLE_VALUES = new Set(
  (
    'hash_algorithm tail_repair_time lru_crawler_sleep lru_crawler_tocrawl read_buf_mem_limit ' +
    'resp_obj_mem_limit hot_lru_pct warm_lru_pct hot_max_factor warm_max_factor temporary_ttl ' +
    'slab_chunk_max slab_automove_ratio slab_automove_window slab_automove_freeratio ' +
    'watcher_logbuf_size worker_logbuf_size'
  ).split(' '),
)
const HASH_ALGORITHMS = ['jenkins', 'murmur3', 'xxh3']

/** How a reader says no: one line, and the exit code that goes with it. */
export class Refused extends Error {
  readonly exitCode: number
  constructor(line: string, exitCode = EXIT_FAILURE) {
    super(line)
    this.exitCode = exitCode
  }
}

export function readPort(text: string): Given {
  const port = /^\s*[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(port)) throw new Refused(`ERROR: Invalid port number ${text}.`, EXIT_USAGE)
  if (port === 0) throw new Refused('-p 0 is not supported yet: without TCP there is no way in')
  return { port: port === -1 ? 0 : port }
}

export function readUdpPort(text: string): Given {
  if (Number(text) === 0) return {}
  throw new Refused('-U is not supported yet: memslab has not got UDP, only -U 0 is accepted')
}

export function readMemoryLimit(text: string): Given {
  return { memoryLimitBytes: wholeOf(text.replace(/m$/i, ''), '-m', text) * MEGABYTE_BYTES }
}

export function readItemSize(text: string): Given {
  const [, digits = '', unit = ''] = /^\s*(\d+)([km]?)$/i.exec(text) ?? []
  const unitBytes = { '': 1, k: 1024, m: MEGABYTE_BYTES }[unit.toLowerCase()] ?? 1
  return { itemSizeMax: wholeOf(digits, '-I', text) * unitBytes }
}

export function readFactor(text: string): Given {
  const growthFactor = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(growthFactor)) return { growthFactor }
  throw new Refused(`Illegal value "${text}" for -f: a number is needed`)
}

export function readProtocol(text: string): Given {
  if (text === 'auto' || text === 'ascii') return { protocol: text }
  if (text === 'binary') {
    throw new Refused('-B binary is not supported yet: memslab has not got the binary protocol')
  }
  const line = `Invalid value for binding protocol: ${text} -- should be one of auto or ascii`
  throw new Refused(line, EXIT_USAGE)
}

export function wholeOf(digits: string, name: string, text = digits): number {
  if (/^\s*[+-]?\d+$/.test(digits)) return Number(digits)
  throw new Refused(`Illegal value "${text}" for ${name}: a whole number is needed`)
}

export function readExtended(list: string): Given {
  const given: Given = {}
  for (const word of list.split(',').filter(word => word !== '')) {
    Object.assign(given, readSuboption(word))
  }
  return given
}

function readSuboption(word: string): Given {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word : word.slice(0, equals)
  const text = equals < 0 ? '' : word.slice(equals + 1)
  if (name === 'track_sizes') return { trackSizes: true }
  if (name === 'hashpower') return { hashpowerInit: readHashpower(text) }
  if (/^(ext|ssl)_/.test(name) || name === 'sock_cookie_id') {
    throw new Refused(`-o ${name} is not supported yet`)
  }
  if (name === 'idle_timeout') return refuseIdleTimeout(text)
  if (IDLE_WORDS.has(name)) return {}
  if (!IDLE_VALUES.has(name)) throw new Refused(`Illegal suboption "${word}"`)
  if (text === '') throw new Refused(`Missing ${name} argument`)
  if (name === 'hash_algorithm' && !HASH_ALGORITHMS.includes(text)) {
    throw new Refused(`Unknown hash_algorithm option (${HASH_ALGORITHMS.join(', ')})`)
  }
  return {}
}

function readHashpower(text: string): number {
  if (text === '') throw new Refused('Missing numeric argument for hashpower')
  const hashpower = wholeOf(text, '-o hashpower')
  // Zero means "not given" among the options.
  if (hashpower === 0) throw new Refused('Initial hashtable multiplier of 0 is too low')
  return hashpower
}

function refuseIdleTimeout(text: string): Given {
  if (text === '') throw new Refused('Missing numeric argument for idle_timeout')
  if (wholeOf(text, '-o idle_timeout') === 0) return {}
  throw new Refused('-o idle_timeout is not supported yet: only 0, no timeout, is accepted')
}

// ---- -l: `host`, `host:port`, `ipv6`, `[ipv6]`, `[ipv6]:port`, `*`; commas or semicolons between

export function readListen(text: string, port: number): ListenAddress[] {
  const words = text.split(/[,;]/).filter(word => word !== '')
  return words.flatMap(word => readListener(word, port))
}

function readListener(text: string, port: number): ListenAddress[] {
  const word = text.replace(/^notls:/, '')
  if (/^(proto|tag)[[_]|^(btls|mtls):/.test(word)) {
    throw new Refused(`-l ${word} is not supported yet: a listener takes no protocol, tag or TLS`)
  }
  const [, bracketed, own] = /^\[([^[\]]*)\](?::(.*))?$/.exec(word) ?? []
  if (bracketed !== undefined) return [{ host: bracketed, port: portOf(own, port) }]
  if (word.startsWith('[')) throw new Refused(`Invalid IPV6 address: "${word}"`, EXIT_OS_ERROR)
  const parts = word.split(':')
  if (parts.length > 2) return [{ host: word, port }]
  const [host = '', afterHost] = parts
  const listenPort = portOf(afterHost, port)
  if (host !== '' && host !== '*') return [{ host, port: listenPort }]
  return ['0.0.0.0', '::'].map(any => ({ host: any, port: listenPort }))
}

function portOf(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (/^\d+$/.test(text) && Number(text) <= PORT_MAX) return Number(text)
  throw new Refused(`Invalid port number: "${text}"`, EXIT_OS_ERROR)
}
