// Sends several pieces in one system call. The struct msghdr and its struct iovecs are created once
// and filled for each call.

import { INSERTS_MAX } from '../../protocol/limits.ts'
import type { Address } from '../native/ffi.ts'
import type { Native } from '../native/libc.ts'

// struct msghdr, words of 64 bits: name, length of it, pieces, their count, control, length of it,
// flags.
const PIECES = 2
const PIECE_COUNT = 3
const HEADER_WORDS = 7
/** struct iovec: address and length. */
const PIECE_WORDS = 2
/** Inserts, and the pieces before, between and after them. */
const PIECES_MAX = 2 * INSERTS_MAX + 1

export class Message {
  private readonly native: Native
  private readonly words = new BigUint64Array(HEADER_WORDS + PIECES_MAX * PIECE_WORDS)
  private readonly address: Address
  /** Cached addresses of memory that was sent before. */
  private readonly bases = new WeakMap<ArrayBufferLike, Address>()

  constructor(native: Native) {
    this.native = native
    this.address = native.addressOf(this.words)
    this.words[PIECES] = BigInt(this.address + HEADER_WORDS * this.words.BYTES_PER_ELEMENT)
  }

  /**
   * Sends at most PIECES_MAX pieces. Returns the number of bytes that the kernel took, or a
   * negative errno.
   */
  send(descriptor: number, pieces: readonly Uint8Array[]): number {
    const { words } = this
    words[PIECE_COUNT] = BigInt(pieces.length)
    let at = HEADER_WORDS
    for (const piece of pieces) {
      words[at] = BigInt(this.baseOf(piece.buffer) + piece.byteOffset)
      words[at + 1] = BigInt(piece.length)
      at += PIECE_WORDS
    }
    return this.native.sendMessage(descriptor, this.address)
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
