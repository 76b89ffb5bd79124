// The peers of one thread whose turn is over and who have more to run, in the order in which they
// go on. In each round, between two looks at what has arrived, one of them has its next turn. So a
// peer that pipelines much waits for the others of its kind, and everybody else waits for one turn.
//
// The values that all peers have sent from their arenas in one round are bounded too: peers that
// ask for more of them wait here.

import { ROUND_INSERTS_BYTES } from '../protocol/limits.ts'
import type { Reply } from '../protocol/reply.ts'

export class Turns {
  private readonly reply: Reply
  private readonly waiting: (() => void)[] = []

  /** `reply`: the thread's. */
  constructor(reply: Reply) {
    this.reply = reply
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0
  }

  /** `goOn` runs a peer's next turn, after those that wait already. */
  add(goOn: () => void): void {
    this.waiting.push(goOn)
  }

  /** Begins a round, with the next turn if any peer waits for one. */
  step(): void {
    this.reply.roundBytes = ROUND_INSERTS_BYTES
    if (this.waiting.length > 0) this.waiting.shift()?.()
  }
}
