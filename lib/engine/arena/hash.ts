// Bytes -> int32: HalfSipHash-1-3 (Aumasson and Bernstein), keyed with 64 random bits per process.
// A peer that chooses its keys cannot make them collide. With a seeded murmur3 it could: its
// collisions hold for every seed. It costs about 8 ns more than FNV-1a on a key of 24 bytes.
//
// The high bits choose the arena, the low bits the bucket. The tag is below the highest two bits,
// where it still distinguishes items in large tables and in up to four arenas.

import type { Area } from '../../bytes/area.ts'
import { META_TAG_SHIFT } from './layout.ts'

/** Hash of `length` bytes from `start`, keyed with two seed words. */
export function hashBytes(
  area: Area,
  start: number,
  length: number,
  seed0: number,
  seed1: number,
): number {
  const { view } = area
  const end = start + (length & ~3)
  let v0 = seed0
  let v1 = seed1
  let v2 = 0x6c796765 ^ seed0
  let v3 = 0x74656462 ^ seed1
  for (let at = start; at < end; at += 4) {
    const word = view.getInt32(at, true)
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  let last = length << 24
  for (let at = end, shift = 0; at < start + length; at++, shift += 8) {
    last |= view.getUint8(at) << shift
  }
  // The last word and the finalisation are the same round four times: one for the word, three
  // after.
  v3 ^= last
  for (let round = 0; round < 4; round++) {
    if (round === 1) {
      v0 ^= last
      v2 ^= 0xff
    }
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  return v1 ^ v3
}

/** Which of `count` arenas a hash belongs to: its high 16 bits, spread evenly. */
export function arenaOf(hash: number, count: number): number {
  return ((hash >>> 16) * count) >>> 16
}

/** A hash shifted left by this has its tag where META has it. */
export const BITS_ABOVE_TAG = 3

/** The five bits that are kept in an item's header: most misses end there. */
export function tagOf(hash: number): number {
  return (hash << BITS_ABOVE_TAG) >>> META_TAG_SHIFT
}
