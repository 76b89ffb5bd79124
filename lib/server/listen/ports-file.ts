// The file of MEMCACHED_PORT_FILENAME: the bound ports, for programs that let the system choose
// them. It is written under another name and renamed, so that a reader finds all of it or nothing.

import { appendFileSync, renameSync } from 'node:fs'
import { say } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import type { Bound, Transport } from './address.ts'

export const PORTS_FILE_VARIABLE = 'MEMCACHED_PORT_FILENAME'

/** As in memcached, a file that cannot be written is logged and the daemon goes on. */
export function writePortsFile(path: string, bound: Readonly<Record<Transport, Bound[]>>): void {
  const beside = `${path}.lck`
  const lines = [...linesOf('TCP', bound.tcp), ...linesOf('UDP', bound.udp)]
  try {
    appendFileSync(beside, lines.join(''))
    renameSync(beside, path)
  } catch (error) {
    say(`Failed to open "${beside}": ${reasonOf(error)}`)
  }
}

function linesOf(name: string, bound: Bound[]): string[] {
  return bound.map(
    ({ family, port }) => `${name} ${family === 'IPv6' ? 'INET6' : 'INET'}: ${port}\n`,
  )
}
