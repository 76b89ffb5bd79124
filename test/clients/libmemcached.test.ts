/**
 * libmemcached's programs against a real daemon: its conformance tests for both protocols, its
 * tools in every way they reach a server, and its load generators.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PASSWORD, USER } from '../support/auth.ts'
import { startServing, startServingUnix } from '../support/client-server.ts'
import { run } from '../support/client-session.ts'
import { skipWithout } from '../support/oracle.ts'
import { freePort, HOST } from '../support/process.ts'
import { startSaslDaemon } from '../support/sasl.ts'
import { shortFolder } from '../support/unix.ts'

const TESTS_MIN = 27
const WAIT_S_MAX = '20'
const KEYS_MAX = '200'

const TOOLS = ['memcping', 'memccp', 'memccat', 'memcexist', 'memctouch', 'memcrm', 'memcflush']
const STATISTICS = ['curr_items', 'cmd_get', 'version', 'threads']

/** Runs a tool with the arguments for the server. Resolves with its exit code and output. */
type Tool = (name: string, ...args: string[]) => ReturnType<typeof run>

t.test('memccapable', { skip: skipWithout('memccapable') }, async t => {
  const { port } = await startServing(t)
  for (const [protocol, option] of Object.entries({ text: '-a', binary: '-b' })) {
    await t.test(`${protocol} passes completely`, async t => {
      const args = [option, '-t', WAIT_S_MAX, '-h', HOST, '-p', `${port}`]
      const ran = await run('memccapable', args)
      const lines = ran.out.split('\n').filter(line => /\[\w+\]/.test(line))
      for (const line of lines) t.match(line, /\[pass\]/, line.trim())
      t.ok(lines.length >= TESTS_MIN, `${lines.length} tests`)
      t.match(ran.out, /All tests passed/)
      t.equal(ran.code, 0, 'exit code')
    })
  }
})

t.test('tools', { skip: skipWithout(...TOOLS, 'memcstat', 'memcslap', 'memcerror') }, async t => {
  const ways: Record<string, (t: Test) => Promise<string[]>> = {
    'text over TCP': async t => [await tcp(t)],
    'binary over TCP': async t => [await tcp(t), '--binary'],
    'text over a UNIX socket': async t => [await unix(t)],
    'binary over a UNIX socket': async t => [await unix(t), '--binary'],
    'binary with SASL': async t => [
      `--servers=${HOST}:${(await startSaslDaemon(t)).port}`,
      '--binary',
      `--username=${USER}`,
      `--password=${PASSWORD}`,
    ],
  }
  for (const [name, start] of Object.entries(ways)) {
    await t.test(name, async t => {
      const way = await start(t)
      const tool: Tool = (name, ...args) => run(name, [...argsFor(name, way), ...args])
      await load(t, tool) // this also flushes
      await files(t, tool)
      await keys(t, tool)
      await statistics(t, tool)
      if (!way.includes('--binary')) t.equal((await tool('memcdump')).code, 0, 'memcdump')
      await flush(t, tool)
    })
  }
  await t.test('a wrong password', async t => {
    const { port } = await startSaslDaemon(t)
    const login = ['--binary', `--username=${USER}`, '--password=wrong']
    const ran = await run('memcexist', [`--servers=${HOST}:${port}`, ...login, 'key'])
    t.not(ran.code, 0, 'it fails')
    t.match(ran.out, /AUTHENTICATION FAILURE/, 'it says why')
  })
  t.equal((await run('memcerror', ['0'])).out.trim(), 'SUCCESS', 'memcerror')
})

t.test('memcaslap', { skip: skipWithout('memcaslap') }, async t => {
  const { port } = await startServing(t)
  const plain = ['-s', `${HOST}:${port}`, '-T', '1', '-c', '8', '-x', '4000', '-v', '0.5']
  for (const [name, args] of Object.entries({
    text: plain,
    binary: [...plain, '-B'],
    'many keys a get': [...plain, '-d', '20'],
    'many keys a get, binary': [...plain, '-B', '-d', '20'],
  })) {
    const { code, out } = await run('memcaslap', args)
    t.equal(code, 0, `${name}: exit code`)
    t.match(out, /get_misses: 0\b/, `${name}: no get misses`)
    t.match(out, /verify_failed: 0\b/, `${name}: every value is as it was stored`)
  }
})

t.test('UDP', { skip: skipWithout('memccp', 'memccat', 'memcslap', 'memcaslap') }, async t => {
  // libmemcached uses one number for both. A port that is free for TCP is mostly free for UDP too.
  const udpPort = await freePort()
  const server = `${HOST}:${udpPort}`
  await startServing(t, ['-U', `${udpPort}`, '-l', server])
  const file = join(shortFolder(t), 'datagram')
  writeFileSync(file, 'by datagram')
  t.equal((await run('memccp', ['--udp', `--servers=${server}`, file])).code, 0, 'memccp')
  const read = await run('memccat', [`--servers=${server}`, 'datagram'])
  t.equal(read.out, 'by datagram\n', 'what came by UDP is there for TCP')
  const counts = [`--execute-number=${KEYS_MAX}`, '--concurrency=4', `--servers=${server}`]
  const slap = await run('memcslap', ['--udp', '--test=set', ...counts])
  t.match(slap.out, / 800 keys by/, 'memcslap')
  const load = ['-U', '-s', server, '-T', '1', '-c', '4', '-x', '1000']
  t.match((await run('memcaslap', load)).out, /get_misses: 0\n.*udp_timeout: 0\n/s, 'memcaslap')
})

async function tcp(t: Test): Promise<string> {
  return `--servers=${HOST}:${(await startServing(t)).port}`
}

async function unix(t: Test): Promise<string> {
  return `--servers=${(await startServingUnix(t)).path}`
}

/** memcping has only one protocol. */
function argsFor(name: string, way: string[]): string[] {
  return name === 'memcping' ? way.filter(arg => arg !== '--binary') : way
}

async function files(t: Test, tool: Tool) {
  const folder = shortFolder(t)
  await copyAndRead(t, tool, folder, 'small', 'a small value')
  await copyAndRead(t, tool, folder, 'lines', 'get lines\r\nEND\r\n')
  await copyAndRead(t, tool, folder, 'large', 'large value '.repeat(50_000))
  const small = join(folder, 'small')
  t.not((await tool('memccp', '--add', small)).code, 0, 'memccp --add of what is there')
  t.equal((await tool('memccp', '--replace', small)).code, 0, 'memccp --replace')
  t.equal((await tool('memccp', '--flags=5', '--expire=100', small)).code, 0, 'memccp --flags')
  t.match((await tool('memccat', '--flags', 'small')).out, /^5\n/, 'memccat --flags')
}

async function copyAndRead(t: Test, tool: Tool, folder: string, name: string, value: string) {
  const file = join(folder, name)
  writeFileSync(file, value)
  t.equal((await tool('memccp', file)).code, 0, `memccp of ${name}`)
  const copy = `${file}.copy`
  t.equal((await tool('memccat', `--file=${copy}`, name)).code, 0, `memccat of ${name}`)
  t.ok(readFileSync(copy, 'latin1') === value, `${name} comes back as it was`)
}

async function keys(t: Test, tool: Tool) {
  t.equal((await tool('memcexist', 'small')).code, 0, 'memcexist')
  t.not((await tool('memcexist', 'never')).code, 0, 'memcexist of a miss')
  t.equal((await tool('memctouch', '--expire=100', 'small')).code, 0, 'memctouch')
  t.not((await tool('memctouch', '--expire=100', 'never')).code, 0, 'memctouch of a miss')
  t.equal((await tool('memcrm', 'small')).code, 0, 'memcrm')
  t.not((await tool('memcrm', 'small')).code, 0, 'memcrm of a miss')
  t.not((await tool('memccat', 'small')).code, 0, 'memccat of what was removed')
}

async function load(t: Test, tool: Tool) {
  const counts = [`--execute-number=${KEYS_MAX}`, '--concurrency=4']
  for (const args of [
    ['--test=set'],
    ['--test=get', `--initial-load=${KEYS_MAX}`],
    ['--test=mget', `--initial-load=${KEYS_MAX}`],
    ['--test=set', '--non-blocking', '--tcp-nodelay', '--flush'],
    ['--test=set', '--noreply'],
  ]) {
    const { code, out } = await tool('memcslap', ...args, ...counts)
    t.equal(code, 0, `memcslap ${args.join(' ')}`)
    t.notMatch(out, /error/i, 'without an error')
    t.match(out, / 800 keys by/, 'all keys')
  }
}

async function statistics(t: Test, tool: Tool) {
  t.equal((await tool('memcping')).code, 0, 'memcping')
  const general = await tool('memcstat')
  t.equal(general.code, 0, 'memcstat')
  for (const name of STATISTICS) t.match(general.out, `\t${name}: `, `memcstat prints ${name}`)
  t.match((await tool('memcstat', 'settings')).out, /\tevictions: on\n/, 'memcstat settings')
  t.match((await tool('memcstat', 'items')).out, /\titems:\d+:number: \d+\n/, 'memcstat items')
  t.match((await tool('memcstat', 'slabs')).out, /\tactive_slabs: \d+\n/, 'memcstat slabs')
  t.match((await tool('memcstat', '--server-version')).out, / \d+\.\d+\.\d+\n/, 'its version')
  const report = await tool('memcstat', '--analyze')
  t.match(report.out, /Number of Servers Analyzed +: 1\n/, 'memcstat --analyze')
  const latency = await tool('memcstat', '--analyze=latency', '--iterations=20')
  t.match(latency.out, /Latency Test/, 'memcstat --analyze=latency')
}

async function flush(t: Test, tool: Tool) {
  t.equal((await tool('memcflush', '--expire=1000')).code, 0, 'memcflush --expire')
  t.equal((await tool('memcexist', 'large')).code, 0, 'which flushes nothing yet')
  t.equal((await tool('memcflush')).code, 0, 'memcflush')
  t.not((await tool('memcexist', 'large')).code, 0, 'which flushes')
}
