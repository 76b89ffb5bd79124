// How a listening socket goes from one process to the next.

import type { Server } from 'node:net'
import { descriptorOf } from '../line/node-handle.ts'
import type { Listener, PassedListener } from './address.ts'
import { closeServer, listening } from './listening.ts'

/** How a server is passed on, or begins with the socket that was passed to this process. */
export function passing(
  server: Server,
  { kind, address, port, isActivated }: Omit<PassedListener, 'descriptor'>,
  passed: PassedListener | undefined,
  backlog: number,
): Pick<Listener, 'passed' | 'start' | 'leave' | 'close'> {
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= closeServer(server)
    return closed
  }
  return {
    passed: () => ({ kind, address, port, isActivated, descriptor: descriptorOf(server) }),
    start: async () => {
      if (passed === undefined) return
      await listening(server, () => server.listen({ fd: passed.descriptor, backlog }))
    },
    leave: () => void close(),
    close,
  }
}
