// Unsigned 64-bit decimal numbers without BigInt: two limbs of ten digits, `high * 1e10 + low`,
// both exact doubles. These functions read and write one register, `u64`, because a function
// returns one number and this has two limbs. Callers read it before they call anything else.

const LIMB = 1e10
const INT32_LIMIT = 2 ** 31
/** 2^64 as limbs. */
const WRAP_HIGH = 1844674407
const WRAP_LOW = 3709551616
/** 2^63 as limbs. */
const HALF_HIGH = 922337203
const HALF_LOW = 6854775808

const DIGIT_0 = 48
const SPACE = 32
const PLUS = 43
const MINUS = 45
/** Digits of the largest 64-bit number. */
export const DIGITS_MAX = 20

/** The register that the functions below read and write. */
export const u64 = { high: 0, low: 0 }

/**
 * Reads a decimal number to u64, as memcached does with strtoull: leading white space, a sign,
 * digits, then the end, a NUL or white space. False if it is no number or above 2^64 - 1. A
 * negative number counts modulo 2^64, and only if that is below 2^63.
 */
export function parseU64(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end && isSpace(bytes[at])) at++
  const negative = at < end && bytes[at] === MINUS
  if (negative || (at < end && bytes[at] === PLUS)) at++
  const first = at
  let high = 0
  let low = 0
  for (; at < end; at++) {
    const digit = bytes[at] - DIGIT_0
    if (digit < 0 || digit > 9) break
    high = high * 10 + Math.floor(low / 1e9)
    low = (low % 1e9) * 10 + digit
    if (high > WRAP_HIGH || (high === WRAP_HIGH && low >= WRAP_LOW)) return false
  }
  if (at === first || (at < end && bytes[at] !== 0 && !isSpace(bytes[at]))) return false
  u64.high = high
  u64.low = low
  return !negative || negateU64()
}

/** Sets u64. */
export function setU64(high: number, low: number): void {
  u64.high = high
  u64.low = low
}

/** Adds (high, low) to u64, modulo 2^64. */
export function addU64(high: number, low: number): void {
  let sumLow = u64.low + low
  let sumHigh = u64.high + high
  if (sumLow >= LIMB) {
    sumLow -= LIMB
    sumHigh++
  }
  if (sumHigh > WRAP_HIGH || (sumHigh === WRAP_HIGH && sumLow >= WRAP_LOW)) {
    sumHigh -= WRAP_HIGH
    sumLow -= WRAP_LOW
    if (sumLow < 0) {
      sumLow += LIMB
      sumHigh--
    }
  }
  u64.high = sumHigh
  u64.low = sumLow
}

/** Subtracts (high, low) from u64, down to 0. */
export function subtractU64(high: number, low: number): void {
  let restLow = u64.low - low
  let restHigh = u64.high - high
  if (restLow < 0) {
    restLow += LIMB
    restHigh--
  }
  const below = restHigh < 0
  u64.high = below ? 0 : restHigh
  u64.low = below ? 0 : restLow
}

/** Digits of u64 in decimal. */
export function digitsOfU64(): number {
  return u64.high > 0 ? digitsOf(u64.high) + 10 : digitsOf(u64.low)
}

/** Writes u64 in decimal at `at`. Returns the end. */
export function printU64(bytes: Uint8Array, at: number): number {
  if (u64.high === 0) return printDigits(bytes, at, u64.low, digitsOf(u64.low))
  const middle = printDigits(bytes, at, u64.high, digitsOf(u64.high))
  return printDigits(bytes, middle, u64.low, 10)
}

/** Writes a whole number below 2^53 in decimal at `at`. Returns the end. */
export function printNumber(bytes: Uint8Array, at: number, value: number): number {
  return printDigits(bytes, at, value, digitsOf(value))
}

/** Sets u64 from two 32-bit words, the form of CAS numbers. */
export function u64FromWords(high: number, low: number): void {
  const value = (high >>> 0) * 2 ** 32 + (low >>> 0)
  if (high >>> 0 < 2 ** 21) {
    u64.high = Math.floor(value / LIMB)
    u64.low = value % LIMB
    return
  }
  const exact = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
  u64.high = Number(exact / 10_000_000_000n)
  u64.low = Number(exact % 10_000_000_000n)
}

/** Writes u64 as 32-bit words to `words.high` and `words.low`, signed as in typed arrays. */
export function u64ToWords(words: { high: number; low: number }): void {
  if (u64.high < 900_000) {
    const value = u64.high * LIMB + u64.low
    words.high = Math.floor(value / 2 ** 32) | 0
    words.low = value | 0
    return
  }
  const exact = BigInt(u64.high) * 10_000_000_000n + BigInt(u64.low)
  words.high = Number(exact >> 32n) | 0
  words.low = Number(exact & 0xffffffffn) | 0
}

/** Sets u64 to 2^64 - u64. False if that is 2^63 or more. */
function negateU64(): boolean {
  if (u64.high === 0 && u64.low === 0) return true
  const { high, low } = u64
  u64.high = WRAP_HIGH
  u64.low = WRAP_LOW
  subtractU64(high, low)
  return u64.high < HALF_HIGH || (u64.high === HALF_HIGH && u64.low < HALF_LOW)
}

function printDigits(bytes: Uint8Array, at: number, value: number, digits: number): number {
  if (value < INT32_LIMIT) return printInt32(bytes, at, value | 0, digits)
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10)
    bytes[i] = DIGIT_0 + (rest - tenth * 10)
    rest = tenth
  }
  return at + digits
}

/** For 32-bit numbers the division by ten compiles to a multiplication. */
function printInt32(bytes: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    const tenth = (rest / 10) | 0
    bytes[i] = DIGIT_0 + (rest - tenth * 10)
    rest = tenth
  }
  return at + digits
}

function digitsOf(value: number): number {
  let digits = 1
  for (let bound = 10; value >= bound; bound *= 10) digits++
  return digits
}

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 9 && byte <= 13)
}
