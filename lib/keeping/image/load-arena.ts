// Brings the arenas of an image into a cache. An arena of the same form is read to its place and is
// what it was. Of any other, or one with damaged parts, the items are carried over one by one.

import { Area } from '../../bytes/area.ts'
import { Arena, emptyArena } from '../../engine/arena/arena.ts'
import { resetCounters } from '../../engine/arena/counters.ts'
import * as L from '../../engine/arena/layout.ts'
import type { Cache } from '../../engine/cache.ts'
import { flushIfDue } from '../../engine/items/links.ts'
import { beginFill, Filler } from '../fill.ts'
import { adopt, formOf, ownWords } from './adopt.ts'
import { type ReadArena, readArena } from './arena-image.ts'
import { carryItems } from './carry.ts'
import type { Channel } from './channel.ts'
import type { ImageHeader } from './image-header.ts'
import { firstPart, laterParts } from './plan.ts'

/** What came of one arena of an image, or of all together. Fit for postMessage. */
export interface Loaded {
  items: number
  bytes: number
  /** Arenas of which nothing, and pages that could not be read. */
  lostArenas: number
  lostPages: number
  /** Items that were carried over one by one. */
  carried: number
}

export function nothingLoaded(): Loaded {
  return { items: 0, bytes: 0, lostArenas: 0, lostPages: 0, carried: 0 }
}

export function addLoaded(sum: Loaded, more: Loaded): void {
  for (const name of Object.keys(sum) as (keyof Loaded)[]) sum[name] += more[name]
}

/** Whether each arena of the image can become the one of the cache at the same place. */
export function isSameForm({ sections }: ImageHeader, { shards }: Cache): boolean {
  if (sections.length !== shards.length) return false
  return sections.every(({ form }, index) => form === formOf(shards[index].arena))
}

/**
 * Loads arena number `index` of an image. The cache was created with the image's past (pastOf), and
 * nobody uses it but threads that do the same for other arenas.
 */
export function loadArena(
  cache: Cache,
  header: ImageHeader,
  index: number,
  from: Channel,
  keepsCounters: boolean,
): Loaded {
  const { arenaBytes, firstWords } = header.sections[index]
  if (!isSameForm(header, cache)) {
    const read = readArena(new SharedArrayBuffer(arenaBytes), firstWords, from)
    return carry(cache, header, read)
  }
  const { arena } = cache.shards[index]
  const own = ownWords(arena)
  const first = arena.words.slice(0, firstPart(arena).words)
  const read = readArena(arena.buffer, firstWords, from)
  if (read.isSound) {
    adopt(arena, own)
    if (!keepsCounters) resetCounters(arena.counters, arena.classCount)
    return { ...nothingLoaded(), items: arena.words[L.ITEM_COUNT], bytes: read.bytes }
  }
  const { lostPages, bytes } = read
  const apart = read.arena === null ? null : copyOf(read.arena, lostPages)
  restore(arena, first)
  return carry(cache, header, { arena: apart, lostPages, isSound: false, bytes })
}

function carry(cache: Cache, header: ImageHeader, { arena, lostPages, bytes }: ReadArena): Loaded {
  if (arena === null) return { ...nothingLoaded(), lostArenas: 1 }
  const { words } = arena
  for (const { arena: into } of cache.shards) {
    // No CAS number that a client has may be given to another value.
    if (into.words[L.CAS_HIGH] < header.casHigh) into.words[L.CAS_HIGH] = header.casHigh
  }
  words[L.CLOCK_S] = cache.nowS
  flushIfDue(arena)
  const filler = new Filler(cache, beginFill(cache), Area.allocate(0))
  carryItems(arena, lostPages, filler)
  const { filled } = filler.end()
  if (words[L.FLUSH_AT_S] !== 0) for (const shard of cache.shards) shard.flush(words[L.FLUSH_AT_S])
  return { items: filled, bytes, lostArenas: 0, lostPages: lostPages.size, carried: filled }
}

/** What was read of an arena, in memory of its own. */
function copyOf(arena: Arena, lostPages: ReadonlySet<number>): Arena {
  const buffer = new SharedArrayBuffer(arena.buffer.byteLength)
  const words = new Int32Array(buffer)
  const first = firstPart(arena)
  words.set(arena.words.subarray(0, first.words))
  for (const { at, words: length, page } of laterParts(arena)) {
    if (page >= 0 && !lostPages.has(page)) words.set(arena.words.subarray(at, at + length), at)
  }
  return new Arena(buffer)
}

/** Makes the arena what it was before something was read over it: empty. */
function restore(arena: Arena, first: Int32Array): void {
  arena.words.fill(0, first.length, arena.dataAt)
  arena.words.set(first)
  emptyArena(arena)
}
