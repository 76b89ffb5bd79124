// One server, memslab or memcached, asked for its reports of `stats` over the text protocol. The
// connection stays open between two questions and is opened again after a failure.

import { connect, type Socket } from 'node:net'
import { connect as connectSecure } from 'node:tls'
import { MIB } from '../../bytes/units.ts'
import type { RingNode } from '../../client/ring/ring.ts'

/** How long an answer may take, and how long it may be. */
const ANSWER_MS_MAX = 3000
const ANSWER_BYTES_MAX = 8 * MIB

/** How to reach servers. */
export interface Access {
  /** `user:password` for text connections that have to log in; undefined: they need not. */
  login: string | undefined
  /** TLS, with this authority in PEM; an empty text: the system's authorities. Undefined: plain. */
  ca: string | undefined
}

/** Rows of one report, by their names. */
export type Report = ReadonlyMap<string, string>

const CRLF = '\r\n'
/** Ends a report: its end mark, or that there is none. */
const LAST = /^(?:END|ERROR|CLIENT_ERROR .*|SERVER_ERROR .*)$/

export class StatsLink {
  private readonly server: RingNode
  private readonly access: Access
  private socket: Socket | null = null

  constructor(server: RingNode, access: Access) {
    this.server = server
    this.access = access
  }

  /**
   * The reports of these names, in order; one that the server does not have is empty. Rejects with
   * an Error of one line.
   */
  async ask(names: readonly string[]): Promise<Report[]> {
    try {
      this.socket ??= await openSocket(this.server, this.access)
      const request = names.map(name => `stats${name === '' ? '' : ' '}${name}${CRLF}`).join('')
      return readReports(await talk(this.socket, request, names.length))
    } catch (error) {
      this.close()
      throw error
    }
  }

  close(): void {
    this.socket?.destroy()
    this.socket = null
  }
}

/** A connection that is logged in. Rejects with an Error of one line. */
export async function openSocket(server: RingNode, access: Access): Promise<Socket> {
  const socket = await connected(server, access)
  const { login } = access
  if (login === undefined) return socket
  const claim = login.replace(':', ' ')
  const answer = await talk(
    socket,
    `set auth 0 0 ${Buffer.byteLength(claim)}${CRLF}${claim}${CRLF}`,
    1,
    /^(?:STORED|CLIENT_ERROR .*|ERROR)$/,
  )
  if (answer.at(-1) === 'STORED') return socket
  socket.destroy()
  throw new Error('the login is wrong')
}

function connected({ host, port = 0 }: RingNode, { ca }: Access): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const where = host.startsWith('/') ? { path: host } : { host, port }
  const secure = { ...where, servername: host, ...(ca === '' ? {} : { ca }) }
  const socket = ca === undefined ? connect(where) : connectSecure(secure)
  const timer = setTimeout(() => fail(new Error('no connection in time')), ANSWER_MS_MAX)
  const fail = (error: Error) => {
    clearTimeout(timer)
    socket.destroy()
    reject(error)
  }
  socket.once('error', fail)
  socket.once(ca === undefined ? 'connect' : 'secureConnect', () => {
    clearTimeout(timer)
    socket.off('error', fail)
    // A server that closes while nobody asks is noticed by the next question.
    socket.on('error', () => {})
    resolve(socket)
  })
  return promise
}

/** Sends a request. Resolves with the lines of `count` replies. */
function talk(socket: Socket, request: string, count: number, last = LAST): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string[]>()
  const lines: string[] = []
  let rest = ''
  let bytes = 0
  let left = count
  const settle = (outcome: () => void) => {
    clearTimeout(timer)
    socket.off('data', take).off('close', closed)
    outcome()
  }
  const fail = (line: string) => settle(() => reject(new Error(line)))
  const take = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) return fail('its answer is too long')
    const parts = (rest + chunk.toString('latin1')).split(CRLF)
    rest = parts.pop() ?? ''
    for (const line of parts) {
      if (line.startsWith('ERROR ')) return fail(line)
      lines.push(line)
      if (last.test(line)) left--
    }
    if (left <= 0) settle(() => resolve(lines))
  }
  const closed = () => fail('it closed the connection')
  const timer = setTimeout(() => fail('no answer in time'), ANSWER_MS_MAX)
  socket.on('data', take).on('close', closed)
  if (socket.destroyed) closed()
  else socket.write(request)
  return promise
}

function readReports(lines: readonly string[]): Report[] {
  const reports: Map<string, string>[] = []
  let report = new Map<string, string>()
  for (const line of lines) {
    const [, name, value = ''] = /^STAT (\S+) ?(.*)$/.exec(line) ?? []
    if (name !== undefined) report.set(name, value)
    if (!LAST.test(line)) continue
    reports.push(report)
    report = new Map()
  }
  return reports
}
