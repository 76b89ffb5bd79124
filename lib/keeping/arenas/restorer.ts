// Puts the records of a snapshot into a cache. The cache may have another size, another number of
// arenas and other slab classes: each item is stored as if it came from a client, the coldest
// first, so that what does not fit is what would have been evicted.
//
// The times of records are those of the machine that wrote them. They count from the moment when
// the snapshot began; how long ago that was is found out once, before the restore (moment.ts).

import type { Area } from '../../bytes/area.ts'
import { CAS_HIGH } from '../../engine/arena/layout.ts'
import type { Cache } from '../../engine/cache.ts'
import { Filler, type FillStart, type Fills, PastItem } from '../fill.ts'
import type { RecordSink, SnapshotReader, Unit } from '../snapshot/reader.ts'
import type { RecordHead } from '../snapshot/records.ts'

/** What the threads of a restore share. Fit for postMessage. */
export interface RestoreStart {
  fills: FillStart
  /** Added to a time of the snapshot, it is one of the cache's clock. Null: nobody knows. */
  clockOffsetS: number | null
}

export class Restorer implements RecordSink {
  private readonly filler: Filler
  private readonly clockOffsetS: number | null
  private readonly item: PastItem
  private isGivenUp = false

  constructor(cache: Cache, { fills, clockOffsetS }: RestoreStart, area: Area) {
    this.filler = new Filler(cache, fills, area)
    this.clockOffsetS = clockOffsetS
    this.item = new PastItem(area)
  }

  take(head: RecordHead, payload: Area, keyAt: number, valueAt: number): void {
    if (this.describe(head, payload, keyAt)) this.filler.fill(this.item, payload, valueAt)
  }

  begin(head: RecordHead, payload: Area, keyAt: number): boolean {
    this.isGivenUp = false
    return this.describe(head, payload, keyAt) && this.filler.begin(this.item)
  }

  more(payload: Area, start: number, length: number): void {
    if (!this.isGivenUp) this.isGivenUp = !this.filler.write(payload, start, length)
  }

  end(): void {
    if (!this.isGivenUp) this.filler.commit()
  }

  /** After the last record: stores what waits. Returns what became of all records. */
  finish(): Fills {
    return this.filler.end()
  }

  /** False: it has expired. */
  private describe(head: RecordHead, area: Area, keyAt: number): boolean {
    const { item, clockOffsetS } = this
    if (head.expiresAtS !== 0 && clockOffsetS === null) {
      this.filler.leaveOut()
      return false
    }
    item.area = area
    item.keyStart = keyAt
    item.keyBytes = head.keyBytes
    item.isKeyBinary = head.isKeyBinary
    item.valueBytes = head.valueBytes
    item.flags = head.flags
    // A time before the start of the cache is past too; 0 would be never.
    item.expiresAtS = head.expiresAtS === 0 ? 0 : Math.max(1, head.expiresAtS + (clockOffsetS ?? 0))
    item.casHigh = head.casHigh
    item.casLow = head.casLow
    item.uses = head.uses
    return true
  }
}

/**
 * What turns times of a snapshot into those of the cache's clock, `elapsedS` seconds after it
 * began; null: unknown.
 */
export function clockOffsetOf(
  { header }: SnapshotReader,
  { nowS }: Cache,
  elapsedS: number | null,
): number | null {
  const begunS = Math.floor(header.begun.wallMs / 1000)
  return elapsedS === null ? null : nowS - elapsedS - begunS
}

/** The units in the order in which they are restored: without evictions the first ones stay. */
export function restoreOrder(reader: SnapshotReader, cache: Cache): Unit[] {
  return reader.ordered(!cache.evicts())
}

/** Lets the numbers of new versions begin above those that a snapshot has. Before clients come. */
export function raiseCas({ totals }: SnapshotReader, { shards }: Cache): void {
  for (const { arena } of shards) {
    const { words } = arena
    if (words[CAS_HIGH] <= totals.casHigh) words[CAS_HIGH] = totals.casHigh + 1
  }
}
