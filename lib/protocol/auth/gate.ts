// Answers the claims of a peer, at once or after a delay, and closes the connection after too many
// failures. Both protocols have one. The authenticator, or the desk, decides what is right, perhaps
// later.

import type { PendingCheck } from '../../access/pass.ts'
import type { Area } from '../../bytes/area.ts'
import type { Authenticator } from '../authenticator.ts'
import { type Conversation, type Source, State } from '../conversation.ts'
import { ThreadCounter } from '../host.ts'

/** A connection is closed after this number of failures. */
export const AUTH_FAILURES_MAX = 10

/** Says how long an answer is delayed. */
type Judge = Pick<Authenticator, 'judge'>

export class Gate {
  private readonly peer: Conversation
  private readonly auth: Judge
  private failures = 0

  constructor(peer: Conversation, auth: Judge) {
    this.peer = peer
    this.auth = auth
  }

  /** The peer's claim was right or wrong: `words` are the answer. */
  answer(right: boolean, words: Area): void {
    const { peer } = this
    const { reply } = peer.host
    const delayMs = this.judge(right)
    const isLast = this.isLast(right)
    if (delayMs > 0) {
      peer.sendSource(new LateAnswer(peer, words.bytes, delayMs, isLast))
    } else {
      reply.add(words)
      if (isLast) peer.state = State.ENDED
    }
  }

  /** The claim is being checked: `settle` is called once that is done, and gives the answer. */
  answerLater(pending: PendingCheck, settle: () => { right: boolean; words: Area }): void {
    this.peer.sendSource(
      new CheckedAnswer(pending, () => {
        const { right, words } = settle()
        const delayMs = this.judge(right)
        return new LateAnswer(this.peer, words.bytes, delayMs, this.isLast(right))
      }),
    )
  }

  /** Counts an answer. Returns its delay, ms. */
  private judge(right: boolean): number {
    const { counters } = this.peer.host
    counters[ThreadCounter.AUTH_CMDS]++
    if (!right) {
      counters[ThreadCounter.AUTH_ERRORS]++
      this.failures++
    }
    return this.auth.judge(this.peer.id, this.failures, right)
  }

  private isLast(right: boolean): boolean {
    return !right && this.failures >= AUTH_FAILURES_MAX
  }
}

/** How often to look whether a check is done, ms. It takes some 50 ms. */
const CHECK_POLL_MS = 4

/** The answer to a claim that is still being checked. Until then the conversation pauses. */
class CheckedAnswer implements Source {
  readonly isPenalty = true
  private readonly pending: PendingCheck
  private readonly settle: () => LateAnswer
  private late: LateAnswer | null = null

  constructor(pending: PendingCheck, settle: () => LateAnswer) {
    this.pending = pending
    this.settle = settle
  }

  get pauseMs(): number {
    return this.late?.pauseMs ?? CHECK_POLL_MS
  }

  next(): Buffer | null {
    if (this.late === null) {
      if (!this.pending.isDone) return NOTHING
      this.late = this.settle()
    }
    return this.late.next()
  }

  close(): void {
    if (this.late === null) this.pending.cancel()
    else this.late.close()
  }
}

const NOTHING = Buffer.alloc(0)

/** An answer that is due later. Until then the conversation pauses and costs nothing. */
class LateAnswer implements Source {
  readonly isPenalty = true
  private readonly peer: Conversation
  private readonly isLast: boolean
  private readonly dueMs: number
  private answer: Buffer | null

  constructor(peer: Conversation, answer: Buffer, delayMs: number, isLast: boolean) {
    this.peer = peer
    this.answer = answer
    this.dueMs = performance.now() + delayMs
    this.isLast = isLast
  }

  get pauseMs(): number {
    return Math.max(1, Math.ceil(this.dueMs - performance.now()))
  }

  next(): Buffer | null {
    if (performance.now() < this.dueMs) return NOTHING
    const { answer } = this
    this.answer = null
    return answer
  }

  close(): void {
    if (this.isLast) this.peer.state = State.ENDED
  }
}
