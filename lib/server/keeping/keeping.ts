// What a daemon keeps beyond its life, where its options ask for that: it restores its cache at the
// start, or while it serves, and writes snapshots.

import type { SnapshotFacts } from '../../admin/metrics/facts.ts'
import type { Cache } from '../../engine/cache.ts'
import { noteChanges } from '../../observe/journal.ts'
import type { LogHandle } from '../../observe/log-buffer.ts'
import type { Options } from '../../options/options.ts'
import { say } from '../system/log.ts'
import { Restore } from './restore.ts'
import { Snapshots } from './snapshots.ts'

export class Keeping {
  private readonly snapshots: Snapshots | null
  private readonly restore: Restore | null
  private restoring: Promise<void> | null = null

  private constructor(snapshots: Snapshots | null, restore: Restore | null) {
    this.snapshots = snapshots
    this.restore = restore
  }

  /**
   * Restores the cache, unless it is to serve meanwhile. Rejects with StartError for what the
   * options need and is not there.
   */
  static async open(options: Options, cache: Cache): Promise<Keeping> {
    const { restorePath, restoreServing, restoreRequired, snapshotDir } = options
    const recover = (holder: number) => {
      const emptied = cache.recover(holder)
      if (emptied > 0) say(`${emptied} torn arena(s) emptied`, 'error')
    }
    const restore = restorePath === undefined ? null : new Restore(options, cache, recover)
    try {
      if (!restoreServing || restoreRequired) await restore?.find()
      if (!restoreServing) await restore?.run()
    } catch (error) {
      await restore?.close()
      throw error
    }
    const snapshots = snapshotDir === undefined ? null : new Snapshots(options, cache, recover)
    if (restoreServing) return new Keeping(snapshots, restore)
    await restore?.close()
    // What was restored is no traffic.
    if (restore !== null) for (const shard of cache.shards) shard.resetStats()
    return new Keeping(snapshots, null)
  }

  /**
   * Clients are served from now on: begins the schedule, and to restore. What they change wins.
   */
  serve(log: LogHandle): void {
    const { restore } = this
    this.snapshots?.start()
    if (restore === null) return
    noteChanges(log, true)
    const run = async () => {
      if (!restore.hasFound) await restore.find()
      await restore.run()
      noteChanges(log, false)
      await restore.close()
      this.restoring = null
    }
    // `find` rejects only where a snapshot is required, and was found before.
    this.restoring = run()
  }

  /** How long `close` may take, ms; undefined: not long. */
  get closeMsMax(): number | undefined {
    return this.snapshots?.closeMsMax
  }

  /** Share of the restore that is done; null: none is under way. */
  restored(): number | null {
    return this.restoring === null ? null : (this.restore?.progress() ?? null)
  }

  facts(): SnapshotFacts | null {
    return this.snapshots?.facts ?? null
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.restore?.stop()
    await Promise.all([this.restoring, this.snapshots?.stop()])
  }

  /** The same. Then writes the last snapshot, if that is wanted. */
  async close(): Promise<void> {
    await this.stop()
    await this.snapshots?.writeLast()
  }
}
