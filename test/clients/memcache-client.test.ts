/**
 * The `memcache-client` package for Node.js against a real daemon: its whole API over the text
 * protocol, in the clear and over TLS.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import { deflateSync, inflateSync } from 'node:zlib'
import { MemcacheClient } from 'memcache-client'
import t, { type Test } from 'tap'
import { skipWithoutTls, startServing, startServingTls } from '../support/client-server.ts'
import { HOST } from '../support/process.ts'

const PARALLEL = 2_000
const LARGE_BYTES = 1_048_000
const DONE = ['OK'] // what `cmd` resolves with

const compressor = {
  compressSync: ({ input = '' }) => deflateSync(Buffer.from(input)),
  decompressSync: ({ input = '' }) => inflateSync(Buffer.from(input)),
}

t.test('memcache-client', async t => {
  const { port } = await startServing(t)
  await wholeSurface(t, connect(t, port))
})

t.test('memcache-client over TLS', { skip: skipWithoutTls() }, async t => {
  const { port, ca } = await startServingTls(t)
  await wholeSurface(t, connect(t, port, { ca: readFileSync(ca) }))
})

function connect(t: Test, port: number, tls?: ConnectionOptions): MemcacheClient {
  const client = new MemcacheClient({
    server: { server: `${HOST}:${port}`, maxConnections: 4 },
    cmdTimeout: 20_000,
    compressor: compressor as never,
    ...(tls === undefined ? {} : { tls }),
  })
  t.teardown(() => client.shutdown())
  return client
}

async function wholeSurface(t: Test, client: MemcacheClient) {
  await t.test('stores', t => stores(t, client))
  await t.test('swaps', t => swaps(t, client))
  await t.test('counts and expires', t => countsAndExpires(t, client))
  await t.test('values', t => keepsValues(t, client))
  await t.test('without replies', t => silent(t, client))
  await t.test('many at once', t => manyAtOnce(t, client))
  await t.test('commands', t => commands(t, client))
}

async function stores(t: Test, client: MemcacheClient) {
  t.same(await client.set('a', 'one'), ['STORED'], 'set')
  t.match(await client.get('a'), { value: 'one' }, 'get')
  t.equal(await client.get('none'), undefined, 'get of a miss')
  await t.rejects(client.add('a', 'two'), /NOT_STORED/, 'add of what is there')
  t.same(await client.add('new', 'two'), ['STORED'], 'add')
  t.same(await client.replace('a', 'three'), ['STORED'], 'replace')
  await t.rejects(client.replace('none', 'x'), /NOT_STORED/, 'replace of a miss')
  t.same(await client.append('a', '>'), ['STORED'], 'append')
  t.same(await client.prepend('a', '<'), ['STORED'], 'prepend')
  await t.rejects(client.append('none', '>'), /NOT_STORED/, 'append to a miss')
  await t.rejects(client.prepend('none', '>'), /NOT_STORED/, 'prepend to a miss')
  const wanted = { a: { value: '<three>' }, new: { value: 'two' } }
  const several = await client.get<string[]>(['a', 'none', 'new'])
  t.match(several, wanted, 'get of several')
  t.same(Object.keys(several).sort(), ['a', 'new'], 'a miss among them is left out')
  t.same(await client.delete('new'), ['DELETED'], 'delete')
  await t.rejects(client.delete('new'), /NOT_FOUND/, 'delete of a miss')
}

async function swaps(t: Test, client: MemcacheClient) {
  await client.set('c', 'one')
  const { value, casUniq } = await client.gets<string>('c')
  t.equal(value, 'one', 'gets gives the value')
  t.match(String(casUniq), /^\d+$/, 'gets gives the cas')
  t.same(await client.cas('c', 'two', { casUniq }), ['STORED'], 'cas that is right')
  await t.rejects(client.cas('c', 'three', { casUniq }), /EXISTS/, 'cas that is stale')
  await t.rejects(client.cas('none', 'x', { casUniq }), /NOT_FOUND/, 'cas of a miss')
  t.match(await client.get('c'), { value: 'two' }, 'the right one stored')
}

async function countsAndExpires(t: Test, client: MemcacheClient) {
  await client.set('n', 10)
  t.equal(String(await client.incr('n', 5)), '15', 'incr')
  t.equal(String(await client.decr('n', 6)), '9', 'decr')
  await t.rejects(client.incr('none', 1), /NOT_FOUND/, 'incr of a miss')
  await client.set('word', 'word')
  await t.rejects(client.incr('word', 1), /CLIENT_ERROR/, 'incr of a word')
  await client.set('soon', 'x', { lifetime: 1 })
  await client.set('touched', 'x', { lifetime: 3 })
  t.same(await client.touch('touched', 1000), ['TOUCHED'], 'touch')
  await t.rejects(client.touch('none', 1000), /NOT_FOUND/, 'touch of a miss')
  await sleep(4_100)
  t.equal(await client.get('soon'), undefined, 'one has ended')
  t.match(await client.get('touched'), { value: 'x' }, 'what was touched lives on')
}

async function keepsValues(t: Test, client: MemcacheClient) {
  const values = {
    text: 'größe 日本語\r\nEND\r\n',
    number: 42.5,
    json: { list: [1, 2.5, null], text: 'größe' },
    bytes: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    large: randomBytes(LARGE_BYTES),
    nothing: '',
  }
  for (const [name, value] of Object.entries(values)) {
    t.same(await client.set(`value-${name}`, value), ['STORED'], `set of ${name}`)
    t.same((await client.get<unknown>(`value-${name}`)).value, value, `get of ${name}`)
  }
  await client.set('packed', 'again '.repeat(10_000), { compress: true })
  t.match(await client.get('packed'), { value: 'again '.repeat(10_000) }, 'a compressed value')
  const tooLarge = client.set('big', randomBytes(2 * LARGE_BYTES))
  await t.rejects(tooLarge, /SERVER_ERROR object too large/, 'set of 2 MB')
  t.equal(await client.get('big'), undefined, 'what did not fit is not there')
  await t.rejects(client.get('k'.repeat(251)), /CLIENT_ERROR|^ERROR/, 'a key of 251 bytes')
  t.match(await client.get('value-number'), { value: 42.5 }, 'the client goes on')
}

async function silent(t: Test, client: MemcacheClient) {
  const noreply = true
  await client.set('q', '1', { noreply })
  await client.append('q', '2', { noreply })
  await client.prepend('q', '0', { noreply })
  // The pool may use another connection, since the command before has no reply to wait for.
  t.ok(await comesTrue(async () => (await client.get<string>('q'))?.value === '012'), 'joined')
  await client.delete('q', { noreply })
  t.ok(await comesTrue(async () => (await client.get('q')) === undefined), 'deleted')
}

async function manyAtOnce(t: Test, client: MemcacheClient) {
  const keys = Array.from({ length: PARALLEL }, (_, index) => `many-${index}`)
  await Promise.all(keys.map(key => client.set(key, key)))
  const read = await Promise.all(keys.map(key => client.get<string>(key)))
  t.same(
    read.map(({ value }) => value),
    keys,
    `${PARALLEL} sets and gets at once`,
  )
  const together = await client.get<Record<string, { value: string }>>(keys as string[])
  t.equal(Object.keys(together).length, PARALLEL, `get of ${PARALLEL}`)
  await client.set('at-once', 0)
  await Promise.all(keys.map(() => client.incr('at-once', 1)))
  t.match(await client.get('at-once'), { value: PARALLEL }, `${PARALLEL} incrs at once`)
}

async function commands(t: Test, client: MemcacheClient) {
  t.match(await client.version(), ['VERSION', /^\d+\.\d+\.\d+/], 'version')
  const stats = await client.cmd<{ STAT: string[][] }>('stats')
  for (const name of ['pid', 'curr_items', 'cmd_get', 'threads']) {
    const [, value] = stats.STAT.find(([each]) => each === name) ?? []
    t.match(value, /^\d+$/, `stats: ${name}`)
  }
  t.same(await client.cmd('verbosity 1'), DONE, 'verbosity')
  t.same(await client.cmd('flush_all'), DONE, 'flush_all')
  t.equal(await client.get('a'), undefined, 'which empties')
}

async function comesTrue(holds: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (await holds()) return true
    await sleep(20)
  }
  return false
}
