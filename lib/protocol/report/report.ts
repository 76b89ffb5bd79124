// The rows of `stats`: memcached's names, in memcached's order. Numbers are sums over the arenas,
// read without their locks: each number is right, but they are not all of one instant. What has no
// meaning here is 0.

import type { Arena } from '../../engine/arena/arena.ts'
import { ClassCounter, Counter, counterAt } from '../../engine/arena/counters.ts'
import * as L from '../../engine/arena/layout.ts'
import { readsLimitBytes, uploadsLimitBytes } from '../../engine/items/shares.ts'
import { type Host, ThreadCounter } from '../host.ts'
import { READ_BYTES } from '../limits.ts'
import { reportHotKeys } from './hot-keys.ts'
import { refuseSizes, reportItems, reportSizes, reportSlabs } from './items.ts'
import { reportLatency } from './latency.ts'
import { reportCurve } from './mrc.ts'
import { reportPrefixes } from './prefix.ts'
import { Lines, Sums } from './rows.ts'
import { reportSettings } from './settings.ts'

/** Is no connection. */
const NO_PEER = -1

/** The reply to `stats name` for the peer `id`, END included; null if there is no such report. */
export function reportStats(host: Host, name: string, id: number): string | null {
  const lines = new Lines()
  return report(host, name, id, lines) ? lines.end() : null
}

/** The rows of `stats name` by their names; empty if there is no such report. */
export function statRows(host: Host, name: string): Map<string, string | number> {
  const lines = new Lines()
  report(host, name, NO_PEER, lines)
  return new Map(lines.rows)
}

/** Adds the rows of a report; false if there is none of this name. */
function report(host: Host, name: string, id: number, lines: Lines): boolean {
  switch (name) {
    case '':
      reportGeneral(host, lines)
      break
    case 'settings':
      reportSettings(host, lines)
      break
    case 'items':
      reportItems(host, lines)
      break
    case 'slabs':
      reportSlabs(host, lines)
      break
    case 'sizes':
      reportSizes(host, lines)
      break
    case 'sizes_enable':
    case 'sizes_disable':
      refuseSizes(host, lines)
      break
    case 'hotkeys':
      reportHotKeys(host, lines)
      break
    case 'latency':
      reportLatency(host, lines)
      break
    case 'mrc':
      reportCurve(host, lines)
      break
    case 'prefix':
      reportPrefixes(host, lines)
      break
    case 'memslab':
      reportOwn(host, lines)
      break
    case 'conns':
      reportConnections(host, lines, id)
      break
    default:
      return false
  }
  return true
}

function reportGeneral(host: Host, lines: Lines): void {
  const sums = new Sums(host)
  reportProcess(host, lines)
  reportCommands(host, lines, sums)
  reportThreads(host, lines, sums)
  reportUpkeep(host, lines, sums)
  reportLogs(host, lines)
  reportMemory(host, lines, sums)
}

function reportProcess({ facts, version, cache }: Host, lines: Lines): void {
  const { words } = cache.shards[0].arena
  const usage = process.resourceUsage()
  const connections = facts.connections()
  lines.add('pid', process.pid)
  // As in memcached one clock makes both, so that their difference tells one daemon from the next.
  const nowS = words[L.CLOCK_S]
  lines.add('uptime', nowS - facts.countedSinceS)
  lines.add('time', nowS + words[L.STARTED_AT_S])
  lines.add('version', version)
  lines.add('libevent', `node-${process.versions.node}`)
  lines.add('pointer_size', 64)
  lines.add('rusage_user', (usage.userCPUTime / 1e6).toFixed(6))
  lines.add('rusage_system', (usage.systemCPUTime / 1e6).toFixed(6))
  lines.add('max_connections', facts.connectionsMax)
  lines.add('curr_connections', connections.current)
  lines.add('total_connections', connections.total)
  if (facts.features.maxconnsFast) lines.add('rejected_connections', connections.rejected)
  lines.add('connection_structures', connections.structures)
  lines.add('response_obj_oom', facts.sum(ThreadCounter.REPLIES_REFUSED))
  lines.zeros('response_obj_count response_obj_bytes')
  // Each thread has one buffer, and none is in use while this report is made.
  lines.add('read_buf_count', facts.threads)
  lines.add('read_buf_bytes', facts.threads * READ_BYTES)
  lines.add('read_buf_bytes_free', facts.threads * READ_BYTES)
  lines.zeros('read_buf_oom reserved_fds')
}

function reportCommands({ facts }: Host, lines: Lines, sums: Sums): void {
  const hits = sums.classes(ClassCounter.GET_HITS)
  const misses = sums.counter(Counter.GET_MISSES)
  const touchHits = sums.classes(ClassCounter.TOUCH_HITS)
  const touchMisses = sums.counter(Counter.TOUCH_MISSES)
  lines.add('cmd_get', hits + misses)
  lines.add('cmd_set', sums.classes(ClassCounter.SET_CMDS))
  lines.add('cmd_flush', facts.sum(ThreadCounter.CMD_FLUSH))
  lines.add('cmd_touch', touchHits + touchMisses)
  lines.add('cmd_meta', facts.sum(ThreadCounter.CMD_META))
  lines.add('get_hits', hits)
  lines.add('get_misses', misses)
  lines.add('get_expired', sums.counter(Counter.GET_EXPIRED))
  lines.add('get_flushed', sums.counter(Counter.GET_FLUSHED))
  lines.add('delete_misses', sums.counter(Counter.DELETE_MISSES))
  lines.add('delete_hits', sums.classes(ClassCounter.DELETE_HITS))
  lines.add('incr_misses', sums.counter(Counter.INCR_MISSES))
  lines.add('incr_hits', sums.classes(ClassCounter.INCR_HITS))
  lines.add('decr_misses', sums.counter(Counter.DECR_MISSES))
  lines.add('decr_hits', sums.classes(ClassCounter.DECR_HITS))
  lines.add('cas_misses', sums.counter(Counter.CAS_MISSES))
  lines.add('cas_hits', sums.classes(ClassCounter.CAS_HITS))
  lines.add('cas_badval', sums.classes(ClassCounter.CAS_BADVAL))
  lines.add('touch_hits', touchHits)
  lines.add('touch_misses', touchMisses)
  lines.add('store_too_large', sums.counter(Counter.STORE_TOO_LARGE))
  lines.add('store_no_memory', sums.counter(Counter.STORE_NO_MEMORY))
  lines.add('auth_cmds', facts.sum(ThreadCounter.AUTH_CMDS))
  lines.add('auth_errors', facts.sum(ThreadCounter.AUTH_ERRORS))
  if (facts.features.idleTimeout) lines.add('idle_kicks', facts.sum(ThreadCounter.IDLE_KICKS))
}

function reportThreads({ facts, cache }: Host, lines: Lines, sums: Sums): void {
  const buckets = sums.word(L.BUCKET_COUNT)
  lines.add('bytes_read', facts.sum(ThreadCounter.BYTES_READ))
  lines.add('bytes_written', facts.sum(ThreadCounter.BYTES_WRITTEN))
  lines.add('limit_maxbytes', cache.memoryLimitBytes())
  lines.add('accepting_conns', facts.connections().accepting ? 1 : 0)
  lines.add('listen_disabled_num', facts.sum(ThreadCounter.LISTEN_DISABLED))
  lines.add('time_in_listen_disabled_us', facts.sum(ThreadCounter.LISTEN_DISABLED_US))
  lines.add('threads', facts.threads)
  lines.add('conn_yields', facts.sum(ThreadCounter.CONN_YIELDS))
  lines.add('hash_power_level', Math.floor(Math.log2(buckets)))
  lines.add('hash_bytes', buckets * 4)
  // It grows by one bucket at a time: between two powers of two it is expanding.
  lines.add('hash_is_expanding', sums.any(isExpanding))
}

function isExpanding({ words }: Arena): boolean {
  return words[L.BUCKET_COUNT] <= words[L.BUCKET_MASK]
}

/** Indexed by Busy of moves.ts. */
const BUSY_WORDS = ['none', 'busy_uploading', 'busy_active']

function reportUpkeep({ facts }: Host, lines: Lines, sums: Sums): void {
  const { features } = facts
  const add = (name: string, counter: number) => lines.add(name, sums.counter(counter))
  if (features.slabReassign) {
    add('slab_reassign_rescues', Counter.MOVE_RESCUES)
    add('slab_reassign_chunk_rescues', Counter.MOVE_CHUNK_RESCUES)
    lines.zeros('slab_reassign_inline_reclaim')
    add('slab_reassign_busy_items', Counter.MOVE_BUSY_ITEMS)
    lines.zeros('slab_reassign_busy_deletes')
    add('slab_reassign_busy_nomem', Counter.MOVE_BUSY_NO_MEMORY)
    const busy = sums.max(({ words }) => words[L.MOVE_LAST_BUSY])
    lines.add('slab_reassign_last_busy_status', BUSY_WORDS[busy])
    lines.add(
      'slab_reassign_running',
      sums.any(({ words }) => words[L.MOVE_PHASE] !== 0),
    )
    add('slabs_moved', Counter.SLABS_MOVED)
  }
  if (sums.any(({ words }) => words[L.CRAWLER_ON] === 1) === 1) {
    lines.add(
      'lru_crawler_running',
      sums.any(({ words }) => words[L.CRAWL_KIND] !== 0),
    )
    add('lru_crawler_starts', Counter.CRAWLER_STARTS)
  }
  if (features.lruMaintainer) add('lru_maintainer_juggles', Counter.MAINTAINER_JUGGLES)
}

function reportLogs({ facts }: Host, lines: Lines): void {
  const { features } = facts
  lines.zeros('malloc_fails')
  lines.add('log_worker_dropped', facts.sum(ThreadCounter.LOG_DROPPED))
  lines.add('log_worker_written', facts.sum(ThreadCounter.LOG_WRITTEN))
  lines.add('log_watcher_skipped', facts.sum(ThreadCounter.LOG_SKIPPED))
  lines.add('log_watcher_sent', facts.sum(ThreadCounter.LOG_SENT))
  lines.add('log_watchers', facts.watchers())
  if (features.tls) {
    if (features.tlsSessions) {
      lines.add('ssl_new_sessions', facts.sum(ThreadCounter.TLS_SESSIONS))
    }
    lines.add('ssl_handshake_errors', facts.sum(ThreadCounter.TLS_ERRORS))
    lines.add('ssl_proto_errors', facts.sum(ThreadCounter.TLS_PROTOCOL_ERRORS))
    lines.add('time_since_server_cert_refresh', facts.certificatesAgeS())
  }
  lines.zeros('unexpected_napi_ids round_robin_fallback')
}

function reportMemory({ facts }: Host, lines: Lines, sums: Sums): void {
  const hasLists = facts.features.lruMaintainer
  const add = (name: string, counter: number) => lines.add(name, sums.classes(counter))
  add('bytes', ClassCounter.MEM_REQUESTED)
  lines.add('curr_items', sums.word(L.ITEM_COUNT))
  lines.add('total_items', sums.counter(Counter.TOTAL_ITEMS))
  lines.add('slab_global_page_pool', sums.word(L.POOL_COUNT))
  add('expired_unfetched', ClassCounter.EXPIRED_UNFETCHED)
  add('evicted_unfetched', ClassCounter.EVICTED_UNFETCHED)
  if (hasLists) add('evicted_active', ClassCounter.EVICTED_ACTIVE)
  add('evictions', ClassCounter.EVICTED)
  add('reclaimed', ClassCounter.RECLAIMED)
  add('crawler_reclaimed', ClassCounter.CRAWLER_RECLAIMED)
  add('crawler_items_checked', ClassCounter.CRAWLER_CHECKED)
  lines.zeros('lrutail_reflocked')
  if (!hasLists) return
  add('moves_to_cold', ClassCounter.MOVES_TO_COLD)
  add('moves_to_warm', ClassCounter.MOVES_TO_WARM)
  add('moves_within_lru', ClassCounter.MOVES_WITHIN_LRU)
  add('direct_reclaims', ClassCounter.DIRECT_RECLAIMS)
  lines.zeros('lru_bumps_dropped')
}

/** Statistics of memslab's own; plain `stats` has only memcached's names. */
function reportOwn(host: Host, lines: Lines): void {
  const { facts } = host
  const sums = new Sums(host)
  lines.add('memslab_version', facts.ownVersion)
  lines.add('arenas', facts.arenas)
  lines.add('arena_resets', sums.word(L.RESETS))
  lines.add('worker_restarts', facts.workerRestarts())
  lines.add('stderr_lines_dropped', facts.logLinesDropped())
  lines.add('addresses_refused', facts.sum(ThreadCounter.ADDRESSES_REFUSED))
  lines.add('connections_limited', facts.sum(ThreadCounter.CONNECTIONS_LIMITED))
  lines.add('reads_delayed', facts.sum(ThreadCounter.READS_DELAYED))
  lines.add('datagrams_limited', facts.sum(ThreadCounter.DATAGRAMS_LIMITED))
  lines.add('requests_denied', facts.sum(ThreadCounter.REQUESTS_DENIED))
  lines.add('logins_ended', facts.sum(ThreadCounter.LOGINS_ENDED))
  lines.add('lock_waits', sums.counter(Counter.LOCK_WAITS))
  for (const [name, value] of Object.entries(heldOf(host))) lines.add(name, value)
}

/** Items evicted while a page moved, and flushed items freed by sweeps. */
export function removedOf(host: Host) {
  const sums = new Sums(host)
  return {
    move_evictions: sums.counter(Counter.MOVE_EVICTIONS_NO_MEMORY),
    swept: sums.counter(Counter.SWEPT),
  }
}

/** The lock of one arena. */
export interface LockFacts {
  /** How often a thread found it taken. */
  waits: number
  /** The longest step of upkeep or of making room under it, seconds. Requests are not timed. */
  longestStepS: number
}

/** The locks of all arenas, in their order. */
export function locksOf({ cache }: Host): LockFacts[] {
  return cache.shards.map(({ arena: { counters } }) => ({
    waits: counters[counterAt(Counter.LOCK_WAITS)],
    longestStepS: counters[counterAt(Counter.LONGEST_STEP_US)] / 1e6,
  }))
}

/** What peers keep of the memory for items, and what was refused for it. */
export function heldOf(host: Host) {
  const sums = new Sums(host)
  return {
    uploads_held_bytes: sums.word(L.UPLOADS_HELD) * 4,
    uploads_limit_bytes: sums.over(uploadsLimitBytes),
    uploads_refused: sums.counter(Counter.UPLOADS_REFUSED),
    reads_held_bytes: sums.word(L.READS_HELD) * 4,
    reads_limit_bytes: sums.over(readsLimitBytes),
    reads_copied: sums.counter(Counter.READS_COPIED),
    reads_refused: sums.counter(Counter.READS_REFUSED),
  }
}

function reportConnections({ facts }: Host, lines: Lines, id: number): void {
  for (const connection of facts.eachConnection()) {
    const add = (name: string, value: string | number) =>
      lines.add(`${connection.id}:${name}`, value)
    if (connection.address.startsWith('udp')) add('UDP', 'UDP')
    add('addr', connection.address)
    if (connection.listenAddress !== '') add('listen_addr', connection.listenAddress)
    add('state', connection.id === id ? 'conn_parse_cmd' : connection.state)
    add('secs_since_last_cmd', connection.idleS)
  }
}
