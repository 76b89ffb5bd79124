// Copies and comparisons at every length and alignment touch all bytes of the range and no others.

import assert from 'node:assert/strict'
import t from 'tap'
import { Area, copyBytes, equalBytes } from '../../lib/bytes/area.ts'
import { announceSeed, createRandom } from '../support/prng.ts'

const LENGTH_MAX = 200
const ROOM = 240

const random = createRandom(announceSeed(t))

t.test('copyBytes copies exactly the range', async t => {
  const from = Area.allocate(ROOM)
  const to = Area.allocate(ROOM)
  for (let i = 0; i < ROOM; i++) from.bytes[i] = random.between(1, 255)
  const before = Buffer.from(from.bytes)
  for (let length = 0; length <= LENGTH_MAX; length++) {
    for (let fromStart = 0; fromStart < 9; fromStart++) {
      for (let toStart = 0; toStart < 9; toStart++) {
        to.bytes.fill(0)
        copyBytes(from, fromStart, to, toStart, length)
        const expected = Buffer.alloc(ROOM)
        before.copy(expected, toStart, fromStart, fromStart + length)
        assert(to.bytes.equals(expected), `${length} bytes from ${fromStart} to ${toStart}`)
      }
    }
  }
  assert(from.bytes.equals(before), 'the source changed')
  t.pass('lengths 0 to 200')
})

t.test('copyBytes copies within one area, up to its last byte', async t => {
  for (let length = 0; length <= LENGTH_MAX; length++) {
    const area = Area.allocate(2 * length + 1)
    for (let i = 0; i < area.bytes.length; i++) area.bytes[i] = random.below(256)
    const value = Buffer.from(area.bytes.subarray(0, length))
    copyBytes(area, 0, area, length + 1, length)
    t.ok(area.bytes.subarray(length + 1).equals(value), `${length} bytes`)
  }
})

t.test('equalBytes compares exactly the range', async t => {
  const a = Area.allocate(ROOM)
  const b = Area.allocate(ROOM)
  for (let length = 0; length <= LENGTH_MAX; length++) {
    for (const [aStart, bStart] of [
      [0, 0],
      [1, 0],
      [3, 5],
      [4, 7],
      [8, 2],
    ]) {
      for (let i = 0; i < ROOM; i++) a.bytes[i] = random.below(256)
      for (let i = 0; i < ROOM; i++) b.bytes[i] = a.bytes[i] ^ 0xff
      a.bytes.copy(b.bytes, bStart, aStart, aStart + length)
      const equal = () => equalBytes(a, aStart, b, bStart, length)
      assert(equal(), `${length} bytes are equal`)
      for (let i = 0; i < length; i++) {
        b.bytes[bStart + i] ^= 1 << random.below(8)
        assert(!equal(), `byte ${i} of ${length} differs`)
        b.bytes[bStart + i] = a.bytes[aStart + i]
      }
    }
  }
  t.pass('lengths 0 to 200')
})

t.test('an area over part of a buffer is that part', async t => {
  const whole = Buffer.from('0123456789')
  const area = new Area(whole.subarray(3, 7))
  t.equal(area.view.getUint8(0), '3'.charCodeAt(0))
  t.equal(area.view.byteLength, 4)
  const to = Area.allocate(4)
  copyBytes(area, 1, to, 0, 3)
  t.equal(to.bytes.toString('latin1', 0, 3), '456')
})

t.test('shared memory is an area like any other', async t => {
  const area = new Area(Buffer.from(new SharedArrayBuffer(300)))
  const from = Area.allocate(150)
  from.bytes.fill('x')
  copyBytes(from, 0, area, 1, 150)
  t.ok(equalBytes(area, 1, from, 0, 150))
  t.equal(area.bytes[0] + area.bytes[151], 0)
})
