// The daemon in this process, with its worker threads killed: what others notice (nothing), what is
// kept, what is counted. Only this test kills threads from outside, the product never does.

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { HOLD_COUNT, ITEM_COUNT, RESETS } from '../../lib/engine/arena/layout.ts'
import { lock } from '../../lib/engine/arena/lock.ts'
import { GIVEN_HOLDER_MIN } from '../../lib/engine/create.ts'
import { checkOptions } from '../../lib/options/checks.ts'
import { isRefusal, type Options } from '../../lib/options/options.ts'
import { type Daemon, startDaemon } from '../../lib/server/daemon.ts'
import { Roster } from '../../lib/server/roster.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { HOST } from '../support/process.ts'
import { runs } from '../support/runs.ts'
import { ask, comesTrue, openFiles, openPeer, statsOf } from '../support/server-peer.ts'
import { verifyAll } from '../support/server-session.ts'

const seed = announceSeed(t)

const THREADS = 3
const PEERS = 9
const KILLS = runs(4, 8)
const KEPT = 500
const CLOSE_MS_MAX = 3000
const GIVING_MS = 1500
/** The first worker's id for locks; its thread is the first of a new pool. */
const FIRST_WORKER = GIVEN_HOLDER_MIN

t.test('a worker killed under load disturbs no other', async t => {
  const daemon = await start(t, { threads: THREADS })
  const port = portOf(daemon)
  const random = createRandom(seed, 1)
  await keepValues(port)
  const load = new Load(port, random)
  await load.fill()
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(random.below(150))
    const loads = loadsOf(daemon).sort((a, b) => b - a)
    const { threads } = daemon.workers.pool
    await threads[random.below(threads.length)].terminate()
    t.ok(await comesTrue(() => daemon.roster.restarts() === kill + 1), 'it is replaced')
    await sleep(50)
    t.ok(load.ended <= loads[0], `${load.ended} connections ended, workers had ${loads.join(' ')}`)
    await load.fill()
    t.ok(await load.isServed(), 'all are served again')
    t.ok(await allServe(daemon), 'by all workers')
  }
  await load.stop()
  t.same(load.faults(daemon), [], 'no wrong reply')
  t.ok(load.exchanges > 500, `${load.exchanges} exchanges`)
  const stats = await statsOf(port, 'memslab')
  t.equal(stats.get('worker_restarts'), `${KILLS}`)
  t.equal(stats.get('arena_resets'), `${resetsOf(daemon)}`)
  await valuesAreKept(t, daemon)
  await endsClean(t, daemon)
})

t.test('a worker that dies while the daemon closes keeps no peer connected', async t => {
  const daemon = await start(t, { threads: 1 })
  const peer = await openPeer(portOf(daemon))
  await ask(peer, 'get none\r\n', 'END\r\n')
  peer.resume()
  const [thread] = daemon.workers.pool.threads
  const dying = thread.terminate()
  await Promise.all([daemon.workers.close(), dying])
  peer.end()
  t.ok(await comesTrue(() => peer.closed), 'its socket is closed')
})

t.test('a worker that dies inside the lock of a sound arena loses nothing', async t => {
  const daemon = await start(t, { threads: 2 })
  const port = portOf(daemon)
  await keepValues(port)
  for (const { arena } of daemon.cache.shards) lock(arena.words, FIRST_WORKER)
  const waiting = await openPeer(port)
  const other = await openPeer(port)
  const answers = [waiting, other].map(peer => ask(peer, 'get kept1\r\n', 'END\r\n'))
  await sleep(50)
  await daemon.workers.pool.threads[0].terminate()
  const given = await Promise.all(answers)
  t.same(
    given.sort(),
    ['', 'VALUE kept1 0 5\r\n10001\r\nEND\r\n'],
    'the other had to wait, no more',
  )
  t.equal((await statsOf(port, 'memslab')).get('arena_resets'), '0')
  await valuesAreKept(t, daemon)
  await endsClean(t, daemon)
})

t.test('a worker that leaves an arena torn costs only that arena', async t => {
  const daemon = await start(t, { threads: 2 })
  const port = portOf(daemon)
  await keepValues(port)
  const [torn, sound] = daemon.cache.shards.map(({ arena }) => arena.words)
  const before = sound[ITEM_COUNT]
  t.equal(before + torn[ITEM_COUNT], KEPT)
  lock(torn, FIRST_WORKER)
  torn[ITEM_COUNT]++
  await daemon.workers.pool.threads[0].terminate()
  t.ok(await comesTrue(() => daemon.roster.restarts() === 1))
  t.equal((await statsOf(port, 'memslab')).get('arena_resets'), '1')
  t.equal((await statsOf(port)).get('curr_items'), `${before}`)
  t.equal(await keptCount(port), before, 'what the other arena has is there')
  await keepValues(port)
  t.equal(await keptCount(port), KEPT, 'and the emptied one serves again')
  t.ok(await allServe(daemon))
  lock(torn, FIRST_WORKER + 2)
  await Promise.all(daemon.workers.pool.threads.map(thread => thread.terminate()))
  t.ok(await comesTrue(() => daemon.roster.restarts() === 3))
  t.equal(await keptCount(port), KEPT, 'a second death finds it sound')
  await endsClean(t, daemon)
})

t.test('all workers may die at the same time, each inside a lock', async t => {
  for (let round = 0; round < runs(1, 20); round++) await killAll(t)
})

async function killAll(t: Test): Promise<void> {
  const daemon = await start(t, { threads: 2 })
  const port = portOf(daemon)
  await keepValues(port)
  const { shards } = daemon.cache
  shards.forEach(({ arena }, i) => {
    lock(arena.words, FIRST_WORKER + shards.length - 1 - i)
  })
  await Promise.all(daemon.workers.pool.threads.map(thread => thread.terminate()))
  t.ok(await comesTrue(() => daemon.roster.restarts() === 2))
  await valuesAreKept(t, daemon)
  await endsClean(t, daemon)
}

t.test('a worker that dies with values in flight leaves no holds', async t => {
  const daemon = await start(t, { threads: 1, memoryLimitBytes: 64 * MIB })
  const port = portOf(daemon)
  const deaf = await openPeer(port)
  const size = 900 * KIB
  deaf.write(`set a 0 0 ${size}\r\n${'v'.repeat(size)}\r\n${'get a\r\n'.repeat(50)}`)
  const cut = await openPeer(port)
  cut.write(`set b 0 0 ${size}\r\n${'v'.repeat(size / 2)}`)
  const { words } = daemon.cache.shards[0].arena
  t.ok(await comesTrue(() => words[HOLD_COUNT] >= 2), 'one each')
  await daemon.workers.pool.threads[0].terminate()
  t.ok(await comesTrue(() => words[HOLD_COUNT] === 0), 'none are left')
  const areGone = async () => (await statsOf(port)).get('curr_connections') === '1'
  t.ok(await comesTrue(areGone), 'nor connections')
  deaf.destroy()
  cut.destroy()
  await endsClean(t, daemon)
})

t.test('connections that a dying worker was about to take are served or closed', async t => {
  const daemon = await start(t, { threads: 1 })
  const port = portOf(daemon)
  const { words } = daemon.cache.shards[0].arena
  const first = await openPeer(port)
  await ask(first, 'get none\r\n', 'END\r\n')
  const files = openFiles(process.pid)
  lock(words, FIRST_WORKER)
  first.write('get none\r\n')
  await sleep(50)
  const queued = await Promise.all(Array.from({ length: 10 }, () => openPeer(port)))
  const answers = queued.map(peer => ask(peer, 'get none\r\n', 'END\r\n'))
  await sleep(50)
  await daemon.workers.pool.threads[0].terminate()
  for (const answer of await Promise.all(answers)) t.match(answer, /^(END\r\n)?$/)
  for (const peer of [first, ...queued]) peer.destroy()
  t.ok(await comesTrue(() => openFiles(process.pid) <= files), 'no file is left open')
  t.ok(await comesTrue(() => daemon.roster.current() === 0), 'no place is left taken')
  await endsClean(t, daemon)
})

t.test('close under load ends everything within its bound', async t => {
  for (let round = 0; round < 3; round++) {
    const daemon = await start(t, { threads: 2 })
    const port = portOf(daemon)
    const load = new Load(port, createRandom(seed, 100 + round))
    await load.fill()
    const deaf = await openPeer(port)
    const value = `${'v'.repeat(500_000)}\r\n`
    deaf.write(`set a 0 0 500000\r\n${value}${'get a\r\n'.repeat(200)}`)
    await openPeer(port)
    await sleep(100)
    t.ok(await closes(daemon), `closed within ${CLOSE_MS_MAX} ms`)
    t.ok(await comesTrue(() => load.ended === PEERS), 'all connections ended')
    await load.stop()
    t.same(load.faults(daemon), [], 'no wrong reply')
    await t.rejects(openPeer(port), 'nobody listens')
    deaf.destroy()
    verifyAll(daemon)
  }
  const left = process
    .getActiveResourcesInfo()
    .filter(name => /Server|MessagePort|Worker/.test(name))
  t.ok(left.length <= 1, `what is left: ${left.join(' ')}`)
})

t.test('a worker that dies while it starts is replaced', async t => {
  const waits = [0, 15, 60]
  const daemons = await Promise.all(waits.map(() => start(t, { threads: 1 })))
  const answers = daemons.map(async (daemon, i) => {
    const { pool } = daemon.workers
    await pool.threads[0].terminate()
    await sleep(waits[i])
    await pool.threads[0]?.terminate()
    const peer = await openPeer(portOf(daemon))
    const reply = await ask(peer, 'get none\r\n', 'END\r\n').catch(String)
    peer.destroy()
    return reply
  })
  for (const [i, reply] of (await Promise.all(answers)).entries()) {
    t.match(reply, /^(END\r\n)?$/, `served, or sent away: ${waits[i]} ms after the first`)
    const again = await openPeer(portOf(daemons[i]))
    t.equal(await ask(again, 'get none\r\n', 'END\r\n').catch(String), 'END\r\n', 'later served')
    again.destroy()
    await endsClean(t, daemons[i])
  }
})

t.test('close does not wait for a worker that died while it started', async t => {
  const daemon = await start(t, { threads: 1 })
  const { pool } = daemon.workers
  await pool.threads[0].terminate()
  await pool.threads[0]?.terminate()
  await endsClean(t, daemon)
})

t.test('workers killed in quick succession are all replaced', async t => {
  const daemon = await start(t, { threads: THREADS })
  const random = createRandom(seed, 2)
  const port = portOf(daemon)
  await keepValues(port)
  const load = new Load(port, random)
  for (let kill = 0; kill < 2 * KILLS; kill++) {
    await load.fill()
    await sleep(random.below(100))
    await random.pick(daemon.workers.pool.threads)?.terminate()
  }
  const served = async () => {
    // The last one may have closed connections that were opened just before its death.
    await load.fill()
    return load.isServed(1000)
  }
  t.ok(await comesTrue(served), 'all are served in the end')
  await load.stop()
  t.same(load.faults(daemon), [], 'no wrong reply')
  t.ok(daemon.roster.restarts() <= 2 * KILLS, `${daemon.roster.restarts()} restarts`)
  await valuesAreKept(t, daemon)
  t.ok(await comesTrue(() => daemon.roster.current() === 0), 'no place is taken')
  await endsClean(t, daemon)
})

t.test('slots taken and freed by two threads leave the workers with even counts', async t => {
  const roster = Roster.create(2, 1)
  const entry = new URL('../support/server-giver.ts', import.meta.url)
  const giver = new Worker(entry, {
    workerData: { handle: roster.handle, ms: GIVING_MS },
    execArgv: [],
  })
  const exited = once(giver, 'exit')
  let ended = false
  giver.on('exit', () => {
    ended = true
  })
  for (let worker = 0; !ended; worker = 1 - worker) {
    for (let tries = 0; tries < 10_000; tries++) {
      if (roster.take(worker, 0, 'tcp:127.0.0.1:1', 1) >= 0) break
    }
    if (worker === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await exited
  roster.give(0)
  t.equal(roster.current(), 0)
  t.same([roster.loadOf(0), roster.loadOf(1)], [0, 0])
})

/** Connections that store and read their own values all the time, and record errors. */
class Load {
  private readonly wrong: string[] = []
  /** Replies without the value that was stored just before. */
  private readonly missed: string[] = []
  exchanges = 0
  /** Connections closed since the last fill. */
  ended = 0
  private readonly port: number
  private readonly random: Random
  private running = true
  private working: Promise<void>[] = []
  private served = new Set<string>()
  private next = 0
  private open = 0

  constructor(port: number, random: Random) {
    this.port = port
    this.random = random
  }

  /** Opens the connections that are missing. */
  async fill(): Promise<void> {
    this.ended = 0
    while (this.open < PEERS) {
      const peer = await openPeer(this.port)
      this.open++
      this.working.push(this.work(peer, `own${this.next++}`))
    }
  }

  /** Whether every open connection gets another answer within the bound. */
  async isServed(msMax?: number): Promise<boolean> {
    const served = new Set<string>()
    this.served = served
    return comesTrue(() => served.size >= PEERS, msMax)
  }

  /** Wrong replies. A value may be missed only where a death has emptied an arena. */
  faults(daemon: Daemon): string[] {
    return resetsOf(daemon) > 0 ? this.wrong : [...this.wrong, ...this.missed]
  }

  async stop(): Promise<void> {
    this.running = false
    await Promise.all(this.working)
  }

  private async work(peer: Socket, key: string): Promise<void> {
    while (this.running) {
      const value = `${key}-${this.exchanges}-`.repeat(this.random.between(1, 3000))
      const shared = `shared${this.random.below(20)}`
      const sets = [key, shared].map(name => `set ${name} 0 0 ${value.length}\r\n${value}\r\n`)
      const request = `${sets.join('')}get ${key}\r\nversion\r\n`
      const wanted = `STORED\r\nSTORED\r\nVALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\nVERSION`
      const reply = await ask(peer, request, '1.6.45\r\n').catch(String)
      if (peer.readableEnded || peer.destroyed) break
      if (!reply.startsWith(wanted)) {
        const isMiss = reply.startsWith('STORED\r\nSTORED\r\nEND\r\nVERSION')
        const list = isMiss ? this.missed : this.wrong
        list.push(reply.slice(0, 200))
        if (!isMiss) break
      }
      this.exchanges++
      this.served.add(key)
    }
    this.open--
    this.ended++
    peer.destroy()
  }
}

function loadsOf({ roster }: Daemon): number[] {
  return Array.from({ length: roster.handle.threads }, (_, worker) => roster.loadOf(worker))
}

/** Whether every worker takes connections within the bound. */
async function allServe(daemon: Daemon): Promise<boolean> {
  const probes: Socket[] = []
  const outcome = await comesTrue(async () => {
    const probe = await openPeer(portOf(daemon))
    probes.push(probe)
    await ask(probe, 'get none\r\n', 'END\r\n')
    return loadsOf(daemon).every(load => load > 0)
  })
  for (const probe of probes) probe.destroy()
  return outcome
}

function resetsOf(daemon: Daemon): number {
  return daemon.cache.shards.reduce((sum, { arena }) => sum + arena.words[RESETS], 0)
}

async function start(t: Test, given: Partial<Options>): Promise<Daemon> {
  const options = checkOptions({ listen: [{ host: HOST, port: 0 }], ...given })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(async () => {
    await closes(daemon)
    await daemon.workers.pool.destroy()
  })
  return daemon
}

/** Closes the daemon. Returns whether it took no longer than the bound. */
async function closes(daemon: Daemon): Promise<boolean> {
  const abort = new AbortController()
  const late = sleep(CLOSE_MS_MAX, false, abort).catch(() => false)
  const outcome = await Promise.race([daemon.close().then(() => true), late])
  abort.abort()
  return outcome
}

function portOf(daemon: Daemon): number {
  return daemon.addresses[0].port
}

async function keepValues(port: number): Promise<void> {
  const peer = await openPeer(port)
  for (let i = 0; i < KEPT; i++) {
    await ask(peer, `set kept${i} 0 0 5\r\n${10_000 + i}\r\n`, 'STORED\r\n')
  }
  peer.destroy()
}

/** How many of the stored values are still there; those must be right. */
async function keptCount(port: number): Promise<number> {
  const peer = await openPeer(port)
  let count = 0
  for (let i = 0; i < KEPT; i++) {
    const reply = await ask(peer, `get kept${i}\r\n`, 'END\r\n')
    if (reply === 'END\r\n') continue
    if (reply !== `VALUE kept${i} 0 5\r\n${10_000 + i}\r\nEND\r\n`) throw new Error(reply)
    count++
  }
  peer.destroy()
  return count
}

/** Asserts that all values are there, except in an arena that was emptied. */
async function valuesAreKept(t: Test, daemon: Daemon): Promise<void> {
  const { shards } = daemon.cache
  const emptied = shards.filter(({ arena }) => arena.words[RESETS] > 0).length
  const count = await keptCount(portOf(daemon))
  if (emptied === 0) t.equal(count, KEPT, 'all that was stored before is there')
  else t.comment(`${emptied} arenas were emptied, ${count} of ${KEPT} values are there`)
}

async function endsClean(t: Test, daemon: Daemon): Promise<void> {
  t.ok(await closes(daemon), 'it closes')
  t.doesNotThrow(() => verifyAll(daemon), 'every arena is sound')
  for (const { arena } of daemon.cache.shards)
    t.equal(arena.words[HOLD_COUNT], 0, 'nothing is held')
}
