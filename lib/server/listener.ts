// Listening sockets of the main thread, TCP and UNIX: binds them, accepts, and says who came.
// Connections are accepted paused: nothing is read here.

import { lookup } from 'node:dns/promises'
import { lstatSync, unlinkSync } from 'node:fs'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { ListenerFacts } from './host.ts'
import type { ListenAddress, Options } from './options.ts'

export interface Bound {
  address: string
  port: number
  family: string
}

export interface Listener {
  facts: ListenerFacts
  /** A UNIX socket has none. */
  bound: Bound | undefined
  close(): Promise<void>
}

/** Called with each accepted socket, paused, and the index of its listener. */
export type Accept = (socket: Socket, listener: number) => void

type Connect = (socket: Socket) => void
type Begin = (connect: Connect) => Promise<Listener>

const SOCKET_OPTIONS = {
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  allowHalfOpen: true,
} as const

/** Binds all that the options name, or nothing: rejects with the error of the first that failed. */
export async function listenAll(options: Options, accept: Accept): Promise<Listener[]> {
  const { unixSocket, tcpEnabled } = options
  const listeners: Listener[] = []
  const add = async (begin: Begin) => {
    const index = listeners.length
    listeners.push(await begin(socket => accept(socket, index)))
  }
  try {
    if (unixSocket !== undefined) await add(connect => listenUnix(unixSocket, options, connect))
    if (tcpEnabled) await listenTcp(options, listeners, add)
  } catch (error) {
    await closeAll(listeners)
    throw error
  }
  return listeners
}

export async function closeAll(listeners: readonly { close(): Promise<void> }[]): Promise<void> {
  await Promise.all(listeners.map(listener => listener.close()))
}

/** `tcp:127.0.0.1:11211` or `tcp6:[::1]:11211`, as `stats conns` writes addresses. */
export function addressText(address: string, port: number, transport = 'tcp'): string {
  return isIPv6(address) ? `${transport}6:[${address}]:${port}` : `${transport}:${address}:${port}`
}

async function listenTcp(
  options: Options,
  listeners: readonly Listener[],
  add: (begin: Begin) => Promise<void>,
): Promise<void> {
  const { listen, port } = options
  if (listen.length > 0) {
    for (const wanted of listen) {
      for (const { address } of await lookup(wanted.host, { all: true })) {
        await add(connect => listenOn({ ...wanted, host: address }, options, connect))
      }
    }
    return
  }
  // IPv4 and, where the system has it, IPv6: two sockets, as memcached has.
  await add(connect => listenOn({ host: '0.0.0.0', port }, options, connect))
  try {
    const same = listeners[0].bound?.port ?? port
    await add(connect => listenOn({ host: '::', port: same }, options, connect))
  } catch (error) {
    if (!isWithoutIPv6(error)) throw error
  }
}

/** Whether an error of listening says that the system has no IPv6. */
export function isWithoutIPv6(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}

async function listenOn(
  { host, port, protocol }: ListenAddress,
  options: Options,
  connect: Connect,
): Promise<Listener> {
  const server = createServer(SOCKET_OPTIONS, connect)
  const { backlog } = options
  await listening(server, () => server.listen({ host, port, backlog, ipv6Only: true }))
  const bound = server.address() as AddressInfo
  const facts = {
    address: addressText(bound.address, bound.port),
    protocol: protocol ?? options.protocol,
  }
  return { facts, bound, close: () => closeServer(server) }
}

// The file gets its rights while it is made, so that nobody connects in between who may not. As in
// memcached, a socket that lies there already is taken for one that an earlier daemon left behind.
async function listenUnix(path: string, options: Options, connect: Connect): Promise<Listener> {
  const server = createServer(SOCKET_OPTIONS, connect)
  const { backlog, unixMask, protocol } = options
  try {
    removeSocketFile(path)
    await listening(server, () => {
      const before = process.umask(~unixMask & 0o777)
      server.listen({ path, backlog })
      process.umask(before)
    })
  } catch (error) {
    throw Object.assign(error as Error, { place: `UNIX socket: ${path}` })
  }
  const facts = { address: `unix:${path}`, protocol }
  return { facts, bound: undefined, close: () => closeServer(server) }
}

/** Removes the file of a UNIX socket; any other file stays. */
export function removeSocketFile(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path)
  } catch {
    // It is not there, or this user may not remove it.
  }
}

async function listening(server: Server, listen: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    listen()
  })
  // Out of file descriptors for a moment: the connections that are there go on.
  server.on('error', () => {})
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}
