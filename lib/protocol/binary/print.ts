// Prints the responses of the binary protocol: frames, error texts, and hits.

import { type Area, copyBytes } from '../../bytes/area.ts'
import { setU64, u64ToWords } from '../../bytes/decimal.ts'
import type { Arena } from '../../engine/arena/arena.ts'
import {
  casHighOf,
  casLowOf,
  itemFlags,
  type Ref,
  readValue,
  valueBytesOf,
} from '../../engine/items/item.ts'
import { Status } from '../../engine/status.ts'
import type { HitSink } from '../../engine/storing/ask.ts'
import { INLINE_VALUE_BYTES_MAX, REPLY_FRAME_BYTES_MAX } from '../limits.ts'
import { type Reply, text } from '../reply.ts'
import type { Request } from '../request.ts'
import * as B from './layout.ts'
import { BinaryStatus } from './layout.ts'

/** A header as memcached logs it at -vv. */
export function headerText(title: string, mark: string, { bytes }: Area, at: number): string {
  const lines = [title]
  for (let start = at; start < at + B.HEADER_BYTES; start += 4) {
    lines.push(`${mark}    ${Array.from(bytes.subarray(start, start + 4), hexOf).join(' ')}`)
  }
  return lines.join('\n')
}

export function hexOf(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}

/** The bodies of error responses, memcached's texts. */
export const Words = {
  AUTH_FAILURE: text('Auth failure.'),
  EXISTS: text('Data exists for key.'),
  INVALID: text('Invalid arguments'),
  NON_NUMERIC: text('Non-numeric server-side value for incr or decr'),
  NOT_FOUND: text('Not found'),
  NOT_STORED: text('Not stored.'),
  NO_MEMORY: text('Out of memory'),
  NO_MEMORY_ADJUST: text('Out of memory incrementing value'),
  NO_MEMORY_STORE: text('Out of memory allocating item'),
  TOO_LARGE: text('Too large.'),
  UNKNOWN_COMMAND: text('Unknown command'),
} as const

// Scratch of `number`, read before the next call.
const result = { high: 0, low: 0 }

/** Answers the current frame. The session ensures that there is room for a header and a key. */
export class Responder implements HitSink {
  /** Fields of the frame that responses repeat; only the peer interprets the opaque. */
  opcode = 0
  opaque = 0
  /** Success is not answered. */
  quiet = false
  /** What the frame requests of a hit besides its flags. */
  withKey = false
  withValue = true
  private readonly reply: Reply
  private readonly request: Request

  constructor(reply: Reply, request: Request) {
    this.reply = reply
    this.request = request
  }

  /** Success without a body. */
  done(): void {
    if (!this.quiet) this.header(BinaryStatus.OK, 0, 0, 0)
  }

  /** Success of a store, with its CAS. */
  stored(): void {
    if (!this.quiet) this.storedHeader(0)
  }

  /** Success of an increment or decrement. */
  number(): void {
    if (this.quiet) return
    const { reply, request } = this
    setU64(request.numberHigh, request.numberLow)
    u64ToWords(result)
    this.storedHeader(B.NUMBER_BYTES)
    reply.area.view.setInt32(reply.length, result.high)
    reply.area.view.setInt32(reply.length + 4, result.low)
    reply.length += B.NUMBER_BYTES
  }

  /** Success with a text. */
  text(words: string): void {
    const { reply } = this
    this.header(BinaryStatus.OK, 0, 0, words.length)
    reply.length += reply.area.bytes.write(words, reply.length, 'latin1')
  }

  /** An error; it answers quiet frames too. */
  error(status: BinaryStatus, words: Area): void {
    this.header(status, 0, 0, words.bytes.length)
    this.reply.add(words)
  }

  /** A miss of a get. A get that requests the key gets it back. */
  missed(): void {
    if (this.quiet) return
    if (!this.withKey) return this.error(BinaryStatus.KEY_ENOENT, Words.NOT_FOUND)
    const { keyBytes } = this.request
    this.header(BinaryStatus.KEY_ENOENT, 0, keyBytes, keyBytes)
    this.key()
  }

  /** Writes a hit, under the arena's lock; for a long value everything before the value. */
  accept(arena: Arena, ref: Ref): Status {
    const { reply, request, withKey, withValue } = this
    const valueBytes = withValue ? valueBytesOf(arena, ref) : 0
    const inline = valueBytes <= INLINE_VALUE_BYTES_MAX
    if (reply.room() < REPLY_FRAME_BYTES_MAX + (inline ? valueBytes : 0)) return Status.NO_ROOM
    const keyBytes = withKey ? request.keyBytes : 0
    const bodyBytes = B.HIT_EXTRA_BYTES + keyBytes + valueBytes
    this.head(BinaryStatus.OK, B.HIT_EXTRA_BYTES, keyBytes, bodyBytes)
    this.cas(casHighOf(arena, ref), casLowOf(arena, ref))
    reply.area.view.setUint32(reply.length, itemFlags(arena, ref))
    reply.length += B.HIT_EXTRA_BYTES
    if (withKey) this.key()
    request.valueBytes = valueBytes
    if (!inline) return Status.HELD
    if (valueBytes === 0) return Status.OK
    readValue(arena, ref, reply.area, reply.length)
    reply.length += valueBytes
    return Status.OK
  }

  /** A header without a CAS. */
  private header(
    status: BinaryStatus,
    extraBytes: number,
    keyBytes: number,
    bodyBytes: number,
  ): void {
    this.head(status, extraBytes, keyBytes, bodyBytes)
    this.cas(0, 0)
  }

  /** All of a header but its CAS, which `cas` writes. */
  private head(
    status: BinaryStatus,
    extraBytes: number,
    keyBytes: number,
    bodyBytes: number,
  ): void {
    const { view } = this.reply.area
    const at = this.reply.length
    view.setInt32(at, (B.RESPONSE_MAGIC << 24) | (this.opcode << 16) | keyBytes)
    view.setInt32(at + B.EXTRA_BYTES, (extraBytes << 24) | status)
    view.setInt32(at + B.BODY_BYTES, bodyBytes)
    view.setInt32(at + B.OPAQUE, this.opaque)
    this.reply.length = at + B.HEADER_BYTES
  }

  /** A header with the CAS of the stored item. */
  private storedHeader(bodyBytes: number): void {
    this.head(BinaryStatus.OK, 0, 0, bodyBytes)
    this.cas(this.request.storedCasHigh, this.request.storedCasLow)
  }

  /** Sets the CAS of the header just written. */
  private cas(high: number, low: number): void {
    const { view } = this.reply.area
    const at = this.reply.length - B.HEADER_BYTES
    view.setInt32(at + B.CAS_HIGH, high)
    view.setInt32(at + B.CAS_LOW, low)
  }

  private key(): void {
    const { reply } = this
    const { area, keyStart, keyBytes } = this.request
    copyBytes(area, keyStart, reply.area, reply.length, keyBytes)
    reply.length += keyBytes
  }
}
