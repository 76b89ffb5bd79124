// Numbers of a command line as memcached's tokenizer reads them: only decimal digits, of a bounded
// length and within their range. No spaces, no `+`; only signed numbers may begin with `-`. Flags
// and exptime of the classic stores are read differently (ascii.ts).

import { u64 } from '../../bytes/decimal.ts'

/** Most characters of a 32-bit number, sign included, and of a 64-bit number. */
const CHARACTERS_32_MAX = 11
const CHARACTERS_64_MAX = 22

const UINT32_MAX = 2 ** 32 - 1
const INT32_MAX = 2 ** 31 - 1
/** 2^64 - 1 in limbs of ten digits, as in decimal.ts. */
const UINT64_HIGH = 1844674407
const UINT64_LOW = 3709551615

const MINUS = 45
const DIGIT_0 = 48

/** An unsigned 32-bit number; -1 for anything else. */
export function readUint32(bytes: Buffer, start: number, end: number): number {
  const value = end - start > CHARACTERS_32_MAX ? -1 : readDigits(bytes, start, end)
  return value <= UINT32_MAX ? value : -1
}

/** A signed 32-bit number; NaN for anything else. A lone `-` is 0, as in memcached. */
export function readInt32(bytes: Buffer, start: number, end: number): number {
  if (end - start > CHARACTERS_32_MAX) return Number.NaN
  const isNegative = start < end && bytes[start] === MINUS
  const value = readDigits(bytes, isNegative ? start + 1 : start, end)
  if (value < 0 || value > (isNegative ? INT32_MAX + 1 : INT32_MAX)) return Number.NaN
  return isNegative ? 0 - value : value
}

/**
 * Reads an unsigned 64-bit number to u64 of decimal.ts. False, with u64 undefined, for anything
 * else.
 */
export function readUint64(bytes: Buffer, start: number, end: number): boolean {
  if (end === start || end - start > CHARACTERS_64_MAX) return false
  let high = 0
  let low = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at] - DIGIT_0
    if (digit < 0 || digit > 9) return false
    high = high * 10 + Math.floor(low / 1e9)
    low = (low % 1e9) * 10 + digit
  }
  if (high > UINT64_HIGH || (high === UINT64_HIGH && low > UINT64_LOW)) return false
  u64.high = high
  u64.low = low
  return true
}

/** A number of digits; 0 without any, -1 for other bytes. At most eleven, which a double holds. */
function readDigits(bytes: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at] - DIGIT_0
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}
