// Numbers in byte ranges, read as memcached reads them: by strtol and its family, then cut to the
// width of the field. Plain digits take a fast path; signs, white space and long numbers the slow
// one.

import type { Area } from '../../bytes/area.ts'

const BLANK = 32
const DELETE = 127
const DIGIT_0 = 48
/** Any number with this many digits is exact in a double. */
const QUICK_DIGITS_MAX = 15
const NUMBER = /^[\t-\r ]*([+-]?\d+)(?:[\t-\r ]|$)/
const TWO_64 = 1n << 64n
const TWO_63 = 1n << 63n

/** An unsigned number, cut to 32 bits; -1 for anything else. (strtoull into a uint32_t: flags.) */
export function parseUint32(bytes: Buffer, start: number, end: number): number {
  const quick = parseDigits(bytes, start, end)
  if (quick >= 0) return quick >>> 0
  const value = parseBig(bytes, start, end)
  if (value === null || value >= TWO_64 || value <= -TWO_64) return -1
  const wrapped = BigInt.asUintN(64, value)
  if (value < 0n && wrapped >= TWO_63) return -1
  return Number(BigInt.asUintN(32, wrapped))
}

/** A signed number, cut to 32 bits; NaN for anything else. (strtoll into an int32_t: exptime.) */
export function parseInt32(bytes: Buffer, start: number, end: number): number {
  const quick = parseDigits(bytes, start, end)
  if (quick >= 0) return quick | 0
  const value = parseBig(bytes, start, end)
  if (value === null || value >= TWO_63 || value < -TWO_63) return Number.NaN
  return Number(BigInt.asIntN(32, value))
}

/** A number of a few digits; -1 for anything else, which needs the slow path. */
export function parseDigits(bytes: Buffer, start: number, end: number): number {
  if (end - start > QUICK_DIGITS_MAX || end === start) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at] - DIGIT_0
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

function parseBig(bytes: Buffer, start: number, end: number): bigint | null {
  const match = NUMBER.exec(bytes.toString('latin1', start, end))
  return match === null ? null : BigInt(match[1].replace('+', ''))
}

/** Position of the first space or control character in [start, end): the end of a word. */
export function wordEnd({ bytes, view }: Area, start: number, end: number): number {
  let at = start
  for (; at + 4 <= end; at += 4) {
    const four = view.getInt32(at, true)
    // Below 33: subtracting borrows from the highest bit. The lowest that did so is right.
    const below = (four - 0x21212121) & ~four & 0x80808080
    if (below !== 0) return at + ((31 - Math.clz32(below & -below)) >> 3)
  }
  while (at < end && bytes[at] > BLANK) at++
  return at
}

/** Whether the range holds exactly this ASCII word. */
export function equalsWord(bytes: Buffer, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false
  for (let i = 0; i < word.length; i++) {
    if (bytes[start + i] !== word.charCodeAt(i)) return false
  }
  return true
}

const HEX = Buffer.from('0123456789ABCDEF')
const PERCENT = 37
/** By byte: whether percent-encoding leaves it unchanged, as it does letters. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[\w.~-]/.test(String.fromCharCode(byte)) ? 1 : 0,
)

/** Writes [start, end) of `from` percent-encoded at `at` of `to`. Returns the end. */
export function encodeBytes(
  from: Buffer,
  start: number,
  end: number,
  to: Buffer,
  at: number,
): number {
  let out = at
  for (let i = start; i < end; i++) {
    const byte = from[i]
    if (PLAIN[byte] === 1) {
      to[out++] = byte
      continue
    }
    out = encodeByte(byte, to, out)
  }
  return out
}

/** As `encodeBytes`, but encodes only control characters, which terminals act on. */
export function encodeControls(
  from: Buffer,
  start: number,
  end: number,
  to: Buffer,
  at: number,
): number {
  let out = at
  for (let i = start; i < end; i++) {
    const byte = from[i]
    if (isControl(byte)) out = encodeByte(byte, to, out)
    else to[out++] = byte
  }
  return out
}

/** Whether there is a control character in [start, end). */
export function hasControls(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (isControl(bytes[at])) return true
  return false
}

function isControl(byte: number): boolean {
  return byte < BLANK || byte === DELETE
}

function encodeByte(byte: number, to: Buffer, at: number): number {
  to[at] = PERCENT
  to[at + 1] = HEX[byte >> 4]
  to[at + 2] = HEX[byte & 15]
  return at + 3
}

/** A decimal number with sign, fraction and exponent; NaN for anything else. (strtod) */
export function parseDecimal(bytes: Buffer, start: number, end: number): number {
  const text = bytes.toString('latin1', start, end)
  return DECIMAL.test(text) ? Number(text) : Number.NaN
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
