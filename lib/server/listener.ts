// Listening sockets of the main thread: binds them, accepts, and says who came. Connections are
// accepted paused: nothing is read here.

import { lookup } from 'node:dns/promises'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { ListenAddress } from './options.ts'

export interface Bound {
  address: string
  port: number
  family: string
}

export interface Listener {
  bound: Bound
  close(): Promise<void>
}

/** Called with each accepted socket, paused, and the index of its listener. */
export type Accept = (socket: Socket, listener: number) => void

/** Binds all addresses, or none: rejects with the error of the first that failed. */
export async function listenAll(
  addresses: readonly ListenAddress[],
  port: number,
  backlog: number,
  accept: Accept,
): Promise<Listener[]> {
  const listeners: Listener[] = []
  const add = async (host: string, wanted: number) => {
    const index = listeners.length
    listeners.push(await listenOn(host, wanted, backlog, socket => accept(socket, index)))
  }
  try {
    if (addresses.length === 0) await listenEverywhere(port, add, listeners)
    for (const { host, port: wanted } of addresses) {
      for (const { address } of await lookup(host, { all: true })) await add(address, wanted)
    }
  } catch (error) {
    await closeAll(listeners)
    throw error
  }
  return listeners
}

export async function closeAll(listeners: readonly Listener[]): Promise<void> {
  await Promise.all(listeners.map(listener => listener.close()))
}

/** `tcp:127.0.0.1:11211` or `tcp6:[::1]:11211`, as `stats conns` writes addresses. */
export function addressText(address: string, port: number): string {
  return isIPv6(address) ? `tcp6:[${address}]:${port}` : `tcp:${address}:${port}`
}

/** IPv4 and, where the system has it, IPv6: two sockets, as memcached has. */
async function listenEverywhere(
  port: number,
  add: (host: string, port: number) => Promise<void>,
  listeners: readonly Listener[],
): Promise<void> {
  await add('0.0.0.0', port)
  try {
    await add('::', listeners[0].bound.port)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error
  }
}

function listenOn(
  host: string,
  port: number,
  backlog: number,
  accept: (socket: Socket) => void,
): Promise<Listener> {
  const options = { pauseOnConnect: true, noDelay: true, keepAlive: true, allowHalfOpen: true }
  return new Promise((resolve, reject) => {
    const server = createServer(options, accept)
    server.once('error', reject)
    server.listen({ host, port, backlog, ipv6Only: true }, () => {
      server.off('error', reject)
      // Out of file descriptors for a moment: the connections that are there go on.
      server.on('error', () => {})
      resolve({ bound: boundOf(server), close: () => closeServer(server) })
    })
  })
}

function boundOf(server: Server): Bound {
  const { address, port, family } = server.address() as AddressInfo
  return { address, port, family }
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}
