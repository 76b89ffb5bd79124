/** -e: the content is in a file between two processes, whatever happens to them and to it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ENTRY, startDaemon } from '../../support/daemon.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { HOST, type Owner, type ServerProcess, startMemcached } from '../../support/process.ts'
import { noMishaps, ReconnectingPeer } from '../../support/reconnecting-peer.ts'
import { runs } from '../../support/runs.ts'
import { isAlive, startDynasty, until } from '../../support/upgrades.ts'

const seed = announceSeed(t)
const KEYS = Array.from({ length: 3000 }, (_, i) => `key-${i}`)
const BASE = ['-m', '64', '-t', '2']
/** Less than KEYS take. */
const SMALL_BYTES = 800 * 1024

function fileFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'warm-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'memory')
}

/** Starts a daemon, lets `work` ask it, and returns what it printed until its end. */
async function during(
  t: Test,
  args: string[],
  work: (peer: ReconnectingPeer, server: ServerProcess) => Promise<void>,
): Promise<string> {
  const server = await startDaemon(t, args)
  const peer = new ReconnectingPeer(() => connect(server.port, HOST), noMishaps())
  await work(peer, server)
  peer.close()
  await server.stop()
  return server.output()
}

const valueFor = (key: string, round: number) => `${round} ${key} `.padEnd(400 + (round % 7), 'v')

async function store(peer: ReconnectingPeer, round: number): Promise<void> {
  const values = KEYS.map(key => valueFor(key, round))
  await peer.ask(KEYS.map((key, i) => `ms ${key} ${values[i].length}\r\n${values[i]}\r\n`))
}

/** How many items are there. Fails where one is not of this round. */
async function count(t: Test, peer: ReconnectingPeer, round: number): Promise<number> {
  const gets = await peer.ask(KEYS.map(key => `mg ${key} v\r\n`))
  const there = gets.filter(got => got !== 'EN')
  const wrong = gets.find((got, i) => got !== 'EN' && got !== valueFor(KEYS[i], round))
  if (wrong !== undefined) t.fail(`seed ${seed}, round ${round}: ${wrong.slice(0, 30)}`)
  return there.length
}

t.test('the cache starts as it was, once', async t => {
  const file = fileFor(t)
  const args = [...BASE, '-e', file]
  await during(t, args, async peer => {
    await store(peer, 1)
    await peer.ask(['ms gone 1 T1\r\n1\r\n', 'ms stays 1 T1000 F7\r\n2\r\n'])
    await sleep(1200)
  })
  t.equal(statSync(file).mode & 0o777, 0o600, 'nobody else may read it')
  const output = await during(t, args, async (peer, { pid }) => {
    t.equal(await count(t, peer, 1), KEYS.length)
    t.strictSame(await peer.ask(['mg gone v\r\n', 'mg stays f\r\n']), ['EN', 'HD f7'])
    t.equal(statSync(file).size, 0, 'while it serves the file is empty')
    process.kill(pid, 'SIGKILL')
  })
  t.match(output, /-e \S+: \d+ of \d+ items came back, \d+ MiB in [\d.]+ s/)
  await during(
    t,
    args,
    async peer => void t.equal(await count(t, peer, 1), 0, 'and nothing is stale'),
  )
})

t.test('with other settings the items come one by one', async t => {
  const file = fileFor(t)
  await during(t, [...BASE, '-e', file], peer => store(peer, 1))
  const others = ['-m', '48', '-t', '3', '-f', '1.5', '-e', file]
  const output = await during(t, others, async peer => {
    t.equal(await count(t, peer, 1), KEYS.length)
  })
  t.match(output, /3000 items one by one/)
})

t.test('a file that is none of its own is left alone', async t => {
  const file = fileFor(t)
  writeFileSync(file, 'precious\n')
  const output = await during(t, [...BASE, '-e', file], async peer => store(peer, 1))
  t.match(output, /-e \S+: it is not an image of memslab; the cache starts empty/)
  t.equal(readFileSync(file, 'latin1'), 'precious\n')
})

t.test('a file that cannot be opened costs the file', async t => {
  const output = await during(t, [...BASE, '-e', '/nowhere/at/all'], async peer => {
    t.strictSame(await peer.ask(['mn\r\n']), ['MN'])
  })
  t.match(output, /-e \S+: No such file or directory; nothing is kept/)
})

t.test('two daemons never have one file', async t => {
  const file = fileFor(t)
  const args = [...BASE, '-e', file]
  const taken = /-e \S+: another process uses it; nothing is kept/
  const dynasty = await startDynasty(t, args, startDaemon)
  const peer = new ReconnectingPeer(() => connect(dynasty.server.port, HOST), noMishaps())
  await store(peer, 1)
  const isLockedOut = async () => {
    const output = await during(t, args, async other => {
      t.equal(await count(t, other, 1), 0, 'the second one serves, and is empty')
    })
    t.match(output, taken)
    t.equal(statSync(file).size, 0, 'and writes nothing at its end')
  }
  await isLockedOut()
  await dynasty.upgrade()
  t.notMatch(dynasty.server.output(), taken, 'the next process is let in')
  await isLockedOut()
  t.equal(await count(t, peer, 1), KEYS.length)
  peer.close()
  const last = dynasty.pid()
  process.kill(last, 'SIGTERM')
  await until(() => !isAlive(last), 'it ends')
  const output = await during(t, args, async (next, { pid }) => {
    t.equal(await count(t, next, 1), KEYS.length, 'the next process has kept it')
    process.kill(pid, 'SIGKILL')
  })
  t.notMatch(output, taken)
  const next = await during(t, args, async peer => void (await peer.ask(['mn\r\n'])))
  t.notMatch(next, taken, 'a process that was killed has no lock')
})

t.test('an image with a damaged header is one line', async t => {
  const file = fileFor(t)
  const args = [...BASE, '-e', file]
  await during(t, args, peer => store(peer, 1))
  const image = readFileSync(file)
  image[40] ^= 1
  writeFileSync(file, image)
  const output = await during(t, args, async peer => void t.equal(await count(t, peer, 1), 0))
  t.match(output, /-e \S+: its header is damaged; the cache starts empty/)
  await during(t, args, peer => store(peer, 2))
  await during(t, args, async peer => void t.equal(await count(t, peer, 2), KEYS.length))
})

t.test('on a full disk a part is kept', async t => {
  const file = fileFor(t)
  const args = [...BASE, '-e', file]
  await during(t, args, peer => store(peer, 1))
  // A limit on the length of files is a disk that is full at a known place. Its unit is 512 bytes.
  const half = Math.round(statSync(file).size / 2 / 512)
  rmSync(file)
  const words = ['-c', `ulimit -f ${half}; exec "$@"`, 'sh', process.execPath, ENTRY, ...args]
  const server = await startMemcached(t, 'sh', words)
  const peer = new ReconnectingPeer(() => connect(server.port, HOST), noMishaps())
  await store(peer, 1)
  peer.close()
  await server.stop()
  t.match(server.output(), /only a part is kept/)
  const output = await during(t, [...BASE, '-e', file], async peer => {
    const found = await count(t, peer, 1)
    t.ok(found > 0 && found < KEYS.length, `${found} came back`)
  })
  t.match(output, /damaged pages were left out|cannot be used/)
})

/** A file system of SMALL_BYTES in memory; undefined: this user may not mount one. */
function mountSmall(owner: Owner): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'small-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_BYTES}`, 'none', folder])
  if (mount.status !== 0) return undefined
  owner.teardown(() => spawnSync('umount', [folder]))
  return folder
}

const skipMount = mountSmall(t) === undefined && 'this user may not mount a file system'

t.test('on a small file system a part is kept, and no snapshot', { skip: skipMount }, async t => {
  const folder = mountSmall(t) ?? ''
  const file = join(folder, 'memory')
  const snapshots = join(folder, 'snapshots')
  mkdirSync(snapshots)
  const kept = ['-e', file]
  const every = ['--snapshot-dir', snapshots, '--snapshot-every', '1s', '--snapshot-level', '0']
  const output = await during(t, [...BASE, ...kept, ...every], async (peer, server) => {
    await store(peer, 1)
    await until(() => /no snapshot was written to /.test(server.output()), 'it is told')
    t.equal(await count(t, peer, 1), KEYS.length, 'it goes on')
    const link = `${HOST}:${server.port}`
    const words = [ENTRY, 'snapshot', link, '--to', join(folder, 'asked'), '--level', '0']
    const asked = spawnSync(process.execPath, words, { encoding: 'utf8' })
    t.not(asked.status, 0)
    t.match(asked.stderr, /^.*No space left on device.*\n$/i, 'one line')
  })
  t.match(output, /-e \S+: .*(only a part is kept|nothing is kept)/)
  t.notMatch(output, /\n {4}at /)
  t.strictSame(readdirSync(folder).sort(), ['memory', 'snapshots'])
  t.strictSame(readdirSync(snapshots), [])
  await during(t, [...BASE, ...kept], async peer => {
    const found = await count(t, peer, 1)
    t.ok(found < KEYS.length, `${found} came back`)
  })
})

t.test('whatever is killed, nothing is wrong or stale', async t => {
  const file = fileFor(t)
  const args = [...BASE, '-e', file]
  const random = createRandom(seed)
  let back = 0
  let round = 0
  for (let left = runs(3, 300); left > 0; left--) {
    // Killed while it loads, once at most: see LOADS_MAX.
    if (random.once(2)) await killAfter(spawnDaemon(args), 250 + random.below(200))
    await during(t, args, async (peer, { pid }) => {
      if (round > 0) back += await count(t, peer, round)
      await store(peer, ++round)
      process.kill(pid, random.once(2) ? 'SIGTERM' : 'SIGUSR1')
      await sleep(random.below(60))
      if (random.once(2) && isAlive(pid)) process.kill(pid, 'SIGKILL')
    })
  }
  t.comment(`${back} of ${(round - 1) * KEYS.length} items came back`)
})

function spawnDaemon(args: string[]): ChildProcess {
  return spawn(process.execPath, [ENTRY, ...args, '-p', '-1', '-l', HOST], { stdio: 'ignore' })
}

async function killAfter(child: ChildProcess, ms: number): Promise<void> {
  const exited = once(child, 'exit')
  await sleep(ms)
  child.kill('SIGKILL')
  await exited
}
