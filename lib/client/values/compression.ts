// Compression of long values, for the network and the server's memory. A bit of the client flags
// marks the method. zlib's is the one that pylibmc uses, so that Python and Node.js can read each
// other's values. It is synchronous, because requests are sent in the order of calls; 100 KB take a
// millisecond or two.
//
//   client flags   bit 3    zlib, as in pylibmc
//                  bit 15   brotli, which no other client reads

import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  deflateSync,
  inflateSync,
} from 'node:zlib'
import { KIB, MIB } from '../../bytes/units.ts'
import { refuse } from '../../doors/arguments.ts'
import type { EncodedValue } from '../../serializer.ts'

/** Shorter values are not compressed by default; values above the second bound never are. */
const COMPRESS_BYTES_MIN = KIB
export const INFLATED_BYTES_MAX = 64 * MIB
const INFLATED = { maxOutputLength: INFLATED_BYTES_MAX }

export interface Compression {
  /** Method for new values; both are read. Default zlib. */
  method?: 'zlib' | 'brotli'
  /**
   * Shorter values are not compressed, nor those that would not become shorter. Default 1024.
   */
  thresholdBytes?: number
  /** Effort: 0 to 9 for zlib, 0 to 11 for brotli. Default 1. */
  level?: number
}

export const CompressionFlags = { ZLIB: 1 << 3, BROTLI: 1 << 15 } as const
/** Bits that the application cannot use where values are compressed. */
export const COMPRESSION_MASK = CompressionFlags.ZLIB | CompressionFlags.BROTLI

// 110 KB of JSON: zlib 25.7 KB in 1.8 ms at 1, 24.7 KB in 4.1 ms at 6; brotli 21.6 KB in 0.5 ms at
// 1, 23.0 KB in 1.9 ms at 4.
const LEVEL = 1

/** Compresses a value where that pays. ARGUMENT for flags with a bit of compression. */
export function compress(value: EncodedValue, options: Compression): EncodedValue {
  if ((value.flags & COMPRESSION_MASK) !== 0) {
    refuse('flags', 'none with bits 3 and 15, which tell of compression', value.flags)
  }
  const mark = options.method === 'brotli' ? CompressionFlags.BROTLI : CompressionFlags.ZLIB
  return compressAs(mark, value, options)
}

/** The same, with a mark of one's own. */
export function compressAs(mark: number, value: EncodedValue, options: Compression): EncodedValue {
  const short = shorten(value.bytes, options)
  return short === undefined ? value : { bytes: short, flags: (value.flags | mark) >>> 0 }
}

/** The compressed bytes; undefined if that does not pay. */
export function shorten(bytes: Buffer, options: Compression): Buffer | undefined {
  const { method = 'zlib', thresholdBytes = COMPRESS_BYTES_MIN, level = LEVEL } = options
  if (bytes.length < thresholdBytes || bytes.length > INFLATED_BYTES_MAX) return undefined
  const short =
    method === 'brotli'
      ? brotliCompressSync(bytes, brotliOptions(bytes.length, level))
      : deflateSync(bytes, { level })
  return short.length < bytes.length ? short : undefined
}

/**
 * The decompressed value. Throws for one that is damaged, or longer than INFLATED_BYTES_MAX.
 */
export function decompress(value: EncodedValue): EncodedValue {
  const { bytes, flags } = value
  if ((flags & CompressionFlags.ZLIB) !== 0) return inflateAs(COMPRESSION_MASK, value)
  if ((flags & CompressionFlags.BROTLI) === 0) return value
  const inflated = brotliDecompressSync(bytes, INFLATED)
  return { bytes: inflated, flags: (flags & ~COMPRESSION_MASK) >>> 0 }
}

/** The same for zlib with a mark of one's own, if the value has it. */
export function inflateAs(mark: number, value: EncodedValue): EncodedValue {
  const { bytes, flags } = value
  if ((flags & mark) === 0) return value
  return { bytes: inflateSync(bytes, INFLATED), flags: (flags & ~mark) >>> 0 }
}

function brotliOptions(bytes: number, level: number) {
  return {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: level,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes,
    },
  }
}
