// The metrics of prometheus/memcached_exporter, under its names, types and labels, so that
// dashboards and alerts that were written for it work unchanged. Each is a row of `stats`.

import type { Facts, MetricRow, Sample } from './facts.ts'
import { processMetrics } from './process-metrics.ts'

type Type = MetricRow['type']
/** Name without the prefix, type, row of the report, help. */
type Row = readonly [name: string, type: Type, row: string, help: string]

const PREFIX = 'memcached_'

const STATS: readonly Row[] = [
  ['uptime_seconds', 'counter', 'uptime', 'Seconds since the start.'],
  ['time_seconds', 'gauge', 'time', 'Current Unix time.'],
  ['process_user_cpu_seconds_total', 'counter', 'rusage_user', 'CPU time in user mode.'],
  ['process_system_cpu_seconds_total', 'counter', 'rusage_system', 'CPU time in the kernel.'],
  ['read_bytes_total', 'counter', 'bytes_read', 'Bytes read from clients.'],
  ['written_bytes_total', 'counter', 'bytes_written', 'Bytes written to clients.'],
  ['current_connections', 'gauge', 'curr_connections', 'Open connections.'],
  ['connections_total', 'counter', 'total_connections', 'Connections since the start.'],
  [
    'connections_rejected_total',
    'counter',
    'rejected_connections',
    'Connections turned away at the limit.',
  ],
  [
    'connections_yielded_total',
    'counter',
    'conn_yields',
    'Turns that ended because of their number of requests.',
  ],
  [
    'connections_listener_disabled_total',
    'counter',
    'listen_disabled_num',
    'How often new connections had to wait at the limit.',
  ],
  ['accepting_connections', 'gauge', 'accepting_conns', 'Whether connections are accepted.'],
  ['current_bytes', 'gauge', 'bytes', 'Bytes of the items, headers included.'],
  ['limit_bytes', 'gauge', 'limit_maxbytes', 'Memory limit for items, bytes.'],
  ['current_items', 'gauge', 'curr_items', 'Items in the cache.'],
  ['items_total', 'counter', 'total_items', 'Items stored since the start.'],
  ['items_evicted_total', 'counter', 'evictions', 'Live items evicted for new ones.'],
  ['items_reclaimed_total', 'counter', 'reclaimed', 'Expired items replaced by new ones.'],
  ['item_too_large_total', 'counter', 'store_too_large', 'Stores refused as too large.'],
  ['item_no_memory_total', 'counter', 'store_no_memory', 'Stores refused for lack of memory.'],
  [
    'direct_reclaims_total',
    'counter',
    'direct_reclaims',
    'Stores that had to free memory themselves.',
  ],
  ['lru_crawler_starts_total', 'counter', 'lru_crawler_starts', 'Crawls of the LRU lists.'],
  ['lru_crawler_reclaimed_total', 'counter', 'crawler_reclaimed', 'Items freed by crawls.'],
  [
    'lru_crawler_items_checked_total',
    'counter',
    'crawler_items_checked',
    'Items that crawls looked at.',
  ],
  ['lru_crawler_moves_to_cold_total', 'counter', 'moves_to_cold', 'Items moved to a cold list.'],
  ['lru_crawler_moves_to_warm_total', 'counter', 'moves_to_warm', 'Items moved to a warm list.'],
  [
    'lru_crawler_moves_within_lru_total',
    'counter',
    'moves_within_lru',
    'Items moved to the head of their list.',
  ],
]

const SETTINGS: readonly Row[] = [
  ['max_connections', 'gauge', 'maxconns', 'Limit of connections.'],
  ['lru_crawler_enabled', 'gauge', 'lru_crawler', 'Whether crawls are allowed.'],
  ['lru_crawler_sleep', 'gauge', 'lru_crawler_sleep', 'Microseconds between turns of a crawl.'],
  ['lru_crawler_to_crawl', 'gauge', 'lru_crawler_tocrawl', 'Items of a class that a crawl checks.'],
  [
    'lru_crawler_maintainer_thread',
    'gauge',
    'lru_maintainer_thread',
    'Whether upkeep balances the LRU lists.',
  ],
  ['lru_crawler_hot_percent', 'gauge', 'hot_lru_pct', 'Share of the hot list, percent.'],
  ['lru_crawler_warm_percent', 'gauge', 'warm_lru_pct', 'Share of the warm list, percent.'],
  ['lru_crawler_hot_max_factor', 'gauge', 'hot_max_factor', 'Longest age in hot by cold age.'],
  ['lru_crawler_warm_max_factor', 'gauge', 'warm_max_factor', 'Longest age in warm by cold age.'],
]

const SLABS: readonly Row[] = [
  ['slab_chunk_size_bytes', 'gauge', 'chunk_size', 'Bytes of a chunk.'],
  ['slab_chunks_per_page', 'gauge', 'chunks_per_page', 'Chunks of a page.'],
  ['slab_current_pages', 'gauge', 'total_pages', 'Pages of the class.'],
  ['slab_current_chunks', 'gauge', 'total_chunks', 'Chunks of the class.'],
  ['slab_chunks_used', 'gauge', 'used_chunks', 'Chunks in use.'],
  ['slab_chunks_free', 'gauge', 'free_chunks', 'Chunks not in use.'],
  ['slab_chunks_free_end', 'gauge', 'free_chunks_end', 'Free chunks at the end of a page.'],
]

const ITEMS: readonly Row[] = [
  ['slab_current_items', 'gauge', 'number', 'Items of the class.'],
  ['slab_items_age_seconds', 'gauge', 'age', 'How long the oldest item was not used.'],
  ['slab_hot_items', 'gauge', 'number_hot', 'Items of the hot list.'],
  ['slab_warm_items', 'gauge', 'number_warm', 'Items of the warm list.'],
  ['slab_cold_items', 'gauge', 'number_cold', 'Items of the cold list.'],
  ['slab_temporary_items', 'gauge', 'number_temp', 'Items of the temporary list.'],
  ['slab_hot_age_seconds', 'gauge', 'age_hot', 'Age of the oldest item in the hot list.'],
  ['slab_warm_age_seconds', 'gauge', 'age_warm', 'Age of the oldest item in the warm list.'],
  ['slab_mem_requested_bytes', 'gauge', 'mem_requested', 'Bytes of the items of the class.'],
  ['slab_items_crawler_reclaimed_total', 'counter', 'crawler_reclaimed', 'Items freed by crawls.'],
  ['slab_items_evicted_total', 'counter', 'evicted', 'Live items evicted.'],
  [
    'slab_items_evicted_nonzero_total',
    'counter',
    'evicted_nonzero',
    'Live items with an expiry evicted.',
  ],
  [
    'slab_items_evicted_unfetched_total',
    'counter',
    'evicted_unfetched',
    'Items evicted that were never fetched.',
  ],
  [
    'slab_items_expired_unfetched_total',
    'counter',
    'expired_unfetched',
    'Items expired that were never fetched.',
  ],
  ['slab_items_reclaimed_total', 'counter', 'reclaimed', 'Expired items replaced by new ones.'],
  ['slab_items_tailrepairs_total', 'counter', 'tailrepairs', 'Always 0.'],
  [
    'slab_items_evicted_time_seconds',
    'counter',
    'evicted_time',
    'How long the last evicted item was not used.',
  ],
  ['slab_items_moves_to_cold', 'counter', 'moves_to_cold', 'Items moved to the cold list.'],
  ['slab_items_moves_to_warm', 'counter', 'moves_to_warm', 'Items moved to the warm list.'],
  ['slab_items_moves_within_lru', 'counter', 'moves_within_lru', 'Items moved within their list.'],
]

const OUT_OF_MEMORY: Row = [
  'slab_items_outofmemory_total',
  'counter',
  'outofmemory',
  'Stores refused for lack of memory.',
]

const LRU_HITS: readonly (readonly [lru: string, row: string])[] = [
  ['hot', 'hits_to_hot'],
  ['warm', 'hits_to_warm'],
  ['cold', 'hits_to_cold'],
  ['temporary', 'hits_to_temp'],
]

/** The metrics of memcached_exporter, without those by slab class but one. */
export function exporterMetrics(): MetricRow[] {
  return [
    { name: `${PREFIX}up`, type: 'gauge', help: 'The daemon answers.', read: () => 1 },
    {
      name: `${PREFIX}version`,
      type: 'gauge',
      help: 'The version of memcached that clients see.',
      labels: ['version'],
      read: ({ host }) => [{ labels: { version: host.version }, value: 1 }],
    },
    ...STATS.map(row => metric(row, facts => facts.stat(row[2]))),
    ...SETTINGS.map(row => metric(row, facts => facts.setting(row[2]))),
    {
      name: `${PREFIX}malloced_bytes`,
      type: 'gauge',
      help: 'Bytes of all pages that classes have.',
      read: facts => facts.number('slabs', 'total_malloced'),
    },
    {
      name: `${PREFIX}commands_total`,
      type: 'counter',
      help: 'Commands by name and outcome.',
      labels: ['command', 'status'],
      read: commands,
    },
    // An alert is about this one, so it is always there.
    byClass(OUT_OF_MEMORY, 'items'),
    ...processMetrics(),
  ]
}

/** The metrics of memcached_exporter by slab class. */
export function slabMetrics(): MetricRow[] {
  return [
    ...SLABS.map(row => byClass(row, 'slabs')),
    ...ITEMS.map(row => byClass(row, 'items')),
    {
      name: `${PREFIX}slab_lru_hits_total`,
      type: 'counter',
      help: 'Hits by slab class and list.',
      labels: ['slab', 'lru'],
      read: facts =>
        facts.classes('items').flatMap(slab =>
          LRU_HITS.flatMap(([lru, row]) => {
            const value = facts.number('items', `items:${slab}:${row}`)
            return value === null ? [] : [{ labels: { slab, lru }, value }]
          }),
        ),
    },
    {
      name: `${PREFIX}slab_commands_total`,
      type: 'counter',
      help: 'Commands by slab class, name and outcome.',
      labels: ['slab', 'command', 'status'],
      read: facts => facts.classes('slabs').flatMap(slab => slabCommands(facts, slab)),
    },
  ]
}

function metric([name, type, , help]: Row, read: MetricRow['read']): MetricRow {
  return { name: PREFIX + name, type, help, read }
}

function byClass([name, type, row, help]: Row, report: 'slabs' | 'items'): MetricRow {
  const prefix = report === 'slabs' ? '' : 'items:'
  const read = (facts: Facts) =>
    facts.classes(report).flatMap(slab => {
      const value = facts.number(report, `${prefix}${slab}:${row}`)
      return value === null ? [] : [{ labels: { slab }, value }]
    })
  return { name: PREFIX + name, type, help, labels: ['slab'], read }
}

function commands(facts: Facts): Sample[] {
  const of = (row: string) => facts.stat(row) ?? 0
  const samples: Sample[] = []
  const add = (command: string, status: string, value: number) =>
    samples.push({ labels: { command, status }, value })
  for (const command of ['get', 'delete', 'incr', 'decr', 'cas', 'touch']) {
    add(command, 'hit', of(`${command}_hits`))
    add(command, 'miss', of(`${command}_misses`))
  }
  add('cas', 'badval', of('cas_badval'))
  add('flush', 'hit', of('cmd_flush'))
  // memcached counts every cas as a set too.
  const casCount = of('cas_hits') + of('cas_misses') + of('cas_badval')
  add('set', 'hit', Math.max(0, of('cmd_set') - casCount))
  return samples
}

function slabCommands(facts: Facts, slab: string): Sample[] {
  const of = (row: string) => facts.number('slabs', `${slab}:${row}`) ?? 0
  const sample = (command: string, status: string, value: number) => ({
    labels: { slab, command, status },
    value,
  })
  const hits = ['get', 'delete', 'incr', 'decr', 'cas', 'touch'].map(command =>
    sample(command, 'hit', of(`${command}_hits`)),
  )
  const casCount = of('cas_hits') + of('cas_badval')
  return [
    ...hits,
    sample('cas', 'badval', of('cas_badval')),
    sample('set', 'hit', Math.max(0, of('cmd_set') - casCount)),
  ]
}
