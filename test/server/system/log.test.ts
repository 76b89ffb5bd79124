// The daemon's log on a full disk, with a closed pipe, with a reader that does not read, and with
// control characters.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startDaemon } from '../../support/daemon.ts'
import { freePort, HOST } from '../../support/process.ts'
import { ask, comesTrue, openPeer, statsOf } from '../../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
/** More log lines than are buffered for a reader that does not read. */
const LINES = 20_000

t.test('a full disk costs lines of the log, and they are counted', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const { child, port } = await launch(t, ['-vv', '-t', '2'], full)
  await stillServes(t, port)
  t.ok(await comesTrue(async () => (await dropped(port)) > 3), 'lines are counted')
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('a closed pipe does not end the daemon', async t => {
  const { child, port } = await launch(t, ['-vv', '-t', '2'], 'pipe')
  child.stderr?.destroy()
  await stillServes(t, port)
  t.ok(await comesTrue(async () => (await dropped(port)) > 3), 'lines are counted')
  child.kill('SIGHUP')
  await stillServes(t, port)
})

t.test('a late reader of the log misses lines, and the log says so', async t => {
  const folder = t.testdir({})
  const fifo = join(folder, 'log')
  spawnSync('mkfifo', [fifo])
  // Both ends are in this process, because opening only one would wait for the other.
  const pipe = openSync(fifo, 'r+')
  t.teardown(() => closeSync(pipe))
  const { port } = await launch(t, ['-vv', '-t', '2'], pipe)
  const peer = await openPeer(port)
  let asked = 0
  const overflows = async () => {
    await ask(peer, `${'get none\r\n'.repeat(LINES / 100)}get last\r\nmn\r\n`, 'MN\r\n')
    asked += LINES / 100
    return (await dropped(port)) > 0
  }
  t.ok(await comesTrue(overflows, 60_000), `${asked} lines`)
  const reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => reader.kill('SIGKILL'))
  let text = ''
  reader.stdout.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-1_000_000)
  })
  const isTold = async () => {
    await ask(peer, 'get none\r\n', 'END\r\n')
    return /^\d+ lines of the log were lost$/m.test(text)
  }
  t.ok(await comesTrue(isTold), 'the log says how many are missing')
})

t.test('control characters of peers are escaped, other text is not', async t => {
  const daemon = await startDaemon(t, ['-vv', '-t', '1'])
  const peer = await openPeer(daemon.port)
  await ask(peer, 'get \x1b]0;owned\x07\x7f\u009b \u00e9t\u00e9\u202e\r\n', 'END\r\n')
  const wanted = /<\d+ get \\x1b\]0;owned\\x07\\x7f\\x9b \u00e9t\u00e9\\u\{202e\}\n/
  const output = () => Buffer.from(daemon.output(), 'latin1').toString()
  t.ok(await comesTrue(() => wanted.test(output())), output())
})

t.test('with --log-format json each line is an object', async t => {
  const daemon = await startDaemon(t, ['-vv', '-t', '1', '--log-format', 'json'])
  const peer = await openPeer(daemon.port)
  await ask(peer, 'get "quoted"\x1b\r\n', 'END\r\n')
  const lines = () =>
    daemon
      .output()
      .split('\n')
      .filter(line => line.startsWith('{'))
  t.ok(await comesTrue(() => lines().some(line => line.includes('quoted'))))
  for (const line of lines()) {
    const { level, time, pid, msg } = JSON.parse(line)
    t.match(level, /^(info|warn|error|debug)$/)
    t.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000)
    t.equal(pid, daemon.pid)
    t.type(msg, 'string')
  }
  const parsed = lines().map(line => JSON.parse(line))
  t.match(
    parsed.find(({ msg }) => msg.includes('listens on')),
    { level: 'info' },
  )
  const request = parsed.find(({ msg }) => msg.includes('quoted'))
  t.match(request, { level: 'debug', msg: /^<\d+ get "quoted"\\x1b$/ })
})

t.test('journald gets levels', async t => {
  const file = join(t.testdir({}), 'journal')
  const journal = openSync(file, 'w')
  t.teardown(() => closeSync(journal))
  const { dev, ino } = fstatSync(journal)
  await launch(t, ['-v', '-t', '1'], journal, { JOURNAL_STREAM: `${dev}:${ino}` })
  t.ok(await comesTrue(() => /^<6>memslab \S+ listens on /m.test(readFileSync(file, 'utf8'))))
})

t.test('--logfile is appended to, and opened again on SIGHUP', async t => {
  const folder = t.testdir({ log: 'before\n' })
  const [file, moved] = [join(folder, 'log'), join(folder, 'log.1')]
  const { child, port } = await launch(t, ['-vv', '-t', '2', '--logfile', file], 'pipe')
  const says = (path: string, text: string) =>
    comesTrue(() => existsSync(path) && readFileSync(path, 'utf8').includes(text))
  const peer = await openPeer(port)
  await ask(peer, 'get first\r\n', 'END\r\n')
  t.ok(await says(file, 'get first\n'))
  t.match(readFileSync(file, 'utf8'), /^before\n(\d{4}-\d\d-\d\dT[\d:.]+Z .*\n)+$/)
  renameSync(file, moved)
  child.kill('SIGHUP')
  t.ok(await comesTrue(() => existsSync(file)))
  await ask(peer, 'get second\r\n', 'END\r\n')
  t.ok(await says(file, 'get second\n'))
  t.match(readFileSync(moved, 'utf8'), 'get first\n')
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('a log file that cannot be opened or written does not end the daemon', async t => {
  const missing = await startDaemon(t, ['-v', '-t', '1', '--logfile', '/nonexistent/log'])
  t.match(
    missing.output(),
    'Could not open the log file /nonexistent/log: No such file or directory\n',
  )
  t.match(missing.output(), 'listens on', 'it goes on with stderr')
  const { port } = await launch(t, ['-vv', '-t', '2', '--logfile', '/dev/full'], 'pipe')
  const peer = await openPeer(port)
  const overflows = async () => {
    await ask(peer, `${'get none\r\n'.repeat(LINES / 100)}mn\r\n`, 'MN\r\n')
    return (await dropped(port)) > 0
  }
  t.ok(await comesTrue(overflows, 60_000), 'what found no room is counted')
  await stillServes(t, port)
})

/** Starts the daemon with this log, and waits until it accepts. */
async function launch(t: Test, args: string[], stderr: number | 'pipe', more: object = {}) {
  const port = await freePort()
  const all = [MAIN, '-p', `${port}`, '-l', HOST, ...args]
  const child = spawn(process.execPath, all, {
    stdio: ['ignore', 'ignore', stderr],
    env: { ...process.env, ...more },
  })
  child.stderr?.resume()
  t.teardown(() => child.kill('SIGKILL'))
  const accepts = () =>
    openPeer(port).then(
      peer => peer.destroy() !== undefined,
      () => false,
    )
  if (!(await comesTrue(accepts))) throw new Error('it did not start')
  return { child, port }
}

/** Makes all its threads log lines, and checks that it answers. */
async function stillServes(t: Test, port: number): Promise<void> {
  const peers = await Promise.all(Array.from({ length: 4 }, () => openPeer(port)))
  for (const peer of peers) {
    t.equal(await ask(peer, 'set a 0 0 1\r\n1\r\nget a\r\n', 'END\r\n').catch(String), REPLY)
    peer.destroy()
  }
}

const REPLY = 'STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n'

async function dropped(port: number): Promise<number> {
  return Number((await statsOf(port, 'memslab')).get('stderr_lines_dropped'))
}
