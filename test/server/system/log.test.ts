// The daemon's log on a full disk, with a closed pipe, with a reader that does not read, and with
// control characters.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
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

/** Starts the daemon with this log, and waits until it accepts. */
async function launch(t: Test, args: string[], stderr: number | 'pipe') {
  const port = await freePort()
  const all = [MAIN, '-p', `${port}`, '-l', HOST, ...args]
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'ignore', stderr] })
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
