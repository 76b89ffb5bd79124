// `npm run bench:local` compares a LocalCache that four threads share, lru-cache with a cache in
// each thread, and memjs to a memslab daemon over loopback. Each case runs in its own process;
// every process that it starts ends with it.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import type { Kind } from './bench/local/caches.ts'
import type { Outcome } from './bench/local/child.ts'
import type { Task } from './bench/local/thread.ts'
import { start, stopAllOnExit } from './bench/processes.ts'
import { plainTable } from './bench/report.ts'
import { memslabCommand, startServer, stopServer } from './bench/servers.ts'

const MIB = 2 ** 20
const CHILD = fileURLToPath(new URL('./bench/local/child.ts', import.meta.url))

const CASES: { kind: Kind; name: string }[] = [
  { kind: 'local', name: 'LocalCache, shared by all threads' },
  { kind: 'lru', name: 'lru-cache, one per thread' },
  { kind: 'memjs', name: 'memjs to a memslab daemon' },
]

const HEAD = [
  '',
  'operations/s per thread',
  'CPU us per operation',
  'hits %',
  'memory MiB',
  'longest GC pause ms',
]

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:local')
  .usage('$0 [options]\n\nCompares caches for the threads of one Node.js process.')
  .options({
    threads: { type: 'number', default: 4, describe: 'Threads that use the cache' },
    items: { type: 'number', default: 200_000, describe: 'Items in the cache that a thread sees' },
    bytes: { type: 'number', default: 400, describe: 'Bytes of a value' },
    sets: { type: 'number', default: 0.1, describe: 'Share of sets among the operations' },
    seconds: { type: 'number', default: 3, describe: 'Seconds that each case is measured' },
  })
  .strict()
  .parse()

stopAllOnExit()
const rows: string[][] = []
for (const { kind, name } of CASES) rows.push([name, ...(await measure(kind))])
console.log(
  `${options.items} items of ${options.bytes} bytes, ${options.threads} threads, ` +
    `${options.sets * 100} % sets`,
)
console.log(plainTable([HEAD, ...rows]))

async function measure(kind: Kind): Promise<string[]> {
  const spec = { name: 'memslab', command: memslabCommand(), threadCount: 1 }
  const server = kind === 'memjs' ? await startServer(spec, undefined) : undefined
  const residentBefore = server === undefined ? 0 : residentBytesOf(server.pid)
  const { threads, cpuUs, residentBytes } = await run(kind, server?.port)
  const rates = threads.map(({ operations, seconds }) => operations / seconds)
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
  const hits = sum(threads.map(({ hits }) => hits)) / sum(threads.map(({ gets }) => gets))
  const served = server === undefined ? 0 : residentBytesOf(server.pid) - residentBefore
  if (server !== undefined) await stopServer(server)
  const longestGcMs = Math.max(...threads.map(thread => thread.longestGcMs))
  return [
    Math.round(sum(rates) / rates.length).toLocaleString('en'),
    (cpuUs / sum(threads.map(({ operations }) => operations))).toFixed(2),
    (100 * hits).toFixed(1),
    ((residentBytes + served) / MIB).toFixed(0),
    longestGcMs.toFixed(1),
  ]
}

async function run(kind: Kind, port: number | undefined): Promise<Outcome> {
  const { threads, items, bytes: valueBytes, sets: setShare, seconds } = options
  const task: Task = { kind, thread: 0, threads, items, valueBytes, setShare, seconds, port }
  const command = [process.execPath, CHILD, JSON.stringify(task)]
  const child = start(command, undefined, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout?.on('data', part => {
    text += part
  })
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`${kind}: exit code ${child.exitCode}`)
  return JSON.parse(text) as Outcome
}

function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}
