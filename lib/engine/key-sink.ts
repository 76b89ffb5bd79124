// Copies keys out of an arena, under its lock, while it is walked. Others make text of them later.

import { isUtf8 } from 'node:buffer'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'
import type { Arena } from './arena/arena.ts'
import type { Ref } from './arena/layout.ts'
import * as L from './arena/layout.ts'
import { keyAt } from './items/item.ts'
import type { ItemSink } from './items/walk.ts'

const STEP_BYTES = 32 * KIB
/** A key has a byte at least, but a step visits 256 chunks at most. */
const STEP_KEYS_MAX = 256

/** Keys one after the other, and where each ends. */
export class KeySink implements ItemSink {
  private readonly bytes = Buffer.allocUnsafe(STEP_BYTES)
  private readonly ends = new Uint16Array(STEP_KEYS_MAX)
  private count = 0
  private length = 0

  take(arena: Arena, ref: Ref): boolean {
    const isFull = this.count === STEP_KEYS_MAX || this.length + KEY_BYTES_MAX > STEP_BYTES
    if (isFull) return false
    const start = keyAt(arena, ref)
    const keyBytes = L.metaKeyBytes(arena.words[ref + L.ITEM_META])
    this.bytes.set(arena.area.bytes.subarray(start, start + keyBytes), this.length)
    this.length += keyBytes
    this.ends[this.count++] = this.length
    return true
  }

  /** The keys since the last call that are text. */
  drain(): string[] {
    const keys: string[] = []
    for (let i = 0, start = 0; i < this.count; start = this.ends[i], i++) {
      const key = this.bytes.subarray(start, this.ends[i])
      if (isUtf8(key)) keys.push(key.toString())
    }
    this.count = 0
    this.length = 0
    return keys
  }
}
