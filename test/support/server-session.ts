/**
 * A session without a socket: a small host around a cache, and a peer that feeds bytes and collects
 * replies as a connection does. The peer is harsh on purpose: it overwrites the input as soon as
 * the session returns, and each reply buffer as soon as it is sent.
 */
import { Area } from '../../lib/bytes/area.ts'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { HOLD_COUNT } from '../../lib/engine/arena/layout.ts'
import { lock, unlock } from '../../lib/engine/arena/lock.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { verify } from '../../lib/engine/verify.ts'
import { HotKeys } from '../../lib/observe/hot-keys.ts'
import { createSketches } from '../../lib/observe/hot-sketch.ts'
import { Journal } from '../../lib/observe/journal.ts'
import { createLatencies, Latency } from '../../lib/observe/latency.ts'
import { createLogs } from '../../lib/observe/log-buffer.ts'
import { createInsight, InsightBoard } from '../../lib/observe/miniature/insight.ts'
import { createSamples, Sampler } from '../../lib/observe/miniature/key-sampler.ts'
import { createPrefixes, Prefixes } from '../../lib/observe/prefixes.ts'
import { ChangeBoard, createChangeBoard } from '../../lib/protocol/control/change-board.ts'
import { ClusterBoard, createClusterBoard } from '../../lib/protocol/control/cluster-board.ts'
import { type ProtocolName, State } from '../../lib/protocol/conversation.ts'
import {
  type ConnectionFacts,
  type Host,
  type ServerFacts,
  TURN_UNBOUNDED,
} from '../../lib/protocol/host.ts'
import { READ_BYTES } from '../../lib/protocol/limits.ts'
import { Reply } from '../../lib/protocol/reply.ts'
import { type Outlet, Session } from '../../lib/protocol/session.ts'

const POISON = 0xee
/** Some MiB, which take long to create: all hosts of a file share one cache, emptied for each. */
const PREFIXES = createPrefixes(':')
/** Longer than a reply buffer, so that it is sent in pieces. */
const SETTINGS = Array.from({ length: 4000 }, (_, i) => [`setting_${i}`, i * 7919] as const)

export function createHost(options: Partial<CacheOptions> = {}): Host {
  return {
    // Replies that name a class do not depend on what was stored before.
    cache: Cache.create({ memoryBytes: 16 * MIB, fitted: false, ...options }),
    reply: new Reply(),
    version: '1.2.3-test',
    flushAllowed: true,
    turn: { requestsMax: TURN_UNBOUNDED, repliesMax: TURN_UNBOUNDED },
    counters: new Float64Array(32),
    control: new Int32Array(32),
    facts: createFacts(),
    journal: createJournal(),
    hotKeys: new HotKeys(createSketches(1), 0),
    latency: new Latency(createLatencies(1), 0),
    sampler: new Sampler(createSamples(false, 1, ':')),
    insight: new InsightBoard(createInsight(false)),
    allowed: { dump: true, watch: true, shutdown: false, watcherBufferBytes: 256 * KIB },
    auth: null,
    access: null,
    refreshCertificates: done => done('Error TLS not enabled'),
    takeSnapshot: () => ({ pauseMs: 0, next: () => null, close: () => {} }),
    log: () => {},
    cluster: new ClusterBoard(createClusterBoard([], 'test-host', false)),
    changes: new ChangeBoard(createChangeBoard()),
    shutdown: () => {},
  }
}

/** A journal that no watcher reads. */
export function createJournal(): Journal {
  const prefixes = new Prefixes(PREFIXES)
  prefixes.clear()
  return new Journal(createLogs(1, 64 * KIB), 0, new Float64Array(1), prefixes)
}

/** The number of items held in all arenas. */
export function heldCount({ cache }: Host): number {
  return cache.shards.reduce((sum, { arena }) => sum + arena.words[HOLD_COUNT], 0)
}

/** Verifies every arena; throws if one is torn. */
export function verifyAll({ cache }: Pick<Host, 'cache'>): void {
  for (const { arena, holder } of cache.shards) {
    // Other threads may be at work in it.
    lock(arena.words, holder)
    try {
      verify(arena)
    } finally {
      unlock(arena.words)
    }
  }
}

export class Peer implements Outlet {
  readonly session: Session
  /** Most bytes that the session ever left unconsumed. */
  restMax = 0
  protected readonly host: Host
  private readonly input: Area
  protected readonly sticks: () => boolean
  protected rest = Buffer.alloc(0)
  protected chunks: Buffer[] = []

  /**
   * `sticks` is called at each flush: true makes the outlet take these bytes and then no more for
   * now.
   */
  constructor(
    host: Host,
    sticks: () => boolean = () => false,
    inputBytes = 4 * READ_BYTES,
    protocol: ProtocolName = 'auto',
  ) {
    this.host = host
    this.input = Area.allocate(inputBytes)
    this.sticks = sticks
    this.session = new Session(host, this, 32, protocol)
  }

  flush(): boolean {
    const { reply } = this.host
    if (reply.length === 0) return true
    this.chunks.push(Buffer.from(reply.area.bytes.subarray(0, reply.length)))
    reply.area.bytes.fill(POISON)
    reply.length = 0
    if (!this.sticks()) return true
    reply.area = Area.allocate(reply.area.bytes.length)
    return false
  }

  /** Whoever feeds calls `goOn` anyway. */
  later(): void {}

  endpoint() {
    return { address: '192.0.2.1', port: 11211 }
  }

  /** Feeds bytes; while the outlet is stuck they wait, as on a paused socket. */
  feed(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += READ_BYTES) {
      this.rest = Buffer.concat([this.rest, bytes.subarray(at, at + READ_BYTES)])
      this.eat()
      this.goOn()
    }
  }

  /** Feeds bytes in pieces of these lengths; the last length repeats. */
  feedPieces(bytes: Buffer, nextLength: () => number): void {
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + nextLength())
      this.feed(bytes.subarray(at, end))
      at = end
    }
  }

  /** Runs the session once over the bytes that wait. */
  eat(): void {
    const { session, input, rest } = this
    const used = this.run(input)
    if (used < 0 || used > rest.length) throw new Error(`ate ${used} of ${rest.length} bytes`)
    if (!session.isStuck() && !this.flush()) session.wait()
    input.bytes.fill(POISON, 0, rest.length)
    // A conversation that has ended consumes nothing: its connection is closed.
    this.rest = session.state === State.ENDED ? Buffer.alloc(0) : rest.subarray(used)
    if (!session.isStuck()) this.restMax = Math.max(this.restMax, this.rest.length)
  }

  /** Bytes that the session consumed. */
  protected run(input: Area): number {
    this.rest.copy(input.bytes)
    return this.session.run(input, 0, this.rest.length)
  }

  /** Goes on while the outlet was stuck. */
  goOn(): void {
    while (this.session.isStuck()) this.eat()
  }

  /** Adds bytes after those that wait, without running the session. */
  queue(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes])
  }

  /** Returns all replies so far and forgets them. */
  take(): Buffer {
    const bytes = Buffer.concat(this.chunks)
    this.chunks = []
    return bytes
  }

  /** Bytes sent and not taken yet. */
  get sentBytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }
}

function createFacts(): ServerFacts {
  return {
    settings: SETTINGS,
    features: {
      idleTimeout: false,
      slabReassign: true,
      lruMaintainer: true,
      maxconnsFast: true,
      tls: false,
      tlsSessions: false,
    },
    threads: 1,
    arenas: 1,
    countedSinceS: 2,
    connectionsMax: 10,
    connectionsAtStart: 1024,
    addressOf: () => '127.0.0.1:5000',
    workerRestarts: () => 0,
    logLinesDropped: () => 0,
    ownVersion: '0.0.0',
    connections: () => ({ current: 1, total: 1, rejected: 0, structures: 1, accepting: true }),
    watchers: () => 0,
    sum: () => 0,
    certificatesAgeS: () => 0,
    eachConnection: () => connections(),
    reset: () => {},
  }
}

function* connections(): Generator<ConnectionFacts> {
  for (let id = 1; id < 40; id++) {
    const address = `tcp:127.0.0.1:${id}`
    yield { id, address, listenAddress: 'tcp:0.0.0.0:11211', state: 'conn_read', idleS: id }
  }
}
