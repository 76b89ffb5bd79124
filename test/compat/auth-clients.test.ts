/**
 * Client libraries that authenticate, against a real daemon with -S: each stores and fetches with the
 * right password, and is told no with a wrong one.
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'memjs'
import t, { type Test } from 'tap'
import { awaitSasl } from '../support/auth.ts'
import { startDaemon } from '../support/daemon.ts'
import {
  findProgram,
  PYTHON,
  skipWithout,
  skipWithoutPhp,
  skipWithoutPython,
  skipWithoutRuby,
} from '../support/oracle.ts'
import { HOST } from '../support/process.ts'

const RUN_MS_MAX = 60_000
const [USER, PASSWORD, WRONG] = ['user', 'pass word', 'pass']
const STORED = 'stored value'

/** Each prints what it stored and fetched again, or `refused`; arguments: port, user, password. */
const PHP = `
[, $port, $user, $password] = $argv;
$client = new Memcached();
$client->setOption(Memcached::OPT_BINARY_PROTOCOL, true);
$client->setSaslAuthData($user, $password);
$client->addServer('${HOST}', (int) $port);
echo $client->set('php', '${STORED}') ? $client->get('php') : 'refused';
`
const RUBY = `
require 'dalli'
Dalli.logger.level = Logger::FATAL
port, user, password = ARGV
begin
  client = Dalli::Client.new("${HOST}:#{port}", username: user, password: password)
  client.set('ruby', '${STORED}')
  print client.get('ruby')
rescue Dalli::DalliError
  print 'refused'
end
`
const PYLIBMC = `
import sys, pylibmc
port, user, password = sys.argv[1:]
try:
    client = pylibmc.Client(['${HOST}:' + port], binary=True, username=user, password=password)
    client.set('python', '${STORED}')
    sys.stdout.write(client.get('python'))
except pylibmc.Error:
    sys.stdout.write('refused')
`
const INTERPRETERS: [name: string, skip: string | false, command: string[]][] = [
  ['php-memcached', skipWithoutPhp('memcached'), ['php', '-r', PHP, '--']],
  ['dalli', skipWithoutRuby('dalli'), ['ruby', '-e', RUBY]],
  ['pylibmc', skipWithoutPython('pylibmc'), [PYTHON, '-c', PYLIBMC]],
]

t.test('memjs', async t => {
  const { port } = await startGuarded(t)
  const right = connect(t, port, PASSWORD)
  t.equal(await right.set('memjs', STORED, {}), true)
  t.equal((await right.get('memjs')).value?.toString(), STORED)
  const wrong = connect(t, port, WRONG)
  // What it rejects with is no Error.
  const refused = await wrong.set('memjs', STORED, {}).then(() => 'stored', String)
  t.match(refused, /authentication failed/)
})

for (const [name, skip, [program = '', ...args]] of INTERPRETERS) {
  t.test(name, { skip }, async t => {
    const { port } = await startGuarded(t)
    t.equal((await run(program, [...args, `${port}`, USER, PASSWORD])).out, STORED)
    t.equal((await run(program, [...args, `${port}`, USER, WRONG])).out, 'refused')
  })
}

t.test('tools of libmemcached', { skip: skipWithout('memccp', 'memccat', 'memcrm') }, async t => {
  const { port } = await startGuarded(t)
  const file = join(t.testdir({}), 'tool')
  writeFileSync(file, STORED)
  const ask = (program: string, password: string, ...args: string[]) => {
    const login = [`--username=${USER}`, `--password=${password}`, `--servers=${HOST}:${port}`]
    return run(program, ['--binary', ...login, ...args])
  }
  t.equal((await ask('memccp', PASSWORD, file)).code, 0)
  t.equal((await ask('memccat', PASSWORD, 'tool')).out.trim(), STORED)
  const refused = await ask('memccat', WRONG, 'tool')
  t.match(refused.out, /AUTHENTICATION FAILURE/)
  t.not(refused.code, 0)
  t.equal((await ask('memcrm', PASSWORD, 'tool')).code, 0)
  t.not((await run('memccat', ['--binary', `--servers=${HOST}:${port}`, 'tool'])).code, 0)
})

async function startGuarded(t: Test) {
  const path = join(t.testdir({}), 'users')
  writeFileSync(path, `${USER}:${PASSWORD}\n`, { mode: 0o600 })
  const daemon = await startDaemon(t, ['-t', '1', '-S', '-o', `sasl_pwdb=${path}`])
  await awaitSasl(daemon)
  return daemon
}

function connect(t: Test, port: number, password: string) {
  const options = { username: USER, password, timeout: 20, retries: 1, logger: { log() {} } }
  const client = Client.create(`${HOST}:${port}`, options)
  t.teardown(() => client.close())
  return client
}

function run(program: string, args: string[]): Promise<{ code: number; out: string }> {
  return new Promise(resolve => {
    const path = findProgram(program) ?? program
    const child = execFile(path, args, { timeout: RUN_MS_MAX }, (_, out, errors) => {
      resolve({ code: child.exitCode ?? -1, out: out + errors })
    })
  })
}
