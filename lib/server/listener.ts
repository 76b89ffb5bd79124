// Listening sockets of the main thread, TCP and UNIX: binds them, accepts, and says who came.
// Connections are accepted paused: nothing is read here.

import { lstatSync, unlinkSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress, Options, PeerCheck } from '../options/options.ts'
import { addressText, type Bound, bindEach, closeAll, type Listener } from './address.ts'

/** Called with each accepted socket, paused, and the index of its listener. */
export type Accept = (socket: Socket, listener: number) => void

type Connect = (socket: Socket) => void

const SOCKET_OPTIONS = {
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  allowHalfOpen: true,
} as const

/** Binds all that the options name, or nothing: rejects with the error of the first that failed. */
export async function listenAll(options: Options, accept: Accept): Promise<Listener[]> {
  const { unixSocket, tcpEnabled, listen, port } = options
  const listeners: Listener[] = []
  const acceptNext = (): Connect => {
    const index = listeners.length
    return socket => accept(socket, index)
  }
  try {
    if (unixSocket !== undefined) {
      listeners.push(await listenUnix(unixSocket, options, acceptNext()))
    }
    if (tcpEnabled) {
      await bindEach(listen, port, async wanted => {
        const listener = await listenTcp(wanted, options, acceptNext())
        listeners.push(listener)
        return listener.bound
      })
    }
  } catch (error) {
    await closeAll(listeners)
    throw error
  }
  return listeners
}

/** By -o ssl_verify_mode. */
const PEER_CHECKS: readonly PeerCheck[] = ['none', 'request', 'require', 'require']

/** Removes the file of a UNIX socket; any other file stays. */
export function removeSocketFile(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path)
  } catch {
    // It is not there, or this user may not remove it.
  }
}

async function listenTcp(
  { host, port, protocol, tls }: ListenAddress,
  options: Options,
  connect: Connect,
): Promise<Listener & { bound: Bound }> {
  const server = createServer(SOCKET_OPTIONS, connect)
  const { backlog } = options
  await listening(server, () => server.listen({ host, port, backlog, ipv6Only: true }))
  const bound = server.address() as AddressInfo
  const facts = {
    address: addressText(bound.address, bound.port),
    state: 'conn_listening',
    protocol: protocol ?? options.protocol,
    peerCheck: peerCheckOf(tls, options),
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
  const facts = { address: `unix:${path}`, state: 'conn_listening', protocol, peerCheck: null }
  return { facts, bound: undefined, close: () => closeServer(server) }
}

function peerCheckOf(tls: ListenAddress['tls'], options: Options): PeerCheck | null {
  if (!options.tls || tls === 'none') return null
  if (tls === 'basic') return 'none'
  if (tls === 'mutual') return 'require'
  return PEER_CHECKS[options.sslVerifyMode]
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
