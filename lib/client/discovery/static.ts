// A fixed list as a source, for code that needs one.

import { refuse } from '../../doors/arguments.ts'
import { parseServer } from '../members/servers.ts'
import { checkNode, type RingNode } from '../ring/ring.ts'
import type { Discovery } from './source.ts'

/** `host:port[:weight]`, `[ipv6]:port`, a path, or the parts of these. CacheError ARGUMENT. */
export function staticServers(servers: readonly (string | RingNode)[]): Discovery {
  if (!Array.isArray(servers)) refuse('servers', 'a list of servers', servers)
  const nodes = servers.map(server => (typeof server === 'string' ? parseServer(server) : server))
  for (const node of nodes) checkNode(node)
  return {
    watch(observer) {
      let isStopped = false
      queueMicrotask(() => {
        if (!isStopped) observer.change(nodes)
      })
      return () => {
        isStopped = true
      }
    },
  }
}
