// Authentication of text connections. Until the peer has authenticated, only this is served:
//
//   set <anything> <anything> <anything> <bytes>\r\n<name> <password>\r\n
//
// with memcached's answers. The name ends at the first space. Then the text protocol takes over. A
// line that is too short to be this one, such as `quit`, closes the connection without an answer.

import type { Area } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import type { Authenticator } from '../authenticator.ts'
import { type Conversation, NEED_MORE, type Protocol, State } from '../conversation.ts'
import { AUTH_CLAIM_BYTES_MAX, LINE_BYTES_MAX } from '../limits.ts'
import { text } from '../reply.ts'
import { TextProtocol } from '../text.ts'
import { equalsWord } from '../words/ascii.ts'
import { readUint32 } from '../words/numbers.ts'
import { tokenCount, tokenEnd, tokenize, tokenStart } from '../words/tokens.ts'
import { claimIn, FAILURE, isRefused, LF, STORED } from './claim-value.ts'
import { Gate } from './gate.ts'

const UNAUTHENTICATED = text('CLIENT_ERROR unauthenticated\r\n')
const TOO_LONG = text('CLIENT_ERROR auth token too long\r\n')

/** Fewer bytes are not parsed, and a shorter line, without its \n, is invalid, as in memcached. */
const LOOKED_AT_BYTES_MIN = 3
const LINE_BYTES_MIN = 6

/** Longer claims are refused before they are read, as in memcached. */
const CLAIM_BYTES_MAX = 16 * KIB

export class AuthText implements Protocol {
  readonly isSecret = true
  private readonly peer: Conversation
  private readonly auth: Authenticator
  private readonly gate: Gate
  /** Position of the last refusal in the reply buffer, if it has not been sent yet. */
  private declinedStart = 0
  private declinedEnd = 0

  constructor(peer: Conversation, auth: Authenticator) {
    this.peer = peer
    this.auth = auth
    this.gate = new Gate(peer, auth)
  }

  command(input: Area, at: number, end: number): number {
    const { bytes } = input
    if (end - at < LOOKED_AT_BYTES_MIN) return NEED_MORE
    const newline = bytes.indexOf(LF, at)
    if (newline < 0 || newline >= end) {
      if (end - at <= LINE_BYTES_MAX) return NEED_MORE
      this.peer.state = State.ENDED
      return end
    }
    const start = newline + 1
    if (newline - at < LINE_BYTES_MIN) {
      this.peer.state = State.ENDED
      return start
    }
    const claimBytes = claimBytesOf(bytes, at, start)
    if (claimBytes < 0 || claimBytes > CLAIM_BYTES_MAX) {
      this.decline(claimBytes < 0 ? UNAUTHENTICATED : TOO_LONG)
      return start
    }
    if (claimBytes > AUTH_CLAIM_BYTES_MAX) {
      this.peer.swallow(claimBytes + 2, FAILURE)
      return start
    }
    const next = start + claimBytes + 2
    if (next > end) return NEED_MORE
    this.enter(bytes, start, next - 2)
    return next
  }

  /** A claim that was too long to be right has been discarded. */
  say(line: Area): void {
    this.gate.answer(false, line)
  }

  /**
   * As in memcached, one refusal answers all lines that arrive together: a value sent with a
   * refused line is not a request.
   */
  private decline(line: Area): void {
    const { reply } = this.peer.host
    if (reply.length > reply.start && reply.length === this.declinedEnd)
      reply.length = this.declinedStart
    this.declinedStart = reply.length
    reply.add(line)
    this.declinedEnd = reply.length
  }

  private enter(bytes: Buffer, start: number, end: number): void {
    const claim = claimIn(bytes, start, end)
    if (isRefused(claim)) return this.decline(claim)
    const right = this.auth.checkText(claim)
    bytes.fill(0, start, end)
    if (right) this.peer.speak(new TextProtocol(this.peer))
    this.gate.answer(right, right ? STORED : FAILURE)
  }
}

/** The length in the line; -1 if it is not the expected line. */
function claimBytesOf(bytes: Buffer, start: number, end: number): number {
  tokenize(bytes, start, end)
  if (tokenCount < 5 || tokenStart[0] !== start) return -1
  if (!equalsWord(bytes, start, tokenEnd[0], 'set')) return -1
  return readUint32(bytes, tokenStart[4], tokenEnd[4])
}
