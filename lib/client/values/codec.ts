// The pool client's encoding of values: serialized, then compressed, and back. Nodes see only bytes
// and flags. A pool that is shared with another language uses the format of its client library.

import { CacheError } from '../../doors/errors.ts'
import { decode, encode, unreadable, unwritable } from '../../doors/stored.ts'
import { type EncodedValue, json, type Serializer } from '../../serializer.ts'
import type { Hit } from '../nodes/node.ts'
import { type Compression, compress, decompress } from './compression.ts'
import { dalli } from './dalli.ts'
import type { ValueFormat } from './format.ts'
import { php } from './php.ts'
import { pylibmc, pymemcache } from './python.ts'

const FOREIGN = { 'php-memcached': php, pylibmc, pymemcache, dalli } as const

/** Whose values a pool has. */
export type CodecName = 'memslab' | keyof typeof FOREIGN

export const CODEC_NAMES: readonly CodecName[] = [
  'memslab',
  'php-memcached',
  'pylibmc',
  'pymemcache',
  'dalli',
]

export interface CodecOptions {
  /**
   * Whose values the pool has. Default `memslab`. With the name of a client library of another
   * language, values are written and read as that library does.
   */
  codec?: CodecName | undefined
  /** For values that are neither strings nor bytes. Default `json`. For `memslab` alone. */
  serializer?: Serializer | undefined
  /**
   * Compresses values, and reads compressed ones. Without it all bits of the flags are the
   * caller's. Values of other languages are always read, compressed or not.
   */
  compression?: Compression | undefined
}

/** What a codec needs of a hit. */
type Stored = Pick<Hit, 'value' | 'flags'>

export class Codec {
  private readonly format: ValueFormat
  private readonly compression: Compression | undefined
  /** Whether flags may say that a value is compressed. */
  private readonly isMarked: boolean

  constructor({ codec = 'memslab', serializer = json, compression }: CodecOptions) {
    this.format = codec === 'memslab' ? ownFormat(serializer) : FOREIGN[codec]
    this.compression = compression
    this.isMarked = compression !== undefined || codec !== 'memslab'
  }

  /** CacheError VALUE for a value that cannot be stored, ARGUMENT for flags that the codec uses. */
  encode(value: unknown, ownFlags: number | undefined): EncodedValue {
    const encoded = this.encodePlain(value, ownFlags)
    return this.compression === undefined
      ? encoded
      : this.format.compress(encoded, this.compression)
  }

  /** A piece to append or prepend to a value, which must not be compressed. CacheError VALUE. */
  encodePiece(piece: string | Uint8Array): Buffer {
    if (this.isMarked) {
      throw new CacheError('VALUE', 'nothing can be joined to values that may be compressed')
    }
    return this.format.encode(piece, 0).bytes
  }

  /** A hit, decompressed. CacheError VALUE if it is damaged. */
  open<H extends Stored>(hit: H): H {
    if (!this.isMarked) return hit
    try {
      const { bytes, flags } = this.format.decompress({ bytes: hit.value, flags: hit.flags })
      return { ...hit, value: bytes, flags }
    } catch (error) {
      throw unreadable(error)
    }
  }

  /** The stored value. CacheError VALUE if it is damaged, or of a client that is not known. */
  valueOf({ value, flags }: Stored): unknown {
    try {
      return this.format.decode(value, flags)
    } catch (error) {
      throw error instanceof CacheError ? error : unreadable(error)
    }
  }

  private encodePlain(value: unknown, ownFlags: number | undefined): EncodedValue {
    try {
      return this.format.encode(value, ownFlags)
    } catch (error) {
      throw error instanceof CacheError ? error : unwritable(error)
    }
  }
}

function ownFormat(serializer: Serializer): ValueFormat {
  return {
    encode: (value, ownFlags) => encode(value, serializer, ownFlags),
    compress,
    decompress,
    decode: (bytes, flags) => decode(bytes, flags, serializer),
  }
}
