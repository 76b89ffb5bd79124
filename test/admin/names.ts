// The metrics of prometheus/memcached_exporter by type, without the prefix `memcached_`, as read in
// its sources.

const words = (text: string) => text.trim().split(/\s+/)

export const GAUGES = words(`
  up time_seconds version current_connections max_connections current_bytes limit_bytes
  current_items malloced_bytes accepting_connections
  lru_crawler_enabled lru_crawler_sleep lru_crawler_to_crawl lru_crawler_maintainer_thread
  lru_crawler_hot_percent lru_crawler_warm_percent lru_crawler_hot_max_factor
  lru_crawler_warm_max_factor
  process_max_fds process_open_fds process_resident_memory_bytes process_start_time_seconds
  process_virtual_memory_bytes`)

export const COUNTERS = words(`
  uptime_seconds process_user_cpu_seconds_total process_system_cpu_seconds_total
  read_bytes_total written_bytes_total connections_total connections_rejected_total
  connections_yielded_total connections_listener_disabled_total items_total items_evicted_total
  items_reclaimed_total item_too_large_total item_no_memory_total direct_reclaims_total
  commands_total
  lru_crawler_starts_total lru_crawler_reclaimed_total lru_crawler_items_checked_total
  lru_crawler_moves_to_cold_total lru_crawler_moves_to_warm_total
  lru_crawler_moves_within_lru_total
  slab_items_outofmemory_total process_cpu_seconds_total`)

/** With a label `slab`. */
export const SLAB_GAUGES = words(`
  slab_current_items slab_items_age_seconds slab_hot_items slab_warm_items slab_cold_items
  slab_temporary_items slab_hot_age_seconds slab_warm_age_seconds slab_chunk_size_bytes
  slab_chunks_per_page slab_current_pages slab_current_chunks slab_chunks_used slab_chunks_free
  slab_chunks_free_end slab_mem_requested_bytes`)

export const SLAB_COUNTERS = words(`
  slab_items_crawler_reclaimed_total slab_items_evicted_total slab_items_evicted_nonzero_total
  slab_items_evicted_unfetched_total slab_items_expired_unfetched_total
  slab_items_reclaimed_total slab_items_tailrepairs_total slab_items_evicted_time_seconds
  slab_items_moves_to_cold slab_items_moves_to_warm slab_items_moves_within_lru
  slab_lru_hits_total slab_commands_total`)

/** Statuses of `commands_total` by command. */
export const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  get: ['hit', 'miss'],
  delete: ['hit', 'miss'],
  incr: ['hit', 'miss'],
  decr: ['hit', 'miss'],
  cas: ['hit', 'miss', 'badval'],
  touch: ['hit', 'miss'],
  flush: ['hit'],
  set: ['hit'],
}
