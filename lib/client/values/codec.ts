// The pool client's encoding of values: serialized, then compressed, and back. Nodes see only bytes
// and flags.

import { CacheError } from '../../doors/errors.ts'
import { decode, encode, unreadable } from '../../doors/stored.ts'
import { type EncodedValue, json, type Serializer } from '../../serializer.ts'
import type { Hit } from '../nodes/node.ts'
import { type Compression, compress, decompress } from './compression.ts'

export interface CodecOptions {
  /** For values that are neither strings nor bytes. Default `json`. */
  serializer?: Serializer | undefined
  /**
   * Compresses values, and reads compressed ones. Without it all bits of the flags are the
   * caller's.
   */
  compression?: Compression | undefined
}

export class Codec {
  private readonly serializer: Serializer
  private readonly compression: Compression | undefined

  constructor({ serializer = json, compression }: CodecOptions) {
    this.serializer = serializer
    this.compression = compression
  }

  /** CacheError VALUE for a value that cannot be serialized, ARGUMENT for flags of compression. */
  encode(value: unknown, ownFlags: number | undefined): EncodedValue {
    const encoded = encode(value, this.serializer, ownFlags)
    return this.compression === undefined ? encoded : compress(encoded, this.compression)
  }

  /** A piece to append or prepend to a value, which must not be compressed. CacheError VALUE. */
  encodePiece(piece: string | Uint8Array): Buffer {
    if (this.compression !== undefined) {
      throw new CacheError('VALUE', 'nothing can be joined to values that may be compressed')
    }
    return encode(piece, this.serializer, 0).bytes
  }

  /** A hit, decompressed. CacheError VALUE if it is damaged. */
  open<H extends Hit>(hit: H): H {
    if (this.compression === undefined) return hit
    try {
      const { bytes, flags } = decompress({ bytes: hit.value, flags: hit.flags })
      return { ...hit, value: bytes, flags }
    } catch (error) {
      throw unreadable(error)
    }
  }

  /** The stored value. CacheError VALUE if it is damaged. */
  valueOf({ value, flags }: Hit): unknown {
    return decode(value, flags, this.serializer)
  }
}
