// Brings what a run of requests will look at near the processor before they run. One request after
// the other waits for its bucket, then for its item; here the loads of all of them are under way at
// the same time. Takes no lock: what it reads may be torn, and is not used for anything.
//
// How many are under way is how many fit into the some 500 instructions that a processor looks
// ahead. So the loops are as short as they can be: one arena at a time, nothing but numbers of this
// file and of its variables, and no branch that hangs on what was loaded.

import type { Arena } from './arena/arena.ts'
import { arenaOf, BITS_ABOVE_TAG } from './arena/hash.ts'
import * as L from './arena/layout.ts'
import type { Cache } from './cache.ts'
import { PREFETCH_KEYS_MAX } from './limits.ts'

/** The line of the processor's cache behind the one with an item's header. */
const NEXT_LINE_WORDS = 16

const META = L.ITEM_META
const CHAIN_NEXT = L.ITEM_CHAIN_NEXT
const TAG_SHIFT = L.META_TAG_SHIFT
const ABOVE_TAG = BITS_ABOVE_TAG

/** Hashes of one arena and of others that are still to come; what they lead to. */
const mine = new Int32Array(PREFETCH_KEYS_MAX)
const others = new Int32Array(PREFETCH_KEYS_MAX)
const refs = new Int32Array(PREFETCH_KEYS_MAX)

/** Kept where the compiler cannot know that nobody looks. */
export let loaded = 0

/** Loads the bucket and the item of each of the first `count` hashes, at most PREFETCH_KEYS_MAX. */
export function prefetch({ shards }: Cache, hashes: Int32Array, count: number): void {
  if (shards.length === 1) return load(shards[0].arena, hashes, count)
  let left = count
  for (let i = 0; i < count; i++) others[i] = hashes[i]
  while (left > 0) {
    const index = arenaOf(others[0], shards.length)
    let picked = 0
    let kept = 0
    for (let i = 0; i < left; i++) {
      const hash = others[i]
      if (arenaOf(hash, shards.length) === index) mine[picked++] = hash
      else others[kept++] = hash
    }
    load(shards[index].arena, mine, picked)
    left = kept
  }
}

function load({ words, bucketsAt }: Arena, hashes: Int32Array, count: number): void {
  const mask = words[L.BUCKET_MASK]
  const halfMask = mask >> 1
  const buckets = words[L.BUCKET_COUNT]
  // What another thread may just be writing over could point anywhere.
  const refMax = words.length - NEXT_LINE_WORDS - 1
  let sum = 0
  for (let i = 0; i < count; i++) {
    const bucket = hashes[i] & mask
    refs[i] = words[bucketsAt + (bucket < buckets ? bucket : bucket & halfMask)]
  }
  for (let i = 0; i < count; i++) {
    const ref = Math.min(refs[i] >>> 0, refMax)
    sum ^= words[ref + NEXT_LINE_WORDS]
    const otherTag = (words[ref + META] ^ (hashes[i] << ABOVE_TAG)) >>> TAG_SHIFT
    refs[i] = words[ref + CHAIN_NEXT] & (-otherTag >> 31)
  }
  // Most chains end with their second item.
  for (let i = 0; i < count; i++) sum ^= words[Math.min(refs[i] >>> 0, refMax) + META]
  loaded = sum
}
