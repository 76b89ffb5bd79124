// An arena of another process becomes this one's: as it was read from its image, with the settings
// of this process and nothing of what the other one's threads held. Nobody else uses it meanwhile.

import type { Arena } from '../../engine/arena/arena.ts'
import * as L from '../../engine/arena/layout.ts'
import { OWN_SLOT } from '../../engine/items/holds.ts'
import { dropKept, isKept } from '../../engine/items/keeps.ts'
import { releaseHold } from '../../engine/items/links.ts'

/** What decides where things are in an arena. */
const FORM: readonly number[] = [
  L.VERSION,
  L.PAGE_WORDS,
  L.PAGE_COUNT,
  L.CLASS_COUNT,
  L.BUCKETS_MAX,
  L.HOLD_SLOTS,
  L.SIZE_SLOTS,
  L.BASE_CLASSES,
  L.CAS_STEP,
  L.CAS_FIRST,
  L.HASH_SEED_0,
  L.HASH_SEED_1,
]

/** What follows from the options, or belongs to the threads, of the process that goes on. */
const OWN: readonly number[] = [
  L.ITEM_BYTES_LIMIT,
  L.EVICTIONS_ON,
  L.BUCKETS_INITIAL,
  L.STARTED_AT_S,
  L.UPKEEP_HOLDER,
  L.NEXT_HOLDER,
  L.CAS_SHOWN,
  L.PAGE_LIMIT,
  L.MEMORY_LIMIT_KIB,
  L.CRAWLER_ON,
  L.CRAWL_SLEEP_US,
  L.CRAWL_ITEMS_MAX,
  L.REASSIGN_ON,
  L.AUTOMOVE,
  L.AUTOMOVE_RATIO,
  L.AUTOMOVE_WINDOW_S,
  L.EVICTION,
  L.LRU_HOT_PERCENT,
  L.LRU_WARM_PERCENT,
  L.LRU_HOT_FACTOR,
  L.LRU_WARM_FACTOR,
  L.LRU_TEMPORARY_TTL_S,
  L.MAINTAINER_ON,
  L.FIT_ON,
  L.CLOCK_S,
]

/** What an operation was in the middle of; no thread of this process is. */
const UNDER_WAY: readonly number[] = [
  L.LOCK,
  L.REWRITING,
  L.ROOM_WANTED,
  L.ROOM_WAS_MADE,
  L.ROOM_CHUNKS,
  L.ROOM_TAIL,
  L.ROOM_MADE_FOR,
]

/** The form of an arena: equal texts mean that an image of one can be read into the other. */
export function formOf({ words, buffer, baseClasses }: Arena): string {
  const form = FORM.map(word => words[word])
  for (let classId = 1; classId <= baseClasses; classId++) {
    form.push(words[L.classAt(classId) + L.CLASS_CHUNK_WORDS])
  }
  return [buffer.byteLength, ...form].join(' ')
}

/** What `adopt` needs of the arena that the image is read over. */
export function ownWords({ words }: Arena): number[] {
  return OWN.map(word => words[word])
}

/** Makes the arena that was read this process's own. */
export function adopt(arena: Arena, own: readonly number[]): void {
  const { words } = arena
  for (const [i, word] of OWN.entries()) words[word] = own[i]
  for (const word of UNDER_WAY) words[word] = 0
  for (let slot = 0; slot <= OWN_SLOT; slot++) {
    if (words[arena.holdsAt + slot * L.HOLD_WORDS + L.HOLD_HOLDER] === 0) continue
    if (isKept(arena, slot)) dropKept(arena, slot)
    else releaseHold(arena, slot)
  }
}
