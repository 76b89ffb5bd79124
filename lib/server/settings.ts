// The lines of `stats settings`: memcached's names in memcached's order, from the options. A
// setting that has no meaning here shows what memcached shows where the feature is off.

import type { Options } from './options.ts'

type Line = [name: string, value: string | number]

const yes = (value: boolean) => (value ? 'yes' : 'no')

export function settingLines(options: Options, port: number, largestChunkBytes: number): Line[] {
  return [
    ['maxbytes', options.memoryLimitBytes],
    ['maxconns', options.connectionsMax],
    ['tcpport', port],
    ['udpport', 0],
    ['inter', options.listenText ?? 'NULL'],
    ['verbosity', options.verbosity],
    ['oldest', 0],
    ['evictions', options.evictions ? 'on' : 'off'],
    ['domain_socket', 'NULL'],
    ['umask', 700],
    ['shutdown_command', 'no'],
    ['growth_factor', options.growthFactor.toFixed(2)],
    ['chunk_size', options.chunkMinBytes],
    ['num_threads', options.threads],
    ['num_threads_per_udp', options.threads],
    ['stat_key_prefix', ':'],
    ['detail_enabled', 'no'],
    ['reqs_per_event', options.requestsPerEventMax],
    ['cas_enabled', 'yes'],
    ['tcp_backlog', options.backlog],
    ['binding_protocol', options.protocol === 'auto' ? 'auto-negotiate' : options.protocol],
    ['auth_enabled_sasl', 'no'],
    ['auth_enabled_ascii', 'no'],
    ['item_size_max', options.itemSizeMax],
    ['maxconns_fast', 'yes'],
    ['hashpower_init', options.hashpowerInit],
    ['slab_reassign', 'no'],
    ['slab_automove', 0],
    ['slab_automove_ratio', '0.80'],
    ['slab_automove_window', 10],
    ['slab_chunk_max', largestChunkBytes],
    ['lru_crawler', 'no'],
    ['lru_crawler_sleep', 100],
    ['lru_crawler_tocrawl', 0],
    ['tail_repair_time', 0],
    ['flush_enabled', yes(options.flushAllowed)],
    ['dump_enabled', yes(options.dumpAllowed)],
    ['hash_algorithm', 'halfsiphash13'],
    ['lru_maintainer_thread', 'no'],
    ['lru_segmented', 'no'],
    ['hot_lru_pct', 0],
    ['warm_lru_pct', 0],
    ['hot_max_factor', '0.00'],
    ['warm_max_factor', '0.00'],
    ['temp_lru', 'no'],
    ['temporary_ttl', 0],
    ['idle_timeout', 0],
    ['watcher_logbuf_size', 0],
    ['worker_logbuf_size', 0],
    ['read_buf_mem_limit', 0],
    ['track_sizes', yes(options.trackSizes)],
    ['inline_ascii_response', 'no'],
    ...EXTERNAL_STORAGE,
    ...TLS,
    ['num_napi_ids', 0],
    ['memory_file', '(null)'],
    ['client_flags_size', 4],
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
  ['slab_automove_freeratio', '0.000'],
  ['ext_drop_unread', 'no'],
]

const TLS: readonly Line[] = [
  ['ssl_enabled', 'no'],
  ['ssl_chain_cert', '(null)'],
  ['ssl_key', '(null)'],
  ['ssl_verify_mode', 0],
  ['ssl_keyformat', 1],
  ['ssl_ciphers', 'NULL'],
  ['ssl_ca_cert', 'NULL'],
  ['ssl_wbuf_size', 0],
  ['ssl_session_cache', 'no'],
  ['ssl_kernel_tls', 'no'],
  ['ssl_min_version', 'NULL'],
]
