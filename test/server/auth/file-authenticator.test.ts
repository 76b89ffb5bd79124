// A worker's side of authentication: which failures count together, what is logged, and that a new
// worker has the current users.

import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { checkOptions } from '../../../lib/options/checks.ts'
import { isRefusal } from '../../../lib/options/options.ts'
import { Credentials } from '../../../lib/protocol/auth/credentials.ts'
import { AUTH_DELAY_MS_MIN, AUTH_FAILURES_FREE } from '../../../lib/protocol/auth/penalties.ts'
import { FileAuthenticator } from '../../../lib/server/auth/file-authenticator.ts'
import { startDaemon } from '../../../lib/server/daemon.ts'
import { askOnce, comesTrue } from '../../support/server-peer.ts'

t.test('failures of an address count together, whatever the port', async t => {
  const { delayOf } = start()
  fail(delayOf, 'tcp:10.0.0.1:1000')
  t.equal(delayOf('tcp:10.0.0.1:2000'), AUTH_DELAY_MS_MIN)
  t.equal(delayOf('tcp:10.0.0.2:1000'), 0)
  t.equal(delayOf('?:<AF 0>'), 0)
})

t.test('for IPv6 the /64 network counts', async t => {
  const pairs: [failing: string, other: string, together: boolean][] = [
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::9', true],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:3:3:4:5:6', false],
    ['2001:db8::1', '2001:db8::2', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
    ['2001:db8::1:2:3:4:5', '2001:db8:0:1::', true],
    ['::1', '::2', true],
    ['::1', 'fe80::1', false],
    ['1::', '1::5:6:7:8', true],
    ['1:2:3:4::', '1:2:3:4:5:6:7:8', true],
  ]
  for (const [failing, other, together] of pairs) {
    const { delayOf } = start()
    fail(delayOf, `tcp6:[${failing}]:1000`)
    t.equal(delayOf(`tcp6:[${other}]:1000`) > 0, together, `${failing} and ${other}`)
  }
})

t.test('the first failure is logged, and following ones are counted', async t => {
  const { delayOf, lines } = start()
  fail(delayOf, 'tcp:10.0.0.1:1000')
  t.same(lines, ['authentication failed: tcp:10.0.0.1:1000'])
})

t.test('text and SASL have their own users, and each is on only with users', async t => {
  const [text, sasl] = [Credentials.create(), Credentials.create()]
  text.replace(Buffer.from('a:t'), 'plain')
  sasl.replace(Buffer.from('a:s'), 'tokens')
  const surroundings = { addressOf: () => '', log: () => {} }
  const both = new FileAuthenticator({ text: text.buffer, sasl: sasl.buffer }, surroundings)
  const claim = (password: string) => {
    const bytes = Buffer.from(`a ${password}`)
    return { bytes, userStart: 0, userEnd: 1, passwordStart: 2, passwordEnd: bytes.length }
  }
  t.same([both.textNeeded, both.saslNeeded], [true, true])
  t.same([both.checkText(claim('t')), both.checkText(claim('s'))], [true, false])
  t.same([both.checkSasl(claim('t')), both.checkSasl(claim('s'))], [false, true])
  const one = new FileAuthenticator({ text: text.buffer, sasl: null }, surroundings)
  t.same([one.textNeeded, one.saslNeeded, one.checkSasl(claim('t'))], [true, false, false])
})

t.test('a worker that replaces another has the current users', async t => {
  const path = join(t.testdir({ users: 'user:old\n' }), 'users')
  const options = checkOptions({
    authFile: path,
    threads: 1,
    port: 0,
    listen: [{ host: '127.0.0.1', port: 0 }],
  })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(() => daemon.close())
  const { port } = daemon.addresses[0] as AddressInfo
  writeFileSync(path, 'user:new\n')
  daemon.reload()
  await daemon.workers.pool.threads[0].terminate()
  t.ok(await comesTrue(() => daemon.roster.restarts() === 1))
  t.equal(await askOnce(port, 'set x 0 0 8\r\nuser new\r\n', '\n'), 'STORED\r\n')
  t.match(await askOnce(port, 'set x 0 0 8\r\nuser old\r\n', '\n'), 'CLIENT_ERROR')
})

function start() {
  const credentials = Credentials.create()
  const lines: string[] = []
  let address = ''
  const auth = new FileAuthenticator(
    { text: credentials.buffer, sasl: null },
    { addressOf: () => address, log: line => lines.push(line) },
  )
  /** Delay of the answer to one failure from this address. */
  const delayOf = (from: string) => {
    address = from
    return auth.judge(1, 1, false)
  }
  return { delayOf, lines }
}

function fail(delayOf: (from: string) => number, from: string): void {
  for (let failure = 0; failure < AUTH_FAILURES_FREE; failure++) delayOf(from)
}
