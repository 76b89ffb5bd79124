// Several threads on one cache: no update is lost, no value is torn, and a thread that dies at any
// moment, also inside the lock, leaves a sound cache.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { lock, lockHolder, unlock } from '../../lib/engine/arena/lock.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Crew, type Job, MAIN } from '../support/engine-crew.ts'
import { Peer } from '../support/engine-peer.ts'
import { makeValue } from '../support/engine-values.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { runs } from '../support/runs.ts'

const COUNTERS = ['n0', 'n1', 'n2', 'n3']
const SWAPPED = ['x0', 'x1', 'x2']
const VALUE_JOBS: Job[] = ['value', 'value', 'value', 'hold', 'upload', 'remove', 'append']
const ALL_JOBS: Job[] = [...VALUE_JOBS, ...VALUE_JOBS, 'upkeep']
const KILLS = runs(20, 160)
const KILL_SECONDS_MAX = runs(7, 30)
const THREADS = 3
const RECOVER_TRIES_MAX = 50
const RECOVER_AGAIN_MS = 20
const VALUES = runs(2000, 8000)
const COUNTS = runs(30_000, 80_000)

const seed = announceSeed(t)

t.test('counters and cas loops of four threads lose no update', async t => {
  const options = { memoryBytes: 16 * MIB, shards: 2 }
  const crew = new Crew(options, ['adjust', 'cas', 'cas', 'adjust'], COUNTS, 100, seed)
  for (let i = 0; i < 4; i++) await crew.start()
  crew.go()
  const reports = await crew.reports()
  for (const { failure } of reports) t.equal(failure, '')
  const sumOf = (keys: string[]) => {
    return keys.reduce((sum, key) => sum + Number(crew.peer.get(key)?.value.toString()), 0)
  }
  const adjusted = reports.reduce((sum, report) => sum + report.adjusted, 0)
  const swapped = reports.reduce((sum, report) => sum + report.swapped, 0)
  t.ok(
    adjusted > 1.25 * COUNTS && swapped > 1.25 * COUNTS,
    `${adjusted} adjusted, ${swapped} swapped`,
  )
  t.equal(sumOf(COUNTERS), adjusted)
  t.equal(sumOf(SWAPPED), swapped)
  crew.peer.verify()
})

for (const [name, options] of [
  ['large', { memoryBytes: 16 * MIB, shards: 2 }],
  ['full', { memoryBytes: 4 * MIB }],
  ['full, by worth,', { memoryBytes: 4 * MIB, eviction: 'worth' }],
] as const) {
  t.test(`values of four threads in a ${name} memory are never torn`, async t => {
    const crew = new Crew(options, ALL_JOBS, VALUES, 600_000, seed)
    for (let i = 0; i < 4; i++) await crew.start()
    crew.go()
    for (const { failure } of await crew.reports()) t.equal(failure, '')
    crew.peer.verify()
    for (const { arena } of crew.peer.cache.shards) t.equal(arena.words[L.HOLD_COUNT], 0)
  })
}

t.test('threads that die at any moment leave a sound cache', async t => {
  const random = createRandom(seed, 7)
  const jobs: Job[] = [...ALL_JOBS, 'upkeep', 'upload', 'append', 'adjust', 'cas']
  const crew = new Crew({ memoryBytes: 8 * MIB, shards: 2 }, jobs, 2 ** 30, 900_000, seed)
  const { cache } = crew.peer
  crew.go()
  for (let i = 0; i < THREADS; i++) await crew.start()
  const endMs = performance.now() + KILL_SECONDS_MAX * 1000
  let kills = 0
  let locked = 0
  let torn = 0
  while (kills < KILLS && performance.now() < endMs) {
    await sleep(random.below(30))
    const holder = random.pick([...crew.members.keys()])
    const hadLock = await crew.kill(holder)
    const resets = countResets(cache)
    const emptied = await recover(cache, holder)
    t.equal(countResets(cache) - resets, emptied)
    if (!hadLock) t.equal(emptied, 0, 'who had no lock tore nothing')
    if (!cache.isRecovered()) t.fail('something of a dead thread is left')
    crew.peer.verify()
    if (!(await crew.advances())) t.fail('a thread stands still')
    await crew.start()
    kills++
    locked += hadLock ? 1 : 0
    torn += emptied
  }
  t.comment(`${kills} threads died, ${locked} inside a lock, ${torn} arenas were torn`)
  crew.stop()
  for (const { failure } of await crew.reports()) t.equal(failure, '')
  crew.peer.verify()
  for (const { arena } of cache.shards) t.equal(arena.words[L.HOLD_COUNT], 0)
  t.ok(kills >= 5, `${kills} kills`)
})

t.test('a death inside the lock of a sound arena costs only its holds', async t => {
  const dead = new Peer(Cache.create({ memoryBytes: 4 * MIB }, 7))
  const peer = new Peer(Cache.attach(dead.cache.handle, 8))
  const { arena } = peer.cache.shards[0]
  peer.set('a', makeValue(1, 5000))
  const own = peer.hold('a')
  dead.hold('a')
  dead.begin(Mode.SET, 'b', 70_000)
  lock(arena.words, 7)
  t.equal(peer.cache.recover(7), 0)
  t.ok(peer.cache.isRecovered())
  t.equal(lockHolder(arena.words), 0)
  peer.verify()
  t.ok(peer.get('a')?.value.equals(makeValue(1, 5000)))
  t.equal(arena.words[L.HOLD_COUNT], 1)
  if (own !== undefined) t.ok(peer.read(own, 0, 5000))
})

t.test('a death inside the lock of a torn arena costs that arena', async t => {
  const dead = new Peer(Cache.create({ memoryBytes: 8 * MIB, shards: 2 }, 7))
  const peer = new Peer(Cache.attach(dead.cache.handle, 8))
  for (let i = 0; i < 500; i++) peer.set(`k${i}`, makeValue(i, 500))
  const { arena } = peer.find('k1')
  const other = peer.cache.shards.find(shard => shard.arena !== arena)?.arena
  const kept = other?.words[L.ITEM_COUNT]
  const cas = peer.get('k1')
  const own = peer.hold('k1')
  const upload = peer.begin(Mode.SET, 'k1', 9000)
  lock(arena.words, 7)
  arena.words[L.ITEM_COUNT]++
  t.equal(peer.cache.recover(7), 1)
  t.equal(arena.words[L.RESETS], 1)
  t.equal(arena.words[L.ITEM_COUNT], 0)
  t.equal(other?.words[L.ITEM_COUNT], kept, 'the other arena keeps its items')
  peer.verify()
  t.equal(peer.get('k1'), undefined)
  assert(own !== undefined && upload !== undefined)
  t.ok(peer.read(own, 0, 500).equals(makeValue(1, 500)), 'a held value is still there')
  t.equal(peer.fill(upload, makeValue(1, 100)), Status.LOST)
  t.equal(peer.commit(Mode.SET, upload), Status.LOST)
  peer.release(own)
  peer.verify()
  t.equal(peer.set('k1', makeValue(1, 500)), Status.OK)
  t.equal(peer.store(Mode.CAS, 'k1', makeValue(2, 500), cas), Status.EXISTS, 'no CAS comes again')
  t.ok(peer.hold('k1'))
  peer.verify()
})

t.test('two threads that died at once are cleaned up in either order', async t => {
  for (const order of [
    [7, 9],
    [9, 7],
  ]) {
    const peer = new Peer(Cache.create({ memoryBytes: 8 * MIB, shards: 2 }, 8))
    const [first, second] = peer.cache.shards
    lock(first.arena.words, 7)
    lock(second.arena.words, 9)
    first.arena.words[L.ITEM_COUNT]++
    const startMs = performance.now()
    const emptied = order.reduce((sum, dead) => sum + peer.cache.recover(dead), 0)
    t.equal(emptied, 1)
    t.ok(peer.cache.isRecovered())
    t.ok(performance.now() - startMs < 2000, 'without waiting for the other for long')
    for (const shard of peer.cache.shards) t.equal(lockHolder(shard.arena.words), 0)
    peer.verify()
  }
})

t.test('a thread that waits for the lock gets it once it is free', async t => {
  const crew = new Crew({ memoryBytes: 4 * MIB }, ['adjust'], 1000, 100, seed)
  const { words } = crew.peer.cache.shards[0].arena
  crew.go()
  for (let i = 0; i < 5; i++) {
    lock(words, MAIN)
    for (let j = 0; j < 4; j++) await crew.start()
    await sleep(60)
    const stepsBefore = [...crew.members.keys()].map(holder => crew.control[holder])
    t.same(stepsBefore, [0, 0, 0, 0], 'all wait')
    const startMs = performance.now()
    unlock(words)
    const reports = await crew.reports()
    t.ok(performance.now() - startMs < 2000, `all done in ${performance.now() - startMs} ms`)
    for (const { adjusted } of reports) t.ok(adjusted > 900)
    crew.members.clear()
  }
  crew.peer.verify()
})

/**
 * Cleans up after a dead thread, and again while another one holds the lock for long: the system
 * may have stopped that thread inside it. Returns how many arenas were emptied.
 */
async function recover(cache: Cache, holder: number): Promise<number> {
  let emptied = cache.recover(holder)
  for (let tries = 0; tries < RECOVER_TRIES_MAX && !cache.isRecovered(); tries++) {
    await sleep(RECOVER_AGAIN_MS)
    emptied += cache.recover()
  }
  return emptied
}

function countResets(cache: Cache): number {
  return cache.shards.reduce((sum, { arena }) => sum + arena.words[L.RESETS], 0)
}
