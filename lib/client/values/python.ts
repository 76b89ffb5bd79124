// Values as pylibmc and pymemcache (with its pickle_serde) have them, in Python 3. Their flags:
//
//   4  text    3  zlib    2, 1  integer    0  a pickle    none  bytes
//
// They differ in whole numbers (pylibmc 2, pymemcache 1) and in booleans (pylibmc has 1 for them,
// pymemcache pickles them). Pickles are read and written for None, floats and booleans alone: any
// other one is a program for Python's machine.

import type { EncodedValue } from '../../serializer.ts'
import { compressAs, inflateAs } from './compression.ts'
import { bytesOf, formless, refuseOwn, type ValueFormat, wholeOf, withOwn } from './format.ts'

const Type = { BYTES: 0, PICKLE: 1 << 0, INTEGER: 1 << 1, LONG: 1 << 2, TEXT: 1 << 4 } as const
const ZLIB = 1 << 3
/** Bits 24 to 31 may be the application's. */
const KNOWN_MASK = 0xff_ffff

export const pylibmc = formatOf('pylibmc', Type.LONG, Type.INTEGER)
export const pymemcache = formatOf('pymemcache', Type.INTEGER, Type.PICKLE)

function formatOf(name: string, whole: number, boolean: number): ValueFormat {
  return {
    encode(value, ownFlags) {
      if (typeof value === 'string') {
        return { bytes: Buffer.from(value), flags: withOwn(Type.TEXT, ownFlags) }
      }
      if (value instanceof Uint8Array) {
        return { bytes: bytesOf(value), flags: withOwn(Type.BYTES, ownFlags) }
      }
      refuseOwn(ownFlags)
      if (typeof value === 'bigint' || (Number.isSafeInteger(value) && !Object.is(value, -0))) {
        return { bytes: Buffer.from(`${value}`), flags: whole }
      }
      if (typeof value === 'boolean' && boolean === Type.INTEGER) {
        return { bytes: Buffer.from(value ? '1' : '0'), flags: boolean }
      }
      const scalar = pickled(value)
      if (scalar === undefined) throw formless(name, value, ': store JSON text')
      return scalar
    },

    compress: (value, options) => compressAs(ZLIB, value, options),

    decompress: value => inflateAs(ZLIB, value),

    decode(bytes, flags) {
      switch (flags & KNOWN_MASK) {
        case Type.BYTES:
          return Buffer.from(bytes)
        case Type.TEXT:
          return bytes.toString()
        case Type.INTEGER:
        case Type.LONG: {
          const number = wholeOf(bytes.toString())
          const isBoolean = (flags & KNOWN_MASK) === boolean && (number === 0 || number === 1)
          return isBoolean ? number === 1 : number
        }
        case Type.PICKLE:
          return unpickled(bytes)
      }
      throw new TypeError(`flags ${flags}, which are not of ${name}`)
    },
  }
}

/** Protocol 2, which every Python 3 reads. */
const Pickle = { PROTOCOL: 0x80, FRAME: 0x95, STOP: 0x2e } as const
const PICKLE_HEAD = [Pickle.PROTOCOL, 2]
const FRAME_BYTES = 9
const [NONE, TRUE, FALSE, FLOAT] = [0x4e, 0x88, 0x89, 0x47]

function pickled(value: unknown): EncodedValue | undefined {
  const flags = Type.PICKLE
  if (typeof value === 'number') {
    const float = Buffer.alloc(8)
    float.writeDoubleBE(value)
    return { bytes: Buffer.from([...PICKLE_HEAD, FLOAT, ...float, Pickle.STOP]), flags }
  }
  const code = value === null ? NONE : value === true ? TRUE : value === false ? FALSE : undefined
  if (code === undefined) return undefined
  return { bytes: Buffer.from([...PICKLE_HEAD, code, Pickle.STOP]), flags }
}

function unpickled(bytes: Buffer): unknown {
  let start = PICKLE_HEAD.length
  if (bytes[start] === Pickle.FRAME) start += FRAME_BYTES
  const isPickle = bytes[0] === Pickle.PROTOCOL && bytes.at(-1) === Pickle.STOP
  const length = bytes.length - 1 - start
  const code = bytes[start]
  if (isPickle && length === 1) {
    if (code === NONE) return null
    if (code === TRUE || code === FALSE) return code === TRUE
  }
  if (isPickle && length === 9 && code === FLOAT) return bytes.readDoubleBE(start + 1)
  throw new TypeError('a pickle of Python; store JSON text instead')
}
