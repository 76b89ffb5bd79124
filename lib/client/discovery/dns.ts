// Servers from DNS, looked up again from time to time:
//
//   cache.example.net                    its A and AAAA records, each a server at one port
//   _memcache._tcp.example.net (srv)     its SRV records: names, ports and weights, of those with
//                                        the lowest priority; the others are spares
//
// A name that no longer resolves changes nothing: it is a failure like any other.

import { Resolver } from 'node:dns/promises'
import { DNS_INTERVAL_MS } from '../limits.ts'
import type { RingNode } from '../ring/ring.ts'
import { pollingServers } from './polling.ts'
import type { Discovery } from './source.ts'

/** A question to a name server, and how often it is put before that is a failure. */
const DNS_TIMEOUT_MS = 1000
const DNS_TRIES = 2

export interface DnsOptions {
  /** Look up SRV records instead of addresses. */
  srv?: boolean
  /** Of servers found by address; default 11211. */
  port?: number
  /** Which addresses: 4, 6, or both, the default. */
  family?: 4 | 6
  /** How often the name is looked up, ms. Default 30,000. */
  intervalMs?: number
  /** Name servers, `address` or `address:port`; default: those of the system. */
  nameServers?: readonly string[]
}

/** The servers that a name stands for. */
export function dnsServers(name: string, options: DnsOptions = {}): Discovery {
  const { srv = false, intervalMs = DNS_INTERVAL_MS, nameServers } = options
  return pollingServers(() => {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES })
    if (nameServers !== undefined) resolver.setServers(nameServers)
    return async signal => {
      const cancel = () => resolver.cancel()
      signal.addEventListener('abort', cancel, { once: true })
      try {
        return await (srv ? lookUpServices(resolver, name) : lookUp(resolver, name, options))
      } finally {
        signal.removeEventListener('abort', cancel)
      }
    }
  }, intervalMs)
}

async function lookUp(resolver: Resolver, name: string, options: DnsOptions): Promise<RingNode[]> {
  const { port = MEMCACHED_PORT, family } = options
  const asked: Promise<string[]>[] = []
  if (family !== 6) asked.push(resolver.resolve4(name))
  if (family !== 4) asked.push(resolver.resolve6(name))
  const answers = await Promise.allSettled(asked)
  // A name with records of the other family alone is no failure; one that could not be asked is.
  const failed = answers.find(answer => answer.status === 'rejected' && !isEmpty(answer.reason))
  if (failed?.status === 'rejected') throw failed.reason
  const hosts = answers.flatMap(answer => (answer.status === 'fulfilled' ? answer.value : []))
  if (hosts.length === 0) throw new Error(`${name} has no addresses`)
  return hosts.map(host => ({ host, port }))
}

async function lookUpServices(resolver: Resolver, name: string): Promise<RingNode[]> {
  const records = await resolver.resolveSrv(name)
  const first = Math.min(...records.map(({ priority }) => priority))
  const chosen = records.filter(({ priority }) => priority === first)
  // Equal weights say nothing: then these are servers without one, as the ring of others has them.
  const isWeighted = new Set(chosen.map(({ weight }) => weight)).size > 1
  return chosen.map(({ name: host, port, weight }) => {
    return isWeighted ? { host, port, weight: Math.max(1, weight) } : { host, port }
  })
}

function isEmpty(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENODATA'
}

const MEMCACHED_PORT = 11211
