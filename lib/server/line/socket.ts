// The line through a socket of Node's: TCP, UNIX, and TLS.
//
// All lines of a thread share the read buffer and the reply buffer. Long values pass them by: the
// socket reads into the value's own place in its arena, and writes from there. When the kernel does
// not take a whole reply, the pending write owns that reply buffer, and the thread goes on with
// another.

import type { Socket } from 'node:net'
import { Area } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import { Inserts } from '../../protocol/inserts.ts'
import {
  READ_BYTES,
  READ_REST_BYTES_MAX,
  REPLY_BYTES,
  SEAL_BYTES_MAX,
} from '../../protocol/limits.ts'
import type { Reply } from '../../protocol/reply.ts'
import { FAREWELL_BYTES_MAX, SHORT_READ_BYTES, SHORT_READ_VALUE_BYTES_MIN } from '../limits.ts'
import { gather } from './gather.ts'
import { endpointOf, type Line, type LineOwner, Sent } from './line.ts'
import { adoptSecure, adoptSocket, type Writer, writerOf } from './node-handle.ts'

/** A reply with inserts leaves its buffer to others, even if the kernel does not take it, up to so long. */
const HEAD_BYTES_MAX = KIB

/** Reply buffers kept for reuse in one worker beyond the one in use. */
const REPLY_POOL_MAX = 64

/** The buffers that the socket lines of one thread share. */
export class SocketBuffers {
  readonly reply: Reply
  /** What a read gave, behind what the one before left. */
  readonly input = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  /** Where every socket reads to: the input from READ_REST_BYTES_MAX on, all of it or little. */
  readonly read = this.input.bytes.subarray(READ_REST_BYTES_MAX)
  readonly shortRead = this.read.subarray(0, SHORT_READ_BYTES)
  /** Reply buffers that wait to be used again. */
  private readonly spare: Area[] = []

  constructor(reply: Reply) {
    this.reply = reply
  }

  /** The reply buffer, which a write keeps; the next reply is written to another. */
  take(): Area {
    const { area } = this.reply
    this.reply.area = this.spare.pop() ?? Area.allocate(REPLY_BYTES + SEAL_BYTES_MAX)
    return area
  }

  give(area: Area): void {
    if (this.spare.length < REPLY_POOL_MAX) this.spare.push(area)
  }
}

export class SocketLine implements Line {
  readonly takesInserts: boolean
  private readonly buffers: SocketBuffers
  private readonly owner: LineOwner
  private readonly socket: Socket
  private readonly writer: Writer
  /** Where the socket reads to while that is a value's own place. */
  private direct: Buffer | null = null
  /** It reads to the beginning of the shared buffer, where it has just read a long value. */
  private readsShort = false
  private lastReadBytes = 0
  /** What a pending write owns. */
  private pending: Area | null = null
  private pendingInserts: Inserts | null = null
  private endsSoon = false
  private thrownAway = 0
  /** Replies with inserts are sent from here if they are short, so that none waits with a reply buffer. */
  private head: Buffer | null = null

  /** Not reading yet. `encrypted`: TLS stands between this and the socket's connection. */
  constructor(buffers: SocketBuffers, accepted: Socket, owner: LineOwner, encrypted: boolean) {
    this.buffers = buffers
    this.owner = owner
    this.takesInserts = !encrypted
    const adopt = encrypted ? adoptSecure : adoptSocket
    const read = (bytes: number) => this.read(bytes)
    const sender = { sent: () => this.sent() }
    this.socket = adopt(accepted, buffers.read, read, () => this.nextBuffer())
    this.writer = writerOf(this.socket, sender, encrypted)
    // A reset is the peer's right; 'close' follows and clears up.
    this.socket.on('error', () => {})
    this.socket.on('close', hadError => this.close(hadError))
    if (encrypted) this.socket.on('end', () => owner.left())
  }

  get ended(): boolean {
    return this.socket.destroyed
  }

  /** From now on the owner ends this side when the peer has ended its own. */
  stayHalfOpen(): void {
    this.socket.allowHalfOpen = true
    this.socket.on('end', () => this.owner.left())
  }

  send(): Sent {
    const { reply } = this.buffers
    const { length } = reply
    if (reply.inserts.count > 0) return this.sendInserts()
    if (length === 0) return Sent.ALL
    reply.length = 0
    const sent = this.writer.write(reply.area.head(length))
    if (sent === Sent.LATER) this.pending = this.buffers.take()
    return sent
  }

  /** As `send`; the inserts are held until all of them are sent. */
  private sendInserts(): Sent {
    const { reply } = this.buffers
    const { inserts, length } = reply
    const isShort = length <= HEAD_BYTES_MAX
    if (isShort) this.head ??= Buffer.allocUnsafeSlow(HEAD_BYTES_MAX)
    const from = isShort && this.head !== null ? this.head : reply.area.bytes
    if (isShort) reply.area.bytes.copy(from, 0, 0, length)
    reply.length = 0
    const sent = this.writer.writeAll(gather(from.subarray(0, length), inserts))
    if (sent === Sent.LATER) {
      this.pendingInserts = inserts
      reply.inserts = new Inserts()
      if (!isShort) this.pending = this.buffers.take()
    } else {
      inserts.clear()
    }
    return sent
  }

  resume(): void {
    this.socket.resume()
  }

  // What the peer says still, through TLS at least its farewell, is read and thrown away: a connection
  // that is closed with something unread in it is reset, and replies on their way are lost.
  endSoon(): void {
    if (this.endsSoon) return
    this.endsSoon = true
    this.resume()
    this.writer.endSoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  abandon(): void {
    this.pendingInserts = null
    this.destroy()
  }

  endpoint(): Endpoint {
    return endpointOf(this.socket)
  }

  private read(bytes: number): boolean {
    if (this.endsSoon) {
      this.thrownAway += bytes
      return this.thrownAway < FAREWELL_BYTES_MAX
    }
    this.lastReadBytes = bytes
    const goesOn =
      this.direct !== null
        ? this.owner.filled(bytes)
        : this.owner.read(this.buffers.input, READ_REST_BYTES_MAX, bytes)
    return goesOn || this.endsSoon
  }

  /** Where the socket shall read to from now on; undefined: to where it does. */
  private nextBuffer(): Buffer | undefined {
    const { owner, direct, readsShort, buffers } = this
    this.direct = owner.fillView()
    this.readsShort = false
    if (this.direct !== null) return this.direct
    // The next value is likely to be as long: of that no more than its beginning goes by the buffer.
    if (direct !== null) this.readsShort = owner.valueBytes() >= SHORT_READ_VALUE_BYTES_MIN
    else if (!readsShort) return undefined
    else this.readsShort = this.lastReadBytes < SHORT_READ_BYTES
    if (!this.readsShort) return buffers.read
    return readsShort ? undefined : buffers.shortRead
  }

  private sent(): void {
    this.givePending()
    this.owner.sent()
  }

  private close(hadError: boolean): void {
    this.givePending()
    this.owner.closed(hadError)
  }

  private givePending(): void {
    const { pending, pendingInserts } = this
    this.pending = null
    this.pendingInserts = null
    pendingInserts?.clear()
    if (pending !== null) this.buffers.give(pending)
  }
}
