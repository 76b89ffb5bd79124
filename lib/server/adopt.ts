// What the project takes of Node's own inside, all of it here: the handle of a socket.
//
// Reading: net offers `onread`, one buffer for all sockets of a thread, for sockets that connect but
// not for those that a server accepts, and it is worth a third of the cost of a request. So the
// handle of the accepted socket is put into a new one. Where it is missing, 'data' events do.
//
// Writing: a stream keeps an account of every write, though nearly all are taken by the kernel at
// once. Written to its handle, a reply that is not pipelined costs 5 % less of the whole request.
// Where the handle cannot be written to, and through TLS, the stream does.

import { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'

interface WithHandle {
  _handle: Handle | null
}

interface Handle {
  /** 0 or an errno, negative; `request` is used up if the write went on by itself. */
  writeBuffer?(request: WriteRequest, bytes: Uint8Array): number
}

/** What Node tells when a write that went on by itself is over. */
interface WriteRequest {
  handle: Handle
  buffer: Uint8Array
  oncomplete: (status: number) => void
}

interface StreamBinding {
  WriteWrap: new () => WriteRequest
  streamBaseState: Int32Array
  kLastWriteWasAsync: number
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
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
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

/** How a write went: the kernel has it all, it goes on by itself, or the socket is at its end. */
export const Sent = { ALL: 0, LATER: 1, FAILED: 2 } as const
export type Sent = (typeof Sent)[keyof typeof Sent]

/** Told once a write that went on by itself is over; the bytes are free again. */
export interface Sender {
  sent(): void
}

/** Writes to a socket, one write at a time: after LATER the sender is told before the next. */
export interface Writer {
  write(bytes: Uint8Array): Sent
}

/** The quickest way to write to an adopted socket. */
export function writerOf(socket: Socket, sender: Sender): Writer {
  const { _handle: handle } = socket as unknown as WithHandle
  const canWrite = typeof handle?.writeBuffer === 'function'
  if (BINDING === undefined || !canWrite) return new StreamWriter(socket, sender, false)
  return new HandleWriter(socket, sender, BINDING)
}

const BINDING = findBinding()

/** Where requests for a handle's writes come from; undefined if this Node does not give it away. */
function findBinding(): StreamBinding | undefined {
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<StreamBinding> }
    const found = binding('stream_wrap')
    const isWhole =
      typeof found.WriteWrap === 'function' &&
      found.streamBaseState instanceof Int32Array &&
      typeof found.kLastWriteWasAsync === 'number'
    return isWhole ? (found as StreamBinding) : undefined
  } catch {
    return undefined
  }
}

// A write that is done when it returns leaves its request as it was: one serves them all.
let spareRequest: WriteRequest | null = null

class HandleWriter implements Writer {
  private readonly socket: Socket
  private readonly sender: Sender
  private readonly binding: StreamBinding

  constructor(socket: Socket, sender: Sender, binding: StreamBinding) {
    this.socket = socket
    this.sender = sender
    this.binding = binding
  }

  write(bytes: Uint8Array): Sent {
    const { _handle: handle } = this.socket as unknown as WithHandle
    const { streamBaseState, kLastWriteWasAsync, WriteWrap } = this.binding
    if (handle?.writeBuffer === undefined) return Sent.FAILED
    spareRequest ??= new WriteWrap()
    const status = handle.writeBuffer(spareRequest, bytes)
    if (status !== 0) return this.fail(status)
    if (streamBaseState[kLastWriteWasAsync] === 0) return Sent.ALL
    const request = spareRequest
    spareRequest = null
    request.handle = handle
    request.buffer = bytes
    request.oncomplete = status => {
      if (status < 0) this.fail(status)
      this.sender.sent()
    }
    return Sent.LATER
  }

  private fail(status: number): Sent {
    this.socket.destroy(new Error(`write ${getSystemErrorName(status)}`))
    return Sent.FAILED
  }
}

const NOTHING = new Uint8Array(0)

/** Through the stream. `encrypted`: through TLS. */
export class StreamWriter implements Writer {
  private readonly socket: Socket
  private readonly sender: Sender
  private readonly encrypted: boolean

  constructor(socket: Socket, sender: Sender, encrypted: boolean) {
    this.socket = socket
    this.sender = sender
    this.encrypted = encrypted
  }

  write(bytes: Uint8Array): Sent {
    const { socket } = this
    // TLS has sealed what it is given before write returns, unless something is before it; that it
    // was sent is told later, which is no reason to wait.
    const isSealed = this.encrypted && socket.writableLength === 0
    socket.write(bytes)
    if (socket.destroyed) return Sent.FAILED
    if (socket.writableLength === 0 || isSealed) return Sent.ALL
    socket.write(NOTHING, () => this.sender.sent())
    return Sent.LATER
  }
}
