// The lines of `stats`: memcached's names, in memcached's order. Numbers are sums over the arenas,
// read without their locks: each is right, all together are of about one moment. What has no meaning
// here is 0.

import type { Arena } from '../engine/arena.ts'
import { FIRST_S } from '../engine/clock.ts'
import * as L from '../engine/layout.ts'
import { NIL, type Ref } from '../engine/layout.ts'
import { ClassCounter, Counter, classCounterAt, counterAt } from '../engine/stats.ts'
import { SIZE_STEP_BYTES } from '../limits.ts'
import { Control, type Host, ThreadCounter } from './host.ts'

/** The reply to `stats name` for the peer `id`, END included; null if there is no such report. */
export function reportStats(host: Host, name: string, id: number): string | null {
  const lines = new Lines()
  switch (name) {
    case '':
      reportGeneral(host, lines)
      break
    case 'settings':
      for (const [setting, value] of host.facts.settings) {
        lines.add(setting, setting === 'verbosity' ? host.control[Control.VERBOSITY] : value)
      }
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
    case 'conns':
      reportConnections(host, lines, id)
      break
    default:
      return null
  }
  return lines.end()
}

class Lines {
  private readonly parts: string[] = []

  add(name: string, value: string | number): void {
    this.parts.push(`STAT ${name} ${value}\r\n`)
  }

  zeros(names: string): void {
    for (const name of names.split(' ')) this.add(name, 0)
  }

  end(): string {
    return `${this.parts.join('')}END\r\n`
  }
}

/** Sums over all arenas, by counter. */
class Sums {
  private readonly arenas: Arena[]

  constructor(host: Host) {
    this.arenas = host.cache.shards.map(shard => shard.arena)
  }

  counter(counter: number): number {
    return this.over(arena => arena.counters[counterAt(counter)])
  }

  ofClass(classId: number, counter: number): number {
    return this.over(arena => arena.counters[classCounterAt(classId, counter)])
  }

  classes(counter: number): number {
    let sum = 0
    for (let id = 1; id <= this.classCount(); id++) sum += this.ofClass(id, counter)
    return sum
  }

  classCount(): number {
    return this.arenas[0].classCount
  }

  word(at: number): number {
    return this.over(arena => arena.words[at])
  }

  over(read: (arena: Arena) => number): number {
    return this.arenas.reduce((sum, arena) => sum + read(arena), 0)
  }
}

function reportGeneral(host: Host, lines: Lines): void {
  const sums = new Sums(host)
  reportProcess(host, lines)
  reportCommands(host, lines, sums)
  reportMemory(host, lines, sums)
}

function reportProcess({ facts, version, cache }: Host, lines: Lines): void {
  const { words } = cache.shards[0].arena
  const usage = process.resourceUsage()
  const connections = facts.connections()
  lines.add('pid', process.pid)
  lines.add('uptime', words[L.CLOCK_S] - FIRST_S)
  lines.add('time', Math.floor(Date.now() / 1000))
  lines.add('version', version)
  lines.add('libevent', `node-${process.versions.node}`)
  lines.add('pointer_size', 64)
  lines.add('rusage_user', (usage.userCPUTime / 1e6).toFixed(6))
  lines.add('rusage_system', (usage.systemCPUTime / 1e6).toFixed(6))
  lines.add('max_connections', facts.connectionsMax)
  lines.add('curr_connections', connections.current)
  lines.add('total_connections', connections.total)
  lines.add('rejected_connections', connections.rejected)
  lines.add('connection_structures', connections.structures)
  lines.zeros('response_obj_oom response_obj_count response_obj_bytes')
  lines.zeros('read_buf_count read_buf_bytes read_buf_bytes_free read_buf_oom reserved_fds')
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
  lines.add('cmd_meta', 0)
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
  lines.zeros('auth_cmds auth_errors')
}

function reportMemory({ facts }: Host, lines: Lines, sums: Sums): void {
  lines.add('bytes_read', facts.sum(ThreadCounter.BYTES_READ))
  lines.add('bytes_written', facts.sum(ThreadCounter.BYTES_WRITTEN))
  lines.add('limit_maxbytes', facts.memoryLimitBytes)
  lines.add('accepting_conns', 1)
  lines.zeros('listen_disabled_num time_in_listen_disabled_us')
  lines.add('threads', facts.threads)
  lines.add('conn_yields', facts.sum(ThreadCounter.CONN_YIELDS))
  const buckets = sums.word(L.BUCKET_COUNT)
  lines.add('hash_power_level', Math.floor(Math.log2(buckets)))
  lines.add('hash_bytes', buckets * 4)
  lines.zeros('hash_is_expanding slab_reassign_rescues slab_reassign_chunk_rescues')
  lines.zeros('slab_reassign_evictions_nomem slab_reassign_inline_reclaim')
  lines.zeros('slab_reassign_busy_items slab_reassign_busy_deletes slab_reassign_running')
  lines.add('slabs_moved', sums.counter(Counter.SLABS_MOVED))
  lines.zeros('lru_crawler_running lru_crawler_starts lru_maintainer_juggles malloc_fails')
  lines.zeros('log_worker_dropped log_worker_written log_watcher_skipped log_watcher_sent')
  lines.zeros('log_watchers unexpected_napi_ids round_robin_fallback')
  lines.add('bytes', sums.classes(ClassCounter.MEM_REQUESTED))
  lines.add('curr_items', sums.word(L.ITEM_COUNT))
  lines.add('total_items', sums.counter(Counter.TOTAL_ITEMS))
  const freePages = sums.over(arena => arena.pageCount - arena.words[L.PAGES_USED])
  lines.add('slab_global_page_pool', freePages)
  lines.add('expired_unfetched', sums.classes(ClassCounter.EXPIRED_UNFETCHED))
  lines.add('evicted_unfetched', sums.classes(ClassCounter.EVICTED_UNFETCHED))
  lines.add('evicted_active', sums.classes(ClassCounter.EVICTED_ACTIVE))
  lines.add('evictions', sums.classes(ClassCounter.EVICTED))
  lines.add('reclaimed', sums.classes(ClassCounter.RECLAIMED))
  lines.zeros('crawler_reclaimed crawler_items_checked lrutail_reflocked')
  lines.zeros('moves_to_cold moves_to_warm moves_within_lru')
  lines.add('direct_reclaims', sums.classes(ClassCounter.EVICTED))
  lines.zeros('lru_bumps_dropped')
  lines.add('arenas', facts.arenas)
  lines.add('arena_resets', sums.word(L.RESETS))
  lines.add('worker_restarts', facts.workerRestarts())
}

function reportItems(host: Host, lines: Lines): void {
  const sums = new Sums(host)
  const { cache } = host
  for (let id = 1; id <= sums.classCount(); id++) {
    const count = (list: number) => sums.word(L.listAt(id, list) + L.LIST_COUNT)
    const number = [L.LIST_HOT, L.LIST_WARM, L.LIST_COLD, L.LIST_TEMP].reduce(
      (sum, list) => sum + count(list),
      0,
    )
    if (number === 0) continue
    const add = (name: string, value: number) => lines.add(`items:${id}:${name}`, value)
    const of = (counter: number) => sums.ofClass(id, counter)
    const ages = cache.shards.map(shard => coldestIdleS(shard.arena, id))
    const evictedIdles = cache.shards.map(
      ({ arena }) => arena.words[L.classAt(id) + L.CLASS_EVICTED_IDLE_S],
    )
    add('number', number)
    add('number_hot', count(L.LIST_HOT))
    add('number_warm', count(L.LIST_WARM))
    add('number_cold', count(L.LIST_COLD))
    add('age_hot', 0)
    add('age_warm', 0)
    add('age', Math.max(...ages))
    add('mem_requested', of(ClassCounter.MEM_REQUESTED))
    add('evicted', of(ClassCounter.EVICTED))
    add('evicted_nonzero', of(ClassCounter.EVICTED_NONZERO))
    add('evicted_time', Math.max(...evictedIdles))
    add('outofmemory', of(ClassCounter.OUT_OF_MEMORY))
    add('tailrepairs', 0)
    add('reclaimed', of(ClassCounter.RECLAIMED))
    add('expired_unfetched', of(ClassCounter.EXPIRED_UNFETCHED))
    add('evicted_unfetched', of(ClassCounter.EVICTED_UNFETCHED))
    add('evicted_active', of(ClassCounter.EVICTED_ACTIVE))
    for (const name of ITEM_ZEROS) add(name, 0)
    add('direct_reclaims', of(ClassCounter.EVICTED))
    add('hits_to_hot', 0)
    add('hits_to_warm', 0)
    add('hits_to_cold', of(ClassCounter.GET_HITS))
    add('hits_to_temp', 0)
  }
}

const ITEM_ZEROS = [
  'crawler_reclaimed',
  'crawler_items_checked',
  'lrutail_reflocked',
  'moves_to_cold',
  'moves_to_warm',
  'moves_within_lru',
]

function coldestIdleS({ words }: Arena, classId: number): number {
  const ref = words[L.listAt(classId, L.LIST_COLD) + L.LIST_TAIL] as Ref
  return ref === NIL ? 0 : words[L.CLOCK_S] - words[ref + L.ITEM_TOUCHED_AT_S]
}

function reportSlabs(host: Host, lines: Lines): void {
  const sums = new Sums(host)
  const { words, pageWords } = host.cache.shards[0].arena
  let active = 0
  for (let id = 1; id <= sums.classCount(); id++) {
    const at = L.classAt(id)
    const pages = sums.word(at + L.CLASS_PAGE_COUNT)
    if (pages === 0) continue
    active++
    const add = (name: string, value: number) => lines.add(`${id}:${name}`, value)
    const of = (counter: number) => sums.ofClass(id, counter)
    const perPage = words[at + L.CLASS_CHUNKS_PER_PAGE]
    const used = sums.word(at + L.CLASS_USED_COUNT)
    add('chunk_size', words[at + L.CLASS_CHUNK_WORDS] * 4)
    add('chunks_per_page', perPage)
    add('total_pages', pages)
    add('total_chunks', pages * perPage)
    add('used_chunks', used)
    add('free_chunks', pages * perPage - used)
    add('free_chunks_end', 0)
    add('get_hits', of(ClassCounter.GET_HITS))
    add('cmd_set', of(ClassCounter.SET_CMDS))
    add('delete_hits', of(ClassCounter.DELETE_HITS))
    add('incr_hits', of(ClassCounter.INCR_HITS))
    add('decr_hits', of(ClassCounter.DECR_HITS))
    add('cas_hits', of(ClassCounter.CAS_HITS))
    add('cas_badval', of(ClassCounter.CAS_BADVAL))
    add('touch_hits', of(ClassCounter.TOUCH_HITS))
  }
  lines.add('active_slabs', active)
  lines.add('total_malloced', sums.word(L.PAGES_USED) * pageWords * 4)
}

function reportSizes({ cache }: Host, lines: Lines): void {
  const slots = cache.shards[0].arena.words[L.SIZE_SLOTS]
  if (slots === 0) {
    lines.add('sizes_status', 'disabled')
    return
  }
  for (let slot = 0; slot < slots; slot++) {
    let count = 0
    for (const { arena } of cache.shards) count += arena.words[arena.sizesAt + slot]
    if (count > 0) lines.add(String(slot * SIZE_STEP_BYTES), count)
  }
}

function reportConnections({ facts }: Host, lines: Lines, id: number): void {
  for (const connection of facts.eachConnection()) {
    const add = (name: string, value: string | number) =>
      lines.add(`${connection.id}:${name}`, value)
    add('addr', connection.address)
    if (connection.listenAddress !== '') add('listen_addr', connection.listenAddress)
    add('state', connection.id === id ? 'conn_parse_cmd' : connection.state)
    add('secs_since_last_cmd', connection.idleS)
  }
}
