// Values as Ruby's dalli has them with `serializer: JSON`. Its flags: bit 0, serialized; bit 1,
// zlib. A value without flags was stored `raw`: text, as counters are. Bytes have a mark of ours
// (bit 16), which dalli leaves alone.

import { json, ValueFlags } from '../../serializer.ts'
import { compressAs, inflateAs } from './compression.ts'
import { bytesOf, refuseOwn, type ValueFormat, withOwn } from './format.ts'

const SERIALIZED = 1 << 0
const ZLIB = 1 << 1
/** Bits 24 to 31 may be the application's. */
const KNOWN_MASK = 0xff_ffff
const MARSHAL = Buffer.from([4, 8])

export const dalli: ValueFormat = {
  encode(value, ownFlags) {
    if (value instanceof Uint8Array) {
      return { bytes: bytesOf(value), flags: withOwn(0, ownFlags ?? ValueFlags.BYTES) }
    }
    if (typeof value === 'string' && ownFlags !== undefined) {
      return { bytes: Buffer.from(value), flags: withOwn(0, ownFlags) }
    }
    refuseOwn(ownFlags)
    return { bytes: json.encode(value), flags: SERIALIZED }
  },

  compress: (value, options) => compressAs(ZLIB, value, options),

  decompress: value => inflateAs(ZLIB, value),

  decode(bytes, flags) {
    const kind = flags & KNOWN_MASK
    if (kind === 0) return bytes.toString()
    if (kind === ValueFlags.BYTES) return Buffer.from(bytes)
    if (kind !== SERIALIZED) throw new TypeError(`flags ${flags}, which are not of dalli`)
    if (bytes.subarray(0, MARSHAL.length).equals(MARSHAL)) {
      throw new TypeError("Ruby's Marshal; give dalli the option serializer: JSON")
    }
    return json.decode(bytes)
  },
}
