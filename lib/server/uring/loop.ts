// The loop of a thread with a uring. It submits what lines ask for, tells them what became of it,
// and waits in the kernel for more: one system call for all new requests and all replies to those
// before.
//
// libuv's loop of the same thread runs in between. Its descriptor is among what the kernel waits
// for: when libuv has something to do, or its next timer is due, this loop gives way. libuv does
// not show two things by its descriptor: callbacks put off to the end of this turn (nextTick,
// promises) and immediates. Code that causes either calls `leave`. Nor does it show a descriptor
// that something begins to watch within a callback, before the next timer. A thread with a uring
// has none of those; TLS as Node speaks it has, so such a thread gets no uring.

import { constants } from 'node:os'
import { Area } from '../../bytes/area.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import type { Reply } from '../../protocol/reply.ts'
import { REPLY_ROOM_BYTES, Replies } from '../line/replies.ts'
import type { Address } from '../native/ffi.ts'
import { loadNative, type Native } from '../native/libc.ts'
import { POLLIN, TIMESPEC_BYTES } from './layout.ts'
import { Message } from './message.ts'
import { Uring } from './uring.ts'

/**
 * Replies of one turn follow each other in buffers of this size; how many buffers are kept for
 * reuse.
 */
export const URING_REPLY_BYTES = 2 * REPLY_ROOM_BYTES
const URING_REPLY_SPARES_MAX = 4

/** What a request is for, the low bits of its token; the others are the number of its user. */
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
  /** Where a long read goes, behind READ_REST_BYTES_MAX bytes of room. */
  readonly longInput = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  readonly longAddress: Address
  readonly message: Message
  private readonly users: (UringUser | undefined)[] = [undefined]
  private readonly freeUsers: number[] = []
  private readonly timespec = Buffer.allocUnsafeSlow(TIMESPEC_BYTES)
  private readonly timespecAddress: Address
  private readonly loopDescriptor: number
  private isPolling = false
  /** When the timeout that is set is due; Infinity: none is set. */
  private timeoutAtMs = Number.POSITIVE_INFINITY
  private isLeaving = false
  private isClosed = false
  /** Has libuv call the next turn while it polls, when it knows what else it has to do. */
  private readonly bell = new MessageChannel()
  private readonly askForTurn = (): void => this.bell.port1.postMessage(null)

  /** Throws an Error if this machine allows none. `reply`: the thread's. */
  constructor(native: Native, reply: Reply) {
    this.native = native
    this.uring = new Uring(native)
    const addressOf = (bytes: Buffer) => native.addressOf(bytes)
    this.replies = new Replies(reply, URING_REPLY_BYTES, URING_REPLY_SPARES_MAX, addressOf)
    this.longAddress = native.addressOf(this.longInput.bytes) + READ_REST_BYTES_MAX
    this.message = new Message(native)
    this.timespecAddress = native.addressOf(this.timespec)
    this.loopDescriptor = native.loopDescriptor()
    // Not `onmessage`: it loads the browser's events, 11 MiB a thread.
    this.bell.port2.on('message', () => this.turn())
    this.bell.port1.postMessage(null)
  }

  /** Null: this Node, this kernel or this system allows none. */
  static open(reply: Reply): UringLoop | null {
    const native = loadNative()
    if (native === undefined) return null
    try {
      return new UringLoop(native, reply)
    } catch {
      return null
    }
  }

  /** A number for a user, from which its tokens are made. */
  join(user: UringUser): number {
    const index = this.freeUsers.pop() ?? this.users.length
    this.users[index] = user
    return index << PURPOSE_BITS
  }

  /** The number is free: no request with it is under way. */
  part(number: number): void {
    const index = number >> PURPOSE_BITS
    this.users[index] = undefined
    this.freeUsers.push(index)
  }

  /** libuv gets a turn after the completions in hand. */
  leave(): void {
    this.isLeaving = true
  }

  /** Ends all requests that are under way; nobody is told what became of them. */
  close(): void {
    this.isClosed = true
    this.bell.port1.close()
    this.uring.close()
  }

  private turn(): void {
    if (this.isClosed) return
    const { uring } = this
    const timeoutMs = this.native.loopTimeoutMs()
    const waits = timeoutMs !== 0
    if (waits) this.wakeFor(timeoutMs)
    this.isLeaving = false
    // Only what has completed by now: what completes meanwhile waits, since libuv may be next.
    do {
      uring.submit(waits)
      for (let left = uring.completed(); left > 0 && uring.next(); left--) this.tell()
    } while (waits && !this.isLeaving)
    uring.submit(false)
    // As an immediate: libuv must run in between, and a port delivers all its messages in one go.
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
   * Has the kernel wake this thread when libuv has something to do, at the latest in `timeoutMs`
   * (-1: never).
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
    // A timeout that was removed has been replaced by another.
    else if (purpose === TIMEOUT && this.uring.result !== -ECANCELED)
      this.timeoutAtMs = Number.POSITIVE_INFINITY
    else return
    this.isLeaving = true
  }
}
