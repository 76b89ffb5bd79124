// The outgoing requests of a connection: those of one turn of the event loop are sent in one write.
// Short parts are joined into one piece, long ones are sent without a copy.

import type { Writable } from 'node:stream'
import { KIB } from '../../bytes/units.ts'

/** Longer parts of requests are sent without a copy, bytes. */
const CLIENT_JOINED_BYTES_MAX = 16 * KIB

/** Text is sent as UTF-8. */
export type Part = string | Buffer

export class Outbox {
  private readonly socket: Writable
  private parts: Part[] = []
  /** Bytes of the short parts after the last long one. */
  private shortBytes = 0
  private isDue = false

  constructor(socket: Writable) {
    this.socket = socket
  }

  /**
   * Buffers must stay as they are until the next turn of the event loop, long ones until they are
   * sent.
   */
  put(part: Part, bytes: number): void {
    if (bytes > CLIENT_JOINED_BYTES_MAX) this.putLong(part)
    else {
      this.parts.push(part)
      this.shortBytes += bytes
    }
    if (this.isDue) return
    this.isDue = true
    this.socket.cork()
    process.nextTick(() => {
      this.isDue = false
      this.writeShort()
      this.socket.uncork()
    })
  }

  private putLong(part: Part): void {
    this.writeShort()
    this.socket.write(part)
  }

  private writeShort(): void {
    if (this.shortBytes === 0 || this.socket.destroyed) return
    const piece = Buffer.allocUnsafe(this.shortBytes)
    let at = 0
    for (const part of this.parts) {
      at += typeof part === 'string' ? piece.write(part, at) : part.copy(piece, at)
    }
    this.parts = []
    this.shortBytes = 0
    this.socket.write(piece)
  }
}
