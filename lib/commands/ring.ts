// `memslab ring HOST:PORT[:WEIGHT]...`: which server of a pool owns a key. Reads keys from standard
// input, one per line, and prints the owner of each.

import { createInterface } from 'node:readline'
import { parseServer } from '../client/members/servers.ts'
import { addressText } from '../client/nodes/connection.ts'
import { createRing, ownerOf } from '../client/ring/ring.ts'
import { EX_USAGE, Misused, readArguments, runCommand } from './command-line.ts'

const USAGE = `usage: memslab ring HOST:PORT[:WEIGHT]... < keys
prints, for each key on a line of its own, the server of the pool that owns it,
as libmemcached's weighted ketama and twemproxy with hash md5 choose it`

/** Returns the exit code. */
export function runRing(words: readonly string[]): Promise<number> {
  return runCommand(USAGE, words, async () => {
    const { words: servers } = await readArguments(words, {})
    if (servers.length === 0) throw new Misused()
    return tellOwners(servers)
  })
}

/** Prints owners until the input ends. Returns the exit code. */
async function tellOwners(servers: readonly string[]): Promise<number> {
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
    return EX_USAGE
  }
}
