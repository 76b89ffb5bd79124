/**
 * The stores for tests of strategies, each a fresh cache: in process, and a pool of two servers.
 */
import root, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import type { Store } from '../../lib/doors/types.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { startDaemon } from './daemon.ts'
import { skipWithout, startOracle } from './oracle.ts'
import type { Owner, ServerProcess } from './process.ts'

/** An `onError` for tests without errors: only a store behind may meet a closed pool. */
export const loud = (error: unknown, key: string) => {
  if (!(error instanceof CacheError && error.code === 'CLOSED')) root.fail(`${key}: ${error}`)
}

type StartServer = (owner: Owner) => Promise<ServerProcess>

export interface Door {
  name: string
  skip: string | false
  /** A cache, and a second access to the same one, as from another process. */
  open(t: Test): Promise<[Store, Store]>
}

export const LOCAL: Door = {
  name: 'in process',
  skip: false,
  open: async t => {
    const cache = LocalCache.create({ memoryBytes: 16 * MIB })
    const same = LocalCache.attach(cache.handle)
    t.teardown(() => {
      cache.close()
      same.close()
    })
    return [cache, same]
  },
}

export const DOORS: readonly Door[] = [
  LOCAL,
  { name: 'a pool of memslab', skip: false, open: t => openPool(t, startDaemon) },
  {
    name: 'a pool of memcached',
    skip: skipWithout('memcached'),
    open: t => openPool(t, startOracle),
  },
]

/** The servers of a pool run until the file's tests end; each test begins with empty ones. */
const pools = new Map<StartServer, Promise<string[]>>()

async function openPool(t: Test, start: StartServer): Promise<[Store, Store]> {
  const pool = pools.get(start) ?? startPool(start)
  pools.set(start, pool)
  const servers = await pool
  const open = () => {
    const client = new ClusterClient(servers, { timeoutMs: 20_000 })
    t.teardown(() => client.close())
    return client
  }
  const [here, there] = [open(), open()]
  await here.flush()
  return [here, there]
}

async function startPool(start: StartServer): Promise<string[]> {
  const servers = await Promise.all([start(root), start(root)])
  return servers.map(({ port }) => `127.0.0.1:${port}`)
}
