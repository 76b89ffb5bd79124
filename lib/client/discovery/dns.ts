// Servers from DNS, looked up at intervals:
//
//   cache.example.net                    its addresses, each a server at one port
//   _memcache._tcp.example.net (srv)     its SRV records: names, ports and weights, of those with
//                                        the lowest priority; the others are spares
//
// Addresses are those that the system finds, in /etc/hosts, in search domains and by whatever else
// it asks; with name servers of its own a source asks these for A and AAAA records. Names of
// services are always asked of name servers, in full: the system has no search for them.
//
// A name that no longer resolves changes nothing: it is a failure like any other.

import { lookup, Resolver } from 'node:dns/promises'
import {
  checkChoice,
  checkOptions,
  checkType,
  countOption,
  numberOption,
  refuse,
  TIMER_MS_MAX,
} from '../../doors/arguments.ts'
import { DNS_INTERVAL_MS } from '../limits.ts'
import type { RingNode } from '../ring/ring.ts'
import { pollingServers } from './polling.ts'
import type { Discovery } from './source.ts'

/** Time-out of a query to a name server, and tries before it counts as failed. */
const DNS_TIMEOUT_MS = 1000
const DNS_TRIES = 2

export interface DnsOptions {
  /** Look up SRV records instead of addresses. */
  srv?: boolean
  /** Port of servers found by address. Default 11211. */
  port?: number
  /** Address family: 4, 6, or by default both. */
  family?: 4 | 6
  /** How often the name is looked up, ms. Default 30,000. */
  intervalMs?: number
  /**
   * Name servers, `address` or `address:port`. Default: addresses as the system finds them
   * (/etc/hosts, search domains), services by the system's name servers.
   */
  nameServers?: readonly string[]
}

/** A source of the servers behind a name. */
export function dnsServers(name: string, options: DnsOptions = {}): Discovery {
  const intervalMs = checkDns(name, options)
  const { srv = false, nameServers } = options
  return pollingServers(() => {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES })
    if (nameServers !== undefined) resolver.setServers(nameServers)
    return async signal => {
      const cancel = () => resolver.cancel()
      signal.addEventListener('abort', cancel, { once: true })
      try {
        if (srv) return await lookUpServices(resolver, name)
        return await (nameServers === undefined
          ? lookUpAsSystem(name, options)
          : lookUp(resolver, name, options))
      } finally {
        signal.removeEventListener('abort', cancel)
      }
    }
  }, intervalMs)
}

/** How often to look, ms. */
function checkDns(name: string, options: DnsOptions): number {
  if (typeof name !== 'string' || name === '') refuse('name', 'that of a host', name)
  checkOptions(options, NAMES)
  checkType('srv', options.srv, 'boolean')
  checkChoice('family', options.family, [4, 6])
  countOption(options, 'port', MEMCACHED_PORT, [1, PORT_MAX])
  const { nameServers } = options
  if (nameServers !== undefined && !Array.isArray(nameServers)) {
    refuse('nameServers', 'a list of addresses', nameServers)
  }
  return numberOption(options, 'intervalMs', DNS_INTERVAL_MS, [1, TIMER_MS_MAX])
}

async function lookUpAsSystem(name: string, options: DnsOptions): Promise<RingNode[]> {
  const { port = MEMCACHED_PORT, family = 0 } = options
  const found = await lookup(name, { all: true, family })
  return found.map(({ address }) => ({ host: address, port }))
}

async function lookUp(resolver: Resolver, name: string, options: DnsOptions): Promise<RingNode[]> {
  const { port = MEMCACHED_PORT, family } = options
  const asked: Promise<string[]>[] = []
  if (family !== 6) asked.push(resolver.resolve4(name))
  if (family !== 4) asked.push(resolver.resolve6(name))
  const answers = await Promise.allSettled(asked)
  // A name with records of the other family only is no failure; a failed query is.
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
  // With equal weights these are servers without a weight, as on the hash rings of other clients.
  const isWeighted = new Set(chosen.map(({ weight }) => weight)).size > 1
  return chosen.map(({ name: host, port, weight }) => {
    return isWeighted ? { host, port, weight: Math.max(1, weight) } : { host, port }
  })
}

function isEmpty(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENODATA'
}

const MEMCACHED_PORT = 11211
const PORT_MAX = 65_535
const NAMES: (keyof DnsOptions)[] = ['srv', 'port', 'family', 'intervalMs', 'nameServers']
