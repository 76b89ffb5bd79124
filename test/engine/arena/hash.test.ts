// HalfSipHash-1-3 against a plain implementation of the published algorithm, which is checked
// against the published values of HalfSipHash-2-4; and how evenly hashes spread.

import assert from 'node:assert/strict'
import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { arenaOf, hashBytes, tagOf } from '../../../lib/engine/arena/hash.ts'
import { META_TAG_MASK } from '../../../lib/engine/arena/layout.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

/** HalfSipHash-2-4, 32 bits, key 00 01 .. 07, of the n bytes 00, 01, .. */
const PUBLISHED = [
  'a9359f5b',
  '27475ab8',
  'fa62a603',
  '8afee704',
  '2a6e4689',
  'c5fab669',
  '5863fc23',
]

const SEED_0 = 0x03020100
const SEED_1 = 0x07060504

const seed = announceSeed(t)

t.test('the plain implementation returns the published values', async t => {
  PUBLISHED.forEach((hex, length) => {
    const out = Buffer.alloc(4)
    out.writeUInt32LE(plainHash(2, 4, counting(length), SEED_0, SEED_1))
    t.equal(out.toString('hex'), hex, `${length} bytes`)
  })
})

t.test('hashBytes is HalfSipHash-1-3 at every length and alignment', async t => {
  const random = createRandom(seed)
  const area = Area.allocate(600)
  for (let length = 0; length <= 260; length++) {
    for (let start = 0; start < 8; start++) {
      for (let i = 0; i < area.bytes.length; i++) area.bytes[i] = random.below(256)
      const seed0 = random.below(2 ** 32) | 0
      const seed1 = random.below(2 ** 32) | 0
      const key = area.bytes.subarray(start, start + length)
      const expected = plainHash(1, 3, key, seed0, seed1) | 0
      assert.equal(hashBytes(area, start, length, seed0, seed1), expected, `${length} bytes`)
    }
  }
  t.pass('lengths 0 to 260')
})

t.test('every byte of key and seed counts, and no other byte', async t => {
  const area = new Area(Buffer.from('..some key of 24 bytes...!!'))
  const hash = () => hashBytes(area, 2, 22, SEED_0, SEED_1)
  const before = hash()
  area.bytes[1] ^= 1
  area.bytes[24] ^= 1
  t.equal(hash(), before)
  for (let at = 2; at < 24; at++) {
    area.bytes[at] ^= 0x80
    t.not(hash(), before)
    area.bytes[at] ^= 0x80
  }
  t.not(hashBytes(area, 2, 22, SEED_0 ^ 1, SEED_1), before)
  t.not(hashBytes(area, 2, 22, SEED_0, SEED_1 ^ 1), before)
})

t.test('hashes spread evenly over arenas, buckets and tags', async t => {
  const random = createRandom(seed, 1)
  const seeds = [random.below(2 ** 32) | 0, random.below(2 ** 32) | 0] as const
  const names: ((i: number) => string)[] = [
    i => `key-${i}`,
    i => `${i}`.padStart(40, '0'),
    i => `user:${i * 1024}:profile`,
  ]
  for (const name of names) {
    for (const count of [1, 2, 3, 7, 16, 1000]) {
      const choose = (hash: number) => arenaOf(hash, count)
      assertEven(spread(name, seeds, count, choose), `${name(1)} over ${count} arenas`)
    }
    assertEven(spread(name, seeds, META_TAG_MASK + 1, tagOf), `${name(1)} over tags`)
    assertEven(
      spread(name, seeds, 256, hash => hash & 255),
      `${name(1)} over buckets`,
    )
    // Buckets and tags are as even in one arena of 16 as in all.
    const inArena = (hash: number) => (arenaOf(hash, 16) === 5 ? hash & 63 : -1)
    assertEven(spread(name, seeds, 64, inArena), `${name(1)} over the buckets of an arena`)
    const inBucket = (hash: number) => ((hash & 15) === 3 ? tagOf(hash) : -1)
    assertEven(
      spread(name, seeds, META_TAG_MASK + 1, inBucket),
      `${name(1)} over the tags of a bucket`,
    )
  }
  t.pass('all even')
})

t.test('the arena is always an existing one', async t => {
  for (const hash of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), 0xffff, 0x10000]) {
    for (const count of [1, 2, 3, 5, 1023, 1024]) {
      const arena = arenaOf(hash, count)
      t.ok(arena >= 0 && arena < count, `${hash} of ${count}`)
    }
    t.ok(tagOf(hash) >= 0 && tagOf(hash) <= META_TAG_MASK)
  }
})

function spread(
  name: (i: number) => string,
  seeds: readonly [number, number],
  slots: number,
  choose: (hash: number) => number,
): number[] {
  const counts = new Array<number>(slots).fill(0)
  const area = Area.allocate(64)
  for (let i = 0; i < 50_000; i++) {
    const length = area.bytes.write(name(i), 0, 'latin1')
    const slot = choose(hashBytes(area, 0, length, seeds[0], seeds[1]))
    if (slot >= 0) counts[slot]++
  }
  return counts
}

/** Whether chi-squared is within seven standard deviations of its expected value. */
function assertEven(counts: number[], name: string): void {
  const total = counts.reduce((sum, count) => sum + count, 0)
  const mean = total / counts.length
  const chi = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0)
  const freedom = counts.length - 1
  assert(chi <= freedom + 7 * Math.sqrt(2 * freedom) + 1, `${name}: ${chi} for ${freedom}`)
}

function counting(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => i))
}

/** HalfSipHash-c-d with 32 bits of output, written from the published description. */
function plainHash(c: number, d: number, key: Buffer, k0: number, k1: number): number {
  const v = new Uint32Array([k0, k1, 0x6c796765 ^ k0, 0x74656462 ^ k1])
  const whole = key.length - (key.length % 4)
  const padded = Buffer.alloc(whole + 4)
  key.copy(padded)
  padded[whole + 3] = key.length & 0xff
  for (let at = 0; at < padded.length; at += 4) {
    const m = padded.readUInt32LE(at)
    v[3] ^= m
    for (let i = 0; i < c; i++) plainRound(v)
    v[0] ^= m
  }
  v[2] ^= 0xff
  for (let i = 0; i < d; i++) plainRound(v)
  return (v[1] ^ v[3]) >>> 0
}

function plainRound(v: Uint32Array): void {
  const add = (to: number, from: number) => {
    v[to] += v[from]
  }
  const rotate = (at: number, by: number) => {
    v[at] = Number(
      ((BigInt(v[at]) << BigInt(by)) | (BigInt(v[at]) >> BigInt(32 - by))) & 0xffffffffn,
    )
  }
  const mix = (to: number, from: number) => {
    v[to] ^= v[from]
  }
  add(0, 1)
  rotate(1, 5)
  mix(1, 0)
  rotate(0, 16)
  add(2, 3)
  rotate(3, 8)
  mix(3, 2)
  add(0, 3)
  rotate(3, 7)
  mix(3, 0)
  add(2, 1)
  rotate(1, 13)
  mix(1, 2)
  rotate(2, 16)
}
