// Values as php-memcached has them. Its flags:
//
//   31..16  the application's (OPT_USER_FLAGS)
//   6, 5, 4 FastLZ, zlib, compressed: the length before compression in 4 bytes, then the stream
//   3..0    0 string, 1 integer, 2 double, 3 boolean, 4 serialize(), 5 igbinary, 6 JSON, 7 msgpack
//
// PHP's strings are bytes: what is read is text, unless it was stored as bytes here (bit 16).

import { inflateSync } from 'node:zlib'
import { type EncodedValue, json, ValueFlags } from '../../serializer.ts'
import { INFLATED_BYTES_MAX, shorten } from './compression.ts'
import { inflateFastLz } from './fastlz.ts'
import { bytesOf, formless, refuseOwn, type ValueFormat, wholeOf, withOwn } from './format.ts'
import { unserialize } from './php-serialized.ts'

const Type = { STRING: 0, INTEGER: 1, DOUBLE: 2, BOOLEAN: 3, SERIALIZED: 4, JSON: 6 } as const
const COMPRESSED = 1 << 4
const ZLIB = 1 << 5
const FASTLZ = 1 << 6
const COMPRESSION_MASK = COMPRESSED | ZLIB | FASTLZ
const LANGUAGE_MASK = 0xffff
const LENGTH_BYTES = 4
const INTEGER_END = 2n ** 63n
const NULL = Buffer.from('N;')
const NAMES: Readonly<Record<number, string>> = { 5: 'igbinary', 7: 'msgpack' }

export const php: ValueFormat = {
  encode(value, ownFlags) {
    if (typeof value === 'string') {
      return { bytes: Buffer.from(value), flags: withOwn(Type.STRING, ownFlags) }
    }
    if (value instanceof Uint8Array) {
      return { bytes: bytesOf(value), flags: withOwn(Type.STRING, ownFlags ?? ValueFlags.BYTES) }
    }
    refuseOwn(ownFlags)
    return encodeScalar(value) ?? { bytes: json.encode(value), flags: Type.JSON }
  },

  compress(value, options) {
    const { bytes, flags } = value
    const short = shorten(bytes, options)
    if (short === undefined) return value
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32LE(bytes.length)
    return { bytes: Buffer.concat([length, short]), flags: (flags | COMPRESSED | ZLIB) >>> 0 }
  },

  decompress(value) {
    const { bytes, flags } = value
    if ((flags & COMPRESSED) === 0) return value
    const length = bytes.readUInt32LE()
    if (length > INFLATED_BYTES_MAX) throw new RangeError(`${length} bytes after decompression`)
    const stream = bytes.subarray(LENGTH_BYTES)
    const plain = (flags & ~COMPRESSION_MASK) >>> 0
    const how = flags & (ZLIB | FASTLZ)
    if (how === FASTLZ) return { bytes: inflateFastLz(stream, length), flags: plain }
    if (how !== ZLIB) throw new TypeError('compressed in a way that is not known here')
    const inflated = inflateSync(stream, { maxOutputLength: Math.max(1, length) })
    if (inflated.length !== length) throw new RangeError('it is shorter than it says')
    return { bytes: inflated, flags: plain }
  },

  decode(bytes, flags) {
    switch (flags & LANGUAGE_MASK) {
      case Type.STRING:
        return flags === ValueFlags.BYTES ? Buffer.from(bytes) : bytes.toString()
      case Type.INTEGER:
        return wholeOf(bytes.toString())
      case Type.DOUBLE:
        return doubleOf(bytes.toString())
      case Type.BOOLEAN:
        return bytes.toString() === '1'
      case Type.SERIALIZED:
        return unserialize(bytes)
      case Type.JSON:
        return json.decode(bytes)
    }
    const name = NAMES[flags & LANGUAGE_MASK] ?? `flags ${flags & LANGUAGE_MASK}`
    throw new TypeError(`${name} of php-memcached; set its OPT_SERIALIZER to SERIALIZER_JSON`)
  },
}

function encodeScalar(value: unknown): EncodedValue | undefined {
  switch (typeof value) {
    case 'boolean':
      return { bytes: Buffer.from(value ? '1' : ''), flags: Type.BOOLEAN }
    case 'bigint':
      if (value >= INTEGER_END || value < -INTEGER_END) {
        throw formless('php-memcached', value, ' above 63 bits')
      }
      return { bytes: Buffer.from(`${value}`), flags: Type.INTEGER }
    case 'number': {
      const isInteger = Number.isSafeInteger(value) && !Object.is(value, -0)
      const text = Object.is(value, -0) ? '-0' : `${value}`
      return { bytes: Buffer.from(text), flags: isInteger ? Type.INTEGER : Type.DOUBLE }
    }
  }
  return value === null ? { bytes: NULL, flags: Type.SERIALIZED } : undefined
}

function doubleOf(text: string): number {
  const number = Number(text)
  if (text === '' || (Number.isNaN(number) && text !== 'NaN')) {
    throw new TypeError(`not a number: ${text.slice(0, 20)}`)
  }
  return number
}
