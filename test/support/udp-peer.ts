/**
 * A UDP client for tests: sends datagrams unchanged, or requests with a header, and collects
 * replies. On loopback UDP loses datagrams only when buffers are full.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOST, type Owner } from './process.ts'

export const HEADER_BYTES = 8
const RECEIVE_BYTES = 4 * 2 ** 20
const POLL_MS = 5
/** A reply may be this late on a busy machine. */
const LATE_MS = 10_000

export interface Header {
  id: number
  sequence: number
  total: number
  reserved?: number
}

export class UdpPeer {
  readonly #socket: Socket
  readonly #port: number
  #received: Buffer[] = []

  static async open(owner: Owner, port: number, host = HOST): Promise<UdpPeer> {
    const type = host.includes(':') ? 'udp6' : 'udp4'
    const socket = createSocket({ type, recvBufferSize: RECEIVE_BYTES })
    socket.bind(0, host)
    await once(socket, 'listening')
    socket.connect(port, host)
    await once(socket, 'connect')
    owner.teardown(() => socket.close())
    return new UdpPeer(socket, port)
  }

  constructor(socket: Socket, port: number) {
    this.#socket = socket
    this.#port = port
    socket.on('message', datagram => this.#received.push(datagram))
    socket.on('error', () => {})
  }

  get port(): number {
    return this.#port
  }

  send(datagram: Buffer): void {
    this.#socket.send(datagram)
  }

  /**
   * Sends a request in one datagram. Returns what was received once its messages are complete and
   * nothing came for quietMs; where nothing or only a part comes, after lateMs of silence.
   */
  async ask(request: string | Buffer, id = 1, quietMs = 60, lateMs = LATE_MS): Promise<Buffer[]> {
    return this.exchange([datagramOf({ id, sequence: 0, total: 1 }, request)], quietMs, lateMs)
  }

  async exchange(datagrams: Buffer[], quietMs = 60, lateMs = LATE_MS): Promise<Buffer[]> {
    this.#received = []
    for (const datagram of datagrams) this.send(datagram)
    let count = 0
    let quiet = 0
    while (quiet < (this.#isComplete() ? quietMs : Math.max(quietMs, lateMs))) {
      await sleep(POLL_MS)
      quiet = this.#received.length === count ? quiet + POLL_MS : 0
      count = this.#received.length
    }
    return this.#received
  }

  /** Whether something was received, and of each message as many datagrams as their headers say. */
  #isComplete(): boolean {
    const left = new Map<number, number>()
    for (const { id, total } of this.#received.map(headerOf)) {
      left.set(id, (left.get(id) ?? total) - 1)
    }
    return left.size > 0 && [...left.values()].every(count => count <= 0)
  }

  /** The text of a one-message reply; throws if its datagrams are numbered wrongly. */
  async askText(request: string, id = 1): Promise<string> {
    const datagrams = await this.ask(request, id)
    for (const [index, datagram] of datagrams.entries()) {
      const { id: given, sequence, total } = headerOf(datagram)
      if (given !== id || sequence !== index || total !== datagrams.length) {
        throw new Error(`${given} ${sequence} of ${total}, wanted ${id} ${index}`)
      }
    }
    return bodyOf(datagrams).toString('latin1')
  }
}

export function datagramOf({ id, sequence, total, reserved = 0 }: Header, body: string | Buffer) {
  const header = Buffer.alloc(HEADER_BYTES)
  for (const [index, value] of [id, sequence, total, reserved].entries()) {
    header.writeUInt16BE(value, index * 2)
  }
  return Buffer.concat([header, Buffer.from(body as string, 'latin1')])
}

export function headerOf(datagram: Buffer): Required<Header> {
  const [id = 0, sequence = 0, total = 0, reserved = 0] = [0, 2, 4, 6].map(at =>
    datagram.readUInt16BE(at),
  )
  return { id, sequence, total, reserved }
}

/** The contents of datagrams, in order. */
export function bodyOf(datagrams: Buffer[]): Buffer {
  return Buffer.concat(datagrams.map(datagram => datagram.subarray(HEADER_BYTES)))
}
