// Servers from etcd, where daemons started with --etcd register. The list is fetched, and fetched
// again as soon as etcd reports a change after it. While etcd is away the last list stays.

import { checkOptions, checkType, refuse, shown } from '../../doors/arguments.ts'
import { CacheError } from '../../doors/errors.ts'
import { EtcdGateway } from '../../etcd/gateway.ts'
import { ETCD_PREFIX, ETCD_REST_MS } from '../../etcd/limits.ts'
import { DISCOVERY_RETRY_MS } from '../limits.ts'
import { parseServer } from '../members/servers.ts'
import { checkNode, type RingNode } from '../ring/ring.ts'
import { pollingServers } from './polling.ts'
import type { Discovery } from './source.ts'

/** How long one watch lasts before the list is fetched again. */
const ETCD_WATCH_MS = 60_000

export interface EtcdOptions {
  /** Prefix of the keys. Default `/memslab/`. */
  prefix?: string
}

/** `endpoints`: `http://[user:password@]host:port` each. CacheError ARGUMENT. */
export function etcdServers(
  endpoints: string | readonly string[],
  options: EtcdOptions = {},
): Discovery {
  checkOptions(options, ['prefix'])
  const { prefix = ETCD_PREFIX } = options
  checkType('prefix', prefix, 'string')
  const isList = typeof endpoints === 'string' || Array.isArray(endpoints)
  if (!isList) refuse('endpoints', 'URLs', endpoints)
  const urls = typeof endpoints === 'string' ? endpoints.split(',') : endpoints
  const etcd = gatewayAt(urls)
  const begin = () => {
    let seen: bigint | undefined
    return async (signal: AbortSignal, note: (error: Error) => void) => {
      const since = seen
      // Without the current list nothing is known, so after a failure it is fetched first.
      seen = undefined
      if (since !== undefined) await etcd.change(prefix, since, ETCD_WATCH_MS, signal)
      const { values, revision } = await etcd.list(prefix, signal)
      seen = revision
      return serversOf(values, note)
    }
  }
  return pollingServers(begin, ETCD_REST_MS, DISCOVERY_RETRY_MS)
}

/** An entry that names no server is left out: the others are no worse for it. */
function serversOf(values: readonly string[], note: (error: Error) => void): RingNode[] {
  return values.flatMap(value => {
    try {
      const server = parseServer(value)
      checkNode(server)
      return [server]
    } catch (error) {
      note(new Error(`an entry in etcd was left out: ${shown(value)}`, { cause: error }))
      return []
    }
  })
}

function gatewayAt(urls: readonly string[]): EtcdGateway {
  try {
    return new EtcdGateway(urls)
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    throw new CacheError('ARGUMENT', words, { cause: error })
  }
}
