/** Pools of real servers with one thread each, and a client for each pool. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../lib/client/cluster-options.ts'
import { startDaemon, startDaemonOn } from './daemon.ts'
import { skipWithout, startOracle, startOracleOn } from './oracle.ts'
import { HOST, type Owner, type ServerProcess } from './process.ts'

export interface PoolKind {
  name: string
  driver: 'meta' | 'memjs'
  start: typeof startDaemon
  /** Restarts a killed one on its port. */
  startOn: typeof startDaemonOn
  isMemslab: boolean
  skip: string | false
}

export interface Pool {
  client: ClusterClient
  servers: ServerProcess[]
}

export const ONE_THREAD = ['-t', '1']

const memslab = {
  start: startDaemon,
  startOn: startDaemonOn,
  isMemslab: true,
  skip: false as const,
}
const memcached = {
  start: startOracle,
  startOn: startOracleOn,
  isMemslab: false,
  skip: skipWithout('memcached'),
}

export const POOL_KINDS: PoolKind[] = (['meta', 'memjs'] as const).flatMap(driver => [
  { name: `memslab, ${driver}`, driver, ...memslab },
  { name: `memcached, ${driver}`, driver, ...memcached },
])

export async function startPool(
  owner: Owner,
  { start, driver }: PoolKind,
  count: number,
  options: ClusterOptions = {},
): Promise<Pool> {
  const servers = await Promise.all(Array.from({ length: count }, () => start(owner, ONE_THREAD)))
  const names = servers.map(({ port }) => `${HOST}:${port}`)
  const client = new ClusterClient(names, { driver, timeoutMs: 20_000, ...options })
  owner.teardown(() => client.close())
  return { client, servers }
}

export async function untilTrue(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await isTrue()) return
    await sleep(50)
  }
  throw new Error(`not in time: ${what}`)
}
