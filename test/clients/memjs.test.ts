/**
 * memjs against a real daemon: its whole API over the binary protocol.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'memjs'
import t, { type Test } from 'tap'
import { PASSWORD, USER } from '../support/auth.ts'
import { startServing } from '../support/client-server.ts'
import { HOST } from '../support/process.ts'
import { startSaslDaemon } from '../support/sasl.ts'

type Memjs = Client<string | Buffer, Buffer | null>

const PARALLEL = 2_000
const LARGE_BYTES = 1_048_000
const MISS = { value: null, flags: null }

t.test('memjs', async t => {
  const { port } = await startServing(t)
  const client = connect(t, `${HOST}:${port}`)
  await t.test('stores', t => stores(t, client))
  await t.test('counts', t => counts(t, client))
  await t.test('expires', t => expires(t, client))
  await t.test('values', t => keepsValues(t, client))
  await t.test('many at once', t => manyAtOnce(t, client))
  await t.test('statistics', t => statistics(t, client))
  await t.test('leaves and comes back', t => leaves(t, client))
  await t.test('a key that is too long', async t => {
    // The server may close the connection after its answer, which memjs does not notice.
    const one = connect(t, `${HOST}:${port}`)
    await t.rejects(one.set('k'.repeat(251), 'x', {}), /Invalid arguments/, 'set')
  })
  await t.test('two servers', async t => {
    const other = await startServing(t)
    await twoServers(t, connect(t, `${HOST}:${port},${HOST}:${other.port}`))
  })
})

t.test('memjs with SASL', async t => {
  const { port } = await startSaslDaemon(t)
  const server = `${HOST}:${port}`
  const client = connect(t, server, { username: USER, password: PASSWORD })
  await t.test('stores', t => stores(t, client))
  await t.test('counts', t => counts(t, client))
  await t.test('values', t => keepsValues(t, client))
  await t.test('many at once', t => manyAtOnce(t, client))
  await t.test('leaves and comes back', t => leaves(t, client))

  // It rejects with a value that is no Error.
  const refused = connect(t, server, { username: USER, password: 'wrong' })
  t.match(await refused.get('a').catch(String), /authentication failed/, 'a wrong password')
})

function connect(t: Test, servers: string, login = {}): Memjs {
  const options = { timeout: 20, retries: 1, logger: { log() {} }, ...login }
  const client: Memjs = Client.create(servers, options)
  t.teardown(() => client.close())
  return client
}

async function stores(t: Test, client: Memjs) {
  t.equal(await client.set('a', 'one', {}), true, 'set')
  t.same(await text(client, 'a'), 'one', 'get')
  t.same(await client.get('none'), MISS, 'get of a miss')
  t.equal(await client.add('a', 'two', {}), false, 'add of what is there')
  t.equal(await client.add('new', 'two', {}), true, 'add')
  t.equal(await client.replace('a', 'three', {}), true, 'replace')
  t.equal(await client.replace('none', 'three', {}), false, 'replace of a miss')
  t.equal(await client.append('a', '!'), true, 'append')
  await t.rejects(client.append('none', '!'), /not stored/, 'append to a miss')
  // memjs 1.3 sends the opcode of append here too.
  t.equal(await client.prepend('a', '!'), true, 'prepend')
  await t.rejects(client.prepend('none', '!'), /not stored/, 'prepend to a miss')
  t.equal(await text(client, 'a'), 'three!!', 'get of what was joined')
  t.equal(await client.delete('a'), true, 'delete')
  t.equal(await client.delete('a'), false, 'delete of a miss')
  t.same(await client.get('a'), MISS, 'get of what was deleted')
}

async function counts(t: Test, client: Memjs) {
  const initial = { initial: 10, expires: 100 }
  t.same(await client.increment('n', 5, initial), { success: true, value: 10 }, 'initial value')
  t.same(await client.increment('n', 5, initial), { success: true, value: 15 }, 'increment')
  t.same(await client.decrement('n', 6, {}), { success: true, value: 9 }, 'decrement')
  t.same(await client.decrement('n', 100, {}), { success: true, value: 0 }, 'decrement stops at 0')
  t.same(await client.decrement('m', 1, {}), { success: true, value: 0 }, 'initial 0')
  t.equal((await text(client, 'n'))?.trim(), '0', 'get of a counter')
  await client.set('word', 'word', {})
  await t.rejects(client.increment('word', 1, {}), /non-numeric/, 'increment of a word')
  await t.rejects(client.decrement('word', 1, {}), /non-numeric/, 'decrement of a word')
  t.equal(await text(client, 'word'), 'word', 'the connection goes on')
}

async function expires(t: Test, client: Memjs) {
  await client.set('soon', 'x', { expires: 1 })
  await client.add('added', 'x', { expires: 1 })
  await client.increment('counted', 1, { initial: 1, expires: 1 })
  await client.set('touched', 'x', { expires: 3 })
  await client.set('stays', 'x', { expires: 1000 })
  t.equal(await client.touch('touched', 1000), true, 'touch')
  t.equal(await client.touch('none', 1000), false, 'touch of a miss')
  await sleep(4_100)
  for (const key of ['soon', 'added', 'counted'])
    t.same(await client.get(key), MISS, `${key} ended`)
  for (const key of ['touched', 'stays']) t.equal(await text(client, key), 'x', `${key} lives on`)
}

async function keepsValues(t: Test, client: Memjs) {
  const values: Record<string, Buffer> = {
    nothing: Buffer.alloc(0),
    'every byte': Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    text: Buffer.from('größe 日本語\r\nEND\r\n'),
    large: randomBytes(LARGE_BYTES),
  }
  for (const [name, value] of Object.entries(values)) {
    t.equal(await client.set(`value ${name}`, value, {}), true, `set of ${name}`)
    const { value: got } = await client.get(`value ${name}`)
    t.ok(got?.equals(value), `get of ${name}`)
  }
  await t.rejects(client.set('big', randomBytes(2 * LARGE_BYTES), {}), /too large/, 'set of 2 MB')
  t.same(await client.get('big'), MISS, 'what did not fit is not there')
  const key = 'k'.repeat(250)
  t.equal(await client.set(key, 'longest', {}), true, 'a key of 250 bytes')
  t.equal(await text(client, key), 'longest', 'and its value')
  t.same((await client.get(key)).flags, Buffer.alloc(4), 'flags')
}

async function manyAtOnce(t: Test, client: Memjs) {
  const keys = Array.from({ length: PARALLEL }, (_, index) => `many ${index}`)
  const stored = await Promise.all(keys.map(key => client.set(key, `value of ${key}`, {})))
  t.ok(stored.every(Boolean), `${PARALLEL} sets at once`)
  const got = await Promise.all(keys.map(key => text(client, key)))
  t.same(
    got,
    keys.map(key => `value of ${key}`),
    `${PARALLEL} gets at once`,
  )
  const counted = await Promise.all(keys.map(() => client.increment('at once', 1, { initial: 1 })))
  t.equal(counted.at(-1)?.value, PARALLEL, `${PARALLEL} increments at once`)
  const large = randomBytes(LARGE_BYTES)
  const names = Array.from({ length: 20 }, (_, index) => `large ${index}`)
  await Promise.all(names.map(name => client.set(name, large, {})))
  const read = await Promise.all(names.map(name => client.get(name)))
  t.ok(
    read.every(({ value }) => value?.equals(large)),
    '20 large values at once',
  )
}

async function statistics(t: Test, client: Memjs) {
  const general = await statsOf(client, '')
  for (const name of ['pid', 'uptime', 'curr_items', 'cmd_get', 'threads', 'limit_maxbytes']) {
    t.match(general[name], /^\d+$/, `stats: ${name}`)
  }
  t.match(general.version, /^\d+\.\d+\.\d+/, 'stats: version')
  t.match((await statsOf(client, 'settings')).evictions, 'on', 'stats settings')
  t.match(Object.keys(await statsOf(client, 'items')).join(), /items:\d+:number/, 'stats items')
  t.match((await statsOf(client, 'slabs')).active_slabs, /^\d+$/, 'stats slabs')
  await new Promise(resolve => client.resetStats(resolve))
  t.equal((await statsOf(client, '')).cmd_set, '0', 'resetStats')
}

async function leaves(t: Test, client: Memjs) {
  const [server] = client.servers
  t.same(await client.flush(), { [`${server?.host}:${server?.port}`]: true }, 'flush')
  t.same(await client.get('stays'), MISS, 'which empties')
  client.quit()
  for (let tries = 0; tries < 100 && server?.connected; tries++) await sleep(20)
  t.equal(server?.connected, false, 'quit ends the connection')
  t.equal(await client.set('again', 'x', {}), true, 'the client comes back')
}

async function twoServers(t: Test, client: Memjs) {
  const keys = Array.from({ length: 100 }, (_, index) => `spread ${index}`)
  await Promise.all(keys.map(key => client.set(key, key, {})))
  t.same(await Promise.all(keys.map(key => text(client, key))), keys, 'every key comes back')
  t.equal(Object.values(await client.flush()).filter(Boolean).length, 2, 'flush empties both')
}

async function text(client: Memjs, key: string): Promise<string | undefined> {
  return (await client.get(key)).value?.toString()
}

function statsOf(client: Memjs, group: string): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    client.statsWithKey(group, (error, _, stats) => (error ? reject(error) : resolve(stats ?? {})))
  })
}
