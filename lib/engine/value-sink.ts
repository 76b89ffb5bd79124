// A sink for callers in process: copies one hit into their area.

import { Area } from '../bytes/area.ts'
import type { Arena } from './arena/arena.ts'
import { ITEM_META, type Ref, STATE_CLAIMED, STATE_STALE } from './arena/layout.ts'
import { casHighOf, casLowOf, expiryOf, itemFlags, readValue, valueBytesOf } from './items/item.ts'
import { Status } from './status.ts'
import type { HitSink } from './storing/ask.ts'

export class ValueSink implements HitSink {
  /** Where values are copied to, from its start. */
  area: Area
  /** Bytes of the last hit's value; after NO_ROOM the size that `area` must have. */
  length = 0
  /** Client flags of the last hit, unsigned 32 bits. */
  flags = 0
  /** CAS of the last hit, as the item's words. */
  casHigh = 0
  casLow = 0
  /** When the last hit expires, on the arena's clock; 0: never. */
  expiresAtS = 0
  /** The last hit is claimed or was invalidated: its value is to be made. */
  isPending = false

  constructor(bytes: number) {
    this.area = Area.allocate(bytes)
  }

  accept(arena: Arena, ref: Ref): Status {
    this.length = valueBytesOf(arena, ref)
    if (this.length > this.area.bytes.length) return Status.NO_ROOM
    this.flags = itemFlags(arena, ref)
    this.casHigh = casHighOf(arena, ref)
    this.casLow = casLowOf(arena, ref)
    this.expiresAtS = expiryOf(arena, ref)
    this.isPending = (arena.words[ref + ITEM_META] & (STATE_CLAIMED | STATE_STALE)) !== 0
    readValue(arena, ref, this.area, 0)
    return Status.OK
  }
}
