// One connection of the load: sends batches and reads their replies. In a closed loop it sends the
// next batch once the last reply is complete; in a paced run pace.ts sends. Runs in the load
// process only, and costs it little: requests are built beforehand, all connections read into one
// buffer, and replies are counted by length. Their content is checked too: the first and the last
// byte of every batch, and every byte of each connection's first batch in a run and of a random
// sample after it.

import { connect, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Place } from './driver.ts'
import { Histogram } from './histogram.ts'
import type { Batch, Requests } from './requests.ts'

// One batch in this number is sampled, on average.
const SAMPLE_EVERY = 500
const EXCERPT_BYTES = 120
const READ_BUFFER_BYTES = 256 * 1024
// Unanswered batches of one connection in a paced run. With more the server has fallen behind.
const WAITING_MAX = 4096

const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)

// What the connections of one run share.
export class Run {
  readonly histogram = new Histogram()
  readonly deadlineMs: number
  readonly isPaced: boolean
  readonly onIdle: () => void
  batchCount = 0
  sampleCount = 0
  // Batches sent and not yet answered.
  waitingCount = 0
  lastReplyMs = 0
  #isOver = false

  constructor(deadlineMs: number, isPaced: boolean, onIdle: () => void) {
    this.deadlineMs = deadlineMs
    this.isPaced = isPaced
    this.onIdle = onIdle
  }

  // Whether a connection sends its next batch once the last one is answered.
  sendsAt(nowMs: number): boolean {
    return !this.isPaced && nowMs < this.deadlineMs
  }

  // No more batches will be sent: the run is over once the last one is answered.
  endSending(): void {
    this.#isOver = true
    if (this.waitingCount === 0) this.onIdle()
  }

  completed(startMs: number, nowMs: number): void {
    this.histogram.record((nowMs - startMs) * 1000)
    this.batchCount += 1
    this.waitingCount -= 1
    this.lastReplyMs = nowMs
    if (this.waitingCount === 0 && (this.#isOver || !this.isPaced)) this.onIdle()
  }
}

export class Peer {
  readonly #socket: Socket
  readonly #requests: Requests
  readonly #lastByte: number | undefined
  readonly #random: () => number
  // Circular queue of the unanswered batches, oldest first: their indexes, and when each was due.
  readonly #indexes = new Int32Array(WAITING_MAX)
  readonly #startsMs = new Float64Array(WAITING_MAX)
  #oldest = 0
  #waiting = 0
  #run: Run | undefined
  #next: number
  // Reply bytes of the oldest batch so far.
  #received = 0
  #untilSample = 0
  #sample: Buffer[] | undefined

  static async connect(place: Place, requests: Requests, random: () => number): Promise<Peer> {
    const peer = new Peer(place, requests, random)
    await new Promise<void>((resolve, reject) => {
      const event = place.tls === undefined ? 'connect' : 'secureConnect'
      peer.#socket.once(event, resolve).once('error', reject)
    })
    peer.#socket.on('error', error => {
      throw error
    })
    peer.#socket.on('close', () => {
      throw new Error(`the server closed a connection ${peer.describe()}`)
    })
    return peer
  }

  private constructor(place: Place, requests: Requests, random: () => number) {
    this.#requests = requests
    this.#lastByte = requests.lastByte
    this.#random = random
    this.#next = Math.floor(random() * requests.batches.length)
    const callback = (length: number): boolean => {
      this.#onBytes(length)
      return true
    }
    this.#socket = open(place, { buffer: readBuffer, callback })
  }

  start(run: Run): void {
    this.#run = run
    this.#untilSample = 0
    this.#sample = []
    if (!run.isPaced) this.send(performance.now())
  }

  // Sends the next batch, which was due at `startMs`.
  send(startMs: number): void {
    const run = this.#run
    if (run === undefined) throw new Error('a peer sends without a run')
    if (this.#waiting === WAITING_MAX) {
      throw new Error(`the server falls behind: ${WAITING_MAX} unanswered batches on a connection`)
    }
    const { batches } = this.#requests
    this.#next = this.#next + 1 < batches.length ? this.#next + 1 : 0
    const at = (this.#oldest + this.#waiting) % WAITING_MAX
    this.#indexes[at] = this.#next
    this.#startsMs[at] = startMs
    this.#waiting += 1
    run.waitingCount += 1
    this.#socket.write(batches[this.#next].bytes)
  }

  // For error messages: how much of the oldest unanswered batch has been answered.
  describe(): string {
    if (this.#waiting === 0) return 'between two batches'
    const { bytes, replyBytes } = this.#batch
    const got = this.#sample === undefined ? '' : `, ${excerpt(Buffer.concat(this.#sample))}`
    return (
      `after ${this.#received} of ${replyBytes} reply bytes` +
      `${got}; the requests were ${excerpt(bytes)}`
    )
  }

  get isWaiting(): boolean {
    return this.#waiting > 0
  }

  get #batch(): Batch {
    return this.#requests.batches[this.#indexes[this.#oldest]]
  }

  #onBytes(length: number): void {
    for (let at = 0; at < length; ) {
      if (this.#waiting === 0)
        throw new Error(`reply without a request: ${excerpt(readBuffer.subarray(at, length))}`)
      const { replyBytes, firstByte } = this.#batch
      if (this.#received === 0 && readBuffer[at] !== firstByte) this.#refuse(at, length)
      const end = Math.min(length, at + replyBytes - this.#received)
      if (this.#sample !== undefined) this.#sample.push(Buffer.from(readBuffer.subarray(at, end)))
      this.#received += end - at
      if (this.#received < replyBytes) return
      const isLastGood = this.#lastByte === undefined || readBuffer[end - 1] === this.#lastByte
      const isTooLong = end < length && this.#waiting === 1
      if (!isLastGood || isTooLong) this.#refuse(at, length)
      this.#complete()
      at = end
    }
  }

  #complete(): void {
    const run = this.#run
    if (run === undefined) throw new Error('a peer waits without a run')
    if (this.#sample !== undefined) this.#checkSample(run, this.#sample)
    const nowMs = performance.now()
    const startMs = this.#startsMs[this.#oldest]
    this.#oldest = (this.#oldest + 1) % WAITING_MAX
    this.#waiting -= 1
    this.#received = 0
    this.#untilSample -= 1
    if (this.#untilSample < 0) this.#sample = []
    if (run.sendsAt(nowMs)) this.send(nowMs)
    run.completed(startMs, nowMs)
  }

  #checkSample(run: Run, parts: readonly Buffer[]): void {
    const got = Buffer.concat(parts)
    const fault = this.#requests.faultIn(this.#indexes[this.#oldest], got)
    if (fault !== undefined) {
      throw new Error(
        `wrong reply at byte ${fault.at}: ${excerpt(got.subarray(fault.at))}; ` +
          `expected ${excerpt(fault.wanted)}`,
      )
    }
    this.#sample = undefined
    this.#untilSample = Math.floor(this.#random() * SAMPLE_EVERY * 2)
    run.sampleCount += 1
  }

  #refuse(at: number, length: number): never {
    throw new Error(
      `wrong reply: ${excerpt(readBuffer.subarray(at, length))} in a read of ${length} bytes, ` +
        this.describe(),
    )
  }
}

function open({ port, tls }: Place, onread: OnReadOpts): Socket {
  const host = '127.0.0.1'
  if (tls === undefined) return connect({ host, port, noDelay: true, onread })
  // `onread` works for TLS too, but Node's types do not have it there.
  const options = { host, port: tls.port, ca: tls.certificate, onread }
  return connectTls(options).setNoDelay(true)
}

// Quoted for a terminal: bytes that do not print are dots, and long texts are cut.
export function excerpt(bytes: Buffer): string {
  const text = bytes.subarray(0, EXCERPT_BYTES).toString('latin1')
  const shown = `"${text.replaceAll('\r\n', '\\r\\n').replaceAll(/[^ -~]/g, '.')}"`
  return bytes.length > EXCERPT_BYTES ? `${shown}...` : shown
}
