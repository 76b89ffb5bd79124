// Servers from a configuration endpoint of ElastiCache's kind: Amazon's, a memslab, or a memcached
// in which the configuration is stored as an item. Every node of such a cluster can be asked.
//
//   config get cluster               CONFIG cluster 0 LENGTH
//                                    12                               version, + 1 at each change
//                                    host|ip|port host|ip|port        ip may be empty
//                                    (an empty line)
//                                    END
//
// Older engines answer `get AmazonElastiCache:cluster` instead. Nodes do not get a change at the
// same moment, so a version lower than the last one is used only after several answers in a row
// with it.

import { CLUSTER_BYTES_MAX } from '../../bytes/memcached.ts'
import { checkChoice, checkOptions, numberOption, TIMER_MS_MAX } from '../../doors/arguments.ts'
import { CONFIG_INTERVAL_MS } from '../limits.ts'
import { parseServer } from '../members/servers.ts'
import { type ConnectionOptions, checkAuth } from '../nodes/connection.ts'
import { talk } from '../nodes/talk.ts'
import type { RingNode } from '../ring/ring.ts'
import { pollingServers } from './polling.ts'
import type { Discovery } from './source.ts'

/** A configuration of an older version is used after this number of answers in a row. */
const CONFIG_OLDER_LOOKS = 3

/**
 * Servers asked before a lookup fails, how long each may be silent, and how long it may take.
 */
const CONFIG_ASKED_MAX = 3
const CONFIG_TIMEOUT_MS = 5000
const CONFIG_ANSWER_MS = 10_000

export interface ElastiCacheOptions extends Pick<ConnectionOptions, 'tls' | 'auth'> {
  /** How often the endpoint is asked, ms. Default 60,000. */
  intervalMs?: number
  /** Whether nodes are connected to, and named on the hash ring, by host or ip. Default host. */
  by?: 'host' | 'ip'
}

const NAMES: (keyof ElastiCacheOptions)[] = ['intervalMs', 'by', 'tls', 'auth']

export interface ClusterConfig {
  version: number
  servers: RingNode[]
}

/** A source of the servers of a configuration endpoint, `host:port`. */
export function elastiCacheServers(endpoint: string, options: ElastiCacheOptions = {}): Discovery {
  checkOptions(options, NAMES)
  checkChoice('by', options.by, ['host', 'ip'])
  checkAuth(options.auth)
  const { intervalMs } = options
  const everyMs = numberOption({ intervalMs }, 'intervalMs', CONFIG_INTERVAL_MS, [1, TIMER_MS_MAX])
  const first = parseServer(endpoint)
  return pollingServers(() => {
    let last: ClusterConfig = { version: -1, servers: [] }
    let olderLooks = 0
    return async signal => {
      const config = await askAny([first, ...last.servers], options, signal)
      const isOlder = config.version < last.version
      olderLooks = isOlder ? olderLooks + 1 : 0
      if (isOlder && olderLooks < CONFIG_OLDER_LOOKS) return undefined
      last = config
      olderLooks = 0
      return config.servers
    }
  }, everyMs)
}

/** The endpoint, then the servers that it named before. */
async function askAny(
  servers: readonly RingNode[],
  options: ElastiCacheOptions,
  signal: AbortSignal,
): Promise<ClusterConfig> {
  let failed: unknown
  for (const server of servers.slice(0, CONFIG_ASKED_MAX)) {
    try {
      return await ask(server, options, signal)
    } catch (error) {
      failed ??= error
      if (signal.aborted) break
    }
  }
  throw failed
}

async function ask(
  server: RingNode,
  options: ElastiCacheOptions,
  signal: AbortSignal,
): Promise<ClusterConfig> {
  for (const command of ['config get cluster', 'get AmazonElastiCache:cluster']) {
    const lines: string[] = []
    let bytes = 0
    // A server that sends a little from time to time is not silent, but never finishes.
    const ends = AbortSignal.any([signal, AbortSignal.timeout(CONFIG_ANSWER_MS)])
    const talking = { ...options, silenceMs: CONFIG_TIMEOUT_MS, signal: ends }
    for await (const line of talk(server, `${command}\r\n`, talking)) {
      if (line === 'END' || /^(ERROR|CLIENT_ERROR|SERVER_ERROR)\b/.test(line)) break
      lines.push(line)
      bytes += line.length
      if (bytes > CLUSTER_BYTES_MAX) throw new Error('a cluster configuration without an end')
    }
    if (lines.length > 0) return parseClusterConfig(lines.slice(1), options.by)
  }
  throw new Error(`${server.host} knows of no cluster`)
}

/** The lines of a configuration: version, nodes. Error for anything else. */
export function parseClusterConfig(
  [version = '', nodes = '']: readonly string[],
  by: 'host' | 'ip' = 'host',
): ClusterConfig {
  if (!/^\d{1,15}$/.test(version.trim())) throw new Error(`no version of a cluster: ${version}`)
  const words = nodes.split(' ').filter(word => word !== '')
  return { version: Number(version), servers: words.map(word => parseNode(word, by)) }
}

function parseNode(text: string, by: 'host' | 'ip'): RingNode {
  const [, name = '', ip = '', port] = /^([^|]*)\|([^|]*)\|(\d{1,5})$/.exec(text) ?? []
  const host = by === 'host' ? name || ip : ip || name
  if (host === '' || port === undefined) throw new Error(`no node of a cluster: ${text}`)
  return { host, port: Number(port) }
}
