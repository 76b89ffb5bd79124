// The line through io_uring. Node accepted the socket and will close it; in between all reads and
// writes go through this thread's uring.
//
// Short requests and replies go through the uring: it receives again and again, into buffers that
// the kernel chooses, and replies stay in the shared buffer until the end of the turn, when all are
// submitted together. From 8 KiB on a system call of its own costs little and keeps the bytes in
// the CPU's cache: then the uring only polls, and a value is read to its place in the arena and
// sent from it.
//
// What the kernel does not take of a reply at once is copied, and sent when the uring reports room.
// So a peer that does not read costs its own reply and no more.
//
//   receiving   NOTHING   no request is pending
//               RECEIVE   the kernel receives into its buffers, until cancelled or out of buffers
//               POLL      the kernel reports once that there is something to read
//               OVER      the peer closed its side: nothing comes any more
//   phase       OPEN | ENDING (closes when the reply is sent) | ENDED
//
// What the kernel does, what the owner wants (isPaused) and whether the line still sends are
// separate facts. While a request is pending the kernel uses the descriptor, so the socket is
// closed only when all requests have completed.

import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { KIB } from '../../bytes/units.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import type { Inserts } from '../../protocol/inserts.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import { FAREWELL_MS_MAX, SHORT_READ_BYTES, URING_BUFFER_BYTES } from '../limits.ts'
import { gather } from '../line/gather.ts'
import { endpointOf, type Line, type LineOwner, Sent } from '../line/line.ts'
import { descriptorOf } from '../line/node-handle.ts'
import type { ReplyBuffer } from '../line/replies.ts'
import { POLLIN, POLLOUT } from './layout.ts'
import { Purpose, type UringLoop, type UringUser } from './loop.ts'

/** Reads and replies of at least this length are separate system calls. */
const URING_LONG_BYTES_MIN = 8 * KIB

/** How many long reads to expect after one long read. */
const URING_LONG_MEMORY = 16

/** After this many bytes of long reads in a row others have their turn. */
const URING_LONG_TURN_BYTES = 128 * KIB

const { EAGAIN, ECANCELED, ENOBUFS } = constants.errno

const Receiving = { NOTHING: 0, RECEIVE: 1, POLL: 2, OVER: 3 } as const
type Receiving = (typeof Receiving)[keyof typeof Receiving]

const Phase = { OPEN: 0, ENDING: 1, ENDED: 2 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class UringLine implements Line, UringUser {
  readonly takesInserts = true
  private readonly loop: UringLoop
  private readonly owner: LineOwner
  private readonly socket: Socket
  private readonly descriptor: number
  private readonly number: number
  private phase: Phase = Phase.OPEN
  private receiving: Receiving = Receiving.NOTHING
  /** The pending request has been cancelled, and will complete. */
  private isCancelling = false
  /** The owner wants no more input, but pending requests may still bring some. */
  private isPaused = true
  /**
   * Reads that still begin with a poll, because long ones came before. The first read of a line
   * does: otherwise a peer that pipelines much and reads nothing would fill all buffers of the
   * uring.
   */
  private longReads = 1
  /** The reply being sent: in a shared buffer, or a copy of its rest. */
  private replies: ReplyBuffer | null = null
  private sendStart = 0
  private sendBytes = 0
  private unsent: Uint8Array[] | null = null
  private inserts: Inserts | null = null
  private failure: Error | undefined
  private isLeaving = false

  /** Not reading yet; Node must never have read from `accepted`. */
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

  get ended(): boolean {
    return this.phase === Phase.ENDED
  }

  get unsentBytes(): number {
    if (this.unsent === null) return this.replies === null ? 0 : this.sendBytes
    return this.unsent.reduce((sum, piece) => sum + piece.length, 0)
  }

  private get isSending(): boolean {
    return this.replies !== null || this.unsent !== null
  }

  resume(): void {
    this.isPaused = false
    if (this.receiving === Receiving.NOTHING) this.receive()
  }

  send(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent {
    if (inserts.count > 0) return this.sendInserts(from, start, end, inserts)
    const bytes = end - start
    if (bytes === 0) return Sent.ALL
    if (bytes >= URING_LONG_BYTES_MIN) return this.sendLong(from, start, end)
    const { loop, descriptor, number } = this
    loop.replies.keep(from, end)
    this.replies = from
    this.sendStart = start
    this.sendBytes = bytes
    loop.uring.sendNow(descriptor, from.address + start, bytes, number | Purpose.SEND)
    return Sent.SOON
  }

  endSoon(): void {
    if (!this.isSending) this.destroy()
    else if (this.phase === Phase.OPEN) this.phase = Phase.ENDING
  }

  leave(): void {
    this.isLeaving = true
    if (this.isSending) this.phase = Phase.ENDING
    else this.farewell()
  }

  /** This side is closed. Input is read until the peer closes its side too, or takes too long. */
  private farewell(): void {
    if (this.ended) return
    this.phase = Phase.ENDING
    this.loop.leave()
    this.socket.end()
    if (this.receiving === Receiving.OVER) this.destroy()
    else setTimeout(() => this.destroy(), FAREWELL_MS_MAX).unref()
  }

  destroy(): void {
    if (this.ended) return
    this.phase = Phase.ENDED
    const { loop, number } = this
    this.cancel()
    if (this.isSending) loop.uring.cancel(number | Purpose.SEND, number | Purpose.CANCEL)
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
    const wasPoll = this.receiving === Receiving.POLL
    if (!uring.hasMore) {
      this.receiving = Receiving.NOTHING
      this.isCancelling = false
    }
    if (this.ended) {
      uring.giveBuffer()
      return this.closeIfIdle()
    }
    if (result > 0) {
      if (wasPoll) this.readLong()
      else this.take(result)
    } else {
      uring.giveBuffer()
      if (result === 0) this.halfClose()
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
      return this.tell()
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

  /** The reply is sent; a line that is ending closes now. */
  private tell(): void {
    if (this.phase !== Phase.ENDING) this.owner.sent()
    else if (this.isLeaving) this.farewell()
    else this.destroy()
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
    const { native, message, longInput, longAddress } = loop
    for (let read = 0; read < URING_LONG_TURN_BYTES && !this.ended; ) {
      const view = owner.fillView()
      const short = owner.readsShort() ? SHORT_READ_BYTES : READ_BYTES
      // Behind the value comes at least the end of its line.
      const behind = view !== null && owner.awaitsBytes() > view.length ? 0 : short
      const wanted = (view?.length ?? 0) + behind
      const bytes =
        view === null
          ? native.read(descriptor, longAddress, wanted)
          : message.receive(descriptor, view, longAddress, behind)
      if (bytes === 0) return this.halfClose()
      if (bytes < 0) return bytes === -EAGAIN ? undefined : this.fail(bytes)
      read += bytes
      const filled = Math.min(bytes, view?.length ?? 0)
      let goesOn = filled === 0 || owner.filled(filled)
      const rest = bytes - filled
      if (rest > 0 && !this.ended) {
        goesOn = owner.read(longInput, READ_REST_BYTES_MAX, rest) && goesOn
      }
      const isLong = view !== null || bytes >= URING_LONG_BYTES_MIN
      this.longReads = isLong ? URING_LONG_MEMORY : this.longReads - 1
      if (!goesOn) return this.pause()
      // While a reply is being sent the owner could only store input.
      if (bytes < wanted || this.isSending) return
    }
  }

  private pause(): void {
    // The first time the pending request goes on: the owner stores input up to its bound.
    if (this.isPaused) this.cancel()
    this.isPaused = true
  }

  private receive(): void {
    if (this.ended) return
    const { loop, descriptor } = this
    const token = this.number | Purpose.RECEIVE
    if (this.longReads > 0) {
      this.receiving = Receiving.POLL
      loop.uring.poll(descriptor, POLLIN, token)
    } else {
      this.receiving = Receiving.RECEIVE
      loop.uring.receive(descriptor, token)
    }
  }

  /** Cancels the pending receive. */
  private cancel(): void {
    if (this.isCancelling || !this.isReceiving) return
    this.isCancelling = true
    this.loop.uring.cancel(this.number | Purpose.RECEIVE, this.number | Purpose.CANCEL)
  }

  private get isReceiving(): boolean {
    return this.receiving === Receiving.RECEIVE || this.receiving === Receiving.POLL
  }

  private halfClose(): void {
    this.receiving = Receiving.OVER
    this.owner.halfClosed()
    if (this.isLeaving && !this.isSending) this.destroy()
  }

  private fail(status: number): void {
    this.failure = new Error(`${getSystemErrorName(status)}`)
    this.destroy()
  }

  /** Sends the reply by itself, now. */
  private sendLong({ area, address }: ReplyBuffer, start: number, end: number): Sent {
    const wrote = this.loop.native.write(this.descriptor, address + start, end - start)
    if (wrote === end - start) return Sent.ALL
    if (wrote < 0 && wrote !== -EAGAIN) return this.refuse(wrote)
    this.sendLater([Buffer.from(area.bytes.subarray(start + Math.max(wrote, 0), end))])
    return Sent.LATER
  }

  /** As `sendLong`, with values from their arenas; those are held until all is sent. */
  private sendInserts(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent {
    const wrote = this.loop.message.sendReply(this.descriptor, from, start, end, inserts)
    if (wrote === end - start + inserts.bytes) return Sent.ALL
    if (wrote < 0 && wrote !== -EAGAIN) return this.refuse(wrote)
    const between = Buffer.from(from.area.bytes.subarray(start, end))
    this.sendLater(behind(gather(between, inserts, start), Math.max(wrote, 0)))
    this.inserts = this.loop.replies.takeInserts()
    return Sent.LATER
  }

  private sendLater(pieces: Uint8Array[]): void {
    this.unsent = pieces
    this.loop.uring.poll(this.descriptor, POLLOUT, this.number | Purpose.SEND)
  }

  /** The socket has room for more. */
  private sendOn(pieces: Uint8Array[]): void {
    const wrote = this.loop.message.sendViews(this.descriptor, pieces)
    if (wrote < 0 && wrote !== -EAGAIN) {
      this.finish()
      return this.fail(wrote)
    }
    const rest = behind(pieces, Math.max(wrote, 0))
    if (rest.length > 0) return this.sendLater(rest)
    this.finish()
    this.tell()
  }

  /** The reply is sent, or never will be. */
  private finish(): void {
    this.leaveReplies()
    this.unsent = null
    this.inserts?.clear()
    this.inserts = null
    if (this.ended) this.closeIfIdle()
  }

  private leaveReplies(): void {
    const { replies } = this
    this.replies = null
    if (replies !== null) this.loop.replies.release(replies)
  }

  private refuse(status: number): Sent {
    this.fail(status)
    return Sent.FAILED
  }

  /** Nothing is pending: the socket may be closed. */
  private closeIfIdle(): void {
    if (this.isSending || this.isReceiving) return
    this.loop.leave()
    this.socket.destroy(this.failure)
  }

  private close(hadError: boolean): void {
    this.phase = Phase.ENDED
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
