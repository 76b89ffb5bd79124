// Which keys clients have changed since a fill of the cache began, in memory that all threads
// share: one bit for all keys whose hashes begin alike. A client's thread marks a key before it
// takes the lock to change it. The thread that fills asks under the lock. So an item of the past
// never comes back after a change.
//
// Two keys may share a bit. Then an item of the past is left out that could have come back, which
// is a miss and no more.

const BITS_LOG2 = 25
const SHIFT = 32 - BITS_LOG2

export class ChangedKeys {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array

  /** Attaches to the memory of another one, or begins with no key changed. */
  constructor(buffer = new SharedArrayBuffer(2 ** BITS_LOG2 / 8)) {
    this.buffer = buffer
    this.words = new Int32Array(buffer)
  }

  mark(hash: number): void {
    const bit = hash >>> SHIFT
    Atomics.or(this.words, bit >>> 5, 1 << (bit & 31))
  }

  has(hash: number): boolean {
    const bit = hash >>> SHIFT
    return (Atomics.load(this.words, bit >>> 5) & (1 << (bit & 31))) !== 0
  }
}
