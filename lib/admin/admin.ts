// The admin listener: HTTP for operators, beside the request path, in the main thread alone.
//
//   /metrics    Prometheus text or OpenMetrics, as the client asks
//   /healthz    200 while the daemon can serve anybody
//   /readyz     200 once every worker takes connections, 503 while it starts or closes
//
// Only GET and HEAD are answered. What is in progress is bounded: beyond it 503, and connections
// beyond their bound wait. A peer that is slow to ask or to read is closed.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Credentials } from '../protocol/auth/credentials.ts'
import type { Host } from '../protocol/host.ts'
import { CHALLENGE, mayEnter } from './access.ts'
import {
  ADMIN_CONNECTIONS_MAX,
  ADMIN_HEADER_BYTES_MAX,
  ADMIN_IDLE_MS_MAX,
  ADMIN_REQUEST_MS_MAX,
  ADMIN_REQUESTS_MAX,
  ADMIN_SEND_MS_MAX,
} from './limits.ts'
import type { MainFacts } from './metrics/facts.ts'
import { formatOf, Metrics } from './metrics/registry.ts'

export interface AdminOptions {
  /** A name or an address, and a port; 0 lets the system choose. */
  host: string
  port: number
  /** Null: everybody may see it. */
  credentials: Credentials | null
  /** Null: without TLS. */
  tls: SecureContextOptions | null
  /** Metrics by slab class too. */
  slabMetrics: boolean
}

/** What the listener is told of the daemon. */
export interface Watched {
  host: Host
  main: MainFacts
  /** Whether the daemon is closing. */
  isClosing(): boolean
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

const TEXT = 'text/plain; charset=utf-8'
/** Every answer is about now, is only text or ours, and is shown in no other page. */
const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
}

export class Admin {
  private readonly watched: Watched
  private readonly credentials: Credentials | null
  private readonly metrics: Metrics
  private readonly server: Server
  private readonly answers: ReadonlyMap<string, Answer>
  private inProgress = 0

  private constructor(options: AdminOptions, watched: Watched) {
    this.watched = watched
    this.credentials = options.credentials
    this.metrics = new Metrics(watched.host, watched.main, options.slabMetrics)
    this.answers = new Map<string, Answer>([
      ['/metrics', (request, response) => this.tellMetrics(request, response)],
      ['/healthz', (_, response) => this.tellHealth(response)],
      ['/readyz', (_, response) => this.tellReady(response)],
    ])
    this.server = openServer(options.tls)
    this.server.maxConnections = ADMIN_CONNECTIONS_MAX
    this.server.setTimeout(ADMIN_SEND_MS_MAX)
    this.server.on('request', (request, response) => void this.serve(request, response))
    this.server.on('clientError', (_, socket) => socket.destroy())
  }

  /** Resolves once it listens. Rejects as a listener of Node does. */
  static async listen(options: AdminOptions, watched: Watched): Promise<Admin> {
    const admin = new Admin(options, watched)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    admin.server.once('error', reject)
    admin.server.listen(options.port, options.host, resolve)
    await promise
    admin.server.off('error', reject)
    // A failed accept costs its connection, not the daemon.
    admin.server.on('error', () => {})
    return admin
  }

  get address(): AddressInfo {
    return this.server.address() as AddressInfo
  }

  /** Stops listening and closes all connections. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.server.close(() => resolve())
    this.server.closeAllConnections()
    await promise
  }

  /** Takes other certificates for new connections. */
  renew(tls: SecureContextOptions): void {
    if ('setSecureContext' in this.server) {
      ;(
        this.server as Server & { setSecureContext(o: SecureContextOptions): void }
      ).setSecureContext(tls)
    }
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    // A peer that goes meanwhile loses its answer.
    response.on('error', () => {})
    const path = pathOf(request)
    const answer = this.answers.get(path)
    if (!isOpenTo(path, request, this.credentials)) {
      response.setHeader('WWW-Authenticate', CHALLENGE)
      return say(response, 401, 'Log in to see this.')
    }
    if (answer === undefined) return say(response, 404, 'There is no such page.')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return say(response, 405, 'Only GET and HEAD are answered.')
    }
    if (this.inProgress >= ADMIN_REQUESTS_MAX) {
      response.setHeader('Retry-After', '1')
      return say(response, 503, 'Too many requests at once.')
    }
    this.inProgress++
    response.once('close', () => this.inProgress--)
    try {
      await answer(request, response)
    } catch (error) {
      this.watched.host.log(
        `admin: ${path} failed: ${error instanceof Error ? error.message : error}`,
      )
      if (response.headersSent) response.destroy()
      else say(response, 500, 'This failed; the log says why.')
    }
  }

  private async tellMetrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { contentType, text } = await this.metrics.scrape(formatOf(request.headers.accept))
    send(response, 200, contentType, text)
  }

  private tellHealth(response: ServerResponse): void {
    if (this.watched.main.workersReady() > 0) say(response, 200, 'ok')
    else say(response, 503, 'No worker takes connections.')
  }

  private tellReady(response: ServerResponse): void {
    const { host, main, isClosing } = this.watched
    const ready = main.workersReady()
    const { threads } = host.facts
    if (isClosing()) say(response, 503, 'Closing.')
    else if (ready < threads) say(response, 503, `${ready} of ${threads} workers are ready.`)
    else say(response, 200, 'ok')
  }
}

function openServer(tls: SecureContextOptions | null): Server {
  const bounds = {
    maxHeaderSize: ADMIN_HEADER_BYTES_MAX,
    headersTimeout: ADMIN_REQUEST_MS_MAX,
    requestTimeout: ADMIN_REQUEST_MS_MAX,
    keepAliveTimeout: ADMIN_IDLE_MS_MAX,
    connectionsCheckingInterval: ADMIN_REQUEST_MS_MAX / 2,
  }
  if (tls === null) return createServer(bounds)
  return createTlsServer({ ...bounds, ...tls, handshakeTimeout: ADMIN_REQUEST_MS_MAX })
}

/** Probes of an orchestrator have no password, and these paths tell nothing that needs one. */
function isOpenTo(path: string, request: IncomingMessage, credentials: Credentials | null) {
  return path === '/healthz' || path === '/readyz' || mayEnter(request, credentials)
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

function say(response: ServerResponse, status: number, text: string): void {
  send(response, status, TEXT, `${text}\n`)
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  const body = Buffer.from(text)
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': body.length })
  // Node sends no body for HEAD.
  response.end(body)
}
