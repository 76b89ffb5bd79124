// The admin listener: HTTP for operators, beside the request path, in the main thread alone.
//
//   /               the page: what the daemon does now (page-files.ts), and its files below /page/
//   /events         what the page shows, once a second; /events/watch: lines of watchers
//   /api/...        what the page asks for and, with --admin-write, changes
//   /metrics        Prometheus text or OpenMetrics, as the client asks
//   /healthz        200 while the daemon can serve anybody
//   /readyz         200 once every worker takes connections; 503 while it starts, restores, closes
//
// What is in progress is bounded: requests beyond it get 503, connections beyond theirs are closed,
// and so is a peer that is slow to ask or to read.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { Credentials } from '../protocol/auth/credentials.ts'
import type { DaemonView } from './daemon-view.ts'
import { CHALLENGE, mayEnter } from './http/access.ts'
import { prepare, say, sayBusy, send } from './http/answer.ts'
import { CHANGE_HEADER, isOwnName, mayChange } from './http/origin.ts'
import {
  ADMIN_CONNECTIONS_MAX,
  ADMIN_HEADER_BYTES_MAX,
  ADMIN_IDLE_MS_MAX,
  ADMIN_REQUEST_MS_MAX,
  ADMIN_REQUESTS_MAX,
  ADMIN_SEND_MS_MAX,
} from './limits.ts'
import { Metrics } from './metrics/registry.ts'
import { type Asked, type Route, Routes } from './routes.ts'

export interface AdminOptions {
  /** A name or an address, and a port; 0 lets the system choose. */
  host: string
  port: number
  /** A socket that listens there already; undefined: none does. */
  descriptor: number | undefined
  /** Null: everybody may see it. */
  credentials: Credentials | null
  /** Null: without TLS. */
  tls: SecureContextOptions | null
  /** Metrics by slab class too. */
  slabMetrics: boolean
}

export class Admin {
  private readonly daemon: DaemonView
  private readonly options: AdminOptions
  readonly server: Server
  private closed: Promise<void> | undefined
  private readonly routes: Routes
  private inProgress = 0

  private constructor(options: AdminOptions, daemon: DaemonView) {
    this.daemon = daemon
    this.options = options
    this.routes = new Routes(daemon, new Metrics(daemon.host, daemon.main, options.slabMetrics))
    this.server = openServer(options.tls)
    this.server.maxConnections = ADMIN_CONNECTIONS_MAX
    this.server.setTimeout(ADMIN_SEND_MS_MAX)
    this.server.on('request', (request, response) => void this.serve(request, response))
    this.server.on('clientError', (_, socket) => socket.destroy())
  }

  /** Resolves once it listens. Rejects as a listener of Node does. */
  static async listen(options: AdminOptions, daemon: DaemonView): Promise<Admin> {
    const admin = new Admin(options, daemon)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    admin.server.once('error', reject)
    const { descriptor: fd, host, port } = options
    admin.server.listen(fd === undefined ? { host, port } : { fd }, resolve)
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
  close(): Promise<void> {
    this.routes.close()
    this.closed ??= new Promise<void>(resolve => this.server.close(() => resolve()))
    this.server.closeAllConnections()
    return this.closed
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
    prepare(response)
    const { path, query } = readUrl(request)
    const route = this.routes.find(path)
    if (!this.admits(request, response, route)) return
    if (route === undefined) return say(response, 404, 'There is no such page.')
    const answer = answerOf(route, request, response)
    if (answer === undefined) return
    if (route.isStream !== true) {
      if (this.inProgress >= ADMIN_REQUESTS_MAX) return sayBusy(response, 'Too many requests.')
      this.inProgress++
      response.once('close', () => this.inProgress--)
    }
    try {
      await answer({ request, response, query })
    } catch (error) {
      const reason = error instanceof Error ? error.message : error
      this.daemon.host.log(`admin: ${path} failed: ${reason}`)
      if (response.headersSent) response.destroy()
      else say(response, 500, 'This failed; the log says why.')
    }
  }

  /** Access control: false once the request has been refused. */
  private admits(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route | undefined,
  ): boolean {
    const { credentials, host } = this.options
    // Probes of an orchestrator have no password, and their paths tell nothing that needs one.
    if (route?.for === 'probes') return true
    if (!mayEnter(request, credentials)) {
      response.setHeader('WWW-Authenticate', CHALLENGE)
      say(response, 401, 'Log in to see this.')
      return false
    }
    if (route?.for !== 'page' || credentials !== null || isOwnName(request, host)) return true
    say(response, 421, 'Ask by address, or start with --admin-auth: anybody can have this name.')
    return false
  }
}

/** What answers this request; undefined once it has been refused, or its headers were enough. */
function answerOf(
  { answers, isStream }: Route,
  request: IncomingMessage,
  response: ServerResponse,
): ((asked: Asked) => Promise<void> | void) | undefined {
  const { method = '' } = request
  if (method === 'HEAD' && isStream) {
    send(response, 200, 'text/event-stream', '')
    return undefined
  }
  const answer = answers[(method === 'HEAD' ? 'GET' : method) as keyof typeof answers]
  if (answer === undefined) {
    const allowed = Object.keys(answers).flatMap(name => (name === 'GET' ? [name, 'HEAD'] : [name]))
    response.setHeader('Allow', allowed.join(', '))
    say(response, 405, allowed.length === 0 ? 'Only with --admin-write.' : 'Not by this method.')
    return undefined
  }
  if (method === 'GET' || method === 'HEAD' || mayChange(request)) return answer
  say(response, 403, `Changes need the header ${CHANGE_HEADER}, and come from no other page.`)
  return undefined
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

function readUrl({ url = '/' }: IncomingMessage): { path: string; query: Map<string, string> } {
  const [path = '/', text = ''] = url.split('?', 2)
  const query = new Map<string, string>()
  for (const pair of text.split('&')) {
    const [name = '', value = ''] = pair.split('=', 2)
    query.set(name, value)
  }
  return { path, query }
}
