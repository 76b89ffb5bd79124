// What threads tell of the requests for sampled keys: a circular buffer that every thread writes to
// and one thread empties. A key is sampled by its hash, so always or never.
//
//   header   LIMIT: hashes that are sampled; HEAD, TAIL: samples written and read; LOST: those that
//            were not written
//   samples  by slot: its number, which is written last; then hash, kind, bytes, when it expires,
//            and the key's prefix: its length and its bytes
//
// A writer takes a slot with one atomic addition. If the buffer is full the sample is lost. A
// thread that dies in between leaves a slot unwritten, which the reader skips after a while.

import { Area, copyBytes } from '../../bytes/area.ts'

/** What happened to a sampled key. */
export const SampleKind = { HIT: 0, MISS: 1, NEW: 2, STORED: 3, REMOVED: 4 } as const
export type SampleKind = (typeof SampleKind)[keyof typeof SampleKind]

/** Samples that wait to be read, at most. */
export const SAMPLES_MAX = 2048
/** Threads that may write at once beyond a full buffer. */
const WRITERS_MAX = 256

/** Bytes of a prefix that are kept. */
export const PREFIX_BYTES_MAX = 32

const LIMIT = 0
const HEAD = 1
const TAIL = 2
const LOST = 3
const HEADER_WORDS = 16

const NUMBER = 0
const HASH = 1
const KIND = 2
const KIND_MASK = 0xff
const TIMES_SHIFT = 8
const BYTES = 3
const EXPIRES_AT_S = 4
const PREFIX_BYTES = 5
const PREFIX = 6
const SLOT_WORDS = PREFIX + PREFIX_BYTES_MAX / 4

/** A hash is multiplied by this before it is compared with LIMIT: 2^32 / golden ratio. */
const SPREAD = 0x9e3779b1
const NOTHING = -(2 ** 31)

/** A slot that is not written after so many looks is of a dead thread. */
const LOOKS_MAX = 20

export interface RingHandle {
  buffer: SharedArrayBuffer
}

/** `isOn` false: nothing is sampled, and there is no room for it. */
export function createRing(isOn: boolean): RingHandle {
  const words = HEADER_WORDS + (isOn ? SAMPLES_MAX * SLOT_WORDS : 0)
  const buffer = new SharedArrayBuffer(words * 4)
  new Int32Array(buffer)[LIMIT] = NOTHING
  return { buffer }
}

/** Whether a key with this hash is in a sample of this share of all keys, 0 to 1. */
export function isInShare(hash: number, share: number): boolean {
  return (Math.imul(hash, SPREAD) | 0) < limitOf(share)
}

function limitOf(share: number): number {
  return Math.min(Math.round(NOTHING + share * 2 ** 32), 2 ** 31 - 1)
}

/** The writing side, in any thread. */
export class RingSource {
  private readonly words: Int32Array
  private readonly area: Area

  constructor({ buffer }: RingHandle) {
    this.words = new Int32Array(buffer)
    this.area = new Area(Buffer.from(buffer))
  }

  /** Whether the key with this hash is sampled. */
  takes(hash: number): boolean {
    return (Math.imul(hash, SPREAD) | 0) < this.words[LIMIT]
  }

  countLost(): void {
    Atomics.add(this.words, LOST, 1)
  }

  /** Writes a sample of a key that begins with a prefix of `length` bytes at `start` of `key`. */
  write(sample: Sample, key: Area, start: number, length: number): void {
    const { words } = this
    const waiting = (Atomics.load(words, HEAD) - Atomics.load(words, TAIL)) | 0
    if (waiting >= SAMPLES_MAX - WRITERS_MAX) return this.countLost()
    const number = Atomics.add(words, HEAD, 1)
    const at = slotAt(number)
    const prefixBytes = Math.min(length, PREFIX_BYTES_MAX)
    words[at + HASH] = sample.hash
    words[at + KIND] = sample.kind | (sample.times << TIMES_SHIFT)
    words[at + BYTES] = sample.bytes
    words[at + EXPIRES_AT_S] = sample.expiresAtS
    words[at + PREFIX_BYTES] = prefixBytes
    copyBytes(key, start, this.area, (at + PREFIX) << 2, prefixBytes)
    Atomics.store(words, at + NUMBER, (number + 1) | 0)
  }
}

/** One sample. `bytes` and `expiresAtS` count for HIT, NEW and STORED. */
export interface Sample {
  hash: number
  kind: SampleKind
  /** Of the item, its header included. */
  bytes: number
  /** On the arena's clock; 0: never. */
  expiresAtS: number
  /** Requests that it is written for. */
  times: number
}

export const EMPTY_SAMPLE: Readonly<Sample> = {
  hash: 0,
  kind: SampleKind.HIT,
  bytes: 0,
  expiresAtS: 0,
  times: 1,
}

/** A sample as it is read; its prefix as latin1. */
export interface ReadSample extends Sample {
  prefix: string
}

/** The reading side, in one thread. */
export class RingDrain {
  private readonly words: Int32Array
  private readonly bytes: Buffer
  private looks = 0
  private readonly sample: ReadSample = { ...EMPTY_SAMPLE, prefix: '' }

  constructor({ buffer }: RingHandle) {
    this.words = new Int32Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  /** Samples this share of all keys from now on. */
  setShare(share: number): void {
    Atomics.store(this.words, LIMIT, limitOf(share))
  }

  /** Samples that were lost since the last call. */
  takeLost(): number {
    return Atomics.exchange(this.words, LOST, 0)
  }

  /** Hands each waiting sample to `take`, which may not keep it. Returns how many there were. */
  drain(take: (sample: ReadSample) => void): number {
    const { words } = this
    let count = 0
    while (count < SAMPLES_MAX) {
      const number = words[TAIL]
      if (number === Atomics.load(words, HEAD)) break
      const at = slotAt(number)
      if (Atomics.load(words, at + NUMBER) === ((number + 1) | 0)) {
        take(this.read(at))
      } else if (++this.looks < LOOKS_MAX) {
        break
      }
      this.looks = 0
      count++
      Atomics.store(words, TAIL, (number + 1) | 0)
    }
    return count
  }

  private read(at: number): ReadSample {
    const { words, sample } = this
    const from = (at + PREFIX) << 2
    sample.hash = words[at + HASH]
    sample.kind = (words[at + KIND] & KIND_MASK) as SampleKind
    sample.times = words[at + KIND] >> TIMES_SHIFT
    sample.bytes = words[at + BYTES]
    sample.expiresAtS = words[at + EXPIRES_AT_S]
    sample.prefix = this.bytes.toString('latin1', from, from + words[at + PREFIX_BYTES])
    return sample
  }
}

function slotAt(number: number): number {
  return HEADER_WORDS + (number & (SAMPLES_MAX - 1)) * SLOT_WORDS
}
