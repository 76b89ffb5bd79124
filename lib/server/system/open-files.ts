// File descriptors: one per connection, and some for the daemon itself. Node raises the soft limit
// to the hard one, so the hard one decides. As in memcached, a limit below -c is an error. A limit
// that leaves too few for the daemon itself lowers the number of connections.

import { readFileSync } from 'node:fs'
import type { Options } from '../../options/options.ts'
import { StartError } from './start-error.ts'

/**
 * Descriptors of the daemon: the runtime's, files while they are loaded, listeners. Descriptors of
 * each thread: 4 for its event loop, 2 for its uring, and one spare. Measured: 25 and 6.
 */
const OWN_FILES = 32
const FILES_PER_THREAD = 7

/**
 * The options with at most as many connections as there are descriptors, and a warning if fewer.
 */
export function fitOpenFiles(options: Options, hard = hardLimit()): [Options, warning?: string] {
  const { connectionsMax, threads } = options
  const spare = hard - OWN_FILES - FILES_PER_THREAD * threads
  if (spare >= connectionsMax) return [options]
  if (hard < connectionsMax || spare < 1) {
    const words = 'Try starting as root or requesting smaller maxconns value.'
    throw new StartError(`failed to set rlimit for open files. ${words}`)
  }
  const warning = `warning: ${hard} open files are allowed, which is enough for ${spare} connections`
  return [{ ...options, connectionsMax: spare }, `${warning} (-c is ${connectionsMax})`]
}

function hardLimit(): number {
  let limits = ''
  try {
    limits = readFileSync('/proc/self/limits', 'utf8')
  } catch {
    // Not Linux, or no /proc: then the limit shows only when it is reached.
  }
  const [, hard] = /^Max open files\s+\S+\s+(\d+)/m.exec(limits) ?? []
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard)
}
