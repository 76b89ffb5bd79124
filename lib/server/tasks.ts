// The tasks of threads that write or read snapshots (workers/keeping.ts), and how the main thread
// runs them. Each has a thread of its own for as long as it takes.

import type { CacheHandle } from '../engine/cache.ts'
import type { RestoreStart } from '../keeping/arenas/restorer.ts'
import type { Fills } from '../keeping/fill.ts'

/** Words that a task shares with the main thread: not 0 to stop it; the next unit to read. */
export const Shared = { STOP: 0, NEXT: 1, WORDS: 2 } as const

export type SharedWords = Int32Array<SharedArrayBuffer>

export function sharedWords(): SharedWords {
  return new Int32Array(new SharedArrayBuffer(Shared.WORDS * 4))
}

/** Writes a snapshot. Rejects with why it could not, and leaves no file then. */
export interface SnapshotTask {
  cache: CacheHandle
  /** Its id for locks and holds. */
  holder: number
  path: string
  secret: Uint8Array | null
  hasCas: boolean
  level: number
  shared: SharedWords
}

export interface SnapshotReport {
  records: number
  itemBytes: number
  fileBytes: number
  /** Items that could not be held. */
  leftOut: number
}

/** Verifies units of an open file. Returns the number of records. */
export interface VerifyTask {
  fd: number
  secret: Uint8Array | null
  shared: SharedWords
}

/** Restores units of an open file that was verified. */
export interface RestoreTask extends VerifyTask {
  cache: CacheHandle
  holder: number
  start: RestoreStart
}

export interface Tasks {
  snapshot(task: SnapshotTask): Promise<SnapshotReport>
  verify(task: VerifyTask): Promise<number>
  restore(task: RestoreTask): Promise<Fills>
}

/** Threads for such tasks, which end with it. */
export interface TaskPool {
  run<Name extends keyof Tasks>(
    name: Name,
    task: Parameters<Tasks[Name]>[0],
  ): ReturnType<Tasks[Name]>
  close(): Promise<void>
}

/** Why a task rejects that the main thread has stopped. */
export const STOPPED = 'it was stopped'
