// Metrics of memslab's own, for what memcached_exporter has no name.

import { freePageBytesOf } from '../../engine/census.ts'
import { ThreadCounter } from '../../protocol/host.ts'

import { heldOf, type LockFacts, locksOf, removedOf } from '../../protocol/report/report.ts'
import type { RemovalCause } from '../shapes.ts'
import type { Facts, MetricRow, Sample, SnapshotFacts } from './facts.ts'

const PREFIX = 'memslab_'

/** Sums of counters of the threads. */
const COUNTERS: readonly (readonly [name: string, counter: number, help: string])[] = [
  ['auth_attempts_total', ThreadCounter.AUTH_CMDS, 'Attempts to log in.'],
  ['auth_failures_total', ThreadCounter.AUTH_ERRORS, 'Failed attempts to log in.'],
  [
    'addresses_refused_total',
    ThreadCounter.ADDRESSES_REFUSED,
    'Connections and datagrams of addresses that may not connect.',
  ],
  ['requests_denied_total', ThreadCounter.REQUESTS_DENIED, 'Requests without the right (--acl).'],
  ['logins_ended_total', ThreadCounter.LOGINS_ENDED, 'Connections closed as their log-in ended.'],
  ['connections_limited_total', ThreadCounter.CONNECTIONS_LIMITED, 'Connections above a limit.'],
  ['reads_delayed_total', ThreadCounter.READS_DELAYED, 'Pauses of connections above a limit.'],
  ['datagrams_limited_total', ThreadCounter.DATAGRAMS_LIMITED, 'Datagrams above a limit.'],
  ['idle_kicks_total', ThreadCounter.IDLE_KICKS, 'Connections closed because they were idle.'],
  ['meta_commands_total', ThreadCounter.CMD_META, 'Meta commands.'],
  ['replies_refused_total', ThreadCounter.REPLIES_REFUSED, 'Requests for too long replies.'],
  ['tls_handshakes_total', ThreadCounter.TLS_HANDSHAKES, 'TLS handshakes that were done.'],
  ['tls_handshake_errors_total', ThreadCounter.TLS_ERRORS, 'Failed TLS handshakes.'],
  ['tls_protocol_errors_total', ThreadCounter.TLS_PROTOCOL_ERRORS, 'TLS errors of open peers.'],
  ['tls_sessions_total', ThreadCounter.TLS_SESSIONS, 'New TLS sessions, resumed ones aside.'],
  ['log_lines_written_total', ThreadCounter.LOG_WRITTEN, 'Log lines for watchers.'],
  ['log_lines_dropped_total', ThreadCounter.LOG_DROPPED, 'Log lines lost before any watcher.'],
]

/** Only of a daemon that writes snapshots. */
const SNAPSHOTS: readonly (readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  read: (facts: SnapshotFacts) => number,
])[] = [
  ['snapshots_total', 'counter', 'Snapshots that were written.', ({ written }) => written],
  ['snapshots_failed_total', 'counter', 'Snapshots that failed.', ({ failed }) => failed],
  [
    'snapshot_last_timestamp_seconds',
    'gauge',
    'When the last snapshot was complete, Unix time.',
    ({ lastMs }) => lastMs / 1000,
  ],
  [
    'snapshot_last_duration_seconds',
    'gauge',
    'How long it took.',
    ({ lastTookMs }) => lastTookMs / 1000,
  ],
  ['snapshot_last_bytes', 'gauge', 'Bytes of its file.', ({ lastBytes }) => lastBytes],
  ['snapshot_last_items', 'gauge', 'Its items.', ({ lastItems }) => lastItems],
]

export function ownMetrics(): MetricRow[] {
  return [
    {
      name: `${PREFIX}version`,
      type: 'gauge',
      help: 'The version of memslab.',
      labels: ['version'],
      read: ({ host }) => [{ labels: { version: host.facts.ownVersion }, value: 1 }],
    },
    ...COUNTERS.map(([name, counter, help]) =>
      plain(name, 'counter', help, ({ host }) => host.facts.sum(counter)),
    ),
    ...memoryMetrics(),
    ...heldMetrics(),
    ...workerMetrics(),
    ...curveMetrics(),
    ...lockMetrics(),
    ...SNAPSHOTS.map(([name, type, help, read]) =>
      plain(name, type, help, ({ main }) => {
        const facts = main.snapshots()
        return facts === null ? null : read(facts)
      }),
    ),
    plain('stderr_lines_dropped_total', 'counter', 'Lost lines of the log.', ({ host }) =>
      host.facts.logLinesDropped(),
    ),
    plain('watchers', 'gauge', 'Peers that watch.', ({ host }) => host.facts.watchers()),
    plain('registered', 'gauge', 'Whether etcd has this daemon.', ({ main }) => main.registered()),
  ]
}

function memoryMetrics(): MetricRow[] {
  return [
    {
      name: `${PREFIX}items_removed_total`,
      type: 'counter',
      help: 'Items that left the cache other than by a delete, by cause.',
      labels: ['cause'],
      read: removals,
    },
    plain('slab_pages_moved_total', 'counter', 'Pages moved between classes.', facts =>
      facts.stat('slabs_moved'),
    ),
    plain('slab_pages_free', 'gauge', 'Pages that no class has.', facts =>
      facts.stat('slab_global_page_pool'),
    ),
    {
      name: `${PREFIX}memory_bytes`,
      type: 'gauge',
      help: 'Memory by kind: items, hash table, pages of classes, free pages, heaps of the runtime.',
      labels: ['kind'],
      read: memoryKinds,
    },
    plain('arena_resets_total', 'counter', 'Arenas emptied after a dead thread.', ({ host }) =>
      host.cache.resetCount(),
    ),
  ]
}

/** Memory that peers keep by long values on their way. */
function heldMetrics(): MetricRow[] {
  const row = (
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    of: keyof ReturnType<typeof heldOf>,
  ) => plain(name, type, help, ({ host }) => heldOf(host)[of])
  return [
    row('uploads_held_bytes', 'gauge', 'Values that are arriving.', 'uploads_held_bytes'),
    row('uploads_refused_total', 'counter', 'Uploads beyond their share.', 'uploads_refused'),
    row('reads_held_bytes', 'gauge', 'Long values that are being sent.', 'reads_held_bytes'),
    row('reads_copied_total', 'counter', 'Values copied to be sent.', 'reads_copied'),
    row('reads_refused_total', 'counter', 'Gets beyond their share.', 'reads_refused'),
  ]
}

/** What sampled keys tell of other sizes of the memory. */
function curveMetrics(): MetricRow[] {
  return [
    {
      name: `${PREFIX}miss_ratio_estimate`,
      type: 'gauge',
      help: 'Share of lookups that would miss, by the memory as a multiple of the present one.',
      labels: ['memory'],
      read: ({ host }) =>
        (host.insight.read()?.curve.points ?? []).flatMap(({ memory, missRatio }) =>
          missRatio === null ? [] : [{ labels: { memory: String(memory) }, value: missRatio }],
        ),
    },
    plain('samples_lost', 'gauge', 'Samples of keys that were lost lately.', ({ host }) => {
      return host.insight.read()?.curve.lost ?? null
    }),
  ]
}

/** Why items left the cache, but for deletes and what lookups found dead. */
export function causesOf(facts: Facts): Record<RemovalCause, number> {
  const { move_evictions: moved, swept } = removedOf(facts.host)
  const of = (row: string) => facts.stat(row) ?? 0
  return {
    memory: Math.max(0, of('evictions') - moved),
    page_move: moved,
    expired: of('reclaimed'),
    crawler: Math.max(0, of('crawler_reclaimed') - swept),
    flushed: swept,
  }
}

function removals(facts: Facts): Sample[] {
  return Object.entries(causesOf(facts)).map(([cause, value]) => ({ labels: { cause }, value }))
}

function lockMetrics(): MetricRow[] {
  const byArena = (name: string, type: MetricRow['type'], help: string, of: keyof LockFacts) => ({
    name: PREFIX + name,
    type,
    help,
    labels: ['arena'],
    read: ({ host }: Facts) =>
      locksOf(host).map((facts, arena) => ({
        labels: { arena: String(arena) },
        value: facts[of],
      })),
  })
  return [
    byArena('lock_waits_total', 'counter', 'How often a lock was taken already.', 'waits'),
    byArena(
      'lock_longest_step_seconds',
      'gauge',
      'Longest step of upkeep or of making room under the lock since the last stats reset.',
      'longestStepS',
    ),
  ]
}

function memoryKinds(facts: Facts): Sample[] {
  const { heapUsed, external } = process.memoryUsage()
  const kinds: [string, number][] = [
    ['items', facts.stat('bytes') ?? 0],
    ['table', facts.stat('hash_bytes') ?? 0],
    ['slabs', facts.number('slabs', 'total_malloced') ?? 0],
    ['free_pages', freePageBytesOf(facts.host.cache)],
    ['heaps', facts.host.facts.sum(ThreadCounter.HEAP_BYTES)],
    ['main_heap', heapUsed],
    ['main_external', external],
  ]
  return kinds.map(([kind, value]) => ({ labels: { kind }, value }))
}

function workerMetrics(): MetricRow[] {
  const byWorker = (name: string, type: MetricRow['type'], help: string, read: ReadWorker) => ({
    name: PREFIX + name,
    type,
    help,
    labels: ['worker'],
    read: ({ host, main }: Facts) =>
      Array.from({ length: host.facts.threads }, (_, worker) => ({
        labels: { worker: String(worker) },
        value: read(main, worker),
      })),
  })
  /** The main thread has these too. */
  const byThread: typeof byWorker = (name, type, help, read) => {
    const row = byWorker(name, type, help, read)
    const ofMain = ({ main }: Facts) => ({
      labels: { worker: 'main' },
      value: read(main, main.mainThread),
    })
    return { ...row, read: facts => [...row.read(facts), ofMain(facts)] }
  }
  const us = (counter: number): ReadWorker => {
    return (main, worker) => main.counterOf(worker, counter) / 1e6
  }
  return [
    plain('workers_ready', 'gauge', 'Workers that take connections.', ({ main }) =>
      main.workersReady(),
    ),
    plain('worker_restarts_total', 'counter', 'Workers that died.', ({ host }) =>
      host.facts.workerRestarts(),
    ),
    plain('io_uring_workers', 'gauge', 'Workers that use io_uring.', ({ main }) =>
      main.workersWithUring(),
    ),
    byWorker('worker_io_uring', 'gauge', 'Whether the worker uses io_uring.', (main, worker) =>
      Number(main.usesUring(worker)),
    ),
    byWorker('worker_connections', 'gauge', 'Connections by worker.', (main, worker) =>
      main.loadOf(worker),
    ),
    byThread(
      'worker_cpu_seconds_total',
      'counter',
      'CPU time by worker.',
      us(ThreadCounter.CPU_US),
    ),
    byThread(
      'worker_gc_seconds_total',
      'counter',
      'Pauses for garbage collection by worker.',
      us(ThreadCounter.GC_US),
    ),
    byThread(
      'worker_loop_delay_seconds',
      'gauge',
      'Longest delay of the event loop in the last second by worker.',
      us(ThreadCounter.LOOP_DELAY_US),
    ),
  ]
}

type ReadWorker = (main: Facts['main'], worker: number) => number

function plain(
  name: string,
  type: MetricRow['type'],
  help: string,
  read: MetricRow['read'],
): MetricRow {
  return { name: PREFIX + name, type, help, read }
}
