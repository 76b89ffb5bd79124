// What the project takes of Node's own inside, all of it here: the handle of a socket.
//
// Reading: net offers `onread`, one buffer for all sockets of a thread, or one of one's choice after
// each read, for sockets that connect but not for those that a server accepts, and it is worth a third
// of the cost of a request. So the handle of the accepted socket is put into a new one. Where it is
// missing, 'data' events do.
//
// Writing: a stream keeps an account of every write, though nearly all are taken by the kernel at
// once. Written to its handle, a reply that is not pipelined costs 5 % less of the whole request.
// Where the handle cannot be written to, the stream does.
//
// TLS: the handle of a secure socket seals and opens, and is read from and written to in the same way,
// once the handshake is done. It keeps reading until it has opened all that came in one read, and has
// one write under way at a time, which it tells the end of a turn later even if the kernel took it.

import { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { FAREWELL_MS_MAX } from '../limits.ts'
import { Sent } from './line.ts'

interface WithHandle {
  _handle: Handle | null
}

interface Handle {
  reading: boolean
  /** Called after each read, with the bytes if there is no buffer for them; may return the next one. */
  onread(this: Handle, bytes?: ArrayBuffer): Uint8Array | undefined
  useUserBuffer?(buffer: Uint8Array): void
  readStart(): number
  readStop(): number
  /** 0 or an errno, negative; `request` is used up if the write went on by itself. */
  writeBuffer?(request: WriteRequest, bytes: Uint8Array): number
  /** The same for several pieces at once; `allBytes`: there are no strings among them. */
  writev?(request: WriteRequest, pieces: Uint8Array[], allBytes: boolean): number
}

/** What Node tells when a write that went on by itself is over. */
interface WriteRequest {
  handle: Handle
  buffer: Uint8Array | Uint8Array[]
  oncomplete: ((status: number) => void) | null
  /** How it ended, if nobody was to be told; null before. Not in every Node. */
  writeStatus?: number | null
}

interface StreamBinding {
  WriteWrap: new () => WriteRequest
  streamBaseState: Int32Array
  kReadBytesOrError: number
  kLastWriteWasAsync: number
}

/** Called with the count of bytes that stand at the start of the buffer; false: stop reading. */
export type OnRead = (bytes: number) => boolean

/** Where to read to from now on, asked for after each read; undefined: to where it read before. */
export type NextBuffer = () => Uint8Array | undefined

/** A socket with the accepted one's connection, not reading yet: `resume` starts it. */
export function adoptSocket(
  accepted: Socket,
  buffer: Uint8Array,
  onRead: OnRead,
  nextBuffer: NextBuffer = () => undefined,
): Socket {
  const donor = accepted as unknown as WithHandle
  if (typeof donor._handle !== 'object' || donor._handle === null) {
    return readByEvents(accepted, buffer, onRead)
  }
  const handle = donor._handle
  donor._handle = null
  // Its server, if that is in this thread, waits for it no more.
  accepted.destroy()
  let isFirst = true
  const next = () => {
    if (!isFirst) return nextBuffer()
    isFirst = false
    return buffer
  }
  const options = { handle, onread: { buffer: next, callback: onRead } }
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
}

/**
 * The same for a socket that speaks TLS, right after its handshake. What came together with the bytes
 * at which `onRead` said stop is still read.
 */
export function adoptSecure(
  secure: Socket,
  buffer: Uint8Array,
  onRead: OnRead,
  nextBuffer: NextBuffer = () => undefined,
): Socket {
  const { _handle: handle } = secure as unknown as WithHandle
  const isPlain = BINDING === undefined || !takesOneRequest(BINDING) || secure.readableLength > 0
  if (isPlain || typeof handle?.useUserBuffer !== 'function') {
    return readByEvents(secure, buffer, onRead)
  }
  const { streamBaseState, kReadBytesOrError } = BINDING
  const endOrFail = handle.onread
  handle.useUserBuffer(buffer)
  handle.onread = () => {
    const bytes = streamBaseState[kReadBytesOrError]
    if (bytes <= 0 || secure.destroyed) return endOrFail.call(handle)
    if (!onRead(bytes)) stop(secure, handle)
    return nextBuffer()
  }
  secure.on('resume', () => start(secure, handle))
  return secure.pause()
}

function stop(socket: Socket, handle: Handle): void {
  socket.pause()
  handle.reading = false
  if (!socket.destroyed) handle.readStop()
}

function start(socket: Socket, handle: Handle): void {
  if (socket.destroyed || handle.reading) return
  handle.reading = true
  handle.readStart()
}

/** The way back: 'data' events, each copied to the shared buffer, whatever the next one would be. */
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

/** Told once a write that went on by itself is over; the bytes are free again. */
export interface Sender {
  sent(): void
}

/** The file descriptor of a socket; -1: it is gone, or this Node does not tell. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd ?? -1
}

/** Writes to a socket, one write at a time: after LATER the sender is told before the next. */
export interface Writer {
  write(bytes: Uint8Array): Sent
  /** Several pieces in one write. */
  writeAll(pieces: Uint8Array[]): Sent
  /** Ends the socket when all is sent. */
  endSoon(): void
}

/** The quickest way to write to an adopted socket; to a secure one nothing else writes from now on. */
export function writerOf(socket: Socket, sender: Sender, encrypted = false): Writer {
  const { _handle: handle } = socket as unknown as WithHandle
  const canWrite = typeof handle?.writeBuffer === 'function' && typeof handle.writev === 'function'
  if (BINDING === undefined || !canWrite) return new StreamWriter(socket, sender, encrypted)
  if (!encrypted) return new HandleWriter(socket, sender, BINDING)
  const isIdle = takesOneRequest(BINDING) && socket.writableLength === 0
  return isIdle ? new SecureWriter(socket, sender, BINDING) : new StreamWriter(socket, sender, true)
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
      typeof found.kReadBytesOrError === 'number' &&
      typeof found.kLastWriteWasAsync === 'number'
    return isWhole ? (found as StreamBinding) : undefined
  } catch {
    return undefined
  }
}

/** Whether a request may be used again and again, and says how its write ended. */
function takesOneRequest({ WriteWrap }: StreamBinding): boolean {
  return new WriteWrap().writeStatus === null
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
    if (handle?.writeBuffer === undefined) return Sent.FAILED
    spareRequest ??= new this.binding.WriteWrap()
    return this.settle(handle, handle.writeBuffer(spareRequest, bytes), bytes)
  }

  writeAll(pieces: Uint8Array[]): Sent {
    const { _handle: handle } = this.socket as unknown as WithHandle
    if (handle?.writev === undefined) return Sent.FAILED
    spareRequest ??= new this.binding.WriteWrap()
    return this.settle(handle, handle.writev(spareRequest, pieces, true), pieces)
  }

  endSoon(): void {
    this.socket.destroySoon()
  }

  private settle(handle: Handle, status: number, bytes: Uint8Array | Uint8Array[]): Sent {
    const { streamBaseState, kLastWriteWasAsync } = this.binding
    if (status !== 0) return this.fail(status)
    if (streamBaseState[kLastWriteWasAsync] === 0 || spareRequest === null) return Sent.ALL
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

/**
 * To the handle of a socket that speaks TLS. It has sealed what it is given before `writeBuffer` returns,
 * so that the bytes are free. What comes before that write is over waits, the end too; only then does
 * anybody ask to be told.
 */
class SecureWriter implements Writer {
  private readonly socket: Socket
  private readonly sender: Sender
  private readonly binding: StreamBinding
  private request: WriteRequest
  /** What waits for the write under way. */
  private waiting: Uint8Array | null = null
  private endsSoon = false

  constructor(socket: Socket, sender: Sender, binding: StreamBinding) {
    this.socket = socket
    this.sender = sender
    this.binding = binding
    this.request = new binding.WriteWrap()
    this.request.writeStatus = 0
  }

  write(bytes: Uint8Array): Sent {
    const { request, socket } = this
    if (socket.destroyed) return Sent.FAILED
    if (request.writeStatus !== null) return this.seal(bytes)
    this.waiting = bytes
    request.oncomplete = status => this.goOn(status)
    return Sent.LATER
  }

  writeAll(pieces: Uint8Array[]): Sent {
    return this.write(Buffer.concat(pieces))
  }

  endSoon(): void {
    const { request } = this
    this.endsSoon = true
    if (request.writeStatus !== null) endSecure(this.socket)
    else request.oncomplete = status => this.goOn(status)
  }

  private seal(bytes: Uint8Array): Sent {
    const { request } = this
    const { _handle: handle } = this.socket as unknown as WithHandle
    if (handle?.writeBuffer === undefined) return Sent.FAILED
    if (request.writeStatus !== 0) return this.fail(request.writeStatus ?? 0)
    request.writeStatus = null
    const status = handle.writeBuffer(request, bytes)
    return status === 0 ? Sent.ALL : this.fail(status)
  }

  /** The write under way is over: what waits has its turn. */
  private goOn(status: number): void {
    const { waiting } = this
    this.waiting = null
    // The one that tells cannot be used again while it does.
    this.request = new this.binding.WriteWrap()
    this.request.writeStatus = status
    if (status < 0) this.fail(status)
    else if (waiting !== null) this.write(waiting)
    if (waiting !== null) this.sender.sent()
    if (this.endsSoon) this.endSoon()
  }

  private fail(status: number): Sent {
    this.socket.destroy(new Error(`write ${getSystemErrorName(status)}`))
    return Sent.FAILED
  }
}

/** Ends this side, and the socket when the peer has ended its own, or takes too long. */
function endSecure(socket: Socket): void {
  socket.once('finish', () => setTimeout(() => socket.destroy(), FAREWELL_MS_MAX).unref())
  socket.end()
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
    // TLS has sealed what it is given before write returns, unless something is before it; that it
    // was sent is told later, which is no reason to wait.
    const isSealed = this.encrypted && this.socket.writableLength === 0
    this.socket.write(bytes)
    return this.settle(isSealed)
  }

  writeAll(pieces: Uint8Array[]): Sent {
    const { socket } = this
    socket.cork()
    for (const piece of pieces) socket.write(piece)
    socket.uncork()
    return this.settle(false)
  }

  endSoon(): void {
    if (this.encrypted) endSecure(this.socket)
    else this.socket.destroySoon()
  }

  private settle(isSealed: boolean): Sent {
    const { socket } = this
    if (socket.destroyed) return Sent.FAILED
    if (socket.writableLength === 0 || isSealed) return Sent.ALL
    socket.write(NOTHING, () => this.sender.sent())
    return Sent.LATER
  }
}
