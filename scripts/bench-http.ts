// `npm run bench:http`: a small HTTP API over SQLite, without a cache, with a memslab daemon as its
// pool, and with a cache in process. First random pages are requested, then 500 clients request one
// uncached page at the same time. Loopback only; every process that it starts ends with it.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import yargs from 'yargs'
import type { Mode } from './bench/http/api.ts'
import { CATEGORIES, createDatabase } from './bench/http/database.ts'
import { start, stop, stopAllOnExit } from './bench/processes.ts'
import { plainTable } from './bench/report.ts'
import { memslabCommand, startServer, stopServer } from './bench/servers.ts'

const CHILD = fileURLToPath(new URL('./bench/http/child.ts', import.meta.url))
/** The last category is not requested before the stampede, so it is not cached. */
const COLD = CATEGORIES - 1
const CLIENTS = 500
const HOST = '127.0.0.1'
const TIMEOUT_S = 60
const SETTLE_MS = 200

const MODES: { mode: Mode; name: string }[] = [
  { mode: 'none', name: 'no cache' },
  { mode: 'pool', name: 'memslab, pool of one daemon' },
  { mode: 'local', name: 'memslab, in process' },
]

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:http')
  .usage('$0 [options]\n\nMeasures a small HTTP API over SQLite with and without a cache.')
  .options({
    seconds: { type: 'number', default: 5, describe: 'Seconds that each case is measured' },
    connections: { type: 'number', default: 50, describe: 'Connections of the load' },
  })
  .strict()
  .parse()

stopAllOnExit()
const folder = mkdtempSync(join(tmpdir(), 'memslab-http-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const databasePath = join(folder, 'shop.sqlite')
createDatabase(databasePath)
const rows: string[][] = []
for (const { mode, name } of MODES) rows.push([name, ...(await measure(mode))])
console.log(
  plainTable([
    ['', 'requests/s', 'p99 ms', 'queries', `queries when ${CLIENTS} clients miss one key`],
    ...rows,
  ]),
)

async function measure(mode: Mode): Promise<string[]> {
  const spec = { name: 'memslab', command: memslabCommand(), threadCount: 1, memoryMib: 64 }
  const server = mode === 'pool' ? await startServer(spec, undefined) : undefined
  const servers = server === undefined ? [] : [`${HOST}:${server.port}`]
  const command = [process.execPath, CHILD, mode, databasePath, ...servers]
  const api = start(command, undefined, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [port] = (await once(api, 'message')) as [number]
  const load = await autocannon({
    url: `http://${HOST}:${port}`,
    connections: options.connections,
    duration: options.seconds,
    timeout: TIMEOUT_S,
    requests: [{ setupRequest: request => ({ ...request, path: randomPath() }) }],
  })
  const queries = await settledQueriesOf(api)
  const herd = await autocannon({
    url: `http://${HOST}:${port}/top/${COLD}`,
    connections: CLIENTS,
    amount: CLIENTS,
    timeout: TIMEOUT_S,
  })
  const herdQueries = (await settledQueriesOf(api)) - queries
  await stop(api)
  if (server !== undefined) await stopServer(server)
  const failed = load.errors + load.non2xx + herd.errors + herd.non2xx
  if (failed > 0) throw new Error(`${failed} requests failed`)
  const { requests, latency } = load
  return [requests.average.toFixed(0), latency.p99.toFixed(1), String(queries), String(herdQueries)]
}

function randomPath(): string {
  return `/top/${Math.floor(Math.random() * COLD)}`
}

/** Queries once they stop growing: when the load ends, some of its requests are still running. */
async function settledQueriesOf(api: ChildProcess): Promise<number> {
  for (let seen = await queriesOf(api); ; ) {
    await sleep(SETTLE_MS)
    const now = await queriesOf(api)
    if (now === seen) return now
    seen = now
  }
}

async function queriesOf(api: ChildProcess): Promise<number> {
  const answer = once(api, 'message')
  api.send('queries')
  const [queries] = (await answer) as [number]
  return queries
}
