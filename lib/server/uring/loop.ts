// The loop of a thread with a uring. It submits the requests of lines, passes completions to them,
// and waits in the kernel for more: one system call for all replies and all new requests.
//
// libuv's loop of the same thread runs in between. The kernel also waits for libuv's descriptor:
// when libuv has something to do, or its next timer is due, this loop returns to it. libuv's
// descriptor does not show callbacks deferred to the end of this turn (nextTick, promises) and
// immediates: code that causes either calls `leave`. Nor does it show, before the next timer, a
// descriptor that is newly watched within a callback. A thread with a uring has none of those.
// Node's TLS has, so a thread that uses it gets no uring.

import { constants } from 'node:os'
import { Area } from '../../bytes/area.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import type { Reply } from '../../protocol/reply.ts'
import { REPLY_ROOM_BYTES, Replies } from '../line/replies.ts'
import type { Address } from '../native/ffi.ts'
import { loadNative, type Native } from '../native/libc.ts'
import type { Turns } from '../turns.ts'
import { POLLIN, TIMESPEC_BYTES } from './layout.ts'
import { Message } from './message.ts'
import { Uring } from './uring.ts'

/**
 * Size of the buffers that hold the replies of a turn, and how many are kept for reuse.
 */
export const URING_REPLY_BYTES = 2 * REPLY_ROOM_BYTES
const URING_REPLY_SPARES_MAX = 4

/** The kind of a request, the low bits of its token; the others are the number of its user. */
export const Purpose = { RECEIVE: 0, SEND: 1, CANCEL: 2 } as const
const PURPOSE_BITS = 2
const PURPOSE_MASK = 3

const { ECANCELED } = constants.errno

/** Called when a request has completed; the uring is at its completion. */
export interface UringUser {
  received(): void
  sendDone(): void
}

/** The loop's own requests, with user number 0. */
const POLL = Purpose.RECEIVE
const TIMEOUT = Purpose.SEND
const IGNORED = Purpose.CANCEL
const OWN_TOKENS = 1 << PURPOSE_BITS

export class UringLoop {
  readonly native: Native
  readonly uring: Uring
  readonly replies: Replies
  /** The buffer for long reads, after READ_REST_BYTES_MAX bytes of room. */
  readonly longInput = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  readonly longAddress: Address
  readonly message: Message
  private readonly turns: Turns
  private readonly users: (UringUser | undefined)[] = [undefined]
  private readonly freeUsers: number[] = []
  private readonly timespec = Buffer.allocUnsafeSlow(TIMESPEC_BYTES)
  private readonly timespecAddress: Address
  private readonly loopDescriptor: number
  private isPolling = false
  /** When the current timeout is due; Infinity: there is none. */
  private timeoutAtMs = Number.POSITIVE_INFINITY
  private isLeaving = false
  private isClosed = false
  /** Makes libuv call the next turn from its poll phase, when it knows what else it has to do. */
  private readonly bell = new MessageChannel()
  private readonly askForTurn = (): void => this.bell.port1.postMessage(null)

  /** Throws an Error if io_uring is not allowed here. `reply`, `turns`: the thread's. */
  constructor(native: Native, reply: Reply, turns: Turns) {
    this.native = native
    this.turns = turns
    this.uring = new Uring(native)
    const addressOf = (bytes: Buffer) => native.addressOf(bytes)
    this.replies = new Replies(reply, URING_REPLY_BYTES, URING_REPLY_SPARES_MAX, addressOf)
    this.longAddress = native.addressOf(this.longInput.bytes) + READ_REST_BYTES_MAX
    this.message = new Message(native)
    this.timespecAddress = native.addressOf(this.timespec)
    this.loopDescriptor = native.loopDescriptor()
    // Not `onmessage`, which loads the browser's events, 11 MiB per thread.
    this.bell.port2.on('message', () => this.turn())
    this.bell.port1.postMessage(null)
  }

  /** Null: this Node, kernel or system has no io_uring. */
  static open(reply: Reply, turns: Turns): UringLoop | null {
    const native = loadNative()
    if (native === undefined) return null
    try {
      return new UringLoop(native, reply, turns)
    } catch {
      return null
    }
  }

  /** A number for a user, for its tokens. */
  join(user: UringUser): number {
    const index = this.freeUsers.pop() ?? this.users.length
    this.users[index] = user
    return index << PURPOSE_BITS
  }

  /** Frees the number: no request with it is pending. */
  part(number: number): void {
    const index = number >> PURPOSE_BITS
    this.users[index] = undefined
    this.freeUsers.push(index)
  }

  /** Returns to libuv after the current completions. */
  leave(): void {
    this.isLeaving = true
  }

  /** Ends all pending requests without reporting them. */
  close(): void {
    this.isClosed = true
    this.bell.port1.close()
    this.uring.close()
  }

  private turn(): void {
    if (this.isClosed) return
    const { uring, turns } = this
    const timeoutMs = this.native.loopTimeoutMs()
    const waits = timeoutMs !== 0
    if (waits) this.wakeFor(timeoutMs)
    this.isLeaving = false
    // Only what has completed by now; later completions wait, since libuv may be next.
    do {
      uring.submit(waits && turns.isEmpty)
      for (let left = uring.completed(); left > 0 && uring.next(); left--) this.tell()
      if (!turns.isEmpty) turns.step()
    } while (waits && !this.isLeaving)
    uring.submit(false)
    // As an immediate: libuv must run in between, and a port delivers all its messages at once.
    setImmediate(this.askForTurn)
  }

  private tell(): void {
    const { token } = this.uring
    const purpose = token & PURPOSE_MASK
    if (token < OWN_TOKENS) return this.wake(purpose)
    const user = this.users[token >> PURPOSE_BITS]
    if (purpose === Purpose.RECEIVE) user?.received()
    else if (purpose === Purpose.SEND) user?.sendDone()
  }

  /**
   * Makes the kernel wake this thread when libuv has something to do, at the latest after
   * `timeoutMs` (-1: never).
   */
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

  private wake(purpose: number): void {
    if (purpose === POLL) this.isPolling = false
    // A removed timeout has been replaced by another.
    else if (purpose === TIMEOUT && this.uring.result !== -ECANCELED)
      this.timeoutAtMs = Number.POSITIVE_INFINITY
    else return
    this.isLeaving = true
  }
}
