// One connection to one server through memjs, which frames requests, logs in by SASL and matches
// answers with callers. It is used once: memjs does not recover from a restarted server or its own
// time-outs (it may wait forever, or end the process). So its timers never run, it repeats no
// request, and at the first error or missed deadline the memjs client is dropped with its socket.
//
// memjs's choice of servers is not used: each client has one server. Requests are framed here by
// memjs's helper, since its methods have no flags and no CAS, send prepend as append, and count in
// 32 bits.

import type { Socket } from 'node:net'
import { Client, type Response, Server, Utils } from 'memjs'
import { CacheError, type CacheErrorCode } from '../../doors/errors.ts'
import {
  addressText,
  type Credentials,
  keepAlive,
  prepared,
  type ServerAddress,
} from './connection.ts'
import type { Login } from './login.ts'
import { NO_ANSWER, type Pending, type PendingBounds, PendingLine } from './pending.ts'
import { Life } from './version.ts'

/** A request of the binary protocol. */
export interface Frame {
  opcode: number
  key: string
  extras: Buffer
  value: Buffer
  /** 0: any version. */
  cas: bigint
}

export interface LinkOptions extends PendingBounds {
  auth?: Credentials
}

const HEADER_BYTES = 24
const CAS_OFFSET = 16
const RESPONSE_MAGIC = 0x81
/** Seconds, so long that memjs's timers never fire; a timer's milliseconds have 31 bits. */
const NEVER_S = 2_000_000
/** memjs numbers its own requests from 1 up; ours are above, in 31 bits. */
const FIRST_OPAQUE = 0x8000_0000
const NOBODY = { log() {} }
/** memjs's messages of its own refusals and of the server's. */
const LOGIN_REFUSED = 'authentication failed'
const STATS_REFUSED = 'MemJS STATS '
/** Any key: a client of one server has no choice. */
const NO_KEY = ''

export class MemjsLink {
  private readonly name: string
  private readonly client: Client
  private readonly socket: Socket
  private readonly line: PendingLine<undefined>
  private readonly login: Login
  /** The server has not answered to user and password yet. */
  private isLoggingIn: boolean
  private readonly onEnd: () => void
  readonly life: Life
  private opaque = FIRST_OPAQUE
  private isCorked = false
  private ended: CacheError | undefined

  /** Begins to connect. `onEnd`: called once, when no more can be sent. */
  constructor(address: ServerAddress, options: LinkOptions, login: Login, onEnd: () => void) {
    this.name = addressText(address)
    this.onEnd = onEnd
    this.life = new Life(this.name, async timeoutMs => rowsOf(await this.stats('', timeoutMs)))
    this.isLoggingIn = options.auth !== undefined
    this.login = login
    this.line = new PendingLine(this.name, options, {
      giveUp: () => this.end('TIMEOUT', NO_ANSWER),
      wait: isWaiting => keepAlive(this.socket, isWaiting),
    })
    const server = serverOf(address, options.auth)
    this.client = new Client([server], { retries: 1, failover: false, logger: NOBODY })
    this.socket = prepared(this.open(server))
    this.socket.on('error', (error: Error) => this.end('CONNECTION', error.message))
    this.socket.on('close', () => this.end('CONNECTION', 'the server closed the connection'))
    this.socket.once('data', (part: Buffer) => {
      if (part[0] !== RESPONSE_MAGIC) this.end('PROTOCOL', 'what came is not the binary protocol')
    })
  }

  get waiting(): number {
    return this.line.count
  }

  /**
   * Sends a request. Resolves with its response; rejects at the deadline or if the connection ends.
   */
  request(frame: Frame, timeoutMs: number): Promise<Response> {
    const bytes = bytesOf(frame, this.opaque)
    return this.send(bytes.length, timeoutMs, answer => {
      const opaque = this.opaque
      this.opaque = opaque === 0xffff_ffff ? FIRST_OPAQUE : opaque + 1
      this.client.perform(NO_KEY, bytes, opaque, answer)
    })
  }

  stats(name: string, timeoutMs: number): Promise<Record<string, string> | null> {
    return this.send(HEADER_BYTES + name.length, timeoutMs, answer => {
      this.client.statsWithKey(name, (error, _, stats) => answer(error, stats))
    })
  }

  /** Ends it; what waits is told CLOSED. */
  close(): void {
    this.end('CLOSED', 'the client was closed')
  }

  private send<T>(
    bytes: number,
    timeoutMs: number,
    ask: (answer: (error: unknown, response: T) => void) => void,
  ): Promise<T> {
    const refusal = this.ended ?? this.line.refusal(bytes, timeoutMs)
    if (refusal !== undefined) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      let response: T
      const settle = { resolve: () => resolve(response), reject }
      const pending = this.line.enter(undefined, bytes, timeoutMs, settle)
      this.cork()
      ask((error, answer) => {
        response = answer
        if (error == null) this.finish(pending)
        else this.fail(pending, error)
      })
    })
  }

  private finish(pending: Pending<undefined>): void {
    if (pending.isDone || this.ended !== undefined) return
    if (this.isLoggingIn) this.login.accept()
    this.isLoggingIn = false
    if (this.line.leave(pending)) pending.resolve()
  }

  /** memjs rejects with texts or Errors of the connection, and with refusals of statistics. */
  private fail(pending: Pending<undefined>, error: unknown): void {
    if (pending.isDone || this.ended !== undefined) return
    const words = error instanceof Error ? error.message : String(error)
    if (words.startsWith(STATS_REFUSED)) {
      const refusal = new CacheError('SERVER', words.slice(STATS_REFUSED.length), {
        server: this.name,
      })
      if (this.line.leave(pending)) pending.reject(refusal)
    } else if (words.includes(LOGIN_REFUSED)) this.endBy(this.login.refuse())
    else this.end('CONNECTION', words)
  }

  /** Lets memjs connect, and gets its socket. */
  private open(server: Server): Socket {
    try {
      let socket: Socket | undefined
      server.sock(false, () => {})
      // After the log-in a second call gets the socket at once.
      server.sock(true, made => {
        socket = made
      })
      if (socket === undefined) throw new Error('memjs made no socket')
      return socket
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error)
      throw new CacheError('CONNECTION', words, { server: this.name })
    }
  }

  /** Requests of one turn of the event loop are sent in one write. */
  private cork(): void {
    if (this.isCorked) return
    this.isCorked = true
    this.socket.cork()
    process.nextTick(() => {
      this.isCorked = false
      this.socket.uncork()
    })
  }

  private end(code: CacheErrorCode, words: string): void {
    if (this.ended !== undefined) return
    const refusal = this.isLoggingIn && code !== 'CLOSED' ? this.login.unanswered() : undefined
    this.endBy(refusal ?? new CacheError(code, words, { server: this.name }))
  }

  private endBy(error: CacheError): void {
    this.ended = error
    // memjs's listeners assume that it still has this socket, and throw if it has none.
    this.socket.removeAllListeners()
    this.socket.on('error', () => {})
    this.socket.destroy()
    this.line.end(error)
    this.onEnd()
  }
}

export function rowsOf(stats: Record<string, string> | null): Map<string, string> {
  return new Map(Object.entries(stats ?? {}))
}

function serverOf({ host, port }: ServerAddress, auth: Credentials | undefined): Server {
  const times = { timeout: NEVER_S, conntimeout: NEVER_S }
  const server = new Server(host, port ?? 0, auth?.user, auth?.password, times)
  // Without a user memjs would use those of the environment.
  return Object.assign(server, { username: auth?.user, password: auth?.password })
}

function bytesOf({ opcode, key, extras, value, cas }: Frame, opaque: number): Buffer {
  const bytes = Utils.makeRequestBuffer(opcode, key, extras, value, opaque)
  if (cas !== 0n) bytes.writeBigUInt64BE(cas, CAS_OFFSET)
  return bytes
}
