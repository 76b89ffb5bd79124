// How values become bytes and client flags, and back. Both LocalCache and ClusterClient use it, so
// that each reads what the other stored.
//
//   client flags   31..24  0, or the application's own
//                  23..16  the kind of value, below
//                  15..0   0: clients in other languages keep their types there
//
// Strings are stored as every client stores them: as text with flags 0. So values that other
// clients stored with flags 0 are read as text. Where they are bytes, ask for bytes.

import { deserialize, serialize } from 'node:v8'

/** The kind of a value in the client flags. */
export const ValueFlags = {
  /** A string, as UTF-8. */
  TEXT: 0,
  /** A Buffer or Uint8Array, unchanged. */
  BYTES: 1 << 16,
  JSON: 2 << 16,
  /** A value for structured clone, in the format of node:v8. */
  STRUCTURED: 3 << 16,
  /** The first kind for custom serializers; the last is 255 << 16. */
  CUSTOM: 16 << 16,
} as const

/** The bits of the kind. */
export const VALUE_KIND_MASK = 0xff << 16

/** Turns values that are neither strings nor bytes into bytes and back. */
export interface Serializer {
  /** The kind of its values: one of ValueFlags, or CUSTOM and above in steps of 1 << 16. */
  readonly flags: number
  /** Throws for a value that it cannot encode. */
  encode(value: unknown): Buffer
  /** `bytes` may be reused once this returns. Throws for bytes that it did not encode. */
  decode(bytes: Buffer): unknown
}

export interface EncodedValue {
  bytes: Buffer
  flags: number
}

/**
 * JSON, which other languages and people at a telnet prompt can read: objects, arrays, numbers,
 * booleans and null. TypeError for undefined, functions, symbols, bigints and cycles, and for what
 * JSON would empty: NaN and infinite numbers, Map, Set, buffers, other typed arrays, promises ..
 */
export const json: Serializer = {
  flags: ValueFlags.JSON,
  encode(value) {
    refuseEmptied(value)
    const text: string | undefined = JSON.stringify(value)
    if (text === undefined) throw new TypeError(`no JSON for a value of type ${typeof value}`)
    return Buffer.from(text)
  },
  decode: bytes => JSON.parse(bytes.toString()),
}

/**
 * Everything that structured clone takes: also Date, Map, Set, bigint, typed arrays and cycles.
 * Only Node.js reads it. Use it only where all writers of the cache are trusted.
 */
export const structured: Serializer = {
  flags: ValueFlags.STRUCTURED,
  encode(value) {
    if (value === undefined) throw new TypeError('undefined is not stored')
    return serialize(value)
  },
  // A copy, because typed arrays in the value keep a view of the bytes.
  decode: bytes => deserialize(Buffer.from(bytes)),
}

/**
 * Encodes strings and bytes directly, the rest by the serializer. Throws what the serializer
 * throws, and RangeError if its flags are not a kind of its own: its values would be read as
 * another kind.
 */
export function encodeValue(value: unknown, serializer: Serializer = json): EncodedValue {
  if (typeof value === 'string') return { bytes: Buffer.from(value), flags: ValueFlags.TEXT }
  if (value instanceof Uint8Array) return { bytes: bytesOf(value), flags: ValueFlags.BYTES }
  const { flags } = serializer
  if (!isKind(flags)) throw new RangeError(`flags of a serializer: a kind of values, not ${flags}`)
  return { bytes: serializer.encode(value), flags }
}

/**
 * Decodes text, bytes and JSON always, other kinds if they are the serializer's. An unknown kind is
 * returned as a copy of the bytes. Throws for a damaged value.
 */
export function decodeValue(bytes: Buffer, flags: number, serializer: Serializer = json): unknown {
  const kind = flags & VALUE_KIND_MASK
  if (kind === ValueFlags.TEXT) return bytes.toString()
  if (kind === serializer.flags) return serializer.decode(bytes)
  if (kind === ValueFlags.JSON) return json.decode(bytes)
  return Buffer.from(bytes)
}

/** Whether a serializer may mark its values with these flags. */
export function isKind(flags: number): boolean {
  if ((flags & VALUE_KIND_MASK) !== flags) return false
  return flags >= ValueFlags.CUSTOM || flags === ValueFlags.JSON || flags === ValueFlags.STRUCTURED
}

/** Inside of objects and lists they are what JSON makes of them: to look there costs too much. */
function refuseEmptied(value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError(`no JSON for ${value}`)
  }
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return
  const isEmptied = ArrayBuffer.isView(value) || EMPTIED.some(kind => value instanceof kind)
  if (isEmptied) throw new TypeError(`no JSON for a value of class ${value.constructor.name}`)
}

/** Objects whose content is in no property. */
const EMPTIED = [
  ArrayBuffer,
  SharedArrayBuffer,
  Map,
  Set,
  WeakMap,
  WeakSet,
  RegExp,
  Error,
  Promise,
] as const

function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
