// Authentication of binary connections with -S, by SASL (sasl.ts). Before that only SASL and
// `version` are answered: as in memcached, a frame that is not allowed closes the connection.

import type { Area } from '../../bytes/area.ts'
import type { Authenticator, Claim } from '../authenticator.ts'
import * as B from '../binary/layout.ts'
import { BinaryStatus, Opcode } from '../binary/layout.ts'
import { Words } from '../binary/print.ts'
import { type Conversation, NEED_MORE, State } from '../conversation.ts'
import { Gate } from './gate.ts'
import { isFrame, SaslBinary } from './sasl.ts'

export class AuthBinary extends SaslBinary {
  readonly isSecret = true
  private readonly auth: Authenticator
  private readonly gate: Gate
  private isOpen = false

  constructor(peer: Conversation, auth: Authenticator) {
    super(peer)
    this.auth = auth
    this.gate = new Gate(peer, auth)
  }

  override command(input: Area, at: number, end: number): number {
    if (end - at < B.HEADER_BYTES) return NEED_MORE
    const opcode = input.bytes[at + B.OPCODE]
    const isSasl = opcode >= Opcode.SASL_LIST_MECHS && opcode <= Opcode.SASL_STEP
    if (!isSasl && !this.isOpen && opcode !== Opcode.VERSION && isFrame(input, at)) {
      this.answer(input, at, BinaryStatus.AUTH_ERROR, Words.AUTH_FAILURE)
      this.peer.state = State.ENDED
      return end
    }
    return super.command(input, at, end)
  }

  protected override forget(): void {
    this.isOpen = false
  }

  protected override claim(input: Area, at: number, claim: Claim | null): void {
    this.isOpen = claim !== null && this.auth.checkSasl(claim)
    this.gate.answer(this.isOpen, this.answerTo(input, at, this.isOpen))
  }
}
