// How many requests, and how many waits for an answer, a value costs through cache-aside: on one
// server, and on several, where a claim may be on another server than its key.

import { ClusterClient } from '../../../lib/client/index.ts'
import { CacheAside } from '../../../lib/strategies/index.ts'
import { plainTable } from '../report.ts'
import { memslabCommand, type Server, startServer, stopServer } from '../servers.ts'
import { RequestCounter } from './request-counter.ts'

const SERVER_COUNTS = [1, 3]
const KEYS = Array.from({ length: 100 }, (_, i) => `counted:${i}`)
const TIMEOUT_MS = 20_000

type Run = (aside: CacheAside) => Promise<void>

/** Each asks for all keys. */
const RUNS: [name: string, run: Run][] = [
  ['CacheAside.get, miss', aside => each(key => aside.get(key))],
  ['getOrSet, miss', aside => each(key => aside.getOrSet(key, () => key), aside)],
  ['CacheAside.get, hit', aside => each(key => aside.get(key))],
  ['getOrSet, hit', aside => each(key => aside.getOrSet(key, () => key), aside)],
  ['CacheAside.set', aside => each(key => aside.set(key, key))],
  ['CacheAside.delete', aside => each(key => aside.delete(key))],
  [`getOrSetMany of ${KEYS.length}, miss`, many],
  [`getOrSetMany of ${KEYS.length}, hit`, many],
]

/** A table for each number of servers. */
export async function countRequests(): Promise<string> {
  const tables: string[] = []
  for (const count of SERVER_COUNTS) {
    const servers = await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const target = { name: `memslab ${i}`, command: memslabCommand(), threadCount: 1 }
        return startServer(target, undefined)
      }),
    )
    tables.push(`cache-aside on ${count} server${count > 1 ? 's' : ''}\n${await tableOf(servers)}`)
    for (const server of servers) await stopServer(server)
  }
  return tables.join('\n\n')
}

async function tableOf(servers: readonly Server[]): Promise<string> {
  const counter = await RequestCounter.open(servers.map(({ port }) => port))
  const pool = new ClusterClient(counter.names, { timeoutMs: TIMEOUT_MS })
  const aside = new CacheAside(pool, { ttlS: 600 })
  // Connections open, and learn once which life their server is in.
  for (const key of KEYS) await aside.getOrSet(`first:${key}`, () => key)
  await aside.settled()
  const rows: string[][] = []
  for (const [name, run] of RUNS) {
    counter.reset()
    await run(aside)
    await aside.settled()
    const { requests, roundTrips } = counter
    const waits = run === many ? `${roundTrips} for all` : `${roundTrips / KEYS.length}`
    rows.push([name, `${requests / KEYS.length}`, waits])
  }
  await pool.close()
  counter.close()
  return plainTable([['', 'requests a key', 'round trips'], ...rows])
}

/** One key after the other; what is left to do behind a call is done before the next one. */
async function each(call: (key: string) => Promise<unknown>, aside?: CacheAside): Promise<void> {
  for (const key of KEYS) {
    await call(key)
    await aside?.settled()
  }
}

async function many(aside: CacheAside): Promise<void> {
  await aside.getOrSetMany(KEYS, missing => new Map(missing.map(key => [key, key])))
}
