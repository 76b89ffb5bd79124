// Encoded values: kinds and compression.

import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../../lib/client/cluster-options.ts'
import { Codec } from '../../../lib/client/values/codec.ts'
import {
  CompressionFlags,
  compress,
  decompress,
  INFLATED_BYTES_MAX,
} from '../../../lib/client/values/compression.ts'
import { structured, ValueFlags } from '../../../lib/serializer.ts'
import { startServing } from '../../support/client-server.ts'
import { HOST } from '../../support/process.ts'

const TEXT = 'abcdefghij'.repeat(500)

function clientAt(t: Test, port: number, options: ClusterOptions = {}): ClusterClient {
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: 20_000, ...options })
  t.teardown(() => client.close())
  return client
}

t.test('both methods are lossless, and used where they pay', async t => {
  for (const method of ['zlib', 'brotli'] as const) {
    const flags = ValueFlags.JSON
    const value = { bytes: Buffer.from(TEXT), flags }
    const short = compress(value, { method })
    t.ok(short.bytes.length < 200, `${method}: ${short.bytes.length} of ${TEXT.length} bytes`)
    t.strictSame(decompress(short), value)
    const random = { bytes: randomBytes(5000), flags: 0 }
    t.equal(compress(random, { method }), random, 'what cannot be shortened stays')
    t.equal(compress(value, { method, thresholdBytes: 5001 }), value, 'and what is below the bound')
    t.ok(compress(value, { method, level: 9 }).bytes.length < 200)
  }
  for (const flags of Object.values(CompressionFlags)) {
    t.throws(() => compress({ bytes: Buffer.alloc(1), flags }, {}), { code: 'ARGUMENT' })
    t.throws(() => decompress({ bytes: Buffer.from('what?'), flags }), Error)
  }
})

t.test('a value that would become too long is refused', async t => {
  const bomb = compress({ bytes: Buffer.alloc(INFLATED_BYTES_MAX), flags: 0 }, {})
  t.equal(decompress(bomb).bytes.length, INFLATED_BYTES_MAX)
  const long = { bytes: Buffer.alloc(INFLATED_BYTES_MAX + 1), flags: 0 }
  t.equal(compress(long, {}), long)
  const { deflateSync } = await import('node:zlib')
  const forged = { bytes: deflateSync(long.bytes), flags: CompressionFlags.ZLIB }
  t.throws(() => decompress(forged), RangeError)
})

t.test('without compression all bits of the flags are the caller’s', async t => {
  const codec = new Codec({})
  const { flags } = codec.encode('text', 0xffff_ffff)
  t.equal(flags, 0xffff_ffff)
  const hit = { value: Buffer.from('text'), flags: 8, cas: 1n, ttlS: -1 }
  t.equal(codec.open(hit), hit)
})

t.test('through a pool', async t => {
  const { port } = await startServing(t)
  const plain = clientAt(t, port)
  const user = { name: 'Ada', tags: ['a', 'b'] }
  await plain.set('json', user)
  t.strictSame(await plain.get('json'), user)
  t.equal(String(await plain.get('json', { as: 'bytes' })), JSON.stringify(user), 'any client')
  await plain.set('text', 'größe')
  await plain.set('bytes', Buffer.from([0, 255]))
  t.equal(await plain.get('text'), 'größe')
  t.strictSame(await plain.get('bytes'), Buffer.from([0, 255]))
  t.equal(await plain.get('none'), undefined)
  await t.rejects(plain.set('none', undefined), { code: 'VALUE', cause: TypeError })
  const date = new Date(0)
  const rich = clientAt(t, port, { serializer: structured })
  await rich.set('date', date)
  t.strictSame(await rich.get('date'), date)
  t.strictSame(
    await rich.getMany(['date', 'json', 'none']),
    new Map<string, unknown>([
      ['date', date],
      ['json', user],
    ]),
  )

  const packed = clientAt(t, port, { compression: {} })
  const brotli = clientAt(t, port, { compression: { method: 'brotli' } })
  for (const client of [packed, brotli]) {
    const list = Array.from({ length: 1000 }, (_, i) => ({ i, name: 'somebody' }))
    await client.set('list', list)
    t.ok(
      ((await plain.get<Buffer>('list', { as: 'bytes' }))?.length ?? 1e9) <
        JSON.stringify(list).length / 3,
    )
    t.strictSame(await packed.get('list'), list)
    t.equal((await packed.getItem('list'))?.flags, ValueFlags.JSON)
    t.strictSame((await packed.getMany(['list'])).get('list'), list)
    t.ok(
      ((await packed.getAndTouch<Buffer>('list', { ttlS: 100, as: 'bytes' }))?.length ?? 0) >
        10_000,
    )
    await t.rejects(client.append('list', 'x'), { code: 'VALUE' })
    await t.rejects(client.set('list', 'x', { flags: 8 }), { code: 'ARGUMENT' })
  }
  await plain.set('broken', 'x'.repeat(50), { flags: 8 })
  await t.rejects(packed.get('broken'), { code: 'VALUE' })
  t.strictSame([...(await packed.getMany(['broken', 'text'])).keys()], ['text'])
  await plain.set('no-json', '{', { flags: ValueFlags.JSON })
  await t.rejects(plain.get('no-json'), { code: 'VALUE' })
})
