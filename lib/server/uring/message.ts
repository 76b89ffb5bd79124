// Sends or receives several pieces in one system call. The struct msghdr and its struct iovecs are
// created once and filled for each call.

import type { Area } from '../../bytes/area.ts'
import type { Inserts } from '../../protocol/inserts.ts'
import { INSERTS_MAX } from '../../protocol/limits.ts'
import type { ReplyBuffer } from '../line/replies.ts'
import type { Address } from '../native/ffi.ts'
import type { Native } from '../native/libc.ts'

// struct msghdr, 64 bits each: name, length of it, pieces, their count, control, length of it,
// flags. Written as words of 32 bits, little-endian, since numbers of 64 bits are slow.
const PIECES = 4
const PIECE_COUNT = 6
const HEADER_WORDS = 14
/** struct iovec: address and length. */
const PIECE_WORDS = 4
const HIGH = 2 ** 32
/** Inserts, and the pieces before, between and after them. */
const PIECES_MAX = 2 * INSERTS_MAX + 1

export class Message {
  private readonly native: Native
  private readonly words = new Uint32Array(HEADER_WORDS + PIECES_MAX * PIECE_WORDS)
  private readonly address: Address
  /** Cached addresses of memory that was sent before. */
  private readonly bases = new WeakMap<ArrayBufferLike, Address>()
  private readonly areas = new WeakMap<Area, Address>()

  constructor(native: Native) {
    this.native = native
    this.address = native.addressOf(this.words)
    this.put(PIECES, this.address + HEADER_WORDS * this.words.BYTES_PER_ELEMENT)
  }

  /**
   * Sends the bytes [start, end) of a reply buffer, with the inserts at their offsets. Returns the
   * number of bytes that the kernel took, or a negative errno.
   */
  sendReply(
    descriptor: number,
    { address: base }: ReplyBuffer,
    start: number,
    end: number,
    { count, offsets, areas, starts, lengths }: Inserts,
  ): number {
    let pieces = 0
    let at = start
    for (let i = 0; i < count; i++) {
      if (offsets[i] > at) this.add(pieces++, base + at, offsets[i] - at)
      at = offsets[i]
      const area = areas[i]
      if (area !== null) this.add(pieces++, this.startOf(area) + starts[i], lengths[i])
    }
    if (at < end) this.add(pieces++, base + at, end - at)
    return this.send(descriptor, pieces)
  }

  /** As `sendReply`, for at most PIECES_MAX views. */
  sendViews(descriptor: number, views: readonly Uint8Array[]): number {
    for (const [i, view] of views.entries()) {
      this.add(i, this.baseOf(view.buffer) + view.byteOffset, view.length)
    }
    return this.send(descriptor, views.length)
  }

  /** Reads into `view`, and then to `then`. Returns the number of bytes, or a negative errno. */
  receive(descriptor: number, view: Uint8Array, then: Address, thenBytes: number): number {
    this.add(0, this.baseOf(view.buffer) + view.byteOffset, view.length)
    this.add(1, then, thenBytes)
    this.words[PIECE_COUNT] = 2
    return this.native.receiveMessage(descriptor, this.address)
  }

  private send(descriptor: number, pieces: number): number {
    this.words[PIECE_COUNT] = pieces
    return this.native.sendMessage(descriptor, this.address)
  }

  private add(piece: number, address: Address, bytes: number): void {
    const at = HEADER_WORDS + piece * PIECE_WORDS
    this.put(at, address)
    this.words[at + 2] = bytes
  }

  private put(at: number, address: Address): void {
    this.words[at] = address % HIGH
    this.words[at + 1] = address / HIGH
  }

  private startOf(area: Area): Address {
    let start = this.areas.get(area)
    if (start === undefined) {
      start = this.native.addressOf(area.bytes)
      this.areas.set(area, start)
    }
    return start
  }

  private baseOf(memory: ArrayBufferLike): Address {
    let base = this.bases.get(memory)
    if (base === undefined) {
      base = this.native.addressOf(new Uint8Array(memory))
      this.bases.set(memory, base)
    }
    return base
  }
}
