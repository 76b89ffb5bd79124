// Slack: classes with at least a page's worth of free chunks, so that one of their pages can go to
// another class without losing an item. Assumes the arena's lock.
//
// SLACK has one bit per class. A bit is set when a chunk or a page is added to the class, which
// costs one comparison. It is cleared when slack is wanted and the class turns out to have none. So
// a clear bit is always right, and a set one must be checked. No search goes over all classes.

import { type Arena, pageOf } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { NIL, type Ref } from '../arena/layout.ts'

/** Most free chunks that the choice of a page checks. */
const SAMPLE_CHUNKS_MAX = 32

/**
 * Sets the bit of the class whose descriptor is at `at`, if it has a page's worth of free chunks.
 */
export function noteSlack({ words }: Arena, classId: number, at: number): void {
  const free = words[at + L.CLASS_FREE_COUNT] + words[at + L.CLASS_FRESH_COUNT]
  if (free >= words[at + L.CLASS_CHUNKS_PER_PAGE]) words[bitAt(classId)] |= 1 << classId
}

/** Whether as many chunks of the class are free as a page of it has. */
export function hasSlack({ words }: Arena, classId: number): boolean {
  const at = L.classAt(classId)
  if (words[at + L.CLASS_PAGE_COUNT] === 0) return false
  const free = words[at + L.CLASS_FREE_COUNT] + words[at + L.CLASS_FRESH_COUNT]
  return free >= words[at + L.CLASS_CHUNKS_PER_PAGE]
}

/** A class with slack other than `except`; 0: none. */
export function slackClass(arena: Arena, except: number): number {
  return slackOf(arena, L.SLACK, except) || slackOf(arena, L.SLACK + 1, except)
}

/** Of the classes with a bit in this word. */
function slackOf(arena: Arena, word: number, except: number): number {
  const { words } = arena
  for (let bits = words[word]; bits !== 0; ) {
    const bit = 31 - Math.clz32(bits)
    const classId = (word - L.SLACK) * 32 + bit
    bits &= ~(1 << bit)
    if (!hasSlack(arena, classId)) words[word] &= ~(1 << bit)
    else if (classId !== except && classId !== words[L.ROOM_MADE_FOR]) return classId
  }
  return 0
}

/** Whether the bit of a class is set; for verify. */
export function isSlackNoted({ words }: Arena, classId: number): boolean {
  return (words[bitAt(classId)] & (1 << classId)) !== 0
}

/**
 * The page of a class with slack that has most chunks free, as far as some of its free chunks tell:
 * the emptier it is the less has to be copied. Not `except`. -1: none.
 */
export function emptiestPage(arena: Arena, classId: number, except: number): number {
  const { words } = arena
  const at = L.classAt(classId)
  const fresh = words[at + L.CLASS_FRESH_COUNT]
  if (fresh * 2 >= words[at + L.CLASS_CHUNKS_PER_PAGE]) {
    const page = pageOf(arena, words[at + L.CLASS_FRESH_REF] as Ref)
    if (page !== except) return page
  }
  let best = -1
  let bestCount = 0
  let ref = words[at + L.CLASS_FREE_HEAD] as Ref
  // The page of most free chunks in a row: what was freed together lies together.
  for (let left = SAMPLE_CHUNKS_MAX; left > 0 && ref !== NIL; ) {
    const page = pageOf(arena, ref)
    let count = 0
    for (; left > 0 && ref !== NIL && pageOf(arena, ref) === page; left--) {
      count++
      ref = words[ref + L.FREE_NEXT] as Ref
    }
    if (page === except || count <= bestCount) continue
    best = page
    bestCount = count
  }
  return best
}

function bitAt(classId: number): number {
  return L.SLACK + (classId >> 5)
}
