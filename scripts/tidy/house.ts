// The house as tables: which floor may import which, the order of rooms and files on a floor, where
// each package may be imported, and the exceptions to rules. Tidy reads nothing else. When a file
// or room moves, its row here moves too.

/**
 * Which files may import which. The first row that matches a file counts; a folder ends in a slash.
 */
export const FLOORS: readonly (readonly [from: string, to: readonly string[]])[] = [
  ['lib/bytes/', ['lib/bytes/']],
  ['lib/engine/index.ts', ['lib/engine/', 'lib/bytes/', 'lib/node-version.ts']],
  ['lib/engine/', ['lib/engine/', 'lib/bytes/']],
  ['lib/observe/', ['lib/observe/', 'lib/engine/', 'lib/bytes/']],
  ['lib/keeping/snapshot/', ['lib/keeping/snapshot/', 'lib/bytes/']],
  ['lib/keeping/', ['lib/keeping/', 'lib/engine/', 'lib/bytes/']],
  ['lib/protocol/', ['lib/protocol/', 'lib/observe/', 'lib/engine/', 'lib/bytes/']],
  ['lib/admin/', ['lib/admin/', 'lib/protocol/', 'lib/observe/', 'lib/engine/', 'lib/bytes/']],
  ['lib/etcd/', ['lib/etcd/', 'lib/bytes/']],
  ['lib/options/', ['lib/options/', 'lib/etcd/limits.ts', 'lib/engine/limits.ts', 'lib/bytes/']],
  [
    'lib/server/',
    [
      'lib/server/',
      'lib/admin/',
      'lib/options/',
      'lib/etcd/',
      'lib/protocol/',
      'lib/observe/',
      'lib/keeping/',
      'lib/engine/',
      'lib/bytes/',
    ],
  ],
  ['lib/node-version.ts', ['lib/node-check.ts']],
  ['lib/client-node-version.ts', ['lib/node-check.ts']],
  ['lib/node-check.ts', []],
  ['lib/serializer.ts', []],
  ['lib/doors/', ['lib/doors/', 'lib/serializer.ts', 'lib/bytes/']],
  [
    'lib/client/',
    [
      'lib/client/',
      'lib/etcd/',
      'lib/doors/',
      'lib/serializer.ts',
      'lib/bytes/',
      'lib/client-node-version.ts',
    ],
  ],
  ['lib/local/', ['lib/local/', 'lib/engine/', 'lib/doors/', 'lib/serializer.ts', 'lib/bytes/']],
  [
    'lib/strategies/',
    [
      'lib/strategies/',
      'lib/doors/',
      'lib/serializer.ts',
      'lib/bytes/',
      'lib/client-node-version.ts',
    ],
  ],
  [
    'lib/adapters/',
    [
      'lib/adapters/',
      'lib/strategies/',
      'lib/doors/',
      'lib/serializer.ts',
      'lib/bytes/',
      'lib/client-node-version.ts',
    ],
  ],
  [
    'lib/commands/',
    ['lib/commands/', 'lib/client/', 'lib/doors/', 'lib/keeping/snapshot/', 'lib/bytes/'],
  ],
  ['lib/load.ts', []],
  [
    'lib/cli.ts',
    ['lib/commands/', 'lib/server/', 'lib/options/', 'lib/client/', 'lib/bytes/', 'lib/load.ts'],
  ],
  ['lib/main.ts', ['lib/cli.ts', 'lib/load.ts', 'lib/node-version.ts']],
  ['lib/index.ts', ['lib/']],
  [
    'workers/',
    [
      'workers/',
      'lib/load.ts',
      'lib/server/',
      'lib/protocol/',
      'lib/keeping/',
      'lib/engine/',
      'lib/bytes/',
    ],
  ],
  ['scripts/', ['scripts/', 'lib/', 'workers/']],
  ['test/', ['test/', 'scripts/', 'lib/', 'workers/']],
]

/**
 * Inside a folder of lib, from the top down: a file or room (it ends in a slash) imports only from
 * rows below its own. In a folder that is not listed, files may import each other.
 */
export const ROWS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'lib/engine/': [
    ['index.ts'],
    ['keeper.ts', 'prefetch.ts', 'thread-end.ts'],
    ['cache.ts', 'key-sink.ts', 'value-sink.ts'],
    ['create.ts'],
    ['shard.ts'],
    ['repair.ts'],
    ['verify.ts'],
    ['upkeep/', 'storing/'],
    ['room/'],
    ['items/'],
    ['chunks/'],
    ['arena/'],
    ['status.ts', 'limits.ts'],
  ],
  'lib/engine/arena/': [
    ['arena.ts'],
    ['clock.ts', 'counters.ts', 'hash.ts', 'lock.ts'],
    ['layout.ts'],
  ],
  'lib/engine/chunks/': [['fit.ts'], ['slabs.ts'], ['slack.ts']],
  'lib/engine/items/': [
    ['live-items.ts'],
    ['links.ts', 'walk.ts'],
    ['keeps.ts', 'place.ts', 'shares.ts', 'table.ts'],
    ['ghosts.ts', 'holds.ts', 'item.ts', 'lru.ts'],
    ['rules.ts', 'uses.ts'],
  ],
  'lib/engine/room/': [
    ['allocate.ts'],
    ['room.ts'],
    ['moves.ts', 'worth.ts'],
    ['balance.ts', 'donors.ts', 'evict.ts', 'reap.ts', 'victims.ts'],
  ],
  'lib/engine/storing/': [
    ['adjust.ts', 'fetch.ts', 'remove.ts', 'rewrite.ts', 'storing.ts'],
    ['successor.ts'],
    ['terms.ts'],
    ['ask.ts'],
    ['changed-keys.ts'],
  ],
  'lib/engine/upkeep/': [['upkeep.ts'], ['automove.ts'], ['crawl.ts', 'sweep.ts']],
  'lib/keeping/': [['arenas/', 'image/'], ['fill.ts'], ['snapshot/']],
  'lib/observe/': [
    ['hot-keys.ts', 'journal.ts'],
    ['glance.ts', 'hot-sketch.ts', 'latency.ts', 'log-buffer.ts', 'prefixes.ts'],
  ],
  'lib/protocol/': [
    ['session.ts'],
    ['dialects.ts'],
    ['auth/'],
    ['text.ts'],
    ['meta/', 'binary/'],
    ['control/'],
    ['report/'],
    ['lookahead.ts', 'turn.ts'],
    ['words/'],
    ['conversation.ts', 'timed.ts', 'watched.ts'],
    ['execute.ts'],
    ['host.ts'],
    ['authenticator.ts'],
    ['request.ts', 'reply.ts'],
    ['inserts.ts'],
    ['limits.ts'],
  ],
  'lib/admin/': [['admin.ts'], ['access.ts', 'metrics/'], ['limits.ts']],
  'lib/admin/metrics/': [
    ['registry.ts'],
    ['exporter.ts', 'latency-metric.ts', 'own.ts'],
    ['process-metrics.ts'],
    ['facts.ts'],
  ],
  'lib/options/': [
    ['config-file.ts'],
    ['getopt.ts'],
    ['completion.ts'],
    ['man.ts'],
    ['help.ts'],
    ['switches.ts'],
    ['extended.ts', 'listen.ts'],
    ['checks.ts', 'values.ts'],
    ['options.ts'],
  ],
  'lib/server/': [
    ['serve.ts'],
    ['launch.ts'],
    ['daemon.ts'],
    ['admin-listener.ts', 'door.ts', 'udp.ts'],
    ['main-thread.ts', 'process/'],
    ['service.ts', 'thread-pool.ts'],
    ['connection.ts', 'listen/', 'workers.ts'],
    ['worker-host.ts'],
    ['guards.ts', 'thread-health.ts'],
    ['tls/', 'uring/'],
    ['auth/', 'line/'],
    ['native/', 'system/', 'roster.ts', 'settings.ts', 'turns.ts', 'limits.ts'],
  ],
  'lib/server/listen/': [
    ['listener.ts'],
    ['ports-file.ts', 'registration.ts', 'unix-listener.ts'],
    ['address.ts', 'listening.ts'],
  ],
  'lib/server/line/': [
    ['socket.ts'],
    ['node-handle.ts', 'stream.ts'],
    ['line.ts'],
    ['gather.ts', 'replies.ts'],
  ],
  'lib/server/uring/': [['line.ts'], ['loop.ts'], ['uring.ts'], ['layout.ts', 'message.ts']],
  'lib/server/tls/': [
    ['handshakes.ts'],
    ['direct-engine.ts'],
    ['line.ts', 'node-engine.ts'],
    ['bio.ts', 'context.ts', 'engine.ts', 'keyring.ts'],
    ['certificates.ts', 'openssl.ts'],
  ],
  'lib/server/native/': [['libc.ts'], ['ffi.ts']],
  'lib/client/': [
    ['index.ts'],
    ['cluster.ts', 'drain/'],
    ['server-pool.ts', 'with-signal.ts'],
    ['cluster-options.ts'],
    ['copies/', 'discovery/'],
    ['members/', 'values/'],
    ['nodes/'],
    ['ring/'],
    ['limits.ts', 'loop-clock.ts'],
  ],
  'lib/doors/': [
    ['expiry.ts', 'meter.ts', 'stored.ts'],
    ['arguments.ts'],
    ['channels.ts', 'errors.ts', 'types.ts'],
  ],
  'lib/commands/': [['doctor/', 'drain.ts', 'ring.ts', 'top/'], ['servers/'], ['command-line.ts']],
  'lib/local/': [
    ['local-cache.ts'],
    ['local-items.ts', 'create-options.ts', 'key-list.ts', 'stats.ts'],
    ['pairs.ts', 'types.ts'],
  ],
  'lib/adapters/': [['fastify-session.ts', 'next.ts', 'undici.ts'], ['next-tags.ts']],
  'lib/strategies/': [
    ['index.ts'],
    ['behind.ts'],
    ['through.ts', 'write-queue.ts'],
    ['aside.ts', 'keyv.ts', 'session-store.ts', 'tiered.ts'],
    ['aside-values.ts'],
    ['aside-many.ts', 'aside-options.ts', 'change-log.ts', 'claims.ts', 'owed.ts', 'tags.ts'],
    ['encoding.ts', 'keys.ts', 'reporter.ts', 'source-guard.ts'],
    ['telling.ts'],
  ],
}

/** Where each package may be imported, and each module of Node that reaches outside the process. */
export const HOMES: Readonly<Record<string, readonly string[]>> = {
  yargs: ['lib/commands/command-line.ts', 'scripts/'],
  'yargs-parser': ['lib/cli.ts'],
  piscina: ['lib/server/thread-pool.ts'],
  memjs: ['lib/client/nodes/', 'scripts/bench/local/', 'scripts/bench/pool/', 'test/'],
  memcached: ['scripts/bench/pool/', 'test/'],
  'memcache-client': ['scripts/bench/pool/', 'test/'],
  ioredis: ['scripts/bench/pool/'],
  pino: ['lib/server/system/'],
  'prom-client': ['lib/admin/metrics/', 'test/'],
  autocannon: ['scripts/bench-http.ts'],
  'lru-cache': ['scripts/bench/local/caches.ts'],
  keyv: ['test/'],
  keyv5: ['test/'],
  mariadb: ['test/'],
  '@opentelemetry/api': ['test/'],
  '@opentelemetry/sdk-metrics': ['test/'],
  undici: ['test/'],
  fastify: ['test/'],
  'cache-manager': ['test/'],
  '@fastify/session': ['test/'],
  '@fastify/cookie': ['test/'],
  express: ['test/'],
  'express-session': ['test/'],
  typescript: ['scripts/'],
  tap: ['test/'],
  'fast-check': ['test/'],
  'node:net': [
    'lib/admin/',
    'lib/client/nodes/',
    'lib/commands/servers/',
    'lib/server/',
    'workers/',
    'scripts/',
    'test/',
  ],
  'node:tls': [
    'lib/admin/',
    'lib/client/nodes/',
    'lib/commands/servers/',
    'lib/server/',
    'scripts/',
    'test/',
  ],
  'node:dgram': ['lib/server/', 'scripts/', 'test/'],
  'node:http': ['lib/admin/', 'lib/server/', 'scripts/', 'test/'],
  'node:https': ['lib/admin/', 'lib/server/', 'scripts/', 'test/'],
  'node:http2': ['lib/server/', 'scripts/', 'test/'],
  'node:child_process': ['lib/server/', 'scripts/', 'test/'],
  'node:cluster': [],
  'node:worker_threads': [
    'lib/local/',
    'lib/server/workers.ts',
    'lib/server/system/log.ts',
    'workers/',
    'scripts/',
    'test/',
  ],
}

/** Modules that few files may import: the files outside the module's own folder that may. */
export const GUARDED: Readonly<Record<string, readonly string[]>> = {
  'lib/engine/arena/lock.ts': ['lib/engine/', 'scripts/', 'test/'],
  'lib/engine/arena/layout.ts': [
    'lib/engine/',
    'lib/keeping/',
    'lib/protocol/report/',
    'lib/protocol/control/',
    'scripts/',
    'test/',
  ],
}

/** The only file that opens node:ffi. */
export const FFI_HOME = 'lib/server/native/ffi.ts'

/** The worker's request path: it never waits, except in the files of `WAITS`. */
export const REQUEST_PATH: readonly string[] = [
  'lib/bytes/',
  'lib/engine/',
  'lib/observe/',
  'lib/protocol/',
  'lib/server/connection.ts',
  'lib/server/service.ts',
  'lib/server/line/',
  'lib/server/uring/',
  'lib/server/tls/',
]

/** Files of the request path that may wait, and the words they may use. */
export const WAITS: Readonly<Record<string, readonly string[]>> = {
  // A loop whose completion queue is empty lets libuv run.
  'lib/server/uring/loop.ts': ['setImmediate'],
  // A connection's next turn is queued behind the others'; closing waits for pending writes.
  'lib/server/service.ts': ['setImmediate', 'await'],
}

/** Names that several files have, and the one meaning that all of them share. */
export const NAMESAKES: Readonly<Record<string, string>> = {
  'index.ts': 'what a package exports',
  'limits.ts': 'bounds that a floor shares',
  'layout.ts': 'how memory is laid out that others read too',
  'line.ts': 'a transport of one peer',
  'text.ts': 'a part of the text protocol',
  'binary.ts': 'a part of the binary protocol',
  'meta.ts': 'the meta commands, as server and as client',
  'print.ts': 'prints the replies of one dialect',
  'stats.ts': 'answers `stats`',
  'types.ts': 'what a door takes and gives',
  'hot-keys.ts': '`stats hotkeys`: counted, and printed',
  'latency.ts': '`stats latency`: measured, and printed',
  'daemon.ts': 'the daemon as a whole: run, and asked about',
  'connection.ts': 'one connection, from either side',
  'ring.ts': 'the hash ring: computed, and asked about',
  'drain.ts': 'moving what a server holds to others: done, and ordered',
  'settings.ts': '`stats settings`: from options, and from what operators changed',
}
