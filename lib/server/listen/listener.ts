// The listening sockets of the main thread: binds them and passes accepted connections on. They are
// paused: nothing is read here.

import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { ListenAddress, Options, PeerCheck } from '../../options/options.ts'
import { addressText, type Bound, bindEach, closeAll, type Listener } from './address.ts'
import { type Connect, closeServer, listening } from './listening.ts'

/** Called with each accepted socket, paused, and the index of its listener. */
export type Accept = (socket: Socket, listener: number) => void

const SOCKET_OPTIONS = {
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  allowHalfOpen: true,
} as const

/** Binds all listeners of the options, or none: rejects with the first error. */
export async function listenAll(options: Options, accept: Accept): Promise<Listener[]> {
  const { unixSocket, tcpEnabled, listen, port } = options
  const listeners: Listener[] = []
  const acceptNext = (): Connect => {
    const index = listeners.length
    return socket => accept(socket, index)
  }
  try {
    if (unixSocket !== undefined) {
      const { listenUnix } = await import('./unix-listener.ts')
      listeners.push(await listenUnix(unixSocket, options, SOCKET_OPTIONS, acceptNext()))
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

function peerCheckOf(tls: ListenAddress['tls'], options: Options): PeerCheck | null {
  if (!options.tls || tls === 'none') return null
  if (tls === 'basic') return 'none'
  if (tls === 'mutual') return 'require'
  return PEER_CHECKS[options.sslVerifyMode]
}
