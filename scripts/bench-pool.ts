// `npm run bench:pool` compares the pool client's two drivers with npm's clients on one memslab
// daemon, and with ioredis on Redis where that is installed: operations per second, client CPU per
// operation, and how long the slowest hundredth of them takes. Then it freezes the daemon and shows
// how many requests the drivers and memjs accept and how much memory those take, and counts what a
// hit and a miss of cache-aside ask.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import { Histogram } from './bench/histogram.ts'
import { type Door, KINDS, type Kind, openDoor, REDIS_KIND } from './bench/pool/doors.ts'
import { startRedis } from './bench/pool/redis.ts'
import { runSelf } from './bench/pool/self.ts'
import { countRequests } from './bench/pool/strategy-requests.ts'
import { stop, stopAllOnExit } from './bench/processes.ts'
import { plainTable } from './bench/report.ts'
import { memslabCommand, type Server, startServer, stopServer } from './bench/servers.ts'

interface Case {
  name: string
  /** Loops that run side by side, each with one request at a time. */
  inFlight: number
  /** Operations that one request counts as. */
  operations: number
  ask(door: Door, i: number): Promise<unknown>
  /** Which requests count for p99. Default: all. */
  isTimed?: (i: number) => boolean
}

interface Cost {
  perSecond: number
  cpuUs: number
  p99Ms: number
}

const FROZEN_KINDS: Kind[] = ['meta', 'memjs', 'memjs alone']
const KEYS = Array.from({ length: 10_000 }, (_, i) => `key:${i}`)
const BATCH = 100
const WARMUP_S = 0.5
const FROZEN_SETS = 200_000
const MIB = 2 ** 20
const WIDE = 50
/** One get in this many is of a long value, in the mixed case. */
const LONG_SHARE = 100
const LONG_BYTES = 3 * MIB
const LONG_KEYS = ['long:0', 'long:1', 'long:2', 'long:3']

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:pool')
  .usage('$0 [options]\n\nCompares the drivers of the pool client.')
  .options({
    seconds: { type: 'number', default: 2, describe: 'Seconds that each case is measured' },
    bytes: { type: 'number', default: 100, describe: 'Bytes of a value' },
    // Set by the script itself: each driver is measured in its own process.
    kind: { type: 'string', hidden: true },
    port: { type: 'number', default: 0, hidden: true },
    frozen: { type: 'boolean', default: false, hidden: true },
  })
  .strict()
  .parse()

const value = Buffer.alloc(options.bytes, 'x')
const CASES: Case[] = [
  { name: 'get, one at a time', inFlight: 1, operations: 1, ask: get },
  { name: `get, ${WIDE} wide`, inFlight: WIDE, operations: 1, ask: get },
  {
    name: `get, ${WIDE} wide, one in ${LONG_SHARE} of 3 MiB (p99 of the others)`,
    inFlight: WIDE,
    operations: 1,
    ask: getMixed,
    isTimed: i => !isLong(i),
  },
  { name: `set, ${WIDE} wide`, inFlight: WIDE, operations: 1, ask: set },
  { name: `getMany of ${BATCH} keys`, inFlight: 1, operations: BATCH, ask: getMany },
]

if (options.kind === undefined) await compare()
else if (options.frozen) console.log(JSON.stringify(await fill(options.kind as Kind)))
else console.log(JSON.stringify(await measureAll(options.kind as Kind)))

async function compare(): Promise<void> {
  stopAllOnExit()
  const command = [...memslabCommand(), '-I', '8m']
  const server = await startServer({ name: 'memslab', command, threadCount: 1 }, undefined)
  const redis = await startRedis()
  const costs = new Map<Kind, Cost[]>()
  for (const kind of KINDS) {
    const port = kind === REDIS_KIND ? redis?.port : server.port
    if (port === undefined) console.log(`${kind}: left out, redis-server is not installed`)
    else costs.set(kind, await asChild<Cost[]>(kind, port, false))
  }
  if (redis !== undefined) await stop(redis.process)
  console.log(`values of ${options.bytes} bytes`)
  for (const [i, { name }] of CASES.entries()) {
    const rows = [...costs].map(([kind, list]) => [kind, ...cellsOf(list[i])])
    console.log(`\n${name}`)
    console.log(plainTable([['', 'operations/s', 'client CPU us', 'p99 ms'], ...rows]))
  }
  await freeze(server)
  await stopServer(server)
  console.log(`\n${await countRequests()}`)
}

async function freeze(server: Server): Promise<void> {
  process.kill(server.pid, 'SIGSTOP')
  const accepted: string[][] = []
  for (const kind of FROZEN_KINDS) {
    const { requests, bytes } = await asChild<Accepted>(kind, server.port, true)
    const memory = (bytes / MIB).toFixed(0)
    accepted.push([kind, requests.toLocaleString('en'), memory])
  }
  process.kill(server.pid, 'SIGCONT')
  console.log(`\n${FROZEN_SETS.toLocaleString('en')} sets at once to a frozen server`)
  console.log(plainTable([['', 'requests accepted', 'memory for them, MiB'], ...accepted]))
}

function asChild<T>(kind: Kind, port: number, isFrozen: boolean): Promise<T> {
  const { seconds, bytes } = options
  const args = ['--kind', kind, '--port', port, '--seconds', seconds, '--bytes', bytes]
  const line = [
    fileURLToPath(import.meta.url),
    ...args.map(String),
    ...(isFrozen ? ['--frozen'] : []),
  ]
  return runSelf<T>(line)
}

async function measureAll(kind: Kind): Promise<Cost[]> {
  const door = openDoor(kind, options.port)
  for (const key of KEYS) await door.set(key, value)
  for (const key of LONG_KEYS) await door.set(key, Buffer.alloc(LONG_BYTES, 'x'))
  const costs: Cost[] = []
  for (const one of CASES) {
    await run(door, one, WARMUP_S)
    costs.push(await run(door, one, options.seconds))
  }
  door.close()
  return costs
}

async function run(
  door: Door,
  { inFlight, operations, ask, isTimed = () => true }: Case,
  seconds: number,
): Promise<Cost> {
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  const before = process.cpuUsage()
  const times = new Histogram()
  let done = 0
  const loop = async (id: number) => {
    for (let i = id; performance.now() < endMs; i++) {
      const beganMs = performance.now()
      await ask(door, i)
      if (isTimed(i)) times.record((performance.now() - beganMs) * 1000)
      done += operations
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, id) => loop(id * 97)))
  const { user, system } = process.cpuUsage(before)
  const elapsedS = (performance.now() - startedMs) / 1000
  const p99Ms = times.percentileUs(99) / 1000
  return { perSecond: done / elapsedS, cpuUs: (user + system) / done, p99Ms }
}

interface Accepted {
  requests: number
  bytes: number
}

/** Sends FROZEN_SETS sets that are never answered: how many are accepted, and their memory. */
async function fill(kind: Kind): Promise<Accepted> {
  const door = openDoor(kind, options.port)
  const before = usedBytes()
  let refused = 0
  for (let i = 0; i < FROZEN_SETS; i++) {
    door.set(KEYS[i % KEYS.length], value).catch(() => refused++)
  }
  await sleep(1000)
  const bytes = usedBytes() - before
  const requests = FROZEN_SETS - refused
  setImmediate(() => process.exit())
  return { requests, bytes }
}

function usedBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function get(door: Door, i: number): Promise<unknown> {
  return door.get(KEYS[i % KEYS.length])
}

function getMixed(door: Door, i: number): Promise<unknown> {
  return isLong(i) ? door.get(LONG_KEYS[i % LONG_KEYS.length]) : get(door, i)
}

function isLong(i: number): boolean {
  return i % LONG_SHARE === 0
}

function set(door: Door, i: number): Promise<unknown> {
  return door.set(KEYS[i % KEYS.length], value)
}

function getMany(door: Door, i: number): Promise<unknown> {
  const start = (i * BATCH) % KEYS.length
  return door.getMany(KEYS.slice(start, start + BATCH))
}

function cellsOf({ perSecond, cpuUs, p99Ms }: Cost): string[] {
  return [Math.round(perSecond).toLocaleString('en'), cpuUs.toFixed(2), p99Ms.toFixed(2)]
}
