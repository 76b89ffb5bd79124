// The facts of an item at one moment, for watchers.

import { Area, copyBytes } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import type { Arena } from '../engine/arena/arena.ts'
import {
  classOf,
  expiryOf,
  keyAt,
  keyBytesOf,
  type Ref,
  ttlOf,
  valueBytesOf,
} from '../engine/items/item.ts'
import { isExpired, isFlushed } from '../engine/items/links.ts'
import { Status } from '../engine/status.ts'
import type { HitSink } from '../engine/storing/ask.ts'

/** The result of a lookup, as in log lines. */
export const Found = { NOT_FOUND: 0, FOUND: 1, FLUSHED: 2, EXPIRED: 3 } as const

export class Glance implements HitSink {
  /** A value of Found; the other facts count only if it is not NOT_FOUND. */
  found = 0
  classId = 0
  valueBytes = 0
  /** Seconds until it expires; 0: never. */
  ttlS = 0
  readonly key = Area.allocate(KEY_BYTES_MAX)
  keyBytes = 0

  clear(): void {
    this.found = Found.NOT_FOUND
    this.set(0, 0, 0)
  }

  set(classId: number, valueBytes: number, ttlS: number): void {
    this.classId = classId
    this.valueBytes = valueBytes
    this.ttlS = ttlS
  }

  accept(arena: Arena, ref: Ref): Status {
    this.keyBytes = keyBytesOf(arena, ref)
    copyBytes(arena.area, keyAt(arena, ref), this.key, 0, this.keyBytes)
    this.found = Found.FOUND
    if (isFlushed(arena, ref)) this.found = Found.FLUSHED
    else if (isExpired(arena, ref)) this.found = Found.EXPIRED
    const ttlS = expiryOf(arena, ref) === 0 ? 0 : ttlOf(arena, ref)
    this.set(classOf(arena, ref), valueBytesOf(arena, ref), ttlS)
    return Status.OK
  }
}
