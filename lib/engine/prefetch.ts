// Brings what a run of requests will look at near the processor before they run. One request after
// the other waits for its bucket, then for its item; here the loads of all of them are under way at
// the same time. Takes no lock: what it reads may be torn, and is not used for anything.

import { PREFETCH_KEYS_MAX } from '../limits.ts'
import type { Cache } from './cache.ts'
import { tagOf } from './hash.ts'
import * as L from './layout.ts'
import { bucketOf } from './table.ts'

/** The line of the processor's cache behind the one with an item's header. */
const NEXT_LINE_WORDS = 16

const refs = new Int32Array(PREFETCH_KEYS_MAX)

/** Kept where the compiler cannot know that nobody looks. */
export let loaded = 0

/** Loads the bucket and the item of each of the first `count` hashes, at most PREFETCH_KEYS_MAX. */
export function prefetch(cache: Cache, hashes: Int32Array, count: number): void {
  let sum = 0
  for (let i = 0; i < count; i++) {
    const { arena } = cache.shardOf(hashes[i])
    refs[i] = arena.words[bucketOf(arena, hashes[i])]
  }
  for (let i = 0; i < count; i++) {
    const { words } = cache.shardOf(hashes[i]).arena
    const ref = within(words, refs[i])
    sum ^= words[ref + NEXT_LINE_WORDS]
    const isOther = L.metaTag(words[ref + L.ITEM_META]) !== tagOf(hashes[i])
    refs[i] = isOther ? words[ref + L.ITEM_CHAIN_NEXT] : L.NIL
  }
  // Most chains end with their second item.
  for (let i = 0; i < count; i++) {
    if (refs[i] === L.NIL) continue
    const { words } = cache.shardOf(hashes[i]).arena
    sum ^= words[within(words, refs[i]) + L.ITEM_META]
  }
  loaded = sum
}

/** What another thread may just be writing over could point anywhere. */
function within(words: Int32Array, ref: number): number {
  return ref > 0 && ref < words.length - NEXT_LINE_WORDS ? ref : L.NIL
}
