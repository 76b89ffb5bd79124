// The line to a peer behind TLS, which OpenSSL speaks in this thread, over a line that carries what it
// sealed: what comes in is opened before the owner reads it, and replies are sealed where they stand.
//
//   peer <-> line below <-> TlsLine (SSL) <-> owner
//
// All TLS lines of a thread share the two buffers between OpenSSL and the line below. Both are empty
// between two events: what came in was read by OpenSSL, which keeps the beginning of a record itself,
// and what is to go out was given to the line below, or, while that is busy, is kept here.

import { Area } from '../../bytes/area.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import { READ_BYTES, READ_REST_BYTES_MAX, REPLY_BYTES } from '../../protocol/limits.ts'
import type { Reply } from '../../protocol/reply.ts'
import { FAREWELL_BYTES_MAX, FAREWELL_MS_MAX } from '../limits.ts'
import { type Line, type LineOwner, Sent } from '../line/line.ts'
import { Incoming, isAsExpected, Outgoing } from './bio.ts'
import type { OpenSsl, Pointer } from './openssl.ts'

/** Sealed bytes that wait on a TLS connection for those before: a reply and what the protocol has to say. */
const SEALED_KEPT_BYTES_MAX = 2 * REPLY_BYTES

/** Of SSL_get_shutdown, in ssl.h. */
const RECEIVED_SHUTDOWN = 2
/** Of SSL_want: all is well, it waits for more. */
const WANTS_MORE = 3
const NO_CERTIFICATE = 'peer did not return a certificate'

/** What the TLS lines of one thread share. */
export class TlsBuffers {
  readonly openSsl: OpenSsl
  readonly reply: Reply
  /** What was opened, behind room for what an owner did not eat. */
  readonly input = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  readonly inputAt: Pointer
  readonly incoming: Incoming
  readonly outgoing: Outgoing

  private constructor(openSsl: OpenSsl, reply: Reply) {
    this.openSsl = openSsl
    this.reply = reply
    this.inputAt = openSsl.addressOf(this.input) + BigInt(READ_REST_BYTES_MAX)
    this.incoming = new Incoming(openSsl)
    this.outgoing = new Outgoing(openSsl)
  }

  /** `reply`: of this thread. Undefined: this OpenSSL has other memory than is expected. */
  static open(openSsl: OpenSsl, reply: Reply): TlsBuffers | undefined {
    const made = new TlsBuffers(openSsl, reply)
    return isAsExpected(openSsl, made.incoming, made.outgoing) ? made : undefined
  }

  /** Joins a connection to the buffers. */
  join(ssl: Pointer): void {
    const { call } = this.openSsl
    call.BIO_up_ref(this.incoming.bio)
    call.BIO_up_ref(this.outgoing.bio)
    call.SSL_set_bio(ssl, this.incoming.bio, this.outgoing.bio)
  }
}

/** Told how a handshake ends. */
export interface Greeter {
  /** It is done: who owns the line from now on. */
  greet(line: TlsLine): LineOwner
  /** It failed, and why. */
  refuse(line: TlsLine, reason: string): void
  /** The connection is gone before its handshake was done. */
  gone(line: TlsLine): void
  /** What the peer said later is not TLS. */
  blame(): void
  /** Runs something after so many milliseconds. */
  later(work: () => void, pauseMs: number): void
}

export class TlsLine implements Line, LineOwner {
  readonly takesInserts = false
  /** Of SSL_new, freed when the line is closed. */
  readonly ssl: Pointer
  private readonly buffers: TlsBuffers
  private readonly greeter: Greeter
  private readonly below: Line
  private owner: LineOwner | null = null
  private isEnding = false
  private hasLeft = false
  private isClosed = false
  /** What the line below was given is on its way. */
  private isBusy = false
  /** What waits for that, sealed. */
  private kept: Buffer | null = null
  private ownerWaits = false
  private thrownAway = 0

  /** `open` gives the line below, not reading yet. */
  constructor(
    buffers: TlsBuffers,
    ssl: Pointer,
    greeter: Greeter,
    open: (owner: LineOwner) => Line,
  ) {
    const { call } = buffers.openSsl
    this.buffers = buffers
    this.ssl = ssl
    this.greeter = greeter
    buffers.join(ssl)
    call.SSL_set_accept_state(ssl)
    this.below = open(this)
  }

  get ended(): boolean {
    return this.isClosed || this.below.ended
  }

  send(): Sent {
    const { reply, openSsl } = this.buffers
    const { area, start } = reply
    const bytes = reply.length - start
    if (bytes === 0) return Sent.ALL
    reply.length = start
    if (this.ended) return Sent.FAILED
    const areaAt = openSsl.addressOf(area)
    const at = start === 0 ? areaAt : areaAt + BigInt(start)
    if (openSsl.call.SSL_write(this.ssl, at, bytes) !== bytes) return this.fail()
    const sent = this.flush()
    this.ownerWaits = sent === Sent.SOON || sent === Sent.LATER
    return sent
  }

  resume(): void {
    this.below.resume()
  }

  /** Says farewell and waits for the peer's: a connection closed before would be reset. */
  endSoon(): void {
    if (this.isEnding || this.ended) return
    this.isEnding = true
    const { call } = this.buffers.openSsl
    call.SSL_shutdown(this.ssl)
    call.ERR_clear_error()
    this.flush()
    this.below.resume()
    this.endBelow()
  }

  destroy(): void {
    this.below.destroy()
  }

  abandon(): void {
    this.below.abandon()
  }

  endpoint(): Endpoint {
    return this.below.endpoint()
  }

  read(input: Area, start: number, bytes: number): boolean {
    const { buffers } = this
    if (this.hasLeft || this.ended) return false
    buffers.incoming.lend(input, start, bytes)
    const goesOn = (this.owner !== null || this.shake()) && this.open()
    buffers.incoming.length = 0
    this.flush()
    return goesOn || this.isEnding || this.owner === null
  }

  filled(): boolean {
    return false
  }

  fillView(): null {
    return null
  }

  awaitsBytes(): number {
    return 0
  }

  valueBytes(): number {
    return 0
  }

  sent(): void {
    this.isBusy = false
    if (this.kept !== null) {
      this.sendKept(this.kept)
      if (this.isBusy) return
    }
    const { ownerWaits } = this
    this.ownerWaits = false
    if (ownerWaits) this.owner?.sent()
    if (this.isEnding) this.endBelow()
  }

  left(): void {
    if (this.hasLeft) return
    this.hasLeft = true
    if (this.owner === null) this.destroy()
    else if (this.isEnding) this.endBelow()
    else this.owner.left()
  }

  closed(hadError: boolean): void {
    if (this.isClosed) return
    this.isClosed = true
    this.buffers.openSsl.call.SSL_free(this.ssl)
    if (this.owner === null) this.greeter.gone(this)
    else this.owner.closed(hadError)
  }

  /** One step of the handshake; whether it is done. */
  private shake(): boolean {
    const { openSsl } = this.buffers
    openSsl.call.ERR_clear_error()
    const isDone = openSsl.call.SSL_do_handshake(this.ssl) === 1
    const reason = openSsl.takeReason()
    this.flush()
    if (isDone) this.owner = this.greeter.greet(this)
    else if (reason !== null) this.greeter.refuse(this, this.explain(reason))
    return isDone
  }

  /** Opens what came in; whether more may come. */
  private open(): boolean {
    const { buffers, ssl, owner } = this
    const { call } = buffers.openSsl
    let goesOn = true
    do {
      const bytes = call.SSL_read(ssl, buffers.inputAt, READ_BYTES)
      if (bytes <= 0) return this.stopped() && goesOn
      if (this.isEnding) {
        this.thrownAway += bytes
        if (this.thrownAway >= FAREWELL_BYTES_MAX) this.below.endSoon()
      } else if (owner?.read(buffers.input, READ_REST_BYTES_MAX, bytes) === false) {
        goesOn = false
      }
    } while (!this.ended && buffers.incoming.length > 0)
    return goesOn
  }

  /** All was sent, or will be told of. */
  private endBelow(): void {
    if (this.isBusy) return
    if (this.hasLeft) this.below.endSoon()
    else this.greeter.later(() => this.below.endSoon(), FAREWELL_MS_MAX)
  }

  private fail(): Sent {
    this.buffers.openSsl.call.ERR_clear_error()
    this.destroy()
    return this.discard()
  }

  /** Nothing of this peer's may stay behind: the next to send is another. */
  private discard(): Sent {
    const { outgoing, reply } = this.buffers
    while (outgoing.take(reply.area, reply.start) > 0);
    return Sent.FAILED
  }

  /** There is nothing to read: whether there will be. */
  private stopped(): boolean {
    const { openSsl } = this.buffers
    // Of this peer alone: reasons are kept by the thread, and may be what another one did.
    if (openSsl.call.SSL_want(this.ssl) === WANTS_MORE) return true
    const isWrong = openSsl.takeReason() !== null
    if (!isWrong && (openSsl.call.SSL_get_shutdown(this.ssl) & RECEIVED_SHUTDOWN) !== 0) {
      this.left()
      return false
    }
    this.greeter.blame()
    // What is wrong is said in an alert.
    this.flush()
    this.below.endSoon()
    return false
  }

  /** Sends what OpenSSL has to say, if it does. */
  private flush(): Sent {
    const { reply, outgoing } = this.buffers
    const bytes = outgoing.take(reply.area, reply.start)
    if (bytes === 0) return Sent.ALL
    if (this.ended) return this.discard()
    if (!this.isBusy) {
      const sent = this.pass(bytes)
      return outgoing.isEmpty ? sent : this.flush()
    }
    const more = reply.area.bytes.subarray(reply.start, reply.start + bytes)
    this.kept = this.kept === null ? Buffer.from(more) : Buffer.concat([this.kept, more])
    if (this.kept.length > SEALED_KEPT_BYTES_MAX) return this.fail()
    return outgoing.isEmpty ? Sent.LATER : this.flush()
  }

  private sendKept(kept: Buffer): void {
    const { reply } = this.buffers
    const bytes = kept.copy(reply.area.bytes, reply.start, 0, REPLY_BYTES)
    this.kept = bytes < kept.length ? kept.subarray(bytes) : null
    if (this.pass(bytes) === Sent.ALL && this.kept !== null) this.sendKept(this.kept)
  }

  /** Gives so many bytes in the reply buffer to the line below. */
  private pass(bytes: number): Sent {
    const { reply } = this.buffers
    reply.length = reply.start + bytes
    const sent = this.below.send()
    this.isBusy = sent === Sent.SOON || sent === Sent.LATER
    return sent
  }

  private explain(reason: string): string {
    if (reason === NO_CERTIFICATE) return 'the peer has no certificate'
    const { openSsl } = this.buffers
    const verified = openSsl.call.SSL_get_verify_result(this.ssl)
    if (verified === 0n) return reason
    const why = openSsl.text(openSsl.call.X509_verify_cert_error_string(verified))
    return `the certificate of the peer is refused: ${why}`
  }
}
