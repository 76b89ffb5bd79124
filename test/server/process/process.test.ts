// The program as a process: the background, the pid file, the user, signals, a port in use.

import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startDaemon } from '../../support/daemon.ts'
import { freePort, HOST } from '../../support/process.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
const WAIT_MS_MAX = 10_000
const IS_ROOT = process.getuid?.() === 0
const AS_NOBODY = IS_ROOT ? ['-u', 'nobody'] : []
const ONLY_ROOT = { skip: IS_ROOT ? false : 'only root can become somebody else' }

t.test('-d returns when the daemon listens, and leaves it running', async t => {
  const port = await freePort()
  const pidFile = join(t.testdir({}), 'pid')
  const { status, stdout, stderr } = run('-d', '-p', `${port}`, '-l', HOST, '-P', pidFile)
  t.same([status, stdout, stderr], [0, '', warnings()])
  const pid = Number(readFileSync(pidFile, 'utf8'))
  stopLater(t, pid)
  t.not(pid, process.pid)
  t.equal(await answer(port, 'nonsense\r\nquit\r\n'), 'ERROR\r\n')
  process.kill(pid, 'SIGTERM')
  t.ok(await comesTrue(() => !existsSync(pidFile)), 'the pid file goes with it')
})

t.test('-d reports a port in use', async t => {
  const port = await takenPort(t)
  const { status, stdout, stderr } = run('-d', '-p', `${port}`)
  const line = `failed to listen on TCP port ${port}: Address already in use\n`
  t.same([status, stdout, stderr], [71, '', warnings() + line])
})

t.test('a port in use is reported in the words of memcached', async t => {
  const port = await takenPort(t)
  const byPort = run('-p', `${port}`)
  t.equal(
    byPort.stderr,
    `${warnings()}failed to listen on TCP port ${port}: Address already in use\n`,
  )
  t.equal(byPort.status, 71)
  const byAddress = run('-l', `${HOST}:${port}`)
  const what = `one of interface(s) ${HOST}:${port}`
  t.equal(byAddress.stderr, `${warnings()}failed to listen on ${what}: Address already in use\n`)
  t.equal(byAddress.status, 71)
})

t.test('signals end it cleanly, a lost terminal does not', async t => {
  const told = { SIGTERM: 'Signal handled: Terminated.', SIGINT: 'Signal handled: Interrupt.' }
  for (const [signal, line] of Object.entries({ ...told, SIGUSR1: 'Gracefully stopping' })) {
    const daemon = await startDaemon(t)
    process.kill(daemon.pid, 'SIGHUP')
    t.equal(await answer(daemon.port, 'nonsense\r\nquit\r\n'), 'ERROR\r\n')
    process.kill(daemon.pid, signal)
    t.ok(await comesTrue(() => daemon.output().endsWith(`${line}\n`)), signal)
    t.ok(await comesTrue(() => !isRunning(daemon.pid)), `${signal} ends it`)
  }
})

t.test('a pid file that cannot be written is logged, and the daemon goes on', async t => {
  const daemon = await startDaemon(t, ['-P', '/no/such/folder/pid'])
  const line =
    'Could not open the pid file /no/such/folder/pid.tmp for writing: No such file or directory'
  t.ok(await comesTrue(() => daemon.output().includes(line)), daemon.output())
})

t.test('-d logs a pid file that cannot be written, and leaves the daemon running', async t => {
  const port = await freePort()
  const place = ['-p', `${port}`, '-l', HOST, '-A']
  const { status, stderr } = run('-d', ...place, '-P', '/no/such/folder/pid')
  const reason = 'for writing: No such file or directory'
  const line = `Could not open the pid file /no/such/folder/pid.tmp ${reason}\n`
  t.same([status, stderr], [0, warnings() + line])
  await answer(port, 'shutdown\r\n')
})

t.test('-d reports an unknown path of the program', async t => {
  const nameless = `data:text/javascript,process.execPath='nameless'`
  const args = ['--import', nameless, MAIN, '-d', '-p', '-1']
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  const line = 'failed to daemonize: "nameless" is not the path of this program (is /proc mounted?)'
  t.same([status, stderr], [71, `${warnings()}${line}\n`])
})

t.test('what --permission forbids is named', async t => {
  const allowed = ['--no-warnings', '--permission', '--allow-fs-read=*']
  const runs: [flags: string[], args: string[], missing: string][] = [
    [[], ['-p', '-1'], '--allow-worker --allow-net'],
    [['--allow-worker'], ['-p', '-1'], '--allow-net'],
    [['--allow-worker', '--allow-net'], ['-d', '-p', '-1'], '--allow-child-process'],
  ]
  for (const [flags, args, missing] of runs) {
    const all = [...allowed, ...flags, MAIN, ...AS_NOBODY, ...args]
    const { status, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
    const also = IS_ROOT && !missing.includes('child') ? ' --allow-child-process' : ''
    const line = `--permission forbids what these options need: ${missing}${also}\n`
    t.same([status, stderr], [71, line], flags.join(' '))
  }
})

t.test('-v logs the addresses, with the bound port', async t => {
  const daemon = await startDaemon(t, ['-v', '-t', '1', '-U', '-1'])
  const { port } = daemon
  const wanted = new RegExp(`^memslab \\S+ listens on tcp:${HOST}:${port}, udp:${HOST}:\\d+$`, 'm')
  t.ok(await comesTrue(() => wanted.test(daemon.output())), daemon.output())
})

t.test('a low limit of open files lowers -c, with one warning', async t => {
  const runs: [limit: number, args: string[], connections: number][] = [
    [1024, ['-t', '4'], 964],
    [200, ['-t', '16', '-c', '100'], 56],
  ]
  for (const [limit, args, connections] of runs) {
    const script = `ulimit -n ${limit} && exec "$0" "$@"`
    const port = await freePort()
    const all = ['-c', script, process.execPath, MAIN, '-p', `${port}`, '-l', HOST, ...args]
    const child = spawn('/bin/sh', all, { stdio: ['ignore', 'ignore', 'pipe'] })
    t.teardown(() => child.kill('SIGKILL'))
    let text = ''
    child.stderr.on('data', chunk => {
      text += chunk
    })
    await comesTrue(async () => (await answer(port, 'quit\r\n').catch(() => null)) !== null)
    const asked = args.includes('-c') ? 100 : 1024
    const words = `${limit} open files are allowed, which is enough for ${connections} connections`
    t.equal(text, `${warnings()}warning: ${words} (-c is ${asked})\n`)
    const stats = await answer(port, 'stats\r\nquit\r\n')
    t.match(stats, `STAT max_connections ${connections}\r\n`)
    const peers = Array.from({ length: connections }, () => dial(port, HOST))
    const ask = (peer: Socket) =>
      new Promise<string>(settle => peer.once('data', settle).write('mn\r\n'))
    const replies = await Promise.all(peers.map(async peer => `${await ask(peer)}`))
    t.ok(
      replies.every(reply => reply === 'MN\r\n'),
      'and all of those are served',
    )
    for (const peer of peers) peer.destroy()
    child.kill('SIGTERM')
  }
})

t.test('more connections than files may be open are refused', async t => {
  const script = `ulimit -n 256 && exec "$0" "$@"`
  const args = ['-c', script, process.execPath, MAIN, ...AS_NOBODY, '-c', '1000']
  const { status, stderr } = spawnSync('/bin/sh', args, { encoding: 'utf8', timeout: WAIT_MS_MAX })
  const words = 'Try starting as root or requesting smaller maxconns value.'
  t.equal(stderr, `failed to set rlimit for open files. ${words}\n`)
  t.equal(status, 71)
})

t.test('root becomes the user of -u', ONLY_ROOT, async t => {
  const daemon = await startDaemon(t, ['-u', 'nobody'])
  const status = () => readFileSync(`/proc/${daemon.pid}/status`, 'utf8')
  t.ok(
    await comesTrue(() => /^Uid:\t[1-9]\d*\t[1-9]\d*\t[1-9]/m.test(status())),
    'not root any more',
  )
  const [, gid = ''] = /^Gid:\t([1-9]\d*)\t/m.exec(status()) ?? []
  t.match(status(), new RegExp(`^Groups:\t${gid} *$`, 'm'), 'nor in the groups of root')
  t.equal(await answer(daemon.port, 'nonsense\r\nquit\r\n'), 'ERROR\r\n')
})

t.test('an unknown user is refused before anything else', ONLY_ROOT, async t => {
  const { status, stderr } = run('-u', 'no-such-user')
  t.equal(stderr, "can't find the user no-such-user to switch to\n")
  t.equal(status, 67)
})

function run(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: WAIT_MS_MAX })
}

function warnings(): string {
  return IS_ROOT ? 'warning: running as root, -u <user> would run it as somebody else\n' : ''
}

/** Everything received until the server closes. */
async function answer(port: number, request: string): Promise<string> {
  const socket = dial(port, HOST)
  socket.setEncoding('utf8').write(request)
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

async function takenPort(t: Test): Promise<number> {
  const server = createServer()
  await new Promise<void>(listens => server.listen(0, listens))
  t.teardown(() => server.close())
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

function stopLater(t: Test, pid: number): void {
  t.teardown(() => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended, as it should.
    }
  })
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function comesTrue(fact: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + WAIT_MS_MAX
  while (Date.now() < deadline) {
    if (await fact()) return true
    await sleep(20)
  }
  return fact()
}
