// One watcher: the lines of all threads that it wants, in the order in which they were written. It
// is asked for lines only when the peer has read the last ones. New lines wait in the log buffers
// meanwhile, and are lost there once they are overwritten.

import { KIB } from '../../bytes/units.ts'
import { type Journal, KIND_OF_TYPE } from '../../observe/journal.ts'
import { type RingReader, TYPE } from '../../observe/log-buffer.ts'
import type { Source } from '../conversation.ts'
import { ThreadCounter } from '../host.ts'
import { lineOf } from './log-line.ts'

/** How long a watcher waits while there is nothing new; it polls more often while there is. */
const WATCH_PAUSE_MS_MIN = 5
const WATCH_PAUSE_MS_MAX = 50

/** Most bytes that a watcher is sent at a time, and most records that it reads for them. */
const WATCH_PIECE_BYTES_MAX = 32 * KIB
const WATCH_RECORDS_MAX = 4096

const NOTHING = Buffer.alloc(0)

export class Watcher implements Source {
  pauseMs = WATCH_PAUSE_MS_MIN
  private readonly journal: Journal
  private readonly kinds: number
  private readonly counters: Float64Array
  private readonly pieceBytes: number
  private readonly readers: RingReader[]
  /** By reader: whether it has a record that has not been sent yet. */
  private readonly isFull: boolean[]
  /** Records that may still be read in this turn. */
  private records = 0

  /** For a journal that counts it already. `bufferBytes`: most bytes that may wait to be sent. */
  constructor(journal: Journal, kinds: number, counters: Float64Array, bufferBytes: number) {
    this.journal = journal
    this.kinds = kinds
    this.counters = counters
    this.pieceBytes = Math.min(bufferBytes, WATCH_PIECE_BYTES_MAX)
    this.readers = journal.readers()
    this.isFull = this.readers.map(() => false)
  }

  next(): Buffer {
    const lines: string[] = []
    let bytes = 0
    this.records = WATCH_RECORDS_MAX
    while (bytes < this.pieceBytes) {
      const reader = this.oldest()
      const skipped = this.takeLost()
      if (skipped > 0) {
        this.counters[ThreadCounter.LOG_SKIPPED] += skipped
        lines.push(`skipped=${skipped}\n`)
      }
      if (reader === null) break
      const line = lineOf(reader)
      lines.push(line)
      bytes += line.length
      this.counters[ThreadCounter.LOG_SENT]++
    }
    if (lines.length > 0) this.pauseMs = WATCH_PAUSE_MS_MIN
    else this.pauseMs = Math.min(WATCH_PAUSE_MS_MAX, this.pauseMs * 2)
    return lines.length > 0 ? Buffer.from(lines.join(''), 'latin1') : NOTHING
  }

  close(): void {
    this.journal.dropWatcher(this.kinds)
  }

  /** Takes the oldest of the records that the readers have; null without one. */
  private oldest(): RingReader | null {
    let first = -1
    for (let i = 0; i < this.readers.length; i++) {
      if (!this.isFull[i]) this.isFull[i] = this.advance(this.readers[i])
      if (!this.isFull[i]) continue
      if (first < 0 || this.readers[i].number < this.readers[first].number) first = i
    }
    if (first < 0) return null
    this.isFull[first] = false
    return this.readers[first]
  }

  /** Reads until a record of a wanted kind. */
  private advance(reader: RingReader): boolean {
    while (this.records-- > 0 && reader.read()) {
      if ((KIND_OF_TYPE[reader.words[TYPE]] & this.kinds) !== 0) return true
    }
    return false
  }

  private takeLost(): number {
    let lost = 0
    for (const reader of this.readers) {
      lost += reader.lost
      reader.lost = 0
    }
    return lost
  }
}
