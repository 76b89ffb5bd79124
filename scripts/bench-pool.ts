// `npm run bench:pool` compares the pool client's two drivers and plain memjs against one memslab
// daemon: operations per second and client CPU per operation. Then it freezes the server and shows
// how many requests each accepts and how much memory those take.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import { type Door, type Kind, openDoor } from './bench/pool/doors.ts'
import { runSelf } from './bench/pool/self.ts'
import { stopAllOnExit } from './bench/processes.ts'
import { plainTable } from './bench/report.ts'
import { memslabCommand, type Server, startServer, stopServer } from './bench/servers.ts'

interface Case {
  name: string
  /** Loops that run side by side, each with one request at a time. */
  inFlight: number
  /** Operations that one request counts as. */
  operations: number
  ask(door: Door, i: number): Promise<unknown>
}

interface Cost {
  perSecond: number
  cpuUs: number
}

const KINDS: Kind[] = ['meta', 'memjs', 'memjs alone']
const KEYS = Array.from({ length: 10_000 }, (_, i) => `key:${i}`)
const BATCH = 100
const WARMUP_S = 0.5
const FROZEN_SETS = 200_000
const MIB = 2 ** 20

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
  { name: 'get, 64 in flight', inFlight: 64, operations: 1, ask: get },
  { name: 'set, 64 in flight', inFlight: 64, operations: 1, ask: set },
  { name: `getMany of ${BATCH} keys`, inFlight: 1, operations: BATCH, ask: getMany },
]

if (options.kind === undefined) await compare()
else if (options.frozen) console.log(JSON.stringify(await fill(options.kind as Kind)))
else console.log(JSON.stringify(await measureAll(options.kind as Kind)))

async function compare(): Promise<void> {
  stopAllOnExit()
  const spec = { name: 'memslab', command: memslabCommand(), threadCount: 1 }
  const server = await startServer(spec, undefined)
  const columns: Cost[][] = []
  for (const kind of KINDS) columns.push(await asChild<Cost[]>(kind, server, false))
  const head = ['', ...KINDS.flatMap(kind => [`${kind}: operations/s`, 'client CPU us'])]
  const rows = CASES.map(({ name }, i) => [name, ...columns.flatMap(costs => cellsOf(costs[i]))])
  console.log(`values of ${options.bytes} bytes, one connection`)
  console.log(plainTable([head, ...rows]))

  process.kill(server.pid, 'SIGSTOP')
  const accepted: string[][] = []
  for (const kind of KINDS) {
    const { requests, bytes } = await asChild<Accepted>(kind, server, true)
    const memory = (bytes / MIB).toFixed(0)
    accepted.push([kind, requests.toLocaleString('en'), memory])
  }
  process.kill(server.pid, 'SIGCONT')
  await stopServer(server)
  console.log(`\n${FROZEN_SETS.toLocaleString('en')} sets at once to a frozen server`)
  console.log(plainTable([['', 'requests accepted', 'memory for them, MiB'], ...accepted]))
}

function asChild<T>(kind: Kind, server: Server, isFrozen: boolean): Promise<T> {
  const { seconds, bytes } = options
  const args = ['--kind', kind, '--port', server.port, '--seconds', seconds, '--bytes', bytes]
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
  { inFlight, operations, ask }: Case,
  seconds: number,
): Promise<Cost> {
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  const before = process.cpuUsage()
  let done = 0
  const loop = async (id: number) => {
    for (let i = id; performance.now() < endMs; i++) {
      await ask(door, i)
      done += operations
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, id) => loop(id * 97)))
  const { user, system } = process.cpuUsage(before)
  const elapsedS = (performance.now() - startedMs) / 1000
  return { perSecond: done / elapsedS, cpuUs: (user + system) / done }
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

function set(door: Door, i: number): Promise<unknown> {
  return door.set(KEYS[i % KEYS.length], value)
}

function getMany(door: Door, i: number): Promise<unknown> {
  const start = (i * BATCH) % KEYS.length
  return door.getMany(KEYS.slice(start, start + BATCH))
}

function cellsOf({ perSecond, cpuUs }: Cost): string[] {
  return [Math.round(perSecond).toLocaleString('en'), cpuUs.toFixed(2)]
}
