// One connection of the load: sends a batch, waits until the last byte of its replies, sends the
// next (a closed loop). Runs in the load process only, and is written to cost it little: requests
// are built beforehand, all connections read into one buffer, and replies are counted by length.
// What counting cannot see is caught by looking: each batch's first byte and last two bytes, and
// every byte of each connection's first batch in a run and of a random sample after it.

import { connect, type Socket } from 'node:net'
import { Histogram } from './histogram.ts'
import type { Batch, Requests } from './requests.ts'

// A sampled batch every so many, on average.
const SAMPLE_EVERY = 500
const EXCERPT_BYTES = 120
const READ_BUFFER_BYTES = 256 * 1024
const LF = 10

const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)

// What the connections of one run share.
export class Run {
  readonly histogram = new Histogram()
  readonly deadlineMs: number
  readonly onIdle: () => void
  batchCount = 0
  sampleCount = 0
  activeCount = 0
  lastReplyMs = 0

  constructor(deadlineMs: number, onIdle: () => void) {
    this.deadlineMs = deadlineMs
    this.onIdle = onIdle
  }
}

export class Peer {
  readonly #socket: Socket
  readonly #requests: Requests
  readonly #random: () => number
  #run: Run | undefined
  #next: number
  #batch: Batch
  #startMs = 0
  #received = 0
  #untilSample = 0
  #sample: Buffer[] | undefined

  static async connect(port: number, requests: Requests, random: () => number): Promise<Peer> {
    const peer = new Peer(port, requests, random)
    await new Promise<void>((resolve, reject) => {
      peer.#socket.once('connect', resolve).once('error', reject)
    })
    peer.#socket.on('error', error => {
      throw error
    })
    peer.#socket.on('close', () => {
      throw new Error(`the server closed a connection ${peer.describe()}`)
    })
    return peer
  }

  private constructor(port: number, requests: Requests, random: () => number) {
    this.#requests = requests
    this.#random = random
    this.#next = Math.floor(random() * requests.batches.length)
    this.#batch = requests.batches[this.#next]
    const callback = (length: number): boolean => {
      this.#onBytes(length)
      return true
    }
    const onread = { buffer: readBuffer, callback }
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true, onread })
  }

  start(run: Run): void {
    this.#run = run
    this.#untilSample = 0
    run.activeCount += 1
    this.#send(performance.now())
  }

  // For a failure's message: how far the batch on the wire has come.
  describe(): string {
    if (this.#run === undefined) return 'between two runs'
    const got = this.#sample === undefined ? '' : `, ${excerpt(Buffer.concat(this.#sample))}`
    return (
      `after ${this.#received} of ${this.#batch.replyBytes} reply bytes` +
      `${got}; the requests were ${excerpt(this.#batch.bytes)}`
    )
  }

  get isWaiting(): boolean {
    return this.#run !== undefined
  }

  #send(nowMs: number): void {
    const { batches } = this.#requests
    this.#next = this.#next + 1 < batches.length ? this.#next + 1 : 0
    this.#batch = batches[this.#next]
    this.#received = 0
    this.#startMs = nowMs
    this.#untilSample -= 1
    if (this.#untilSample < 0) this.#sample = []
    this.#socket.write(this.#batch.bytes)
  }

  #onBytes(length: number): void {
    const run = this.#run
    if (run === undefined) throw new Error(`unasked: ${excerpt(readBuffer.subarray(0, length))}`)
    const { replyBytes, firstByte } = this.#batch
    if (this.#received === 0 && readBuffer[0] !== firstByte) this.#refuse(length)
    if (this.#sample !== undefined) this.#sample.push(Buffer.from(readBuffer.subarray(0, length)))
    this.#received += length
    if (this.#received < replyBytes) return
    if (this.#received > replyBytes || readBuffer[length - 1] !== LF) this.#refuse(length)
    if (this.#sample !== undefined) this.#checkSample(run, this.#sample)
    this.#complete(run)
  }

  #complete(run: Run): void {
    const nowMs = performance.now()
    run.histogram.record((nowMs - this.#startMs) * 1000)
    run.batchCount += 1
    if (nowMs < run.deadlineMs) {
      this.#send(nowMs)
      return
    }
    this.#run = undefined
    run.lastReplyMs = nowMs
    run.activeCount -= 1
    if (run.activeCount === 0) run.onIdle()
  }

  #checkSample(run: Run, parts: readonly Buffer[]): void {
    const got = Buffer.concat(parts)
    const wanted = this.#requests.replyTo(this.#next)
    if (!got.equals(wanted)) {
      let at = 0
      while (got[at] === wanted[at]) at += 1
      throw new Error(
        `wrong reply at byte ${at}: ${excerpt(got.subarray(at))}; ` +
          `expected ${excerpt(wanted.subarray(at))}`,
      )
    }
    this.#sample = undefined
    this.#untilSample = Math.floor(this.#random() * SAMPLE_EVERY * 2)
    run.sampleCount += 1
  }

  #refuse(length: number): never {
    throw new Error(
      `wrong reply: ${excerpt(readBuffer.subarray(0, length))} in a read of ${length} bytes, ` +
        this.describe(),
    )
  }
}

// Values are arbitrary bytes: what a terminal would not print is a dot.
export function excerpt(bytes: Buffer): string {
  const text = bytes.subarray(0, EXCERPT_BYTES).toString('latin1')
  const shown = `"${text.replaceAll('\r\n', '\\r\\n').replaceAll(/[^ -~]/g, '.')}"`
  return bytes.length > EXCERPT_BYTES ? `${shown}...` : shown
}
