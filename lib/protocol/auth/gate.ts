// Answers the claims of a peer, at once or after a delay, and closes the connection after too many
// failures. Both protocols have one. The authenticator decides what is right.

import type { Area } from '../../bytes/area.ts'
import type { Authenticator } from '../authenticator.ts'
import { type Conversation, type Source, State } from '../conversation.ts'
import { ThreadCounter } from '../host.ts'

/** A connection is closed after this number of failures. */
export const AUTH_FAILURES_MAX = 10

export class Gate {
  private readonly peer: Conversation
  private readonly auth: Authenticator
  private failures = 0

  constructor(peer: Conversation, auth: Authenticator) {
    this.peer = peer
    this.auth = auth
  }

  /** The peer's claim was right or wrong: `words` are the answer. */
  answer(right: boolean, words: Area): void {
    const { peer, auth } = this
    const { counters, reply } = peer.host
    counters[ThreadCounter.AUTH_CMDS]++
    if (!right) {
      counters[ThreadCounter.AUTH_ERRORS]++
      this.failures++
    }
    const delayMs = auth.judge(peer.id, this.failures, right)
    const isLast = !right && this.failures >= AUTH_FAILURES_MAX
    if (delayMs > 0) {
      peer.sendSource(new LateAnswer(peer, words.bytes, delayMs, isLast))
    } else {
      reply.add(words)
      if (isLast) peer.state = State.ENDED
    }
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
