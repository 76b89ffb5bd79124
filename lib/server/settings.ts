// The rows of `stats settings`: memcached's names in memcached's order, from the options. A setting
// without a meaning here shows what memcached shows with the feature off. report/settings.ts
// replaces values that operators have changed at run time.

import type { Options } from '../options/options.ts'
import type { Features } from '../protocol/host.ts'

type Line = [name: string, value: string | number]

/** Facts that are known only once the daemon listens and has its memory. */
export interface Found {
  tcpPort: number
  udpPort: number
  largestChunkBytes: number
}

const PROTOCOL_TEXTS = { auto: 'auto-negotiate', ascii: 'ascii', binary: 'binary' } as const
/** OpenSSL's numbers. */
const KEY_FORMAT_NUMBERS = { PEM: 1, DER: 2 } as const
/** Always this, with a random key per process, whatever -o hash_algorithm says. */
const HASH_ALGORITHM = 'halfsiphash13'

/** memcached's default. Here, without -R, a turn is bounded in bytes. */
const REQUESTS_PER_EVENT_SHOWN = 20

const yes = (value: boolean) => (value ? 'yes' : 'no')

export function settingLines(options: Options, found: Found): Line[] {
  return [
    ...generalLines(options, found),
    ...upkeepLines(options, found),
    ...bufferLines(options),
    ...EXTERNAL_STORAGE,
    ['slab_automove_freeratio', options.slabAutomoveFreeRatio.toFixed(3)],
    ['ext_drop_unread', 'no'],
    ...tlsLines(options),
    ['num_napi_ids', options.napiIds],
    ['memory_file', options.memoryFile ?? '(null)'],
    ['client_flags_size', 4],
    ['eviction', options.eviction],
    ['io_uring', yes(options.ioUring)],
    ['ssl_engine', options.sslEngine],
  ]
}

/** The features on which rows of `stats` depend. */
export function featuresOf(options: Options): Features {
  return {
    idleTimeout: options.idleTimeoutS > 0,
    slabReassign: options.slabReassign,
    lruMaintainer: options.lruMaintainer,
    maxconnsFast: options.maxconnsFast,
    tls: options.tls,
    tlsSessions: options.sslSessionCache,
  }
}

function generalLines(options: Options, found: Found): Line[] {
  const listensTwice = options.listenText?.includes(',') === true
  return [
    ['maxbytes', options.memoryLimitBytes],
    ['maxconns', options.connectionsMax],
    ['tcpport', found.tcpPort],
    ['udpport', found.udpPort],
    ['inter', options.listenText ?? 'NULL'],
    ['verbosity', options.verbosity],
    ['oldest', 0],
    ['evictions', options.evictions ? 'on' : 'off'],
    ['domain_socket', options.unixSocket ?? 'NULL'],
    ['umask', options.unixMask.toString(8)],
    ['shutdown_command', yes(options.shutdownAllowed)],
    ['growth_factor', options.growthFactor.toFixed(2)],
    ['chunk_size', options.chunkMinBytes],
    ['num_threads', options.threads],
    ['num_threads_per_udp', listensTwice ? 1 : options.threads],
    ['stat_key_prefix', options.detailPrefix],
    ['detail_enabled', yes(options.detailEnabled)],
    ['reqs_per_event', options.requestsPerEventMax ?? REQUESTS_PER_EVENT_SHOWN],
    ['cas_enabled', yes(options.casEnabled)],
    ['tcp_backlog', options.backlog],
    ['binding_protocol', PROTOCOL_TEXTS[options.protocol]],
    ['auth_enabled_sasl', yes(options.sasl)],
    ['auth_enabled_ascii', options.authFile ?? 'no'],
    ['item_size_max', options.itemSizeMax],
    ['maxconns_fast', yes(options.maxconnsFast)],
    ['hashpower_init', options.hashpowerInit],
  ]
}

function upkeepLines(options: Options, found: Found): Line[] {
  return [
    ['slab_reassign', yes(options.slabReassign)],
    ['slab_automove', options.slabAutomove],
    ['slab_automove_ratio', options.slabAutomoveRatio.toFixed(2)],
    ['slab_automove_window', options.slabAutomoveWindow],
    ['slab_chunk_max', found.largestChunkBytes],
    ['lru_crawler', yes(options.lruCrawler)],
    ['lru_crawler_sleep', options.lruCrawlerSleepUs],
    ['lru_crawler_tocrawl', options.lruCrawlerToCrawl],
    ['tail_repair_time', options.tailRepairTimeS],
    ['flush_enabled', yes(options.flushAllowed)],
    ['dump_enabled', yes(options.dumpAllowed)],
    ['hash_algorithm', HASH_ALGORITHM],
    ['lru_maintainer_thread', yes(options.lruMaintainer)],
    ['lru_segmented', yes(options.eviction !== 'lru')],
    ['hot_lru_pct', options.hotLruPct],
    ['warm_lru_pct', options.warmLruPct],
    ['hot_max_factor', options.hotMaxFactor.toFixed(2)],
    ['warm_max_factor', options.warmMaxFactor.toFixed(2)],
    ['temp_lru', yes(options.temporaryLru)],
    ['temporary_ttl', options.temporaryTtlS],
    ['idle_timeout', options.idleTimeoutS],
  ]
}

function bufferLines(options: Options): Line[] {
  return [
    ['watcher_logbuf_size', options.watcherLogbufBytes],
    ['worker_logbuf_size', options.workerLogbufBytes],
    ['read_buf_mem_limit', options.readBufMemLimitBytes],
    ['track_sizes', yes(options.trackSizes)],
    ['inline_ascii_response', 'no'],
  ]
}

const EXTERNAL_STORAGE: readonly Line[] = [
  ['ext_item_size', 0],
  ['ext_item_age', 0],
  ['ext_low_ttl', 0],
  ['ext_recache_rate', 0],
  ['ext_wbuf_size', 0],
  ['ext_compact_under', 0],
  ['ext_drop_under', 0],
  ['ext_max_sleep', 0],
  ['ext_max_frag', '0.00'],
]

function tlsLines(options: Options): Line[] {
  return [
    ['ssl_enabled', yes(options.tls)],
    ['ssl_chain_cert', options.sslChainCert ?? '(null)'],
    ['ssl_key', options.sslKey ?? '(null)'],
    ['ssl_verify_mode', options.sslVerifyMode],
    ['ssl_keyformat', KEY_FORMAT_NUMBERS[options.sslKeyFormat]],
    ['ssl_ciphers', options.sslCiphers ?? 'NULL'],
    ['ssl_ca_cert', options.sslCaCert ?? 'NULL'],
    ['ssl_wbuf_size', options.sslWbufSize],
    ['ssl_session_cache', yes(options.sslSessionCache)],
    ['ssl_kernel_tls', yes(options.sslKernelTls)],
    ['ssl_min_version', options.sslMinVersion],
  ]
}
