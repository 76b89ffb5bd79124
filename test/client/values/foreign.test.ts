// Values that a pool shares with clients in other languages, in both directions: what each library
// wrote is read here, and it reads what was written here. What is of no known client is an error.

import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../../lib/client/cluster-options.ts'
import { Codec, type CodecName } from '../../../lib/client/values/codec.ts'
import { inflateFastLz } from '../../../lib/client/values/fastlz.ts'
import { unserialize } from '../../../lib/client/values/php-serialized.ts'
import { structured, ValueFlags } from '../../../lib/serializer.ts'
import { startServing } from '../../support/client-server.ts'
import { run } from '../../support/client-session.ts'
import { PYTHON, skipWithoutPhp, skipWithoutPython, skipWithoutRuby } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'

const LONG = 'abcdefghij'.repeat(500)
const BYTES = Buffer.from([0, 255])
const LARGEST = 2n ** 63n - 1n

/** The script of a library: writes its values, or reads ours. */
type Script = (mode: 'write' | 'read', ...rest: string[]) => Promise<string>

async function start(t: Test, codec: CodecName, command: string[]) {
  const { port } = await startServing(t)
  const open = (options: ClusterOptions = {}) => {
    const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: 20_000, ...options })
    t.teardown(() => client.close())
    return client
  }
  const [program, file, ...before] = command
  const path = fileURLToPath(new URL(file, import.meta.url))
  const script: Script = async (mode, ...rest) => {
    const { code, out } = await run(program, [path, ...before, mode, HOST, `${port}`, ...rest])
    t.equal(code, 0, out)
    return out
  }
  return { plain: open(), pool: open({ codec }), short: open({ codec, compression: {} }), script }
}

/** Stores values by the pool, and checks what the script reads: the type and how it looks there. */
async function assertRead(
  t: Test,
  pool: ClusterClient,
  script: Script,
  values: Record<string, [value: unknown, type: string, seen: unknown]>,
): Promise<void> {
  for (const [key, [value]] of Object.entries(values)) {
    await pool.set(key, value)
    t.strictSame(await pool.get(key), value, `${key}, read back here`)
  }
  const lines = (await script('read', Object.keys(values).join(' '))).trim().split('\n')
  for (const line of lines) {
    const [key, ...seen] = JSON.parse(line)
    const [, ...wanted] = values[key]
    t.strictSame(seen, wanted, `${key}, read there`)
  }
  t.equal(lines.length, Object.keys(values).length)
}

async function assertValues(
  t: Test,
  pool: ClusterClient,
  prefix: string,
  values: Record<string, unknown>,
): Promise<void> {
  const keys = Object.keys(values).map(key => prefix + key)
  const many = await pool.getMany(keys)
  for (const [key, value] of Object.entries(values)) {
    t.strictSame(await pool.get(prefix + key), value, key)
    t.strictSame(many.get(prefix + key), value, `${key}, of many`)
  }
}

t.test('php-memcached', { skip: skipWithoutPhp('memcached') }, async t => {
  const { plain, pool, short, script } = await start(t, 'php-memcached', ['php', 'foreign.php'])
  const [mixed, far] = (await script('write')).trim().split(' ')
  await assertValues(t, pool, 'php:', {
    ...{ text: 'größe', empty: '', int: 42, negative: -7, largest: LARGEST, float: 0.1 },
    ...{ 'whole-float': 1, 'minus-zero': -0, huge: 1.5e300, inf: Infinity, 'minus-inf': -Infinity },
    ...{ nan: Number.NaN, true: true, false: false, null: null, none: [] },
    ...{ list: [1, 'zwei', null, [true, 2.5]], map: { a: 1, é: { b: 'c' } } },
    ...{ gaps: { 1: 'a', 3: 'b' }, object: { a: 1 }, fastlz: LONG, zlib: LONG, flagged: 'text' },
    ...{ 'fastlz-list': Array(1000).fill('abc'), json: { a: [1, 2.5, null] }, counter: 99 },
    'json-long': Array(1000).fill('abc'),
  })
  t.equal(md5(await pool.get<Buffer>('php:fastlz-mixed', { as: 'bytes' })), mixed)
  t.equal(md5(await pool.get<Buffer>('php:fastlz-far', { as: 'bytes' })), far)
  for (const [key, message] of [
    ['igbinary', /igbinary.*SERIALIZER_JSON/],
    ['dated', /DateTime/],
  ] as const) {
    await t.rejects(pool.get(`php:${key}`), { code: 'VALUE', message })
    t.equal((await pool.getMany([`php:${key}`])).size, 0)
    t.ok((await pool.get<Buffer>(`php:${key}`, { as: 'bytes' }))?.length, 'as bytes it is readable')
  }
  for (const key of ['int', 'fastlz', 'list']) {
    await t.rejects(plain.get(`php:${key}`), { code: 'VALUE' }, 'without a codec no garbage')
  }
  await assertRead(t, pool, script, {
    text: ['größe', 'string', 'größe'],
    empty: ['', 'string', ''],
    bytes: [BYTES, 'string', '00ff'],
    int: [42, 'int', 42],
    largest: [LARGEST, 'int', Number(LARGEST)],
    float: [0.1, 'string', '0.10000000000000001'],
    huge: [1.5e300, 'string', '1.5000000000000001e+300'],
    'minus-zero': [-0, 'string', '-0'],
    true: [true, 'bool', true],
    false: [false, 'bool', false],
    null: [null, 'null', null],
    list: [[1, 'a', null], 'array', [1, 'a', null]],
    map: [{ a: { b: 1 } }, 'stdClass', { a: { b: 1 } }],
  })
  await assertRead(t, short, script, {
    long: [LONG, 'string', md5(LONG)],
    'long-list': [[LONG, 1], 'array', [LONG, 1]],
  })
  t.ok((await lengthOf(plain, 'long')) < 200, 'it is compressed')
})

for (const library of ['pylibmc', 'pymemcache'] as const) {
  t.test(library, { skip: skipWithoutPython(library) }, async t => {
    const command = [PYTHON, 'foreign.py', library]
    const { plain, pool, short, script } = await start(t, library, command)
    await script('write')
    await assertValues(t, pool, 'py:', {
      ...{ text: 'größe', empty: '', bytes: BYTES, int: 42, negative: -7, big: 2n ** 70n },
      ...{ float: 0.1, 'whole-float': 1, inf: Infinity, true: true, false: false, none: null },
      ...{ long: LONG, 'long-bytes': Buffer.from(LONG), counter: 99, one: 1, zero: 0 },
    })
    await t.rejects(pool.get('py:list'), { code: 'VALUE', message: /pickle/ })
    await t.rejects(pool.set('object', { a: 1 }), { code: 'VALUE', message: /JSON/ })
    for (const key of ['int', 'long', 'list', 'text']) {
      await t.rejects(plain.get(`py:${key}`), { code: 'VALUE' }, 'without a codec no garbage')
    }
    const isInt = library === 'pylibmc'
    const boolean = (value: boolean) => [value, isInt ? 'int' : 'bool', isInt ? `${+value}` : value]
    await assertRead(t, pool, script, {
      text: ['größe', 'str', 'größe'],
      empty: ['', 'str', ''],
      bytes: [BYTES, 'bytes', '00ff'],
      int: [42, 'int', '42'],
      big: [2n ** 70n, 'int', `${2n ** 70n}`],
      float: [0.1, 'float', '0.1'],
      'minus-zero': [-0, 'float', '-0.0'],
      true: boolean(true) as [boolean, string, unknown],
      false: boolean(false) as [boolean, string, unknown],
      null: [null, 'NoneType', null],
    })
    await assertRead(t, short, script, {
      long: [LONG, 'str', md5(LONG)],
      'long-bytes': [Buffer.from(LONG), 'bytes', md5(LONG)],
    })
    t.ok((await lengthOf(plain, 'long')) < 200, 'it is compressed')
  })
}

t.test('dalli', { skip: skipWithoutRuby('dalli') }, async t => {
  const { plain, pool, short, script } = await start(t, 'dalli', ['ruby', 'foreign.rb'])
  await script('write')
  await assertValues(t, pool, 'rb:', {
    ...{ text: 'größe', empty: '', int: 42, float: 0.1, true: true, false: false, nil: null },
    ...{ list: [1, 'zwei', null], hash: { a: { b: 1 } }, long: LONG, raw: 'größe', counter: '99 ' },
  })
  await t.rejects(pool.get('rb:marshal'), { code: 'VALUE', message: /serializer: JSON/ })
  await t.rejects(plain.get('rb:int'), { code: 'VALUE' }, 'without a codec no garbage')
  await assertRead(t, pool, script, {
    text: ['größe', 'String', 'größe'],
    empty: ['', 'String', ''],
    bytes: [BYTES, 'String', '00ff'],
    int: [42, 'Integer', 42],
    float: [0.1, 'Float', 0.1],
    true: [true, 'TrueClass', true],
    null: [null, 'NilClass', null],
    map: [{ a: [1] }, 'Hash', { a: [1] }],
  })
  await assertRead(t, short, script, { long: [LONG, 'String', md5(LONG)] })
  t.ok((await lengthOf(plain, 'long')) < 200, 'it is compressed')
})

t.test('what no client is known for is an error', async t => {
  for (const codec of ['memslab', 'php-memcached', 'pylibmc', 'pymemcache', 'dalli'] as const) {
    const { decode } = viewOf(codec)
    for (const flags of [0x8000, 0x0fff, 0x0009]) {
      t.throws(() => decode(Buffer.from('x'), flags), { code: 'VALUE' }, `${codec}, ${flags}`)
    }
  }
  for (const codec of ['pylibmc', 'pymemcache', 'dalli'] as const) {
    const { decode } = viewOf(codec)
    t.throws(() => decode(Buffer.from('{}'), ValueFlags.JSON), { code: 'VALUE' }, codec)
  }
})

t.test('the caller’s flags lie beside those of the codec', async t => {
  const flags = 5 << 24
  for (const name of ['php-memcached', 'pylibmc', 'pymemcache', 'dalli'] as const) {
    const codec = new Codec({ codec: name })
    for (const value of ['text', BYTES]) {
      const encoded = codec.encode(value, flags)
      t.equal(encoded.flags >>> 24, 5, name)
      const isText = typeof value === 'string' || name === 'php-memcached' || name === 'dalli'
      const hit = { value: encoded.bytes, flags: encoded.flags, cas: 1n, ttlS: -1 }
      t.strictSame(codec.valueOf(hit), isText ? String(value) : value)
      t.throws(() => codec.encode(value, 1), { code: 'ARGUMENT' }, name)
    }
    for (const value of [1, true, null, [1]]) {
      t.throws(() => codec.encode(value, flags), { code: 'ARGUMENT' }, name)
    }
    t.throws(() => codec.encode(undefined, undefined), { code: 'VALUE' }, name)
    t.throws(() => codec.encodePiece('x'), { code: 'VALUE' }, name)
  }
  t.throws(() => new Codec({ codec: 'php-memcached' }).encode(LARGEST + 1n, undefined), {
    code: 'VALUE',
  })
})

t.test('options that do not go together', async t => {
  const codec = 'pylibmc' as const
  for (const options of [
    { codec: 'perl' as CodecName },
    { codec, serializer: structured },
    { codec, compression: { method: 'brotli' as const } },
  ]) {
    t.throws(() => new ClusterClient([`${HOST}:1`], options), { code: 'ARGUMENT' })
  }
})

t.test('damaged values are errors', async t => {
  const { open, decode } = viewOf('php-memcached')
  const lengthed = (length: number, stream: Uint8Array) => {
    const head = Buffer.alloc(4)
    head.writeUInt32LE(length)
    return Buffer.concat([head, stream])
  }
  const stream = deflateSync('hello')
  t.equal(String(open(lengthed(5, stream), 0x30)), 'hello')
  for (const [bytes, flags] of [
    [lengthed(4, stream), 0x30],
    [lengthed(6, stream), 0x30],
    [lengthed(2 ** 32 - 1, stream), 0x30],
    [lengthed(5, Buffer.from('what?')), 0x30],
    [lengthed(5, stream), 0x10],
    [lengthed(5, stream), 0x90],
    [Buffer.from('abc'), 0x30],
    [lengthed(5, Buffer.alloc(0)), 0x50],
  ] as const) {
    t.throws(() => open(bytes, flags), { code: 'VALUE' })
  }
  for (const [text, flags] of [
    ['x', 1],
    ['', 1],
    ['1x', 2],
    ['{', 6],
    ['a:1:{', 4],
  ] as const) {
    t.throws(() => decode(Buffer.from(text), flags), { code: 'VALUE' })
  }
})

t.test('FastLZ streams and serialize(), cut and changed at each byte', async t => {
  // Ten letters, 37 bytes from 10 back, and one letter more.
  const stream = Buffer.from([9, ...Buffer.from('abcdefghij'), 0xe0, 28, 9, 0, 0x6b])
  const bytesInflated = 48
  t.equal(String(inflateFastLz(stream, bytesInflated)), `${'abcdefghij'.repeat(5).slice(0, 47)}k`)
  const text = Buffer.from('a:3:{i:0;d:0.5;s:1:"a";O:8:"stdClass":1:{s:2:"é";b:1;}i:2;N;}')
  t.strictSame(unserialize(text), { 0: 0.5, a: { é: true }, 2: null })
  for (const [name, bytes, read] of [
    ['fastlz', stream, (bytes: Buffer) => inflateFastLz(bytes, bytesInflated)],
    ['serialize', text, unserialize],
  ] as const) {
    for (let at = 0; at < bytes.length; at++) {
      t.throws(() => read(bytes.subarray(0, at)), Error, `${name}, cut at ${at}`)
      for (const value of [0, 0x2d, 0x39, 0x7f, 0xe0, 0xff]) {
        const changed = Buffer.from(bytes)
        changed[at] = value
        try {
          read(changed)
        } catch (error) {
          const isExpected = error instanceof TypeError || error instanceof RangeError
          if (!isExpected) t.fail(`${name}, ${value} at ${at}: ${error}`)
        }
      }
    }
  }
  const deep = Buffer.from(`${'a:1:{i:0;'.repeat(100_000)}N;${'}'.repeat(100_000)}`)
  t.throws(() => unserialize(deep), TypeError)
  t.throws(() => unserialize(Buffer.from('s:-4:"a";')), TypeError)
})

function viewOf(name: CodecName) {
  const codec = new Codec({ codec: name })
  const hitOf = (value: Buffer, flags: number) => ({ value, flags, cas: 1n, ttlS: -1 })
  return {
    open: (value: Buffer, flags: number) => codec.open(hitOf(value, flags)).value,
    decode: (value: Buffer, flags: number) => codec.valueOf(codec.open(hitOf(value, flags))),
  }
}

async function lengthOf(plain: ClusterClient, key: string): Promise<number> {
  return (await plain.get<Buffer>(key, { as: 'bytes' }))?.length ?? 1e9
}

function md5(value: string | Buffer | undefined): string {
  return createHash('md5')
    .update(value ?? '')
    .digest('hex')
}
