// A position in the value of a held item: the bytes ahead in one chunk. A held item's chunks do not
// move or change, so its holder reads the value, or writes the value that it fills, without the
// lock; a socket may do either. Only steps to the next chunk of an item that is being filled take
// the lock, because that chunk may have to be allocated (shard.ts).

import { type Arena, chunkWords } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { nextChunk, valueAt } from './item.ts'

export interface Place {
  /** NIL: before the first chunk. */
  chunk: Ref
  /** Byte addresses of the rest of the chunk. */
  start: number
  end: number
  /** Bytes of the value after this chunk. */
  left: number
  /** Unused bytes between the value's end and its chunk's end. Known while it is filled. */
  spare: number
}

export function createPlace(): Place {
  return { chunk: NIL, start: 0, end: 0, left: 0, spare: 0 }
}

/** Moves a place before the first chunk of a value of this length. */
export function rewind(place: Place, valueBytes: number): void {
  place.chunk = NIL
  place.start = 0
  place.end = 0
  place.left = valueBytes
  place.spare = 0
}

/** Steps to the next chunk of a complete value of the item `ref`; false at the value's end. */
export function nextPlace(arena: Arena, ref: Ref, place: Place): boolean {
  if (place.left === 0) return false
  const { chunk } = place
  stand(arena, place, ref, chunk === NIL ? ref : nextChunk(arena, chunk))
  return true
}

/** Moves to `chunk` of the item `ref`, the chunk after the place's current one. */
export function stand(arena: Arena, place: Place, ref: Ref, chunk: Ref): void {
  const { words } = arena
  const start = chunk === ref ? valueAt(arena, ref) : (chunk + L.SPAN_WORDS) << 2
  // The last chunk has what is left, whatever the chunk size of its class is by now.
  const isLast = nextChunk(arena, chunk) === NIL && words[ref + L.ITEM_VALUE_BYTES] > 0
  const chunkEnd = (chunk + chunkWords(arena, L.metaClass(words[chunk + L.ITEM_META]))) << 2
  const bytes = isLast ? place.left : Math.min(place.left, chunkEnd - start)
  place.chunk = chunk
  place.start = start
  place.end = start + bytes
  place.left -= bytes
  place.spare = place.left === 0 ? chunkEnd - place.end : 0
}
