// What the pool client makes of values on their way: serialized, then compressed; and back. Nodes see
// bytes and flags alone.

import {
  decodeValue,
  type EncodedValue,
  encodeValue,
  json,
  type Serializer,
} from '../../serializer.ts'
import { ClientError } from '../errors.ts'
import type { Hit } from '../nodes/node.ts'
import { type Compression, compress, decompress } from './compression.ts'

export interface CodecOptions {
  /** For values that are neither strings nor bytes. Default `json`. */
  serializer?: Serializer
  /** Values are compressed, and read if they are; without it all bits of the flags are the caller's. */
  compression?: Compression
}

export class Codec {
  private readonly serializer: Serializer
  private readonly compression: Compression | undefined

  constructor({ serializer = json, compression }: CodecOptions) {
    this.serializer = serializer
    this.compression = compression
  }

  /** Throws what the serializer throws, and RangeError for flags that mean something else here. */
  encode(value: unknown, ownFlags: number | undefined): EncodedValue {
    const { bytes, flags } = encodeValue(value, this.serializer)
    const isPlain = typeof value === 'string' || value instanceof Uint8Array
    const encoded = { bytes, flags: isPlain ? (ownFlags ?? flags) : flags }
    return this.compression === undefined ? encoded : compress(encoded, this.compression)
  }

  /** A piece to put to a value, which must not be compressed. */
  encodePiece(value: string | Uint8Array): Buffer {
    if (this.compression !== undefined) {
      throw new ClientError('VALUE', 'nothing can be joined to values that may be compressed')
    }
    return encodeValue(value, this.serializer).bytes
  }

  /** A hit as it was stored. VALUE if it is damaged. */
  open<H extends Hit>(hit: H): H {
    if (this.compression === undefined) return hit
    try {
      const { bytes, flags } = decompress({ bytes: hit.value, flags: hit.flags })
      return { ...hit, value: bytes, flags }
    } catch (error) {
      throw damaged(error)
    }
  }

  /** What was stored. VALUE if it is damaged. */
  valueOf<T>(hit: Hit): T {
    try {
      return decodeValue(hit.value, hit.flags, this.serializer) as T
    } catch (error) {
      throw damaged(error)
    }
  }
}

function damaged(error: unknown): ClientError {
  const words = error instanceof Error ? error.message : String(error)
  return new ClientError('VALUE', `a value that cannot be read: ${words}`)
}
