// Binary connections with --acl: SASL (sasl.ts) makes somebody of the peer, and everything else is
// the binary protocol, whose operations ask the peer's pass. Who has not logged in has the rights
// of the user default.

import type { Desk, Grant, Pass } from '../../access/pass.ts'
import { Area } from '../../bytes/area.ts'
import type { Claim } from '../authenticator.ts'
import * as B from '../binary/layout.ts'
import { BinaryStatus } from '../binary/layout.ts'
import { Words } from '../binary/print.ts'
import type { Conversation } from '../conversation.ts'
import { Gate } from './gate.ts'
import { SaslBinary } from './sasl.ts'

export class AccessBinary extends SaslBinary {
  readonly isSecret = true
  private readonly desk: Desk
  private readonly pass: Pass
  private readonly gate: Gate

  constructor(peer: Conversation, desk: Desk, pass: Pass) {
    super(peer)
    this.desk = desk
    this.pass = pass
    this.gate = new Gate(peer, desk)
  }

  protected override forget(): void {
    this.desk.leave(this.pass)
  }

  protected override claim(input: Area, at: number, claim: Claim | null): void {
    if (!this.peer.takesLogins) {
      return this.answer(input, at, BinaryStatus.AUTH_ERROR, Words.AUTH_FAILURE)
    }
    const found = claim === null ? null : this.desk.check(claim)
    if (found === null || 'credential' in found) {
      const right = this.admit(found)
      return this.gate.answer(right, this.answerTo(input, at, right))
    }
    // The answer repeats the header, which is gone when the check is done.
    const header = Area.allocate(B.HEADER_BYTES)
    input.bytes.copy(header.bytes, 0, at, at + B.HEADER_BYTES)
    this.gate.answerLater(found, () => {
      const right = this.admit(found.grant)
      return { right, words: this.answerTo(header, 0, right) }
    })
  }

  private admit(grant: Grant | null): boolean {
    return grant !== null && this.desk.admit(this.pass, grant)
  }
}
