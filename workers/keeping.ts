// The tasks of threads that write or read snapshots: one piscina task each.

import { Area } from '../lib/bytes/area.ts'
import { Cache } from '../lib/engine/cache.ts'
import { Restorer, restoreOrder } from '../lib/keeping/arenas/restorer.ts'
import { Taker } from '../lib/keeping/arenas/taker.ts'
import type { Fills } from '../lib/keeping/fill.ts'
import { AsideFile } from '../lib/keeping/snapshot/aside-file.ts'
import { SnapshotReader, type Unit } from '../lib/keeping/snapshot/reader.ts'
import {
  type RestoreTask,
  Shared,
  type SharedWords,
  type SnapshotReport,
  type SnapshotTask,
  STOPPED,
  type VerifyTask,
} from '../lib/server/tasks.ts'

export function snapshot(task: SnapshotTask): SnapshotReport {
  const taker = new Taker(Cache.attach(task.cache, task.holder), {
    hasCas: task.hasCas,
    secret: secretOf(task.secret),
    level: task.level,
  })
  try {
    const file = new AsideFile(task.path)
    try {
      writeAll(taker, file, task.shared)
      file.commit()
    } catch (error) {
      file.abandon()
      throw error
    }
    const { records, itemBytes, leftOut } = taker
    return { records, itemBytes, leftOut, fileBytes: file.bytes }
  } finally {
    // A thread that ends must hold nothing.
    taker.close()
  }
}

export function verify({ fd, secret, shared }: VerifyTask): number {
  const reader = new SnapshotReader(fd, secretOf(secret))
  let records = 0
  for (const unit of unitsFor(reader.units, shared)) records += reader.verify(unit)
  return records
}

export function restore({ fd, secret, shared, cache: handle, holder, start }: RestoreTask): Fills {
  const cache = Cache.attach(handle, holder)
  const reader = new SnapshotReader(fd, secretOf(secret))
  const restorer = new Restorer(cache, start, Area.allocate(1))
  for (const unit of unitsFor(restoreOrder(reader, cache), shared)) reader.read(unit, restorer)
  return restorer.finish()
}

function writeAll(taker: Taker, file: AsideFile, shared: SharedWords): void {
  for (;;) {
    if (Atomics.load(shared, Shared.STOP) !== 0) throw new Error(STOPPED)
    const piece = taker.step()
    if (piece === null) return
    if (piece.length > 0) file.write(piece)
    else if (taker.pauseMs > 0) Atomics.wait(shared, Shared.STOP, 0, taker.pauseMs)
  }
}

/** Those units that no other thread takes. */
function* unitsFor(units: readonly Unit[], shared: SharedWords): Generator<Unit> {
  for (;;) {
    if (Atomics.load(shared, Shared.STOP) !== 0) throw new Error(STOPPED)
    const next = Atomics.add(shared, Shared.NEXT, 1)
    if (next >= units.length) return
    yield units[next]
  }
}

/** A secret that came as a message. */
function secretOf(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes)
}
