/**
 * A raw TCP client for tests: sends bytes unchanged, in one piece or cut, and collects replies
 * until an expected end, silence, or the server's close. A reset counts as a close.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOST } from './process.ts'

export type ReadEnd = 'found' | 'closed' | 'quiet'

const TAIL_BYTES = 128
const LATE_MS_MAX = 5000
const CHECK_MS = 20

export class Wire {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #tail: Buffer = Buffer.alloc(0)
  #closed = false
  #wake = () => {}

  static async connect(port: number): Promise<Wire> {
    const socket = connect({ port, host: HOST, noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    return new Wire(socket)
  }

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#collect(chunk))
    socket.on('end', () => this.#markClosed())
    socket.on('close', () => this.#markClosed())
    socket.on('error', () => this.#markClosed())
  }

  /** True once the other side closed the connection. */
  get closed(): boolean {
    return this.#closed
  }

  send(bytes: Uint8Array): void {
    if (!this.#closed) this.#socket.write(bytes)
  }

  /** Sends [0, cut) [cut, next) ... each in its own write, with a pause in between. */
  async sendCut(bytes: Buffer, cuts: readonly number[], pauseMs = 1): Promise<void> {
    let start = 0
    for (const cut of [...cuts, bytes.length]) {
      if (cut <= start) continue
      this.send(bytes.subarray(start, cut))
      start = cut
      if (start < bytes.length) await sleep(pauseMs)
    }
  }

  /** Waits for replies that end with `ending`; gives up after quietMs without a byte. */
  async readUntil(ending: Buffer, quietMs: number): Promise<ReadEnd> {
    while (!this.#endsWith(ending)) {
      if (this.#closed) return 'closed'
      if (!(await this.#more(quietMs))) return 'quiet'
    }
    return 'found'
  }

  async readUntilQuiet(quietMs: number): Promise<ReadEnd> {
    while (!this.#closed) {
      if (!(await this.#more(quietMs))) return 'quiet'
    }
    return 'closed'
  }

  /**
   * The same, and goes on until the fact is true too, for some seconds at most: on a busy machine a
   * reply may be late.
   */
  async readUntilQuietAnd(fact: () => boolean, quietMs: number): Promise<ReadEnd> {
    const deadline = performance.now() + LATE_MS_MAX
    let end = await this.readUntilQuiet(quietMs)
    while (end === 'quiet' && !fact() && performance.now() < deadline) {
      end = await this.readUntilQuiet(CHECK_MS)
    }
    return end
  }

  /** All that was read so far, which stays. */
  peek(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  /** Returns everything read so far and forgets it. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#tail = Buffer.alloc(0)
    return bytes
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Lets the process exit while it is open. */
  unref(): void {
    this.#socket.unref()
  }

  #collect(chunk: Buffer): void {
    this.#chunks.push(chunk)
    const tail = chunk.length < TAIL_BYTES ? Buffer.concat([this.#tail, chunk]) : chunk
    this.#tail = tail.subarray(-TAIL_BYTES)
    this.#wake()
  }

  #markClosed(): void {
    this.#closed = true
    this.#wake()
  }

  #endsWith(ending: Buffer): boolean {
    return ending.length > 0 && this.#tail.subarray(-ending.length).equals(ending)
  }

  /** Resolves with true at the next event, with false after quietMs without one. */
  #more(quietMs: number): Promise<boolean> {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#settle(resolve, false), quietMs)
      this.#wake = () => {
        clearTimeout(timer)
        this.#settle(resolve, true)
      }
    })
  }

  #settle(resolve: (more: boolean) => void, more: boolean): void {
    this.#wake = () => {}
    resolve(more)
  }
}
