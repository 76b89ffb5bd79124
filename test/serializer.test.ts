// A value comes back from a serializer unchanged, and nothing else is decoded as one.

import t from 'tap'
import {
  decodeValue,
  encodeValue,
  json,
  type Serializer,
  structured,
  ValueFlags,
} from '../lib/serializer.ts'

const roundTrip = (value: unknown, serializer?: Serializer) => {
  const { bytes, flags } = encodeValue(value, serializer)
  return decodeValue(bytes, flags, serializer)
}

t.test('values come back unchanged', async t => {
  for (const serializer of [undefined, json, structured]) {
    for (const value of ['', 'täglich', 0, -1.5, true, null, [1, 'two'], { a: { b: [] } }]) {
      t.strictSame(roundTrip(value, serializer), value)
    }
    t.strictSame(roundTrip(Buffer.from([0, 255]), serializer), Buffer.from([0, 255]))
    t.strictSame(roundTrip(new Uint8Array([0, 255]), serializer), Buffer.from([0, 255]))
  }
})

t.test('strings have flags 0, and other kinds do not use the low 16 bits', async t => {
  t.equal(encodeValue('a').flags, 0)
  for (const value of [Buffer.from('a'), { a: 1 }]) {
    t.equal(encodeValue(value).flags & 0xffff, 0)
    t.not(encodeValue(value).flags, 0)
  }
  t.strictSame(encodeValue({ a: 1 }).bytes.toString(), '{"a":1}')
})

t.test('structured values are more than JSON', async t => {
  const value = { at: new Date(5), map: new Map([[1, new Set(['a'])]]), big: 2n ** 70n }
  t.strictSame(roundTrip(value, structured), value)
  const bag = encodeValue({ list: new Uint16Array([1, 2, 3]) }, structured)
  const { list } = decodeValue(bag.bytes, bag.flags, structured) as { list: Uint16Array }
  bag.bytes.fill(0)
  t.strictSame([...list], [1, 2, 3], 'a copy of what may be reused')
})

t.test('an unknown kind is returned as bytes', async t => {
  const { bytes, flags } = encodeValue({ a: 1 }, structured)
  t.strictSame(decodeValue(bytes, flags), bytes)
  t.strictSame(decodeValue(Buffer.from('x'), ValueFlags.CUSTOM), Buffer.from('x'))
})

t.test('JSON is read with any serializer', async t => {
  t.strictSame(decodeValue(Buffer.from('{"a":1} '), ValueFlags.JSON, structured), { a: 1 })
  t.throws(() => decodeValue(Buffer.from('{"a"'), ValueFlags.JSON), SyntaxError)
})

t.test('values that cannot be stored are refused', async t => {
  for (const value of [undefined, () => {}, Symbol('a'), 1n]) {
    t.throws(() => encodeValue(value), TypeError)
  }
  t.throws(() => encodeValue(undefined, structured), TypeError)
  t.throws(() => encodeValue(() => {}, structured))
})

t.test('a custom serializer', async t => {
  const upper: Serializer = {
    flags: ValueFlags.CUSTOM,
    encode: value => Buffer.from(JSON.stringify(value).toUpperCase()),
    decode: bytes => JSON.parse(bytes.toString().toLowerCase()),
  }
  t.strictSame(roundTrip({ a: 'b' }, upper), { a: 'b' })
  t.strictSame(encodeValue({ a: 'b' }, upper).bytes.toString(), '{"A":"B"}')
})

t.test('a serializer whose kind is in use is refused', async t => {
  const { TEXT, BYTES, CUSTOM } = ValueFlags
  for (const flags of [undefined, TEXT, BYTES, 8 << 16, CUSTOM | 1, 1 << 24, -1, Number.NaN]) {
    const serializer = { ...json, flags: flags as number }
    t.throws(() => encodeValue({ a: 1 }, serializer), RangeError, String(flags))
    t.equal(encodeValue('text', serializer).flags, TEXT)
  }
  for (const flags of [ValueFlags.JSON, ValueFlags.STRUCTURED, CUSTOM, 255 << 16]) {
    t.equal(encodeValue({ a: 1 }, { ...json, flags }).flags, flags)
  }
})

t.test('what JSON would empty is refused, not stored as {}', async t => {
  const values = [
    new ArrayBuffer(4),
    new SharedArrayBuffer(4),
    new DataView(new ArrayBuffer(4)),
    new Float64Array([1]),
    new Map([[1, 2]]),
    new Set([1]),
    /a/,
    new Error('a'),
    Promise.resolve(1),
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ]
  for (const value of values) t.throws(() => encodeValue(value), TypeError, String(value))
  const at = { toJSON: () => 'here' }
  t.equal(encodeValue(Object.assign(new Map(), at)).bytes.toString(), '"here"', 'its own JSON')
  t.strictSame(
    decodeValue(encodeValue(new Map([[1, 2]]), structured).bytes, structured.flags, structured),
    new Map([[1, 2]]),
  )
})
