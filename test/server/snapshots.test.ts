// Snapshots of a daemon as a process: on a schedule, at its end, restored by the next one; and what
// goes wrong: no sound file, a full disk, kills.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { scrape, startWithAdmin } from '../support/admin.ts'
import { startDaemon } from '../support/daemon.ts'
import { type Owner, startMemcached } from '../support/process.ts'
import { ask, askOnce, comesTrue, openPeer } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const RUN_MS_MAX = 60_000
/** Enough that a restore takes a while. */
const KEYS = 30_000

function valueAt(i: number): string {
  return `v${1_000_000 + i}`
}

function snapshotsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter(name => name.endsWith('.snapshot'))
    .sort()
}

async function fill(port: number, keys: number): Promise<void> {
  const sets = Array.from(
    { length: keys },
    (_, i) => `set key-${i} ${i} 0 8 noreply\r\n${valueAt(i)}\r\n`,
  )
  await askOnce(port, `${sets.join('')}mn\r\n`, 'MN\r\n')
}

async function count(port: number): Promise<number> {
  const text = (await askOnce(port, 'stats\r\n', 'END\r\n')).toString()
  return Number(/STAT curr_items (\d+)/.exec(text)?.[1])
}

t.test('the last snapshot is what the next daemon starts with', async t => {
  const dir = t.testdir()
  const key = `${dir}/key`
  writeFileSync(key, Buffer.alloc(32, 5))
  for (const args of [[], ['--snapshot-key', key, '--snapshot-cas']]) {
    const folder = `${dir}/${args.length}`
    const first = await startDaemon(t, ['--snapshot-dir', folder, '--snapshot-on-exit', ...args])
    await fill(first.port, 500)
    await askOnce(first.port, 'set soon 0 1000 1\r\nx\r\n', 'STORED\r\n')
    await first.stop()
    t.equal(snapshotsIn(folder).length, 1)
    const keys = args.slice(0, 2)
    const second = await startDaemon(t, ['-t', '3', '-m', '32', '--restore', folder, ...keys])
    t.equal(await count(second.port), 501)
    const found = await askOnce(second.port, 'get key-7 key-499\r\n', 'END\r\n')
    t.equal(
      found.toString(),
      'VALUE key-7 7 8\r\nv1000007\r\nVALUE key-499 499 8\r\nv1000499\r\nEND\r\n',
    )
    t.match((await askOnce(second.port, 'mg soon t\r\n', '\r\n')).toString(), /^HD t(?:9\d\d|1000)/)
    const stats = (await askOnce(second.port, 'stats\r\n', 'END\r\n')).toString()
    t.match(stats, /STAT cmd_set 0\r\n/, 'what was restored is no traffic')
    await second.stop()
  }
})

t.test('a schedule writes them, and keeps the newest', async t => {
  const folder = `${t.testdir()}/snapshots`
  const times = ['--snapshot-every', '1s', '--snapshot-keep', '2']
  const args = ['-v', '--snapshot-dir', folder, ...times]
  const { daemon, admin } = await startWithAdmin(t, args)
  await fill(daemon.port, 10)
  const written = () => daemon.output().split('snapshot of 10 items').length - 1
  await comesTrue(() => written() >= 3)
  await comesTrue(() => snapshotsIn(folder).length === 2)
  const metrics = await scrape(admin)
  const valueIn = (name: string) => metrics.get(`memslab_${name}`)?.samples.get('') ?? 0
  t.ok(valueIn('snapshots_total') >= 3)
  t.equal(valueIn('snapshots_failed_total'), 0)
  t.equal(valueIn('snapshot_last_items'), 10)
  t.ok(Math.abs(valueIn('snapshot_last_timestamp_seconds') - Date.now() / 1000) < 60)
  await daemon.stop()
})

t.test('without a sound snapshot the daemon starts empty, or not at all', async t => {
  const dir = t.testdir()
  const folder = `${dir}/snapshots`
  const first = await startDaemon(t, ['--snapshot-dir', folder, '--snapshot-on-exit'])
  await fill(first.port, 100)
  await first.stop()
  const [name = ''] = snapshotsIn(folder)
  const sound = readFileSync(`${folder}/${name}`)
  const cases: [what: string, bytes: Buffer, reason: RegExp][] = [
    ['torn', sound.subarray(0, sound.length - 9), /it is torn/],
    ['foreign', Buffer.from('# a text\n'.repeat(100)), /not a snapshot/],
    ['damaged', Buffer.from(sound).fill(1, 300, 302), /it is damaged/],
  ]
  for (const [what, bytes, reason] of cases) {
    const path = `${dir}/${what}`
    writeFileSync(path, bytes)
    const daemon = await startDaemon(t, ['--restore', path])
    t.equal(await count(daemon.port), 0, what)
    t.match(daemon.output(), reason)
    t.notMatch(daemon.output(), /\n {4}at /)
    await daemon.stop()
    const refused = run(['-p', '-1', '--restore', path, '--restore-required'])
    t.equal(refused.status, 1)
    t.match(refused.stderr, reason)
  }
  const missing = run(['-p', '-1', '--restore', `${dir}/nothing`, '--restore-required'])
  t.equal(missing.status, 1)
  t.match(missing.stderr, /--restore: .*\n$/)
  // The newest sound one of a folder.
  writeFileSync(`${folder}/memslab-2999-01-01T00-00-00-000Z.snapshot`, sound.subarray(0, 500))
  const daemon = await startDaemon(t, ['--restore', folder])
  t.equal(await count(daemon.port), 100)
  await daemon.stop()
})

t.test('while it serves, what clients do wins', async t => {
  const folder = `${t.testdir()}/snapshots`
  const first = await startDaemon(t, ['-m', '256', '--snapshot-dir', folder, '--snapshot-on-exit'])
  await fill(first.port, KEYS)
  await first.stop()
  const serving = ['-m', '256', '--restore', folder, '--restore-serving', '-v']
  const { daemon } = await startWithAdmin(t, serving)
  // It is ready once the restore is complete.
  t.equal(await count(daemon.port), KEYS)
  await daemon.stop()
  const second = await startDaemon(t, serving)
  const peer = await openPeer(second.port)
  const changes = Array.from({ length: KEYS }, (_, i) => {
    if (i % 3 === 0) return `delete key-${i} noreply\r\n`
    return i % 3 === 1 ? `set key-${i} 0 0 3 noreply\r\nnew\r\n` : ''
  })
  await ask(peer, `${changes.join('')}mn\r\n`, 'MN\r\n')
  await comesTrue(() => second.output().includes('restored '))
  const gets = Array.from({ length: KEYS }, (_, i) => `mg key-${i} v\r\n`).join('')
  const answers = (await ask(peer, `${gets}mn\r\n`, 'MN\r\n')).toString()
  const lines = answers.split('\r\n')
  let wrong = 0
  let restored = 0
  for (let i = 0, at = 0; i < KEYS; i++) {
    const value = lines[at] === 'EN' ? null : lines[at + 1]
    at += value === null ? 1 : 2
    const isRight = i % 3 === 0 ? value === null : i % 3 === 1 ? value === 'new' : true
    if (!isRight) wrong++
    if (i % 3 === 2 && value !== null) restored++
    if (i % 3 === 2 && value !== null && value !== valueAt(i)) wrong++
  }
  t.equal(wrong, 0)
  t.ok(restored > KEYS / 4, `${restored} of those that nobody touched`)
  peer.destroy()
  await second.stop()
  // A flush at any moment of it.
  const third = await startDaemon(t, serving)
  await askOnce(third.port, 'flush_all\r\n', 'OK\r\n')
  await comesTrue(() => third.output().includes('restored '))
  const left = await askOnce(third.port, `${gets}mn\r\n`, 'MN\r\n')
  t.notMatch(left.toString(), /VA/, 'nothing comes back')
  await third.stop()
})

t.test('a full disk is one line of the log', async t => {
  const folder = `${t.testdir()}/snapshots`
  const daemon = await startLimited(t, ['-v', '--snapshot-dir', folder, '--snapshot-every', '1s'])
  const value = randomBytes(200_000).toString('base64')
  await askOnce(daemon.port, `set k 0 0 ${value.length}\r\n${value}\r\n`, 'STORED\r\n')
  await comesTrue(() => /no snapshot was written to .*\n/.test(daemon.output()))
  t.notMatch(daemon.output(), /\n {4}at /)
  // It goes on, and so do the snapshots.
  await askOnce(daemon.port, 'delete k\r\n', 'DELETED\r\n')
  const written = daemon.output().length
  await comesTrue(() => daemon.output().slice(written).includes('snapshot of 0 items'))
  await daemon.stop()
  t.same(
    readdirSync(folder).filter(name => !name.endsWith('.snapshot')),
    [],
    'nothing is left',
  )
})

t.test('wrong options are refused', async t => {
  const cases: [args: string[], line: RegExp][] = [
    [['--snapshot-every', '1h'], /Snapshots need --snapshot-dir/],
    [['--snapshot-dir', 'x'], /needs --snapshot-every/],
    [['--snapshot-every', '1'], /Illegal value "1"/],
    [['--snapshot-at', '25:00'], /Illegal value "25:00"/],
    [['--snapshot-keep', 'x'], /Illegal value "x"/],
    [['--restore-required'], /need --restore/],
    [['--snapshot-dir', 'x', '--snapshot-on-exit', '--snapshot-key', '/nothing'], /key file/],
  ]
  for (const [args, line] of cases) {
    const { status, stderr } = run(args)
    t.not(status, 0, args.join(' '))
    t.match(stderr, line)
  }
})

function run(args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { timeout: RUN_MS_MAX })
  return { status, stderr: stderr.toString() }
}

/** Starts a daemon whose files may have 64 KiB. */
function startLimited(owner: Owner, args: string[]) {
  const limited = ['-c', 'ulimit -f 64; exec "$0" "$@"', process.execPath, MAIN]
  return startMemcached(owner, '/bin/bash', [...limited, '-t', '1', ...args])
}
