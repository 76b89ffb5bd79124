// A uring: requests to the kernel and what became of them, in memory that this thread shares with it
// (Linux 6.1 and later; uring/layout.ts draws it). What is queued is submitted with all else that is,
// in one system call, which also waits if there is nothing to do.
//
// The kernel touches memory of ours only while this thread is inside `submit`: it hands over what was
// received, and takes what is sent, at no other time. One thread alone uses a uring.
//
// What is received goes to buffers that the kernel chooses: whoever is told of one gives it back.

import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { Area } from '../../bytes/area.ts'
import { READ_REST_BYTES_MAX } from '../../protocol/limits.ts'
import { URING_BUFFER_BYTES, URING_BUFFERS } from '../limits.ts'
import { type Address, loadNative, type Native } from '../native/libc.ts'
import * as L from './layout.ts'

/** A uring's requests and completions: powers of two, as the kernel wants them. */
export const URING_SUBMISSIONS = 256
const URING_COMPLETIONS = 4096

/** So often a submission that the kernel takes only in part, or not yet, is tried again. */
const URING_SUBMIT_TRIES_MAX = 1000

const { EAGAIN, EBUSY, EINTR } = constants.errno
const HIGH = 2 ** 32
/** An odd number of cache lines, so that the buffers' beginnings do not compete for the same ones. */
const STRIDE_BYTES = READ_REST_BYTES_MAX + URING_BUFFER_BYTES + 64
const MULTISHOT = L.Opcode.RECV | L.BUFFER_SELECT | L.RECEIVE_MULTISHOT

/** Fit for postMessage. */
export interface UringHandle {
  descriptor: number
  memory: { address: Address; bytes: number }[]
}

/** Ends all that is under way in a uring whose thread is no more: until then its sockets are open. */
export function releaseUring({ descriptor, memory }: UringHandle): void {
  const native = loadNative()
  if (native !== undefined) releaseMemory(native, descriptor, memory)
}

export class Uring {
  /** All buffers; each has READ_REST_BYTES_MAX of room before it. */
  readonly input: Area
  /** Of the completion that `next` went to. */
  token = 0
  result = 0
  /** More of the same request come. */
  hasMore = false
  /** Where in the input its bytes stand; -1: it has no buffer. */
  start = -1
  private readonly native: Native
  private readonly descriptor: number
  private readonly queues: ArrayBuffer
  private readonly requests: ArrayBuffer
  private readonly bufferRing: ArrayBuffer
  /** Of the buffers: a thread that is killed leaves it to the kernel, which may be reading to it. */
  private readonly inputMemory: ArrayBuffer
  private readonly words: Int32Array
  private readonly submissions: Uint32Array
  private readonly buffers: Uint32Array
  private readonly bufferHalves: Uint16Array
  private readonly inputAddress: Address
  /** Words of the rings. */
  private readonly submissionHead: number
  private readonly submissionTail: number
  private readonly completionHead: number
  private readonly completionTail: number
  private readonly completions: number
  private tail = 0
  private bufferTail = 0
  private buffer = -1

  /** Throws what keeps this kernel from having one. */
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

  /** What comes is read to buffers again and again, until that is cancelled or fails. */
  receive(descriptor: number, token: number): void {
    this.queue(MULTISHOT, descriptor, 0, 0, 0, token)
  }

  /** Sends what the kernel takes now; the bytes are free once it is submitted. */
  sendNow(descriptor: number, from: Address, bytes: number, token: number): void {
    this.queue(L.Opcode.SEND, descriptor, from, bytes, L.MSG_DONTWAIT | L.MSG_NOSIGNAL, token)
  }

  /** Ends the request with this token, which is told of by its own completion. */
  cancel(target: number, token: number): void {
    this.queue(L.Opcode.ASYNC_CANCEL, -1, target, 0, 0, token)
  }

  /** Completes once when there is something to read (POLLIN), or room to write (POLLOUT). */
  poll(descriptor: number, events: number, token: number): void {
    this.queue(L.Opcode.POLL_ADD, descriptor, 0, 0, events, token)
  }

  /** Completes after a time; `timespec`: seconds and nanoseconds, 64 bits each. */
  timeout(timespec: Address, token: number): void {
    this.queue(L.Opcode.TIMEOUT, -1, timespec, 1, 0, token)
  }

  /** Ends the time-out with this token. */
  removeTimeout(target: number, token: number): void {
    this.queue(L.Opcode.TIMEOUT_REMOVE, -1, target, 0, 0, token)
  }

  /** Submits all that is queued, and waits for a completion if `waits` says so and none is there. */
  submit(waits: boolean): void {
    for (let tries = 0; tries < URING_SUBMIT_TRIES_MAX; tries++) {
      this.words[this.submissionTail] = this.tail
      const queued = this.queued()
      const taken = this.native.enter(this.descriptor, queued, waits ? 1 : 0, L.ENTER_GETEVENTS)
      if (taken === queued) return
      // A signal, or the completions are to be looked at first.
      if (taken === -EINTR || taken === -EAGAIN || taken === -EBUSY) return
      if (taken < 0) throw new Error(`io_uring_enter ${getSystemErrorName(taken)}`)
    }
    throw new Error('the kernel takes no requests')
  }

  /** How many completions wait to be gone to. */
  completed(): number {
    return (this.words[this.completionTail] - this.words[this.completionHead]) | 0
  }

  /** Goes to the next completion; false if there is none. */
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

  /** The buffer of the last completion, if it had one, may be read into again. */
  giveBuffer(): void {
    if (this.buffer < 0) return
    this.lend(this.buffer)
    this.buffer = -1
  }

  /** What the kernel knows it by; of a thread that died it is for others to `release`. */
  handle(): UringHandle {
    const { descriptor, native, queues, requests, bufferRing, inputMemory } = this
    const memory = [queues, requests, bufferRing, inputMemory].map(part => ({
      address: native.addressOf(part),
      bytes: part.byteLength,
    }))
    return { descriptor, memory }
  }

  /** Ends all that is under way; what `input` stood in is gone. */
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

  private queue(
    operation: number,
    descriptor: number,
    address: Address,
    length: number,
    flags: number,
    token: number,
  ): void {
    if (this.queued() === URING_SUBMISSIONS) this.makeRoom()
    const { submissions } = this
    const at = (this.tail & (URING_SUBMISSIONS - 1)) * L.SUBMISSION_WORDS
    submissions[at + L.SUBMISSION_OPERATION] = operation
    submissions[at + L.SUBMISSION_DESCRIPTOR] = descriptor
    submissions[at + L.SUBMISSION_ADDRESS] = address
    submissions[at + L.SUBMISSION_ADDRESS + 1] = address / HIGH
    submissions[at + L.SUBMISSION_LENGTH] = length
    submissions[at + L.SUBMISSION_OPERATION_FLAGS] = flags
    submissions[at + L.SUBMISSION_TOKEN] = token
    this.tail = (this.tail + 1) | 0
  }
}

// The kernel keeps a uring as long as its memory is mapped, whoever closes it.
function releaseMemory(native: Native, descriptor: number, memory: UringHandle['memory']): void {
  native.close(descriptor)
  for (const { address, bytes } of memory) native.unmap(address, bytes)
}
