// The file of --acl in shared memory: the main thread puts it here when it was read, and every
// thread notices that at its next question.
//
//   Int32 VERSION   its lowest bit says which bank is read
//   banks           two, each: Int32 length, then a text
//
// One thread writes: into the other bank, then the version. A reader that saw the same version
// before and after has a complete text.

import { ACL_BYTES_MAX } from './limits.ts'

/** How often a read is tried again, because the text changed meanwhile. */
const READ_TRIES_MAX = 1000

const LENGTH_BYTES = 4
/** The text of the file, and what is added to it. */
const TEXT_BYTES_MAX = 2 * ACL_BYTES_MAX
const BANK_BYTES = LENGTH_BYTES + TEXT_BYTES_MAX
const HEADER_BYTES = 8

export class Board {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array
  private readonly bytes: Buffer

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer, 0, 1)
    this.bytes = Buffer.from(buffer)
  }

  /** Pages that nobody writes to take no memory. */
  static create(): Board {
    return new Board(new SharedArrayBuffer(HEADER_BYTES + 2 * BANK_BYTES))
  }

  get version(): number {
    return this.words[0]
  }

  /** False: the text is too long. */
  publish(text: string): boolean {
    const bytes = Buffer.byteLength(text)
    if (bytes > TEXT_BYTES_MAX) return false
    const next = this.version + 1
    const at = bankAt(next)
    this.bytes.writeUInt32LE(bytes, at)
    this.bytes.write(text, at + LENGTH_BYTES)
    Atomics.store(this.words, 0, next)
    return true
  }

  read(): { text: string; version: number } {
    for (let tries = 1; ; tries++) {
      const version = Atomics.load(this.words, 0)
      const at = bankAt(version)
      const start = at + LENGTH_BYTES
      const text = this.bytes.toString('utf8', start, start + this.bytes.readUInt32LE(at))
      if (Atomics.load(this.words, 0) === version || tries === READ_TRIES_MAX)
        return { text, version }
    }
  }
}

function bankAt(version: number): number {
  return HEADER_BYTES + (version & 1) * BANK_BYTES
}
