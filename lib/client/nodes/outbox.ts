// What a connection has to send: requests of one turn of the event loop go out in one write. Short
// parts are put together into one piece, long ones go out as they are.

import type { Writable } from 'node:stream'
import { KIB } from '../../bytes/units.ts'

/** Longer parts of requests are not copied on their way out, bytes. */
const CLIENT_JOINED_BYTES_MAX = 16 * KIB

/** Text is sent as UTF-8. */
export type Part = string | Buffer

export class Outbox {
  private readonly socket: Writable
  private parts: Part[] = []
  /** Of the short parts behind the last long one. */
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
