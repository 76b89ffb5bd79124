// The help, in memcached's form: scripts look for options such as `-S, --enable-sasl` in it before
// they use them. Switches bring their own help; the suboptions of -o are described here.

import { SWITCHES, type Switch } from './switches.ts'

const HELP_COLUMN = 26

/** The suboptions of -o in memcached's order, in the `no_` form where only that has an effect. */
export const EXTENDED: readonly (readonly [name: string, ...help: string[]])[] = [
  [
    'maxconns_fast',
    'turn connections above the limit away at once (default);',
    'no_: let them wait',
  ],
  ['hashpower', 'how large the hash table starts, a power of two (12 to 32)'],
  ['tail_repair_time', 'without effect: nothing can hold the tail of a list forever'],
  ['hash_algorithm', 'jenkins, murmur3 or xxh3, without effect: the hash is keyed', 'at random'],
  ['no_lru_crawler', 'do not crawl for expired items'],
  ['lru_crawler_sleep', 'microseconds between two turns of the crawler (default: 100)'],
  ['lru_crawler_tocrawl', 'items of a class that a crawl checks (default: 0, all)'],
  ['read_buf_mem_limit', 'bounds the replies to what one connection asks at once (megabytes)'],
  ['no_lru_maintainer', 'one list for each slab class, no automatic upkeep'],
  [
    'eviction',
    'worth: evict the fewest hits per byte first (default),',
    "segmented: memcached's segmented lists, lru: its flat lists",
  ],
  ['hot_lru_pct', 'percent of a class for its hot list (default: 20)'],
  ['warm_lru_pct', 'percent of a class for its warm list (default: 40)'],
  ['hot_max_factor', 'longest age in hot, as a share of the cold age (default: 0.2)'],
  ['warm_max_factor', 'longest age in warm, as a share of the cold age (default: 2)'],
  ['temporary_ttl', 'items with a shorter TTL get their own list, evicted last'],
  ['idle_timeout', 'seconds after which an idle connection is closed', '(default: 0, never)'],
  ['slab_chunk_max', 'longest chunk, kilobytes (default: 512, at most half a page)'],
  ['watcher_logbuf_size', 'kilobytes that may wait for a watcher (default: 256)'],
  ['worker_logbuf_size', 'kilobytes of log lines of a thread (default: 64)'],
  ['cluster_nodes', 'nodes for "config get cluster": host:port or host|ip|port;...'],
  ['track_sizes', 'count item sizes for "stats sizes"'],
  ['mrc', 'sample keys for "stats mrc" and "stats prefix"', '(default with --admin; no_: do not)'],
  [
    'no_io_uring',
    'worker threads use sockets instead of io_uring',
    '(Linux 6.1; not with ssl_engine=node)',
  ],
  ['no_hashexpand', 'the hash table stays as it starts'],
  ['modern', "nothing: memcached's newest defaults are the defaults"],
  ['no_modern', 'as memcached 1.4: no crawler, one list, pages do not move,', 'connections wait'],
  ['sock_cookie_id', 'without effect on this system'],
  ['ext_*', 'not supported: items are kept in memory only'],
  ['no_slab_reassign', 'pages never change their class'],
  ['slab_automove', '0: pages move on command, 1: automatically (default), 2: eagerly'],
  ['slab_automove_ratio', 'ages below this share of the oldest get a page (default: 0.8)'],
  ['slab_automove_window', 'seconds of ages and evictions to judge by (default: 10)'],
  ['slab_automove_freeratio', 'without effect: it is about external storage'],
  ['config_set', 'allow clients to change nodes and settings with "config set"'],
  [
    'etcd_advertise',
    'how clients reach this daemon, host:port or host:port:weight',
    '(default: where it listens)',
  ],
  ['etcd_prefix', 'prefix of its key in etcd (default: /memslab/)'],
  ['etcd_ttl', 'seconds that its entry stays after it dies (default: 10)'],
  ['sasl_pwdb', 'names and passwords for -S, instead of those of -Y'],
  ['ssl_chain_cert', 'file of the certificate and its chain, PEM'],
  ['ssl_key', 'file of the private key, if it is not in the chain file'],
  ['ssl_keyformat', 'form of the private key: PEM (default) or DER'],
  [
    'ssl_verify_mode',
    'certificates of peers: 0 not asked for (default), 1 asked for,',
    '2 and 3 needed',
  ],
  ['ssl_ciphers', 'ciphers, as OpenSSL lists them'],
  ['ssl_ca_cert', 'file of the authorities that sign certificates of peers, PEM'],
  ['ssl_wbuf_size', 'without effect (kilobytes)'],
  ['ssl_session_cache', 'let sessions be resumed'],
  ['ssl_kernel_tls', 'without effect'],
  ['ssl_min_version', '0 tlsv1.0, 1 tlsv1.1, 2 tlsv1.2 (default), 3 tlsv1.3'],
  [
    'ssl_engine',
    'direct: call OpenSSL through node:ffi where possible (default),',
    "node: through Node's TLS streams",
  ],
]

export function helpText(): string {
  return SWITCHES.map(helpOf).join('')
}

function helpOf({ letter, name, value, help }: Switch): string {
  const short = letter === '' ? '' : `-${letter}, `
  const head = `${short}--${name}${value === undefined ? '' : `=${value}`}`
  const text = column(head, help)
  return letter === 'o' ? text + EXTENDED.map(helpOfExtended).join('') : text
}

function helpOfExtended([name, ...help]: (typeof EXTENDED)[number]): string {
  return column(`   - ${name}:`, help)
}

/** The head, and the lines in a column beside it. */
function column(head: string, lines: readonly string[]): string {
  const heads = [head, ...Array(lines.length).fill('')]
  return lines.map((line, index) => `${heads[index].padEnd(HELP_COLUMN - 1)} ${line}\n`).join('')
}
