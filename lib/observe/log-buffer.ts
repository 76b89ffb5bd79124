// The log buffers that watchers read: one circular buffer per thread, all in one piece of shared
// memory. Only its thread writes to a buffer, and never waits: new records overwrite the oldest.
// Each reader keeps its own position in every buffer and detects what it lost.
//
//   +--------+----------+----------+----------+----
//   | header | watchers | buffer 0 | buffer 1 | ...   a buffer: its header, then its records
//   +--------+----------+----------+----------+----
//
// header    the number of the last line, which counts over all buffers; the kinds that are wanted
// watchers  WATCHER_WORDS per thread: the kinds that the watchers of that thread want buffer
// RESERVED is how far its thread has begun to write, HEAD how far it is done, both in bytes
//           since the start; LINES counts records
//
//   record    0 BYTES  1 TYPE  2 LINE  3 PEER  4 NUMBER (Float64)  6 TIME_MS (Float64)
//             8 CODES  9 SIZE  10 TTL_S  11 IDLE_S, then text
//   CODES     status 0-7 | command 8-15 | class 16-23 | bytes of text 24-31
//
// Records are aligned to 8 bytes and within one block each, so that a reader that was overtaken
// continues at the next block. It copies a record, then reads RESERVED again: a record that has
// been overwritten meanwhile is not used.

import assert from 'node:assert/strict'
import { Area, copyBytes } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { KIB } from '../bytes/units.ts'

/** A thread's log buffer consists of blocks of this size. */
export const LOG_BLOCK_BYTES = 4 * KIB

const HEADER_BYTES = 64
const LAST_NUMBER = 0 // BigInt64 index in the header
/**
 * Header words: the kinds of lines that any watcher wants; whether prefixes are counted, and
 * changed keys noted.
 */
export const WANTED = 2
export const COUNTS_PREFIXES = 3
export const NOTES_CHANGES = 4
export const WATCHER_WORDS = 16

const RING_HEADER_BYTES = 64
const RESERVED = 0 // BigInt64 indices in a ring's header
const HEAD = 1
const LINES = 4 // Int32 index in a ring's header

// Words of a record
const BYTES = 0
export const TYPE = 1
const LINE = 2
export const PEER = 3
const NUMBER = 4
const TIME_MS = 6
export const CODES = 8
export const SIZE = 9
export const TTL_S = 10
export const IDLE_S = 11
const RECORD_BYTES = 48
const FILLER = 0
/** Words of the smallest filler. */
const FILLER_BYTES_MIN = 8

export const RECORD_BYTES_MAX = RECORD_BYTES + Math.ceil(KEY_BYTES_MAX / 8) * 8
assert(RECORD_BYTES_MAX * 4 <= LOG_BLOCK_BYTES, 'little of a block is lost at its end')
assert(LOG_BLOCK_BYTES % 8 === 0 && FILLER_BYTES_MIN === 8)

/** What another thread needs to attach; fit for postMessage. */
export interface LogHandle {
  buffer: SharedArrayBuffer
  threads: number
  ringBytes: number
}

/** Shared memory for the buffers of `threads` threads, each of about `ringBytes`. */
export function createLogs(threads: number, ringBytes: number): LogHandle {
  const blocks = Math.max(2, Math.ceil(ringBytes / LOG_BLOCK_BYTES))
  const bytes = blocks * LOG_BLOCK_BYTES
  const total = HEADER_BYTES + threads * WATCHER_WORDS * 4 + threads * (RING_HEADER_BYTES + bytes)
  return { buffer: new SharedArrayBuffer(total), threads, ringBytes: bytes }
}

/** The words of the header. */
export function headerWords({ buffer }: LogHandle): Int32Array {
  return new Int32Array(buffer, 0, HEADER_BYTES / 4)
}

/** The kinds that the watchers of one thread want: WATCHER_WORDS words. */
export function watcherWords({ buffer }: LogHandle, thread: number): Int32Array {
  return new Int32Array(buffer, HEADER_BYTES + thread * WATCHER_WORDS * 4, WATCHER_WORDS)
}

/** A thread's views of a buffer. */
class Ring {
  readonly positions: BigInt64Array
  readonly header: Int32Array
  readonly words: Int32Array
  readonly area: Area
  readonly bytes: number

  constructor({ buffer, threads, ringBytes }: LogHandle, thread: number) {
    const first = HEADER_BYTES + threads * WATCHER_WORDS * 4
    const at = first + thread * (RING_HEADER_BYTES + ringBytes)
    this.positions = new BigInt64Array(buffer, at, 2)
    this.header = new Int32Array(buffer, at, RING_HEADER_BYTES / 4)
    this.words = new Int32Array(buffer, at + RING_HEADER_BYTES, ringBytes / 4)
    this.area = new Area(Buffer.from(buffer, at + RING_HEADER_BYTES, ringBytes))
    this.bytes = ringBytes
  }

  head(): number {
    return Number(Atomics.load(this.positions, HEAD))
  }

  /** An atomic read-modify-write that adds nothing: no earlier read may be moved after it. */
  reserved(): number {
    return Number(Atomics.add(this.positions, RESERVED, 0n))
  }
}

/** The writer of a thread's buffer. Records are written one at a time: begin, fields, text, end. */
export class RingWriter {
  /** The current record: its first word in `words`, the start of its text in `area`. */
  at = 0
  textAt = 0
  readonly words: Int32Array
  readonly area: Area
  private readonly ring: Ring
  private readonly lastNumber: BigInt64Array
  private head: number

  constructor(handle: LogHandle, thread: number) {
    this.ring = new Ring(handle, thread)
    this.words = this.ring.words
    this.area = this.ring.area
    this.lastNumber = new BigInt64Array(handle.buffer, 0, 1)
    this.head = this.ring.head()
    // The previous thread may have died while it wrote: continue after what it had begun.
    if (this.ring.reserved() > this.head) this.fill()
  }

  begin(type: number, codes: number, textBytes: number): void {
    const bytes = RECORD_BYTES + ((textBytes + 7) & ~7)
    if (bytes > LOG_BLOCK_BYTES - (this.head % LOG_BLOCK_BYTES)) this.fill()
    this.reserve(bytes, type)
    const { words, at } = this
    const { header } = this.ring
    header[LINES] = (header[LINES] + 1) | 0
    words[at + LINE] = header[LINES]
    words[at + PEER] = 0
    words[at + CODES] = codes | (textBytes << 24)
    words[at + SIZE] = 0
    words[at + TTL_S] = 0
    words[at + IDLE_S] = 0
    const { view } = this.area
    const number = Number(Atomics.add(this.lastNumber, LAST_NUMBER, 1n)) + 1
    view.setFloat64((at + NUMBER) << 2, number, true)
    view.setFloat64((at + TIME_MS) << 2, performance.timeOrigin + performance.now(), true)
    this.textAt = (at << 2) + RECORD_BYTES
  }

  /** The current record is complete: readers may read it. */
  end(): void {
    this.head += this.words[this.at + BYTES]
    Atomics.store(this.ring.positions, HEAD, BigInt(this.head))
  }

  /** Fills the rest of the block. */
  private fill(): void {
    this.reserve(LOG_BLOCK_BYTES - (this.head % LOG_BLOCK_BYTES), FILLER)
    this.end()
  }

  private reserve(bytes: number, type: number): void {
    // An exchange, not a store: no later write may be moved before it.
    Atomics.exchange(this.ring.positions, RESERVED, BigInt(this.head + bytes))
    this.at = (this.head % this.ring.bytes) >> 2
    this.words[this.at + BYTES] = bytes
    this.words[this.at + TYPE] = type
  }
}

/** One reader's position in one buffer. It begins at the buffer's end. */
export class RingReader {
  /** The last record read: its words, and its text from `textAt` of `area`. */
  readonly words: Int32Array
  readonly area: Area
  readonly textAt = RECORD_BYTES
  /** Number of that line, over all buffers, and when it was written. */
  number = 0
  timeMs = 0
  /** Lines overwritten before they were read, since this was last zeroed. */
  lost = 0
  private readonly ring: Ring
  private position: number
  private line: number

  constructor(handle: LogHandle, thread: number) {
    this.ring = new Ring(handle, thread)
    this.area = Area.allocate(RECORD_BYTES_MAX)
    this.words = new Int32Array(this.area.bytes.buffer)
    this.position = this.ring.head()
    this.line = this.ring.header[LINES]
  }

  /** Reads the next record; false when there is none yet. */
  read(): boolean {
    const { ring, words, area } = this
    const head = ring.head()
    while (this.position < head) {
      const from = this.position % ring.bytes
      const left = LOG_BLOCK_BYTES - (from % LOG_BLOCK_BYTES)
      const bytes = ring.words[(from >> 2) + BYTES]
      const isFiller = ring.words[(from >> 2) + TYPE] === FILLER
      const copied = Math.min(RECORD_BYTES_MAX, left)
      copyBytes(ring.area, from, area, 0, copied)
      if (ring.reserved() - ring.bytes > this.position) {
        this.skip(ring.reserved() - ring.bytes)
        continue
      }
      this.position += bytes
      if (isFiller) continue
      this.lost += Math.max(0, (words[LINE] - this.line - 1) | 0)
      this.line = words[LINE]
      this.number = area.view.getFloat64(NUMBER << 2, true)
      this.timeMs = area.view.getFloat64(TIME_MS << 2, true)
      return true
    }
    return false
  }

  /** Continues at the first block that has not been overwritten. */
  private skip(oldest: number): void {
    this.position = Math.ceil(oldest / LOG_BLOCK_BYTES) * LOG_BLOCK_BYTES
  }
}
