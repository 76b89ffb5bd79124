// Long values of a reply, which are sent from their arenas. Each has an offset in the reply buffer,
// before which it is sent, and is held until the sender of the reply releases it.

import type { Area } from '../bytes/area.ts'
import type { Hold } from '../engine/items/holds.ts'
import type { Shard } from '../engine/shard.ts'
import { INSERTS_BYTES_MAX, INSERTS_MAX } from './limits.ts'

interface Keep {
  shard: Shard | null
  readonly hold: Hold
  offset: number
}

export class Inserts {
  count = 0
  bytes = 0
  /** For each insert: its offset in the reply buffer, its area, and its start there. */
  readonly offsets = new Int32Array(INSERTS_MAX)
  readonly areas: (Area | null)[] = new Array(INSERTS_MAX).fill(null)
  readonly starts = new Int32Array(INSERTS_MAX)
  readonly lengths = new Int32Array(INSERTS_MAX)
  private keepCount = 0
  /** Holds, reused. */
  private readonly keeps: Keep[] = []

  /** Bytes that may still be inserted. */
  room(): number {
    return this.count < INSERTS_MAX ? INSERTS_BYTES_MAX - this.bytes : 0
  }

  add(offset: number, area: Area, start: number, length: number): void {
    const at = this.count++
    this.offsets[at] = offset
    this.areas[at] = area
    this.starts[at] = start
    this.lengths[at] = length
    this.bytes += length
  }

  /** Takes over the hold of the last insert. */
  keep(shard: Shard, { slot, generation }: Hold): void {
    const at = this.keepCount++
    this.keeps[at] ??= { shard: null, hold: { slot: 0, generation: 0 }, offset: 0 }
    const keep = this.keeps[at]
    keep.shard = shard
    keep.hold.slot = slot
    keep.hold.generation = generation
    keep.offset = this.offsets[this.count - 1]
  }

  /** Removes the inserts after `offset`. */
  cut(offset: number): void {
    while (this.count > 0 && this.offsets[this.count - 1] > offset) {
      this.bytes -= this.lengths[--this.count]
      this.areas[this.count] = null
    }
    while (this.keepCount > 0 && this.keeps[this.keepCount - 1].offset > offset) this.release()
  }

  /** Releases all inserts: the reply was sent, or never will be. */
  clear(): void {
    for (let i = 0; i < this.count; i++) this.areas[i] = null
    this.count = 0
    this.bytes = 0
    while (this.keepCount > 0) this.release()
  }

  private release(): void {
    const keep = this.keeps[--this.keepCount]
    keep.shard?.release(keep.hold)
    keep.shard = null
  }
}
