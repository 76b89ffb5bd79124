// Which parts of an arena an image has, and their order. The first part says where all others are.
// So writer and reader come to the same list, and damage to one part costs no other.
//
//   header ... samples | buckets in use | ghosts in use | the used part of each page

import { type Arena, pageRef } from '../../engine/arena/arena.ts'
import * as L from '../../engine/arena/layout.ts'
import { usedChunksIn } from '../../engine/chunks/slabs.ts'
import { ghostWordsInUse } from '../../engine/items/ghosts.ts'
import { BLOCK_BYTES_MAX } from './limits.ts'

/** A part of an arena, words. `page` -1: no page. */
export interface Part {
  at: number
  words: number
  page: number
}

const BLOCK_WORDS_MAX = BLOCK_BYTES_MAX / 4

/** The part that has to be known before the others are. */
export function firstPart({ bucketsAt }: Arena): Part {
  return { at: 0, words: bucketsAt, page: -1 }
}

/** All further parts. */
export function* laterParts(arena: Arena): Generator<Part> {
  const { words, bucketsAt, ghosts } = arena
  yield* cut(bucketsAt, words[L.BUCKET_COUNT])
  yield* cut(ghosts.byteOffset / 4, ghostWordsInUse(arena))
  for (let page = 0; page < Math.min(words[L.PAGES_USED], arena.pageCount); page++) {
    const used = usedWordsIn(arena, page)
    if (used > 0) yield { at: pageRef(arena, page), words: used, page }
  }
}

/** Bytes of an arena's image, without the heads of the blocks; and the number of blocks. */
export function sizeOfParts(arena: Arena): { bytes: number; blocks: number } {
  let { words } = firstPart(arena)
  let blocks = 1
  for (const part of laterParts(arena)) {
    words += part.words
    blocks++
  }
  return { bytes: words * 4, blocks }
}

/** Whether all parts are inside the arena: false for one whose first part was made up. */
export function isWithin(arena: Arena): boolean {
  const { words, bucketsAt } = arena
  if (words[L.BUCKET_COUNT] < 0 || words[L.BUCKET_COUNT] > words[L.BUCKETS_MAX]) return false
  if (words[L.PAGES_USED] < 0 || words[L.PAGES_USED] > arena.pageCount) return false
  if (bucketsAt + words[L.BUCKET_COUNT] > arena.dataAt) return false
  if (arena.dataAt + arena.pageCount * arena.pageWords > words.length) return false
  for (const { words: used, page } of laterParts(arena)) {
    if (page >= 0 && !(used > 0 && used <= arena.pageWords)) return false
  }
  return true
}

function* cut(at: number, words: number): Generator<Part> {
  for (let done = 0; done < words; done += BLOCK_WORDS_MAX) {
    yield { at: at + done, words: Math.min(BLOCK_WORDS_MAX, words - done), page: -1 }
  }
}

/** Of a page in the pool its first word, which names the next one. */
function usedWordsIn(arena: Arena, page: number): number {
  const { words } = arena
  const classId = words[arena.pagesAt + page]
  if (classId === 0) return 1
  if (classId < 0) return arena.pageWords
  return usedChunksIn(arena, page) * words[L.classAt(classId) + L.CLASS_CHUNK_WORDS]
}
