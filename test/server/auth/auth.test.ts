// Authentication of a real daemon: text and binary, files read again, bad files, delays that do not
// affect other peers, counters and the log.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { AUTH_FAILURES_MAX } from '../../../lib/protocol/auth/gate.ts'
import { AUTH_DELAY_MS_MIN, AUTH_FAILURES_FREE } from '../../../lib/protocol/auth/penalties.ts'
import { RARE_LOG_MS_MIN } from '../../../lib/server/system/rare-log.ts'
import { frame, Op, plain, readResponses, Sasl } from '../../support/auth.ts'
import { startDaemon, startUnixDaemon } from '../../support/daemon.ts'
import { HOST } from '../../support/process.ts'
import { ask, comesTrue, openPeer, readUntil } from '../../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
const START_MS_MAX = 20_000
const THREADS = 3
const PEERS = 2 * THREADS
const FILE = 'user:pass\nbob:word\n'
const STORED = 'STORED\r\n'
const FAILURE = 'CLIENT_ERROR authentication failure\r\n'
const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated\r\n'

t.test('-Y: text connections authenticate, and nothing is served before', async t => {
  const { port } = await start(t, path => ['-Y', path])
  const peer = await open(t, port)
  t.equal(await ask(peer, 'get a\r\n', '\n'), UNAUTHENTICATED)
  t.equal(await ask(peer, claim('user', 'nope'), '\n'), FAILURE)
  t.equal(await ask(peer, claim('user', 'pass'), '\n'), STORED)
  t.equal(await ask(peer, 'set a 0 0 1\r\nx\r\n', '\n'), STORED)
  const stats = await ask(peer, 'stats\r\n', 'END\r\n')
  t.match(stats, /STAT auth_cmds 2\r\nSTAT auth_errors 1\r\n/)
  t.match(await ask(peer, 'stats settings\r\n', 'END\r\n'), /STAT auth_enabled_ascii \S+users\r\n/)
  const other = await open(t, port)
  t.equal(await ask(other, claim('nobody', 'pass'), '\n'), FAILURE, 'an unknown user')
  other.write(Buffer.from([0x80, 0x0b, 0, 0, 0, 0, 0, 0, 10]))
  t.equal((await readUntil(other, '\n')).toString(), UNAUTHENTICATED, 'binary is text here')
})

t.test('-S: binary connections authenticate, text is not served', async t => {
  const { port } = await start(t, path => ['-S', '-o', `sasl_pwdb=${path}`])
  t.same(await say(t, port, sasl('user', 'pass') + frame(Op.NOOP), 2), [
    '21 0 Authenticated',
    'a 0',
  ])
  t.same(await say(t, port, frame(Op.GET, 'a'), 1), ['0 20 Auth failure.'])
  const text = await open(t, port)
  t.equal(await ask(text, `${claim('user', 'pass')}get a\r\n`, ''), '', 'it hangs up')
})

t.test('-S with MEMCACHED_SASL_PWDB, and with the file of -Y', async t => {
  const path = writeUsers(t, FILE)
  process.env.MEMCACHED_SASL_PWDB = path
  const byVariable = await startDaemon(t, ['-S', '-t', '1'])
  delete process.env.MEMCACHED_SASL_PWDB
  t.same(await say(t, byVariable.port, sasl('bob', 'word'), 1), ['21 0 Authenticated'])
  const both = await startDaemon(t, ['-S', '-Y', path, '-t', '1'])
  t.same(await say(t, both.port, sasl('bob', 'word'), 1), ['21 0 Authenticated'])
  t.same(await say(t, both.port, frame(Op.NOOP), 1), ['a 20 Auth failure.'])
  const text = await open(t, both.port)
  t.equal(await ask(text, 'get a\r\n', '\n'), UNAUTHENTICATED)
  t.equal(await ask(text, claim('bob', 'word'), '\n'), STORED)
})

t.test('two files: text and binary have different users', async t => {
  const folder = t.testdir({ text: 'ann:text\n', sasl: 'ann:sasl\n' })
  const args = ['-Y', join(folder, 'text'), '-S', '-o', `sasl_pwdb=${join(folder, 'sasl')}`]
  const { port } = await startDaemon(t, [...args, '-t', '1'])
  t.same(await say(t, port, sasl('ann', 'text') + sasl('ann', 'sasl'), 2), [
    '21 20 Auth failure.',
    '21 0 Authenticated',
  ])
  const text = await open(t, port)
  t.equal(await ask(text, claim('ann', 'sasl'), '\n'), FAILURE)
  t.equal(await ask(text, claim('ann', 'text'), '\n'), STORED)
})

t.test('a UNIX socket needs authentication too', async t => {
  const daemon = await startUnixDaemon(t, ['-t', '1', '-Y', writeUsers(t, FILE)])
  const peer = await openPeer(daemon.path)
  t.teardown(() => peer.destroy())
  t.equal(await ask(peer, 'get a\r\n', '\n'), UNAUTHENTICATED)
  t.equal(await ask(peer, claim('user', 'pass'), '\n'), STORED)
  t.equal(await ask(peer, 'get a\r\n', '\n'), 'END\r\n')
})

t.test(
  'SIGHUP: every worker knows the new users, and open connections stay authenticated',
  async t => {
    const { daemon, path, port } = await start(t, path => ['-Y', path], THREADS)
    const inside = await open(t, port)
    t.equal(await ask(inside, claim('user', 'pass'), '\n'), STORED)
    writeFileSync(path, 'user:changed\nnew:one\n')
    process.kill(daemon.pid, 'SIGHUP')
    t.ok(await comesTrue(async () => (await answerTo(t, port, 'new', 'one')) === STORED))
    for (let peer = 0; peer < PEERS; peer++) {
      t.equal(await answerTo(t, port, 'user', 'changed'), STORED)
      t.equal(await answerTo(t, port, 'new', 'one'), STORED)
    }
    t.equal(await answerTo(t, port, 'user', 'pass'), FAILURE)
    t.equal(await answerTo(t, port, 'bob', 'word'), FAILURE)
    t.equal(await ask(inside, 'get a\r\n', '\n'), 'END\r\n')
  },
)

t.test("a change of SASL's file is noticed, as in memcached", async t => {
  const { path, port } = await start(t, path => ['-S', '-o', `sasl_pwdb=${path}`])
  const knows = async (password: string) => {
    const [answer] = await say(t, port, sasl('user', password), 1)
    return answer === '21 0 Authenticated'
  }
  t.ok(await knows('pass'))
  writeFileSync(path, 'user:changed by hand\n')
  t.ok(await comesTrue(() => knows('changed by hand')))
  t.notOk(await knows('pass'))
})

t.test('SIGHUP with a bad file: one line, and the users stay', async t => {
  const { daemon, path, port } = await start(t, path => ['-Y', path])
  const faults: [line: string, spoil: () => void][] = [
    [
      `Authfile [${path}] has a malformed entry. Should be 'user:password'`,
      () => writeFileSync(path, 'user:other\nnonsense\n'),
    ],
    [
      `Could not open authfile [${path}] for reading, error No such file or directory`,
      () => rmSync(path),
    ],
  ]
  for (const [line, spoil] of faults) {
    spoil()
    const before = daemon.output().length
    process.kill(daemon.pid, 'SIGHUP')
    t.ok(await comesTrue(() => daemon.output().length > before))
    t.equal(daemon.output().slice(before), `${line}\n`)
    t.equal(await answerTo(t, port, 'user', 'pass'), STORED)
  }
  t.notMatch(daemon.output(), /nonsense|other/, 'no line of the file is shown')
})

t.test('with a bad file the daemon does not start', async t => {
  const path = join(t.testdir({ malformed: 'user:pass\nnonsense\n' }), 'malformed')
  const line = `Authfile [${path}] has a malformed entry. Should be 'user:password'`
  t.same(refusal('-Y', path), [1, line])
  t.same(refusal('-Y', path, '-U', '11211')[0], 64, 'no UDP beside it')
})

t.test('failures are answered with growing delays, and other peers do not wait', async t => {
  const { port } = await start(t, path => ['-Y', path])
  const beside = await open(t, port)
  t.equal(await ask(beside, claim('bob', 'word'), '\n'), STORED)
  const peer = await open(t, port, '127.0.4.1')
  const waits: number[] = []
  for (let failure = 1; failure <= AUTH_FAILURES_FREE + 2; failure++) {
    const startMs = performance.now()
    const answer = ask(peer, claim('user', 'nope'), '\n')
    const besideMs = performance.now()
    t.equal(await ask(beside, 'get a\r\n', '\n'), 'END\r\n')
    t.ok(performance.now() - besideMs < AUTH_DELAY_MS_MIN, 'the same thread serves others')
    t.equal(await answer, FAILURE)
    waits.push(performance.now() - startMs)
  }
  const [last, lastButOne] = waits.toReversed()
  t.ok(lastButOne >= AUTH_DELAY_MS_MIN, `${lastButOne} ms`)
  t.ok(last >= 2 * AUTH_DELAY_MS_MIN, `${last} ms`)
  const startMs = performance.now()
  t.equal(await answerTo(t, port, 'user', 'nope', '127.0.4.1'), FAILURE)
  t.ok(performance.now() - startMs >= AUTH_DELAY_MS_MIN, 'a new connection does not begin anew')
  const rightMs = performance.now()
  t.equal(await answerTo(t, port, 'user', 'pass', '127.0.4.1'), STORED)
  t.ok(performance.now() - rightMs < AUTH_DELAY_MS_MIN, 'one that is right does not wait')
  t.equal(await ask(peer, claim('user', 'pass'), '\n'), STORED)
})

t.test('a peer with too many failures is closed', async t => {
  const { port } = await start(t, path => ['-Y', path])
  const peer = await open(t, port, '127.0.5.1')
  peer.write(claim('user', 'nope').repeat(AUTH_FAILURES_MAX + 1))
  // The test allows this for one answer, and all of them together take longer.
  let answers = ''
  while (!peer.readableEnded && answers.length < 1000) {
    const before = answers.length
    answers += (await readUntil(peer, '\n')).toString()
    if (answers.length === before) break
  }
  t.equal(answers, FAILURE.repeat(AUTH_FAILURES_MAX))
})

t.test('failures are logged at -v, with the peer, at a bounded rate', async t => {
  const { daemon, port } = await start(t, path => ['-v', '-Y', path])
  const logged = () => daemon.output().match(/^authentication failed: .*$/gm) ?? []
  const startMs = performance.now()
  for (let peer = 1; peer <= 20; peer++) {
    t.equal(await answerTo(t, port, 'user', 'secret?', `127.0.6.${peer}`), FAILURE)
  }
  t.ok(await comesTrue(() => logged().length > 0))
  t.match(logged()[0], /^authentication failed: tcp:127\.0\.6\.1:\d+$/)
  const linesMax = 1 + (performance.now() - startMs) / RARE_LOG_MS_MIN
  t.ok(logged().length <= linesMax, `${logged().length} lines`)
  await new Promise(resolve => setTimeout(resolve, RARE_LOG_MS_MIN))
  t.equal(await answerTo(t, port, 'user', 'secret?', '127.0.6.99'), FAILURE)
  t.ok(await comesTrue(() => /127\.0\.6\.99:\d+/.test(logged().at(-1) ?? '')))
  t.notMatch(daemon.output(), /secret/)
})

async function start(t: Test, argsFor: (path: string) => string[], threads = 1) {
  const path = writeUsers(t, FILE)
  const daemon = await startDaemon(t, ['-t', `${threads}`, ...argsFor(path)])
  return { daemon, path, port: daemon.port }
}

function writeUsers(t: Test, text: string): string {
  const path = join(t.testdir({}), 'users')
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

/** Exit code and last line of a daemon that does not start. */
function refusal(...args: string[]): [status: number | null, line: string] {
  const env = { ...process.env, MEMCACHED_SASL_PWDB: undefined }
  const command = [MAIN, '-p', '-1', '-l', HOST, ...args]
  const options = { encoding: 'utf8', timeout: START_MS_MAX, env } as const
  const { status, stderr } = spawnSync(process.execPath, command, options)
  return [status, stderr.trimEnd().split('\n').at(-1) ?? '']
}

async function open(t: Test, port: number, localAddress = HOST): Promise<Socket> {
  const socket = connect({ port, host: HOST, localAddress, noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  t.teardown(() => socket.destroy())
  return socket
}

async function answerTo(t: Test, port: number, user: string, password: string, from = HOST) {
  const socket = await open(t, port, from)
  const answer = await ask(socket, claim(user, password), '\n')
  socket.destroy()
  return answer
}

/** Sends bytes and waits for `count` binary responses. */
async function say(t: Test, port: number, sent: string, count: number): Promise<string[]> {
  const socket = await open(t, port)
  socket.write(Buffer.from(sent, 'latin1'))
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk])
    if (readResponses(bytes).length >= count) break
  }
  return readResponses(bytes)
}

function claim(user: string, password: string): string {
  const text = `${user} ${password}`
  return `set x 0 0 ${text.length}\r\n${text}\r\n`
}

function sasl(user: string, password: string): string {
  return frame(Sasl.AUTH, 'PLAIN', plain(user, password))
}
