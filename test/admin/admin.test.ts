// The admin listener: its pages, who may see them, and its bounds.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ADMIN_CONNECTIONS_MAX } from '../../lib/admin/limits.ts'
import { fetchFrom, startWithAdmin } from '../support/admin.ts'
import { createAuthority } from '../support/certificates.ts'
import { startDaemon } from '../support/daemon.ts'
import { skipWithout } from '../support/oracle.ts'
import { freePort, HOST } from '../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const AS_USER = process.getuid?.() === 0 ? ['-u', 'nobody'] : []

t.test('without --admin nothing listens for HTTP', async t => {
  const daemon = await startDaemon(t, ['-v'])
  t.notMatch(daemon.output(), 'admin:')
})

t.test('paths are there for GET and HEAD alone', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-v'])
  t.match(daemon.output(), `admin:127.0.0.1:${admin}`)
  t.match(await fetchFrom(admin, '/healthz'), { status: 200, text: 'ok\n' })
  t.match(await fetchFrom(admin, '/readyz?verbose'), { status: 200, text: 'ok\n' })
  t.match(await fetchFrom(admin, '/metrics'), {
    status: 200,
    headers: {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    },
    text: /^# HELP memcached_up/,
  })
  t.match(await fetchFrom(admin, '/metrics', { method: 'HEAD' }), { status: 200, text: '' })
  t.match(await fetchFrom(admin, '/metric'), { status: 404, text: 'There is no such page.\n' })
  t.match(await fetchFrom(admin, '/../etc/passwd'), { status: 404 })
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    t.match(await fetchFrom(admin, '/metrics', { method }), {
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
  }
})

t.test('what is not HTTP is closed, and the daemon goes on', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  for (const garbage of [
    'get a\r\n',
    '\x16\x03\x01\x00\xa5',
    'GET / HTTP/9.9\r\n\r\n',
    '\0'.repeat(9000),
  ]) {
    const peer = await openPeer(admin)
    peer.write(garbage)
    await readUntil(peer, '')
    t.ok(true, 'the listener closed it')
    peer.destroy()
  }
  const header = `GET /metrics HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
  const peer = await openPeer(admin)
  peer.write(header)
  t.notMatch((await readUntil(peer, '')).toString(), /200 OK/)
  t.match(await fetchFrom(admin, '/healthz'), { status: 200 })
  t.match(await askOnce(daemon.port, 'version\r\n', '\r\n'), /^VERSION/)
})

t.test('connections have a bound', async t => {
  const { admin } = await startWithAdmin(t)
  const peers = await Promise.all(
    Array.from({ length: ADMIN_CONNECTIONS_MAX }, () => openPeer(admin)),
  )
  const late = await openPeer(admin)
  t.equal((await readUntil(late, '')).length, 0, 'one more is closed')
  for (const peer of peers) peer.destroy()
  t.ok(await comesTrue(async () => (await fetchFrom(admin, '/healthz').catch(() => null)) !== null))
})

t.test('--admin-auth asks for a password or a token', async t => {
  const file = join(t.testdir({ users: 'ann:secret:1\nbearer:token-1\n' }), 'users')
  const { daemon, admin } = await startWithAdmin(t, ['--admin-auth', file])
  const basic = (text: string) => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  })
  const statusFor = async (headers: Record<string, string>) =>
    (await fetchFrom(admin, '/metrics', { headers })).status
  t.match(await fetchFrom(admin, '/metrics'), {
    status: 401,
    headers: { 'www-authenticate': /^Basic realm="memslab".*Bearer/ },
  })
  t.equal(await statusFor(basic('ann:secret:1')), 200)
  t.equal(await statusFor({ authorization: 'Bearer token-1' }), 200)
  t.equal(await statusFor({ authorization: 'bearer  token-1' }), 200, 'the scheme has no case')
  const wrong = [
    basic('ann:secret'),
    basic('ann'),
    basic(':secret:1'),
    basic('bearer:token-1'),
    { authorization: 'Bearer token-12' },
    { authorization: 'Bearer' },
    { authorization: 'Bearer ann:secret:1' },
    { authorization: 'Digest token-1' },
  ]
  for (const headers of wrong) t.equal(await statusFor(headers), 401, headers.authorization)
  t.match(await fetchFrom(admin, '/nothing'), { status: 401 }, 'what exists is not told')
  t.match(await fetchFrom(admin, '/healthz'), { status: 200 }, 'probes have no password')
  writeFileSync(file, 'bearer:token-2\n')
  process.kill(daemon.pid, 'SIGHUP')
  t.ok(await comesTrue(async () => (await statusFor({ authorization: 'Bearer token-2' })) === 200))
  t.equal(await statusFor({ authorization: 'Bearer token-1' }), 401)
  t.match(await askOnce(daemon.port, 'version\r\n', '\r\n'), /^VERSION/, 'clients need none')
})

t.test(
  'with -Z it uses the certificates, also new ones',
  { skip: skipWithout('openssl') },
  async t => {
    const authority = createAuthority(t, 'authority')
    const { cert, key } = authority.sign('server')
    const ca = readFileSync(authority.ca, 'utf8')
    const tls = ['-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`, '-l', 'notls:127.0.0.1']
    const { daemon, admin } = await startWithAdmin(t, tls, { ca })
    t.match(await fetchFrom(admin, '/metrics', { ca }), { status: 200 })
    await t.rejects(fetchFrom(admin, '/metrics'), 'without TLS there is no answer')
    const other = createAuthority(t, 'other')
    const renewed = other.sign('server')
    writeFileSync(cert, readFileSync(renewed.cert))
    writeFileSync(key, readFileSync(renewed.key))
    process.kill(daemon.pid, 'SIGHUP')
    const otherCa = readFileSync(other.ca, 'utf8')
    const isNew = () =>
      fetchFrom(admin, '/healthz', { ca: otherCa }).then(
        () => true,
        () => false,
      )
    t.ok(await comesTrue(isNew), 'new connections get the new certificate')
  },
)

t.test('notls: goes without TLS', { skip: skipWithout('openssl') }, async t => {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const admin = await freePort()
  const tls = ['-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`, '-l', 'notls:127.0.0.1']
  await startDaemon(t, [...tls, '--admin', `notls:127.0.0.1:${admin}`])
  t.match(await fetchFrom(admin, '/healthz'), { status: 200 })
})

t.test('a port that is taken is one line and no daemon', async t => {
  const taken = createServer().listen(0, HOST)
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const args = [...AS_USER, '-p', '-1', '-l', HOST, '--admin', `${port}`]
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { timeout: 60_000 })
  const line = `failed to listen on the admin address 127.0.0.1:${port}: Address already in use\n`
  t.equal(stderr.toString(), line)
  t.equal(status, 71)
})

t.test('a listener for others without a password gets a warning', async t => {
  const admin = await freePort()
  const daemon = await startDaemon(t, ['--admin', `0.0.0.0:${admin}`])
  t.match(
    daemon.output(),
    `warning: the admin listener on 0.0.0.0:${admin} is open to the network without --admin-auth`,
  )
})

t.test('a daemon that closes is not ready', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-A'])
  const peer = await openPeer(daemon.port)
  await ask(peer, 'shutdown graceful\r\n', '').catch(() => '')
  const isGone = () =>
    fetchFrom(admin, '/readyz').then(
      ({ status }) => status === 503,
      () => true,
    )
  t.ok(await comesTrue(isGone))
})
