// The daemon in a terminal, as `npm start` runs it: it prints where it listens, and Ctrl-C and
// closing the terminal end it, while another SIGHUP does not. The program `script` makes the
// terminal.

import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { findProgram } from '../../support/oracle.ts'
import { freePort, HOST } from '../../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, statsOf } from '../../support/server-peer.ts'

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url))
const NEEDS_SCRIPT = {
  skip: findProgram('script') === undefined ? 'no program "script" here' : false,
}
const CTRL_C = '\x03'
const START_MS_MAX = 60_000

t.test('in a terminal it prints where it listens, and Ctrl-C ends it', NEEDS_SCRIPT, async t => {
  const { terminal, port, output, pid } = await start(t)
  t.match(output(), `listens on tcp:${HOST}:${port}`)
  terminal.stdin?.write(CTRL_C)
  t.ok(await comesTrue(() => !isRunning(pid)))
  t.match(output(), 'Signal handled: Interrupt.')
})

t.test('closing its terminal ends it, SIGHUP alone does not', NEEDS_SCRIPT, async t => {
  const { terminal, port, pid } = await start(t)
  process.kill(pid, 'SIGHUP')
  t.equal(await askOnce(port, 'mn\r\n', 'MN\r\n'), 'MN\r\n')
  terminal.kill('SIGKILL')
  t.ok(await comesTrue(() => !isRunning(pid)))
})

t.test('a stopped terminal does not stop the daemon', NEEDS_SCRIPT, async t => {
  const { terminal, port } = await start(t, ['-vv'])
  terminal.stdout?.pause()
  const peer = await openPeer(port)
  const isFull = async () => {
    await ask(peer, `${'get none\r\n'.repeat(1000)}mn\r\n`, 'MN\r\n')
    // A new connection, which is accepted by the thread that writes the log.
    return Number((await statsOf(port, 'memslab')).get('stderr_lines_dropped')) > 0
  }
  t.ok(await comesTrue(isFull, START_MS_MAX))
  terminal.stdout?.resume()
})

/** `npm start` in a new terminal. */
async function start(t: Test, args: string[] = []) {
  const port = await freePort()
  const command = `npm start --silent -- -u nobody -t 1 -p ${port} -l ${HOST} ${args.join(' ')}`
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: PACKAGE,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let text = ''
  terminal.stdout.on('data', chunk => {
    text += chunk
  })
  t.teardown(() => terminal.kill('SIGKILL'))
  if (!(await comesTrue(() => text.includes('listens on'), START_MS_MAX))) throw new Error(text)
  const pid = daemonBelow(terminal)
  t.teardown(() => {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  return { terminal, port, pid, output: () => text }
}

/** The last of the processes that it started. */
function daemonBelow({ pid = 0 }: ChildProcess): number {
  const parents = new Map(processes())
  let last = pid
  for (;;) {
    const child = parents.get(last)
    if (child === undefined) return last
    last = child
  }
}

/** Parent and child ids of all processes. */
function* processes(): Generator<[parent: number, child: number]> {
  for (const name of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const [, parent] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8')) ?? []
      yield [Number(parent), Number(name)]
    } catch {
      // It has ended since.
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
