// Starts and stops servers of node:net, as promises.

import type { Server, Socket } from 'node:net'

/** Called with each accepted socket, paused. */
export type Connect = (socket: Socket) => void

/** Calls `listen` and resolves when the server listens. Rejects with its error. */
export async function listening(server: Server, listen: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    listen()
  })
  // Out of file descriptors for a moment: open connections go on.
  server.on('error', () => {})
}

/** Resolves when the server has stopped and its connections are closed. */
export function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}
