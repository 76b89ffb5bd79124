// Sketches of the sampled requests of each thread: the keys with most requests, and those with the
// longest values. In shared memory: each thread writes its own sketch, any thread reads all of
// them.
//
//   +--------+----------+----------+----
//   | header | sketch 0 | sketch 1 | ...
//   +--------+----------+----------+----
//
// header   RESETS: a thread that finds it changed empties its sketch before it writes again
// sketch   SEQUENCE, odd while its thread writes; the RESETS it has SEEN; SAMPLES; then by slot the
//          hashes, the counts, the errors, and the keys: their length and their bytes
//
// The first HOT_SLOTS slots are a space-saving sketch: a key without a slot takes the one with the
// smallest count and begins with that count, which is then its error. So a key was sampled between
// count - error and count times, and no key with more than 1/HOT_SLOTS of the samples is missing.
// All counts are halved at intervals, so that recent samples weigh more. The other slots have the
// longest values: their counts are bytes.

import { Area, copyBytes, equalBytes } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'

/** Slots of each thread for counted keys, and for keys with long values. */
export const HOT_SLOTS = 64
export const LONG_SLOTS = 16

/** At this number of samples a thread halves its counts. */
export const HOT_SAMPLES_MAX = 16_384

/** Tries to read a sketch while its thread writes to it. */
const SKETCH_TRIES_MAX = 100

const HEADER_WORDS = 16
const RESETS = 0

const SLOTS = HOT_SLOTS + LONG_SLOTS
const KEY_WORDS = 1 + Math.ceil(KEY_BYTES_MAX / 4)
const SEQUENCE = 0
const SEEN = 1
const SAMPLES = 2
const HASHES = 16
const COUNTS = HASHES + SLOTS
const ERRORS = COUNTS + SLOTS
const KEYS = ERRORS + SLOTS
const SKETCH_WORDS = Math.ceil((KEYS + SLOTS * KEY_WORDS) / 16) * 16

const NONE = -1

/** What another thread needs to attach; fit for postMessage. */
export interface SketchHandle {
  buffer: SharedArrayBuffer
  threads: number
}

/** A key of a sketch, as latin1, with its samples or the bytes of its value. */
export interface Sampled {
  key: string
  hash: number
  count: number
  error: number
}

/** The contents of all sketches, unordered. A key may occur once per thread. */
export interface Sampling {
  samples: number
  hot: Sampled[]
  long: Sampled[]
}

/** Creates sketches for `threads` threads. */
export function createSketches(threads: number): SketchHandle {
  const words = HEADER_WORDS + threads * SKETCH_WORDS
  return { buffer: new SharedArrayBuffer(words * 4), threads }
}

/** Empties all sketches. */
export function resetSketches({ buffer }: SketchHandle): void {
  Atomics.add(new Int32Array(buffer), RESETS, 1)
}

/** The sketch of one thread, which only that thread writes. */
export class Sketch {
  private readonly header: Int32Array
  private readonly words: Int32Array
  private readonly area: Area

  constructor({ buffer }: SketchHandle, thread: number) {
    const at = (HEADER_WORDS + thread * SKETCH_WORDS) * 4
    this.header = new Int32Array(buffer, 0, HEADER_WORDS)
    this.words = new Int32Array(buffer, at, SKETCH_WORDS)
    this.area = new Area(Buffer.from(buffer, at, SKETCH_WORDS * 4))
    // The previous thread may have died while it wrote.
    this.words.fill(0)
    this.words[SEEN] = this.header[RESETS]
  }

  /** Counts a sampled request for this key. */
  count(hash: number, key: Area, start: number, length: number): void {
    const { words } = this
    this.begin()
    const known = this.find(0, hash, key, start, length)
    const slot = known === NONE ? this.least(0, HOT_SLOTS) : known
    if (known === NONE) {
      words[ERRORS + slot] = words[COUNTS + slot]
      this.putKey(slot, hash, key, start, length)
    }
    words[COUNTS + slot]++
    if (++words[SAMPLES] >= HOT_SAMPLES_MAX) this.halve()
    this.end()
  }

  /** Records the bytes of the key's value, if it is among the longest. */
  measure(hash: number, key: Area, start: number, length: number, valueBytes: number): void {
    const { words } = this
    this.begin()
    let slot = this.find(HOT_SLOTS, hash, key, start, length)
    if (slot === NONE) {
      slot = this.least(HOT_SLOTS, SLOTS)
      if (words[COUNTS + slot] < valueBytes) this.putKey(slot, hash, key, start, length)
      else slot = NONE
    }
    if (slot !== NONE) words[COUNTS + slot] = valueBytes
    this.end()
  }

  /** Bytes up to which values are not among the longest. */
  shortest(): number {
    return this.words[COUNTS + this.least(HOT_SLOTS, SLOTS)]
  }

  /**
   * Copies the key with a long value at this index, if any. Returns its length; `hashOf` has its
   * hash.
   */
  copyLong(index: number, to: Area): number {
    const { words } = this
    const slot = HOT_SLOTS + (index % LONG_SLOTS)
    if (words[COUNTS + slot] === 0) return 0
    const at = KEYS + slot * KEY_WORDS
    copyBytes(this.area, (at + 1) << 2, to, 0, words[at])
    return words[at]
  }

  hashOf(index: number): number {
    return this.words[HASHES + HOT_SLOTS + (index % LONG_SLOTS)]
  }

  private begin(): void {
    const { words } = this
    // An exchange, not a store: no later write may be moved before it.
    Atomics.exchange(words, SEQUENCE, words[SEQUENCE] + 1)
    const resets = Atomics.load(this.header, RESETS)
    if (words[SEEN] === resets) return
    words.fill(0, SAMPLES)
    words[SEEN] = resets
  }

  private end(): void {
    Atomics.store(this.words, SEQUENCE, this.words[SEQUENCE] + 1)
  }

  /** The slot of a key in the part that begins at `first` (hot or long), or NONE. */
  private find(first: number, hash: number, key: Area, start: number, length: number): number {
    const { words, area } = this
    const end = first === 0 ? HOT_SLOTS : SLOTS
    for (let slot = first; slot < end; slot++) {
      if (words[HASHES + slot] !== hash) continue
      const at = KEYS + slot * KEY_WORDS
      if (words[at] === length && equalBytes(area, (at + 1) << 2, key, start, length)) return slot
    }
    return NONE
  }

  /** The slot in [from, end) with the smallest count. */
  private least(from: number, end: number): number {
    const { words } = this
    let best = from
    for (let slot = from + 1; slot < end; slot++) {
      if (words[COUNTS + slot] < words[COUNTS + best]) best = slot
    }
    return best
  }

  private putKey(slot: number, hash: number, key: Area, start: number, length: number): void {
    const { words } = this
    const at = KEYS + slot * KEY_WORDS
    words[HASHES + slot] = hash
    words[at] = length
    copyBytes(key, start, this.area, (at + 1) << 2, length)
  }

  private halve(): void {
    const { words } = this
    words[SAMPLES] >>= 1
    for (let slot = 0; slot < HOT_SLOTS; slot++) {
      words[COUNTS + slot] >>= 1
      words[ERRORS + slot] >>= 1
    }
  }
}

/** Reads all sketches. One that cannot be read between two writes is left out. */
export function readSketches({ buffer, threads }: SketchHandle): Sampling {
  const resets = Atomics.load(new Int32Array(buffer), RESETS)
  const sampling: Sampling = { samples: 0, hot: [], long: [] }
  for (let thread = 0; thread < threads; thread++) {
    const words = copySketch(buffer, thread)
    if (words === null || words[SEEN] !== resets) continue
    sampling.samples += words[SAMPLES]
    for (let slot = 0; slot < SLOTS; slot++) {
      const sampled = sampledIn(words, slot)
      if (sampled === null) continue
      if (slot < HOT_SLOTS) sampling.hot.push(sampled)
      else sampling.long.push(sampled)
    }
  }
  return sampling
}

/** A consistent copy of a sketch; null if its thread wrote all the time. */
function copySketch(buffer: SharedArrayBuffer, thread: number): Int32Array | null {
  const at = (HEADER_WORDS + thread * SKETCH_WORDS) * 4
  const shared = new Int32Array(buffer, at, SKETCH_WORDS)
  for (let tries = 0; tries < SKETCH_TRIES_MAX; tries++) {
    const before = Atomics.load(shared, SEQUENCE)
    const copy = shared.slice()
    // An atomic read-modify-write that adds nothing: no earlier read may be moved after it.
    if (before % 2 === 0 && Atomics.add(shared, SEQUENCE, 0) === before) return copy
  }
  return null
}

function sampledIn(words: Int32Array, slot: number): Sampled | null {
  const count = words[COUNTS + slot]
  if (count === 0) return null
  const at = KEYS + slot * KEY_WORDS
  const bytes = Buffer.from(words.buffer, (at + 1) * 4, words[at])
  const key = bytes.toString('latin1')
  return { key, hash: words[HASHES + slot], count, error: words[ERRORS + slot] }
}
