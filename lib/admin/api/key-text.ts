// Keys in URLs: percent-encoded bytes, since a key need not be text.

const PERCENT = 37
const PLUS = 43
const SPACE = 32

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
