// The daemon: creates the cache, starts the workers, listens, and hands each connection to the
// worker with the fewest. The main thread runs no requests except those of main-thread.ts. Code
// that only some daemons need is loaded on demand.

import { hostname } from 'node:os'
import { resolve as resolvePath } from 'node:path'
import { PROTOCOL_VERSION } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'
import { chunkWords } from '../engine/arena/arena.ts'
import { FIRST_S } from '../engine/arena/clock.ts'
import { Cache } from '../engine/cache.ts'
import type { Past } from '../engine/create.ts'
import { HASHPOWER_DEFAULT } from '../engine/limits.ts'
import { createSketches } from '../observe/hot-sketch.ts'
import { countPrefixes } from '../observe/journal.ts'
import { createLatencies } from '../observe/latency.ts'
import { createLogs, type LogHandle } from '../observe/log-buffer.ts'
import { createInsight } from '../observe/miniature/insight.ts'
import { createSamples } from '../observe/miniature/key-sampler.ts'
import { createPrefixes } from '../observe/prefixes.ts'
import { EXIT_FAILURE, type Options } from '../options/options.ts'
import { createChangeBoard } from '../protocol/control/change-board.ts'
import { createClusterBoard } from '../protocol/control/cluster-board.ts'
import { type Allowed, TURN_UNBOUNDED, type Turn } from '../protocol/host.ts'
import { TURN_REQUESTS_MAX } from '../protocol/limits.ts'
import type { AclFile } from './access/acl-file.ts'
import { AllowList } from './access/allow-list.ts'
import type { AuthFiles } from './auth/files.ts'
import { Door } from './door.ts'
import type { Keeping } from './keeping/keeping.ts'
import { type Bound, closeAll, type Inheritance, type Listener } from './listen/address.ts'
import { type Accept, listenAll } from './listen/listener.ts'
import type { MainThreadService } from './main-thread.ts'
import { Roster, setVerbosity } from './roster.ts'
import { type DaemonTls, RunningDaemon } from './running-daemon.ts'
import { type Found, featuresOf, settingLines } from './settings.ts'
import type { Successor } from './succession/new-process.ts'
import { logWords, say } from './system/log.ts'
import { packageVersion } from './system/package.ts'
import { openPool } from './thread-pool.ts'
import type { TlsHandle } from './tls/keyring.ts'
import type { UdpListener } from './udp.ts'
import { type DaemonSettings, isGuarded } from './worker-host.ts'
import { MAIN_HOLDER, type ThreadPool, Workers } from './workers.ts'

export type { RunningDaemon as Daemon } from './running-daemon.ts'

/**
 * Resolves when every listener accepts. Rejects with an Error whose message is one line. `given`:
 * an existing cache, which the daemon serves and leaves as it is when it closes. `early`: a pool
 * that was opened before, which the daemon owns once it has started. `successor`: another process
 * gives this one its sockets and its content. `activated`: sockets of a service manager.
 */
export async function startDaemon(
  options: Options,
  given?: Cache,
  early?: ThreadPool,
  successor?: Successor,
  activated?: Inheritance,
): Promise<RunningDaemon> {
  const auth = await openAuthFiles(options)
  const tls = await openTls(options)
  const warm = await openMemoryFile(options, successor)
  const cache = given ?? createCache(options, successor?.past() ?? warm?.past())
  // What the last process left is newer than any snapshot.
  const isFilled = successor !== undefined || warm?.past() !== undefined
  const keeping = await openKeeping(options, cache, isFilled)
  const access = await openAcl(options)
  const meters = access?.handle.meters ?? null
  const roster = Roster.create(options.threads, options.connectionsMax, meters)
  setVerbosity(roster, options.verbosity)
  const settings = settingsOf(options, auth, tls?.handle ?? null)
  settings.access = access?.handle ?? null
  const isNew = given === undefined
  settings.countedSinceS = successor?.countedSinceS ?? (isNew ? cache.nowS : FIRST_S)
  const allowed = new AllowList(options)
  const door = new Door(roster, options, allowed, access, () => cache.nowS)
  const { streams, datagrams } = await listen(options, door, successor ?? activated)
  const listeners = [...streams, ...datagrams]
  const addresses = streams.flatMap(({ bound }) => bound ?? [])
  settings.listeners = listeners.map(({ facts }) => facts)
  settings.lines = settingLines(options, foundBy(options, addresses, datagrams, cache))
  const workers = new Workers(early ?? openPool(options.threads), cache, roster, settings)
  const local = await serveHere(workers, streams, datagrams, { allowed, access })
  const daemon = new RunningDaemon({
    options,
    auth,
    allowed,
    access,
    tls,
    cache,
    roster,
    settings,
    door,
    listeners,
    datagrams,
    workers,
    local,
    successor,
    keeping,
    warm,
  })
  await daemon.open()
  return daemon
}

/**
 * Restores the cache, unless it gets its content from another process. Loaded only where the
 * options ask for it.
 */
async function openKeeping(
  asked: Options,
  cache: Cache,
  isFilled: boolean,
): Promise<Keeping | null> {
  const options = isFilled ? { ...asked, restorePath: undefined } : asked
  if (options.restorePath === undefined && options.snapshotDir === undefined) return null
  const { Keeping } = await import('./keeping/keeping.ts')
  return Keeping.open(options, cache)
}

async function openMemoryFile({ memoryFile }: Options, successor: Successor | undefined) {
  if (memoryFile === undefined) return undefined
  const { WarmRestart } = await import('./succession/warm-restart.ts')
  return new WarmRestart(resolvePath(memoryFile), successor)
}

async function openTls(options: Options): Promise<DaemonTls | null> {
  if (!options.tls) return null
  const { openKeyring, refreshKeyring, renewTicketKey } = await import('./tls/keyring.ts')
  const handle = openKeyring(options, FIRST_S)
  return {
    handle,
    refresh: (nowS, done) => refreshKeyring(handle, nowS, done),
    renewTicketKey: () => renewTicketKey(handle),
  }
}

function foundBy(
  options: Options,
  [tcp]: readonly Bound[],
  [udp]: readonly UdpListener[],
  cache: Cache,
): Found {
  return {
    tcpPort: tcp?.port ?? options.port,
    udpPort: udp?.bound.port ?? options.udpPort,
    largestChunkBytes: largestChunkBytes(cache),
  }
}

function largestChunkBytes({ shards }: Cache): number {
  const [{ arena }] = shards
  return chunkWords(arena, arena.baseClasses) * 4
}

/** memcached's memory for one reply, the part of it that -o read_buf_mem_limit bounds. */
const COUNTED_REPLY_BYTES = KIB

function turnOf({ requestsPerEventMax, readBufMemLimitBytes, threads }: Options): Turn {
  const replies = Math.floor(readBufMemLimitBytes / threads / COUNTED_REPLY_BYTES)
  return {
    requestsMax: requestsPerEventMax ?? TURN_REQUESTS_MAX,
    repliesMax: readBufMemLimitBytes === 0 ? TURN_UNBOUNDED : Math.max(1, replies),
  }
}

/** The settings of threads from the options. The rest is added once the listeners are known. */
function settingsOf(
  options: Options,
  auth: AuthFiles | null,
  tls: TlsHandle | null,
): DaemonSettings {
  return {
    version: PROTOCOL_VERSION,
    ownVersion: packageVersion(),
    flushAllowed: options.flushAllowed,
    turn: turnOf(options),
    // For TLS, Node watches descriptors in ways that a uring's loop does not see.
    ioUring: options.ioUring,
    idleTimeoutS: options.idleTimeoutS,
    tellsHealth: options.admin !== undefined,
    allowed: allowedBy(options),
    cluster: createClusterBoard(options.clusterNodes, hostname(), options.configSetAllowed),
    changes: createChangeBoard(),
    log: openLogs(options),
    logWords: logWords(),
    prefixes: createPrefixes(options.detailPrefix),
    sketches: createSketches(options.threads + 1),
    latencies: createLatencies(options.threads + 1),
    samples: createSamples(options.missCurve, options.threads + 1, options.detailPrefix),
    insight: createInsight(options.missCurve),
    features: featuresOf(options),
    countedSinceS: FIRST_S,
    lines: [],
    listeners: [],
    auth: auth?.handle ?? null,
    access: null,
    tls,
  }
}

/** Binds all listeners of the options, or none. */
async function listen(options: Options, door: Door, heritage: Inheritance | undefined) {
  const accept: Accept = (socket, ...place) => door.welcome(socket, ...place)
  const streams = await listenAll(options, accept, heritage)
  try {
    const activated = heritage?.takeActivated(['udp']) ?? []
    if (options.udpPort === 0 && activated.length === 0) return { streams, datagrams: [] }
    const { bindUdp } = await import('./udp.ts')
    return { streams, datagrams: await bindUdp(options, heritage, activated) }
  } catch (error) {
    door.close()
    await closeAll(streams)
    throw error
  }
}

/** Lets the main thread serve what workers cannot, if needed. */
async function serveHere(
  workers: Workers,
  streams: readonly Listener[],
  datagrams: readonly UdpListener[],
  { allowed, access }: { allowed: AllowList; access: AclFile | null },
): Promise<MainThreadService | undefined> {
  const hasUnix = streams.some(({ bound }) => bound === undefined)
  if (!hasUnix && datagrams.length === 0) return undefined
  const { MainThreadService } = await import('./main-thread.ts')
  const guards = isGuarded(workers.settings) ? await import('./guards.ts') : null
  const local = new MainThreadService(workers, guards)
  if (datagrams.length === 0) return local
  const { UdpService } = await import('./udp.ts')
  for (const [index, listener] of datagrams.entries()) {
    new UdpService(local, listener, streams.length + index + 1, allowed, access)
  }
  return local
}

function openLogs({ threads, workerLogbufBytes, detailEnabled }: Options): LogHandle {
  // The main thread has a log buffer too.
  const log = createLogs(threads + 1, workerLogbufBytes)
  countPrefixes(log, detailEnabled)
  return log
}

async function openAuthFiles(options: Options): Promise<AuthFiles | null> {
  const { sasl, authFile, adminAuthFile } = options
  if (!sasl && authFile === undefined && adminAuthFile === undefined) return null
  const { AuthFiles } = await import('./auth/files.ts')
  const auth = new AuthFiles(options, say)
  if (options.verbosity > 0) auth.warn()
  return auth
}

async function openAcl({ acl, connectionsMax, verbosity }: Options): Promise<AclFile | null> {
  if (acl === undefined) return null
  const { AclFile } = await import('./access/acl-file.ts')
  const access = new AclFile(acl, connectionsMax)
  if (verbosity > 0) for (const line of access.warnings) say(line, 'warn')
  return access
}

function allowedBy(options: Options): Allowed {
  return {
    dump: options.dumpAllowed,
    watch: options.watchAllowed,
    shutdown: options.shutdownAllowed,
    watcherBufferBytes: options.watcherLogbufBytes,
  }
}

function createCache(options: Options, past?: Past): Cache {
  try {
    return Cache.create(
      {
        memoryBytes: options.memoryLimitBytes,
        shards: options.threads,
        itemBytesMax: options.itemSizeMax,
        growthFactor: options.growthFactor,
        chunkBytesMin: options.chunkMinBytes,
        chunkBytesMax: options.slabChunkMaxBytes,
        chunkBytes: options.slabSizes,
        fitted: options.slabFit,
        evictions: options.evictions,
        trackSizes: options.trackSizes,
        hashpower: options.hashpowerInit || HASHPOWER_DEFAULT,
        tableGrows: options.hashExpand,
        cas: options.casEnabled,
        crawler: options.lruCrawler,
        crawlerSleepUs: options.lruCrawlerSleepUs,
        crawlerItemsMax: options.lruCrawlerToCrawl,
        maintainer: options.lruMaintainer,
        eviction: options.eviction,
        hotPercent: options.hotLruPct,
        warmPercent: options.warmLruPct,
        hotFactor: options.hotMaxFactor,
        warmFactor: options.warmMaxFactor,
        temporaryTtlS: options.temporaryLru ? options.temporaryTtlS : 0,
        headroom: true,
        reassign: options.slabReassign,
        automove: options.slabAutomove,
        automoveRatio: options.slabAutomoveRatio,
        automoveWindowS: options.slabAutomoveWindow,
        filled: options.restoreServing,
        past,
      },
      MAIN_HOLDER,
    )
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const refusal = new Error(`failed to allocate ${options.memoryLimitBytes} bytes: ${reason}`)
    throw Object.assign(refusal, { exitCode: EXIT_FAILURE })
  }
}
