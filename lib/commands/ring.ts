// `memslab ring HOST:PORT[:WEIGHT]...`: which server of a pool owns a key. Reads keys from standard
// input, one per line, and prints the owner of each.

import { createInterface } from 'node:readline'
import { parseServer } from '../client/members/servers.ts'
import { addressText } from '../client/nodes/connection.ts'
import { createRing, ownerOf } from '../client/ring/ring.ts'

const USAGE = `usage: memslab ring HOST:PORT[:WEIGHT]... < keys
prints, for each key on a line of its own, the server of the pool that owns it,
as libmemcached's weighted ketama and twemproxy with hash md5 choose it`

/** Prints owners until the input ends. Returns the exit code. */
export async function tellOwners(servers: readonly string[]): Promise<number> {
  if (servers.length === 0 || servers.some(server => server.startsWith('-'))) {
    process.stderr.write(`${USAGE}\n`)
    return servers.includes('-h') || servers.includes('--help') ? 0 : 64
  }
  try {
    const nodes = servers.map(parseServer)
    const names = nodes.map(addressText)
    const ring = createRing(nodes)
    for await (const key of createInterface({ input: process.stdin })) {
      process.stdout.write(`${names[ownerOf(ring, key)]}\n`)
    }
    return 0
  } catch (error) {
    process.stderr.write(`memslab ring: ${error instanceof Error ? error.message : error}\n`)
    return 64
  }
}
