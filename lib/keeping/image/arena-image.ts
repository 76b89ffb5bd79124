// The image of one arena: its parts (plan.ts), a block each. Nobody may change items meanwhile.
//
//  block   0 "MSBL"   4 at, word   8 words   12 CRC-32 of these and of the words   16 the words
//
// Sums are of files. A pipe loses and changes nothing: what comes through one needs no sums, which
// are a third of the time that it takes, and none are looked at.

import { Arena } from '../../engine/arena/arena.ts'
import type { Channel } from './channel.ts'
import { crc32 } from './crc32.ts'
import { firstPart, isWithin, laterParts, type Part, sizeOfParts } from './plan.ts'

const BLOCK_MAGIC = 0x4c42534d
const BLOCK_HEAD_BYTES = 16
const SUM_AT = 12

/** What was read of an arena. */
export interface ReadArena {
  /** Null: its first part is damaged, so nothing of it can be used. */
  arena: Arena | null
  /** Pages whose sum is wrong, or that are missing. */
  lostPages: Set<number>
  /** Every sum was right. */
  isSound: boolean
  bytes: number
}

/** Bytes of an arena's image. */
export function imageBytes(arena: Arena): number {
  const { bytes, blocks } = sizeOfParts(arena)
  return bytes + blocks * BLOCK_HEAD_BYTES
}

/**
 * Writes an arena's image; `hasSums`: with the sums of its blocks. Returns its bytes. Throws the
 * error of the write.
 */
export function writeArena(arena: Arena, to: Channel, hasSums = true): number {
  const head = Buffer.allocUnsafeSlow(BLOCK_HEAD_BYTES)
  const all = arena.area.bytes
  const first = firstPart(arena)
  // A copy: a thread that only reads may take the lock, or move the clock, between sum and write.
  let bytes = writeBlock(Buffer.from(all.subarray(0, first.words * 4)), first, head, hasSums, to)
  for (const part of laterParts(arena)) bytes += writeBlock(all, part, head, hasSums, to)
  return bytes
}

/**
 * Reads an arena's image into `buffer`, which is zero or an arena of the same form. `firstWords`:
 * the length of its first part.
 */
export function readArena(buffer: SharedArrayBuffer, firstWords: number, from: Channel): ReadArena {
  const bytes = Buffer.from(buffer)
  const first: Part = { at: 0, words: firstWords, page: -1 }
  const found: ReadArena = { arena: null, lostPages: new Set(), isSound: false, bytes: 0 }
  if (!readBlock(bytes, first, from)) return found
  const arena = arenaIn(buffer)
  if (arena === null) return found
  found.arena = arena
  found.isSound = true
  found.bytes = firstWords * 4
  for (const part of laterParts(arena)) {
    if (readBlock(bytes, part, from)) {
      found.bytes += part.words * 4
      continue
    }
    found.isSound = false
    if (part.page >= 0) found.lostPages.add(part.page)
  }
  return found
}

function arenaIn(buffer: SharedArrayBuffer): Arena | null {
  try {
    const arena = new Arena(buffer)
    return isWithin(arena) ? arena : null
  } catch {
    // Of another layout, or made up.
    return null
  }
}

function writeBlock(
  from: Buffer,
  { at, words }: Part,
  head: Buffer,
  hasSums: boolean,
  to: Channel,
): number {
  const start = at * 4
  const length = words * 4
  fillHead(head, at, words)
  head.writeUInt32LE(hasSums ? sumOf(head, from.subarray(start, start + length)) : 0, SUM_AT)
  to.write(head, 0, BLOCK_HEAD_BYTES)
  to.write(from, start, length)
  return BLOCK_HEAD_BYTES + length
}

/** Reads the words of a part to their place; false: they are damaged or missing. */
function readBlock(bytes: Buffer, { at, words }: Part, from: Channel): boolean {
  const head = Buffer.allocUnsafe(BLOCK_HEAD_BYTES)
  const start = at * 4
  const length = words * 4
  if (start + length > bytes.length) return false
  if (from.read(head, 0, BLOCK_HEAD_BYTES) < BLOCK_HEAD_BYTES) return false
  if (from.read(bytes, start, length) < length) return false
  const expected = Buffer.alloc(BLOCK_HEAD_BYTES)
  fillHead(expected, at, words)
  if (expected.compare(head, 0, SUM_AT, 0, SUM_AT) !== 0) return false
  if (from.isPipe) return true
  return head.readUInt32LE(SUM_AT) === sumOf(head, bytes.subarray(start, start + length))
}

function fillHead(head: Buffer, at: number, words: number): void {
  head.writeUInt32LE(BLOCK_MAGIC, 0)
  head.writeUInt32LE(at, 4)
  head.writeUInt32LE(words, 8)
}

function sumOf(head: Buffer, content: Buffer): number {
  return crc32(content, crc32(head.subarray(0, SUM_AT)))
}
