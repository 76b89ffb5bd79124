// The hash table: buckets of chained items, grown in place by linear hashing. Assumes the lock.
//
// With BUCKET_COUNT buckets and MASK the next power of two less one, a hash belongs to bucket `hash
// & MASK` or, if that bucket does not exist yet, to its half `hash & (MASK >> 1)`. Adding bucket
// number COUNT moves its items there from its half: one short chain for each insert into a full
// table, so that no request ever pays for rehashing a whole table.

import type { Area } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import { hashBytes, tagOf } from '../arena/hash.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'
import { keyAt, keyEquals } from './item.ts'

/** The item with this key, NIL if there is none. */
export function findItem(
  arena: Arena,
  hash: number,
  key: Area,
  keyStart: number,
  keyBytes: number,
): Ref {
  const { words } = arena
  const tag = tagOf(hash)
  let ref = words[bucketOf(arena, hash)] as Ref
  while (ref !== NIL) {
    if (
      L.metaTag(words[ref + L.ITEM_META]) === tag &&
      keyEquals(arena, ref, key, keyStart, keyBytes)
    ) {
      return ref
    }
    ref = words[ref + L.ITEM_CHAIN_NEXT] as Ref
  }
  return NIL
}

/** Adds an item whose key is not in the table; sets its tag. */
export function insertItem(arena: Arena, hash: number, ref: Ref): void {
  const { words } = arena
  if (words[L.ITEM_COUNT] >= words[L.BUCKET_COUNT]) addBucket(arena)
  const bucket = bucketOf(arena, hash)
  setTag(arena, hash, ref)
  words[ref + L.ITEM_CHAIN_NEXT] = words[bucket]
  words[bucket] = ref
  words[L.ITEM_COUNT]++
}

/** Removes an item from its chain. */
export function removeItem(arena: Arena, hash: number, ref: Ref): void {
  const { words } = arena
  words[linkTo(arena, hash, ref)] = words[ref + L.ITEM_CHAIN_NEXT]
  words[L.ITEM_COUNT]--
}

/** Replaces an item by another with the same key. */
export function swapItem(arena: Arena, hash: number, old: Ref, ref: Ref): void {
  const { words } = arena
  setTag(arena, hash, ref)
  words[ref + L.ITEM_CHAIN_NEXT] = words[old + L.ITEM_CHAIN_NEXT]
  words[linkTo(arena, hash, old)] = ref
}

/** The hash of a stored item's key. */
export function hashOfItem(arena: Arena, ref: Ref): number {
  const { words } = arena
  const keyBytes = L.metaKeyBytes(words[ref + L.ITEM_META])
  const start = keyAt(arena, ref)
  return hashBytes(arena.area, start, keyBytes, words[L.HASH_SEED_0], words[L.HASH_SEED_1])
}

/** Word index of the bucket that a hash belongs to. */
export function bucketOf(arena: Arena, hash: number): number {
  const { words } = arena
  const mask = words[L.BUCKET_MASK]
  const bucket = hash & mask
  return arena.bucketsAt + (bucket < words[L.BUCKET_COUNT] ? bucket : bucket & (mask >> 1))
}

/**
 * Index of the word that points to an item: a bucket, or CHAIN_NEXT (word 0) of the item before it.
 */
function linkTo(arena: Arena, hash: number, ref: Ref): number {
  const { words } = arena
  let link = bucketOf(arena, hash)
  while (words[link] !== ref) link = words[link] + L.ITEM_CHAIN_NEXT
  return link
}

function setTag(arena: Arena, hash: number, ref: Ref): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META] & ~(L.META_TAG_MASK << L.META_TAG_SHIFT)
  words[ref + L.ITEM_META] = meta | (tagOf(hash) << L.META_TAG_SHIFT)
}

/** Gives the table of an empty arena buckets for so many items, as if it had grown to them. */
export function reserveBuckets({ words, bucketsAt }: Arena, items: number): void {
  const before = words[L.BUCKET_COUNT]
  const count = Math.min(items, words[L.BUCKETS_MAX])
  if (words[L.ITEM_COUNT] > 0 || count <= before) return
  words.fill(NIL, bucketsAt + before, bucketsAt + count)
  words[L.BUCKET_COUNT] = count
  words[L.BUCKET_MASK] = 2 ** Math.ceil(Math.log2(count)) - 1
}

function addBucket(arena: Arena): void {
  const { words } = arena
  const added = words[L.BUCKET_COUNT]
  if (added >= words[L.BUCKETS_MAX]) return
  if (added > words[L.BUCKET_MASK]) words[L.BUCKET_MASK] = (words[L.BUCKET_MASK] << 1) | 1
  const mask = words[L.BUCKET_MASK]
  const from = arena.bucketsAt + (added & (mask >> 1))
  const to = arena.bucketsAt + added
  words[L.BUCKET_COUNT] = added + 1
  words[to] = NIL
  let link = from
  let ref = words[link] as Ref
  while (ref !== NIL) {
    const next = words[ref + L.ITEM_CHAIN_NEXT] as Ref
    if ((hashOfItem(arena, ref) & mask) === added) {
      words[link] = next
      words[ref + L.ITEM_CHAIN_NEXT] = words[to]
      words[to] = ref
    } else {
      link = ref + L.ITEM_CHAIN_NEXT
    }
    ref = next
  }
}
