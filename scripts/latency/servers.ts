// The longest request of a peer, and how soon a full cache is one of another size, beside
// memcached: the same over one connection, one server after the other.

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
const ENDING = 400_000
const ENDS_S = 4
/** How long gets go on once the items have ended. */
const AFTER_MS = 6000
const LASTING = 10_000
/** The keys of the new size have this share of the memory. */
const SHARE = 0.6
const WINDOW = 4096
const GOOD_RATIO = 0.9
const CHANGE_MS_MAX = 60_000

interface Change {
  /** Accesses, and seconds, until nine in ten were hits; NaN: never in CHANGE_MS_MAX. */
  accesses: number
  seconds: number
  finalRatio: number
}

export async function measureServers(memoryMib: number): Promise<string> {
  const specs: ServerSpec[] = [
    { name: 'memcached', command: memcachedCommand(), threadCount: 4, memoryMib },
    { name: 'memslab', command: memslabCommand(), threadCount: 4, memoryMib },
  ]
  const expiry = [['server', `longest get ms while ${ENDING} items end`, 'p99.9 ms']]
  const changes = [['server', 'change', 'accesses to 90 % hits', 'seconds', 'hits at the end']]
  for (const spec of specs) {
    const times = await withCaller(spec, endAtOnce)
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

/** Single gets, one after the other, while many items end in the same second. */
async function endAtOnce(caller: Caller): Promise<Times> {
  for (let i = 0; i < LASTING; i += BATCH) await caller.set(entries(`lasts${i}`, BATCH, 100, 0))
  const startMs = performance.now()
  for (let i = 0; i < ENDING; i += BATCH) {
    const left = Math.ceil(ENDS_S + 4 - (performance.now() - startMs) / 1000)
    await caller.set(entries(`ends${i}`, BATCH, 50, Math.max(1, left)))
  }
  const times = new Times()
  const untilMs = startMs + (ENDS_S + 4) * 1000 + AFTER_MS
  const random = randomFrom(1)
  while (performance.now() < untilMs) {
    const i = Math.floor((random() * LASTING) / BATCH) * BATCH
    const sentMs = performance.now()
    await caller.get([`lasts${i}-0`])
    times.add(performance.now() - sentMs)
  }
  return times
}

/** Fills the memory with one size, then asks for keys of another, and stores what is missed. */
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
