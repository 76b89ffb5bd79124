// The daemon process under load: signals, -d, the log, and `stats settings`.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { startDaemon } from '../../support/daemon.ts'
import { freePort, HOST } from '../../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, statsOf } from '../../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
const IS_ROOT = process.getuid?.() === 0
const ONLY_ROOT = { skip: IS_ROOT ? false : 'only root can become somebody else' }
const RUN_MS_MAX = 10_000
const END_MS_MAX = 5000

for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1'] as const) {
  t.test(`${signal} under load ends it with exit code 0`, async t => {
    const pidFile = join(t.testdir({}), 'pid')
    const { child, port } = await launch(t, ['-P', pidFile])
    t.ok(await comesTrue(() => existsSync(pidFile)))
    t.equal(readFileSync(pidFile, 'utf8'), `${child.pid}\n`)
    const peers = await putToWork(port)
    await sleep(200)
    const started = performance.now()
    const exited = once(child, 'exit')
    child.kill(signal)
    const [code, bySignal] = await exited
    const took = performance.now() - started
    t.same([code, bySignal], [0, null])
    t.ok(took < END_MS_MAX, `after ${took.toFixed(0)} ms`)
    t.notOk(existsSync(pidFile), 'the pid file is gone')
    for (const peer of peers) peer.destroy()
  })
}

t.test('a second signal does not wait for the first', async t => {
  const { child, port } = await launch(t, [])
  const peers = await putToWork(port)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  child.kill('SIGINT')
  t.same(await exited, [0, null])
  for (const peer of peers) peer.destroy()
})

t.test('a signal stops an idle daemon with idle peers at once', async t => {
  const { child, port } = await launch(t, ['-t', '1'])
  const peer = await openPeer(port)
  await ask(peer, 'get none\r\n', 'END\r\n')
  const exited = once(child, 'exit')
  const started = performance.now()
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  t.ok(performance.now() - started < END_MS_MAX)
  peer.destroy()
})

t.test('-d returns once it listens and has written its pid, and SIGTERM ends both', async t => {
  const port = await freePort()
  const folder = t.testdir({})
  chmodSync(folder, 0o777)
  const pidFile = join(folder, 'pid')
  const args = ['-d', '-p', `${port}`, '-l', HOST, '-P', pidFile, '-t', '2', ...asNobody()]
  const { status } = run(args)
  t.equal(status, 0)
  const pid = Number(readFileSync(pidFile, 'utf8'))
  t.teardown(() => endProcess(pid))
  t.equal(await askOnce(port, 'set a 0 0 1\r\na\r\n', 'STORED\r\n'), 'STORED\r\n', 'at once')
  const peers = await putToWork(port)
  process.kill(pid, 'SIGTERM')
  t.ok(await comesTrue(() => !isRunning(pid)), 'it ends')
  t.notOk(existsSync(pidFile), 'and its pid file with it')
  for (const peer of peers) peer.destroy()
  await t.rejects(openPeer(port), 'nobody listens')
})

t.test('impossible options get one line and an exit code', async t => {
  const port = await freePort()
  const wrong: [args: string[], line: RegExp, code: number][] = [
    [
      ['-p', `${port}`, '-l', '192.0.2.1'],
      /^failed to listen on one of interface\(s\) 192.0.2.1/,
      71,
    ],
    [['-p', `${port}`, '-l', 'no-such-host.invalid'], /^failed to listen on one of/, 71],
    [['-l', '127.0.0.1:99999'], /^Invalid port number/, 71],
    [['-m', '1', '-I', '1m'], /^Cannot set item size limit higher than 1\/2 of memory max/, 64],
    [['-m', '64', '-I', '40m'], /^Cannot set item size limit higher than 1\/2 of memory max/, 64],
    [['-I', '10'], /^Item max size cannot be less than 1024 bytes/, 64],
    [['-t', '0'], /^Number of threads must be greater than 0/, 1],
    [['-c', '0'], /^Maximum connections must be greater than 0/, 1],
    [['-f', '1'], /^Factor must be greater than 1/, 1],
    [['-n', '0'], /^Chunk size must be greater than 0/, 1],
  ]
  // The first two fail in the background process, the others before it starts.
  const detached = wrong.slice(0, 2).map(([args, ...rest]) => [['-d', ...args], ...rest] as const)
  for (const [args, line, code] of [...wrong, ...detached]) {
    const { status, stdout, stderr } = run([...asNobody(), ...args])
    const told = stderr.trimEnd().split('\n')
    t.equal(told.length, 1, `${args.join(' ')}: ${stderr}`)
    t.match(told[0], line)
    t.same([status, stdout], [code, ''], args.join(' '))
  }
})

t.test('-u drops user and groups in every thread', ONLY_ROOT, async t => {
  const daemon = await startDaemon(t, ['-u', 'nobody', '-t', '3'])
  const [uid, gid] = ['-u', '-g'].map(flag => output('id', [flag, 'nobody']))
  const tasks = `/proc/${daemon.pid}/task`
  const threads = output('ls', [tasks]).split('\n')
  t.ok(threads.length >= 4)
  const isNobody = () =>
    threads.every(thread => {
      const status = readFileSync(join(tasks, thread, 'status'), 'utf8')
      const wanted = [
        `Uid:\t${uid}\t${uid}\t${uid}\t${uid}\n`,
        `Gid:\t${gid}\t${gid}\t${gid}\t${gid}\n`,
      ]
      return wanted.every(line => status.includes(line))
    })
  t.ok(await comesTrue(isNobody), 'all of them')
})

t.test('-vv logs commands and replies, verbosity 0 stops it', async t => {
  const daemon = await startDaemon(t, ['-vv', '-t', '2'])
  const peer = await openPeer(daemon.port)
  await ask(peer, 'set logged 0 0 1\r\nx\r\nget logged\r\nnonsense logged\r\n', 'ERROR\r\n')
  const [, id = ''] = (await waitFor(daemon.output, /<(\d+) set logged 0 0 1\n/)) ?? []
  for (const line of [`>${id} STORED\n`, `<${id} get logged\n`, `>${id} ERROR\n`]) {
    t.ok(await comesTrue(() => daemon.output().includes(line)), line)
  }
  t.equal(await ask(peer, 'verbosity 0\r\nget quiet\r\n', 'END\r\n'), 'OK\r\nEND\r\n')
  await sleep(200)
  t.notMatch(daemon.output(), /get quiet/)
  const silent = await startDaemon(t)
  await askOnce(silent.port, 'get quiet\r\nnonsense\r\n', 'ERROR\r\n')
  await sleep(200)
  t.notMatch(silent.output(), /quiet|nonsense/)
})

t.test('options show in stats settings', async t => {
  const args = ['-M', '-I', '2m', '-f', '1.5', '-n', '96', '-t', '3', '-m', '100', '-c', '77', '-F']
  const daemon = await startDaemon(t, [...args, '-b', '99', '-v'])
  const settings = Object.fromEntries(await statsOf(daemon.port, 'settings'))
  t.match(settings, {
    evictions: 'off',
    item_size_max: `${2 * MIB}`,
    growth_factor: '1.50',
    chunk_size: '96',
    num_threads: '3',
    maxbytes: `${100 * MIB}`,
    maxconns: '77',
    tcp_backlog: '99',
    verbosity: '1',
    flush_enabled: 'no',
    tcpport: `${daemon.port}`,
  })
})

t.test('-M refuses when full, and serves what it has', async t => {
  const daemon = await startDaemon(t, ['-M', '-m', '4', '-I', '512k', '-t', '1'])
  const peer = await openPeer(daemon.port)
  const value = 'v'.repeat(100_000)
  let stored = 0
  const store = () => ask(peer, `set k${stored} 0 0 ${value.length}\r\n${value}\r\n`, '\r\n')
  let reply = await store()
  for (; reply === 'STORED\r\n' && stored < 100; reply = await store()) stored++
  t.equal(reply, 'SERVER_ERROR out of memory storing object\r\n')
  t.ok(stored > 10, `${stored} were stored`)
  for (let i = 0; i < stored; i++) {
    const got = await ask(peer, `get k${i}\r\n`, 'END\r\n')
    t.equal(got, `VALUE k${i} 0 ${value.length}\r\n${value}\r\nEND\r\n`)
  }
  await ask(peer, 'delete k0\r\n', 'DELETED\r\n')
  t.equal(await store(), 'STORED\r\n')
})

/** The daemon as a child process whose exit can be awaited. */
async function launch(t: Test, args: string[]) {
  const port = await freePort()
  const all = [MAIN, '-p', `${port}`, '-l', HOST, ...args]
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'ignore', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  const accepts = () =>
    openPeer(port).then(
      peer => peer.destroy() !== undefined,
      () => false,
    )
  if (!(await comesTrue(accepts))) throw new Error('it did not start')
  return { child, port }
}

/** Peers that keep the daemon busy in both directions, and one that does not read. */
async function putToWork(port: number): Promise<Socket[]> {
  const size = 200_000
  const store = `set a 0 0 ${size}\r\n${'v'.repeat(size)}\r\n`
  const peers = await Promise.all(Array.from({ length: 8 }, () => openPeer(port)))
  for (const [i, peer] of peers.entries()) {
    if (i === 0) {
      peer.write(store + 'get a\r\n'.repeat(2000))
      continue
    }
    const more = () => peer.writable && peer.write(`${store}get a none\r\n`)
    peer.on('data', more)
    more()
  }
  return peers
}

function run(args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: RUN_MS_MAX })
}

function asNobody(): string[] {
  return IS_ROOT ? ['-u', 'nobody'] : []
}

function output(command: string, args: string[]): string {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout.trim()
}

async function waitFor(text: () => string, pattern: RegExp): Promise<RegExpExecArray | null> {
  await comesTrue(() => pattern.test(text()))
  return pattern.exec(text())
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function endProcess(pid: number): void {
  if (isRunning(pid)) process.kill(pid, 'SIGKILL')
}
