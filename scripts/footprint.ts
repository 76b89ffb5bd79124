// `npm run bench:footprint` compares memslab and memcached in one run: the time from start to first
// answer, and resident memory at idle and, when full, beyond -m. It measures the built memslab, not
// its TypeScript, so `npm run build` comes first. Loopback only; every process that it starts ends
// with it.

import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import { Caller } from './bench/caller.ts'
import { stopAllOnExit } from './bench/processes.ts'
import { plainTable, spreadOf } from './bench/report.ts'
import {
  memcachedCommand,
  readCounter,
  type Server,
  type ServerSpec,
  startServer,
  stopServer,
  whyNot,
} from './bench/servers.ts'

const MIB = 2 ** 20
const BUILT = fileURLToPath(new URL('../dist/lib/main.js', import.meta.url))
// How often a starting server is polled: the error of a measured start.
const POLL_MS = 1
// How long a server gets, once started or filled, to finish its work in the background.
const SETTLE_MS = 3000
const VALUE_BYTES = 1000
const BATCH_ITEMS = 500

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:footprint')
  .usage('$0 [options]\n\nCompares the time to start and the memory of memslab and memcached.')
  .options({
    starts: { type: 'number', default: 9, describe: 'Starts of each server' },
    threads: { type: 'number', default: 4, describe: 'Threads of each server (-t)' },
    memory: { type: 'number', default: 256, describe: 'Memory limit of each server, MiB (-m)' },
    baseline: { type: 'string', describe: 'Command to start instead of memcached' },
    candidate: { type: 'string', describe: 'Command to start instead of memslab' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

async function main(): Promise<void> {
  stopAllOnExit()
  if (options.candidate === undefined && !existsSync(BUILT)) {
    throw new Error(`${BUILT} does not exist: run npm run build`)
  }
  const specs = [
    specOf('memcached', options.baseline, memcachedCommand()),
    specOf('memslab', options.candidate, [process.execPath, BUILT]),
  ]
  for (const { command } of specs) {
    const reason = whyNot(command)
    if (reason !== undefined) throw new Error(reason)
  }
  const starts = await measureStarts(specs)
  const rows = [['server', 'start ms', 'idle MiB', 'idle private MiB', 'full, beyond -m MiB']]
  for (const [index, spec] of specs.entries()) {
    const { median, min, max } = spreadOf(starts[index])
    const start = `${median.toFixed(0)} (${min.toFixed(0)}..${max.toFixed(0)})`
    rows.push([spec.name, start, ...(await measureMemory(spec))])
  }
  console.log(plainTable(rows))
  console.log(
    `\n-t ${options.threads}, -m ${options.memory}. start: from the command to its first answer, ` +
      `median of ${options.starts}\n` +
      '(min..max), servers in turns. Memory is resident; private is without pages of files, which\n' +
      'processes can share.',
  )
}

function specOf(name: string, given: string | undefined, usual: string[]): ServerSpec {
  const command = given === undefined ? usual : given.split(/\s+/).filter(word => word !== '')
  return { name, command, threadCount: options.threads, memoryMib: options.memory }
}

async function measureStarts(specs: readonly ServerSpec[]): Promise<number[][]> {
  const startsMs: number[][] = specs.map(() => [])
  for (let round = 0; round < options.starts; round++) {
    for (const [index, spec] of specs.entries()) {
      const server = await startServer(spec, { pollMs: POLL_MS })
      startsMs[index].push(server.startMs)
      await stopServer(server)
    }
  }
  return startsMs
}

async function measureMemory(spec: ServerSpec): Promise<string[]> {
  const server = await startServer(spec)
  try {
    await sleep(SETTLE_MS)
    const idle = memoryOf(server)
    await fill(server)
    await sleep(SETTLE_MS)
    const beyond = memoryOf(server).resident - options.memory * MIB
    return [idle.resident, idle.own, beyond].map(bytes => (bytes / MIB).toFixed(1))
  } finally {
    await stopServer(server)
  }
}

// Sets 1.5 times the memory limit, so that the server evicts and has taken all memory it will take.
async function fill(server: Server): Promise<void> {
  const caller = await Caller.open(server.port)
  const batchesAtFull = (options.memory * MIB) / (BATCH_ITEMS * VALUE_BYTES)
  try {
    for (let batch = 0; batch < batchesAtFull * 1.5; batch++) await store(caller, batch)
    if ((await readCounter(server, 'evictions')) === 0) {
      throw new Error(`${server.name} evicted nothing after ${options.memory * 1.5} MiB of sets`)
    }
  } finally {
    caller.close()
  }
}

async function store(caller: Caller, batch: number): Promise<void> {
  const entries = Array.from({ length: BATCH_ITEMS }, (_, i) => ({
    key: `key:${batch * BATCH_ITEMS + i}`,
    valueBytes: VALUE_BYTES,
    exptime: 0,
  }))
  await caller.set(entries)
}

function memoryOf({ pid }: Server): { resident: number; own: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const bytesOf = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024
  return { resident: bytesOf('VmRSS'), own: bytesOf('RssAnon') + bytesOf('RssShmem') }
}

main().catch((error: Error) => {
  console.error(`bench:footprint: ${error.message}`)
  process.exit(1)
})
