// `npm run bench:elasticity`: the hit ratio while a loaded pool grows from 3 servers to 4 and
// shrinks again, without and with warm-up. An application requests at a steady rate and stores what
// misses. Each row is one second, ready to plot. Loopback only; every process that it starts ends
// with it.
//
//   without   the servers change and the client follows, as every memcached client does
//   with      a miss is fetched from the key's previous owner; a server that leaves is drained

import { setTimeout as sleep } from 'node:timers/promises'
import yargs from 'yargs'
import { ClusterClient } from '../lib/client/cluster.ts'
import { drain } from '../lib/client/drain/drain.ts'
import { PoolLoad, type Tally } from './bench/pool-load.ts'
import { stopAllOnExit } from './bench/processes.ts'
import { plainTable } from './bench/report.ts'
import {
  memcachedCommand,
  memslabCommand,
  type Server,
  startServer,
  stopServer,
  whyNot,
} from './bench/servers.ts'

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:elasticity')
  .usage('$0 [options]\n\nHit ratio, second by second, while a pool grows and shrinks.')
  .options({
    server: {
      choices: ['memslab', 'memcached'] as const,
      default: 'memslab' as const,
      describe: 'What the servers are',
    },
    keys: { type: 'number', default: 40_000, describe: 'Items of the application' },
    rate: { type: 'number', default: 4000, describe: 'Requests per second' },
    writes: { type: 'number', default: 0.02, describe: 'Share of requests that change an item' },
    bytes: { type: 'number', default: 200, describe: 'Bytes of a value' },
    grow: { type: 'number', default: 3, describe: 'Second at which the fourth server joins' },
    shrink: { type: 'number', default: 13, describe: 'Second at which it leaves' },
    seconds: { type: 'number', default: 23, describe: 'Seconds of each run' },
    csv: { type: 'boolean', default: false, describe: 'Print comma-separated values' },
  })
  .strictOptions()
  .help()
  .version(false)
  .parseAsync()

interface Row extends Tally {
  servers: number
}

const HOST = '127.0.0.1'
const IN_FLIGHT = 32
const THREADS = 1

async function main(): Promise<void> {
  stopAllOnExit()
  const [cold, warm] = [await run(false), await run(true)]
  const head = ['second', 'servers', 'hits without', 'hits with', 'stale without', 'stale with']
  const rows = warm.map((row, second) => [
    String(second),
    String(row.servers),
    ratioOf(cold[second]),
    ratioOf(row),
    String(cold[second].stale),
    String(row.stale),
  ])
  const table = [head, ...rows]
  console.log(options.csv ? table.map(row => row.join(',')).join('\n') : plainTable(table))
  console.error(`misses: ${missesOf(cold)} without, ${missesOf(warm)} with`)
}

/** One run: a row for each second. */
async function run(isWarm: boolean): Promise<Row[]> {
  const command = options.server === 'memslab' ? memslabCommand() : memcachedCommand()
  const reason = whyNot(command)
  if (reason !== undefined) throw new Error(reason)
  const spec = { name: options.server, command, threadCount: THREADS, memoryMib: 64 }
  const servers = await Promise.all([0, 1, 2, 3].map(() => startServer(spec, undefined)))
  const all = servers.map(({ port }) => `${HOST}:${port}`)
  const three = all.slice(0, 3)
  const client = new ClusterClient(three, { timeoutMs: 5000, ...(!isWarm && { warmupMs: 0 }) })
  const load = new PoolLoad(client, {
    keys: options.keys,
    writeShare: options.writes,
    valueBytes: options.bytes,
    inFlight: IN_FLIGHT,
    random: Math.random,
  })
  await load.fill()
  const end = new AbortController()
  const running = load.runAt(options.rate, end.signal)
  const rows: Row[] = []
  let leaving: Promise<void> = Promise.resolve()
  for (let second = 0; second < options.seconds; second++) {
    if (second === options.grow) client.setMembers(all)
    if (second === options.shrink) {
      client.setMembers(three)
      leaving = leave(servers[3], three, isWarm)
    }
    await sleep(1000)
    rows.push({ servers: client.servers().length, ...load.take() })
  }
  end.abort()
  await Promise.all([running, leaving])
  client.close()
  await Promise.all(servers.map(stopServer))
  return rows
}

async function leave(server: Server, to: readonly string[], isWarm: boolean): Promise<void> {
  if (isWarm) {
    const startedMs = performance.now()
    const { moved } = await drain(`${HOST}:${server.port}`, to)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    console.error(`${moved} items drained in ${seconds} s`)
  }
  await stopServer(server)
}

function ratioOf({ gets, hits }: Tally): string {
  return gets === 0 ? '' : (hits / gets).toFixed(4)
}

function missesOf(rows: readonly Row[]): number {
  return rows.reduce((sum, { gets, hits }) => sum + gets - hits, 0)
}

await main()
