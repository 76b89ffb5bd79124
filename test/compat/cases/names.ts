/**
 * The names that memcached 1.6.45 prints in its help and its statistics, in its order, with those
 * that it prints only while a feature is on, such as `idle_kicks`.
 */

/** Letter and long name; -D has no long name in memcached. */
export const SWITCH_NAMES = words(`
  p:port U:udp-port s:unix-socket a:unix-mask A:enable-shutdown l:listen d:daemon
  r:enable-coredumps u:user m:memory-limit M:disable-evictions c:conn-limit k:lock-memory
  v:verbose h:help i:license V:version P:pidfile f:slab-growth-factor n:slab-min-size
  L:enable-largepages D:delimiter t:threads R:max-reqs-per-event C:disable-cas
  b:listen-backlog B:protocol I:max-item-size S:enable-sasl F:disable-flush-all
  X:disable-dumping W:disable-watch Y:auth-file e:memory-file Z:enable-ssl o:extended
  N:napi_ids
`)

/** Suboptions of -o in memcached's help. */
export const SUBOPTION_NAMES = words(`
  maxconns_fast hashpower tail_repair_time hash_algorithm no_lru_crawler lru_crawler_sleep
  lru_crawler_tocrawl read_buf_mem_limit no_lru_maintainer hot_lru_pct warm_lru_pct
  hot_max_factor warm_max_factor temporary_ttl idle_timeout slab_chunk_max watcher_logbuf_size
  worker_logbuf_size track_sizes no_hashexpand modern no_modern sock_cookie_id ext_path
  ext_page_size ext_wbuf_size ext_threads ext_item_size ext_item_age ext_low_ttl
  ext_drop_unread ext_recache_rate ext_compact_under ext_drop_under ext_max_frag ext_max_sleep
  slab_automove_freeratio ssl_chain_cert ssl_key ssl_keyformat ssl_verify_mode ssl_ciphers
  ssl_ca_cert ssl_wbuf_size ssl_session_cache ssl_kernel_tls ssl_min_version
`)

/** Suboptions of -o that the help does not mention. */
export const SUBOPTION_NAMES_UNTOLD = words(`
  lru_crawler lru_maintainer slab_reassign no_slab_reassign slab_automove no_slab_automove
  slab_automove_ratio slab_automove_window no_maxconns_fast no_chunked_items inline_ascii_resp
  no_inline_ascii_resp drop_privileges no_drop_privileges resp_obj_mem_limit slab_sizes
`)

/** Names by report; those of classes and connections without their number. */
export const STAT_NAMES: Readonly<Record<string, string[]>> = {
  '': words(`
  pid uptime time version libevent pointer_size rusage_user rusage_system max_connections
  curr_connections total_connections rejected_connections connection_structures
  response_obj_oom response_obj_count response_obj_bytes read_buf_count read_buf_bytes
  read_buf_bytes_free read_buf_oom reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta
  get_hits get_misses get_expired get_flushed delete_misses delete_hits incr_misses incr_hits
  decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses store_too_large
  store_no_memory auth_cmds auth_errors idle_kicks bytes_read bytes_written limit_maxbytes
  accepting_conns listen_disabled_num time_in_listen_disabled_us threads conn_yields
  hash_power_level hash_bytes hash_is_expanding slab_reassign_rescues
  slab_reassign_chunk_rescues slab_reassign_inline_reclaim slab_reassign_busy_items
  slab_reassign_busy_deletes slab_reassign_busy_nomem slab_reassign_last_busy_status
  slab_reassign_running slabs_moved lru_crawler_running lru_crawler_starts
  lru_maintainer_juggles malloc_fails log_worker_dropped log_worker_written
  log_watcher_skipped log_watcher_sent log_watchers ssl_new_sessions ssl_handshake_errors
  ssl_proto_errors time_since_server_cert_refresh unexpected_napi_ids round_robin_fallback
  bytes curr_items total_items slab_global_page_pool expired_unfetched evicted_unfetched
  evicted_active evictions reclaimed crawler_reclaimed crawler_items_checked lrutail_reflocked
  moves_to_cold moves_to_warm moves_within_lru direct_reclaims lru_bumps_dropped
  `),
  settings: words(`
  maxbytes maxconns tcpport udpport inter verbosity oldest evictions domain_socket umask
  shutdown_command growth_factor chunk_size num_threads num_threads_per_udp stat_key_prefix
  detail_enabled reqs_per_event cas_enabled tcp_backlog binding_protocol auth_enabled_sasl
  auth_enabled_ascii item_size_max maxconns_fast hashpower_init slab_reassign slab_automove
  slab_automove_ratio slab_automove_window slab_chunk_max lru_crawler lru_crawler_sleep
  lru_crawler_tocrawl tail_repair_time flush_enabled dump_enabled hash_algorithm
  lru_maintainer_thread lru_segmented hot_lru_pct warm_lru_pct hot_max_factor warm_max_factor
  temp_lru temporary_ttl idle_timeout watcher_logbuf_size worker_logbuf_size
  read_buf_mem_limit track_sizes inline_ascii_response ext_item_size ext_item_age ext_low_ttl
  ext_recache_rate ext_wbuf_size ext_compact_under ext_drop_under ext_max_sleep ext_max_frag
  slab_automove_freeratio ext_drop_unread ssl_enabled ssl_chain_cert ssl_key ssl_verify_mode
  ssl_keyformat ssl_ciphers ssl_ca_cert ssl_wbuf_size ssl_session_cache ssl_kernel_tls
  ssl_min_version num_napi_ids memory_file client_flags_size
  `),
  items: words(`
  number number_hot number_warm number_cold number_temp age_hot age_warm age mem_requested
  evicted evicted_nonzero evicted_time outofmemory tailrepairs reclaimed expired_unfetched
  evicted_unfetched evicted_active crawler_reclaimed crawler_items_checked lrutail_reflocked
  moves_to_cold moves_to_warm moves_within_lru direct_reclaims hits_to_hot hits_to_warm
  hits_to_cold hits_to_temp
  `),
  slabs: words(`
  chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks free_chunks_end
  get_hits cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits active_slabs
  total_malloced
  `),
  conns: words(`
  addr listen_addr state secs_since_last_cmd
  `),
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== '')
}
