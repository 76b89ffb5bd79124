// One connection to one server. Requests are sent in the order of calls, those of one turn of the
// event loop in one write, and replies come in that order. It is used once: when it ends, all
// pending requests get the reason, and its owner opens another.

import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls'
import { checkOptions, countOption, refuse } from '../../doors/arguments.ts'
import { CacheError, type CacheErrorCode } from '../../doors/errors.ts'
import { CLIENT_AUTH_MS_MAX, CLIENT_CONNECTIONS_MAX, CLIENT_KEEP_ALIVE_MS } from '../limits.ts'
import type { Login } from './login.ts'
import { type Reply, ReplyReader } from './meta.ts'
import { Outbox, type Part } from './outbox.ts'
import { NO_ANSWER, type PendingBounds, PendingLine } from './pending.ts'
import { Life } from './version.ts'

/** Where a server listens: a name or address with a port, or the path of a UNIX socket. */
export interface ServerAddress {
  host: string
  port?: number
}

export interface Credentials {
  user: string
  password: string
}

export interface ConnectionOptions extends PendingBounds {
  /** Connections to each server, opened as they are needed. 1 to 16, default 1. */
  connections?: number | undefined
  /**
   * Speak TLS, with these options of node:tls (ca, cert, key, servername ..), also to a UNIX
   * socket, whose certificate is for `localhost` unless `servername` says otherwise.
   */
  tls?: TlsOptions
  /** For a server with -Y, or with -S through the driver memjs. */
  auth?: Credentials
}

const AUTH_NAMES = ['user', 'password']

/** CacheError ARGUMENT for what is no user with a password. */
export function checkAuth(auth: ConnectionOptions['auth']): void {
  if (auth === undefined) return
  checkOptions(auth, AUTH_NAMES)
  const { user, password } = auth
  if (typeof user !== 'string') refuse('auth.user', 'a string', typeof user)
  // Never print the value: it may contain the password.
  if (typeof password !== 'string') refuse('auth.password', 'a string', typeof password)
}

export function checkConnections(options: ConnectionOptions): void {
  countOption(options, 'connections', 1, [1, CLIENT_CONNECTIONS_MAX])
}

type Take = (reply: Reply) => boolean

export class Connection {
  private readonly socket: Socket
  private readonly name: string
  private readonly reader = new ReplyReader()
  private readonly line: PendingLine<Take>
  private readonly outbox: Outbox
  private ended: CacheError | undefined
  private readonly login: Login
  /** The server has not answered to user and password yet. */
  private isLoggingIn = false
  private readonly onEnd: () => void
  readonly life: Life

  /** Starts to connect. `onEnd` is called once, when nothing more can be sent. */
  constructor(address: ServerAddress, options: ConnectionOptions, login: Login, onEnd: () => void) {
    this.name = addressText(address)
    this.login = login
    this.onEnd = onEnd
    this.line = new PendingLine(this.name, options, {
      giveUp: () => this.end('TIMEOUT', NO_ANSWER),
      wait: isWaiting => keepAlive(this.socket, isWaiting),
    })
    this.socket = prepared(this.open(address, options.tls))
    this.outbox = new Outbox(this.socket)
    this.life = new Life(this.name, timeoutMs => this.stats('', timeoutMs))
    this.socket.on('data', (part: Buffer) => this.read(part))
    this.socket.on('error', error => this.end('CONNECTION', error.message))
    this.socket.on('close', () => this.end('CONNECTION', 'the server closed the connection'))
    if (options.auth !== undefined) this.authenticate(options.auth)
  }

  get waiting(): number {
    return this.line.count
  }

  /** Sends a request. Settles when `take` reports the last reply, or at the deadline. */
  request(parts: readonly Part[], take: Take, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => this.send(parts, take, timeoutMs, resolve, reject))
  }

  /**
   * Sends a request that has one reply, and makes of it what `read` returns. A CacheError of `read`
   * is the request's; any other error says that the reply is damaged, and ends the connection.
   */
  ask<T>(parts: readonly Part[], read: (reply: Reply) => T, timeoutMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      let answer: T
      let refusal: CacheError | undefined
      const take = (reply: Reply) => {
        try {
          answer = read(reply)
        } catch (error) {
          if (!(error instanceof CacheError)) throw error
          refusal = error
        }
        return true
      }
      const settle = () => (refusal === undefined ? resolve(answer) : reject(refusal))
      this.send(parts, take, timeoutMs, settle, reject)
    })
  }

  /** The rows of `stats NAME`. CacheError SERVER for a refusal. */
  async stats(name: string, timeoutMs: number): Promise<Map<string, string>> {
    const rows = new Map<string, string>()
    let refusal: string | undefined
    const take = ({ word, tokens }: Reply) => {
      const [first = '', ...rest] = tokens
      const isListed = STATS_LISTED.has(word)
      if (isListed) rows.set(first, rest.join(' '))
      else if (!STATS_ENDS.has(word)) refusal = [word, ...tokens].join(' ')
      return !isListed
    }
    await this.request([`stats ${name}\r\n`], take, timeoutMs)
    if (refusal === undefined) return rows
    throw new CacheError('SERVER', refusal, { server: this.name })
  }

  /** Closes it; pending requests reject with CLOSED. */
  close(): void {
    this.end('CLOSED', 'the client was closed')
  }

  private open(address: ServerAddress, tls: TlsOptions | undefined): Socket {
    try {
      return openSocket(address, tls)
    } catch (error) {
      throw new CacheError('CONNECTION', wordsOf(error), { server: this.name })
    }
  }

  private authenticate({ user, password }: Credentials): void {
    const words = `${user} ${password}`
    const request = [`set auth 0 0 ${Buffer.byteLength(words)}\r\n${words}\r\n`]
    const take = ({ word }: Reply) => {
      this.isLoggingIn = false
      if (word === 'STORED') this.login.accept()
      else this.endBy(this.login.refuse())
      return true
    }
    this.isLoggingIn = true
    this.request(request, take, CLIENT_AUTH_MS_MAX).catch(() => {})
  }

  private send(
    parts: readonly Part[],
    take: Take,
    timeoutMs: number,
    resolve: () => void,
    reject: (error: Error) => void,
  ): void {
    let bytes = 0
    for (const part of parts) bytes += Buffer.byteLength(part)
    const refusal = this.ended ?? this.line.refusal(bytes, timeoutMs)
    if (refusal !== undefined) return reject(refusal)
    this.line.enter(take, bytes, timeoutMs, { resolve, reject })
    for (const part of parts) this.outbox.put(part, Buffer.byteLength(part))
  }

  private read(part: Buffer): void {
    try {
      this.reader.read(part, reply => this.give(reply))
    } catch (error) {
      this.end('PROTOCOL', wordsOf(error))
    }
  }

  private give(reply: Reply): void {
    if (isTurnedAway(reply)) return this.end('CONNECTION', 'too many open connections')
    const pending = this.line.head()
    if (pending === undefined) throw new Error(`a reply nobody asked for: ${reply.word}`)
    if (!pending.what(reply) || this.ended !== undefined) return
    if (this.line.leave(pending)) pending.resolve()
  }

  private end(code: CacheErrorCode, words: string): void {
    if (this.ended !== undefined) return
    const refusal = this.isLoggingIn && code !== 'CLOSED' ? this.login.unanswered() : undefined
    this.endBy(refusal ?? new CacheError(code, words, { server: this.name }))
  }

  private endBy(error: CacheError): void {
    this.ended = error
    this.socket.destroy()
    this.line.end(error)
    this.onEnd()
  }
}

/** First words of statistics rows: ITEM of `cachedump`, PREFIX of `detail dump`. */
const STATS_LISTED = new Set(['STAT', 'ITEM', 'PREFIX'])
const STATS_ENDS = new Set(['END', 'RESET', 'OK'])

/** What a server with too many connections says instead of serving this one. */
function isTurnedAway({ word, tokens }: Reply): boolean {
  return word === 'ERROR' && tokens.join(' ') === 'Too many open connections'
}

/**
 * A socket as pools need it: small requests are sent at once, the loss of a silent peer is noticed,
 * and the process may end while nothing is asked.
 */
export function prepared(socket: Socket): Socket {
  return socket.setNoDelay(true).setKeepAlive(true, CLIENT_KEEP_ALIVE_MS).unref()
}

/** Whether the process must live on for this socket. */
export function keepAlive(socket: Socket, isWaiting: boolean): void {
  if (isWaiting) socket.ref()
  else socket.unref()
}

/** `host:port`, IPv6 in brackets, or the path. */
export function addressText({ host, port }: ServerAddress): string {
  if (port === undefined) return host
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Begins to connect. */
export function openSocket({ host, port }: ServerAddress, tls: TlsOptions | undefined): Socket {
  const place = port === undefined ? { path: host } : { host, port }
  if (tls === undefined) return connect(place)
  // An address is not sent as the server name, but the certificate must be for it.
  const named = port !== undefined && isIP(host) === 0 ? { servername: host } : {}
  return connectTls({ ...place, ...named, ...tls })
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
