// Servers as text.

import { refuse, shown } from '../../doors/arguments.ts'
import { CacheError } from '../../doors/errors.ts'
import type { RingNode } from '../ring/ring.ts'

/** `host:port`, `host:port:weight`, `[ipv6]:port`, or the path of a UNIX socket. ARGUMENT. */
export function parseServer(text: string): RingNode {
  if (typeof text !== 'string') refuse('server', 'a text as host:port', text)
  if (text.startsWith('/')) return { host: text }
  const [, bracketed, plain, port, weight] = SERVER.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) {
    throw new CacheError('ARGUMENT', `not a server: ${shown(text).slice(1, -1)}`)
  }
  const node: RingNode = { host, port: port === undefined ? MEMCACHED_PORT : Number(port) }
  return weight === undefined ? node : { ...node, weight: Number(weight) }
}

const SERVER = /^(?:\[([^\]]+)\]|([^:\s[\]]+))(?::(\d{1,5})(?::(\d+))?)?$/
const MEMCACHED_PORT = 11211
