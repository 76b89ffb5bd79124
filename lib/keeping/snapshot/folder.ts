// A folder of snapshots: how they are called, which is the newest, which are old.
//
//   memslab-2026-11-30T03-00-00-000Z.snapshot      begun at that time, UTC

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const NAME = /^memslab-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z\.snapshot$/
const DAY_MS = 24 * 60 * 60 * 1000

/** Which snapshots are kept: this number, or those of this number of days. */
export type Keep = { count: number } | { days: number }

export function snapshotName(wallMs: number): string {
  return `memslab-${new Date(wallMs).toISOString().replaceAll(/[:.]/g, '-')}.snapshot`
}

/** Paths of the snapshots in a folder, the newest first. Throws Node's error. */
export function snapshotsIn(folder: string): string[] {
  const names = readdirSync(folder).filter(name => NAME.test(name))
  return names
    .sort()
    .reverse()
    .map(name => join(folder, name))
}

/** Removes the snapshots of a folder that are not kept. The newest always is. */
export function removeOld(folder: string, keep: Keep, nowMs = Date.now()): void {
  const [, ...older] = snapshotsIn(folder)
  const isOld = (path: string, index: number) =>
    'count' in keep ? index + 1 >= keep.count : nowMs - begunMs(path) > keep.days * DAY_MS
  for (const path of older.filter(isOld)) rmSync(path, { force: true })
}

function begunMs(path: string): number {
  const [, day, hours, minutes, seconds, ms] =
    NAME.exec(path.slice(path.lastIndexOf('/') + 1)) ?? []
  return Date.parse(`${day}T${hours}:${minutes}:${seconds}.${ms}Z`)
}
