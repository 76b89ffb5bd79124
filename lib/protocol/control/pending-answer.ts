// An answer that is made in the background, as when files must be read. Until it is there the
// conversation pauses, and other peers are served.

import type { Source } from '../conversation.ts'

/** How often to look for it. */
const PENDING_POLL_MS = 2

const NOTHING = Buffer.alloc(0)

export class PendingAnswer implements Source {
  readonly pauseMs = PENDING_POLL_MS
  private answer: Buffer | null = null
  private isGiven = false

  /** Called once, with the complete reply. */
  settle(answer: Buffer): void {
    this.answer = answer
  }

  next(): Buffer | null {
    if (this.isGiven) return null
    if (this.answer === null) return NOTHING
    this.isGiven = true
    return this.answer
  }

  close(): void {}
}
