/**
 * A client that pipelines requests of one reply each. When its connection is closed it sends those
 * without a reply again on a new one. It counts what must not happen.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'

const CONNECTS_MAX = 5
const CRLF = Buffer.from('\r\n')

/** What went wrong, of all clients together. */
export interface Mishaps {
  refused: number
  /** Connections that were closed inside a reply. */
  torn: number
  /** Requests that had no reply on two connections in a row. */
  failed: number
  /** Connections that were closed between replies, which is allowed. */
  closed: number
}

export function noMishaps(): Mishaps {
  return { refused: 0, torn: 0, failed: 0, closed: 0 }
}

export class ReconnectingPeer {
  readonly mishaps: Mishaps
  private readonly open: () => Socket
  private readonly opened: string
  private socket: Socket | undefined
  private input = Buffer.alloc(0)

  /** `opened`: the event after which it may be written to. */
  constructor(open: () => Socket, mishaps: Mishaps, opened = 'connect') {
    this.open = open
    this.opened = opened
    this.mishaps = mishaps
  }

  /** The reply to each request: its line, or the value behind a line that begins with VA. */
  async ask(requests: readonly string[]): Promise<string[]> {
    const replies: string[] = []
    for (let tries = 0; tries < 2; tries++) {
      this.socket ??= await this.connect()
      this.socket?.write(requests.slice(replies.length).join(''))
      while (replies.length < requests.length) {
        const reply = await this.reply()
        if (reply === undefined) break
        replies.push(reply)
      }
      if (replies.length === requests.length) return replies
    }
    this.mishaps.failed++
    return replies
  }

  close(): void {
    this.socket?.destroy()
  }

  /** Undefined: it was refused again and again. */
  private async connect(): Promise<Socket | undefined> {
    for (let tries = 0; tries < CONNECTS_MAX; tries++) {
      const socket = this.open()
      socket.on('error', () => {})
      try {
        await once(socket, this.opened)
        this.input = Buffer.alloc(0)
        return socket
      } catch {
        this.mishaps.refused++
      }
    }
    return undefined
  }

  /** Undefined: the connection was closed. */
  private async reply(): Promise<string | undefined> {
    for (;;) {
      const end = this.input.indexOf(CRLF)
      const line = this.input.toString('latin1', 0, Math.max(end, 0))
      const valueBytes = line.startsWith('VA ') ? Number(line.split(' ')[1]) + CRLF.length : 0
      const length = end + CRLF.length + valueBytes
      if (end >= 0 && this.input.length >= length) {
        const text = this.input.toString('latin1', end + CRLF.length, length - CRLF.length)
        this.input = this.input.subarray(length)
        return valueBytes > 0 ? text : line
      }
      const { socket } = this
      const chunk = socket === undefined ? undefined : await nextChunk(socket)
      if (chunk === undefined) {
        if (this.input.length > 0) this.mishaps.torn++
        else this.mishaps.closed++
        socket?.destroy()
        this.socket = undefined
        return undefined
      }
      this.input = Buffer.concat([this.input, chunk])
    }
  }
}

/** Undefined: the peer closed its side, or the connection failed. */
function nextChunk(socket: Socket): Promise<Buffer | undefined> {
  const read = socket.read() as Buffer | null
  if (read !== null) return Promise.resolve(read)
  if (socket.destroyed || socket.readableEnded) return Promise.resolve(undefined)
  return new Promise(resolve => {
    const settle = () => {
      for (const event of ['readable', 'end', 'close']) socket.off(event, settle)
      resolve(nextChunk(socket))
    }
    for (const event of ['readable', 'end', 'close']) socket.once(event, settle)
  })
}
