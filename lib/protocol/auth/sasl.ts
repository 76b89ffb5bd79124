// SASL frames of the binary protocol, mechanism PLAIN, for all that authenticate by them. It is in
// front of the binary protocol for the whole connection, since a peer may authenticate more than
// once.
//
//   list mechs   "PLAIN"
//   auth         key: the mechanism; value: <nothing or the name> NUL <name> NUL <password>
//   step         the value, where the auth before had none
//
// As in memcached, a peer that begins again is unauthenticated until it is answered. Broken frames
// are refused by the binary protocol.

import { Area } from '../../bytes/area.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import type { Claim } from '../authenticator.ts'
import { BinaryProtocol, BODY_BYTES_MAX } from '../binary/binary.ts'
import { FORMS, hasForm } from '../binary/forms.ts'
import * as B from '../binary/layout.ts'
import { BinaryStatus, Opcode } from '../binary/layout.ts'
import { Words } from '../binary/print.ts'
import { NEED_MORE } from '../conversation.ts'
import { AUTH_CLAIM_BYTES_MAX } from '../limits.ts'
import { text } from '../reply.ts'

/** Longest name of a SASL mechanism, as in memcached. */
const SASL_MECHANISM_BYTES_MAX = 32

const MECHANISM = 'PLAIN'
const MECHANISMS = text(MECHANISM)
const AUTHENTICATED = text('Authenticated')
const NOTHING = text('')
const NUL = 0

export abstract class SaslBinary extends BinaryProtocol {
  /** An auth without a value came: a step may bring the value. */
  private isStarted = false

  /** A claim begins: the peer is nobody until it is answered. */
  protected abstract forget(): void

  /** Checks a claim, null if there is none in the frame at `at`, and answers it. */
  protected abstract claim(input: Area, at: number, claim: Claim | null): void

  override command(input: Area, at: number, end: number): number {
    if (end - at < B.HEADER_BYTES) return NEED_MORE
    const opcode = input.bytes[at + B.OPCODE]
    if (opcode >= Opcode.SASL_LIST_MECHS && opcode <= Opcode.SASL_STEP) {
      const isBounded = valueBytesOf(input, at) <= BODY_BYTES_MAX
      if (isBounded && isSaslFrame(input, at)) return this.sasl(input, at, end)
    }
    return super.command(input, at, end)
  }

  /** The answer to the claim in the frame at `at`. */
  protected answerTo(input: Area, at: number, right: boolean): Area {
    if (right) this.isStarted = false
    return right
      ? frameOf(input, at, BinaryStatus.OK, AUTHENTICATED)
      : frameOf(input, at, BinaryStatus.AUTH_ERROR, Words.AUTH_FAILURE)
  }

  protected answer(input: Area, at: number, status: BinaryStatus, words: Area): void {
    this.reply.add(frameOf(input, at, status, words))
  }

  private sasl(input: Area, at: number, end: number): number {
    const start = at + B.HEADER_BYTES + input.view.getUint16(at + B.KEY_BYTES)
    if (start > end) return NEED_MORE
    const valueBytes = valueBytesOf(input, at)
    if (valueBytes > AUTH_CLAIM_BYTES_MAX) {
      // Too long to be right: answered now, and discarded as it arrives.
      this.peer.swallow(valueBytes, null)
      this.forget()
      this.claim(input, at, null)
      return start
    }
    const stop = start + valueBytes
    if (stop > end) return NEED_MORE
    this.run(input, at, start, stop)
    input.bytes.fill(0, start, stop)
    return stop
  }

  /** Runs a complete SASL frame, whose value is [start, stop). */
  private run(input: Area, at: number, start: number, stop: number): void {
    const { bytes } = input
    const opcode = bytes[at + B.OPCODE]
    const keyStart = at + B.HEADER_BYTES
    if (start - keyStart > SASL_MECHANISM_BYTES_MAX) {
      return this.answer(input, at, BinaryStatus.EINVAL, Words.INVALID)
    }
    this.forget()
    if (opcode === Opcode.SASL_LIST_MECHS) {
      return this.answer(input, at, BinaryStatus.OK, MECHANISMS)
    }
    let mayClaim = this.isStarted
    if (opcode === Opcode.SASL_AUTH) {
      mayClaim = bytes.toString('latin1', keyStart, start).toUpperCase() === MECHANISM
      this.isStarted = mayClaim && start === stop
      if (this.isStarted) return this.answer(input, at, BinaryStatus.AUTH_CONTINUE, NOTHING)
    }
    this.claim(input, at, mayClaim ? claimIn(bytes, start, stop) : null)
  }
}

/** Whether it is a frame with possible lengths. */
export function isFrame(input: Area, at: number): boolean {
  return input.bytes[at] === B.REQUEST_MAGIC && valueBytesOf(input, at) >= 0
}

/** Whether it also has the form of its opcode. */
function isSaslFrame(input: Area, at: number): boolean {
  const { bytes, view } = input
  const keyBytes = view.getUint16(at + B.KEY_BYTES)
  if (!isFrame(input, at) || keyBytes > KEY_BYTES_MAX) return false
  const form = FORMS[bytes[at + B.OPCODE]]
  return hasForm(form, bytes[at + B.EXTRA_BYTES], keyBytes, valueBytesOf(input, at))
}

function valueBytesOf({ bytes, view }: Area, at: number): number {
  const keyBytes = view.getUint16(at + B.KEY_BYTES)
  return view.getUint32(at + B.BODY_BYTES) - bytes[at + B.EXTRA_BYTES] - keyBytes
}

/** The name and the password of a PLAIN message; null for anything else. */
function claimIn(bytes: Buffer, start: number, stop: number): Claim | null {
  const userStart = endOf(bytes, start, stop) + 1
  const userEnd = endOf(bytes, userStart, stop)
  const passwordStart = userEnd + 1
  const passwordEnd = endOf(bytes, passwordStart, stop)
  if (passwordEnd !== stop || userStart === userEnd || passwordStart >= stop) return null
  const claim = { bytes, userStart, userEnd, passwordStart, passwordEnd }
  return start === userStart - 1 || isSameName(claim, start) ? claim : null
}

/** The authorization identity must be empty or the same name. */
function isSameName({ bytes, userStart, userEnd }: Claim, start: number): boolean {
  return bytes.compare(bytes, userStart, userEnd, start, userStart - 1) === 0
}

/** Position of the next NUL; `stop` if there is none. */
function endOf(bytes: Buffer, start: number, stop: number): number {
  const at = bytes.indexOf(NUL, start)
  return at < 0 || at > stop ? stop : at
}

/** A response to the frame at `at`. */
function frameOf({ bytes, view }: Area, at: number, status: BinaryStatus, words: Area): Area {
  const frame = new Area(Buffer.alloc(B.HEADER_BYTES + words.bytes.length))
  frame.bytes[0] = B.RESPONSE_MAGIC
  frame.bytes[B.OPCODE] = bytes[at + B.OPCODE]
  frame.view.setUint16(B.STATUS, status)
  frame.view.setUint32(B.BODY_BYTES, words.bytes.length)
  frame.view.setUint32(B.OPAQUE, view.getUint32(at + B.OPAQUE))
  words.bytes.copy(frame.bytes, B.HEADER_BYTES)
  return frame
}
