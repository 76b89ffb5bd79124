/** Snapshots of a cache in this process, taken, read and restored step by step. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { Area } from '../../lib/bytes/area.ts'
import type { Cache } from '../../lib/engine/cache.ts'
import {
  clockOffsetOf,
  Restorer,
  raiseCas,
  restoreOrder,
} from '../../lib/keeping/arenas/restorer.ts'
import { type TakeOptions, Taker } from '../../lib/keeping/arenas/taker.ts'
import { beginFill, type Fills } from '../../lib/keeping/fill.ts'
import { momentNow, secondsBetween } from '../../lib/keeping/snapshot/moment.ts'
import { SnapshotReader, verifySnapshot } from '../../lib/keeping/snapshot/reader.ts'

const PLAIN: TakeOptions = { hasCas: false, secret: null, level: 1 }

/** Takes a snapshot; `between` is called before each step. */
export function takeSnapshot(
  cache: Cache,
  options: Partial<TakeOptions> = {},
  between: () => void = () => {},
): Buffer {
  const taker = new Taker(cache, { ...PLAIN, ...options })
  const pieces: Buffer[] = []
  for (;;) {
    between()
    const piece = taker.step()
    if (piece === null) return Buffer.concat(pieces)
    pieces.push(Buffer.from(piece))
  }
}

/** Verifies a file, then restores it. Throws Unsound. `now`: when it is restored. */
export function restoreFile(
  path: string,
  cache: Cache,
  secret: Buffer | null = null,
  now = momentNow(),
): Fills {
  verifySnapshot(path, secret)
  const fd = openSync(path, 'r')
  const reader = new SnapshotReader(fd, secret)
  raiseCas(reader, cache)
  const { records, itemBytes } = reader.totals
  if (records > 0) cache.reserve(records, itemBytes / records)
  const elapsedS = secondsBetween(reader.header.begun, now)
  const start = { fills: beginFill(cache), clockOffsetS: clockOffsetOf(reader, cache, elapsedS) }
  const restorer = new Restorer(cache, start, Area.allocate(1))
  for (const unit of restoreOrder(reader, cache)) reader.read(unit, restorer)
  closeSync(fd)
  return restorer.finish()
}

export function restoreBytes(
  folder: string,
  bytes: Buffer,
  cache: Cache,
  secret: Buffer | null = null,
): Fills {
  const path = `${folder}/restored.snapshot`
  writeFileSync(path, bytes)
  return restoreFile(path, cache, secret)
}
