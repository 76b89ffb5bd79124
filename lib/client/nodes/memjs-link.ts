// One connection to one server through memjs, which frames requests, logs in by SASL and finds each
// answer's caller. Lives once: memjs does not get over a server that restarts or a time-out of its
// own (it may wait for ever, or end the process), so its timers never run, no request of its own is
// repeated, and with the first error or missed deadline the memjs client is dropped with its
// socket.
//
// Nothing of memjs's choice of servers is used: each client has one. Requests are framed here by
// memjs's own helper, since its methods know no flags and no CAS, send prepend as append, and count
// in 32 bits.

import type { Socket } from 'node:net'
import { Client, type Response, Server, Utils } from 'memjs'
import { CacheError, type CacheErrorCode } from '../../doors/errors.ts'
import { addressText, type Credentials, type ServerAddress } from './connection.ts'
import { NO_ANSWER, type Pending, type PendingBounds, PendingLine } from './pending.ts'

/** A request of the binary protocol. */
export interface Frame {
  opcode: number
  key: string
  extras: Buffer
  value: Buffer
  /** 0: whichever version there is. */
  cas: bigint
}

export interface LinkOptions extends PendingBounds {
  auth?: Credentials
}

const HEADER_BYTES = 24
const CAS_OFFSET = 16
const RESPONSE_MAGIC = 0x81
/** Seconds; memjs's own timers shall never run, and a timer's milliseconds are 31 bits. */
const NEVER_S = 2_000_000
/** memjs counts its own requests from 1 up, ours are numbered above: 31 bits of them. */
const FIRST_OPAQUE = 0x8000_0000
const NOBODY = { log() {} }
/** How memjs words what it refuses or was refused. */
const LOGIN_REFUSED = 'authentication failed'
const STATS_REFUSED = 'MemJS STATS '
/** For a client of one server the key decides nothing. */
const NO_KEY = ''

export class MemjsLink {
  private readonly name: string
  private readonly client: Client
  private readonly socket: Socket
  private readonly line: PendingLine<undefined>
  private readonly onEnd: () => void
  private opaque = FIRST_OPAQUE
  private isCorked = false
  private ended: CacheError | undefined

  /** Begins to connect. `onEnd`: called once, when no more can be sent. */
  constructor(address: ServerAddress, options: LinkOptions, onEnd: () => void) {
    this.name = addressText(address)
    this.onEnd = onEnd
    this.line = new PendingLine(this.name, options, () => this.end('TIMEOUT', NO_ANSWER))
    const server = serverOf(address, options.auth)
    this.client = new Client([server], { retries: 1, failover: false, logger: NOBODY })
    this.socket = this.open(server)
    this.socket.setNoDelay(true)
    this.socket.on('error', (error: Error) => this.end('CONNECTION', error.message))
    this.socket.on('close', () => this.end('CONNECTION', 'the server closed the connection'))
    this.socket.once('data', (part: Buffer) => {
      if (part[0] !== RESPONSE_MAGIC) this.end('PROTOCOL', 'what came is not the binary protocol')
    })
  }

  /** Sends a request; its response, or the error of the deadline or of the connection. */
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
    if (this.line.leave(pending)) pending.resolve()
  }

  /** memjs has errors of the connection, which are texts or Errors, and refusals of statistics. */
  private fail(pending: Pending<undefined>, error: unknown): void {
    if (pending.isDone || this.ended !== undefined) return
    const words = error instanceof Error ? error.message : String(error)
    if (words.startsWith(STATS_REFUSED)) {
      const refusal = new CacheError('SERVER', words.slice(STATS_REFUSED.length), {
        server: this.name,
      })
      if (this.line.leave(pending)) pending.reject(refusal)
    } else if (words.includes(LOGIN_REFUSED)) this.end('AUTH', 'user and password were refused')
    else this.end('CONNECTION', words)
  }

  /** Has memjs connect, and takes hold of the socket. */
  private open(server: Server): Socket {
    try {
      let socket: Socket | undefined
      server.sock(false, () => {})
      // A second call for the log-in gets the socket at once.
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

  private end(code: CacheErrorCode, words: string): void {
    if (this.ended !== undefined) return
    const error = new CacheError(code, words, { server: this.name })
    this.ended = error
    // memjs's listeners take the socket for one that it still has, and throw where it has none.
    this.socket.removeAllListeners()
    this.socket.on('error', () => {})
    this.socket.destroy()
    this.line.end(error)
    this.onEnd()
  }
}

function serverOf({ host, port }: ServerAddress, auth: Credentials | undefined): Server {
  const times = { timeout: NEVER_S, conntimeout: NEVER_S }
  const server = new Server(host, port ?? 0, auth?.user, auth?.password, times)
  // Without a user memjs would take those of the environment.
  return Object.assign(server, { username: auth?.user, password: auth?.password })
}

function bytesOf({ opcode, key, extras, value, cas }: Frame, opaque: number): Buffer {
  const bytes = Utils.makeRequestBuffer(opcode, key, extras, value, opaque)
  if (cas !== 0n) bytes.writeBigUInt64BE(cas, CAS_OFFSET)
  return bytes
}
