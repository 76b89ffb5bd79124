// Certificates of clients, the certificate of the server, and sessions.

import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createAuthority, type Pair } from '../../support/certificates.ts'
import { startDaemon } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { ask, askOnce, comesTrue, openPeer, statsOf } from '../../support/server-peer.ts'
import { isServed, openSecure, showing, startTlsDaemon } from '../../support/tls-peer.ts'
import { shortFolder } from '../../support/unix.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
const NEEDS_OPENSSL = { skip: skipWithout('openssl') }
const AS_NOBODY = process.getuid?.() === 0 ? ['-u', 'nobody'] : []

t.test('peers need certificates as the mode says', NEEDS_OPENSSL, async t => {
  const authority = createAuthority(t, 'authority')
  const stranger = createAuthority(t, 'stranger')
  const server = authority.sign('server')
  const peers: Record<string, Pair | undefined> = {
    good: authority.sign('good'),
    ended: authority.sign('ended', -1),
    strange: stranger.sign('strange'),
    none: undefined,
  }
  const servedBy: Record<number, string> = {
    0: 'good ended strange none',
    1: 'good none',
    2: 'good',
    3: 'good',
  }
  // OpenSSL's message or Node's.
  const reasons = {
    ended: '(certificate has expired|CERT_HAS_EXPIRED)',
    strange: '(unable to|UNABLE_TO_)',
    none: 'has no certificate',
  }
  for (const [mode, wanted] of Object.entries(servedBy)) {
    const mutual = [`ssl_verify_mode=${mode}`, `ssl_ca_cert=${authority.ca}`]
    const daemon = await startTlsDaemon(t, server, mutual, ['-v'])
    const served: string[] = []
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const [name, pair] of Object.entries(peers)) {
        const shown = pair === undefined ? {} : showing(pair)
        if (await isServed(daemon.tlsPort, { ...shown, maxVersion })) served.push(name)
      }
    }
    t.equal(served.join(' '), `${wanted} ${wanted}`, `mode ${mode}`)
    const refused = Object.keys(peers).filter(name => !wanted.split(' ').includes(name))
    for (const name of refused) {
      t.match(
        daemon.output(),
        new RegExp(`^<\\d+ TLS with tcp:127.*: .*${reasons[name as keyof typeof reasons]}`, 'm'),
      )
    }
    t.equal((await statsOf(daemon.port)).get('ssl_handshake_errors'), `${2 * refused.length}`)
    const areFree = async () => (await statsOf(daemon.port)).get('curr_connections') === '1'
    t.ok(await comesTrue(areFree), 'no place stays taken')
  }
})

t.test('without authorities no certificate is valid', NEEDS_OPENSSL, async t => {
  const authority = createAuthority(t, 'authority')
  const daemon = await startTlsDaemon(t, authority.sign('server'), ['ssl_verify_mode=2'])
  t.notOk(await isServed(daemon.tlsPort, showing(authority.sign('good'))))
})

t.test('a listener may have its own mode', NEEDS_OPENSSL, async t => {
  const authority = createAuthority(t, 'authority')
  const places = ['-l', `mtls:127.0.0.2:0,btls:127.0.0.3:0`]
  const list = [`ssl_verify_mode=1`, `ssl_ca_cert=${authority.ca}`]
  const daemon = await startTlsDaemon(t, authority.sign('server'), list, places)
  const conns = [...(await statsOf(daemon.port, 'conns')).values()]
  const portOf = (host: string) =>
    Number(conns.find(addr => addr.startsWith(`tcp:${host}:`))?.split(':')[2])
  const good = showing(authority.sign('good'))
  const bad = showing(authority.sign('ended', -1))
  const [mutual, basic] = ['127.0.0.2', '127.0.0.3'].map(host => ({ host, port: portOf(host) }))
  t.notOk(await isServed(mutual.port, mutual), 'mtls needs a certificate')
  t.ok(await isServed(mutual.port, { ...mutual, ...good }))
  t.ok(await isServed(basic.port, { ...basic, ...bad }), 'btls looks at none')
  t.ok(await isServed(daemon.tlsPort, {}), 'the others do as ssl_verify_mode says')
  t.notOk(await isServed(daemon.tlsPort, bad))
})

t.test('certificates are renewed for new connections', NEEDS_OPENSSL, async t => {
  const authority = createAuthority(t, 'authority')
  const [first, second, third] = ['first', 'second', 'third'].map(name => authority.sign(name))
  const folder = shortFolder(t)
  const live = { cert: join(folder, 'cert'), key: join(folder, 'key') }
  const use = ({ cert, key }: Pair) => {
    writeFileSync(live.cert, readFileSync(cert))
    writeFileSync(live.key, readFileSync(key))
  }
  use(first)
  const daemon = await startTlsDaemon(t, live, [], ['-t', '3'])
  const shown = async () => {
    const names = new Set<string>()
    for (let i = 0; i < 6; i++) {
      const peer = await openSecure(daemon.tlsPort)
      names.add(`${peer.getPeerCertificate().subject.CN}`)
      await ask(peer, 'get none\r\n', 'END\r\n')
      others.push(peer)
    }
    return [...names].join(' ')
  }
  const others: TLSSocket[] = []
  t.equal(await shown(), 'first')
  const old = await openSecure(daemon.tlsPort)
  use(second)
  t.equal(await shown(), 'first', 'not by itself')
  t.equal(await ask(old, 'refresh_certs\r\n', '\r\n'), 'OK\r\n')
  t.equal(await shown(), 'second', 'by all threads')
  t.equal(await ask(old, 'get none\r\n', '\r\n'), 'END\r\n', 'an old connection stays')
  t.equal(old.getPeerCertificate().subject.CN, 'first')
  writeFileSync(live.cert, 'nonsense')
  const reply = await ask(old, 'refresh_certs\r\n', '\r\n')
  t.match(reply, `Error loading the certificate chain: ${live.cert} : `)
  t.ok(await comesTrue(() => daemon.output().includes(reply.trim())), 'and it is logged')
  use({ ...third, key: first.key })
  t.match(await ask(old, 'refresh_certs\r\n', '\r\n'), `Error loading the key: ${live.key} : `)
  process.kill(daemon.pid, 'SIGHUP')
  t.ok(await comesTrue(() => daemon.output().split('Error loading the key').length === 3))
  t.equal(await shown(), 'second', 'what was good stays')
  use(third)
  process.kill(daemon.pid, 'SIGHUP')
  t.ok(await comesTrue(async () => (await shown()) === 'third'), 'by a signal')
  const age = (await statsOf(daemon.port)).get('time_since_server_cert_refresh')
  t.ok(Number(age) < 30, `${age}`)
  for (const peer of others) peer.destroy()
})

t.test('a file that cannot be read yet keeps nobody waiting', NEEDS_OPENSSL, async t => {
  const first = createAuthority(t, 'authority').sign('first')
  const live = { cert: join(shortFolder(t), 'cert'), key: first.key }
  writeFileSync(live.cert, readFileSync(first.cert))
  const daemon = await startTlsDaemon(t, live, [], ['-t', '1'])
  rmSync(live.cert)
  spawnSync('mkfifo', [live.cert])
  const asking = await openPeer(daemon.port)
  const answer = ask(asking, 'refresh_certs\r\nget none\r\n', 'END\r\n')
  t.equal(await askOnce(daemon.port, 'get none\r\n', 'END\r\n'), 'END\r\n', 'others are served')
  await writeFile(live.cert, readFileSync(first.cert))
  t.equal(await answer, 'OK\r\nEND\r\n', 'what follows waits')
  asking.destroy()
})

t.test('sessions are resumed by any thread, if enabled', NEEDS_OPENSSL, async t => {
  const pair = createAuthority(t, 'authority').sign('server')
  for (const [sub, wanted] of [
    [['ssl_session_cache'], true],
    [[], false],
  ] as const) {
    const daemon = await startTlsDaemon(t, pair, [...sub], ['-t', '3'])
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const [peer, session] = await sessionOf(daemon.tlsPort, maxVersion)
      const resumed: boolean[] = []
      const later: Socket[] = [peer]
      for (let i = 0; i < 6; i++) {
        const next = await openSecure(daemon.tlsPort, { maxVersion, session })
        later.push(next)
        resumed.push(next.isSessionReused())
        t.equal(await ask(next, 'get none\r\n', '\r\n'), 'END\r\n')
      }
      t.same(resumed, Array(6).fill(wanted && session !== undefined), maxVersion)
      for (const one of later) one.destroy()
    }
    const stats = await statsOf(daemon.port)
    t.equal(stats.get('ssl_new_sessions'), wanted ? '2' : undefined)
    if (!wanted) continue
    const [peer, session] = await sessionOf(daemon.tlsPort, 'TLSv1.3')
    await ask(peer, 'refresh_certs\r\n', 'OK\r\n')
    const next = await openSecure(daemon.tlsPort, { session })
    t.notOk(next.isSessionReused(), 'not with other certificates')
  }
})

t.test('with bad files the daemon does not start', NEEDS_OPENSSL, async t => {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const other = createAuthority(t, 'other').sign('other')
  const lines: [list: string, line: string][] = [
    [
      'ssl_chain_cert=/no/such',
      'Error loading the certificate chain: /no/such : No such file or directory',
    ],
    [
      `ssl_chain_cert=${cert},ssl_key=/no/such`,
      'Error loading the key: /no/such : No such file or directory',
    ],
    [`ssl_chain_cert=${cert},ssl_key=${other.key}`, `Error loading the key: ${other.key} : `],
    [
      `ssl_chain_cert=${cert},ssl_key=${key},ssl_ca_cert=${key}`,
      `Error loading the CA certificate: ${key} : no certificate in PEM`,
    ],
    [
      `ssl_chain_cert=${cert},ssl_key=${key},ssl_ciphers=none-such`,
      'Error setting the provided cipher(s): none-such',
    ],
    // The ciphers require longer keys than these.
    [
      `ssl_chain_cert=${cert},ssl_key=${key},ssl_ciphers=ALL@SECLEVEL=4`,
      `Error loading the certificate chain: ${cert} : `,
    ],
  ]
  for (const [list, line] of lines) {
    const args = [MAIN, ...AS_NOBODY, '-Z', '-p', '-1', '-o', list]
    const { status, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 20_000,
    })
    t.match(stderr.trim().split('\n').at(-1), line)
    t.equal(status, 64)
  }
})

t.test('without TLS there are no certificates to refresh', NEEDS_OPENSSL, async t => {
  const daemon = await startDaemon(t)
  t.equal(await askOnce(daemon.port, 'refresh_certs\r\n', '\r\n'), 'Error TLS not enabled\r\n')
})

/** A connection and the session by which it may be resumed. */
async function sessionOf(port: number, maxVersion: 'TLSv1.2' | 'TLSv1.3') {
  const peer = await openSecure(port, { maxVersion })
  let session = maxVersion === 'TLSv1.2' ? peer.getSession() : undefined
  peer.on('session', given => {
    session = given
  })
  await ask(peer, 'get none\r\n', '\r\n')
  await sleep(50)
  return [peer, session] as const
}
