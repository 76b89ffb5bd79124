// The HTTP example: an API with one route, `/top/CATEGORY`, over a real database, without a cache,
// with a pool of cache servers, or with a cache in process. One line uses the cache: getOrSet.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { ClusterClient } from '../../../lib/client/index.ts'
import { LocalCache } from '../../../lib/index.ts'
import { CacheAside } from '../../../lib/strategies/index.ts'
import { Database, type Earner } from './database.ts'

export type Mode = 'none' | 'pool' | 'local'

export interface Api {
  port: number
  /** Database queries so far. */
  queries(): number
  close(): void
}

const MIB = 2 ** 20
const LOCAL_BYTES = 64 * MIB
const FRESH_S = 60
const POOL_TIMEOUT_MS = 10_000
const TOP_PATH = /^\/top\/(\d+)$/

/** Serves on a free loopback port. `servers` are the pool's, used in mode `pool`. */
export async function startApi(
  mode: Mode,
  databasePath: string,
  servers: readonly string[],
): Promise<Api> {
  const database = new Database(databasePath)
  const cache = openCache(mode, servers)
  const aside = cache && new CacheAside(cache, { ttlS: FRESH_S, staleS: FRESH_S })
  const find = async (category: number): Promise<Earner[]> =>
    aside === undefined
      ? database.topOf(category)
      : aside.getOrSet(`top:${category}`, () => database.topOf(category))
  const server = serve(find)
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 })
  await once(server, 'listening')
  return {
    port: portOf(server),
    queries: () => database.queries,
    close: () => {
      server.closeAllConnections()
      server.close()
      cache?.close()
      database.close()
    },
  }
}

function openCache(mode: Mode, servers: readonly string[]) {
  if (mode === 'pool') return new ClusterClient(servers, { timeoutMs: POOL_TIMEOUT_MS })
  return mode === 'local' ? LocalCache.create({ memoryBytes: LOCAL_BYTES }) : undefined
}

function serve(find: (category: number) => Promise<Earner[]>): Server {
  return createServer((request, response) => {
    const [, category] = TOP_PATH.exec(request.url ?? '') ?? []
    if (category === undefined) {
      response.writeHead(404).end()
      return
    }
    find(Number(category)).then(
      top => response.setHeader('content-type', 'application/json').end(JSON.stringify(top)),
      error => response.writeHead(500).end(String(error)),
    )
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP port')
  return address.port
}
