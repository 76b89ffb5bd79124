// The line to a peer behind TLS. OpenSSL speaks it in this thread, over a line below that carries
// the sealed bytes: what comes in is opened before the owner reads it, and replies are sealed in
// place.
//
//   peer <-> line below <-> TlsLine (SSL) <-> owner
//
// All TLS lines of a thread share two buffers between OpenSSL and the line below. Both are empty
// between two events: OpenSSL has read what came in (it keeps the beginning of a record itself),
// and what goes out was given to the line below or, while that is sending, is kept here.
//
//   phase    SHAKING -> OPEN -> ENDING (close_notify is sent) -> CLOSED
//   sending  NOTHING | OWN (records of the protocol itself) | OWNERS (a reply, alone or with those)
//
// A third fact is separate, because it may come in any phase: whether the peer closed its side.
//
// A peer may make OpenSSL work without sending anything to the owner, by requests for new keys:
// 64 KiB of them take 20 ms. Where that took long, the peer's turn is over, and short reads follow
// until it sends data.

import { Area } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import { READ_BYTES, READ_REST_BYTES_MAX, REPLY_BYTES, TURN_MS_MAX } from '../../protocol/limits.ts'
import { FAREWELL_BYTES_MAX, FAREWELL_MS_MAX } from '../limits.ts'
import { isOnItsWay, type Line, type LineOwner, Sent } from '../line/line.ts'
import { NO_INSERTS, type Replies, type ReplyBuffer } from '../line/replies.ts'
import { Incoming, isAsExpected, Outgoing } from './bio.ts'
import type { Arriving, Greeter } from './engine.ts'
import type { OpenSsl, Pointer } from './openssl.ts'

/** Sealed bytes that a line may keep for later: a reply, and records of the protocol itself. */
const SEALED_KEPT_BYTES_MAX = 2 * REPLY_BYTES

/** Less input than this cannot keep OpenSSL busy for long. */
const BUSY_INPUT_BYTES_MIN = 2 * KIB

/** Of SSL_get_shutdown, in ssl.h. */
const RECEIVED_SHUTDOWN = 2
/** Of SSL_want: no error, it waits for more. */
const WANTS_MORE = 3
const NO_CERTIFICATE = 'peer did not return a certificate'

const Phase = { SHAKING: 0, OPEN: 1, ENDING: 2, CLOSED: 3 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

const Sending = { NOTHING: 0, OWN: 1, OWNERS: 2 } as const
type Sending = (typeof Sending)[keyof typeof Sending]

/** What the TLS lines of one thread share. */
export class TlsBuffers {
  readonly openSsl: OpenSsl
  /** Decrypted bytes, after room for bytes that an owner did not consume. */
  readonly input = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  readonly inputAt: Pointer
  readonly incoming: Incoming
  readonly outgoing: Outgoing

  private constructor(openSsl: OpenSsl) {
    this.openSsl = openSsl
    this.inputAt = openSsl.addressOf(this.input) + BigInt(READ_REST_BYTES_MAX)
    this.incoming = new Incoming(openSsl)
    this.outgoing = new Outgoing(openSsl)
  }

  /** Undefined: the memory of this OpenSSL is not laid out as bio.ts expects. */
  static open(openSsl: OpenSsl): TlsBuffers | undefined {
    const made = new TlsBuffers(openSsl)
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

export class TlsLine implements Line, LineOwner, Arriving {
  readonly takesInserts = false
  /** Of SSL_new, freed when the line is closed. */
  private readonly ssl: Pointer
  private readonly buffers: TlsBuffers
  private readonly replies: Replies
  private readonly greeter: Greeter
  private readonly below: Line
  private owner: LineOwner | null = null
  private phase: Phase = Phase.SHAKING
  private sending: Sending = Sending.NOTHING
  private isHalfClosed = false
  /** Sealed bytes that wait while others are being sent. */
  private kept: Buffer | null = null
  private thrownAwayBytes = 0
  /** The last input kept OpenSSL busy, and had nothing for the owner. */
  private isBusy = false

  /** `open` gives the line below, not reading yet. */
  constructor(
    buffers: TlsBuffers,
    replies: Replies,
    ssl: Pointer,
    greeter: Greeter,
    open: (owner: LineOwner) => Line,
  ) {
    this.buffers = buffers
    this.replies = replies
    this.ssl = ssl
    this.greeter = greeter
    buffers.join(ssl)
    buffers.openSsl.call.SSL_set_accept_state(ssl)
    this.below = open(this)
  }

  get ended(): boolean {
    return this.phase === Phase.CLOSED || this.below.ended
  }

  get unsentBytes(): number {
    return this.below.unsentBytes + (this.kept?.length ?? 0)
  }

  send({ area }: ReplyBuffer, start: number, end: number): Sent {
    const { openSsl } = this.buffers
    const bytes = end - start
    if (bytes === 0) return Sent.ALL
    if (this.ended) return Sent.FAILED
    const areaAt = openSsl.addressOf(area)
    const at = start === 0 ? areaAt : areaAt + BigInt(start)
    if (openSsl.call.SSL_write(this.ssl, at, bytes) !== bytes) return this.fail()
    // The sealed bytes replace the reply in its buffer.
    const sent = this.flush()
    if (isOnItsWay(sent)) this.sending = Sending.OWNERS
    return sent
  }

  resume(): void {
    this.below.resume()
  }

  /**
   * Sends close_notify and waits for the peer's, because closing before it would reset the
   * connection.
   */
  endSoon(): void {
    if (this.phase === Phase.ENDING || this.ended) return
    this.phase = Phase.ENDING
    const { call } = this.buffers.openSsl
    call.SSL_shutdown(this.ssl)
    call.ERR_clear_error()
    this.flush()
    this.below.resume()
    this.endBelow()
  }

  leave(): void {
    this.endSoon()
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
    const { incoming } = this.buffers
    if (this.isHalfClosed || this.ended) return false
    incoming.lend(input, start, bytes)
    const goesOn = (this.owner !== null || this.shake()) && this.open()
    incoming.length = 0
    this.flush()
    if (goesOn && this.isBusy) return this.endTurn()
    return goesOn || this.phase === Phase.ENDING || this.owner === null
  }

  filled(): boolean {
    return false
  }

  fillView(): null {
    return null
  }

  readsShort(): boolean {
    return this.isBusy
  }

  awaitsBytes(): number {
    return 0
  }

  sent(): void {
    const wasOwners = this.sending === Sending.OWNERS
    this.sending = Sending.NOTHING
    if (this.kept !== null) this.sendKept(this.kept)
    if (this.sending === Sending.NOTHING) {
      if (wasOwners) this.owner?.sent()
      if (this.phase === Phase.ENDING) this.endBelow()
    } else if (wasOwners) {
      this.sending = Sending.OWNERS
    }
  }

  halfClosed(): void {
    if (this.isHalfClosed) return
    this.isHalfClosed = true
    if (this.owner === null) this.destroy()
    else if (this.phase === Phase.ENDING) this.endBelow()
    else this.owner.halfClosed()
  }

  closed(hadError: boolean): void {
    if (this.phase === Phase.CLOSED) return
    this.phase = Phase.CLOSED
    this.buffers.openSsl.call.SSL_free(this.ssl)
    if (this.owner === null) this.greeter.gone(this)
    else this.owner.closed(hadError)
  }

  /** One step of the handshake. Returns whether it is done. */
  private shake(): boolean {
    const { greeter, ssl } = this
    const { openSsl } = this.buffers
    openSsl.call.ERR_clear_error()
    const isDone = openSsl.call.SSL_do_handshake(ssl) === 1
    const reason = openSsl.takeReason()
    this.flush()
    if (isDone) {
      this.phase = Phase.OPEN
      const isResumed = openSsl.call.SSL_session_reused(ssl) !== 0
      this.owner = greeter.greet(
        this,
        isResumed,
        () => this,
        () => openSsl.peerCertificate(ssl),
      )
    } else if (reason !== null) {
      greeter.refuse(this, this.explain(reason))
    }
    return isDone
  }

  /** Decrypts input. Returns whether more may come. */
  private open(): boolean {
    const { buffers, ssl, owner } = this
    const { call } = buffers.openSsl
    let goesOn = true
    do {
      const isLong = buffers.incoming.length >= BUSY_INPUT_BYTES_MIN
      const startedMs = isLong ? performance.now() : 0
      const bytes = call.SSL_read(ssl, buffers.inputAt, READ_BYTES)
      if (bytes <= 0) {
        if (isLong) this.isBusy = performance.now() - startedMs >= TURN_MS_MAX
        return this.stopped() && goesOn
      }
      this.isBusy = false
      if (this.phase === Phase.ENDING) {
        this.thrownAwayBytes += bytes
        if (this.thrownAwayBytes >= FAREWELL_BYTES_MAX) this.below.endSoon()
      } else if (owner?.read(buffers.input, READ_REST_BYTES_MAX, bytes) === false) {
        goesOn = false
      }
    } while (!this.ended && buffers.incoming.length > 0)
    return goesOn
  }

  /** The next input is read after the others' turns. */
  private endTurn(): false {
    this.greeter.later(() => {
      if (!this.ended) this.below.resume()
    }, 0)
    return false
  }

  /** Ends the line below when all is sent and the peer has sent close_notify, or takes too long. */
  private endBelow(): void {
    if (this.sending !== Sending.NOTHING) return
    if (this.isHalfClosed) this.below.endSoon()
    else this.greeter.later(() => this.below.endSoon(), FAREWELL_MS_MAX)
  }

  private fail(): Sent {
    this.buffers.openSsl.call.ERR_clear_error()
    this.destroy()
    return this.discard()
  }

  /** Empties the shared buffer, since the next bytes in it are another peer's. */
  private discard(): Sent {
    const { current, reply } = this.replies
    while (this.buffers.outgoing.take(current.area, reply.start) > 0);
    return Sent.FAILED
  }

  /** SSL_read returned nothing. Returns whether more may come. */
  private stopped(): boolean {
    const { openSsl } = this.buffers
    // SSL_want is this peer's. The queue of errors is the thread's, and may hold another peer's.
    if (openSsl.call.SSL_want(this.ssl) === WANTS_MORE) return true
    const isWrong = openSsl.takeReason() !== null
    if (!isWrong && (openSsl.call.SSL_get_shutdown(this.ssl) & RECEIVED_SHUTDOWN) !== 0) {
      this.halfClosed()
      return false
    }
    this.greeter.blame()
    // An alert tells the peer what is wrong.
    this.flush()
    this.below.endSoon()
    return false
  }

  /** Sends what OpenSSL has sealed, or keeps it while the line below is sending. */
  private flush(): Sent {
    const { current, reply } = this.replies
    const { outgoing } = this.buffers
    const { start } = reply
    const bytes = outgoing.take(current.area, start)
    if (bytes === 0) return Sent.ALL
    if (this.ended) return this.discard()
    if (this.sending === Sending.NOTHING) {
      const sent = this.pass(bytes)
      return outgoing.isEmpty ? sent : this.flush()
    }
    const more = current.area.bytes.subarray(start, start + bytes)
    this.kept = this.kept === null ? Buffer.from(more) : Buffer.concat([this.kept, more])
    if (this.kept.length > SEALED_KEPT_BYTES_MAX) return this.fail()
    return outgoing.isEmpty ? Sent.LATER : this.flush()
  }

  private sendKept(kept: Buffer): void {
    const { current, reply } = this.replies
    const bytes = kept.copy(current.area.bytes, reply.start, 0, REPLY_BYTES)
    this.kept = bytes < kept.length ? kept.subarray(bytes) : null
    if (this.pass(bytes) === Sent.ALL && this.kept !== null) this.sendKept(this.kept)
  }

  /** Passes sealed bytes, at the start of the room for a reply, to the line below. */
  private pass(bytes: number): Sent {
    const { current, reply } = this.replies
    const { start } = reply
    const sent = this.below.send(current, start, start + bytes, NO_INSERTS)
    this.sending = isOnItsWay(sent) ? Sending.OWN : Sending.NOTHING
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
