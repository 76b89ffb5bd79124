// --acl with a real daemon: passwords, SASL, tokens, certificates, UDP, a UNIX socket, the file
// replaced under load, and limits of users and addresses.

import { execFileSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { cheapDigest, tokenOf } from '../../support/access.ts'
import { frame, Op, plain, readResponses, Sasl } from '../../support/auth.ts'
import { createAuthority } from '../../support/certificates.ts'
import { ENTRY, startDaemon, startUnixDaemon } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil, statsOf } from '../../support/server-peer.ts'
import { UdpPeer } from '../../support/udp-peer.ts'

const STORED = 'STORED\r\n'
const FAILURE = 'CLIENT_ERROR authentication failure\r\n'
const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated\r\n'
const UNAUTHORIZED = 'CLIENT_ERROR unauthorized\r\n'
const TOO_MANY = 'ERROR Too many open connections\r\n'
const EVERYBODY = 'user default +read ~pub:\n'

t.test('text: a password, an old and a new one; then rights', async t => {
  const words = [cheapDigest('old'), cheapDigest('new word')].join(' ')
  const { port, post, daemon } = await start(
    t,
    `${EVERYBODY}user app ${words} +read +write ~app:\n`,
  )
  const peer = await open(t, port)
  t.equal(await ask(peer, 'get pub:a\r\nget app:a\r\n', 'd\r\n'), `END\r\n${UNAUTHENTICATED}`)
  t.equal(await ask(peer, logIn('app', 'wrong'), '\n'), FAILURE)
  t.equal(await ask(peer, logIn('nobody', 'old'), '\n'), FAILURE)
  t.equal(await ask(peer, logIn('default', 'old'), '\n'), FAILURE)
  const sent = `${logIn('app', 'new word')}set app:a 0 0 1\r\nx\r\nget app:a\r\nget pub:a\r\n`
  t.equal(
    await ask(peer, sent, 'unauthorized\r\n'),
    `${STORED}${STORED}VALUE app:a 0 1\r\nx\r\nEND\r\n${UNAUTHORIZED}`,
  )
  const old = await open(t, port)
  t.equal(await ask(old, logIn('app', 'old'), '\n'), STORED)
  // Without the old password who used it is out, and who used the new one stays.
  post(`${EVERYBODY}user app ${words.split(' ')[1]} +read ~app:\n`)
  t.equal((await readUntil(old, '')).toString(), '', 'closed')
  t.equal(
    await ask(peer, 'get app:a\r\nset app:a 0 0 1\r\ny\r\n', 'd\r\n'),
    `VALUE app:a 0 1\r\nx\r\nEND\r\n${UNAUTHORIZED}`,
  )
  const before = daemon.output().length
  post('user app nonsense\n')
  t.ok(await comesTrue(() => daemon.output().slice(before).includes(':1: "nonsense" is no digest')))
  t.match(await ask(peer, 'get app:a\r\n', 'END\r\n'), /^VALUE/, 'the file from before stays')
})

t.test('binary: SASL, denials in step, and a second log-in', async t => {
  const users = `user a ${cheapDigest('1')} +read\nuser b ${cheapDigest('2')} +write ~b:\n`
  const { port } = await start(t, users)
  const sasl = (user: string, password: string) => frame(Sasl.AUTH, 'PLAIN', plain(user, password))
  const peer = await open(t, port)
  const extras = '\0'.repeat(8)
  const set = (key: string) => frame(Op.SETQ, key, 'frame'.repeat(2000), { extras })
  t.same(await sayBinary(peer, set('b:k') + frame(Op.NOOP), 2), ['11 20 Auth failure.', 'a 0'])
  t.same(await sayBinary(peer, sasl('a', '2') + sasl('a', '1') + set('b:k') + frame(Op.NOOP), 4), [
    '21 20 Auth failure.',
    '21 0 Authenticated',
    '11 20 Auth failure.',
    'a 0',
  ])
  t.same(await sayBinary(peer, sasl('b', '2') + set('b:k') + set('k') + frame(Op.GET, 'b:k'), 3), [
    '21 0 Authenticated',
    '11 20 Auth failure.',
    '0 20 Auth failure.',
  ])
  t.same(await sayBinary(peer, frame(Sasl.LIST) + set('b:k'), 2), [
    '20 0 PLAIN',
    '11 20 Auth failure.',
  ])
})

t.test('tokens: signed by either key of the file; all others are wrong', async t => {
  const { port, der, privateKey, token, nowS } = await startWithTokens(t)
  const isIn = async (user: string, password: string) =>
    (await askOnce(port, logIn(user, password), '\n')) === STORED
  const body = { sub: 'x', exp: nowS + 600, rights: '+read' }
  t.ok(await isIn('x', token()))
  t.ok(await isIn('x', tokenOf(privateKey, { alg: 'EdDSA', kid: 'e' }, body)))
  t.ok(await isIn('known', token({ sub: 'known', rights: undefined })), 'rights of the file')
  const posing = tokenOf(Buffer.from(der, 'base64'), { alg: 'HS256', kid: 'e' }, body)
  for (const [name, user, wrong] of [
    ['another user', 'y', token()],
    ['expired', 'x', token({ exp: nowS - 1 })],
    ['no expiry', 'x', token({ exp: undefined })],
    ['not yet', 'x', token({ nbf: nowS + 600 })],
    ['no rights', 'x', token({ rights: undefined })],
    ['rights of no form', 'x', token({ rights: 'root' })],
    ['keys of another line', 'x', token({ rights: '+read ~u:' })],
    ['no algorithm', 'x', token({}, { alg: 'none' })],
    ['the algorithm of another line', 'x', token({}, { kid: 'e' })],
    ['the public key as a secret', 'x', posing],
    ['an unknown line', 'x', token({}, { kid: 'z' })],
    ['an extension', 'x', token({}, { crit: ['x'] })],
    ['another signature', 'x', token().replace(/.{4}$/, 'AAAA')],
  ] as const) {
    t.notOk(await isIn(user, wrong), name)
  }
})

t.test('tokens: at most the rights of their line, until they expire or it is gone', async t => {
  const { port, token, post } = await startWithTokens(t)
  const peer = await open(t, port)
  const sent = `${logIn('x', token())}set t:a 0 0 1\r\nx\r\nset u:a 0 0 1\r\nx\r\nflush_all\r\n`
  t.equal(
    await ask(peer, sent, `${UNAUTHORIZED}${UNAUTHORIZED}`),
    `${STORED}${STORED}${UNAUTHORIZED}${UNAUTHORIZED}`,
  )
  const short = await open(t, port)
  // Long enough for a busy machine to let it in.
  t.equal(await ask(short, logIn('x', token({ exp: Date.now() / 1000 + 10 })), '\n'), STORED)
  t.equal((await readUntil(short, '')).toString(), '', 'closed once it has expired')
  post('user known +read\n')
  t.equal((await readUntil(peer, '')).toString(), '', 'closed once its line is gone')
})

/** A daemon with two keys, and what makes tokens of the first. */
async function startWithTokens(t: Test) {
  const secret = randomBytes(32)
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const der = publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
  const lines = [
    `token h hmac-sha256:${secret.toString('base64')} +read +write ~t:`,
    `token e ed25519:${der} +read`,
    'user known +read +write',
  ]
  const { port, post } = await start(t, `${lines.join('\n')}\n`)
  const nowS = Math.floor(Date.now() / 1000)
  const token = (over: object = {}, head: object = {}) =>
    tokenOf(
      secret,
      { alg: 'HS256', kid: 'h', ...head },
      { sub: 'x', exp: nowS + 600, rights: '+read +write +admin', ...over },
    )
  return { port, post, der, privateKey, token, nowS }
}

t.test('the example issues tokens', async t => {
  const folder = t.testdir({})
  const example = new URL('../../../examples/token-issuer.js', import.meta.url).pathname
  const pem = join(folder, 'issuer.pem')
  const issue = () =>
    execFileSync(process.execPath, [example, pem, 'app', '+read ~app:', '600'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  const token = issue()
  const der = createPublicKey(readFileSync(pem)).export({ format: 'der', type: 'spki' })
  const { port } = await start(t, `token issuer ed25519:${der.toString('base64')} +read +write\n`)
  t.equal(await askOnce(port, `${logIn('app', token)}get app:a\r\n`, 'END\r\n'), `${STORED}END\r\n`)
})

t.test('certificates: by common or alternative name', { skip: skipWithout('openssl') }, async t => {
  const authority = createAuthority(t, 'authority')
  const [server, client, other] = [
    authority.sign('server'),
    authority.sign('ops'),
    authority.sign('other'),
  ]
  for (const engine of ['direct', 'node']) {
    const args = [
      '-Z',
      '-o',
      `ssl_chain_cert=${server.cert},ssl_key=${server.key},ssl_ca_cert=${authority.ca},ssl_verify_mode=1,ssl_engine=${engine}`,
    ]
    const { port } = await start(t, 'user default +read\nuser ops cert=ops +read +write\n', args)
    const speak = async (pair?: { cert: string; key: string }) => {
      const shown =
        pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) }
      const socket = connectTls({ port, host: HOST, rejectUnauthorized: false, ...shown })
      socket.on('error', () => {})
      socket.write('get a\r\nadd a 0 0 1\r\nx\r\nmn\r\n')
      const answer = (await readUntil(socket, 'MN\r\n')).toString()
      socket.destroy()
      return answer
    }
    t.equal(await speak(), `END\r\n${UNAUTHENTICATED}MN\r\n`, engine)
    t.equal(await speak(other), `END\r\n${UNAUTHENTICATED}MN\r\n`, engine)
    t.equal(await speak(client), `END\r\n${STORED}MN\r\n`, engine)
  }
})

t.test('a UNIX socket, and UDP, where nobody can log in', async t => {
  const file = `${EVERYBODY}user app ${cheapDigest('pw')} +read +write\n`
  const path = join(t.testdir({}), 'acl')
  writeFileSync(path, file)
  const unix = await startUnixDaemon(t, ['--acl', path])
  t.equal(
    await askOnce(unix.path, `get a\r\n${logIn('app', 'pw')}get a\r\n`, 'END\r\n'),
    `${UNAUTHENTICATED}${STORED}END\r\n`,
  )
  const { port } = await start(
    t,
    `user default +read ~pub:\nuser app ${cheapDigest('pw')} +read +write +admin\n`,
    ['-U', '-1'],
  )
  const tcp = await open(t, port)
  const conns = await ask(tcp, `${logIn('app', 'pw')}stats conns\r\n`, 'END\r\n')
  const [, udpPort = ''] = /udp:127\.0\.0\.1:(\d+)/.exec(conns) ?? []
  const peer = await UdpPeer.open(t, Number(udpPort))
  t.equal(await peer.askText('get pub:a\r\n'), 'END\r\n')
  t.equal(await peer.askText('get a\r\n', 2), UNAUTHENTICATED)
  t.equal(await peer.askText(logIn('app', 'pw'), 3), UNAUTHENTICATED)
  t.equal(await peer.askText('set a 0 0 9\r\nflush_all\r\n', 4), UNAUTHENTICATED)
})

t.test('limits: connections of a user and of an address', async t => {
  const file = [
    `user app ${cheapDigest('pw')} +read connections=2`,
    'user ops cert=none +admin',
    'address 127.0.0.2 connections=2',
    '',
  ]
  const { port, post } = await start(t, file.join('\n'))
  const inside = [await open(t, port), await open(t, port), await open(t, port)]
  t.equal(await ask(inside[0] as Socket, logIn('app', 'pw'), '\n'), STORED)
  t.equal(await ask(inside[1] as Socket, logIn('app', 'pw'), '\n'), STORED)
  t.equal(await ask(inside[2] as Socket, logIn('app', 'pw'), '\n'), FAILURE)
  inside[0]?.destroy()
  t.ok(await comesTrue(async () => (await askOnce(port, logIn('app', 'pw'), '\n')) === STORED))
  const from2 = async () => {
    const socket = connect({ port, host: HOST, localAddress: '127.0.0.2' })
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    return { socket, answer: await ask(socket, 'mn\r\n', '\n') }
  }
  const [first] = [await from2(), await from2()]
  t.equal((await from2()).answer, TOO_MANY)
  first?.socket.destroy()
  t.ok(await comesTrue(async () => (await from2()).answer === 'MN\r\n'))
  post(`user app ${cheapDigest('pw')} +read\n`)
  t.ok(await comesTrue(async () => (await from2()).answer === 'MN\r\n'), 'no limit any more')
})

t.test('limits a second delay reads, and lose nothing', async t => {
  const admin = `user default +read +write +admin requests=50\naddress 127.0.0.2 bytes=2k\n`
  const { port } = await start(t, admin)
  const peer = await open(t, port)
  let answers = ''
  // Pieces, since a read runs whole.
  for (let i = 0; i < 8; i++)
    answers += await ask(peer, `${'get a\r\n'.repeat(25)}mn\r\n`, 'MN\r\n')
  t.equal(answers, `${'END\r\n'.repeat(25)}MN\r\n`.repeat(8))
  t.ok(Number((await statsOf(port, 'memslab')).get('reads_delayed')) > 0)
  const slow = connect({ port, host: HOST, localAddress: '127.0.0.2', noDelay: true })
  slow.on('error', () => {})
  t.teardown(() => slow.destroy())
  const value = 'v'.repeat(6000)
  t.equal(await ask(slow, `set big 0 0 6000\r\n${value}\r\n`, '\n'), STORED)
  t.equal(await ask(slow, 'get big\r\n', 'END\r\n'), `VALUE big 0 6000\r\n${value}\r\nEND\r\n`)
})

t.test('memslab acl: makes digests and checks files', async t => {
  const run = (args: string[], input = '') =>
    execFileSync(process.execPath, [ENTRY, 'acl', ...args], {
      input,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  const digest = run(['hash'], 'pass word\n').trim()
  t.match(digest, /^\$scrypt\$ln=14,r=8,p=1\$/)
  const path = join(t.testdir({}), 'acl')
  writeFileSync(path, `user a ${digest} +read\n`)
  t.equal(run(['check', path]), `${path}: 2 users, 0 tokens, 0 addresses\n`)
  writeFileSync(path, '\nuser a +red\n')
  t.throws(() => run(['check', path]), new RegExp(`${path}:2: "\\+red" is none of`))
  const { port } = await start(t, `user a ${digest} +read\n`)
  t.equal(await askOnce(port, `${logIn('a', 'pass word')}get a\r\n`, 'END\r\n'), `${STORED}END\r\n`)
})

async function start(t: Test, file: string, args: string[] = []) {
  const path = join(t.testdir({}), 'acl')
  writeFileSync(path, file, { mode: 0o600 })
  const daemon = await startDaemon(t, ['--acl', path, ...args])
  const post = (text: string) => {
    writeFileSync(path, text)
    process.kill(daemon.pid, 'SIGHUP')
  }
  return { port: daemon.port, daemon, post }
}

async function open(t: Test, port: number): Promise<Socket> {
  const socket = await openPeer(port)
  t.teardown(() => socket.destroy())
  return socket
}

function logIn(user: string, password: string): string {
  const text = `${user} ${password}`
  return `set x 0 0 ${text.length}\r\n${text}\r\n`
}

async function sayBinary(socket: Socket, sent: string, count: number): Promise<string[]> {
  let bytes = Buffer.alloc(0)
  const done = new Promise<void>(resolve => {
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (readResponses(bytes).length < count) return
      socket.pause().off('data', take)
      resolve()
    }
    socket.on('data', take).resume()
  })
  socket.write(Buffer.from(sent, 'latin1'))
  await done
  return readResponses(bytes)
}
