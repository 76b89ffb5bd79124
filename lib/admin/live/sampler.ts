// What the page shows of the daemon at one moment. It is read from counters in shared memory, as a
// scrape of metrics is: no other thread is asked, and how many items there are does not matter.

import { OTHER_REQUESTS } from '../../bytes/memcached.ts'
import { readLatencies, type Times } from '../../observe/latency.ts'
import type { MissCurve } from '../../observe/miniature/insight.ts'
import { ThreadCounter } from '../../protocol/host.ts'
import { encodeKey } from '../../protocol/report/hot-keys.ts'
import { Cell, readPages } from '../../protocol/report/pages.ts'
import { locksOf } from '../../protocol/report/report.ts'
import type { DaemonView } from '../daemon-view.ts'
import { LATENCY_WINDOW_SAMPLES, MAP_CELLS_MAX } from '../limits.ts'
import { Facts } from '../metrics/facts.ts'
import { causesOf } from '../metrics/own.ts'
import type {
  ClassFacts,
  CommandTimes,
  CurveFacts,
  Detail,
  Hello,
  MemoryFacts,
  PageMap,
  Sample,
  WorkerFacts,
} from '../shapes.ts'

/** The rows of `stats` in a sample. */
export const SAMPLED_ROWS = [
  'uptime',
  'curr_connections',
  'total_connections',
  'rejected_connections',
  'cmd_get',
  'cmd_set',
  'get_hits',
  'get_misses',
  'get_expired',
  'get_flushed',
  'store_too_large',
  'store_no_memory',
  'bytes_read',
  'bytes_written',
  'curr_items',
  'total_items',
  'evictions',
  'evicted_unfetched',
  'evicted_active',
  'reclaimed',
  'expired_unfetched',
  'crawler_reclaimed',
  'slabs_moved',
] as const

const CODES = { unused: Cell.UNUSED, pool: Cell.POOL, kept: Cell.KEPT, moving: Cell.MOVING }

/** The name of the times of all commands together. */
const ALL = 'all'

export class Sampler {
  private readonly daemon: DaemonView
  /** Readings of the last samples, oldest first. */
  private readings: Times[][] = []

  constructor(daemon: DaemonView) {
    this.daemon = daemon
  }

  hello(): Hello {
    const { host, main, tellsKeys, mayWrite, places } = this.daemon
    const { ownVersion, threads, arenas, connectionsMax } = host.facts
    return {
      hostName: host.cluster.hostName,
      version: ownVersion,
      protocolVersion: host.version,
      pid: process.pid,
      threads,
      arenas,
      connectionsMax,
      places: [...places],
      uringWorkers: main.workersWithUring(),
      mayWrite,
      mayFlush: mayWrite && host.flushAllowed,
      mayWatch: tellsKeys && host.allowed.watch,
      tellsKeys,
    }
  }

  sample(): Sample {
    const { host, main } = this.daemon
    const facts = new Facts(host, main)
    const stats: Record<string, number> = {}
    for (const row of SAMPLED_ROWS) stats[row] = facts.stat(row) ?? 0
    return {
      atMs: Date.now(),
      stats,
      others: OTHER_REQUESTS.reduce((sum, row) => sum + (facts.stat(row) ?? 0), 0),
      latency: this.latency(),
      removed: causesOf(facts),
      // The main thread has the number behind those of the workers.
      workers: Array.from({ length: main.mainThread + 1 }, (_, worker) => this.worker(worker)),
      arenas: locksOf(host).map(({ waits, longestStepS }) => {
        return { lockWaits: waits, longestStepUs: longestStepS * 1e6 }
      }),
      classes: facts.classes('slabs').map(id => classFacts(facts, id)),
      memory: memoryFacts(facts),
    }
  }

  map(): PageMap {
    const pages = readPages(this.daemon.host.cache.shards, MAP_CELLS_MAX)
    const arenas = pages.arenas.map(bytes => Buffer.from(bytes).toString('base64'))
    return { ...pages, arenas, codes: CODES }
  }

  detail(): Detail {
    const { host, tellsKeys } = this.daemon
    const known = host.insight.read()
    const curve = known === null ? null : curveFacts(known.curve)
    if (!tellsKeys || !host.allowed.dump) return { hot: null, long: null, prefixes: null, curve }
    const { hot, long } = host.hotKeys.report(host.cache)
    return {
      hot: hot.map(({ key, requests, share, valueBytes = null }) => {
        return { key: encodeKey(key), requests, share, valueBytes }
      }),
      long: long.map(({ key, valueBytes }) => ({ key: encodeKey(key), valueBytes })),
      prefixes:
        known?.prefixes.map(({ prefix, ...facts }) => {
          return { ...facts, prefix: encodeKey(prefix) }
        }) ?? null,
      curve,
    }
  }

  private latency(): CommandTimes[] {
    const now = readLatencies(this.daemon.host.latency.handle)
    this.readings.push(now)
    if (this.readings.length > LATENCY_WINDOW_SAMPLES + 1) this.readings.shift()
    const [first] = this.readings
    const recent = now.map((times, i) => (first === now ? times : times.since(first[i])))
    const sampled = recent.filter(({ count }) => count > 0)
    if (sampled.length === 0) return []
    const all = sampled.reduce((sum, times) => sum.plus(times))
    return [timesOf(ALL, all), ...sampled.map(times => timesOf(times.command, times))]
  }

  private worker(worker: number): WorkerFacts {
    const { main } = this.daemon
    return {
      connections: main.loadOf(worker),
      cpuUs: main.counterOf(worker, ThreadCounter.CPU_US),
      loopDelayUs: main.counterOf(worker, ThreadCounter.LOOP_DELAY_US),
    }
  }
}

function timesOf(command: string, times: Times): CommandTimes {
  return {
    command,
    count: times.count,
    p50Us: times.percentileUs(0.5),
    p99Us: times.percentileUs(0.99),
    p999Us: times.percentileUs(0.999),
    longestUs: times.longestUs,
  }
}

function curveFacts({ points, sampledKeys }: MissCurve): CurveFacts {
  return {
    nowBytes: points.find(({ memory }) => memory === 1)?.memoryBytes ?? 0,
    sampledKeys,
    points: points.map(({ memoryBytes, missRatio, filled }) => {
      return { bytes: memoryBytes, hitRatio: missRatio === null ? null : 1 - missRatio, filled }
    }),
  }
}

function classFacts(facts: Facts, id: string): ClassFacts {
  const slab = (row: string) => facts.number('slabs', `${id}:${row}`) ?? 0
  const item = (row: string) => facts.number('items', `items:${id}:${row}`) ?? 0
  return {
    id: Number(id),
    chunkBytes: slab('chunk_size'),
    pages: slab('total_pages'),
    chunks: slab('total_chunks'),
    usedChunks: slab('used_chunks'),
    items: item('number'),
    itemBytes: item('mem_requested'),
    evicted: item('evicted'),
    evictedUnfetched: item('evicted_unfetched'),
    evictedIdleS: item('evicted_time'),
    coldestIdleS: item('age'),
    outOfMemory: item('outofmemory'),
  }
}

function memoryFacts(facts: Facts): MemoryFacts {
  return {
    limitBytes: facts.stat('limit_maxbytes') ?? 0,
    slabBytes: facts.number('slabs', 'total_malloced') ?? 0,
    itemBytes: facts.stat('bytes') ?? 0,
    tableBytes: facts.stat('hash_bytes') ?? 0,
    freePages: facts.stat('slab_global_page_pool') ?? 0,
  }
}
