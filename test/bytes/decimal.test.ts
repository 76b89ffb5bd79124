// 64-bit decimal numbers against BigInt.

import fc from 'fast-check'
import t from 'tap'
import {
  addU64,
  DIGITS_MAX,
  digitsOfU64,
  parseU64,
  printNumber,
  printU64,
  subtractU64,
  u64,
  u64FromWords,
  u64ToWords,
} from '../../lib/bytes/decimal.ts'
import { announceSeed } from '../support/prng.ts'
import { runs } from '../support/runs.ts'

const LIMB = 10_000_000_000n
const WRAP = 1n << 64n
const random = { seed: announceSeed(t) | 0, numRuns: runs(5000, 20_000) }

/** Random 64-bit numbers, many of them near a bound. */
const BOUNDS = [0n, 10n, LIMB, LIMB * 9n, 1n << 32n, 1n << 53n, LIMB * 900_000n, 1n << 63n, WRAP]
const number = fc.oneof(
  fc.bigInt({ min: 0n, max: WRAP - 1n }),
  fc
    .tuple(fc.constantFrom(...BOUNDS), fc.bigInt({ min: -20n, max: 20n }))
    .map(([bound, offset]) => BigInt.asUintN(64, bound + offset)),
  fc
    .tuple(fc.integer({ min: 0, max: 20 }))
    .map(([digits]) => BigInt.asUintN(64, 10n ** BigInt(digits))),
)

t.test('print is the inverse of parse', async t => {
  const room = Buffer.alloc(40, 'x')
  fc.assert(
    fc.property(number, fc.integer({ min: 0, max: 9 }), (value, at) => {
      const text = value.toString()
      room.fill('x')
      if (!parseText(text) || current() !== value) return false
      if (digitsOfU64() !== text.length || text.length > DIGITS_MAX) return false
      const end = printU64(room, at)
      if (room[end] !== 120 || (at > 0 && room[at - 1] !== 120)) return false
      return room.toString('latin1', at, end) === text
    }),
    random,
  )
  t.pass('as BigInt')
})

t.test('adding wraps at 2^64, subtracting stops at 0', async t => {
  fc.assert(
    fc.property(number, number, (a, b) => {
      assign(a)
      addU64(Number(b / LIMB), Number(b % LIMB))
      if (current() !== (a + b) % WRAP || !isNormal()) return false
      assign(a)
      subtractU64(Number(b / LIMB), Number(b % LIMB))
      return current() === (a > b ? a - b : 0n) && isNormal()
    }),
    random,
  )
  t.pass('as BigInt')
})

t.test('numbers to two words and back', async t => {
  fc.assert(
    fc.property(number, value => {
      const words = { high: Number(value >> 32n) | 0, low: Number(value & 0xffffffffn) | 0 }
      u64FromWords(words.high, words.low)
      if (current() !== value || !isNormal()) return false
      const back = { high: 1, low: 1 }
      u64ToWords(back)
      return back.high === words.high && back.low === words.low
    }),
    random,
  )
  t.pass('as BigInt')
})

t.test('any text is read as by strtoull', async t => {
  const pieces = fc.constantFrom(
    ...' \t\n\v\f\r\0+-x.0123456789',
    '00',
    '18446744073709551615',
    '9',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), list => {
      const text = list.join('')
      const expected = strtoull(text)
      const good = parseText(text)
      return good === (expected !== undefined) && (!good || current() === expected)
    }),
    { ...random, numRuns: runs(20_000, 100_000) },
  )
  t.pass('all texts')
})

t.test('edge cases of numbers', async t => {
  const good: [string, bigint][] = [
    ['18446744073709551615', WRAP - 1n],
    ['000000000000000000000000000018446744073709551615', WRAP - 1n],
    ['-18446744073709551615', 1n],
    ['-9223372036854775809', (1n << 63n) - 1n],
    ['-0', 0n],
    ['+7', 7n],
    [' \t12 x', 12n],
    ['12\0x', 12n],
  ]
  for (const [text, value] of good)
    t.equal(parseText(text) && current(), value, JSON.stringify(text))
  const bad = ['', ' ', '-', '+', '18446744073709551616', '99999999999999999999', '1x', 'x1', '- 1']
  const negative = ['-1', '-9223372036854775808', '-18446744073709551616', '+-1', '--1']
  for (const text of [...bad, ...negative]) t.notOk(parseText(text), JSON.stringify(text))
})

t.test('only the given range is read', async t => {
  const bytes = Buffer.from('991234567')
  t.ok(parseU64(bytes, 2, 5))
  t.equal(current(), 123n)
  t.notOk(parseU64(bytes, 3, 3))
})

t.test('numbers below 2^53', async t => {
  const room = Buffer.alloc(32)
  fc.assert(
    fc.property(fc.maxSafeNat(), value => {
      return room.toString('latin1', 3, printNumber(room, 3, value)) === String(value)
    }),
    random,
  )
  for (let value = 1; value <= Number.MAX_SAFE_INTEGER; value *= 10) {
    for (const near of [value - 1, value]) {
      t.equal(room.toString('latin1', 0, printNumber(room, 0, near)), String(near))
    }
  }
})

function parseText(text: string): boolean {
  return parseU64(Buffer.from(`99${text}99`, 'latin1'), 2, 2 + text.length)
}

/** What strtoull and memcached's check after it return for a text. */
function strtoull(text: string): bigint | undefined {
  const found = /^[ \t\n\v\f\r]*([+-]?)(\d+)(?:$|[ \t\n\v\f\r\0])/.exec(text)
  if (found === null) return undefined
  const magnitude = BigInt(found[2])
  if (magnitude >= WRAP) return undefined
  if (found[1] !== '-') return magnitude
  const value = BigInt.asUintN(64, -magnitude)
  return value >= 1n << 63n ? undefined : value
}

function assign(value: bigint): void {
  u64.high = Number(value / LIMB)
  u64.low = Number(value % LIMB)
}

function current(): bigint {
  return BigInt(u64.high) * LIMB + BigInt(u64.low)
}

function isNormal(): boolean {
  return u64.low >= 0 && u64.low < Number(LIMB) && u64.high >= 0
}
