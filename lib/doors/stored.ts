// Values to bytes and flags and back, by the serializer, with CacheError for its errors.

import {
  decodeValue,
  type EncodedValue,
  encodeValue,
  type Serializer,
  VALUE_KIND_MASK,
  ValueFlags,
} from '../serializer.ts'
import { refuse } from './arguments.ts'
import { CacheError } from './errors.ts'

/** Clients in other languages mark the types of their values in these bits. */
const FOREIGN_MASK = 0xffff

/** Flags of a stored empty text. An item without bytes and flags may be only a claim. */
export const FILLED_FLAG = 1 << 24

/**
 * Bytes and flags of a value. `ownFlags` are the caller's, for strings and bytes only. CacheError
 * VALUE for a value that cannot be serialized.
 */
export function encode(
  value: unknown,
  serializer: Serializer,
  ownFlags: number | undefined,
): EncodedValue {
  if (typeof value === 'string') {
    return { bytes: Buffer.from(value), flags: textFlags(value, ownFlags) }
  }
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return { bytes, flags: ownFlags ?? ValueFlags.BYTES }
  }
  if (ownFlags !== undefined) refuse('flags', 'none beside a value of the serializer', ownFlags)
  try {
    return encodeValue(value, serializer)
  } catch (error) {
    throw unwritable(error)
  }
}

export function unwritable(error: unknown): CacheError {
  const words = `a value that cannot be stored: ${wordsOf(error)}`
  return new CacheError('VALUE', words, { cause: error })
}

export function textFlags(text: string, ownFlags: number | undefined): number {
  if (ownFlags !== undefined) return ownFlags
  return text === '' ? ValueFlags.TEXT | FILLED_FLAG : ValueFlags.TEXT
}

/**
 * The stored value. `bytes` may be reused once this returns. CacheError VALUE if it is damaged, or
 * marked as another client's.
 */
export function decode(bytes: Buffer, flags: number, serializer: Serializer): unknown {
  if ((flags & FOREIGN_MASK) !== 0) {
    const words = `a value with the flags ${flags} of another client`
    throw new CacheError('VALUE', `${words}: a pool needs its codec, or read it as bytes`)
  }
  if ((flags & VALUE_KIND_MASK) === ValueFlags.TEXT) return bytes.toString()
  try {
    return decodeValue(bytes, flags, serializer)
  } catch (error) {
    throw unreadable(error)
  }
}

export function unreadable(error: unknown): CacheError {
  const words = `a value that cannot be read: ${wordsOf(error)}`
  return new CacheError('VALUE', words, { cause: error })
}

export function isUnreadable(error: unknown): boolean {
  return error instanceof CacheError && error.code === 'VALUE'
}

/** Whether an item is a claim without a value. `isPending`: it is claimed or was invalidated. */
export function isClaim(valueBytes: number, flags: number, isPending: boolean): boolean {
  return isPending && valueBytes === 0 && flags === 0
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
