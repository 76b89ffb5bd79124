// Keys in URLs and JSON: percent-encoded bytes, as in a dump, since a key need not be text.

import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { encodeBytes } from '../../protocol/words/ascii.ts'

const PERCENT = 37
const PLUS = 43
const SPACE = 32

const encoded = Buffer.allocUnsafe(3 * KEY_BYTES_MAX)

/** A key of latin1 characters, or its bytes, percent-encoded. */
export function encodeKey(key: string | Buffer): string {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'latin1') : key
  return encoded.toString('latin1', 0, encodeBytes(bytes, 0, bytes.length, encoded, 0))
}

/** The bytes of a parameter of a URL; null if it is no percent-encoded text. */
export function decodeBytes(text: string): Buffer | null {
  const from = Buffer.from(text, 'latin1')
  const to = Buffer.alloc(from.length)
  let length = 0
  for (let at = 0; at < from.length; at++) {
    if (from[at] !== PERCENT) {
      to[length++] = from[at] === PLUS ? SPACE : from[at]
      continue
    }
    const digits = from.toString('latin1', at + 1, at + 3)
    if (!/^[\da-f]{2}$/i.test(digits)) return null
    to[length++] = Number.parseInt(digits, 16)
    at += 2
  }
  return to.subarray(0, length)
}
