// What a client library makes of values: bytes, and marks in the client flags. A pool whose servers
// are shared with another language uses that language's format: one file each in this folder.

import { CacheError } from '../../doors/errors.ts'
import type { EncodedValue } from '../../serializer.ts'
import type { Compression } from './compression.ts'

export interface ValueFormat {
  /**
   * Bytes and flags of a value. `ownFlags` are the caller's, for strings and bytes only. CacheError
   * VALUE for a value that the format does not have, ARGUMENT for flags that it uses itself.
   */
  encode(value: unknown, ownFlags: number | undefined): EncodedValue
  /** The value compressed, or unchanged where that does not pay. */
  compress(value: EncodedValue, options: Compression): EncodedValue
  /** The value decompressed, its flags without the marks of that. Throws if it is damaged. */
  decompress(value: EncodedValue): EncodedValue
  /**
   * The value. `bytes` may be reused once this returns. CacheError VALUE if it is damaged, or not
   * of this format.
   */
  decode(bytes: Buffer, flags: number): unknown
}

/** Bits of the flags that clients in other languages use; the application's are above them. */
const LANGUAGE_MASK = 0xffff

/** The caller's flags beside those of the format. ARGUMENT if they overlap. */
export function withOwn(flags: number, ownFlags: number | undefined): number {
  if (ownFlags === undefined) return flags
  if ((ownFlags & LANGUAGE_MASK) === 0) return (flags | ownFlags) >>> 0
  throw new CacheError('ARGUMENT', `flags: none of bits 0 to 15, which the codec uses`)
}

/** Only strings and bytes have flags of the caller. */
export function refuseOwn(ownFlags: number | undefined): void {
  if (ownFlags === undefined) return
  throw new CacheError('ARGUMENT', 'flags: none beside a value that is neither text nor bytes')
}

export function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** VALUE: the format has no such value. */
export function formless(format: string, value: unknown, advice = ''): CacheError {
  const type = value === null ? 'null' : typeof value
  return new CacheError('VALUE', `${format} has no form for a value of type ${type}${advice}`)
}

/** A whole number as text. Memcached pads a number that `decr` made shorter with spaces. */
export function wholeOf(text: string): number | bigint {
  if (!/^-?\d+ *$/.test(text)) throw new TypeError(`not a whole number: ${text.slice(0, 20)}`)
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text.trim())
}
