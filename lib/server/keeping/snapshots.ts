// The snapshots that the daemon writes itself: on a schedule, and when it ends. One at a time, by a
// thread of its own. A failure is one line of the log and nothing else: the older snapshots stay.

import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { SnapshotFacts } from '../../admin/metrics/facts.ts'
import type { Cache } from '../../engine/cache.ts'
import { removeAbandoned } from '../../keeping/snapshot/aside-file.ts'
import { removeOld, snapshotName } from '../../keeping/snapshot/folder.ts'
import { readSecret } from '../../keeping/snapshot/seal.ts'
import type { Options } from '../../options/options.ts'
import { SNAPSHOT_ON_EXIT_MS_MAX } from '../limits.ts'
import { say } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { StartError } from '../system/start-error.ts'
import { Shared, type SharedWords, type SnapshotReport, sharedWords } from '../tasks.ts'
import { openTaskPool } from '../thread-pool.ts'
import { Schedule } from './schedule.ts'

/** Cleans up after a thread that died, by its id for locks. */
export type Recover = (holder: number) => void

export class Snapshots {
  readonly facts: SnapshotFacts = {
    written: 0,
    failed: 0,
    lastMs: 0,
    lastTookMs: 0,
    lastBytes: 0,
    lastItems: 0,
  }
  private readonly options: Options
  private readonly folder: string
  private readonly secret: Buffer | null
  private readonly cache: Cache
  private readonly recover: Recover
  private readonly schedule: Schedule
  private timer: NodeJS.Timeout | undefined
  private running: Promise<void> | undefined
  private shared: SharedWords = sharedWords()

  /** Throws StartError if there is no such folder, or no key. */
  constructor(options: Options, cache: Cache, recover: Recover) {
    this.options = options
    this.cache = cache
    this.recover = recover
    // The daemon may change its working directory.
    this.folder = resolve(options.snapshotDir ?? '.')
    try {
      const { snapshotKeyFile } = options
      this.secret = snapshotKeyFile === undefined ? null : readSecret(snapshotKeyFile)
      // With -u the folder is to be that user's, who writes there.
      if (options.user === undefined) mkdirSync(this.folder, { recursive: true })
    } catch (error) {
      throw new StartError(`--snapshot-dir: ${reasonOf(error)}`)
    }
    const times = { everyS: options.snapshotEveryS, at: options.snapshotAt }
    this.schedule = new Schedule(times, Date.now(), performance.now())
  }

  /** How long the last snapshot may take, ms; undefined: there is none. */
  get closeMsMax(): number | undefined {
    return this.options.snapshotOnExit ? SNAPSHOT_ON_EXIT_MS_MAX : undefined
  }

  /** Begins the schedule. */
  start(): void {
    this.wait()
  }

  /** Ends it, and what is being written. */
  async stop(): Promise<void> {
    clearTimeout(this.timer)
    Atomics.store(this.shared, Shared.STOP, 1)
    await this.running
  }

  /** Writes the last one, if it is wanted. */
  async writeLast(): Promise<void> {
    if (this.options.snapshotOnExit) await this.write()
  }

  private wait(): void {
    const waitMs = this.schedule.waitMs(Date.now(), performance.now())
    this.timer = setTimeout(() => this.look(), waitMs).unref()
  }

  private look(): void {
    const isDue = this.schedule.takeDue(Date.now(), performance.now())
    if (isDue && this.running === undefined) {
      this.running = this.write().finally(() => {
        this.running = undefined
      })
    }
    this.wait()
  }

  /** Writes one and removes the old ones. Never rejects. */
  private async write(): Promise<void> {
    const startedMs = performance.now()
    const path = join(this.folder, snapshotName(Date.now()))
    this.shared = sharedWords()
    try {
      mkdirSync(this.folder, { recursive: true })
      removeAbandoned(this.folder)
      this.note(await this.take(path), performance.now() - startedMs, path)
      removeOld(this.folder, this.options.snapshotKeep)
    } catch (error) {
      if (Atomics.load(this.shared, Shared.STOP) !== 0) return
      this.facts.failed++
      say(`no snapshot was written to ${path}: ${reasonOf(error)}`, 'error')
    }
  }

  private async take(path: string): Promise<SnapshotReport> {
    const { snapshotCas: hasCas, snapshotLevel: level } = this.options
    const { secret, cache } = this
    const holder = cache.newHolder()
    const pool = openTaskPool(1)
    const { shared } = this
    try {
      const task = { cache: cache.handle, holder, path, secret, hasCas, level, shared }
      return await pool.run('snapshot', task)
    } catch (error) {
      this.recover(holder)
      throw error
    } finally {
      await pool.close()
    }
  }

  private note({ records, fileBytes, leftOut }: SnapshotReport, tookMs: number, path: string) {
    Object.assign(this.facts, {
      written: this.facts.written + 1,
      lastMs: Date.now(),
      lastTookMs: tookMs,
      lastBytes: fileBytes,
      lastItems: records,
    })
    const seconds = (tookMs / 1000).toFixed(1)
    if (this.options.verbosity > 0) say(`snapshot of ${records} items in ${seconds} s: ${path}`)
    if (leftOut > 0) say(`the snapshot lacks ${leftOut} items that could not be held`, 'warn')
  }
}
