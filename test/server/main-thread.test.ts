// The main thread serves peers too, here in the test's process: what happens to the daemon when a
// request throws there, and to connections that are lost on their way to a worker.

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { HOLD_COUNT, LOCK, UPKEEP_HOLDER } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { LOCK_WAIT_MS_MAX } from '../../lib/engine/limits.ts'
import { createSketches } from '../../lib/observe/hot-sketch.ts'
import { createLatencies } from '../../lib/observe/latency.ts'
import { createLogs } from '../../lib/observe/log-buffer.ts'
import { createInsight } from '../../lib/observe/miniature/insight.ts'
import { createSamples } from '../../lib/observe/miniature/key-sampler.ts'
import { createPrefixes } from '../../lib/observe/prefixes.ts'
import { checkOptions } from '../../lib/options/checks.ts'
import { DEFAULTS, isRefusal } from '../../lib/options/options.ts'
import { createChangeBoard } from '../../lib/protocol/control/change-board.ts'
import { createClusterBoard } from '../../lib/protocol/control/cluster-board.ts'
import { TURN_UNBOUNDED } from '../../lib/protocol/host.ts'
import { Session } from '../../lib/protocol/session.ts'
import { type Daemon, startDaemon } from '../../lib/server/daemon.ts'
import { MainThreadService } from '../../lib/server/main-thread.ts'
import { Roster } from '../../lib/server/roster.ts'
import { featuresOf } from '../../lib/server/settings.ts'
import { logWords } from '../../lib/server/system/log.ts'
import type { ListenerFacts, WorkerTask } from '../../lib/server/worker-host.ts'
import serve from '../../workers/serve.ts'
import { HOST } from '../support/process.ts'
import { ask, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'
import { verifyAll } from '../support/server-session.ts'
import { shortFolder } from '../support/unix.ts'

t.test('an exception in the main thread closes its peers, not the daemon', async t => {
  const { daemon, path } = await start(t)
  const stderr = t.capture(process.stderr, 'write', () => true)
  for (const [round, inLock] of [false, true, false].entries()) {
    const [victim, other] = [await openPeer(path), await openPeer(path)]
    t.equal(await ask(other, 'set a 0 0 1\r\n4\r\n', '\r\n'), 'STORED\r\n')
    throwOnce(t, daemon, inLock)
    t.equal(await ask(victim, 'get a\r\n', ''), '', 'its peers are dropped')
    t.equal(await ask(other, '', ''), '', 'all of them')
    const [text = ''] = stderr().map(({ args }) => `${args[0]}`)
    t.match(text, /^main thread failed to serve its peers, they are dropped: Error: on purpose/)
    t.match(text, 'main-thread.test.ts', 'with the place')
    const own = await statsOf(path, 'memslab')
    t.equal(own.get('worker_restarts'), `${round + 1}`)
    t.equal(own.get('arena_resets'), '0')
    t.equal((await statsOf(path)).get('curr_connections'), '1')
    const next = await openPeer(path)
    t.equal(await ask(next, 'get a\r\n', 'END\r\n'), 'VALUE a 0 1\r\n4\r\nEND\r\n')
    next.destroy()
  }
  t.ok(await comesTrue(() => daemon.roster.current() === 0), 'no place stays taken')
  verifyAll(daemon)
})

t.test('the main thread sees the death of a worker whose lock it waits for', async t => {
  const { daemon } = await start(t)
  t.capture(process.stderr, 'write', () => true)
  const service = new MainThreadService(daemon.workers, null)
  const [shard] = service.host.cache.shards
  const { words } = shard.arena
  t.equal(daemon.workers.pool.threads.length, 1)
  t.ok(await comesTrue(() => words[UPKEEP_HOLDER] !== 0))
  words[LOCK] = words[UPKEEP_HOLDER]
  daemon.workers.pool.threads[0].terminate()
  const startedMs = performance.now()
  t.doesNotThrow(() => shard.crawlerEnable(true))
  t.ok(performance.now() - startedMs < LOCK_WAIT_MS_MAX / 2)
  words[LOCK] = 0
  t.ok(await comesTrue(() => daemon.roster.restarts() === 1), 'it is replaced, too')
  await service.close()
  verifyAll(daemon)
})

t.test('holds are released when the main thread fails', async t => {
  const { daemon, path } = await start(t)
  const heldCount = () =>
    daemon.cache.shards.reduce((n, { arena }) => n + arena.words[HOLD_COUNT], 0)
  t.capture(process.stderr, 'write', () => true)
  const half = await openPeer(path)
  half.write(`set big 0 0 500000\r\n${'x'.repeat(100_000)}`)
  t.ok(await comesTrue(() => heldCount() === 1))
  throwOnce(t, daemon, false)
  t.equal(await ask(await openPeer(path), 'get a\r\n', ''), '')
  t.ok(await comesTrue(() => heldCount() === 0))
  t.equal(await ask(half, '', ''), '')
  verifyAll(daemon)
})

t.test('pending replies are released once when the main thread fails', async t => {
  const { daemon, path } = await start(t)
  const heldCount = () =>
    daemon.cache.shards.reduce((n, { arena }) => n + arena.words[HOLD_COUNT], 0)
  t.capture(process.stderr, 'write', () => true)
  const slow = await openPeer(path)
  slow.pause()
  slow.write(`set big 0 0 100000\r\n${'x'.repeat(100_000)}\r\nget${' big'.repeat(40)}\r\n`)
  t.ok(await comesTrue(() => heldCount() > 1))
  throwOnce(t, daemon, false)
  t.equal(await ask(await openPeer(path), 'get a\r\n', ''), '')
  const next = await openPeer(path)
  next.write(`set next 0 0 100000\r\n${'y'.repeat(50_000)}`)
  t.ok(await comesTrue(() => heldCount() === 1))
  t.equal(await ask(next, `${'y'.repeat(50_000)}\r\n`, '\r\n'), 'STORED\r\n')
  t.equal(heldCount(), 0)
  verifyAll(daemon)
  slow.destroy()
})

t.test('a connection lost on its way to a worker frees its place', async t => {
  const { task, roster } = createTask()
  const { port1, port2 } = new MessageChannel()
  const served = serve({ ...task, port: port2 })
  const slots = [1, 2, 3].map(delivery => {
    const slot = roster.take(0, 0, 'tcp:127.0.0.1:1', 1)
    roster.deliver(slot, delivery)
    return slot
  })
  t.equal(roster.loadOf(0), 3)
  port2.emit('messageerror', new Error('on purpose'))
  t.equal(roster.loadOf(0), 2)
  t.notOk(
    [...roster.each()].some(({ id }) => id === Roster.idOf(slots[0])),
    'the first',
  )
  port2.emit('messageerror', new Error('on purpose'))
  t.same(
    [...roster.each()].map(({ id }) => id),
    [Roster.idOf(slots[2])],
    'the second',
  )
  port1.close()
  await served
})

t.test('a worker releases all holds of its peers before its task ends', async t => {
  const { task, roster, cache } = createTask()
  const { port1, port2 } = new MessageChannel()
  const served = serve({ ...task, port: port2 })
  const server = createServer({ pauseOnConnect: true }, socket => {
    port2.emit('message', { socket, slot: roster.take(0, 0, 'tcp:127.0.0.1:1', 1) })
  })
  await once(server.listen(0, HOST), 'listening')
  const { port } = server.address() as AddressInfo
  const peers = await Promise.all(Array.from({ length: 5 }, () => openPeer(port)))
  for (const peer of peers) peer.write(`set big 0 0 500000\r\n${'x'.repeat(100_000)}`)
  const { words } = cache.shards[0].arena
  t.ok(await comesTrue(() => words[HOLD_COUNT] === peers.length))
  port1.close()
  await served
  t.equal(words[HOLD_COUNT], 0)
  t.equal(roster.current(), 0)
  for (const peer of peers) peer.destroy()
  server.close()
})

/** The task of a worker, its cache, and the roster of its daemon. */
function createTask(): { task: WorkerTask; cache: Cache; roster: Roster } {
  const cache = Cache.create({ memoryBytes: 16 * MIB })
  const roster = Roster.create(1, 10)
  const settings = {
    countedSinceS: 2,
    ownVersion: '0.0.0',
    version: '',
    flushAllowed: true,
    turn: { requestsMax: TURN_UNBOUNDED, repliesMax: TURN_UNBOUNDED },
    ioUring: true,
    memoryLimitBytes: 16 * MIB,
    tellsHealth: false,
    idleTimeoutS: 0,
    features: featuresOf(DEFAULTS),
    lines: [],
    listeners: [
      { address: '', state: 'conn_listening', protocol: 'auto', peerCheck: null },
    ] satisfies ListenerFacts[],
    auth: null,
    access: null,
    tls: null,
    allowed: { dump: true, watch: true, shutdown: false, watcherBufferBytes: 0 },
    cluster: createClusterBoard([], '', false),
    log: createLogs(2, 0),
    logWords: logWords(),
    prefixes: createPrefixes(':'),
    sketches: createSketches(2),
    latencies: createLatencies(2),
    samples: createSamples(false, 2, ':'),
    insight: createInsight(false),
    changes: createChangeBoard(),
  }
  const task = { worker: 0, holder: 2, cache: cache.handle, roster: roster.handle, settings }
  return { task, cache, roster }
}

/**
 * Makes the next request in this thread throw, inside the locks if `inLock` is true.
 */
function throwOnce(t: Test, { cache }: Daemon, inLock: boolean): void {
  const { run } = Session.prototype
  Session.prototype.run = function fail(this: Session) {
    Session.prototype.run = run
    if (inLock)
      for (const { arena } of cache.shards) arena.words[LOCK] = this.host.cache.shards[0].holder
    throw new Error('on purpose')
  }
  t.teardown(() => {
    Session.prototype.run = run
  })
}

async function start(t: Test): Promise<{ daemon: Daemon; path: string }> {
  const path = join(shortFolder(t), 's')
  const options = checkOptions({ unixSocket: path, threads: 1 })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(() => daemon.close())
  return { daemon, path }
}
