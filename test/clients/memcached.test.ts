/**
 * The `memcached` package for Node.js against a real daemon: its whole API over the text protocol,
 * with its connection pool.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import Memcached from 'memcached'
import t, { type Test } from 'tap'
import { startServing } from '../support/client-server.ts'
import { HOST } from '../support/process.ts'
import { comesTrue } from '../support/server-peer.ts'

const PARALLEL = 2_000

// Its methods as promises.
type Call = (name: string, ...args: unknown[]) => Promise<unknown>
// biome-ignore lint/complexity/noBannedTypes: the methods are called by name
type Methods = Record<string, Function>

t.test('memcached', async t => {
  const { port } = await startServing(t)
  const server = `${HOST}:${port}`
  const call = connect(t, server)
  await t.test('stores', t => stores(t, call))
  await t.test('swaps', t => swaps(t, call))
  await t.test('counts', t => counts(t, call))
  await t.test('expires', t => expires(t, call))
  await t.test('values', t => keepsValues(t, call))
  await t.test('many at once', t => manyAtOnce(t, call))
  await t.test('statistics', t => statistics(t, call, server))
  await t.test('a namespace', async t => {
    const spaced = connect(t, server, { namespace: 'space:', poolSize: 1 })
    await spaced('set', 'a', 'spaced', 0)
    t.same(await spaced('getMulti', ['a', 'none']), { a: 'spaced' }, 'getMulti takes it off')
    t.equal(await call('get', 'space:a'), 'spaced', 'it is part of the key')
  })
  await t.test('two servers', async t => {
    const other = await startServing(t)
    await twoServers(t, connect(t, [server, `${HOST}:${other.port}`]))
  })
  t.same(await call('flush'), [true], 'flush')
  t.equal(await call('get', 'a'), undefined, 'which empties')
})

function connect(t: Test, servers: string | string[], options: Memcached.options = {}): Call {
  const client = new Memcached(servers, { timeout: 20_000, retries: 1, ...options })
  t.teardown(() => client.end())
  const methods = client as unknown as Methods
  return (name, ...args) =>
    new Promise((resolve, reject) => {
      const done = (error: unknown, got: unknown) => (error ? reject(error) : resolve(got))
      methods[name]?.call(client, ...args, done)
    })
}

async function stores(t: Test, call: Call) {
  t.equal(await call('set', 'a', 'one', 0), true, 'set')
  t.equal(await call('get', 'a'), 'one', 'get')
  t.equal(await call('get', 'none'), undefined, 'get of a miss')
  await t.rejects(call('add', 'a', 'two', 0), /not stored/, 'add of what is there')
  t.equal(await call('add', 'new', 'two', 0), true, 'add')
  t.equal(await call('replace', 'a', 'three', 0), true, 'replace')
  await t.rejects(call('replace', 'none', 'x', 0), /not stored/, 'replace of a miss')
  t.equal(await call('append', 'a', '>'), true, 'append')
  t.equal(await call('prepend', 'a', '<'), true, 'prepend')
  t.equal(await call('get', 'a'), '<three>', 'get of what was joined')
  await t.rejects(call('append', 'none', '>'), /not stored/, 'append to a miss')
  await t.rejects(call('prepend', 'none', '>'), /not stored/, 'prepend to a miss')
  t.equal(await call('del', 'new'), true, 'del')
  t.equal(await call('del', 'new'), false, 'del of a miss')
  await call('set', 'b', 'two', 0)
  const both = { a: '<three>', b: 'two' }
  t.same(await call('getMulti', ['a', 'none', 'b']), both, 'getMulti')
}

async function swaps(t: Test, call: Call) {
  await call('set', 'c', 'one', 0)
  const { c, cas } = (await call('gets', 'c')) as { c: string; cas: string }
  t.equal(c, 'one', 'gets gives the value')
  t.match(cas, /^\d+$/, 'gets gives the cas')
  t.equal(await call('cas', 'c', 'two', cas, 0), true, 'cas that is right')
  t.equal(await call('cas', 'c', 'three', cas, 0), false, 'cas that is stale')
  t.equal(await call('cas', 'none', 'x', cas, 0), false, 'cas of a miss')
  t.equal(await call('get', 'c'), 'two', 'the right one stored')
  t.equal(await call('gets', 'none'), undefined, 'gets of a miss')
}

async function counts(t: Test, call: Call) {
  await call('set', 'n', 10, 0)
  t.equal(await call('incr', 'n', 5), 15, 'incr')
  t.equal(await call('decr', 'n', 6), 9, 'decr')
  t.equal(await call('get', 'n'), 9, 'get of a counter')
  t.equal(await call('decr', 'n', 100), 0, 'decr stops at 0')
  t.equal(await call('incr', 'none', 1), false, 'incr of a miss')
  t.equal(await call('decr', 'none', 1), false, 'decr of a miss')
  await call('set', 'word', 'word', 0)
  await t.rejects(call('incr', 'word', 1), /non-numeric/, 'incr of a word')
  t.equal(await call('get', 'word'), 'word', 'the connection goes on')
}

async function expires(t: Test, call: Call) {
  await call('set', 'soon', 'x', 1)
  await call('set', 'touched', 'x', 3)
  await call('set', 'stays', 'x', 1000)
  t.equal(await call('touch', 'touched', 1000), true, 'touch')
  t.equal(await call('touch', 'none', 1000), false, 'touch of a miss')
  await sleep(4_100)
  t.equal(await call('get', 'soon'), undefined, 'one has ended')
  t.equal(await call('get', 'touched'), 'x', 'what was touched lives on')
  t.equal(await call('get', 'stays'), 'x', 'another lives on')
}

async function keepsValues(t: Test, call: Call) {
  const values = {
    text: 'größe 日本語 😀',
    lines: 'two\r\nlines',
    number: 42.5,
    json: { list: [1, 2.5, null], text: 'größe' },
    boolean: true,
    bytes: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    large: 'large value '.repeat(80_000),
  }
  for (const [name, value] of Object.entries(values)) {
    t.equal(await call('set', `value-${name}`, value, 0), true, `set of ${name}`)
    t.same(await call('get', `value-${name}`), value, `get of ${name}`)
  }
  await call('set', 'nothing', '', 0)
  t.equal(await call('get', 'nothing'), '', 'an empty value')
  const key = 'k'.repeat(250)
  await call('set', key, 'longest', 0)
  t.equal(await call('get', key), 'longest', 'a key of 250 bytes')
}

async function manyAtOnce(t: Test, call: Call) {
  const keys = Array.from({ length: PARALLEL }, (_, index) => `many-${index}`)
  const stored = await Promise.all(keys.map(key => call('set', key, key, 0)))
  t.ok(stored.every(Boolean), `${PARALLEL} sets at once`)
  t.same(await Promise.all(keys.map(key => call('get', key))), keys, `${PARALLEL} gets at once`)
  const all = (await call('getMulti', keys)) as Record<string, string>
  t.same(Object.keys(all).sort(), keys.toSorted(), `getMulti of ${PARALLEL}`)
  await call('set', 'at-once', 0, 0)
  await Promise.all(keys.map(() => call('incr', 'at-once', 1)))
  t.equal(await call('get', 'at-once'), PARALLEL, `${PARALLEL} incrs at once`)
}

async function statistics(t: Test, call: Call, server: string) {
  t.match(await call('version'), [{ server, version: /^\d+\.\d+\.\d+$/ }], 'version')
  const counters = { pid: Number, curr_items: Number, cmd_get: Number, threads: Number }
  t.match(await call('stats'), [{ server, ...counters }], 'stats')
  t.match(await call('settings'), [{ server, maxconns: Number, evictions: 'on' }], 'settings')
  t.match(await call('slabs'), [{ server, 1: { chunk_size: Number }, active_slabs: {} }], 'slabs')
  const items = (await call('items')) as Record<string, { number: number }>[]
  const [first] = Object.keys(items[0] ?? {}).filter(name => name !== 'server')
  t.match(items, [{ server, [`${first}`]: { number: Number } }], 'items')
  const dump = () => call('cachedump', server, Number(first), 1)
  // It lists cold items, and items become cold some time after they were stored.
  t.ok(await comesTrue(async () => (await dump()) !== undefined), 'cachedump')
  t.match(await dump(), { key: String, b: Number, s: Number }, 'an item of it')
}

async function twoServers(t: Test, call: Call) {
  const keys = Array.from({ length: 100 }, (_, index) => `spread-${index}`)
  await Promise.all(keys.map(key => call('set', key, key, 0)))
  const wanted = Object.fromEntries(keys.map(key => [key, key]))
  t.same(await call('getMulti', keys), wanted, 'every key comes back')
  t.equal(((await call('version')) as unknown[]).length, 2, 'both tell their version')
  t.same(await call('flush'), [true, true], 'flush empties both')
}
