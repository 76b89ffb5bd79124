// -o: the extended options, text -> settings: `name`, `no_name` or `name=value`, comma-separated.
// One table has all of them. They take effect in order, so `no_modern,slab_reassign` turns
// slab_reassign on again. Bounds are checked in options/checks.ts.

import { CLUSTER_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB, MIB } from '../bytes/units.ts'
import { EVICTIONS } from '../engine/limits.ts'
import { DEFAULTS, HASH_ALGORITHMS, SSL_ENGINES, TLS_VERSIONS } from './options.ts'
import { type Given, numberOf, Refused, wholeOf } from './values.ts'

interface Suboption {
  /** memcached's message for a missing value; undefined if none is needed. */
  missing?: string
  read(text: string, name: string): Given
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
  if (name.startsWith('ext_')) {
    throw new Refused(`-o ${name} is not supported: memslab keeps items in memory only`)
  }
  const found = SUBOPTIONS.get(name)
  if (found === undefined) throw new Refused(`Illegal suboption "${word}"`)
  if (text === '' && found.missing !== undefined) throw new Refused(found.missing)
  return found.read(text, name)
}

/** An option with the same meaning with and without a value. */
function word(given: Given): Suboption {
  return { read: () => given }
}

function value(name: string, read: Suboption['read'], missing = `Missing ${name} argument`) {
  return [name, { missing, read }] as const
}

function numeric(name: string, read: (value: number) => Given): readonly [string, Suboption] {
  const missing = `Missing numeric argument for ${name}`
  return value(name, text => read(wholeOf(text, `-o ${name}`)), missing)
}

function whole(name: string, read: (value: number) => Given): readonly [string, Suboption] {
  return value(name, text => read(wholeOf(text, `-o ${name}`)))
}

function fraction(name: string, read: (value: number) => Given): readonly [string, Suboption] {
  return value(name, text => read(numberOf(text, `-o ${name}`)))
}

/** Numbers that memcached reads strictly, with an error message. */
function parsed(name: string, read: (value: number) => Given): readonly [string, Suboption] {
  return value(name, text => {
    if (/^\s*\+?\d+$/.test(text)) return read(Number(text))
    throw new Refused(`could not parse argument to ${name}`)
  })
}

const NO_MODERN: Given = {
  slabReassign: false,
  slabAutomove: 0,
  maxconnsFast: false,
  eviction: 'lru',
  hashAlgorithm: 'jenkins',
  lruCrawler: false,
  lruMaintainer: false,
}

const SUBOPTIONS: ReadonlyMap<string, Suboption> = new Map<string, Suboption>([
  ['modern', word({})],
  ['no_modern', word(NO_MODERN)],
  ['io_uring', word({ ioUring: true })],
  ['no_io_uring', word({ ioUring: false })],
  ['maxconns_fast', word({ maxconnsFast: true })],
  ['no_maxconns_fast', word({ maxconnsFast: false })],
  numeric('hashpower', readHashpower),
  ['no_hashexpand', word({ hashExpand: false })],
  value('hash_algorithm', readHashAlgorithm),
  numeric('tail_repair_time', readTailRepairTime),
  numeric('idle_timeout', idleTimeoutS => ({ idleTimeoutS })),
  parsed('read_buf_mem_limit', megabytes => ({ readBufMemLimitBytes: megabytes * MIB })),
  ['resp_obj_mem_limit', word({})],
  ['inline_ascii_resp', word({})],
  ['no_inline_ascii_resp', word({})],
  ['drop_privileges', word({})],
  ['no_drop_privileges', word({})],
  ['sock_cookie_id', word({})],

  ['lru_crawler', word({ lruCrawler: true })],
  ['no_lru_crawler', word({ lruCrawler: false })],
  value(
    'lru_crawler_sleep',
    text => ({ lruCrawlerSleepUs: wholeOf(text, '-o lru_crawler_sleep') }),
    'Missing lru_crawler_sleep value',
  ),
  value('lru_crawler_tocrawl', readToCrawl, 'Missing lru_crawler_tocrawl value'),
  ['lru_maintainer', word({ lruMaintainer: true, eviction: DEFAULTS.eviction })],
  ['no_lru_maintainer', word({ lruMaintainer: false, eviction: 'lru' })],
  value('eviction', readEviction),
  whole('hot_lru_pct', hotLruPct => ({ hotLruPct })),
  whole('warm_lru_pct', warmLruPct => ({ warmLruPct })),
  fraction('hot_max_factor', hotMaxFactor => ({ hotMaxFactor })),
  fraction('warm_max_factor', warmMaxFactor => ({ warmMaxFactor })),
  whole('temporary_ttl', temporaryTtlS => ({ temporaryTtlS, temporaryLru: true })),

  ['track_sizes', word({ trackSizes: true })],
  ['slab_reassign', word({ slabReassign: true })],
  ['no_slab_reassign', word({ slabReassign: false })],
  ['slab_fit', word({ slabFit: true })],
  ['no_slab_fit', word({ slabFit: false })],
  ['slab_automove', { read: readAutomove }],
  ['no_slab_automove', word({ slabAutomove: 0 })],
  fraction('slab_automove_ratio', slabAutomoveRatio => ({ slabAutomoveRatio })),
  whole('slab_automove_window', slabAutomoveWindow => ({ slabAutomoveWindow })),
  fraction('slab_automove_freeratio', slabAutomoveFreeRatio => ({ slabAutomoveFreeRatio })),
  parsed('slab_chunk_max', readChunkMax),
  ['no_chunked_items', word({})],
  value('slab_sizes', readSlabSizes),

  parsed('watcher_logbuf_size', kilobytes => ({ watcherLogbufBytes: kilobytes * KIB })),
  parsed('worker_logbuf_size', kilobytes => ({ workerLogbufBytes: kilobytes * KIB })),

  ['mrc', word({ missCurve: true })],
  ['no_mrc', word({ missCurve: false })],
  value('cluster_nodes', readClusterNodes),
  ['config_set', word({ configSetAllowed: true })],
  value('etcd_prefix', etcdPrefix => ({ etcdPrefix })),
  value('etcd_advertise', etcdAdvertise => ({ etcdAdvertise })),
  whole('etcd_ttl', etcdTtlS => ({ etcdTtlS })),

  value('sasl_pwdb', saslFile => ({ saslFile })),
  value('ssl_chain_cert', sslChainCert => ({ sslChainCert })),
  value('ssl_key', sslKey => ({ sslKey })),
  value('ssl_keyformat', readKeyFormat),
  parsed('ssl_verify_mode', sslVerifyMode => ({ sslVerifyMode })),
  value('ssl_ciphers', sslCiphers => ({ sslCiphers })),
  value('ssl_ca_cert', sslCaCert => ({ sslCaCert })),
  parsed('ssl_wbuf_size', kilobytes => ({ sslWbufSize: kilobytes * KIB })),
  ['ssl_session_cache', word({ sslSessionCache: true })],
  ['ssl_kernel_tls', word({ sslKernelTls: true })],
  value('ssl_min_version', readMinVersion),
  value('ssl_engine', readSslEngine),
])

function readHashpower(hashpowerInit: number): Given {
  // 0 in Options means "not given".
  if (hashpowerInit !== 0) return { hashpowerInit }
  throw new Refused('Initial hashtable multiplier of 0 is too low')
}

function readHashAlgorithm(text: string): Given {
  const hashAlgorithm = HASH_ALGORITHMS.find(name => name === text)
  if (hashAlgorithm !== undefined) return { hashAlgorithm }
  throw new Refused(`Unknown hash_algorithm option (${HASH_ALGORITHMS.join(', ')})`)
}

function readEviction(text: string): Given {
  const eviction = EVICTIONS.find(name => name === text)
  if (eviction !== undefined) return { eviction }
  throw new Refused(`eviction may be ${EVICTIONS.join(', ')}, not "${text}"`)
}

function readTailRepairTime(tailRepairTimeS: number): Given {
  if (tailRepairTimeS !== 0) return { tailRepairTimeS }
  throw new Refused('Cannot set tail_repair_time to less than 10 seconds')
}

function readToCrawl(text: string): Given {
  if (/^\s*\+?\d+$/.test(text)) return { lruCrawlerToCrawl: Number(text) }
  throw new Refused('lru_crawler_tocrawl takes a numeric 32bit value')
}

function readAutomove(text: string): Given {
  if (text === '') return { slabAutomove: DEFAULTS.slabAutomove }
  return { slabAutomove: wholeOf(text, '-o slab_automove') }
}

function readSlabSizes(text: string): Given {
  return { slabSizes: text.split('-').map(size => wholeOf(size, '-o slab_sizes', text)) }
}

/**
 * `host:port` or `host|ip|port`, separated by semicolons. Without an ip the host is used as one.
 */
function readClusterNodes(text: string): Given {
  const clusterNodes = text.split(';').map(readClusterNode)
  if (clusterNodes.join(' ').length <= CLUSTER_BYTES_MAX) return { clusterNodes }
  throw new Refused(`cluster_nodes may not be longer than ${CLUSTER_BYTES_MAX} bytes`)
}

function readClusterNode(text: string): string {
  if (/^[^|\s]+\|[^|\s]*\|\d+$/.test(text)) return text
  const [, bracketed, plain, port] = /^(?:\[([^\]|\s]+)\]|([^:|\s]+)):(\d+)$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host !== undefined) return [host, host, port].join('|')
  throw new Refused(`Illegal node "${text}" in cluster_nodes: host:port or host|ip|port is needed`)
}

/** Older releases of memcached took bytes. */
function readChunkMax(kilobytes: number): Given {
  if (kilobytes === 0) throw new Refused('slab_chunk_max must be >= 0')
  if (kilobytes <= KIB) return { slabChunkMaxBytes: kilobytes * KIB }
  throw new Refused('slab_chunk_max must be specified in kilobytes.')
}

/** By name, as in memcached's help, or by the number that memcached reads. */
function readKeyFormat(text: string): Given {
  if (/^(PEM|1)$/i.test(text)) return { sslKeyFormat: 'PEM' }
  if (/^(DER|2)$/i.test(text)) return { sslKeyFormat: 'DER' }
  throw new Refused('could not parse argument to ssl_keyformat')
}

function readMinVersion(text: string): Given {
  const sslMinVersion = TLS_VERSIONS.find((name, index) => text === name || text === String(index))
  if (sslMinVersion !== undefined) return { sslMinVersion }
  if (!/^[+-]?\d+$/.test(text)) throw new Refused('could not parse argument to ssl_min_version')
  throw new Refused('Invalid ssl_min_version. Use help to see valid options.')
}

function readSslEngine(text: string): Given {
  const sslEngine = SSL_ENGINES.find(name => name === text)
  if (sslEngine !== undefined) return { sslEngine }
  throw new Refused(`ssl_engine may be ${SSL_ENGINES.join(' or ')}, not "${text}"`)
}
