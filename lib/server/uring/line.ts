// The line through a uring. Node opened the socket and will close it; everything in between is asked of
// the kernel by this thread's uring.
//
// Short requests and replies go through the uring: it receives again and again, to buffers that the
// kernel chooses, until the owner wants no more, and replies stand in the shared buffer until all that
// came together are submitted. For long ones a system call of their own is nothing, and keeps them in
// the processor's cache: the uring only tells when there is something to read, and a long value is read
// to its own place and sent from there.
//
// What the kernel does not take of a reply at once is copied and goes out when the uring tells that there
// is room, so that a peer which does not read costs its own reply and no more.
//
// While a request is under way the descriptor is in use: the socket is closed when all are back.

import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { KIB } from '../../bytes/units.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import { Inserts } from '../../protocol/inserts.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import { SHORT_READ_BYTES, SHORT_READ_VALUE_BYTES_MIN, URING_BUFFER_BYTES } from '../limits.ts'
import { gather } from '../line/gather.ts'
import { endpointOf, type Line, type LineOwner, Sent } from '../line/line.ts'
import { descriptorOf } from '../line/node-handle.ts'
import { POLLIN, POLLOUT } from './layout.ts'
import { Purpose, type ReplyBuffer, type UringLoop, type UringUser } from './loop.ts'

/** What is at least so long is read and sent by a system call of its own. */
const URING_LONG_BYTES_MIN = 8 * KIB

/** After a long read so many more are expected to be. */
const URING_LONG_MEMORY = 16

/** Such calls in a row for one peer, before others have their turn. */
const URING_LONG_READS_MAX = 8

const { EAGAIN, ECANCELED, ENOBUFS } = constants.errno

/** What is under way: reads to the uring's buffers, or the news that there is something to read. */
const Receiving = { NOTHING: 0, STREAM: 1, NEWS: 2 } as const
type Receiving = (typeof Receiving)[keyof typeof Receiving]

export class UringLine implements Line, UringUser {
  readonly takesInserts = true
  ended = false
  private readonly loop: UringLoop
  private readonly owner: LineOwner
  private readonly socket: Socket
  private readonly descriptor: number
  private readonly number: number
  private receiving: Receiving = Receiving.NOTHING
  /**
   * So many reads still wait for news: long ones came before. The first one does: of a peer that says
   * much at once and takes nothing, the uring would read all that its buffers hold.
   */
  private longReads = 1
  /** The last long read was of a value to its place: the next will be. */
  private expectsLong = false
  private isCancelling = false
  private isPaused = true
  private hasLeft = false
  private sending = false
  private endsSoon = false
  /** The reply on its way: where it stands in a shared buffer, or what is left of it, a copy. */
  private replies: ReplyBuffer | null = null
  private sendStart = 0
  private sendBytes = 0
  private unsent: Uint8Array[] | null = null
  private inserts: Inserts | null = null
  private failure: Error | undefined

  /** Not reading yet; `accepted` has never been read by Node. */
  constructor(loop: UringLoop, accepted: Socket, owner: LineOwner) {
    this.loop = loop
    this.owner = owner
    this.socket = accepted
    this.descriptor = descriptorOf(accepted)
    this.number = loop.join(this)
    accepted.on('error', () => {})
    accepted.on('close', hadError => this.close(hadError))
    if (this.descriptor < 0) this.destroy()
  }

  resume(): void {
    this.isPaused = false
    if (this.receiving === Receiving.NOTHING) this.receive()
  }

  send(): Sent {
    const { loop } = this
    const { reply } = loop
    if (reply.inserts.count > 0) return this.sendInserts()
    const { start } = reply
    const bytes = reply.length - start
    if (bytes === 0) return Sent.ALL
    if (bytes >= URING_LONG_BYTES_MIN) return this.sendLong()
    const replies = loop.dispatch()
    this.replies = replies
    this.sendStart = start
    this.sendBytes = bytes
    this.sending = true
    loop.uring.sendNow(this.descriptor, replies.address + start, bytes, this.number | Purpose.SEND)
    return Sent.SOON
  }

  endSoon(): void {
    this.endsSoon = true
    if (!this.sending) this.destroy()
  }

  destroy(): void {
    if (this.ended) return
    this.ended = true
    const { loop, number } = this
    this.cancel()
    if (this.sending) loop.uring.cancel(number | Purpose.SEND, number | Purpose.CANCEL)
    this.closeIfIdle()
  }

  abandon(): void {
    this.inserts = null
    this.destroy()
  }

  endpoint(): Endpoint {
    return endpointOf(this.socket)
  }

  received(): void {
    const { uring } = this.loop
    const { result } = uring
    const kind = this.receiving
    if (!uring.hasMore) {
      this.receiving = Receiving.NOTHING
      this.isCancelling = false
    }
    if (this.ended) {
      uring.giveBuffer()
      return this.closeIfIdle()
    }
    if (result > 0) {
      if (kind === Receiving.NEWS) this.readLong()
      else this.take(result)
    } else {
      uring.giveBuffer()
      if (result === 0) this.leave()
      else if (result !== -ENOBUFS && result !== -ECANCELED) this.fail(result)
    }
    if (this.receiving === Receiving.NOTHING && !this.isPaused) this.receive()
  }

  sendDone(): void {
    const { loop, unsent, replies, sendBytes } = this
    const { result } = loop.uring
    if (this.ended) return this.finish()
    if (unsent !== null && result >= 0) return this.sendOn(unsent)
    if (result === sendBytes) {
      this.finish()
      return this.endsSoon ? this.destroy() : this.owner.sent()
    }
    if (unsent !== null || (result < 0 && result !== -EAGAIN)) {
      this.finish()
      return this.fail(result)
    }
    const sent = this.sendStart + Math.max(result, 0)
    const rest = replies?.area.bytes.subarray(sent, this.sendStart + sendBytes)
    if (rest !== undefined) this.sendLater([Buffer.from(rest)])
    this.leaveReplies()
  }

  private take(bytes: number): void {
    const { owner, loop } = this
    const { uring } = loop
    const goesOn = owner.read(uring.input, uring.start, bytes)
    uring.giveBuffer()
    const isLong = bytes === URING_BUFFER_BYTES || owner.awaitsBytes() >= URING_LONG_BYTES_MIN
    if (isLong) this.longReads = URING_LONG_MEMORY
    if (!goesOn) this.pause()
    else if (isLong) this.cancel()
  }

  /** There is something to read. */
  private readLong(): void {
    const { owner, loop, descriptor } = this
    const { native, longInput } = loop
    for (let reads = 0; reads < URING_LONG_READS_MAX && !this.ended; reads++) {
      const view = owner.fillView()
      // The next value is likely to be as long: of that no more than its beginning goes by the buffer.
      const isShort = this.expectsLong && owner.valueBytes() >= SHORT_READ_VALUE_BYTES_MIN
      const wanted = view?.length ?? (isShort ? SHORT_READ_BYTES : READ_BYTES)
      const to = view === null ? loop.longAddress : native.addressOf(view)
      const bytes = native.read(descriptor, to, wanted)
      if (bytes === 0) return this.leave()
      if (bytes < 0) return bytes === -EAGAIN ? undefined : this.fail(bytes)
      const goesOn =
        view === null ? owner.read(longInput, READ_REST_BYTES_MAX, bytes) : owner.filled(bytes)
      const isLong = view !== null || bytes >= URING_LONG_BYTES_MIN
      // A request that fits says nothing of those behind it.
      this.expectsLong = view !== null || (isShort && bytes < wanted)
      this.longReads = isLong ? URING_LONG_MEMORY : this.longReads - 1
      if (!goesOn) return this.pause()
      // What came before a reply is gone would only be kept.
      if (bytes < wanted || this.sending) return
    }
  }

  private pause(): void {
    // What comes in the meantime is kept, up to a bound.
    if (this.isPaused) this.cancel()
    this.isPaused = true
  }

  private receive(): void {
    if (this.ended || this.hasLeft) return
    const { loop, descriptor } = this
    const token = this.number | Purpose.RECEIVE
    if (this.longReads > 0) {
      this.receiving = Receiving.NEWS
      loop.uring.poll(descriptor, POLLIN, token)
    } else {
      this.receiving = Receiving.STREAM
      loop.uring.receive(descriptor, token)
    }
  }

  /** Ends what is under way to be received. */
  private cancel(): void {
    if (this.isCancelling || this.receiving === Receiving.NOTHING) return
    this.isCancelling = true
    this.loop.uring.cancel(this.number | Purpose.RECEIVE, this.number | Purpose.CANCEL)
  }

  private leave(): void {
    this.hasLeft = true
    this.owner.left()
  }

  private fail(status: number): void {
    this.failure = new Error(`${getSystemErrorName(status)}`)
    this.destroy()
  }

  /** Sends the reply by itself, now. */
  private sendLong(): Sent {
    const { loop } = this
    const { reply, native } = loop
    const { area, start, length } = reply
    reply.length = start
    const wrote = native.write(this.descriptor, loop.replyAddress() + start, length - start)
    if (wrote === length - start) return Sent.ALL
    if (wrote < 0 && wrote !== -EAGAIN) return this.refuse(wrote)
    this.sendLater([Buffer.from(area.bytes.subarray(start + Math.max(wrote, 0), length))])
    return Sent.LATER
  }

  /** As `sendLong`, with values from where they stand; those are held until all is sent. */
  private sendInserts(): Sent {
    const { reply } = this.loop
    const { inserts, area, start, length } = reply
    const between = area.bytes.subarray(start, length)
    const bytes = between.length + inserts.bytes
    reply.length = start
    const wrote = this.write(gather(between, inserts, start))
    if (wrote === bytes || (wrote < 0 && wrote !== -EAGAIN)) {
      inserts.clear()
      return wrote === bytes ? Sent.ALL : this.refuse(wrote)
    }
    const kept = gather(Buffer.from(between), inserts, start)
    this.inserts = inserts
    reply.inserts = new Inserts()
    this.sendLater(behind(kept, Math.max(wrote, 0)))
    return Sent.LATER
  }

  private sendLater(pieces: Uint8Array[]): void {
    this.unsent = pieces
    this.sending = true
    this.loop.uring.poll(this.descriptor, POLLOUT, this.number | Purpose.SEND)
  }

  /** There is room for more. */
  private sendOn(pieces: Uint8Array[]): void {
    const wrote = this.write(pieces)
    if (wrote < 0 && wrote !== -EAGAIN) {
      this.finish()
      return this.fail(wrote)
    }
    const rest = behind(pieces, Math.max(wrote, 0))
    if (rest.length > 0) return this.sendLater(rest)
    this.finish()
    if (this.endsSoon) this.destroy()
    else this.owner.sent()
  }

  private write(pieces: Uint8Array[]): number {
    return this.loop.message.send(this.descriptor, pieces)
  }

  /** What was being sent is sent, or never will be. */
  private finish(): void {
    this.leaveReplies()
    this.sending = false
    this.unsent = null
    this.inserts?.clear()
    this.inserts = null
    if (this.ended) this.closeIfIdle()
  }

  private leaveReplies(): void {
    const { replies } = this
    this.replies = null
    if (replies !== null) this.loop.arrived(replies)
  }

  private refuse(status: number): Sent {
    this.fail(status)
    return Sent.FAILED
  }

  /** Nothing is under way: the socket may be closed. */
  private closeIfIdle(): void {
    if (this.sending || this.receiving !== Receiving.NOTHING) return
    this.loop.leave()
    this.socket.destroy(this.failure)
  }

  private close(hadError: boolean): void {
    this.ended = true
    this.loop.part(this.number)
    this.owner.closed(hadError)
  }
}

/** The pieces without their first `bytes` bytes. */
function behind(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = bytes
  for (const piece of pieces) {
    if (piece.length > skip) rest.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.length)
  }
  return rest
}
