// What a service manager is told while the daemon runs: sd_notify(3), and the watchdog.

import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ServiceWatch, type Watched } from '../../../lib/server/process/service-watch.ts'
import { startDaemon } from '../../support/daemon.ts'
import {
  holdThread,
  type NotifySocket,
  noNotifySocket,
  openNotifySocket,
} from '../../support/notify-socket.ts'
import { startDynasty, until } from '../../support/upgrades.ts'

const WATCHDOG_MS = 20_000
const EVERY_MS = WATCHDOG_MS / 4
const VITALS = {
  items: 12,
  usedBytes: 3 << 20,
  limitBytes: 64 << 20,
  lookups: 200,
  misses: 7,
  connections: 4,
}

/** A watch whose messages are kept, and threads that beat when they are told to. */
function managed(watchdogMs = WATCHDOG_MS) {
  const sent: string[] = []
  const beats = [0, 0]
  const watched: Watched = { beats: () => beats, vitals: () => VITALS }
  const watch = new ServiceWatch(message => void sent.push(message), watchdogMs)
  let nowMs = 1000
  /** One look, after this time. */
  const look = (afterMs = EVERY_MS) => {
    nowMs += afterMs
    watch.look(watched, nowMs, EVERY_MS)
    return sent.splice(0)
  }
  return { beats, look }
}

/** Says where the socket is to every daemon of this test. */
function announce(t: Test, watchdogMs?: number): NotifySocket {
  const socket = openNotifySocket(t)
  process.env.NOTIFY_SOCKET = socket.path
  if (watchdogMs !== undefined) process.env.WATCHDOG_USEC = String(watchdogMs * 1000)
  t.teardown(() => {
    delete process.env.NOTIFY_SOCKET
    delete process.env.WATCHDOG_USEC
  })
  return socket
}

t.test('the watchdog is fed while all threads run', async t => {
  const { beats, look } = managed()
  for (let i = 0; i < 20; i++) {
    beats[0]++
    beats[1]--
    t.ok(look().includes('WATCHDOG=1'))
  }
})

t.test('one thread that hangs stops it, and one that is replaced does not', async t => {
  const { beats, look } = managed()
  look()
  for (let i = 0; i < 2; i++) {
    beats[0]++
    t.ok(look().includes('WATCHDOG=1'), 'not long')
  }
  beats[0]++
  t.notOk(look().includes('WATCHDOG=1'), 'more than half of the time')
  beats[0]++
  t.notOk(look().includes('WATCHDOG=1'))
  beats[1] = -1
  t.ok(look().includes('WATCHDOG=1'), 'it is being replaced')
  beats[1] = 1
  t.ok(look().includes('WATCHDOG=1'), 'another one runs')
})

t.test('a process that was paused has no thread that hangs', async t => {
  const { look } = managed()
  look()
  t.ok(look(100 * WATCHDOG_MS).includes('WATCHDOG=1'))
})

t.test('without a watchdog there is only status', async t => {
  const { look } = managed(0)
  t.strictSame(look(), ['STATUS=12 items, 3 of 64 MiB, hit ratio 96.5 %, 4 connections'])
  t.strictSame(look(1e6), [], 'and only when it changes')
})

t.test('a daemon says that it serves, reloads and stops', { skip: noNotifySocket }, async t => {
  const { next } = announce(t)
  const { pid, stop } = await startDaemon(t)
  t.equal(await next('READY'), 'READY=1')
  t.equal(readFileSync(`/proc/${pid}/comm`, 'latin1'), 'memslab\n', 'and what it is called')
  process.kill(pid, 'SIGHUP')
  t.match(await next('RELOADING'), /^RELOADING=1\nMONOTONIC_USEC=\d+$/)
  t.equal(await next('READY'), 'READY=1')
  await stop()
  t.match(await next('STOPPING'), /^STOPPING=1\n/)
})

t.test('how long the end may take is said', { skip: noNotifySocket }, async t => {
  const { next } = announce(t)
  const { stop } = await startDaemon(t, ['--snapshot-dir', t.testdir({}), '--snapshot-on-exit'])
  await stop()
  t.match(await next('STOPPING'), /\nEXTEND_TIMEOUT_USEC=\d{9,}$/)
})

t.test('after an upgrade the new process is the main one', { skip: noNotifySocket }, async t => {
  const { next } = announce(t, WATCHDOG_MS)
  const { upgrade, pid } = await startDynasty(t, [], startDaemon)
  await next('READY')
  await upgrade()
  t.equal(await next('WATCHDOG_USEC'), 'WATCHDOG_USEC=600000000', 'an upgrade has its own time')
  t.equal(
    await next('MAINPID'),
    `MAINPID=${pid()}\nREADY=1\nWATCHDOG=1\nWATCHDOG_USEC=${WATCHDOG_MS * 1000}`,
  )
  t.equal(await next('WATCHDOG'), 'WATCHDOG=1', 'which goes on with the watchdog')
})

t.test('a worker that hangs is noticed', { skip: noNotifySocket }, async t => {
  const { next } = announce(t, 4000)
  const { pid, output } = await startDaemon(t)
  await next('WATCHDOG=1')
  const [worker = 0] = threadsNamed(pid, 'WorkerThread')
  const release = holdThread(worker)
  try {
    await until(() => /worker \d has not run for \d+ s/.test(output()), 'a line about the worker')
  } finally {
    release()
  }
})

function threadsNamed(pid: number, name: string): number[] {
  const folder = `/proc/${pid}/task`
  const nameOf = (thread: string) => readFileSync(`${folder}/${thread}/comm`, 'latin1').trim()
  return readdirSync(folder)
    .filter(thread => nameOf(thread) === name)
    .map(Number)
}
