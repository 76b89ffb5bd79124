// Takes a snapshot of a cache while others use it, as a series of pieces: the header, blocks, the
// trailer. A step copies some items under the lock of one arena. All else, as encoding, happens
// without it. The walk is by the hash table, so every key that is there during the whole of it is
// in the snapshot, with a value that it had at some moment of it (engine/items/walk.ts).
//
// Items are copied into the buffer of their band: those that were used about equally long ago. So
// a restore can begin with the coldest, and what does not fit is what would have been evicted. A
// long value is held and copied without the lock.
//
// Left out are items that are stale or claimed: a client is about to make their value.

import { Area, copyBytes } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import type { Arena } from '../../engine/arena/arena.ts'
import type { Ref } from '../../engine/arena/layout.ts'
import * as L from '../../engine/arena/layout.ts'
import type { Cache } from '../../engine/cache.ts'
import { type Hold, heldRef } from '../../engine/items/holds.ts'
import {
  casHighOf,
  casLowOf,
  expiryOf,
  isKeyBinary,
  itemFlags,
  itemTotalBytes,
  keyAt,
  keyBytesOf,
  readValue,
  valueBytesOf,
} from '../../engine/items/item.ts'
import { createPlace, nextPlace, rewind } from '../../engine/items/place.ts'
import { holdToSend } from '../../engine/items/shares.ts'
import { touchedAtS, usesOf } from '../../engine/items/uses.ts'
import { type ItemSink, tableCursor, Walked } from '../../engine/items/walk.ts'
import type { Shard } from '../../engine/shard.ts'
import { BlockEncoder, type Content } from '../snapshot/blocks.ts'
import { writeHeader } from '../snapshot/header.ts'
import { BANDS, Kind, PAYLOAD_BYTES_MAX } from '../snapshot/layout.ts'
import { momentNow } from '../snapshot/moment.ts'
import { bandOf, headBytes, putHead, RecordHead } from '../snapshot/records.ts'

/** Longest value that is copied under the lock, a few microseconds; others are held. */
const COPIED_BYTES_MAX = 8 * KIB

/** While peers hold all that can be held, a value waits for so many steps, with a pause in each. */
const HOLD_TRIES_MAX = 500
const HOLD_PAUSE_MS = 2

const NO_BAND = -1
const NOTHING = Buffer.alloc(0)

export interface TakeOptions {
  /** Records have the CAS of their items. */
  hasCas: boolean
  /** Seals the file; null: it is not sealed. */
  secret: Buffer | null
  /** Of zstd, 0 for none. */
  level: number
}

/** Records that wait for the block of their band. */
interface Band {
  area: Area
  length: number
  records: number
}

export class Taker implements ItemSink {
  records = 0
  itemBytes = 0
  /** Items left out because peers held all that can be held. */
  leftOut = 0
  /** How long the next step should wait. */
  pauseMs = 0
  readonly begun = momentNow()
  private readonly cache: Cache
  private readonly hasCas: boolean
  private readonly opening: Buffer
  private readonly encoder: BlockEncoder
  /** Of the cache, when the snapshot began. */
  private readonly begunAtS: number
  private readonly bands: Band[] = Array.from({ length: BANDS }, openBand)
  /** For the blocks of a long item; always of length 0. */
  private readonly span = openBand()
  private readonly head = new RecordHead()
  private readonly hold: Hold = { slot: 0, generation: 0 }
  private readonly place = createPlace()
  private readonly cursor = tableCursor()
  private shard = 0
  /** Where the held item is. */
  private heldIn: Shard
  private holdTries = 0
  /** The band whose buffer has no room for the next item. */
  private fullBand = NO_BAND
  /** A long item is held, and its head is in `head`. */
  private isHolding = false
  /** Some of its value is in blocks of its own. */
  private isSpanning = false
  private state: 'header' | 'items' | 'bands' | 'ended' = 'header'

  constructor(cache: Cache, options: TakeOptions) {
    this.cache = cache
    this.heldIn = cache.shards[0]
    this.begunAtS = cache.nowS
    this.hasCas = options.hasCas
    const { bytes, seal } = writeHeader(this.begun, options.hasCas, options.secret)
    this.opening = bytes
    this.encoder = new BlockEncoder(seal, options.level)
  }

  /**
   * Does one bounded step. Returns the next piece, which is valid until the next step, empty if
   * there is none yet; null at the end.
   */
  step(): Buffer | null {
    switch (this.state) {
      case 'header':
        this.state = 'items'
        return this.opening
      case 'items':
        return this.stepItems()
      case 'bands':
        return this.stepBands()
      default:
        return null
    }
  }

  /** Releases what it holds, if it is given up. */
  close(): void {
    if (this.isHolding) this.release()
    this.state = 'ended'
  }

  /** Copies an item, under the lock. */
  take(arena: Arena, ref: Ref): boolean {
    if (this.isHolding) return false
    if ((arena.words[ref + L.ITEM_META] & (L.STATE_STALE | L.STATE_CLAIMED)) !== 0) return true
    const { head } = this
    this.describe(arena, ref)
    if (head.valueBytes > COPIED_BYTES_MAX) return this.takeHold(arena, ref)
    const number = bandOf(head.idleS)
    const band = this.roomIn(number)
    if (band === null) return false
    const valueAt = this.put(band, arena, ref)
    readValue(arena, ref, band.area, valueAt)
    band.length = valueAt + head.valueBytes
    this.count(band)
    return true
  }

  /** Holds the item of `head`; false: later. */
  private takeHold(arena: Arena, ref: Ref): boolean {
    this.isHolding = holdToSend(arena, ref, (itemTotalBytes(arena, ref) + 3) >> 2, this.hold)
    this.heldIn = this.cache.shards[this.shard]
    if (!this.isHolding && this.holdTries++ < HOLD_TRIES_MAX) {
      this.pauseMs = HOLD_PAUSE_MS
      return false
    }
    if (!this.isHolding) this.leftOut++
    this.holdTries = 0
    return true
  }

  private stepItems(): Buffer {
    if (this.fullBand !== NO_BAND) {
      const piece = this.emit(this.fullBand)
      this.fullBand = NO_BAND
      return piece
    }
    if (this.isHolding) return this.stepHeld()
    const { shards } = this.cache
    if (this.shard === shards.length) {
      this.state = 'bands'
      return NOTHING
    }
    this.pauseMs = 0
    if (shards[this.shard].walkTable(this.cursor, this) === Walked.ALL) {
      this.cursor.bucket = 0
      this.shard++
    }
    return NOTHING
  }

  /** The rest of each band, the coldest first, and then the trailer. */
  private stepBands(): Buffer {
    const left = this.bands.findIndex(({ length }) => length > 0)
    if (left >= 0) return this.emit(left)
    this.state = 'ended'
    const { records, itemBytes } = this
    const casHigh = Math.max(...this.cache.shards.map(({ arena }) => arena.words[L.CAS_HIGH]))
    return this.encoder.trailer({ records, itemBytes, endedMs: Date.now(), casHigh })
  }

  /** A step with the held item: its record, or a part of it. */
  private stepHeld(): Buffer {
    const { head, place } = this
    const { arena } = this.heldIn
    const ref = heldRef(arena, this.hold.slot)
    if (this.isSpanning) return this.stepSpanning(arena, ref)
    rewind(place, head.valueBytes)
    if (headBytes(this.hasCas) + head.keyBytes + head.valueBytes > PAYLOAD_BYTES_MAX) {
      this.isSpanning = true
      const { area } = this.span
      const valueAt = this.put(this.span, arena, ref)
      const end = this.readPlace(arena, ref, area, valueAt)
      this.records++
      this.itemBytes += head.keyBytes + head.valueBytes
      return this.block(Kind.LONG, 1, area.bytes.subarray(0, end))
    }
    const band = this.roomIn(bandOf(head.idleS))
    if (band === null) return NOTHING
    const valueAt = this.put(band, arena, ref)
    band.length = this.readPlace(arena, ref, band.area, valueAt)
    this.count(band)
    this.release()
    return NOTHING
  }

  private stepSpanning(arena: Arena, ref: Ref): Buffer {
    const { area } = this.span
    const end = this.readPlace(arena, ref, area, 0)
    if (end > 0) return this.block(Kind.MORE, 0, area.bytes.subarray(0, end))
    this.isSpanning = false
    this.release()
    return NOTHING
  }

  /** Reads the held value on, into `area` from `at` to its end. Returns how far. */
  private readPlace(arena: Arena, ref: Ref, area: Area, at: number): number {
    const { place } = this
    const end = area.bytes.length
    let to = at
    while (to < end) {
      if (place.start === place.end && !nextPlace(arena, ref, place)) break
      const bytes = Math.min(end - to, place.end - place.start)
      copyBytes(arena.area, place.start, area, to, bytes)
      place.start += bytes
      to += bytes
    }
    return to
  }

  /** Reads what a record says of an item into `head`. */
  private describe(arena: Arena, ref: Ref): void {
    const { head, begunAtS } = this
    head.keyBytes = keyBytesOf(arena, ref)
    head.isKeyBinary = isKeyBinary(arena, ref)
    head.uses = usesOf(arena.words, ref)
    head.flags = itemFlags(arena, ref)
    head.valueBytes = valueBytesOf(arena, ref)
    head.idleS = Math.max(0, begunAtS - touchedAtS(arena.words, ref))
    head.expiresAtS = this.wallOf(endOf(arena, ref))
    head.casHigh = casHighOf(arena, ref)
    head.casLow = casLowOf(arena, ref)
  }

  /** A time of the cache's clock as Unix time; 0: never. */
  private wallOf(atS: number): number {
    return atS === 0 ? 0 : Math.floor(this.begun.wallMs / 1000) + atS - this.begunAtS
  }

  /** Writes head and key of an item behind the records of a band. Returns where its value goes. */
  private put(band: Band, arena: Arena, ref: Ref): number {
    const to = putHead(band.area, band.length, this.head, this.hasCas)
    copyBytes(arena.area, keyAt(arena, ref), band.area, to, this.head.keyBytes)
    return to + this.head.keyBytes
  }

  private count(band: Band): void {
    band.records++
    this.records++
    this.itemBytes += this.head.keyBytes + this.head.valueBytes
  }

  /** The band, if it has room for the record of `head`. Otherwise it is full. */
  private roomIn(number: number): Band | null {
    const { head } = this
    const bytes = headBytes(this.hasCas) + head.keyBytes + head.valueBytes
    const band = this.bands[number]
    if (band.length + bytes <= PAYLOAD_BYTES_MAX) return band
    this.fullBand = number
    return null
  }

  private emit(number: number): Buffer {
    const band = this.bands[number]
    const payload = band.area.bytes.subarray(0, band.length)
    const content: Content = { kind: Kind.RECORDS, band: number, records: band.records, payload }
    band.length = 0
    band.records = 0
    return this.encoder.encode(content)
  }

  private block(kind: Kind, records: number, payload: Buffer): Buffer {
    return this.encoder.encode({ kind, band: bandOf(this.head.idleS), records, payload })
  }

  private release(): void {
    this.heldIn.release(this.hold)
    this.isHolding = false
  }
}

function openBand(): Band {
  return { area: Area.allocate(PAYLOAD_BYTES_MAX), length: 0, records: 0 }
}

/** When an item expires or is flushed, on the arena's clock; 0: never. */
function endOf(arena: Arena, ref: Ref): number {
  const flushAtS = arena.words[L.FLUSH_AT_S]
  const expiresAtS = expiryOf(arena, ref)
  if (flushAtS === 0) return expiresAtS
  return expiresAtS === 0 ? flushAtS : Math.min(expiresAtS, flushAtS)
}
