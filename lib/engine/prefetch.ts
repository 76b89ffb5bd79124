// Prefetches the memory of a batch of requests, so that their cache misses overlap. Without this
// one request after the other waits for its bucket, then for its item. Takes no lock: what it reads
// may be torn, and is not used.
//
// The number of overlapping loads is bounded by the some 500 instructions that a CPU executes
// ahead. So the loops are as short as possible: one arena at a time, only numbers of this file and
// its variables, and no branch that depends on loaded data.

import type { Arena } from './arena/arena.ts'
import { arenaOf, BITS_ABOVE_TAG } from './arena/hash.ts'
import * as L from './arena/layout.ts'
import type { Cache } from './cache.ts'
import { PREFETCH_KEYS_MAX } from './limits.ts'

/** Distance to the cache line after the one with an item's header, words. */
const NEXT_LINE_WORDS = 16

const META = L.ITEM_META
const CHAIN_NEXT = L.ITEM_CHAIN_NEXT
const TAG_SHIFT = L.META_TAG_SHIFT
const ABOVE_TAG = BITS_ABOVE_TAG

/** The hashes of the current arena, those of others, and the refs that they lead to. */
const mine = new Int32Array(PREFETCH_KEYS_MAX)
const others = new Int32Array(PREFETCH_KEYS_MAX)
const refs = new Int32Array(PREFETCH_KEYS_MAX)

/** Written so that the compiler cannot remove the loads. */
export let loaded = 0

/** Loads the bucket and the item of each of the first `count` hashes, at most PREFETCH_KEYS_MAX. */
export function prefetch({ shards }: Cache, hashes: Int32Array, count: number): void {
  if (shards.length === 1) return prefetchIn(shards[0].arena, hashes, count)
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
    prefetchIn(shards[index].arena, mine, picked)
    left = kept
  }
}

/** The same of hashes that all belong to one arena. */
export function prefetchIn({ words, bucketsAt }: Arena, hashes: Int32Array, count: number): void {
  const mask = words[L.BUCKET_MASK]
  const halfMask = mask >> 1
  const buckets = words[L.BUCKET_COUNT]
  // A word that another thread is writing could point anywhere.
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
