// Puts items of the past into a cache: from a snapshot, an image or another process. An item is
// stored only if nobody stored its key before, and, in a cache that clients use meanwhile, only if
// nobody changed or flushed it since the fill began (Mode.FILL). Room for it is made as for any
// other item, by eviction: so the coldest items have to come first.

import { type Area, copyBytes } from '../bytes/area.ts'
import * as L from '../engine/arena/layout.ts'
import type { Cache } from '../engine/cache.ts'
import { createPlace, rewind } from '../engine/items/place.ts'
import { prefetchIn } from '../engine/prefetch.ts'
import type { Shard } from '../engine/shard.ts'
import { Mode, Status } from '../engine/status.ts'
import { Ask } from '../engine/storing/ask.ts'
import { BATCHED_BYTES_MAX, FillBatch } from '../engine/storing/fill-batch.ts'

/** An item of the past, except for its value. One a thread, reused. */
export class PastItem {
  /** Its key. */
  area: Area
  keyStart = 0
  keyBytes = 0
  /** The key is shown in base64. */
  isKeyBinary = false
  valueBytes = 0
  /** Client flags, unsigned 32 bits. */
  flags = 0
  /** When it expires, on the clock of the cache; 0: never. */
  expiresAtS = 0
  /** The CAS that it keeps, 32-bit words; 0: the next one of its arena. */
  casHigh = 0
  casLow = 0
  /** How often it had been used, 0 to USES_MAX (engine/items/uses.ts). */
  uses = 0

  constructor(area: Area) {
    this.area = area
  }
}

/** The outcomes of a fill, by count. */
export interface Fills {
  filled: number
  expired: number
  /** Clients had stored, deleted or flushed it. */
  newer: number
  /** Too large for this cache, or no room. */
  refused: number
}

export function noFills(): Fills {
  return { filled: 0, expired: 0, newer: 0, refused: 0 }
}

/** The threads of one fill share where it began. */
export type FillStart = readonly number[]

/** The beginning of a fill: from now on the changes of clients win. */
export function beginFill({ shards }: Cache): FillStart {
  return shards.map(({ arena }) => Atomics.load(arena.words, L.FLUSHES))
}

export class Filler {
  private readonly fills = noFills()
  private readonly cache: Cache
  private readonly flushes: FillStart
  private readonly ask: Ask
  /** For an item of a batch that is stored alone. */
  private readonly again: Ask
  private readonly place = createPlace()
  private shard: Shard
  /** Items that wait, a batch for each arena; all are in one area. */
  private readonly batches: readonly FillBatch[]
  private batched: Area

  /** One a thread. */
  constructor(cache: Cache, start: FillStart, area: Area) {
    this.cache = cache
    this.flushes = start
    this.shard = cache.shards[0]
    this.ask = fillAsk(cache, area)
    this.again = fillAsk(cache, area)
    this.batches = start.map(flushes => new FillBatch(flushes, cache.changed))
    this.batched = area
  }

  /**
   * Stores an item whose complete value is at `start` of `value`: at once, or with others, which is
   * why key and value have to stay where they are until the area changes or `end`.
   */
  fill(item: PastItem, value: Area, start: number): void {
    if (!this.prepare(item)) return
    const { ask } = this
    const { area, keyStart, keyBytes, valueBytes } = item
    const index = this.cache.indexOf(ask.hash)
    const isBehind = value === area && start === keyStart + keyBytes
    if (!isBehind || keyBytes + valueBytes > BATCHED_BYTES_MAX) {
      this.store(index)
      ask.flushes = this.flushes[index]
      this.count(this.shard.store(ask, value, start))
      return
    }
    if (area !== this.batched) this.flush()
    this.batched = area
    if (this.batches[index].add(ask)) this.store(index)
  }

  /** Begins an item whose value comes in pieces; false: it is not wanted. */
  begin(item: PastItem): boolean {
    this.flush()
    if (!this.prepare(item)) return false
    this.ask.flushes = this.flushes[this.cache.indexOf(this.ask.hash)]
    const status = this.shard.begin(this.ask)
    if (status !== Status.OK) this.count(status)
    rewind(this.place, item.valueBytes)
    return status === Status.OK
  }

  /** The next piece of the value; false: there is no room for it, and the item is given up. */
  write(piece: Area, start: number, length: number): boolean {
    const { shard, ask, place } = this
    for (let done = 0; done < length; ) {
      if (place.start === place.end) {
        const status = shard.extend(ask, place)
        if (status !== Status.OK) {
          shard.giveUp(ask)
          this.count(status)
          return false
        }
      }
      const bytes = Math.min(place.end - place.start, length - done)
      copyBytes(piece, start + done, shard.arena.area, place.start, bytes)
      place.start += bytes
      done += bytes
    }
    return true
  }

  /** The value is complete. */
  commit(): void {
    this.count(this.shard.commit(this.ask))
  }

  /** Stores what waits. Returns what became of all items. */
  end(): Fills {
    this.flush()
    return this.fills
  }

  /** An item has expired, though its time is unknown. */
  leaveOut(): void {
    this.fills.expired++
  }

  private flush(): void {
    for (const index of this.batches.keys()) this.store(index)
  }

  /** Stores a batch: under one lock, except for items that room has to be made for. */
  private store(index: number): void {
    const batch = this.batches[index]
    if (batch.length === 0) return
    const { batched: area, again } = this
    const shard = this.cache.shards[index]
    prefetchIn(shard.arena, batch.hashes, batch.length)
    for (let next = shard.fill(batch, area, 0); next < batch.length; ) {
      const start = batch.recall(next, area, again)
      this.count(shard.store(again, area, start))
      next = shard.fill(batch, area, next + 1)
    }
    this.fills.filled += batch.filled
    this.fills.newer += batch.newer
    batch.clear()
  }

  private prepare(item: PastItem): boolean {
    const { ask, cache } = this
    const { area, keyStart, keyBytes, expiresAtS } = item
    const hash = cache.hash(area, keyStart, keyBytes)
    this.shard = cache.shardOf(hash)
    if (expiresAtS !== 0 && expiresAtS <= this.shard.nowS()) {
      this.fills.expired++
      return false
    }
    ask.setKey(area, keyStart, keyBytes, hash)
    ask.flags = item.flags
    ask.expiresAtS = expiresAtS
    ask.valueBytes = item.valueBytes
    ask.newCasHigh = item.casHigh
    ask.newCasLow = item.casLow
    ask.isKeyBinary = item.isKeyBinary
    ask.uses = item.uses
    return true
  }

  private count(status: Status): void {
    if (status === Status.OK) this.fills.filled++
    else if (status === Status.NOT_STORED) this.fills.newer++
    else this.fills.refused++
  }
}

function fillAsk({ changed }: Cache, area: Area): Ask {
  const ask = new Ask(area)
  ask.mode = Mode.FILL
  ask.isPlain = false
  ask.changed = changed
  return ask
}
