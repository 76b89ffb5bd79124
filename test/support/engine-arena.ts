/** Small arenas and items created in them directly, for tests of single structures. */

import { Area } from '../../lib/bytes/area.ts'
import { MIB } from '../../lib/bytes/units.ts'
import {
  type Arena,
  type ArenaOptions,
  chunkWords,
  createArena,
} from '../../lib/engine/arena/arena.ts'
import { hashBytes } from '../../lib/engine/arena/hash.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { NIL, type Ref } from '../../lib/engine/arena/layout.ts'
import { classFor, takeChunk } from '../../lib/engine/chunks/slabs.ts'
import { itemBytes, newMeta, writeHeader, writeKey } from '../../lib/engine/items/item.ts'

export function createSmallArena(options: Partial<ArenaOptions> = {}): Arena {
  return createArena({
    dataBytes: 4 * MIB,
    itemBytesMax: MIB,
    growthFactor: 1.25,
    chunkBytesMin: 48,
    evictions: true,
    trackSizes: false,
    bucketsInitial: 64,
    seeds: [0x12345678, -0x7654321],
    ...options,
  })
}

export function areaOf(text: string): Area {
  return new Area(Buffer.from(text, 'latin1'))
}

export function hashOf(arena: Arena, key: string): number {
  const { words } = arena
  return hashBytes(areaOf(key), 0, key.length, words[L.HASH_SEED_0], words[L.HASH_SEED_1])
}

/** An item that is not linked, with its key and an empty value. */
export function makeItem(arena: Arena, key: string): Ref {
  const meta = newMeta(key.length, 0, 0, 0, 0)
  const classId = classFor(arena, (itemBytes(meta, 0) + 3) >> 2)
  const ref = takeChunk(arena, classId)
  if (ref === NIL) throw new Error('the arena is full')
  writeHeader(
    arena,
    ref,
    meta | (classId << L.META_CLASS_SHIFT) | (L.LIST_COLD << L.META_LIST_SHIFT),
    0,
  )
  writeKey(arena, ref, areaOf(key), 0)
  return ref
}

/** Bytes of a chunk of this class. */
export function chunkBytes(arena: Arena, classId: number): number {
  return chunkWords(arena, classId) * 4
}
