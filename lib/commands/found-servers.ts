// The servers of a pool where a command takes a list of them: given, or found once where clients
// find them too (`dns:NAME[:PORT]`, `srv:NAME`, `etcd:URL,...`).

import { dnsServers } from '../client/discovery/dns.ts'
import { etcdServers } from '../client/discovery/etcd.ts'
import type { Discovery } from '../client/discovery/source.ts'
import { parseServer } from '../client/members/servers.ts'
import { addressText } from '../client/nodes/connection.ts'
import type { RingNode } from '../client/ring/ring.ts'

/** How long a search may take. It goes on after failures until then. */
const SEARCH_MS_MAX = 10_000

/**
 * The servers of one `--to`, as `HOST:PORT[:WEIGHT]`. One that was found and is `own` is left out:
 * it is about to leave. Rejects with an Error of one line where none is found.
 */
export async function serversIn(text: string, own: string): Promise<string[]> {
  const source = sourceOf(text)
  if (source === undefined) return text.split(',')
  const ownAddress = addressText(parseServer(own))
  const found = (await search(source)).filter(server => addressText(server) !== ownAddress)
  if (found.length === 0) throw new Error(`${text} has no other server`)
  return found.map(server =>
    server.weight === undefined ? addressText(server) : `${addressText(server)}:${server.weight}`,
  )
}

function sourceOf(text: string): Discovery | undefined {
  const [, kind, place = ''] = /^(dns|srv|etcd):(.+)$/.exec(text) ?? []
  if (kind === 'etcd') return etcdServers(place)
  if (kind === 'srv') return dnsServers(place, { srv: true })
  if (kind === undefined) return undefined
  const [, name = place, port] = /^([^:]+):(\d+)$/.exec(place) ?? []
  return dnsServers(name, port === undefined ? {} : { port: Number(port) })
}

function search(source: Discovery): Promise<readonly RingNode[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly RingNode[]>()
  let reason = 'nobody answers'
  const stop = source.watch({
    change: resolve,
    fail: error => {
      reason = error.message
    },
  })
  const timer = setTimeout(() => reject(new Error(`no servers found: ${reason}`)), SEARCH_MS_MAX)
  return promise.finally(() => {
    clearTimeout(timer)
    stop()
  })
}
