// Items of an arena of another form, or of one that is damaged in parts, go into a cache one by
// one. The least recently used come first, so that the others stay where there is less room. An
// item with a chunk on a lost page is left out. Nobody else uses the old arena.

import { Area } from '../../bytes/area.ts'
import { type Arena, pageOf, pageRef } from '../../engine/arena/arena.ts'
import * as L from '../../engine/arena/layout.ts'
import { NIL, type Ref } from '../../engine/arena/layout.ts'
import { usedChunksIn } from '../../engine/chunks/slabs.ts'
import {
  expiryOf,
  isKeyBinary,
  itemBytes,
  itemFlags,
  keyAt,
  keyBytesOf,
  nextChunk,
  readValue,
  valueAt,
  valueBytesOf,
} from '../../engine/items/item.ts'
import { isFlushed } from '../../engine/items/links.ts'
import { touchedAtS, usesOf } from '../../engine/items/uses.ts'
import { type Filler, PastItem } from '../fill.ts'

/** Refs are below this: a time and a Ref make one number to sort by. */
const REF_SPAN = 2 ** 31

/** Fills the cache of `filler` with the items of `arena`. Both have the same clock. */
export function carryItems(arena: Arena, lostPages: ReadonlySet<number>, filler: Filler): void {
  const item = new PastItem(arena.area)
  let scratch = Area.allocate(0)
  for (const entry of oldestFirst(arena, lostPages)) {
    const ref = (entry % REF_SPAN) as Ref
    const valueBytes = valueBytesOf(arena, ref)
    describe(arena, ref, item)
    if ((arena.words[ref + L.ITEM_META] & L.STATE_SPANS) === 0) {
      filler.fill(item, arena.area, valueAt(arena, ref))
      continue
    }
    if (scratch.bytes.length < valueBytes) scratch = Area.allocate(valueBytes)
    readValue(arena, ref, scratch, 0)
    filler.fill(item, scratch, 0)
  }
}

function describe(arena: Arena, ref: Ref, item: PastItem): void {
  item.keyStart = keyAt(arena, ref)
  item.keyBytes = keyBytesOf(arena, ref)
  item.isKeyBinary = isKeyBinary(arena, ref)
  item.valueBytes = valueBytesOf(arena, ref)
  item.flags = itemFlags(arena, ref)
  item.expiresAtS = expiryOf(arena, ref)
  item.uses = usesOf(arena.words, ref)
}

/** Complete items, as numbers: when each was used, times REF_SPAN, plus its Ref. */
function oldestFirst(arena: Arena, lostPages: ReadonlySet<number>): Float64Array {
  const { words } = arena
  const found: number[] = []
  for (let page = 0; page < words[L.PAGES_USED]; page++) {
    const classId = words[arena.pagesAt + page]
    if (classId <= 0 || classId > arena.classCount || lostPages.has(page)) continue
    const size = words[L.classAt(classId) + L.CLASS_CHUNK_WORDS]
    let ref = pageRef(arena, page)
    for (let left = usedChunksIn(arena, page); left > 0; left--, ref = (ref + size) as Ref) {
      if (!isWanted(arena, ref) || !isComplete(arena, ref, lostPages)) continue
      found.push(touchedAtS(words, ref) * REF_SPAN + ref)
    }
  }
  return Float64Array.from(found).sort()
}

/** Stale items are left out: nothing but their state says that they are. */
function isWanted(arena: Arena, ref: Ref): boolean {
  const meta = arena.words[ref + L.ITEM_META]
  const isLinked = (meta & L.STATE_LINKED) !== 0 && L.metaKeyBytes(meta) > 0
  return isLinked && (meta & L.STATE_STALE) === 0 && !isFlushed(arena, ref)
}

/** Whether all chunks of an item are there and hold what it says. */
function isComplete(arena: Arena, ref: Ref, lostPages: ReadonlySet<number>): boolean {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const valueBytes = words[ref + L.ITEM_VALUE_BYTES]
  const wanted = itemBytes(meta, valueBytes)
  if (valueBytes < 0) return false
  const firstWords = words[L.classAt(L.metaClass(meta)) + L.CLASS_CHUNK_WORDS]
  let room = firstWords * 4 - ((meta & L.STATE_SPANS) === 0 ? 0 : 4)
  for (let chunk = nextChunk(arena, ref); chunk !== NIL; chunk = nextChunk(arena, chunk)) {
    const page = pageOf(arena, chunk)
    const isThere = page >= 0 && page < words[L.PAGES_USED] && !lostPages.has(page)
    if (!isThere || words[chunk + L.SPAN_OWNER] !== ref) return false
    const classId = words[arena.pagesAt + page]
    const chunkWords = classId > 0 ? words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] : 0
    if (chunkWords <= L.SPAN_WORDS || room > arena.buffer.byteLength) return false
    room += (chunkWords - L.SPAN_WORDS) * 4
  }
  return wanted <= room
}
