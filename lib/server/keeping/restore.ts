// Restores the cache of a daemon that starts, from a snapshot or from the newest sound one of a
// folder. A file is verified as a whole before anything of it is stored, by several threads. One
// that is not sound is one line of the log: the daemon starts empty, or not at all where a restore
// is required.

import { closeSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Cache } from '../../engine/cache.ts'
import { clockOffsetOf, type RestoreStart, raiseCas } from '../../keeping/arenas/restorer.ts'
import { beginFill, type FillStart, type Fills, noFills } from '../../keeping/fill.ts'
import { snapshotsIn } from '../../keeping/snapshot/folder.ts'
import { momentNow, secondsBetween } from '../../keeping/snapshot/moment.ts'
import { openSnapshot, SnapshotReader } from '../../keeping/snapshot/reader.ts'
import { readSecret } from '../../keeping/snapshot/seal.ts'
import { EXIT_FAILURE, type Options } from '../../options/options.ts'
import { say } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { StartError } from '../system/start-error.ts'
import { Shared, type SharedWords, STOPPED, sharedWords, type TaskPool } from '../tasks.ts'
import { openTaskPool } from '../thread-pool.ts'
import type { Recover } from './snapshots.ts'

/** A file that was verified. */
interface Sound {
  path: string
  fd: number
  reader: SnapshotReader
}

export class Restore {
  private readonly options: Options
  private readonly cache: Cache
  private readonly recover: Recover
  private readonly threads: number
  private readonly pool: TaskPool
  private shared: SharedWords = sharedWords()
  private isStopped = false
  private sound: Sound | null = null
  /** Before clients are served: what they flush stays flushed. */
  private readonly fills: FillStart
  private secret: Buffer | null = null

  constructor(options: Options, cache: Cache, recover: Recover) {
    this.options = options
    this.cache = cache
    this.fills = beginFill(cache)
    this.recover = recover
    this.threads = Math.min(options.threads, availableParallelism())
    this.pool = openTaskPool(this.threads)
  }

  get hasFound(): boolean {
    return this.sound !== null
  }

  /** Finds a sound snapshot. Rejects with StartError where one is required and there is none. */
  async find(): Promise<void> {
    const { restorePath = '', restoreRequired, snapshotKeyFile } = this.options
    try {
      this.secret = snapshotKeyFile === undefined ? null : readSecret(snapshotKeyFile)
      const paths = pathsIn(restorePath)
      if (paths.length === 0) refuse(restoreRequired, `${restorePath} has no snapshot`)
      for (const path of paths) {
        this.sound = await this.verify(path)
        if (this.sound !== null || this.isStopped) return
      }
    } catch (error) {
      if (error instanceof StartError) throw error
      refuse(restoreRequired, `${restorePath}: ${reasonOf(error)}`)
    }
    if (this.sound === null) refuse(restoreRequired, `${restorePath} has no sound snapshot`)
  }

  /** Stores the items of the snapshot that was found, if there is one. Never rejects. */
  async run(): Promise<void> {
    const { sound, cache } = this
    if (sound === null) return
    const startedMs = performance.now()
    const { header } = sound.reader
    cache.tick()
    const elapsedS = secondsBetween(header.begun, momentNow())
    if (elapsedS === null) {
      say(`the clock is before ${sound.path}: its items that expire are left out`, 'warn')
    }
    raiseCas(sound.reader, cache)
    if (!this.options.restoreServing) makeReady(cache, sound.reader)
    const { fills } = this
    const clockOffsetS = clockOffsetOf(sound.reader, cache, elapsedS)
    try {
      const done = sum(await this.fillAll(sound, { fills, clockOffsetS }))
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      if (this.options.verbosity > 0) say(`${textOf(done)} in ${seconds} s: ${sound.path}`)
    } catch (error) {
      if (!this.isStopped) say(`the restore of ${sound.path} ended: ${reasonOf(error)}`, 'error')
    }
  }

  /** Share of the stored items. */
  progress(): number {
    const units = this.sound?.reader.units.length ?? 0
    if (units === 0) return 0
    return Math.min(1, Atomics.load(this.shared, Shared.NEXT) / units)
  }

  /** Stops what is under way. */
  stop(): void {
    this.isStopped = true
    Atomics.store(this.shared, Shared.STOP, 1)
  }

  async close(): Promise<void> {
    if (this.sound !== null) closeSync(this.sound.fd)
    this.sound = null
    await this.pool.close()
  }

  /** Null, after a line of the log: it is not sound. */
  private async verify(path: string): Promise<Sound | null> {
    let fd = -1
    try {
      fd = openSnapshot(path)
      const { secret } = this
      const reader = new SnapshotReader(fd, secret)
      const shared = this.share()
      const counts = await this.onAll(shared, () => this.pool.run('verify', { fd, secret, shared }))
      reader.verifyCount(counts.reduce((all, count) => all + count, 0))
      return { path, fd, reader }
    } catch (error) {
      if (fd >= 0) closeSync(fd)
      if (!this.isStopped) say(`${path} is not restored: ${reasonOf(error)}`, 'error')
      return null
    }
  }

  private async fillAll({ fd }: Sound, start: RestoreStart): Promise<Fills[]> {
    const { cache, secret } = this
    const { handle } = cache
    const shared = this.share()
    return this.onAll(shared, async () => {
      const holder = cache.newHolder()
      try {
        const task = { fd, secret, shared, cache: handle, holder, start }
        return await this.pool.run('restore', task)
      } catch (error) {
        this.recover(holder)
        throw error
      }
    })
  }

  /** Runs a task on each thread. After a failure the others are stopped, and waited for. */
  private async onAll<T>(shared: SharedWords, run: () => Promise<T>): Promise<T[]> {
    const errors: unknown[] = []
    const runs = Array.from({ length: this.threads }, () =>
      run().catch((error: unknown) => {
        errors.push(error)
        Atomics.store(shared, Shared.STOP, 1)
        throw error
      }),
    )
    await Promise.allSettled(runs)
    if (errors.length > 0) throw errors[0]
    return Promise.all(runs)
  }

  private share(): SharedWords {
    if (this.isStopped) throw new Error(STOPPED)
    this.shared = sharedWords()
    return this.shared
  }
}

/** A table that has its size already takes half of the time. */
function makeReady(cache: Cache, { totals: { records, itemBytes } }: SnapshotReader): void {
  if (records > 0) cache.reserve(records, itemBytes / records)
}

/** The file itself, or the snapshots of a folder, the newest first. */
function pathsIn(path: string): string[] {
  return statSync(path).isDirectory() ? snapshotsIn(path) : [path]
}

function refuse(isRequired: boolean, line: string): void {
  if (isRequired) throw new StartError(`--restore: ${line}`, EXIT_FAILURE)
  say(`--restore: ${line}, it starts empty`, 'warn')
}

function sum(all: readonly Fills[]): Fills {
  const total = noFills()
  for (const { filled, expired, newer, refused } of all) {
    total.filled += filled
    total.expired += expired
    total.newer += newer
    total.refused += refused
  }
  return total
}

function textOf({ filled, expired, newer, refused }: Fills): string {
  return `restored ${filled} items (${expired} expired, ${newer} newer, ${refused} had no room)`
}
