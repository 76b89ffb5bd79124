// Addresses to listen on: as in options, as bound, and as in `stats conns`.

import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import type { ListenAddress } from '../../options/options.ts'
import type { ListenerFacts } from '../worker-host.ts'

export interface Bound {
  address: string
  port: number
  family: string
}

export interface Listener {
  facts: ListenerFacts
  /** A UNIX socket has none. */
  bound: Bound | undefined
  /** What another process needs to go on with it. */
  passed(): PassedListener
  /** Begins to accept, where `listen` did not: it was another process's. */
  start(): Promise<void>
  /** Stops to accept, and leaves the socket to another process. */
  leave(): void
  close(): Promise<void>
}

export type ListenerKind = 'tcp' | 'unix' | 'udp' | 'admin'

/** A listening socket that another process goes on with. */
export interface PassedListener {
  kind: ListenerKind
  /** Its address, or the path of a UNIX socket; and its port. */
  address: string
  port: number
  /** -1: this Node.js does not say. */
  descriptor: number
  /** A service manager listens on it too. */
  isActivated?: boolean
  /** Of UDP without an address. */
  family?: string
}

/** The listening sockets of another process. */
export interface Inheritance {
  /** The one for this address, if there is one. Port 0: any. */
  takeListener(kind: ListenerKind, address: string, port: number): PassedListener | undefined
  /**
   * Sockets of these kinds that a service manager listens on, in place of those of the options.
   * Without an address they accept from the start.
   */
  takeActivated(kinds: readonly ListenerKind[]): PassedListener[]
}

/** Prefixes of TCP and UDP addresses, as in memcached. */
export type Transport = 'tcp' | 'udp'

/** `tcp:127.0.0.1:11211` or `tcp6:[::1]:11211`. */
export function addressText(address: string, port: number, transport: Transport = 'tcp'): string {
  return isIPv6(address) ? `${transport}6:[${address}]:${port}` : `${transport}:${address}:${port}`
}

/** Calls `bind` for each address of the list, or for all interfaces if it is empty. */
export async function bindEach(
  list: readonly ListenAddress[],
  port: number,
  bind: (wanted: ListenAddress) => Promise<Bound>,
): Promise<void> {
  for (const wanted of list) {
    for (const { address } of await lookup(wanted.host, { all: true })) {
      await bind({ ...wanted, host: address })
    }
  }
  if (list.length > 0) return
  // IPv4 and, where the system has it, IPv6: two sockets on one port, as in memcached.
  const bound = await bind({ host: '0.0.0.0', port })
  try {
    await bind({ host: '::', port: bound.port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error
  }
}

export async function closeAll(listeners: readonly { close(): Promise<void> }[]): Promise<void> {
  await Promise.all(listeners.map(listener => listener.close()))
}
