// The engine that uses Node's TLS, where OpenSSL cannot or must not be called directly.
//
// Each way to check clients has a tls.Server that does not listen: sockets are passed to it by its
// 'connection' event. The peer is the asynchronous context of its handshake.

import { AsyncLocalStorage } from 'node:async_hooks'
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { PeerCheck } from '../../options/options.ts'
import { TLS_SESSION_S_MAX } from '../limits.ts'
import { reasonOf } from '../system/reason.ts'
import { type Certificates, contextOptions, type TlsSettings } from './certificates.ts'
import type { Arriving, Greeter, TlsEngine, TlsHall } from './engine.ts'

export class NodeEngine implements TlsEngine {
  readonly isDirect = false
  private readonly settings: TlsSettings
  private readonly hall: TlsHall
  private readonly greeter: Greeter
  private readonly servers = new Map<PeerCheck, Server>()
  private readonly context = new AsyncLocalStorage<NodePeer>()
  private options: ReturnType<NodeEngine['optionsOf']> | undefined

  constructor(settings: TlsSettings, hall: TlsHall, greeter: Greeter) {
    this.settings = settings
    this.hall = hall
    this.greeter = greeter
  }

  use(certificates: Certificates): void {
    const options = this.optionsOf(certificates)
    this.options = options
    for (const [check, server] of this.servers) {
      server.setSecureContext({ ...options, ...sessionsOf(check) })
      server.setTicketKeys(options.ticketKeys)
    }
  }

  begin(socket: Socket, check: PeerCheck): NodePeer {
    const peer = new NodePeer(socket)
    socket.allowHalfOpen = false
    socket.on('error', () => {})
    socket.on('close', () => this.greeter.gone(peer))
    const server = this.serverFor(check)
    this.context.run(peer, () => server.emit('connection', socket))
    return peer
  }

  private serverFor(check: PeerCheck): Server {
    const known = this.servers.get(check)
    if (known !== undefined) return known
    const server = createServer({
      ...this.options,
      ...sessionsOf(check),
      requestCert: check !== 'none',
      // Node would refuse without a reason; `finish` has one.
      rejectUnauthorized: false,
      // A peer could postpone Node's time-out, but not that of handshakes.ts.
      handshakeTimeout: 0,
    })
    server.on('secureConnection', socket => this.finish(socket, check))
    server.on('tlsClientError', error => {
      const peer = this.context.getStore()
      if (peer !== undefined) this.greeter.refuse(peer, reasonOfTls(error))
    })
    this.servers.set(check, server)
    return server
  }

  private optionsOf(certificates: Certificates) {
    const { sslSessionCache } = this.settings
    return {
      ...contextOptions(this.settings, certificates),
      ticketKeys: Buffer.from(certificates.ticketKey, 'base64'),
      sessionTimeout: TLS_SESSION_S_MAX,
      secureOptions:
        constants.SSL_OP_NO_RENEGOTIATION | (sslSessionCache ? 0 : constants.SSL_OP_NO_TICKET),
    }
  }

  private finish(socket: TLSSocket, check: PeerCheck): void {
    const { greeter, hall } = this
    const peer = this.context.getStore()
    if (peer === undefined || peer.ended) {
      socket.destroy()
      return
    }
    const fault = faultOf(socket, check)
    if (fault !== null) return greeter.refuse(peer, fault)
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (code.startsWith('ERR_SSL')) greeter.blame()
      // Node reports input that is not TLS, but leaves the connection open.
      socket.destroy()
    })
    greeter.greet(
      peer,
      socket.isSessionReused(),
      owner => hall.openStream(socket, owner),
      () => (socket.authorized ? (socket.getPeerX509Certificate() ?? null) : null),
    )
  }
}

/** A connection whose handshake Node performs. */
class NodePeer implements Arriving {
  private readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
  }

  get ended(): boolean {
    return this.socket.destroyed
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** A session may be resumed only where clients are checked in the same way. */
function sessionsOf(check: PeerCheck) {
  return { sessionIdContext: `memslab-${check}` }
}

/** Why the peer is refused, or null. */
function faultOf(socket: TLSSocket, check: PeerCheck): string | null {
  if (check === 'none' || socket.authorized) return null
  if (socket.getPeerX509Certificate() === undefined) {
    return check === 'require' ? 'the peer has no certificate' : null
  }
  return `the certificate of the peer is refused: ${socket.authorizationError}`
}

/** OpenSSL's reason if there is one, because its messages have several lines. */
function reasonOfTls(error: Error & { reason?: string }): string {
  return error.reason ?? reasonOf(error)
}
