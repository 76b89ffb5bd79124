// The listening sockets that a service manager gives (LISTEN_FDS): descriptors from 3 on. What
// each is, /proc knows. One that it does not show is of another network, as with PrivateNetwork=:
// it is taken for one of streams, and Node says whether it is.

import { readFileSync, readlinkSync } from 'node:fs'
import type { Inheritance, ListenerKind, PassedListener } from '../listen/address.ts'
import { StartError } from '../system/start-error.ts'

const FIRST_DESCRIPTOR = 3
const SOCKET = /^socket:\[(\d+)\]$/

/** The type of a UNIX socket in /proc/net/unix. */
const STREAM = '0001'

/** A table of sockets: which field of a line is the inode, and which the type of a UNIX socket. */
const INODE_AT = 9
const UNIX_INODE_AT = 6
const UNIX_TYPE_AT = 4

/**
 * The sockets that the service manager listens on for this process; undefined: none. Throws
 * StartError for one that memslab cannot listen on.
 */
export function activation(): Inheritance | undefined {
  const { LISTEN_PID, LISTEN_FDS } = process.env
  const count = Number(LISTEN_FDS)
  if (Number(LISTEN_PID) !== process.pid || !Number.isInteger(count) || count <= 0) return undefined
  let left = Array.from({ length: count }, (_, i) => activated(FIRST_DESCRIPTOR + i))
  return {
    takeListener: () => undefined,
    takeActivated: kinds => {
      const taken = left.filter(({ kind }) => kinds.includes(kind))
      left = left.filter(({ kind }) => !kinds.includes(kind))
      return taken
    },
  }
}

function activated(descriptor: number): PassedListener {
  const passed = { address: '', port: 0, descriptor, isActivated: true }
  const inode = inodeOf(descriptor)
  if (hasSocket('udp', inode)) return { ...passed, kind: 'udp', family: 'IPv4' }
  if (hasSocket('udp6', inode)) return { ...passed, kind: 'udp', family: 'IPv6' }
  const kind: ListenerKind = isUnix(descriptor, inode) ? 'unix' : 'tcp'
  return { ...passed, kind }
}

function inodeOf(descriptor: number): string {
  let target = ''
  try {
    target = readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    // There is no /proc, or no such descriptor: then listening fails.
    return ''
  }
  const inode = SOCKET.exec(target)?.[1]
  if (inode === undefined) throw refusal(descriptor, target)
  return inode
}

function isUnix(descriptor: number, inode: string): boolean {
  const line = linesOf('unix').find(fields => fields[UNIX_INODE_AT] === inode)
  if (line !== undefined && line[UNIX_TYPE_AT] !== STREAM) {
    throw refusal(descriptor, 'a UNIX socket that is not of streams')
  }
  return line !== undefined
}

function hasSocket(table: 'udp' | 'udp6', inode: string): boolean {
  return linesOf(table).some(fields => fields[INODE_AT] === inode)
}

/** The fields of each line of a table of sockets; none without /proc. */
function linesOf(table: string): string[][] {
  try {
    const lines = readFileSync(`/proc/self/net/${table}`, 'latin1').split('\n').slice(1)
    return lines.map(line => line.trim().split(/\s+/))
  } catch {
    return []
  }
}

function refusal(descriptor: number, what: string): StartError {
  const taken = 'of LISTEN_FDS sockets of TCP, UDP and UNIX streams are taken'
  return new StartError(`${taken}, descriptor ${descriptor} is ${what}`)
}
