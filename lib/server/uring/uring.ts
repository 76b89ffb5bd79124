// A uring: requests to the kernel and their results, in memory that this thread shares with the
// kernel (Linux 6.1 and later; uring/layout.ts draws it). All queued requests are submitted in one
// system call, which also waits if there is nothing to do.
//
// The kernel reads and writes our memory only while this thread is inside `submit`. A uring belongs
// to one thread.
//
// Received bytes are in buffers that the kernel chose. The user of a completion returns its buffer.

import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { Area } from '../../bytes/area.ts'
import { READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import { URING_BUFFER_BYTES, URING_BUFFERS } from '../limits.ts'
import type { Address } from '../native/ffi.ts'
import { loadNative, type Native } from '../native/libc.ts'
import * as L from './layout.ts'

/** How many requests and completions it holds: powers of two. */
export const URING_SUBMISSIONS = 256
const URING_COMPLETIONS = 4096

/** Retries of a submission that the kernel accepted partly or not at all. */
const URING_SUBMIT_TRIES_MAX = 1000

const { EAGAIN, EBUSY, EINTR } = constants.errno
const HIGH = 2 ** 32
/**
 * An odd number of cache lines: else all buffers would begin in the same sets of the CPU's cache.
 */
const STRIDE_BYTES = READ_REST_BYTES_MAX + URING_BUFFER_BYTES + 64
const MULTISHOT = L.Opcode.RECV | L.BUFFER_SELECT | L.RECEIVE_MULTISHOT

/** What another thread needs to release a uring. Fit for postMessage. */
export interface UringHandle {
  descriptor: number
  memory: { address: Address; bytes: number }[]
}

/** Releases the uring of a thread that died: until then the sockets of its requests stay open. */
export function releaseUring({ descriptor, memory }: UringHandle): void {
  const native = loadNative()
  if (native !== undefined) releaseMemory(native, descriptor, memory)
}

export class Uring {
  /** All buffers, each behind READ_REST_BYTES_MAX bytes of room. */
  readonly input: Area
  /** Token of the current completion. */
  token = 0
  result = 0
  /** More completions of the same request will come. */
  hasMore = false
  /** Start of its bytes in the input; -1: it has no buffer. */
  start = -1
  private readonly native: Native
  private readonly descriptor: number
  private readonly queues: ArrayBuffer
  private readonly requests: ArrayBuffer
  private readonly bufferRing: ArrayBuffer
  /**
   * The memory of the buffers. It outlives a killed thread, because the kernel may still write to
   * it.
   */
  private readonly inputMemory: ArrayBuffer
  private readonly words: Int32Array
  private readonly submissions: Uint32Array
  private readonly buffers: Uint32Array
  private readonly bufferHalves: Uint16Array
  private readonly inputAddress: Address
  /** Indices of words of the queues. */
  private readonly submissionHead: number
  private readonly submissionTail: number
  private readonly completionHead: number
  private readonly completionTail: number
  private readonly completions: number
  private tail = 0
  private bufferTail = 0
  private buffer = -1

  /** Throws an Error if this kernel allows none. */
  constructor(native: Native) {
    this.native = native
    const params = Buffer.allocUnsafeSlow(L.PARAMS_BYTES).fill(0)
    params.writeUInt32LE(URING_COMPLETIONS, L.PARAMS_COMPLETIONS)
    params.writeUInt32LE(
      L.SETUP_CQSIZE | L.SETUP_SUBMIT_ALL | L.SETUP_SINGLE_ISSUER | L.SETUP_DEFER_TASKRUN,
      L.PARAMS_FLAGS,
    )
    const at = native.addressOf(params)
    this.descriptor = native.call('io_uring_setup', L.SYSCALL_SETUP, URING_SUBMISSIONS, at)
    const field = (part: number, offset: number) => params.readUInt32LE(part + offset)
    const array = field(L.PARAMS_SUBMISSION_RING, L.SUBMISSION_ARRAY)
    const completions = field(L.PARAMS_COMPLETION_RING, L.COMPLETION_ENTRIES)
    const queueBytes = Math.max(
      array + URING_SUBMISSIONS * 4,
      completions + URING_COMPLETIONS * L.COMPLETION_WORDS * 4,
    )
    this.queues = native.map(queueBytes, this.descriptor, 0)
    const requestBytes = URING_SUBMISSIONS * L.SUBMISSION_WORDS * 4
    this.requests = native.map(requestBytes, this.descriptor, L.OFFSET_SUBMISSIONS)
    this.bufferRing = native.map(URING_BUFFERS * L.BUFFER_WORDS * 4, -1, 0)
    this.inputMemory = native.map(URING_BUFFERS * STRIDE_BYTES, -1, 0)
    this.input = new Area(Buffer.from(this.inputMemory))
    this.words = new Int32Array(this.queues)
    this.submissions = new Uint32Array(this.requests)
    this.buffers = new Uint32Array(this.bufferRing)
    this.bufferHalves = new Uint16Array(this.bufferRing)
    this.submissionHead = field(L.PARAMS_SUBMISSION_RING, L.SUBMISSION_HEAD) / 4
    this.submissionTail = field(L.PARAMS_SUBMISSION_RING, L.SUBMISSION_TAIL) / 4
    this.completionHead = field(L.PARAMS_COMPLETION_RING, L.COMPLETION_HEAD) / 4
    this.completionTail = field(L.PARAMS_COMPLETION_RING, L.COMPLETION_TAIL) / 4
    this.completions = completions / 4
    for (let i = 0; i < URING_SUBMISSIONS; i++) this.words[array / 4 + i] = i
    this.inputAddress = native.addressOf(this.input.bytes)
    this.registerBuffers()
  }

  /** Receives repeatedly, until cancelled, failed, or no buffer is free. */
  receive(descriptor: number, token: number): void {
    this.queue(MULTISHOT, descriptor, 0, token)
  }

  /** Sends what the kernel takes now. The bytes may be reused once it is submitted. */
  sendNow(descriptor: number, from: Address, bytes: number, token: number): void {
    const flags = L.MSG_DONTWAIT | L.MSG_NOSIGNAL
    this.aim(this.queue(L.Opcode.SEND, descriptor, flags, token), from, bytes)
  }

  /** Cancels the request with the token `target`, which then completes. */
  cancel(target: number, token: number): void {
    this.aim(this.queue(L.Opcode.ASYNC_CANCEL, -1, 0, token), target, 0)
  }

  /** Completes once when there is something to read (POLLIN) or room to write (POLLOUT). */
  poll(descriptor: number, events: number, token: number): void {
    this.queue(L.Opcode.POLL_ADD, descriptor, events, token)
  }

  /** Completes after a time. `timespec`: the address of seconds and nanoseconds, 64 bits each. */
  timeout(timespec: Address, token: number): void {
    this.aim(this.queue(L.Opcode.TIMEOUT, -1, 0, token), timespec, 1)
  }

  /** Cancels the timeout with the token `target`. */
  removeTimeout(target: number, token: number): void {
    this.aim(this.queue(L.Opcode.TIMEOUT_REMOVE, -1, 0, token), target, 0)
  }

  /** Submits all queued requests. With `waits` it returns when there is a completion. */
  submit(waits: boolean): void {
    for (let tries = 0; tries < URING_SUBMIT_TRIES_MAX; tries++) {
      this.words[this.submissionTail] = this.tail
      const queued = this.queued()
      const taken = this.native.enter(this.descriptor, queued, waits ? 1 : 0, L.ENTER_GETEVENTS)
      if (taken === queued) return
      // A signal came, or completions must be taken first.
      if (taken === -EINTR || taken === -EAGAIN || taken === -EBUSY) return
      if (taken < 0) throw new Error(`io_uring_enter ${getSystemErrorName(taken)}`)
    }
    throw new Error('the kernel takes no requests')
  }

  /** The number of completions that are ready. */
  completed(): number {
    return (this.words[this.completionTail] - this.words[this.completionHead]) | 0
  }

  /** Moves to the next completion; false if there is none. */
  next(): boolean {
    const { words } = this
    const head = words[this.completionHead]
    if (head === words[this.completionTail]) return false
    const at = this.completions + (head & (URING_COMPLETIONS - 1)) * L.COMPLETION_WORDS
    const flags = words[at + L.COMPLETION_FLAGS]
    this.token = words[at + L.COMPLETION_TOKEN]
    this.result = words[at + L.COMPLETION_RESULT]
    this.hasMore = (flags & L.HAS_MORE) !== 0
    this.buffer = (flags & L.HAS_BUFFER) !== 0 ? flags >>> L.BUFFER_SHIFT : -1
    this.start = this.buffer < 0 ? -1 : this.buffer * STRIDE_BYTES + READ_REST_BYTES_MAX
    words[this.completionHead] = (head + 1) | 0
    return true
  }

  /** Returns the buffer of the current completion, if it has one, to the kernel. */
  giveBuffer(): void {
    if (this.buffer < 0) return
    this.lend(this.buffer)
    this.buffer = -1
  }

  /** For releaseUring in another thread, if this one dies. */
  handle(): UringHandle {
    const { descriptor, native, queues, requests, bufferRing, inputMemory } = this
    const memory = [queues, requests, bufferRing, inputMemory].map(part => ({
      address: native.addressOf(part),
      bytes: part.byteLength,
    }))
    return { descriptor, memory }
  }

  /** Ends all requests and unmaps the memory, `input` too. */
  close(): void {
    const { descriptor, memory } = this.handle()
    releaseMemory(this.native, descriptor, memory)
  }

  private registerBuffers(): void {
    const { native } = this
    const what = Buffer.allocUnsafeSlow(L.BUFFER_RING_BYTES).fill(0)
    what.writeBigUInt64LE(BigInt(native.addressOf(this.bufferRing)), 0)
    what.writeUInt32LE(URING_BUFFERS, 8)
    const { descriptor } = this
    const at = native.addressOf(what)
    native.call('io_uring_register', L.SYSCALL_REGISTER, descriptor, L.REGISTER_BUFFER_RING, at, 1)
    for (let i = 0; i < URING_BUFFERS; i++) this.lend(i)
  }

  private lend(buffer: number): void {
    const at = (this.bufferTail & (URING_BUFFERS - 1)) * L.BUFFER_WORDS
    const address = this.inputAddress + buffer * STRIDE_BYTES + READ_REST_BYTES_MAX
    this.buffers[at + L.BUFFER_ADDRESS] = address
    this.buffers[at + L.BUFFER_ADDRESS + 1] = address / HIGH
    this.buffers[at + L.BUFFER_LENGTH] = URING_BUFFER_BYTES
    this.bufferHalves[(at + L.BUFFER_NUMBER) * 2] = buffer
    this.bufferTail = (this.bufferTail + 1) & 0xffff
    this.bufferHalves[L.BUFFERS_TAIL_HALF] = this.bufferTail
  }

  private queued(): number {
    return (this.tail - this.words[this.submissionHead]) | 0
  }

  private makeRoom(): void {
    for (let tries = 0; this.queued() === URING_SUBMISSIONS; tries++) {
      if (tries === URING_SUBMIT_TRIES_MAX) throw new Error('the kernel takes no requests')
      this.submit(false)
    }
  }

  /** Queues a request without address and length; the index of its words, for `aim`. */
  private queue(operation: number, descriptor: number, flags: number, token: number): number {
    if (this.queued() === URING_SUBMISSIONS) this.makeRoom()
    const { submissions } = this
    const at = (this.tail & (URING_SUBMISSIONS - 1)) * L.SUBMISSION_WORDS
    submissions[at + L.SUBMISSION_OPERATION] = operation
    submissions[at + L.SUBMISSION_DESCRIPTOR] = descriptor
    submissions[at + L.SUBMISSION_OPERATION_FLAGS] = flags
    submissions[at + L.SUBMISSION_TOKEN] = token
    this.tail = (this.tail + 1) | 0
    this.aim(at, 0, 0)
    return at
  }

  private aim(at: number, address: Address, length: number): void {
    const { submissions } = this
    submissions[at + L.SUBMISSION_ADDRESS] = address
    submissions[at + L.SUBMISSION_ADDRESS + 1] = address / HIGH
    submissions[at + L.SUBMISSION_LENGTH] = length
  }
}

// The kernel keeps a uring alive while its memory is mapped, even if its descriptor is closed.
function releaseMemory(native: Native, descriptor: number, memory: UringHandle['memory']): void {
  native.close(descriptor)
  for (const { address, bytes } of memory) native.unmap(address, bytes)
}
