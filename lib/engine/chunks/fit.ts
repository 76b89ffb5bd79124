// Fits classes to the sizes that really come. Assumes the arena's lock. The storing thread does it,
// once in a number of allocations and for some microseconds, so that even a memory that fills in a
// second is cut for its sizes before it is full, and pages need not move afterwards.
//
// The classes of -f and -n are cut before any size is known: with a factor of 1.25 an item wastes
// an eighth of its chunk on average. So the size of every few allocations is sampled into a
// circular buffer, which shows the further size that would save most. Such a fitted class gets one
// of the spare class numbers, and from then on the sizes between the class below and its own go
// there. A fitted class that saves little any more is given up when a better one needs its number:
// it gets no new items, and its pages move on.
//
// Sizes and chunks are counted in words here.

import { type Arena, chunkWords } from '../arena/arena.ts'
import * as L from '../arena/layout.ts'
import { FIT_EVERY, FIT_SAMPLES } from '../limits.ts'
import { classFor } from './slabs.ts'

/** Share of the sampled items' memory that a new class must save. */
const FIT_GAIN_MIN = 0.01

/** How much more it must save than the class that is given up for it. */
const FIT_WORTH_FACTOR = 4

// The sorted samples of the current check. A thread does one check at a time.
const sizes = new Int32Array(FIT_SAMPLES)

/** Samples the size of an allocation at intervals, and checks the samples at longer ones. */
export function noteSize(arena: Arena, itemWords: number): void {
  const { words } = arena
  const tick = ++words[L.FIT_TICK]
  if (tick % FIT_EVERY !== 0) return
  words[arena.samplesAt + ((tick / FIT_EVERY) & (FIT_SAMPLES - 1))] = itemWords
  if (((tick - words[L.FIT_LOOK_AT]) | 0) >= 0) look(arena, tick)
}

/** Adds a class or gives one up, if that saves enough for the sampled sizes. */
function look(arena: Arena, tick: number): void {
  const { words } = arena
  const between = FIT_SAMPLES * FIT_EVERY
  words[L.FIT_LOOK_AT] = (tick + between) | 0
  if (words[L.FIT_ON] === 0) return
  for (let i = 0; i < FIT_SAMPLES; i++) sizes[i] = words[arena.samplesAt + i]
  sizes.sort()
  const found = cutBest(arena)
  // A change is followed by another check soon, but not while there are few samples.
  if (found && sizes[0] !== 0) words[L.FIT_LOOK_AT] = (tick + FIT_EVERY) | 0
}

/** Whether a class was added or given up. */
function cutBest(arena: Arena): boolean {
  let best = 0
  let bestGain = 0
  let spent = 0
  let below = 0
  let classId = 0
  for (let i = 0; i < FIT_SAMPLES; i++) {
    const size = sizes[i]
    if (size === 0) continue
    const own = classFor(arena, size)
    if (own !== classId) below = i
    classId = own
    if (own === 0) continue
    spent += share(arena, chunkWords(arena, own))
    if (i + 1 < FIT_SAMPLES && sizes[i + 1] === size) continue
    const gain = (i + 1 - below) * (share(arena, chunkWords(arena, own)) - share(arena, size))
    if (gain <= bestGain) continue
    best = size
    bestGain = gain
  }
  if (bestGain <= 0 || bestGain < spent * FIT_GAIN_MIN) return false
  const spare = spareClass(arena)
  if (spare === 0) return giveUpFor(arena, bestGain)
  cutClass(arena, spare, best)
  return true
}

/** Gives up the fitted class that saves least, if the gain is much larger: one after the other. */
function giveUpFor(arena: Arena, gain: number): boolean {
  if (abandonedClass(arena) !== 0) return false
  let least = 0
  let leastWorth = gain / FIT_WORTH_FACTOR
  for (let classId = arena.baseClasses + 1; classId <= arena.classCount; classId++) {
    if (!isCurrent(arena, classId)) continue
    const worth = worthOf(arena, classId)
    if (worth >= leastWorth) continue
    least = classId
    leastWorth = worth
  }
  if (least !== 0) giveUpClass(arena, least)
  return least !== 0
}

/** What a fitted class saves for the sampled sizes. */
function worthOf(arena: Arena, classId: number): number {
  const size = chunkWords(arena, classId)
  const next = chunkWords(arena, classFor(arena, size + 1))
  let count = 0
  for (let i = 0; i < FIT_SAMPLES; i++) {
    if (sizes[i] !== 0 && classFor(arena, sizes[i]) === classId) count++
  }
  return count * (share(arena, next) - share(arena, size))
}

/** A fitted class that gets no new items, though it may still have pages; 0: none. */
export function abandonedClass(arena: Arena): number {
  return unusedClass(arena, true)
}

/** Words of a page that a chunk of this size takes. */
function share(arena: Arena, size: number): number {
  return arena.pageWords / Math.floor(arena.pageWords / size)
}

/** A class number without pages and without sizes; 0: none. */
function spareClass(arena: Arena): number {
  return unusedClass(arena, false)
}

/** A fitted class that no size goes to, with or without pages; 0: none. */
function unusedClass(arena: Arena, hasPages: boolean): number {
  for (let classId = arena.baseClasses + 1; classId <= arena.classCount; classId++) {
    const pages = arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    if (pages > 0 === hasPages && !isCurrent(arena, classId)) return classId
  }
  return 0
}

/** Whether items go to the class. A thread that died may have left it only its smaller sizes. */
export function isCurrent(arena: Arena, classId: number): boolean {
  const size = chunkWords(arena, classId)
  if (size === 0) return false
  if (classFor(arena, size) === classId) return true
  const mapAt = arena.mapAt << 2
  return arena.area.bytes.subarray(mapAt, mapAt + size).includes(classId)
}

function cutClass(arena: Arena, classId: number, size: number): void {
  const { words } = arena
  const at = L.classAt(classId)
  words[at + L.CLASS_CHUNK_WORDS] = size
  words[at + L.CLASS_CHUNKS_PER_PAGE] = Math.floor(arena.pageWords / size)
  remap(arena, classFor(arena, size), size, classId)
}

function giveUpClass(arena: Arena, classId: number): void {
  const size = chunkWords(arena, classId)
  remap(arena, classId, size, classFor(arena, size + 1))
}

/**
 * Gives all sizes of one class up to `size` to another class, whose chunks hold that size. Larger
 * sizes are given first: a thread that dies in between leaves a class that is in use, or is given
 * up again.
 */
function remap(arena: Arena, fromClass: number, size: number, toClass: number): void {
  const { bytes } = arena.area
  const mapAt = arena.mapAt << 2
  for (let at = mapAt + size; at >= mapAt; at--) if (bytes[at] === fromClass) bytes[at] = toClass
}
