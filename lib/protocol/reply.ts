// The output buffer that all sessions of a worker share: replies are written one after the other,
// and the owner of the socket sends them. A session checks the room first; the buffer never grows.

import { Area, copyBytes } from '../bytes/area.ts'
import { printNumber } from '../bytes/decimal.ts'
import { Inserts } from './inserts.ts'
import { COPIES_BYTES_MAX, REPLY_BYTES, ROUND_INSERTS_BYTES, SEAL_BYTES_MAX } from './limits.ts'

const CRLF = 0x0a0d

export class Reply {
  area = Area.allocate(REPLY_BYTES + SEAL_BYTES_MAX)
  /** Start and end of the unsent bytes, and the end of the room. */
  start = 0
  length = 0
  limit = REPLY_BYTES
  /** Inserts to send in between; none if the outlet does not support them. */
  inserts = new Inserts()
  /** Bytes that may still be inserted before other peers have their turn. */
  roundBytes = ROUND_INSERTS_BYTES
  /** Bytes of values that may still be copied, to be sent without a hold. */
  readonly copyRoom = { bytes: COPIES_BYTES_MAX }

  /** Bytes that still fit. */
  room(): number {
    return this.limit - this.length
  }

  /** Removes what was written after the first `length` bytes. */
  cut(length: number): void {
    this.length = length
    this.inserts.cut(length)
  }

  /** Adds one of the fixed texts made by `text`. */
  add(text: Area): void {
    const bytes = text.bytes.length
    copyBytes(text, 0, this.area, this.length, bytes)
    this.length += bytes
  }

  /** Adds a line end. */
  endLine(): void {
    this.area.view.setInt16(this.length, CRLF, true)
    this.length += 2
  }

  /** Adds a whole number below 2^53. */
  addNumber(value: number): void {
    this.length = printNumber(this.area.bytes, this.length, value)
  }
}

/** A fixed piece of a reply. */
export function text(string: string): Area {
  const area = Area.allocate(string.length)
  area.bytes.write(string, 'latin1')
  return area
}
