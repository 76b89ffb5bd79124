// Values of strategies as bytes and flags: those of the serializer, and two more facts that a bare
// cache does not keep. That there is no such thing (undefined, null) is a value of its own kind. And
// an empty string is marked, since an item without bytes and flags is a claim.

import { decodeValue, type EncodedValue, encodeValue, type Serializer } from '../serializer.ts'
import type { Item } from './store.ts'

/** No value: the byte tells null from undefined. */
const NONE_FLAGS = 8 << 16
const NULL = Buffer.from('n')
const UNDEFINED = Buffer.from('u')
/** An empty value that somebody stored. */
const FILLED_FLAG = 1 << 24

export function isNone(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

/** Throws what the serializer throws. */
export function encode(value: unknown, serializer: Serializer | undefined): EncodedValue {
  if (isNone(value)) return { bytes: value === null ? NULL : UNDEFINED, flags: NONE_FLAGS }
  const { bytes, flags } = encodeValue(value, serializer)
  return { bytes, flags: bytes.length === 0 ? flags | FILLED_FLAG : flags }
}

/** Throws for a damaged value. */
export function decode({ value, flags }: Item, serializer: Serializer | undefined): unknown {
  if (flags !== NONE_FLAGS) return decodeValue(value, flags, serializer)
  return value.equals(NULL) ? null : undefined
}

/** Whether an item is nothing but somebody's claim to make it. */
export function isBare({ value, flags }: Item): boolean {
  return value.length === 0 && flags === 0
}
