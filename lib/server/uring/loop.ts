// The loop of a thread whose lines go through a uring: submits what they ask for, tells them what
// became of it, and waits in the kernel for more: one system call for all requests that came in the
// meantime and all replies to those before.
//
// libuv's loop of the same thread goes on in between. It is one of the things that the kernel waits
// for: whenever it has something to do, or its next timer is due, this loop gives way to it. Two
// things libuv does not show, and whoever causes them says `leave`: callbacks put off to the end of
// this turn (nextTick, promises) and immediates. A descriptor that something else begins to watch
// from within a callback is seen at the next timer; in a thread with a uring there are none (TLS as Node
// speaks it would have some: then there is no uring).

import { constants } from 'node:os'
import { Area } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import {
  READ_BYTES,
  READ_REST_BYTES_MAX,
  REPLY_BYTES,
  SEAL_BYTES_MAX,
} from '../../protocol/limits.ts'
import type { Reply } from '../../protocol/reply.ts'
import { type Address, loadNative, type Native } from '../native/libc.ts'
import { POLLIN, TIMESPEC_BYTES } from './layout.ts'
import { Message } from './message.ts'
import { Uring } from './uring.ts'

/** Replies of one turn stand one behind the other in a buffer of so many bytes; such that are kept. */
export const URING_REPLY_BYTES_MAX = 2 * 64 * KIB
const URING_REPLY_POOL_MAX = 4

/** What a token asks for; the rest of it says for whom. */
export const Purpose = { RECEIVE: 0, SEND: 1, CANCEL: 2 } as const
const { ECANCELED } = constants.errno
const PURPOSE_BITS = 2
const PURPOSE_MASK = 3

/** Told what became of its requests; the uring stands at the completion. */
export interface UringUser {
  received(): void
  sendDone(): void
}

/** Behind so many bytes another reply, sealed, might not fit. */
const REPLIES_BYTES_MAX = URING_REPLY_BYTES_MAX - REPLY_BYTES - SEAL_BYTES_MAX

/** Where replies stand one behind the other; free once none of them is on its way. */
export interface ReplyBuffer {
  readonly area: Area
  readonly address: Address
  onItsWay: number
}

/** The loop's own requests. */
const POLL = Purpose.RECEIVE
const TIMEOUT = Purpose.SEND
const IGNORED = Purpose.CANCEL
const OWN_TOKENS = 1 << PURPOSE_BITS

export class UringLoop {
  readonly native: Native
  readonly uring: Uring
  readonly reply: Reply
  /** Where a long read goes, behind READ_REST_BYTES_MAX of room. */
  readonly longInput = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  readonly longAddress: Address
  readonly message: Message
  private readonly users: (UringUser | undefined)[] = [undefined]
  private readonly freeUsers: number[] = []
  /** What the thread's reply buffer is now, and such that wait to be. */
  private replies: ReplyBuffer
  private readonly spare: ReplyBuffer[] = []
  private readonly timespec = Buffer.allocUnsafeSlow(TIMESPEC_BYTES)
  private readonly timespecAddress: Address
  private readonly loopDescriptor: number
  private isPolling = false
  /** When the time-out that is set ends; Infinity: none is. */
  private timeoutAtMs = Number.POSITIVE_INFINITY
  private isLeaving = false
  private isClosed = false
  /** Rung for the next turn: libuv answers while it polls, when it knows what else it has to do. */
  private readonly bell = new MessageChannel()
  private readonly ringBell = (): void => this.bell.port1.postMessage(null)

  /** Throws what keeps this machine from having one. `reply`: all of this thread. */
  constructor(native: Native, reply: Reply) {
    this.native = native
    this.uring = new Uring(native)
    this.reply = reply
    this.longAddress = native.addressOf(this.longInput.bytes) + READ_REST_BYTES_MAX
    this.message = new Message(native)
    this.timespecAddress = native.addressOf(this.timespec)
    this.loopDescriptor = native.loopDescriptor()
    this.replies = this.nextReplies()
    // Not `onmessage`, which costs a thread 11 MiB: it loads the events of browsers.
    this.bell.port2.on('message', () => this.turn())
    this.bell.port1.postMessage(null)
  }

  /** Null: this Node or this kernel has none. */
  static open(reply: Reply): UringLoop | null {
    const native = loadNative()
    if (native === undefined) return null
    try {
      return new UringLoop(native, reply)
    } catch {
      return null
    }
  }

  /** A number for one who asks; its tokens are made of it. */
  join(user: UringUser): number {
    const index = this.freeUsers.pop() ?? this.users.length
    this.users[index] = user
    return index << PURPOSE_BITS
  }

  /** Nothing of what was asked with this number is under way. */
  part(number: number): void {
    const index = number >> PURPOSE_BITS
    this.users[index] = undefined
    this.freeUsers.push(index)
  }

  /** Node has something to do behind the requests in hand. */
  leave(): void {
    this.isLeaving = true
  }

  /** Where the thread's reply buffer begins. */
  replyAddress(): Address {
    return this.replies.address
  }

  /** What stands in the reply buffer is on its way, up to `arrived`; where it stands. */
  dispatch(): ReplyBuffer {
    const { reply, replies } = this
    replies.onItsWay++
    if (reply.length > REPLIES_BYTES_MAX) this.replies = this.nextReplies()
    else this.beginReply(reply.length)
    return replies
  }

  /** One reply is out of this buffer. */
  arrived(replies: ReplyBuffer): void {
    if (--replies.onItsWay > 0) return
    const { reply, spare } = this
    if (replies !== this.replies) {
      if (spare.length < URING_REPLY_POOL_MAX) spare.push(replies)
    } else if (reply.length === reply.start) {
      this.beginReply(0)
    }
  }

  /** No requests are under way any more, or nobody may be told what becomes of them. */
  close(): void {
    this.isClosed = true
    this.bell.port1.close()
    this.uring.close()
  }

  private nextReplies(): ReplyBuffer {
    const replies = this.spare.pop() ?? this.createReplies()
    this.reply.area = replies.area
    this.beginReply(0)
    return replies
  }

  private createReplies(): ReplyBuffer {
    const area = Area.allocate(URING_REPLY_BYTES_MAX)
    return { area, address: this.native.addressOf(area.bytes), onItsWay: 0 }
  }

  private beginReply(start: number): void {
    const { reply } = this
    reply.start = start
    reply.length = start
    reply.limit = start + REPLY_BYTES
  }

  private turn(): void {
    if (this.isClosed) return
    const { uring } = this
    const timeoutMs = this.native.loopTimeoutMs()
    const waits = timeoutMs !== 0
    if (waits) this.wakeFor(timeoutMs)
    this.isLeaving = false
    // What comes while these are told of is for the next round: libuv may have its turn before.
    do {
      uring.submit(waits)
      for (let left = uring.completed(); left > 0 && uring.next(); left--) this.tell()
    } while (waits && !this.isLeaving)
    uring.submit(false)
    // Not at once: libuv must have its turn in between, and a port gives all that is in it in one go.
    setImmediate(this.ringBell)
  }

  private tell(): void {
    const { token } = this.uring
    const ask = token & PURPOSE_MASK
    if (token < OWN_TOKENS) return this.wake(ask)
    const user = this.users[token >> PURPOSE_BITS]
    if (ask === Purpose.RECEIVE) user?.received()
    else if (ask === Purpose.SEND) user?.sendDone()
  }

  /** Asks to be woken when libuv has something to do, now or in `timeoutMs` (-1: never). */
  private wakeFor(timeoutMs: number): void {
    const { uring } = this
    if (!this.isPolling) uring.poll(this.loopDescriptor, POLLIN, POLL)
    this.isPolling = true
    if (timeoutMs < 0) return
    const atMs = performance.now() + timeoutMs
    if (this.timeoutAtMs <= atMs) return
    if (this.timeoutAtMs < Number.POSITIVE_INFINITY) uring.removeTimeout(TIMEOUT, IGNORED)
    this.timeoutAtMs = atMs
    this.timespec.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0)
    this.timespec.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1e6), 8)
    uring.timeout(this.timespecAddress, TIMEOUT)
  }

  private wake(ask: number): void {
    if (ask === POLL) this.isPolling = false
    // One that was removed has been replaced.
    else if (ask === TIMEOUT && this.uring.result !== -ECANCELED)
      this.timeoutAtMs = Number.POSITIVE_INFINITY
    else return
    this.isLeaving = true
  }
}
