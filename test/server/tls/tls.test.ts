// TLS of the daemon as a process of its own: what is served through it, with which versions and
// ciphers, large values, slow and half-closed peers.

import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import t from 'tap'
import { createAuthority, keyInDer } from '../../support/certificates.ts'
import { skipWithout } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'
import {
  ask,
  askOnce,
  comesTrue,
  digestOf,
  openPeer,
  readUntil,
  residentBytes,
  statsOf,
  usedChunks,
} from '../../support/server-peer.ts'
import { isServed, openSecure, startTlsDaemon } from '../../support/tls-peer.ts'
import { shortFolder } from '../../support/unix.ts'

const NEEDS_OPENSSL = { skip: skipWithout('openssl') }
const DEAF_PEERS = 10
const DEAF_PEERS_BYTES_MAX = 40 * 2 ** 20
const NOOP = Buffer.from('800a0000000000000000000000000000'.padEnd(48, '0'), 'hex')

t.test('text and binary requests are served in TLS 1.2 and 1.3', NEEDS_OPENSSL, async t => {
  const authority = createAuthority(t, 'authority')
  const daemon = await startTlsDaemon(t, authority.sign('server'))
  const ca = readFileSync(authority.ca)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const checked = { ca, rejectUnauthorized: true, servername: 'localhost' }
    const peer = await openSecure(daemon.tlsPort, { ...checked, maxVersion: version })
    t.equal(peer.getProtocol(), version)
    const reply = await ask(peer, 'set a 0 0 1\r\n4\r\nget a\r\n', 'END\r\n')
    t.equal(reply, 'STORED\r\nVALUE a 0 1\r\n4\r\nEND\r\n')
    const one = await ask(peer, 'get a\r\n'.repeat(20_000), 'END\r\n'.repeat(1))
    t.ok(one.startsWith('VALUE a'))
    peer.destroy()
    const binary = await openSecure(daemon.tlsPort, { maxVersion: version })
    const answer = await ask(binary, NOOP, '\0'.repeat(8))
    t.equal(answer.length, 24)
    binary.destroy()
  }
  await t.rejects(openSecure(daemon.tlsPort, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }))
  t.equal(
    await askOnce(daemon.port, 'get a\r\n', 'END\r\n'),
    'VALUE a 0 1\r\n4\r\nEND\r\n',
    'notls',
  )
})

t.test('s_client is served, and cannot renegotiate', NEEDS_OPENSSL, async t => {
  const daemon = await startTlsDaemon(t, createAuthority(t, 'authority').sign('server'))
  const args = ['s_client', '-connect', `${HOST}:${daemon.tlsPort}`]
  const options = { encoding: 'latin1', timeout: 10_000 } as const
  const input = 'get none\r\nquit\r\n'
  const first = spawnSync('openssl', [...args, '-quiet'], { ...options, input })
  t.match(first.stdout, 'END\r\n')
  const again = spawnSync('openssl', [...args, '-tls1_2'], {
    ...options,
    input: 'R\nget none\r\nquit\r\n',
  })
  t.match(again.stderr, /no renegotiation|handshake failure|ssl3_read|unexpected/i)
  t.notMatch(again.stdout, 'END\r\n')
})

t.test('a peer may renew its keys, and ask for others', NEEDS_OPENSSL, async t => {
  const daemon = await startTlsDaemon(t, createAuthority(t, 'authority').sign('server'))
  const args = ['s_client', '-connect', `${HOST}:${daemon.tlsPort}`, '-tls1_3']
  const peer = spawn('openssl', args, { stdio: 'pipe' })
  t.teardown(() => peer.kill())
  let output = ''
  for (const stream of [peer.stdout, peer.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk
    })
  }
  const answers = (count: number) => comesTrue(() => output.split('END\r\n').length > count)
  t.ok(await comesTrue(() => output.includes('Verify return code')), 'the handshake is done')
  // What comes at once and begins with K is a command of s_client's.
  for (let count = 1; count <= 10; count++) {
    peer.stdin.write('K\n')
    t.ok(await comesTrue(() => output.split('KEYUPDATE').length > count))
    peer.stdin.write('get none\r\n')
    t.ok(await answers(count), `answer ${count}`)
  }
  t.equal((await statsOf(daemon.port)).get('ssl_proto_errors'), '0')
})

const WAYS_BACK = {
  'without io_uring': ['', ['no_io_uring']],
  'by Node, since it shall': ['', ['ssl_engine=node']],
  'by Node, without node:ffi': ['--no-experimental-ffi', []],
} as const

for (const [way, [nodeOptions, suboptions]] of Object.entries(WAYS_BACK)) {
  t.test(`TLS is spoken ${way}`, NEEDS_OPENSSL, async t => {
    const { NODE_OPTIONS = '' } = process.env
    process.env.NODE_OPTIONS = `${NODE_OPTIONS} ${nodeOptions}`
    t.teardown(() => {
      process.env.NODE_OPTIONS = NODE_OPTIONS
    })
    const pair = createAuthority(t, 'authority').sign('server')
    const daemon = await startTlsDaemon(t, pair, [...suboptions], ['-v'])
    t.equal(/cannot call OpenSSL directly/.test(daemon.output()), nodeOptions !== '')
    const value = 'v'.repeat(500_000)
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const peer = await openSecure(daemon.tlsPort, { maxVersion })
      t.equal(await ask(peer, `set a 0 0 500000\r\n${value}\r\n`, '\r\n'), 'STORED\r\n')
      const digest = await askDigest(peer, 'get a\r\n'.repeat(10), 10 * (500_000 + 25))
      const reply = `VALUE a 0 500000\r\n${value}\r\nEND\r\n`.repeat(10)
      t.equal(digest, createHash('sha1').update(reply).digest('hex'))
      const last = readUntil(peer, '')
      peer.end('quit\r\n')
      t.equal((await last).length, 0)
    }
    t.equal((await statsOf(daemon.port)).get('ssl_proto_errors'), '0')
    const raw = await openPeer(daemon.tlsPort)
    const broken = await openSecure(daemon.tlsPort, { socket: viaStream(raw) })
    await ask(broken, 'get none\r\n', 'END\r\n')
    raw.write('no TLS at all')
    await once(raw, 'end')
    raw.end()
    t.equal((await statsOf(daemon.port)).get('ssl_proto_errors'), '1')
    broken.destroy()
  })
}

t.test('versions and ciphers are what the options say', NEEDS_OPENSSL, async t => {
  const pair = createAuthority(t, 'authority').sign('server')
  const newer = await startTlsDaemon(t, pair, ['ssl_min_version=tlsv1.3'])
  await t.rejects(openSecure(newer.tlsPort, { maxVersion: 'TLSv1.2' }))
  t.equal((await openSecure(newer.tlsPort)).getProtocol(), 'TLSv1.3')
  t.equal((await statsOf(newer.port)).get('ssl_handshake_errors'), '1')
  const cipher = 'ECDHE-ECDSA-AES256-GCM-SHA384'
  const chosen = await startTlsDaemon(t, pair, [`ssl_ciphers=${cipher}`])
  const peer = await openSecure(chosen.tlsPort, { maxVersion: 'TLSv1.2' })
  t.equal(peer.getCipher().name, cipher)
  const others = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } as const
  await t.rejects(openSecure(chosen.tlsPort, others))
  t.equal((await openSecure(chosen.tlsPort)).getProtocol(), 'TLSv1.3', 'which it does not touch')
  const newest = await startTlsDaemon(t, pair, ['ssl_ciphers=TLS_AES_128_GCM_SHA256'])
  await t.rejects(
    openSecure(newest.tlsPort, { maxVersion: 'TLSv1.2' }),
    'none of the older ciphers',
  )
  t.equal((await openSecure(newest.tlsPort)).getProtocol(), 'TLSv1.3')
})

t.test('large values both ways, slow and half-closed peers', NEEDS_OPENSSL, async t => {
  const daemon = await startTlsDaemon(
    t,
    createAuthority(t, 'authority').sign('server'),
    [],
    ['-t', '1'],
  )
  const peer = await openSecure(daemon.tlsPort)
  const value = randomBytes(900_000)
  const set = Buffer.concat([Buffer.from('set a 0 0 900000\r\n'), value, Buffer.from('\r\n')])
  t.equal(await ask(peer, set, '\r\n'), 'STORED\r\n')
  const reply = Buffer.concat([
    Buffer.from('VALUE a 0 900000\r\n'),
    value,
    Buffer.from('\r\nEND\r\n'),
  ])
  const wanted = createHash('sha1')
  for (let i = 0; i < 20; i++) wanted.update(reply)
  const digest = wanted.digest('hex')
  peer.write('get a\r\n'.repeat(20))
  t.equal(await digestOf(peer, reply.length * 20), digest)
  const slow = await openSecure(daemon.tlsPort)
  slow.end('get a\r\n'.repeat(20))
  await sleep(300)
  t.equal(
    createHash('sha1')
      .update(await readUntil(slow, ''))
      .digest('hex'),
    digest,
  )
  const before = residentBytes(daemon.pid)
  const deaf = await Promise.all(
    Array.from({ length: DEAF_PEERS }, () => openSecure(daemon.tlsPort)),
  )
  for (const one of deaf) one.pause().write('get a\r\n'.repeat(5000))
  for (let i = 0; i < 50; i++) t.equal(await ask(peer, 'get none\r\n', 'END\r\n'), 'END\r\n')
  const grown = residentBytes(daemon.pid) - before
  t.ok(grown < DEAF_PEERS_BYTES_MAX, `${grown} bytes`)
  for (const one of deaf) one.destroy()
  await ask(peer, 'delete a\r\n', 'DELETED\r\n')
  t.ok(await comesTrue(async () => (await usedChunks(daemon.port)) === 0), 'nothing stays held')
  t.ok(await comesTrue(async () => (await statsOf(daemon.port)).get('curr_connections') === '2'))
})

t.test(
  'replies on their way arrive whole, though the peer has said quit',
  NEEDS_OPENSSL,
  async t => {
    const daemon = await startTlsDaemon(t, createAuthority(t, 'authority').sign('server'))
    const value = randomBytes(700_000)
    const set = Buffer.concat([Buffer.from('set a 0 0 700000\r\n'), value, Buffer.from('\r\n')])
    t.equal(await ask(await openSecure(daemon.tlsPort), set, '\r\n'), 'STORED\r\n')
    const replyBytes = 'VALUE a 0 700000\r\n'.length + value.length + '\r\nEND\r\n'.length
    for (const last of ['quit\r\n', '']) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const peer = await openSecure(daemon.tlsPort, { maxVersion })
        peer.pause().end(`${'get a\r\n'.repeat(12)}${last}`)
        await sleep(200)
        let bytes = 0
        peer.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          peer.pause()
          setTimeout(() => peer.resume(), 1)
        })
        await new Promise(resolve => peer.once('close', resolve).resume())
        t.equal(bytes, 12 * replyBytes, `${last.trim()} ${maxVersion}`)
      }
    }
  },
)

t.test('requests are served, wherever they are cut', NEEDS_OPENSSL, async t => {
  const daemon = await startTlsDaemon(t, createAuthority(t, 'authority').sign('server'))
  const request = 'set a 0 0 5\r\nvalue\r\nget a b\r\nmn\r\n'
  const reply = 'STORED\r\nVALUE a 0 5\r\nvalue\r\nEND\r\nMN\r\n'
  const peer = await openSecure(daemon.tlsPort)
  for (let cut = 1; cut < request.length; cut++) {
    peer.write(request.slice(0, cut))
    await sleep(1)
    t.equal(await ask(peer, request.slice(cut), 'MN\r\n'), reply, `${cut}`)
  }
  for (const byte of request.slice(0, -1)) peer.write(byte)
  t.equal(await ask(peer, '\n', 'MN\r\n'), reply, 'every byte by itself')
})

t.test('many small requests in one go keep their order', NEEDS_OPENSSL, async t => {
  const daemon = await startTlsDaemon(t, createAuthority(t, 'authority').sign('server'))
  const peer = await openSecure(daemon.tlsPort)
  const count = 30_000
  const requests = Array.from(
    { length: count },
    (_, i) => `set k 0 0 6\r\n${100_000 + i}\r\nget k\r\n`,
  )
  const replies = Array.from(
    { length: count },
    (_, i) => `STORED\r\nVALUE k 0 6\r\n${100_000 + i}\r\nEND\r\n`,
  )
  const all = replies.join('')
  const digest = digestOf(peer, all.length)
  peer.write(requests.join(''))
  t.equal(await digest, createHash('sha1').update(all).digest('hex'))
})

for (const way of ['io_uring', 'no_io_uring']) {
  t.test(`a peer that ends its side is told farewell (${way})`, NEEDS_OPENSSL, async t => {
    const pair = createAuthority(t, 'authority').sign('server')
    const daemon = await startTlsDaemon(t, pair, way === 'io_uring' ? [] : [way])
    const raw = await openPeer(daemon.tlsPort)
    const heard: Buffer[] = []
    raw.on('data', (chunk: Buffer) => heard.push(chunk))
    const peer = connect({
      socket: viaStream(raw),
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.2',
    })
    await once(peer, 'secureConnect')
    t.equal(await ask(peer, 'get none\r\n', 'END\r\n'), 'END\r\n')
    heard.length = 0
    raw.end()
    await once(raw, 'close')
    // Of TLS 1.2 the kind of a record is seen: an alert, and nothing else.
    t.equal(Buffer.concat(heard)[0], 21)
    peer.destroy()
  })
}

t.test('a certificate may say what it is trusted for', NEEDS_OPENSSL, async t => {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const trusted = join(shortFolder(t), 'trusted.pem')
  const terms = ['-trustout', '-addtrust', 'serverAuth']
  spawnSync('openssl', ['x509', '-in', cert, ...terms, '-out', trusted], { timeout: 20_000 })
  chmodSync(trusted, 0o644)
  const daemon = await startTlsDaemon(t, { cert: trusted, key })
  t.ok(await isServed(daemon.tlsPort))
})

t.test('a key may be in DER, or stand with the chain', NEEDS_OPENSSL, async t => {
  const pair = createAuthority(t, 'authority').sign('server')
  const der = await startTlsDaemon(t, { ...pair, key: keyInDer(pair) }, ['ssl_keyformat=DER'])
  t.ok(await isServed(der.tlsPort, {}))
  const both = join(shortFolder(t), 'both')
  writeFileSync(both, readFileSync(pair.cert, 'latin1') + readFileSync(pair.key, 'latin1'))
  const one = await startTlsDaemon(t, { cert: both, key: both })
  t.ok(await isServed(one.tlsPort, {}))
})

function askDigest(peer: Socket, request: string, bytes: number): Promise<string> {
  const digest = digestOf(peer, bytes)
  peer.write(request)
  return digest
}

/** The socket as a stream of which TLS is a guest: it may still be written to, and looked at. */
function viaStream(raw: Socket): Duplex {
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      raw.write(chunk, () => done())
    },
  })
  raw.on('data', (chunk: Buffer) => wire.push(chunk))
  return wire
}
