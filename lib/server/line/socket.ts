// The line through the handle of a Node socket, TCP or UNIX (line/node-handle.ts).
//
// All lines of a thread share one read buffer and the reply buffers. Long values bypass them: the
// socket reads into the value's place in its arena, and writes from there. If the kernel does not
// take all of a reply, the write keeps its reply buffer, or the values, until it is done.

import type { Socket } from 'node:net'
import { Area } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import type { Inserts } from '../../protocol/inserts.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import { FAREWELL_BYTES_MAX, SHORT_READ_BYTES } from '../limits.ts'
import { gather } from './gather.ts'
import { endpointOf, type Line, type LineOwner, Sent } from './line.ts'
import { adoptSocket, HandleWriter, unsentBytesOf } from './node-handle.ts'
import type { Replies, ReplyBuffer } from './replies.ts'

/** Replies with inserts up to this length are copied, so that a slow peer keeps no reply buffer. */
const HEAD_BYTES_MAX = KIB

/** What the socket lines of one thread share. */
export class SocketBuffers {
  readonly replies: Replies
  /** The bytes of a read, after room for the rest of the last one. */
  readonly input = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  /** Where every socket reads to, and where a short read goes. */
  readonly read = this.input.bytes.subarray(READ_REST_BYTES_MAX)
  readonly shortRead = this.read.subarray(0, SHORT_READ_BYTES)

  constructor(replies: Replies) {
    this.replies = replies
  }
}

export class SocketLine implements Line {
  readonly takesInserts = true
  private readonly buffers: SocketBuffers
  private readonly owner: LineOwner
  private readonly socket: Socket
  private readonly writer: HandleWriter
  /** Where the socket reads to: one of the shared views, or a value's place in its arena. */
  private target: Buffer
  /** What a pending write keeps. */
  private pending: ReplyBuffer | null = null
  private pendingInserts: Inserts | null = null
  private isEnding = false
  private thrownAwayBytes = 0
  /** Short replies with inserts are sent from here. */
  private head: Buffer | null = null

  /** Not reading yet. The accepted socket must have a known handle. */
  constructor(buffers: SocketBuffers, accepted: Socket, owner: LineOwner) {
    this.buffers = buffers
    this.owner = owner
    this.target = buffers.read
    this.socket = adoptSocket(
      accepted,
      buffers.read,
      bytes => this.read(bytes),
      () => this.nextTarget(),
    )
    this.writer = new HandleWriter(this.socket, () => this.sent())
    this.socket.on('end', () => owner.halfClosed())
    // A reset is the peer's right; 'close' follows and clears up.
    this.socket.on('error', () => {})
    this.socket.on('close', hadError => this.close(hadError))
  }

  get ended(): boolean {
    return this.socket.destroyed
  }

  get unsentBytes(): number {
    return unsentBytesOf(this.socket)
  }

  send(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent {
    if (inserts.count > 0) return this.sendInserts(from, start, end, inserts)
    if (end === start) return Sent.ALL
    const { area } = from
    const sent = this.writer.write(start === 0 ? area.head(end) : area.bytes.subarray(start, end))
    if (sent === Sent.LATER) this.keep(from, end)
    return sent
  }

  /** As `send`; the inserts stay held until all of them are sent. */
  private sendInserts(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent {
    const isShort = end - start <= HEAD_BYTES_MAX
    const between = isShort ? this.copyHead(from, start, end) : from.area.bytes.subarray(start, end)
    const sent = this.writer.writeAll(gather(between, inserts, start))
    if (sent !== Sent.LATER) return sent
    this.pendingInserts = this.buffers.replies.takeInserts()
    if (!isShort) this.keep(from, end)
    return sent
  }

  private copyHead({ area }: ReplyBuffer, start: number, end: number): Buffer {
    this.head ??= Buffer.allocUnsafeSlow(HEAD_BYTES_MAX)
    return this.head.subarray(0, area.bytes.copy(this.head, 0, start, end))
  }

  private keep(from: ReplyBuffer, end: number): void {
    this.buffers.replies.keep(from, end)
    this.pending = from
  }

  resume(): void {
    this.socket.resume()
  }

  // A socket that is closed with unread bytes is reset, and pending replies are lost. So input is
  // read and discarded.
  endSoon(): void {
    if (this.isEnding) return
    this.isEnding = true
    this.resume()
    this.socket.destroySoon()
  }

  leave(): void {
    this.endSoon()
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
    if (this.isEnding) {
      this.thrownAwayBytes += bytes
      return this.thrownAwayBytes < FAREWELL_BYTES_MAX
    }
    const { owner, buffers, target } = this
    const isShared = target === buffers.read || target === buffers.shortRead
    const goesOn = isShared
      ? owner.read(buffers.input, READ_REST_BYTES_MAX, bytes)
      : owner.filled(bytes)
    // The owner may have ended the line meanwhile, which goes on reading.
    return goesOn || this.isEnding
  }

  /** Where the socket reads to from now on; undefined: to the same place. */
  private nextTarget(): Buffer | undefined {
    const { owner, buffers, target } = this
    const shared = owner.readsShort() ? buffers.shortRead : buffers.read
    this.target = owner.fillView() ?? shared
    return this.target === target ? undefined : this.target
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
    if (pending !== null) this.buffers.replies.release(pending)
  }
}
