// The reply to `snapshot`: a snapshot that is taken while it is sent, step by step, as fast as the
// peer reads. As with dumps, one thread at a time is in a step (control/dump.ts). The code is
// loaded for the first one.
//
// The daemon's own snapshots have a thread and a task of their own (keeping/snapshots.ts). This one
// is made by the thread that has the connection, which is itself a task of the pool: a connection
// cannot be written to by another thread, so each block would have to be sent over, with a protocol
// that makes one wait for the other. What takes long, to compress and to encrypt, the peer does. A
// step is what a dump's step is: some hundred items, a checksum and one write.

import type { Cache } from '../engine/cache.ts'
import type { Taker } from '../keeping/arenas/taker.ts'
import { beginDumpStep, DUMP_WAIT_MS, endDumpStep } from '../protocol/control/dump.ts'
import type { Source } from '../protocol/conversation.ts'
import { say } from './system/log.ts'
import { reasonOf } from './system/reason.ts'

const NOTHING = Buffer.alloc(0)

export class SnapshotSource implements Source {
  pauseMs = DUMP_WAIT_MS
  private readonly control: Int32Array
  /** Null until the code is loaded. */
  private taker: Taker | null = null
  private isClosed = false

  constructor(cache: Cache, control: Int32Array, hasCas: boolean) {
    this.control = control
    import('../keeping/arenas/taker.ts').then(
      ({ Taker }) => {
        if (!this.isClosed) this.taker = new Taker(cache, { hasCas, secret: null, level: 0 })
      },
      (error: unknown) => {
        this.isClosed = true
        say(`a snapshot could not be taken: ${reasonOf(error)}`, 'error')
      },
    )
  }

  next(): Buffer | null {
    if (this.isClosed) return null
    const { taker, control } = this
    const isMine = taker !== null && beginDumpStep(control)
    this.pauseMs = isMine ? 0 : DUMP_WAIT_MS
    if (!isMine) return NOTHING
    try {
      const piece = taker.step()
      // It is still being sent while the next one is made.
      return piece === null ? null : Buffer.from(piece)
    } finally {
      this.pauseMs = taker.pauseMs
      endDumpStep(control)
    }
  }

  close(): void {
    this.isClosed = true
    this.taker?.close()
  }
}
