// One item with all that an operator may ask about it: a sink that reads it under the lock, and
// neither counts nor moves it.

import { Area } from '../../bytes/area.ts'
import type { Arena } from '../../engine/arena/arena.ts'
import * as L from '../../engine/arena/layout.ts'
import {
  casHighOf,
  casLowOf,
  classOf,
  expiryOf,
  idleS,
  itemFlags,
  itemTotalBytes,
  type Ref,
  readStart,
  ttlOf,
  valueBytesOf,
  wasFetched,
} from '../../engine/items/item.ts'
import { isExpired, isFlushed } from '../../engine/items/links.ts'
import { Status } from '../../engine/status.ts'
import type { HitSink } from '../../engine/storing/ask.ts'

const LISTS = { [L.LIST_HOT]: 'hot', [L.LIST_WARM]: 'warm', [L.LIST_COLD]: 'cold' } as const
const TEMPORARY = 'temp'

export interface ItemReport {
  state: 'found' | 'expired' | 'flushed'
  valueBytes: number
  /** With header and key. */
  totalBytes: number
  flags: number
  cas: bigint
  classId: number
  /** The list of its class: hot, warm, cold or temp. */
  list: string
  /** -1: it never expires. */
  ttlS: number
  idleS: number
  wasFetched: boolean
  isStale: boolean
  isClaimed: boolean
  /** The start of the value; empty if it was not asked for. */
  value: Buffer
}

export class ItemSink implements HitSink {
  /** Null: there is no item. */
  report: ItemReport | null = null
  private readonly start: Area

  /** `valueBytes`: how much of the value is read. */
  constructor(valueBytes: number) {
    this.start = Area.allocate(valueBytes)
  }

  accept(arena: Arena, ref: Ref): Status {
    const meta = arena.words[ref + L.ITEM_META]
    const length = readStart(arena, ref, this.start)
    this.report = {
      state: isFlushed(arena, ref) ? 'flushed' : isExpired(arena, ref) ? 'expired' : 'found',
      valueBytes: valueBytesOf(arena, ref),
      totalBytes: itemTotalBytes(arena, ref),
      flags: itemFlags(arena, ref),
      cas: (BigInt(casHighOf(arena, ref) >>> 0) << 32n) | BigInt(casLowOf(arena, ref) >>> 0),
      classId: classOf(arena, ref),
      list: LISTS[L.metaList(meta) as keyof typeof LISTS] ?? TEMPORARY,
      ttlS: expiryOf(arena, ref) === 0 ? -1 : ttlOf(arena, ref),
      idleS: idleS(arena, ref),
      wasFetched: wasFetched(arena, ref),
      isStale: (meta & L.STATE_STALE) !== 0,
      isClaimed: (meta & L.STATE_CLAIMED) !== 0,
      value: Buffer.from(this.start.bytes.subarray(0, length)),
    }
    return Status.OK
  }
}
