// The switches of commands that watch servers: which ones, and how to reach them.

import { readFileSync } from 'node:fs'
import { parseServer } from '../../client/members/servers.ts'
import type { RingNode } from '../../client/ring/ring.ts'
import { CacheError } from '../../doors/errors.ts'
import { Misused, type Parsed } from '../command-line.ts'
import type { Access } from './stats-link.ts'

/** Most servers that one command watches. */
const SERVERS_MAX = 256

export const ACCESS_SWITCHES = {
  login: { type: 'string', requiresArg: true },
  tls: { type: 'boolean', default: false },
  'tls-ca': { type: 'string', requiresArg: true },
} as const

export const ACCESS_USAGE = `  --login <file>   log in as the line user:password of this file
  --tls            over TLS, with the system's authorities
  --tls-ca <file>  over TLS, with this authority`

export interface Watched {
  name: string
  node: RingNode
}

/** The servers of a command line. Throws Misused. */
export function serversOf({ words }: Parsed): Watched[] {
  if (words.length === 0) throw new Misused()
  if (words.length > SERVERS_MAX) throw new Misused(`at most ${SERVERS_MAX} servers`)
  try {
    return words.map(name => ({ name, node: parseServer(name) }))
  } catch (error) {
    if (error instanceof CacheError) throw new Misused(error.message)
    throw error
  }
}

export function accessOf(parsed: Parsed): Access {
  const [login, ca] = [parsed.text('login'), parsed.text('tls-ca')]
  const isTls = parsed.flag('tls') || ca !== undefined
  return {
    login: login === undefined ? undefined : readText(login).split(/\r?\n/)[0],
    ca: isTls ? (ca === undefined ? '' : readText(ca)) : undefined,
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Misused(`cannot read ${path}: ${code}`)
  }
}
