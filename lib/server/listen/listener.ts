// The listening sockets of the main thread: binds them and passes accepted connections on. They are
// paused: nothing is read here.

import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { ListenAddress, Options, PeerCheck } from '../../options/options.ts'
import {
  addressText,
  type Bound,
  bindEach,
  closeAll,
  type Inheritance,
  type Listener,
  type PassedListener,
} from './address.ts'
import { type Connect, listening } from './listening.ts'
import { passing } from './passing.ts'

/** Called with each accepted socket, paused, and the index of its listener. */
export type Accept = (socket: Socket, listener: number, isUnix: boolean) => void

const SOCKET_OPTIONS = {
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  allowHalfOpen: true,
} as const

/** Binds all listeners of the options, or none: rejects with the first error. */
export async function listenAll(
  options: Options,
  accept: Accept,
  heritage?: Inheritance,
): Promise<Listener[]> {
  const { unixSocket, tcpEnabled, listen, port } = options
  const listeners: Listener[] = []
  const acceptNext = (isUnix = false): Connect => {
    const index = listeners.length
    return socket => accept(socket, index, isUnix)
  }
  try {
    for (const passed of heritage?.takeActivated(['tcp', 'unix']) ?? []) {
      const server = createServer(SOCKET_OPTIONS, acceptNext(passed.kind === 'unix'))
      listeners.push(await listenActivated(passed, options, server))
    }
    if (listeners.length > 0) return listeners
    if (unixSocket !== undefined) {
      const { listenUnix } = await import('./unix-listener.ts')
      const server = createServer(SOCKET_OPTIONS, acceptNext(true))
      listeners.push(await listenUnix(unixSocket, options, server, heritage))
    }
    if (tcpEnabled) {
      await bindEach(listen, port, async wanted => {
        const listener = await listenTcp(
          wanted,
          options,
          createServer(SOCKET_OPTIONS, acceptNext()),
          heritage,
        )
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
  server: Server,
  heritage: Inheritance | undefined,
): Promise<Listener & { bound: Bound }> {
  const { backlog } = options
  const passed = heritage?.takeListener('tcp', host, port)
  if (passed === undefined) {
    await listening(server, () => server.listen({ host, port, backlog, ipv6Only: true }))
  }
  const bound = passed === undefined ? (server.address() as AddressInfo) : boundOf(passed)
  const facts = {
    address: addressText(bound.address, bound.port),
    state: 'conn_listening',
    protocol: protocol ?? options.protocol,
    peerCheck: peerCheckOf(tls, options),
  }
  return { facts, bound, ...passing(server, { kind: 'tcp', ...bound }, passed, backlog) }
}

/** A socket that a service manager listens on: the options of all listeners count for it. */
async function listenActivated(
  passed: PassedListener,
  options: Options,
  server: Server,
): Promise<Listener> {
  const { protocol, backlog } = options
  const startsHere = passed.address === ''
  if (startsHere) {
    await listening(server, () => server.listen({ fd: passed.descriptor, backlog }))
  }
  const state = 'conn_listening'
  const rest = startsHere ? undefined : passed
  if (passed.kind === 'unix') {
    const path = startsHere ? String(server.address()) : passed.address
    const place = { kind: 'unix', isActivated: true, address: path, port: 0 } as const
    // The name of an abstract one begins with NUL.
    const address = `unix:${path.replace('\0', '@')}`
    const facts = { address, state, protocol, peerCheck: null }
    return { facts, bound: undefined, ...passing(server, place, rest, backlog) }
  }
  const bound = startsHere ? (server.address() as AddressInfo) : boundOf(passed)
  const facts = {
    address: addressText(bound.address, bound.port),
    state,
    protocol,
    peerCheck: peerCheckOf(undefined, options),
  }
  const place = { kind: 'tcp', isActivated: true, ...bound } as const
  return { facts, bound, ...passing(server, place, rest, backlog) }
}

function boundOf({ address, port }: PassedListener): Bound {
  return { address, port, family: isIPv6(address) ? 'IPv6' : 'IPv4' }
}

function peerCheckOf(tls: ListenAddress['tls'], options: Options): PeerCheck | null {
  if (!options.tls || tls === 'none') return null
  if (tls === 'basic') return 'none'
  if (tls === 'mutual') return 'require'
  return PEER_CHECKS[options.sslVerifyMode]
}
