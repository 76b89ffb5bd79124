/** A service manager listens for the daemon, and hears when it serves, is replaced, and stops. */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ENTRY } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'
import { noMishaps, ReconnectingPeer } from '../../support/reconnecting-peer.ts'
import { isAlive, until } from '../../support/upgrades.ts'

const MANAGER = fileURLToPath(new URL('./service-manager.py', import.meta.url))

t.test('sockets by activation, READY, MAINPID', { skip: skipWithout('python3') }, async t => {
  const words = [MANAGER, process.execPath, ENTRY, '-t', '1', '-l', '127.0.0.1', '-p', '1']
  const manager = spawn('python3', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let heard = ''
  manager.stdout.on('data', chunk => {
    heard += chunk
  })
  t.teardown(() => manager.kill('SIGKILL'))
  const said = (pattern: RegExp) => Number(pattern.exec(heard)?.[1] ?? 0)
  await until(() => /^READY=1$/m.test(heard), 'it is ready')
  const port = said(/^port (\d+)$/m)
  const first = said(/^pid (\d+)$/m)
  t.teardown(() => isAlive(first) && process.kill(first, 'SIGKILL'))
  const peer = new ReconnectingPeer(() => connect(port, HOST), noMishaps())
  t.strictSame(
    await peer.ask(['ms a 1\r\n1\r\n']),
    ['HD'],
    'it serves the socket that it was given',
  )
  process.kill(first, 'SIGUSR2')
  await until(() => said(/^MAINPID=(\d+)$/m) > 0, 'the new process is named')
  const second = said(/^MAINPID=(\d+)$/m)
  t.teardown(() => isAlive(second) && process.kill(second, 'SIGKILL'))
  t.strictSame(await peer.ask(['mg a v\r\n']), ['1'], 'and so does the next one')
  t.equal(peer.mishaps.refused, 0)
  await until(() => !isAlive(first), 'the first process ends')
  t.notMatch(heard, /STOPPING/, 'the service does not stop with it')
  peer.close()
  process.kill(second, 'SIGTERM')
  await until(() => /^STOPPING=1$/m.test(heard), 'it stops')
  await until(() => !isAlive(second), 'the second process ends')
})
