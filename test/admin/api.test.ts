// What the page asks for and changes: one item, connections, a flush; and who may.

import { spawnSync } from 'node:child_process'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import {
  ADMIN_REQUESTS_MAX,
  CONNECTION_ROWS_MAX,
  VALUE_SHOWN_BYTES_MAX,
} from '../../lib/admin/limits.ts'
import type { ConnectionPage, ItemFacts, SettingRow } from '../../lib/admin/shapes.ts'
import { type Asked, fetchFrom, startWithAdmin } from '../support/admin.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil, statsOf } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const OURS = { 'x-memslab': '1' }
const USERS = 'ann:secret\n'

async function lookUp(port: number, query: string): Promise<ItemFacts> {
  return JSON.parse((await fetchFrom(port, `/api/item?${query}`)).text)
}

async function listFrom(port: number, after: number): Promise<ConnectionPage> {
  return JSON.parse((await fetchFrom(port, `/api/connections?after=${after}`)).text)
}

const statusOf = async (port: number, path: string, asked: Asked = {}) =>
  (await fetchFrom(port, path, asked)).status

t.test('a look-up shows the item and leaves no trace', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  const peer = await openPeer(daemon.port)
  await ask(peer, 'set a 7 100 5\r\nhello\r\n', '\r\n')
  const before = await statsOf(daemon.port)
  const found = await lookUp(admin, 'key=a&value=1')
  t.match(found, {
    key: 'a',
    found: 'found',
    item: { valueBytes: 5, flags: 7, list: 'cold', fetched: false, stale: false, claimed: false },
  })
  const { item } = found
  t.equal(Buffer.from(item?.value ?? '', 'base64').toString(), 'hello')
  t.ok((item?.ttlS ?? 0) > 90 && (item?.ttlS ?? 0) <= 100)
  const cas = /^VALUE a 7 5 (\d+)/.exec(await ask(peer, 'gets a\r\n', 'END\r\n'))?.[1]
  t.equal(item?.cas, cas)
  t.notOk('value' in ((await lookUp(admin, 'key=a')).item ?? {}), 'no value unless asked for')
  t.match(await lookUp(admin, 'key=b'), { key: 'b', found: 'not_found' })
  const after = await statsOf(daemon.port)
  t.equal(Number(after.get('cmd_get')), Number(before.get('cmd_get')) + 1, 'the gets alone count')
  await ask(peer, 'set c 0 0 1\r\n1\r\n', '\r\n')
  await lookUp(admin, 'key=c&value=1')
  t.match(await ask(peer, 'me c\r\n', '\r\n'), 'fetch=no')
})

t.test('any key, and the start of a long value', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  const peer = await openPeer(daemon.port)
  const base64 = Buffer.from('\0é /%', 'latin1').toString('base64')
  t.equal(await ask(peer, `ms ${base64} 1 b\r\nx\r\n`, '\r\n'), 'HD\r\n')
  t.match(await lookUp(admin, 'key=%00%e9+%2F%25'), { key: '%00%E9%20%2F%25', found: 'found' })
  const long = 'y'.repeat(300_000)
  await ask(peer, `set long 0 0 ${long.length}\r\n${long}\r\n`, '\r\n')
  const { item } = await lookUp(admin, 'key=long&value=1')
  t.equal(item?.valueBytes, long.length)
  t.equal(Buffer.from(item?.value ?? '', 'base64').toString(), long.slice(0, VALUE_SHOWN_BYTES_MAX))
  await ask(peer, 'flush_all\r\n', '\r\n')
  t.match(await lookUp(admin, 'key=long'), { found: /flushed|not_found/ })
  for (const query of ['', 'key=', 'key=%', 'key=%zz', `key=${'a'.repeat(251)}`, 'kay=a']) {
    t.equal(await statusOf(admin, `/api/item?${query}`), 400, query)
  }
  t.match(await lookUp(admin, `key=${'a'.repeat(250)}`), { found: 'not_found' })
})

t.test('changes need --admin-write, and come from no other page', async t => {
  const plain = await startWithAdmin(t)
  const change = (method: string, headers: Record<string, string> = OURS) => ({ method, headers })
  t.match(await fetchFrom(plain.admin, '/api/item?key=a', change('DELETE')), {
    status: 405,
    headers: { allow: 'GET, HEAD' },
  })
  t.equal(await statusOf(plain.admin, '/api/flush', change('POST')), 405)
  const { daemon, admin } = await startWithAdmin(t, ['--admin-write'])
  const set = () => askOnce(daemon.port, 'set a 0 0 1\r\n1\r\n', '\r\n')
  const get = () => askOnce(daemon.port, 'get a\r\n', 'END\r\n')
  await set()
  const foreign = [
    {},
    { ...OURS, origin: 'http://evil.example' },
    { ...OURS, origin: 'null' },
    { ...OURS, 'sec-fetch-site': 'cross-site' },
    { ...OURS, 'sec-fetch-site': 'same-site' },
  ]
  for (const headers of foreign) {
    t.equal(await statusOf(admin, '/api/item?key=a', change('DELETE', headers)), 403)
    t.equal(await statusOf(admin, '/api/flush', change('POST', headers)), 403)
  }
  t.match(await fetchFrom(admin, '/api/flush', change('PUT')), {
    status: 405,
    headers: { allow: 'POST' },
  })
  t.match(await get(), /^VALUE/)
  const own = {
    ...OURS,
    origin: `http://127.0.0.1:${admin}`,
    'sec-fetch-site': 'same-origin',
  }
  const deleted = await fetchFrom(admin, '/api/item?key=a', change('DELETE', own))
  t.equal(deleted.text, '{"deleted":true}')
  t.equal(await get(), 'END\r\n')
  const again = await fetchFrom(admin, '/api/item?key=a', change('DELETE'))
  t.equal(again.text, '{"deleted":false}')
  await set()
  t.equal(await statusOf(admin, '/api/flush', change('POST')), 200)
  t.equal(await get(), 'END\r\n')
  t.equal((await statsOf(daemon.port)).get('cmd_flush'), '1')
  t.ok(await comesTrue(() => /admin: deleted a\n(.|\n)*admin: flushed/.test(daemon.output())))
})

t.test('settings are listed, and changed with --admin-write', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['--admin-write'])
  const rows = async (): Promise<SettingRow[]> =>
    JSON.parse((await fetchFrom(admin, '/api/settings')).text)
  const rowOf = async (wanted: string) => (await rows()).find(({ name }) => name === wanted)
  const shown = [...(await statsOf(daemon.port, 'settings')).entries()]
  t.same(
    (await rows()).map(({ name, value }) => [name, value]),
    shown,
  )
  t.match(await rowOf('num_threads'), { value: '2', isChangeable: false, changed: null })
  const change = (query: string, headers: Record<string, string> = OURS) =>
    fetchFrom(admin, `/api/settings?${query}`, { method: 'POST', headers })
  t.match(await change('name=eviction&value=segmented', {}), { status: 403 })
  t.match(await change('name=eviction&value=segmented'), { status: 200 })
  t.match(await rowOf('eviction'), {
    value: 'segmented',
    isChangeable: true,
    changed: { who: 'admin:127.0.0.1' },
  })
  t.match(await change('name=eviction&value=never'), { status: 400, text: /must be one of/ })
  t.match(await change('name=num_threads&value=4'), { status: 400, text: /needs a restart/ })
  t.match(await change('name=nothing&value=4'), { status: 400, text: /no such setting/ })
  for (const query of ['', 'name=eviction', 'name=%&value=1']) {
    t.match(await change(query), { status: 400 }, query)
  }
  const plain = await startWithAdmin(t)
  t.match(await fetchFrom(plain.admin, '/api/settings', { method: 'POST', headers: OURS }), {
    status: 405,
  })
})

t.test('-F refuses a flush here too', async t => {
  const { admin } = await startWithAdmin(t, ['--admin-write', '-F'])
  t.equal(await statusOf(admin, '/api/flush', { method: 'POST', headers: OURS }), 403)
})

t.test('a foreign name for this machine shows nothing', async t => {
  const { admin } = await startWithAdmin(t)
  const named = (host: string, path = '/api/connections') =>
    statusOf(admin, path, { headers: { host } })
  for (const host of ['evil.example', `evil.example:${admin}`, 'localhost.evil.example']) {
    t.equal(await named(host), 421, host)
    t.equal(await named(host, '/events'), 421)
    t.equal(await named(host, '/metrics'), 200, 'what a scraper asks for is for all names')
  }
  const own = ['127.0.0.1', `127.0.0.1:${admin}`, '[::1]:80', 'LOCALHOST:1', hostname()]
  for (const host of own) t.equal(await named(host), 200, host)
})

t.test('with a password every name will do', async t => {
  const file = t.testdir({ users: USERS })
  const { admin } = await startWithAdmin(t, ['--admin-auth', `${file}/users`])
  const authorization = `Basic ${Buffer.from(USERS.trim()).toString('base64')}`
  const headers = { host: 'cache.example', authorization }
  t.equal(await statusOf(admin, '/api/connections', { headers }), 200)
  for (const path of ['/api/item?key=a', '/api/connections', '/events', '/events/watch']) {
    t.equal(await statusOf(admin, path), 401, path)
  }
})

t.test('where clients log in, keys are told to those who log in', async t => {
  const file = t.testdir({ users: USERS })
  const { admin } = await startWithAdmin(t, ['-Y', `${file}/users`])
  const paths = [
    '/api/item?key=a',
    '/api/connections',
    '/api/settings',
    '/events/watch?kinds=fetchers',
  ]
  for (const path of paths) {
    t.match(await fetchFrom(admin, path), { status: 403, text: /--admin-auth/ }, path)
  }
  const args = ['-p', '0', '-Y', `${file}/users`, '--admin', '1', '--admin-write']
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { timeout: 60_000 })
  t.match(
    stderr.toString(),
    '--admin-write needs --admin-auth where clients log in (-S, -Y, --acl)',
  )
  t.equal(status, 64)
})

t.test('more requests than may be in progress get 503 and come again', async t => {
  const { admin } = await startWithAdmin(t)
  const peer = await openPeer(admin)
  const asked = 2 * ADMIN_REQUESTS_MAX
  const one = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
  const last = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'
  const reply = readUntil(peer, '')
  peer.write(one.repeat(asked - 1) + last)
  const text = (await reply).toString()
  const answered = text.match(/^HTTP\/1.1 200 OK/gm)?.length ?? 0
  const refused = text.match(/^HTTP\/1.1 503 (?:.+\r\n)*Retry-After: 1\r\n/gm)?.length ?? 0
  t.equal(answered + refused, asked)
  t.ok(answered >= ADMIN_REQUESTS_MAX && refused > 0, `${answered} and ${refused}`)
  t.equal(await statusOf(admin, '/healthz'), 200)
})

t.test('connections come page by page', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  const count = CONNECTION_ROWS_MAX + 10
  const peers = await Promise.all(Array.from({ length: count }, () => openPeer(daemon.port)))
  t.ok(await comesTrue(async () => (await listFrom(admin, 0)).total === count))
  const first = await listFrom(admin, 0)
  t.equal(first.rows.length, CONNECTION_ROWS_MAX)
  const second = await listFrom(admin, first.next ?? 0)
  t.equal(second.next, null)
  const ids = [...first.rows, ...second.rows].map(({ id }) => id)
  t.equal(new Set(ids).size, count, 'each once')
  const ports = new Set(peers.map(({ localPort }) => `tcp:127.0.0.1:${localPort}`))
  t.ok([...first.rows, ...second.rows].every(({ address }) => ports.has(address)))
  t.match(first.rows[0], { listener: `tcp:127.0.0.1:${daemon.port}`, state: 'conn_read' })
  for (const after of ['x', '1.5', 'Infinity']) {
    t.equal(await statusOf(admin, `/api/connections?after=${after}`), 400)
  }
})

t.test('answers are closed to other pages', async (t: Test) => {
  const { admin } = await startWithAdmin(t)
  for (const path of ['/', '/api/connections', '/healthz', '/nothing']) {
    const { headers } = await fetchFrom(admin, path)
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    })
    const policy = String(headers['content-security-policy'])
    t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/)
    t.match(policy, "frame-ancestors 'none'")
    t.notMatch(policy, /unsafe|\*|http/)
    t.notOk('access-control-allow-origin' in headers)
  }
})
