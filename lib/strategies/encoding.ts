// Values of strategies as bytes and flags: by the serializer, plus a kind of its own for "there is
// no value" (undefined, null), which a plain cache does not store.

import { decode as decodeStored, encode as encodeValue } from '../doors/stored.ts'
import { type EncodedValue, json, type Serializer } from '../serializer.ts'

/** The item that a store returns for `as: 'bytes'`. */
export interface StoredBytes {
  value: Buffer
  flags: number
}

/** No value: the byte distinguishes null and undefined. */
const NONE_FLAGS = 8 << 16
const NULL = Buffer.from('n')
const UNDEFINED = Buffer.from('u')

export function isNone(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

/** CacheError VALUE for a value that cannot be serialized. */
export function encode(value: unknown, serializer: Serializer = json): EncodedValue {
  if (isNone(value)) return { bytes: value === null ? NULL : UNDEFINED, flags: NONE_FLAGS }
  return encodeValue(value, serializer, undefined)
}

/** CacheError VALUE for a damaged value. */
export function decode({ value, flags }: StoredBytes, serializer: Serializer = json): unknown {
  if (flags !== NONE_FLAGS) return decodeStored(value, flags, serializer)
  return value.equals(NULL) ? null : undefined
}
