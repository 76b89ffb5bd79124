// Counts by key prefix, for `stats detail`: one table that all threads write to. A prefix is the
// part before the delimiter. Keys without one are not counted, and no new prefixes once the table
// has PREFIXES_MAX of them.
//
// A slot is free, taken by the thread that writes its prefix, or good: then its first word is the
// prefix's hash. Two threads that meet the same new prefix at once may give it two slots, which are
// added up in the report. Counts are two words each, with the carry passed on in code.

import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'

/** Most prefixes of `stats detail` (memcached: 65536), and most slots probed for one. */
export const PREFIXES_MAX = 16 * KIB
const PREFIX_PROBES_MAX = 64

const COUNT = 0
const HEADER_WORDS = 16

const SLOTS = 2 * PREFIXES_MAX
const SLOT_WORDS = 80
const HASH = 0
const LENGTH = 1
const COUNTS = 2
const PREFIX = 12
const FREE = 0
const TAKEN = 1
const GOOD = 2 // set in every hash

/** What is counted, in the order of a dump. */
export const PrefixCount = { GET: 0, HIT: 1, SET: 2, DELETE: 3 } as const
const NAMES = ['get', 'hit', 'set', 'del']

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

export interface PrefixHandle {
  buffer: SharedArrayBuffer
  delimiter: string
}

export function createPrefixes(delimiter: string): PrefixHandle {
  const words = HEADER_WORDS + SLOTS * SLOT_WORDS
  return { buffer: new SharedArrayBuffer(words * 4), delimiter }
}

export class Prefixes {
  private readonly words: Int32Array
  private readonly bytes: Buffer
  private readonly delimiter: number

  constructor({ buffer, delimiter }: PrefixHandle) {
    this.words = new Int32Array(buffer)
    this.bytes = Buffer.from(buffer)
    this.delimiter = delimiter.charCodeAt(0)
  }

  /** Counts for the prefix of a key, if it has one. */
  count(key: Buffer, start: number, keyBytes: number, what: number): void {
    const slot = this.slotOf(key, start, keyBytes)
    if (slot < 0) return
    const at = slot + COUNTS + what * 2
    if (Atomics.add(this.words, at, 1) === -1) Atomics.add(this.words, at + 1, 1)
  }

  /** Removes all prefixes. Memory that was never used is not touched, so it costs nothing. */
  clear(): void {
    const { words } = this
    if (words[COUNT] === 0) return
    for (let slot = HEADER_WORDS; slot < words.length; slot += SLOT_WORDS) {
      if (Atomics.load(words, slot + HASH) !== FREE) words.fill(0, slot, slot + SLOT_WORDS)
    }
    Atomics.store(words, COUNT, 0)
  }

  /** One row per prefix. */
  *lines(): Generator<string> {
    if (this.words[COUNT] === 0) return
    const sums = new Map<string, number[]>()
    for (let slot = HEADER_WORDS; slot < this.words.length; slot += SLOT_WORDS) {
      if ((Atomics.load(this.words, slot + HASH) & GOOD) === 0) continue
      const at = (slot + PREFIX) << 2
      const prefix = this.bytes.toString('latin1', at, at + this.words[slot + LENGTH])
      const sum = sums.get(prefix) ?? [0, 0, 0, 0]
      for (let what = 0; what < sum.length; what++) sum[what] += this.countOf(slot, what)
      sums.set(prefix, sum)
    }
    for (const [prefix, sum] of sums) {
      yield `PREFIX ${prefix} ${sum.map((count, what) => `${NAMES[what]} ${count}`).join(' ')}\r\n`
    }
  }

  private countOf(slot: number, what: number): number {
    const at = slot + COUNTS + what * 2
    return this.words[at + 1] * 2 ** 32 + (this.words[at] >>> 0)
  }

  /** The slot of a key's prefix, a new one if needed; -1 without a prefix or without room. */
  private slotOf(key: Buffer, start: number, keyBytes: number): number {
    const end = start + keyBytes
    let hash = FNV_OFFSET
    let stop = start
    while (stop < end && key[stop] !== this.delimiter) {
      hash = Math.imul(hash ^ key[stop++], FNV_PRIME)
    }
    if (stop === end) return -1
    const length = stop - start
    const marked = hash | GOOD
    let index = (hash >>> 1) % SLOTS
    for (let probe = 0; probe < PREFIX_PROBES_MAX; probe++) {
      const slot = HEADER_WORDS + index * SLOT_WORDS
      const seen = Atomics.load(this.words, slot + HASH)
      if (seen === FREE) {
        if (this.words[COUNT] >= PREFIXES_MAX) return -1
        if (this.take(slot, key, start, length, marked)) return slot
      } else if (seen === marked && this.isPrefix(slot, key, start, length)) {
        return slot
      }
      index = (index + 1) % SLOTS
    }
    return -1
  }

  private take(slot: number, key: Buffer, start: number, length: number, marked: number): boolean {
    const { words } = this
    if (Atomics.compareExchange(words, slot + HASH, FREE, TAKEN) !== FREE) return false
    Atomics.add(words, COUNT, 1)
    words.fill(0, slot + COUNTS, slot + PREFIX)
    words[slot + LENGTH] = length
    key.copy(this.bytes, (slot + PREFIX) << 2, start, start + length)
    Atomics.store(words, slot + HASH, marked)
    return true
  }

  private isPrefix(slot: number, key: Buffer, start: number, length: number): boolean {
    if (this.words[slot + LENGTH] !== length || length > KEY_BYTES_MAX) return false
    const at = (slot + PREFIX) << 2
    return this.bytes.compare(key, start, start + length, at, at + length) === 0
  }
}
