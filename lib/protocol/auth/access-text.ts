// Text connections with --acl, until the peer has logged in. It has the rights of the user default,
// and may log in as with -Y:
//
//   set <anything> <anything> <anything> <bytes>\r\n<name> <password>\r\n
//
// A `set` is that where the user default may not write its key, and it is not noreply. Every other
// request is the text protocol's, which takes over after the log-in.

import type { Desk, Grant, Pass } from '../../access/pass.ts'
import type { Area } from '../../bytes/area.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { type Conversation, NEED_MORE, type Protocol, State } from '../conversation.ts'
import { AUTH_CLAIM_BYTES_MAX, VALUE_BYTES_MAX } from '../limits.ts'
import { TextProtocol } from '../text.ts'
import { equalsWord } from '../words/ascii.ts'
import { readUint32 } from '../words/numbers.ts'
import {
  endsWithNoreply,
  LINE_END_BYTES,
  tokenCount,
  tokenEnd,
  tokenize,
  tokenStart,
} from '../words/tokens.ts'
import { BLANK, claimIn, FAILURE, isRefused, LF, STORED } from './claim-value.ts'
import { Gate } from './gate.ts'

const VERB_BYTES = 3

export class AccessText implements Protocol {
  readonly isSecret = true
  private readonly peer: Conversation
  private readonly desk: Desk
  private readonly pass: Pass
  private readonly gate: Gate
  private readonly inner: TextProtocol

  constructor(peer: Conversation, desk: Desk, pass: Pass) {
    this.peer = peer
    this.desk = desk
    this.pass = pass
    this.gate = new Gate(peer, desk)
    this.inner = new TextProtocol(peer)
  }

  command(input: Area, at: number, end: number): number {
    const claimBytes = this.peer.state === State.COMMAND ? this.claimBytesAt(input, at, end) : -1
    if (claimBytes < 0) return this.inner.command(input, at, end)
    const { bytes } = input
    const start = bytes.indexOf(LF, at) + 1
    if (claimBytes > AUTH_CLAIM_BYTES_MAX) {
      this.peer.swallow(claimBytes + LINE_END_BYTES, FAILURE)
      return start
    }
    const next = start + claimBytes + LINE_END_BYTES
    if (next > end) return NEED_MORE
    this.enter(bytes, start, next - LINE_END_BYTES)
    return next
  }

  /** Bytes have been discarded: a claim that was too long to be right, or the text protocol's. */
  say(line: Area): void {
    if (line === FAILURE) this.gate.answer(false, line)
    else this.inner.say(line)
  }

  /** Length of the claim that follows a log-in at `at`; -1: there is another request. */
  private claimBytesAt(input: Area, at: number, end: number): number {
    const { bytes } = input
    if (at + VERB_BYTES >= end || bytes[at + VERB_BYTES] !== BLANK) return -1
    if (!equalsWord(bytes, at, at + VERB_BYTES, 'set') || !this.peer.takesLogins) return -1
    if (tokenize(bytes, at, end) < 0 || tokenCount < 5 || endsWithNoreply(bytes)) return -1
    const keyBytes = tokenEnd[1] - tokenStart[1]
    if (keyBytes > KEY_BYTES_MAX || this.pass.mayWrite(bytes, tokenStart[1], keyBytes)) return -1
    const claimBytes = readUint32(bytes, tokenStart[4], tokenEnd[4])
    return claimBytes > VALUE_BYTES_MAX ? -1 : claimBytes
  }

  private enter(bytes: Buffer, start: number, end: number): void {
    const claim = claimIn(bytes, start, end)
    if (isRefused(claim)) return this.peer.host.reply.add(claim)
    const found = this.desk.check(claim)
    bytes.fill(0, start, end)
    if (found === null || 'credential' in found) {
      const right = this.admit(found)
      return this.gate.answer(right, right ? STORED : FAILURE)
    }
    this.gate.answerLater(found, () => {
      const right = this.admit(found.grant)
      return { right, words: right ? STORED : FAILURE }
    })
  }

  private admit(grant: Grant | null): boolean {
    if (grant === null || !this.desk.admit(this.pass, grant)) return false
    this.peer.speak(this.inner)
    return true
  }
}
