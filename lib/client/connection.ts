// One connection to one server: requests go out in the order of calls, those of one turn of the event
// loop in one write; replies come back in that order. Lives once: when it ends, all that waited on
// it is told why, and whoever owns it makes another.

import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls'
import { CLIENT_AUTH_MS_MAX, CLIENT_PENDING_MAX } from '../limits.ts'
import { ClientError } from './errors.ts'
import { type Reply, ReplyReader } from './meta.ts'

/** Where a server listens: a name or address with a port, or the path of a UNIX socket. */
export interface ServerAddress {
  host: string
  port?: number
}

export interface ConnectionOptions {
  /** Speak TLS, with these options of node:tls (ca, cert, key, servername ..). */
  tls?: TlsOptions
  /** For a server with -Y. */
  auth?: { user: string; password: string }
}

/** A request on its way. */
interface Pending {
  /** Gets each reply; whether that was the last. */
  take(reply: Reply): boolean
  resolve(): void
  reject(error: Error): void
  startedMs: number
  deadlineMs: number
  /** The caller was told already; the reply is still to come, and its time began anew. */
  isAbandoned: boolean
}

const NO_ANSWER = 'no answer in time'

export class Connection {
  private readonly socket: Socket
  private readonly name: string
  private readonly reader = new ReplyReader()
  /** First in, first out; what is before `first` is done with. */
  private waiting: Pending[] = []
  private first = 0
  private timer: NodeJS.Timeout | undefined
  private timerAtMs = Number.POSITIVE_INFINITY
  /** When the last request was answered to its end. */
  private lastDoneMs = 0
  private isCorked = false
  private ended: ClientError | undefined
  private readonly onEnd: (error: ClientError) => void

  /** Begins to connect. `onEnd`: called once, when no more can be sent. */
  constructor(
    address: ServerAddress,
    options: ConnectionOptions,
    onEnd: (error: ClientError) => void,
  ) {
    this.name = addressText(address)
    this.onEnd = onEnd
    this.socket = this.open(address, options.tls)
    this.socket.setNoDelay(true)
    this.socket.on('data', (part: Buffer) => this.read(part))
    this.socket.on('error', error => this.end('CONNECTION', error.message))
    this.socket.on('close', () => this.end('CONNECTION', 'the server closed the connection'))
    if (options.auth !== undefined) this.authenticate(options.auth)
  }

  /** Sends a request; settles when `take` says that the last reply came, or at the deadline. */
  request(bytes: readonly Buffer[], take: Pending['take'], timeoutMs: number): Promise<void> {
    if (this.ended !== undefined) return Promise.reject(this.ended)
    if (this.waiting.length - this.first >= CLIENT_PENDING_MAX) {
      const words = `${CLIENT_PENDING_MAX} requests wait already`
      return Promise.reject(new ClientError('BUSY', words, this.name))
    }
    return new Promise((resolve, reject) => {
      const startedMs = performance.now()
      const deadlineMs = startedMs + timeoutMs
      this.waiting.push({ take, resolve, reject, startedMs, deadlineMs, isAbandoned: false })
      this.checkAt(deadlineMs)
      this.cork()
      for (const part of bytes) this.socket.write(part)
    })
  }

  /** Ends it; what waits is told CLOSED. */
  close(): void {
    this.end('CLOSED', 'the client was closed')
  }

  private open(address: ServerAddress, tls: TlsOptions | undefined): Socket {
    try {
      return open(address, tls)
    } catch (error) {
      throw new ClientError('CONNECTION', wordsOf(error), this.name)
    }
  }

  private authenticate({ user, password }: { user: string; password: string }): void {
    const words = Buffer.from(`${user} ${password}`)
    const request = [Buffer.from(`set auth 0 0 ${words.length}\r\n`), words, Buffer.from('\r\n')]
    const take = ({ word }: Reply) => {
      if (word !== 'STORED') this.end('AUTH', 'user and password were refused')
      return true
    }
    this.request(request, take, CLIENT_AUTH_MS_MAX).catch(() => {})
  }

  /** What is asked for in one turn of the event loop goes out in one write. */
  private cork(): void {
    if (this.isCorked) return
    this.isCorked = true
    this.socket.cork()
    process.nextTick(() => {
      this.isCorked = false
      this.socket.uncork()
    })
  }

  private read(part: Buffer): void {
    try {
      this.reader.read(part, reply => this.give(reply))
    } catch (error) {
      this.end('PROTOCOL', wordsOf(error))
    }
  }

  private give(reply: Reply): void {
    const pending = this.waiting[this.first]
    if (pending === undefined) throw new Error(`a reply nobody asked for: ${reply.word}`)
    if (!pending.take(reply) || this.ended !== undefined) return
    this.first++
    this.lastDoneMs = performance.now()
    if (!pending.isAbandoned) pending.resolve()
    if (this.first * 2 < this.waiting.length) return
    this.waiting = this.waiting.slice(this.first)
    this.first = 0
  }

  /** Looks at the deadlines then, unless it does so sooner. */
  private checkAt(atMs: number): void {
    if (atMs >= this.timerAtMs) return
    clearTimeout(this.timer)
    this.timerAtMs = atMs
    this.timer = setTimeout(() => this.checkDeadlines(), Math.max(1, atMs - performance.now()))
  }

  /**
   * Tells those whose time is over. A server that answered nobody meanwhile is given up, whatever it
   * sends; where it did, it has as much time again for the replies that nobody waits for any more.
   */
  private checkDeadlines(): void {
    this.timerAtMs = Number.POSITIVE_INFINITY
    const nowMs = performance.now()
    let nextMs = Number.POSITIVE_INFINITY
    for (let i = this.first; i < this.waiting.length; i++) {
      const pending = this.waiting[i]
      if (pending.deadlineMs <= nowMs) {
        if (this.lastDoneMs <= pending.startedMs) return this.end('TIMEOUT', NO_ANSWER)
        if (!pending.isAbandoned) pending.reject(new ClientError('TIMEOUT', NO_ANSWER, this.name))
        pending.isAbandoned = true
        pending.deadlineMs += nowMs - pending.startedMs
        pending.startedMs = nowMs
      }
      nextMs = Math.min(nextMs, pending.deadlineMs)
    }
    this.checkAt(nextMs)
  }

  private end(code: ClientError['code'], words: string): void {
    if (this.ended !== undefined) return
    const error = new ClientError(code, words, this.name)
    this.ended = error
    clearTimeout(this.timer)
    this.socket.destroy()
    const waiting = this.waiting.slice(this.first)
    this.waiting = []
    this.first = 0
    for (const pending of waiting) if (!pending.isAbandoned) pending.reject(error)
    this.onEnd(error)
  }
}

/** `host:port`, IPv6 in brackets, or the path. */
export function addressText({ host, port }: ServerAddress): string {
  if (port === undefined) return host
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function open({ host, port }: ServerAddress, tls: TlsOptions | undefined): Socket {
  if (port === undefined) return connect({ path: host })
  if (tls === undefined) return connect({ host, port })
  // An address is no server name; the certificate must be for it all the same.
  const named = isIP(host) === 0 ? { servername: host } : {}
  return connectTls({ host, port, ...named, ...tls })
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
