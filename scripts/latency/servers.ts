// Compares memslab with memcached over one connection, one server after the other: the longest get
// while many items expire at once, and how fast a full cache adapts to values of another size.

import { setTimeout as sleep } from 'node:timers/promises'
import { Caller, type Entry } from '../bench/caller.ts'
import { plainTable } from '../bench/report.ts'
import { randomFrom } from '../bench/requests.ts'
import {
  memcachedCommand,
  memslabCommand,
  type ServerSpec,
  startServer,
  stopServer,
} from '../bench/servers.ts'
import { Times } from './times.ts'

const MIB = 2 ** 20
const BATCH = 64
const EXPIRING_ITEMS = 400_000
const EXPIRY_S = 8
/** How long gets go on after the items have expired. */
const AFTER_MS = 6000
const LIVE_ITEMS = 10_000
/** The keys of the new size need this share of the memory. */
const SHARE = 0.6
/** Accesses that the hit ratio is of. */
const WINDOW = 4096
const GOOD_RATIO = 0.9
const CHANGE_MS_MAX = 60_000

interface Change {
  /** Accesses until GOOD_RATIO of the last WINDOW hit; NaN: not within CHANGE_MS_MAX. */
  accesses: number
  seconds: number
  finalRatio: number
}

export async function measureServers(memoryMib: number): Promise<string> {
  const specs: ServerSpec[] = [
    { name: 'memcached', command: memcachedCommand(), threadCount: 4, memoryMib },
    { name: 'memslab', command: memslabCommand(), threadCount: 4, memoryMib },
  ]
  const expiry = [['server', `longest get ms while ${EXPIRING_ITEMS} items expire`, 'p99.9 ms']]
  const changes = [['server', 'change', 'accesses to 90 % hits', 'seconds', 'hits at the end']]
  for (const spec of specs) {
    const times = await withCaller(spec, expireAtOnce)
    expiry.push([spec.name, times.longestMs.toFixed(2), times.percentileMs(99.9).toFixed(3)])
    for (const [from, to] of [
      [100, 10_000],
      [10_000, 100],
    ]) {
      const change = await withCaller(spec, caller => changeSize(caller, from, to, memoryMib))
      changes.push([
        spec.name,
        `${from} B to ${to} B`,
        Number.isNaN(change.accesses) ? 'never' : change.accesses.toLocaleString('en'),
        change.seconds.toFixed(1),
        `${(change.finalRatio * 100).toFixed(1)} %`,
      ])
    }
  }
  return `-m ${memoryMib}\n${plainTable(expiry)}\n\n${plainTable(changes)}`
}

async function withCaller<T>(spec: ServerSpec, work: (caller: Caller) => Promise<T>): Promise<T> {
  const server = await startServer(spec, undefined)
  const caller = await Caller.open(server.port)
  try {
    return await work(caller)
  } finally {
    caller.close()
    await stopServer(server)
  }
}

/** Single gets, one after the other, while many items expire in the same second. */
async function expireAtOnce(caller: Caller): Promise<Times> {
  for (let i = 0; i < LIVE_ITEMS; i += BATCH) await caller.set(entries(`alive${i}`, BATCH, 100, 0))
  const startMs = performance.now()
  for (let i = 0; i < EXPIRING_ITEMS; i += BATCH) {
    const ttlS = Math.ceil(EXPIRY_S - (performance.now() - startMs) / 1000)
    await caller.set(entries(`soon${i}`, BATCH, 50, Math.max(1, ttlS)))
  }
  const times = new Times()
  const untilMs = startMs + EXPIRY_S * 1000 + AFTER_MS
  const random = randomFrom(1)
  while (performance.now() < untilMs) {
    const i = Math.floor((random() * LIVE_ITEMS) / BATCH) * BATCH
    const sentMs = performance.now()
    await caller.get([`alive${i}-0`])
    times.add(performance.now() - sentMs)
  }
  return times
}

/** Fills the memory with values of `from` bytes, then gets keys and stores misses of `to` bytes. */
async function changeSize(
  caller: Caller,
  from: number,
  to: number,
  memoryMib: number,
): Promise<Change> {
  const filled = Math.ceil((memoryMib * MIB * 1.2) / (from + 70))
  for (let i = 0; i < filled; i += BATCH) await caller.set(entries(`old${i}`, BATCH, from, 0))
  await sleep(2000)
  const keys = Math.floor((memoryMib * MIB * SHARE) / (to + 70))
  const random = randomFrom(1)
  const recent: boolean[] = []
  let accesses = 0
  let hits = 0
  const startMs = performance.now()
  while (performance.now() - startMs < CHANGE_MS_MAX) {
    const asked = [...new Set(Array.from({ length: BATCH }, () => Math.floor(random() * keys)))]
    const found = await caller.get(asked.map(id => `new${id}`))
    const missed = asked.filter((_, i) => !found[i])
    if (missed.length > 0) {
      await caller.set(missed.map(id => ({ key: `new${id}`, valueBytes: to, exptime: 0 })))
    }
    accesses += asked.length
    for (const hit of found) {
      recent.push(hit)
      hits += hit ? 1 : 0
      if (recent.length > WINDOW && recent.shift()) hits--
    }
    const seconds = (performance.now() - startMs) / 1000
    const finalRatio = hits / recent.length
    if (recent.length === WINDOW && finalRatio >= GOOD_RATIO)
      return { accesses, seconds, finalRatio }
  }
  return {
    accesses: Number.NaN,
    seconds: CHANGE_MS_MAX / 1000,
    finalRatio: hits / recent.length,
  }
}

function entries(name: string, count: number, valueBytes: number, exptime: number): Entry[] {
  return Array.from({ length: count }, (_, i) => ({ key: `${name}-${i}`, valueBytes, exptime }))
}
