// A line through Node's stream, the fallback that always works. It carries TLS done by Node, and
// plain sockets whose handle line/socket.ts does not know.
//
// 'data' events are copied to a buffer that the thread's stream lines share. Replies are copied for
// the stream, which reports each write. Long values take the same path.

import type { Socket } from 'node:net'
import type { Area } from '../../bytes/area.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import { FAREWELL_BYTES_MAX, FAREWELL_MS_MAX } from '../limits.ts'
import { endpointOf, type Line, type LineOwner, Sent } from './line.ts'
import type { ReplyBuffer } from './replies.ts'

export class StreamLine implements Line {
  readonly takesInserts = false
  private readonly input: Area
  private readonly socket: Socket
  private readonly owner: LineOwner
  private isEnding = false
  private thrownAwayBytes = 0

  /**
   * Not reading yet. `input`: READ_REST_BYTES_MAX + READ_BYTES long, shared by a thread's lines.
   */
  constructor(input: Area, socket: Socket, owner: LineOwner) {
    this.input = input
    this.socket = socket
    this.owner = owner
    socket.allowHalfOpen = true
    socket.on('data', (chunk: Buffer) => this.take(chunk))
    socket.on('end', () => owner.halfClosed())
    // The peer may reset; 'close' follows and cleans up.
    socket.on('error', () => {})
    socket.on('close', hadError => owner.closed(hadError))
    socket.pause()
  }

  get ended(): boolean {
    return this.socket.destroyed
  }

  get unsentBytes(): number {
    return this.socket.writableLength
  }

  send({ area }: ReplyBuffer, start: number, end: number): Sent {
    const { socket, owner } = this
    if (end === start) return Sent.ALL
    // TLS calls back a turn later even if the kernel took all: one write may be under way
    // unnoticed.
    const isIdle = socket.writableLength === 0
    const bytes = Buffer.from(area.bytes.subarray(start, end))
    if (isIdle) socket.write(bytes)
    else socket.write(bytes, () => owner.sent())
    if (socket.destroyed) return Sent.FAILED
    return isIdle ? Sent.ALL : Sent.LATER
  }

  resume(): void {
    this.socket.resume()
  }

  // A socket that is closed with unread bytes is reset, and pending replies are lost. So this side
  // is closed first, and input is discarded until the peer closes its side or takes too long.
  endSoon(): void {
    if (this.isEnding) return
    this.isEnding = true
    const { socket } = this
    socket.resume()
    socket.once('finish', () => setTimeout(() => socket.destroy(), FAREWELL_MS_MAX).unref())
    socket.end()
  }

  leave(): void {
    this.endSoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  abandon(): void {
    this.destroy()
  }

  endpoint(): Endpoint {
    return endpointOf(this.socket)
  }

  private take(chunk: Buffer): void {
    const { socket, input } = this
    for (let at = 0; at < chunk.length; at += READ_BYTES) {
      const bytes = chunk.copy(input.bytes, READ_REST_BYTES_MAX, at, at + READ_BYTES)
      if (this.read(bytes)) continue
      socket.pause()
      const rest = chunk.subarray(at + bytes)
      if (rest.length > 0) socket.unshift(rest)
      return
    }
  }

  private read(bytes: number): boolean {
    if (!this.isEnding) {
      if (this.owner.read(this.input, READ_REST_BYTES_MAX, bytes)) return true
      // The line may have been ended meanwhile; it goes on reading.
      return this.isEnding
    }
    this.thrownAwayBytes += bytes
    return this.thrownAwayBytes < FAREWELL_BYTES_MAX
  }
}
