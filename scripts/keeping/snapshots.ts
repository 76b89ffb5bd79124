// Snapshots and restores of one cache, timed. Times of locks are less what the thread waited for a
// core (latency/timed-lock.ts, which takes the place of the lock).

import { randomBytes } from 'node:crypto'
import { closeSync, openSync, statSync } from 'node:fs'
import { Area } from '../../lib/bytes/area.ts'
import { MIB } from '../../lib/bytes/units.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Status } from '../../lib/engine/status.ts'
import { Ask } from '../../lib/engine/storing/ask.ts'
import { clockOffsetOf, Restorer, restoreOrder } from '../../lib/keeping/arenas/restorer.ts'
import { Taker } from '../../lib/keeping/arenas/taker.ts'
import { beginFill } from '../../lib/keeping/fill.ts'
import { AsideFile } from '../../lib/keeping/snapshot/aside-file.ts'
import { SnapshotReader, verifySnapshot } from '../../lib/keeping/snapshot/reader.ts'
import { holds } from '../latency/timed-lock.ts'

export const HEAD = ['what', 'seconds', 'longest lock hold ms', 'p99.9 hold us', 'file MiB']

const KEY_BYTES = 24
/** Values are cut out of this, half of it random. */
const POOL_BYTES = MIB
const SHARDS = 2
/** The least of each column counts: noise of the machine differs between rounds. */
const ROUNDS = 3

interface Round {
  seconds: number
  longestMs: number
  p999Us: number
}

/** Rows of the table, for values of one size, `mib` MiB of them. */
export function measureSnapshots(folder: string, mib: number, valueBytes: number): string[][] {
  const items = Math.floor((mib * MIB) / valueBytes)
  const memoryBytes = Math.ceil(items * (valueBytes + KEY_BYTES + 60) * 1.1) + 64 * MIB
  const cache = Cache.create({ memoryBytes, shards: SHARDS, eviction: 'worth' })
  const path = `${folder}/it`
  const time = (name: string, run: () => void) => {
    const rounds = Array.from({ length: ROUNDS }, () => timed(run))
    const least = (field: keyof Round) => Math.min(...rounds.map(round => round[field]))
    const times = [least('seconds').toFixed(2), least('longestMs').toFixed(3)]
    const row = [
      `${name}, ${valueBytes} bytes`,
      ...times,
      least('p999Us').toFixed(0),
      fileMib(path),
    ]
    console.log(row.join('  '))
    return row
  }
  fill(cache, items, valueBytes)
  const restored = () => {
    const other = Cache.create({ memoryBytes, shards: SHARDS + 1, eviction: 'worth' })
    restore(path, other)
    const back = other.itemCount()
    if (back < items * 0.99) throw new Error(`${back} of ${items} are back`)
  }
  return [
    time('snapshot, level 0', () => take(cache, path, 0)),
    time('snapshot, level 1', () => take(cache, path, 1)),
    time('verify', () => verifySnapshot(path, null)),
    time('restore, after it', restored),
  ]
}

function timed(run: () => void): Round {
  holds.clear()
  const startMs = performance.now()
  run()
  const seconds = (performance.now() - startMs) / 1000
  return { seconds, longestMs: holds.longestMs, p999Us: holds.percentileMs(99.9) * 1000 }
}

function fill(cache: Cache, items: number, valueBytes: number): void {
  const pool = new Area(Buffer.alloc(POOL_BYTES + valueBytes, 'some text that compresses '))
  for (let at = 0; at < POOL_BYTES; at += 64) randomBytes(32).copy(pool.bytes, at)
  const key = Area.allocate(KEY_BYTES)
  key.bytes.fill('k')
  const ask = new Ask(key)
  for (let i = 0; i < items; i++) {
    key.view.setFloat64(0, i)
    ask.setKey(key, 0, KEY_BYTES, cache.hash(key, 0, KEY_BYTES))
    ask.valueBytes = valueBytes
    const status = cache.shardOf(ask.hash).store(ask, pool, (i * 61) % POOL_BYTES)
    if (status !== Status.OK) throw new Error('a store was refused')
  }
}

function take(cache: Cache, path: string, level: number): void {
  const taker = new Taker(cache, { hasCas: false, secret: null, level })
  const file = new AsideFile(path)
  for (let piece = taker.step(); piece !== null; piece = taker.step()) file.write(piece)
  file.commit()
}

function restore(path: string, cache: Cache): void {
  const fd = openSync(path, 'r')
  const reader = new SnapshotReader(fd, null)
  cache.reserve(reader.totals.records, reader.totals.itemBytes / reader.totals.records)
  const start = { fills: beginFill(cache), clockOffsetS: clockOffsetOf(reader, cache, 0) }
  const restorer = new Restorer(cache, start, Area.allocate(1))
  for (const unit of restoreOrder(reader, cache)) reader.read(unit, restorer)
  restorer.finish()
  closeSync(fd)
}

function fileMib(path: string): string {
  return (statSync(path).size / MIB).toFixed(0)
}
