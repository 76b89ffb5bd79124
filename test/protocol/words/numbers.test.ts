// Numbers in command lines: the plain forms against BigInt, and every form that memcached refuses.

import fc from 'fast-check'
import t from 'tap'
import { u64 } from '../../../lib/bytes/decimal.ts'
import { readInt32, readUint32, readUint64 } from '../../../lib/protocol/words/numbers.ts'
import { announceSeed } from '../../support/prng.ts'

const runs = { seed: announceSeed(t) | 0, numRuns: 5000 }

const ODD = [
  '+1',
  '-',
  '--1',
  '\t1',
  '1\t',
  ' 1',
  '1\r',
  '\x001',
  '1\0',
  '0x1',
  '1.0',
  '1e0',
  '\xb9',
]

const read = {
  uint32: (word: string) => in3(word, readUint32),
  int32: (word: string) => in3(word, readInt32),
  uint64: (word: string) => (in3(word, readUint64) ? value64() : null),
}

t.test('32-bit numbers up to their bounds, with leading zeros', async t => {
  for (const [word, value] of [
    ['0', 0],
    ['1', 1],
    ['00000000007', 7],
    ['4294967295', 4294967295],
    ['4294967296', -1],
    ['99999999999', -1],
    ['000000000007', -1],
    ['-1', -1],
  ] as const) {
    t.equal(read.uint32(word), value, word)
  }
  for (const [word, value] of [
    ['-1', -1],
    ['-', 0],
    ['-0', 0],
    ['2147483647', 2147483647],
    ['-2147483648', -2147483648],
    ['-0000000001', -1],
    ['2147483648', Number.NaN],
    ['-2147483649', Number.NaN],
    ['4294967296', Number.NaN],
    ['000000000001', Number.NaN],
  ] as const) {
    t.ok(Object.is(read.int32(word), value), word)
  }
})

t.test('64-bit numbers up to their bound, with leading zeros', async t => {
  for (const [word, value] of [
    ['0', 0n],
    ['18446744073709551615', 18446744073709551615n],
    ['0018446744073709551615', 18446744073709551615n],
    ['18446744073709551616', null],
    ['00018446744073709551615', null],
    ['9'.repeat(22), null],
    ['9'.repeat(60), null],
    ['-1', null],
    ['', null],
  ] as const) {
    t.equal(read.uint64(word), value, word)
  }
})

t.test('texts that are no numbers', async t => {
  for (const word of ODD) {
    t.equal(read.uint32(word), -1, JSON.stringify(word))
    t.equal(read.uint64(word), null, JSON.stringify(word))
    if (word !== '-') t.ok(Number.isNaN(read.int32(word)), JSON.stringify(word))
  }
})

t.test('numbers are read as by BigInt', async t => {
  const word = fc.oneof(
    fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
    fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n }).map(String),
    fc.string({ maxLength: 24, unit: fc.constantFrom('0', '1', '9', '-', '+', 'x') }),
  )
  fc.assert(
    fc.property(word, text => {
      const isSigned = /^-?\d+$/.test(text)
      const value = isSigned ? BigInt(text) : null
      const isIn = (min: bigint, max: bigint, length: number) =>
        value !== null && value >= min && value <= max && text.length <= length
      const isPlain = isSigned && !text.startsWith('-')
      const want64 = isPlain && isIn(0n, 2n ** 64n - 1n, 22) ? value : null
      const wantU = isPlain && isIn(0n, 2n ** 32n - 1n, 11) ? Number(value) : -1
      const wantI = isIn(-(2n ** 31n), 2n ** 31n - 1n, 11) ? Number(value) : Number.NaN
      if (text === '' || text === '-') return true
      return (
        read.uint64(text) === want64 &&
        Object.is(read.uint32(text), wantU) &&
        Object.is(read.int32(text), wantI)
      )
    }),
    runs,
  )
  t.pass('all of them')
})

/** The number between other digits, which do not belong to it. */
function in3<T>(word: string, reader: (bytes: Buffer, start: number, end: number) => T): T {
  const bytes = Buffer.from(`3${word}3`, 'latin1')
  return reader(bytes, 1, bytes.length - 1)
}

function value64(): bigint {
  return BigInt(u64.high) * 10_000_000_000n + BigInt(u64.low)
}
