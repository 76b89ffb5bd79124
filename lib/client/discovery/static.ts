// A fixed list as a source, for code that needs one.

import { parseServer } from '../members/servers.ts'
import type { RingNode } from '../ring/ring.ts'
import type { Discovery } from './source.ts'

/** `host:port[:weight]`, `[ipv6]:port`, a path, or the parts of these. CacheError ARGUMENT. */
export function staticServers(servers: readonly (string | RingNode)[]): Discovery {
  const nodes = servers.map(server => (typeof server === 'string' ? parseServer(server) : server))
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
