// Takes over an accepted socket so that it reads into one buffer that all sockets of a thread share.
//
// net offers `onread` for sockets that connect but not for those that a server accepts, and it is
// worth a third of the cost of a request. The handle of the accepted socket is put into a new one:
// the only private property that the project touches. Where it is missing, 'data' events do.

import { Socket } from 'node:net'

interface WithHandle {
  _handle: object | null
}

/** Called with the count of bytes that stand at the start of the shared buffer; false: stop reading. */
export type OnRead = (bytes: number) => boolean

/** A socket with the accepted one's connection, not reading yet: `resume` starts it. */
export function adoptSocket(accepted: Socket, buffer: Uint8Array, onRead: OnRead): Socket {
  const donor = accepted as unknown as WithHandle
  if (typeof donor._handle !== 'object' || donor._handle === null) {
    return readByEvents(accepted, buffer, onRead)
  }
  const handle = donor._handle
  donor._handle = null
  // Its server, if that is in this thread, waits for it no more.
  accepted.destroy()
  const options = { handle, onread: { buffer, callback: onRead } }
  return new Socket(options as ConstructorParameters<typeof Socket>[0])
}

/** The way back: 'data' events, each copied to the shared buffer. */
export function readByEvents(socket: Socket, buffer: Uint8Array, onRead: OnRead): Socket {
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += buffer.length) {
      const part = chunk.subarray(at, at + buffer.length)
      buffer.set(part)
      if (onRead(part.length)) continue
      socket.pause()
      const rest = chunk.subarray(at + buffer.length)
      if (rest.length > 0) socket.unshift(rest)
      return
    }
  })
  return socket.pause()
}
