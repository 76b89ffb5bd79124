// TLS of one thread as Node speaks it, where OpenSSL cannot be called directly (tls/handshakes.ts): takes
// connections through their handshakes, with the certificates that are the newest when it begins, and
// hands on those whose peers may come in. One that fails, or takes too long, is ended, counted, and told
// of with -v.
//
// Each way to look at peers has a tls.Server that listens nowhere; sockets are put into it, which it
// allows. Which slot a socket has goes along with it as the asynchronous context of its handshake.

import { AsyncLocalStorage } from 'node:async_hooks'
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { PeerCheck } from '../../options/options.ts'
import { Control, type Host, ThreadCounter } from '../../protocol/host.ts'
import { TLS_HANDSHAKE_MS_MAX, TLS_SESSION_S_MAX } from '../limits.ts'
import { reasonOf } from '../reason.ts'
import { Roster } from '../roster.ts'
import { type Certificates, contextOptions, type TlsSettings } from './certificates.ts'
import type { Keyring } from './keyring.ts'

interface Arrival {
  socket: Socket
  slot: number
  startedMs: number
}

/** A handshake is done: the connection may be served. */
export type OnSecure = (socket: TLSSocket, slot: number) => void

/** A session is good only where peers are looked at in the same way. */
function sessionsOf(check: PeerCheck) {
  return { sessionIdContext: `memslab-${check}` }
}

export class Handshakes {
  readonly isDirect = false
  private readonly settings: TlsSettings
  private readonly keyring: Keyring
  private readonly host: Host
  private readonly roster: Roster
  private readonly onSecure: OnSecure
  private readonly servers = new Map<PeerCheck, Server>()
  private readonly pending = new Set<Arrival>()
  private readonly context = new AsyncLocalStorage<Arrival>()
  /** What the keyring said last. */
  private options: ReturnType<Handshakes['optionsOf']> | undefined
  private version = -1

  constructor(
    settings: TlsSettings,
    keyring: Keyring,
    host: Host,
    roster: Roster,
    onSecure: OnSecure,
  ) {
    this.settings = settings
    this.keyring = keyring
    this.host = host
    this.roster = roster
    this.onSecure = onSecure
  }

  /** Begins the handshake of the connection in this slot. */
  begin(socket: Socket, slot: number, check: PeerCheck): void {
    this.renew()
    const arrival = { socket, slot, startedMs: performance.now() }
    this.pending.add(arrival)
    socket.allowHalfOpen = false
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.pending.delete(arrival)) this.roster.give(slot)
    })
    const server = this.serverFor(check)
    this.context.run(arrival, () => server.emit('connection', socket))
  }

  /** Ends handshakes that take too long. */
  sweep(): void {
    const oldestMs = performance.now() - TLS_HANDSHAKE_MS_MAX
    for (const arrival of this.pending) {
      // They stand in the order of their beginnings.
      if (arrival.startedMs > oldestMs) return
      this.refuse(arrival, 'the handshake takes too long')
    }
  }

  close(): void {
    for (const { socket } of this.pending) socket.destroy()
  }

  /** Takes on what stands in the keyring, if it is new. */
  private renew(): void {
    if (this.keyring.version === this.version) return
    const found = this.keyring.read()
    if (found === null) return
    this.version = found.version
    this.options = this.optionsOf(found.certificates)
    for (const [check, server] of this.servers) {
      server.setSecureContext({ ...this.options, ...sessionsOf(check) })
      server.setTicketKeys(this.options.ticketKeys)
    }
  }

  private serverFor(check: PeerCheck): Server {
    const known = this.servers.get(check)
    if (known !== undefined) return known
    const server = createServer({
      ...this.options,
      ...sessionsOf(check),
      requestCert: check !== 'none',
      // Not by the runtime: it would not say why.
      rejectUnauthorized: false,
      // See sweep, which a peer cannot put off.
      handshakeTimeout: 0,
    })
    server.on('secureConnection', socket => this.finish(socket, check))
    server.on('tlsCacheError', error => {
      const arrival = this.context.getStore()
      if (arrival !== undefined) this.refuse(arrival, reasonOfTls(error))
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
    const arrival = this.context.getStore()
    if (arrival === undefined || !this.pending.has(arrival)) {
      socket.destroy()
      return
    }
    const fault = faultOf(socket, check)
    if (fault !== null) return this.refuse(arrival, fault)
    const { counters } = this.host
    if (this.settings.sslSessionCache && !socket.isSessionReused()) {
      counters[ThreadCounter.TLS_SESSIONS]++
    }
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (code.startsWith('ERR_SSL')) counters[ThreadCounter.TLS_PROTOCOL_ERRORS]++
      // Node tells of what is no TLS, and leaves the rest to us.
      socket.destroy()
    })
    // From here on the connection decides when it ends its side.
    socket.allowHalfOpen = true
    this.pending.delete(arrival)
    this.onSecure(socket, arrival.slot)
  }

  private refuse({ socket, slot }: Arrival, reason: string): void {
    if (socket.destroyed) return
    const { host } = this
    host.counters[ThreadCounter.TLS_ERRORS]++
    if (host.control[Control.VERBOSITY] > 0) {
      const peer = this.roster.addressOf(Roster.idOf(slot))
      host.log(`<${Roster.idOf(slot)} TLS with ${peer} failed: ${reason}`)
    }
    socket.destroy()
  }
}

/** Why the peer may not come in, or null. */
function faultOf(socket: TLSSocket, check: PeerCheck): string | null {
  if (check === 'none' || socket.authorized) return null
  if (socket.getPeerX509Certificate() === undefined) {
    return check === 'require' ? 'the peer has no certificate' : null
  }
  return `the certificate of the peer is refused: ${socket.authorizationError}`
}

/** OpenSSL's own words where it has some; its messages go on over several lines. */
function reasonOfTls(error: Error & { reason?: string }): string {
  return error.reason ?? reasonOf(error)
}
