// Threads that cannot be started: how often the daemon tries, what it logs, and when it gives up.
// The pool is a fake whose threads die at their start.

import { spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { createLogs } from '../../../lib/observe/log-buffer.ts'
import { Roster } from '../../../lib/server/roster.ts'
import type { DaemonSettings } from '../../../lib/server/worker-host.ts'
import { START_FAILURES_MAX, type ThreadPool, Workers } from '../../../lib/server/workers.ts'

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url))
const ONLY_ROOT = { skip: process.getuid?.() === 0 ? false : 'only root can become somebody else' }
const RUN_MS_MAX = 30_000

/** Its threads die before they take a task, except for the first ones. */
class DyingPool extends EventEmitter implements ThreadPool {
  readonly threads = []
  readonly deathsMs: number[] = []
  runs = 0
  private alive: number

  constructor(alive = 0) {
    super()
    this.alive = alive
  }

  get deaths(): number {
    return this.deathsMs.length
  }

  run(_task: unknown, options: Parameters<ThreadPool['run']>[1]): Promise<void> {
    this.runs++
    if (this.alive > 0) {
      this.alive--
      options.transferList?.[0].postMessage({ uring: null })
    } else {
      setImmediate(() => this.die())
    }
    const { promise, reject } = Promise.withResolvers<void>()
    const { signal } = options
    const end = () => reject(new Error('ended'))
    signal?.addEventListener('abort', end)
    options.transferList?.[0].on('close', end).ref()
    return promise
  }

  async destroy(): Promise<void> {}

  private die(): void {
    this.deathsMs.push(performance.now())
    this.emit('error', new Error('no such file'))
    this.emit('workerDestroy')
  }
}

t.test('if no thread starts it tries a few times, then logs why and ends', async t => {
  const pool = new DyingPool()
  const workers = workersOf(pool, 4)
  const started = workers.start(() => {}).catch(String)
  t.equal(await workers.failed, 'no worker can be started: no such file')
  t.equal(await started, 'Error: no worker can be started: no such file')
  t.equal(pool.deaths, START_FAILURES_MAX)
  const pauses = pool.deathsMs.slice(1).map((ms, index) => ms - pool.deathsMs[index])
  t.ok((pauses.at(-1) ?? 0) > 8 * Math.max(1, pauses[0]), `more and more seldom: ${pauses}`)
  const { runs } = pool
  await workers.close()
  t.equal(pool.runs, runs, 'and tries no more')
})

t.test('while one worker serves the daemon goes on', async t => {
  const pool = new DyingPool(1)
  const workers = workersOf(pool, 2)
  const isFirst = Promise.withResolvers<string>()
  void workers.start(() => isFirst.resolve('serves')).catch(() => {})
  t.equal(await isFirst.promise, 'serves')
  for (let i = 0; i < 2 * START_FAILURES_MAX; i++) pool.emit('error', new Error('no such file'))
  t.equal(await Promise.race([workers.failed, isFirst.promise]), 'serves')
  await workers.close()
})

t.test('-u needs a user who can read the installation', ONLY_ROOT, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const name of ['lib', 'workers', 'package.json']) {
    cpSync(join(PACKAGE, name), join(folder, name), { recursive: true })
  }
  symlinkSync(join(PACKAGE, 'node_modules'), join(folder, 'node_modules'))
  chmodSync(folder, 0o700)
  const args = [join(folder, 'lib/main.ts'), '-u', 'nobody', '-p', '-1', '-l', '127.0.0.1']
  const { status, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
  })
  const file = join(folder, 'workers/entry.ts')
  t.equal(stderr, `user nobody cannot read ${file}: threads could not be replaced\n`)
  t.equal(status, 71)
})

function workersOf(pool: ThreadPool, threads: number): Workers {
  const cache = Cache.create({ memoryBytes: 8 * MIB })
  const settings = { ioUring: false, log: createLogs(threads + 1, 1) } as DaemonSettings
  return new Workers(pool, cache, Roster.create(threads, 10), settings)
}
