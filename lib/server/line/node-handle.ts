// The project's only use of Node's internals: the handle of a socket.
//
// Reading: net offers `onread`, one buffer for all sockets of a thread, or a buffer chosen after
// each read, but only for sockets that connect. It saves a third of the cost of a request. So the
// handle of an accepted socket is put into a new socket that has it.
//
// Writing: a stream keeps an account of every write, though the kernel takes nearly all at once.
// Writing to the handle saves 5 % of a request without pipelining.
//
// A socket whose handle or whose binding is different is served as a stream (line/stream.ts).

import type { Socket as DatagramSocket } from 'node:dgram'
import { type Server, Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { Sent } from './line.ts'

interface WithHandle {
  _handle: Handle | null
}

interface Handle {
  fd?: number
  /** Bytes of writes that the kernel has not taken yet. */
  writeQueueSize?: number
  /** Returns 0 or a negative errno; `request` is in use if the write continues asynchronously. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  /** The same for several pieces at once; `allBytes`: there are no strings among them. */
  writev(request: WriteRequest, pieces: Uint8Array[], allBytes: boolean): number
}

/** Called by Node when an asynchronous write is done. */
interface WriteRequest {
  handle: Handle
  buffer: Uint8Array | Uint8Array[]
  oncomplete: ((status: number) => void) | null
}

interface StreamBinding {
  WriteWrap: new () => WriteRequest
  streamBaseState: Int32Array
  kLastWriteWasAsync: number
}

/** Called with the number of bytes at the start of the buffer. False: stop reading. */
export type OnRead = (bytes: number) => boolean

/** Where to read to from now on, asked after each read; undefined: to the same place. */
export type NextBuffer = () => Uint8Array | undefined

const BINDING = findBinding()

/** Undefined: this Node does not expose its binding. */
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

function handleOf(socket: Socket | Server): Handle | null {
  return (socket as unknown as WithHandle)._handle ?? null
}

/** Whether `adoptSocket` and HandleWriter can serve this socket. */
export function hasKnownHandle(socket: Socket): boolean {
  const handle = handleOf(socket)
  if (BINDING === undefined || handle === null) return false
  return typeof handle.writeBuffer === 'function' && typeof handle.writev === 'function'
}

/** The file descriptor of a socket or server; -1: it is closed, or this Node does not say. */
export function descriptorOf(owner: Socket | Server): number {
  return handleOf(owner)?.fd ?? -1
}

/** The same of a UDP socket, which keeps its handle in a state of its own. */
export function datagramDescriptorOf(socket: DatagramSocket): number {
  for (const name of Object.getOwnPropertySymbols(socket)) {
    const state = (socket as unknown as Record<symbol, { handle?: Handle } | undefined>)[name]
    if (state?.handle?.fd !== undefined) return state.handle.fd
  }
  return -1
}

/** Bytes written to the handle that the kernel has not taken yet. */
export function unsentBytesOf(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? 0
}

/** A half-open socket with the connection of the accepted one. `resume` starts its reading. */
export function adoptSocket(
  accepted: Socket,
  buffer: Uint8Array,
  onRead: OnRead,
  nextBuffer: NextBuffer = () => undefined,
): Socket {
  const handle = handleOf(accepted)
  const donor = accepted as unknown as WithHandle
  donor._handle = null
  // Its server, if that is in this thread, no longer waits for it.
  accepted.destroy()
  let isFirst = true
  const next = () => {
    if (!isFirst) return nextBuffer()
    isFirst = false
    return buffer
  }
  const options = { handle, allowHalfOpen: true, onread: { buffer: next, callback: onRead } }
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
}

// A synchronous write does not use its request, so one request serves all sockets.
let spareRequest: WriteRequest | null = null

/** Writes to the handle of an adopted socket, one write at a time. */
export class HandleWriter {
  private readonly socket: Socket
  private readonly onSent: () => void

  /** After LATER `onSent` is called when the write is done; until then its bytes must stay. */
  constructor(socket: Socket, onSent: () => void) {
    this.socket = socket
    this.onSent = onSent
  }

  write(bytes: Uint8Array): Sent {
    const handle = handleOf(this.socket)
    if (handle === null || BINDING === undefined) return Sent.FAILED
    spareRequest ??= new BINDING.WriteWrap()
    return this.settle(handle, handle.writeBuffer(spareRequest, bytes), bytes)
  }

  /** Several pieces in one write. */
  writeAll(pieces: Uint8Array[]): Sent {
    const handle = handleOf(this.socket)
    if (handle === null || BINDING === undefined) return Sent.FAILED
    spareRequest ??= new BINDING.WriteWrap()
    return this.settle(handle, handle.writev(spareRequest, pieces, true), pieces)
  }

  private settle(handle: Handle, status: number, bytes: Uint8Array | Uint8Array[]): Sent {
    if (status !== 0) return this.fail(status)
    const request = spareRequest
    if (request === null || BINDING === undefined) return Sent.ALL
    if (BINDING.streamBaseState[BINDING.kLastWriteWasAsync] === 0) return Sent.ALL
    spareRequest = null
    request.handle = handle
    request.buffer = bytes
    request.oncomplete = status => {
      if (status < 0) this.fail(status)
      this.onSent()
    }
    return Sent.LATER
  }

  private fail(status: number): Sent {
    this.socket.destroy(new Error(`write ${getSystemErrorName(status)}`))
    return Sent.FAILED
  }
}
