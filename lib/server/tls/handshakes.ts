// TLS of one thread, spoken by OpenSSL itself: as tls/node-handshakes.ts, which has Node speak it, takes
// connections through their handshakes, with the certificates that are the newest when it begins.

import type { Socket } from 'node:net'
import type { PeerCheck } from '../../options/options.ts'
import { Control, type Host, ThreadCounter } from '../../protocol/host.ts'
import { TLS_HANDSHAKE_MS_MAX } from '../limits.ts'
import type { Line, LineOwner } from '../line/line.ts'
import { Roster } from '../roster.ts'
import type { Certificates, TlsSettings } from './certificates.ts'
import { TlsContext } from './context.ts'
import type { Keyring } from './keyring.ts'
import { type Greeter, TlsBuffers, TlsLine } from './line.ts'
import { loadOpenSsl, type OpenSsl } from './openssl.ts'

/** What handshakes need of the thread that they are made in. */
export interface TlsHall {
  readonly host: Host
  readonly roster: Roster
  /** The line through an accepted socket, not reading yet. */
  openBelow(accepted: Socket, owner: LineOwner): Line
  /** Runs something after so many milliseconds. */
  later(work: () => void, pauseMs: number): void
  /** A handshake is done: who owns the line from now on. */
  welcome(line: Line, slot: number): LineOwner
}

interface Arrival {
  slot: number
  startedMs: number
}

export class TlsHandshakes implements Greeter {
  readonly isDirect = true
  private readonly openSsl: OpenSsl
  private readonly settings: TlsSettings
  private readonly keyring: Keyring
  private readonly hall: TlsHall
  private readonly buffers: TlsBuffers
  /** Made of the newest certificates. */
  private readonly contexts = new Map<PeerCheck, TlsContext>()
  private certificates: Certificates | undefined
  private version = -1
  private readonly pending = new Map<TlsLine, Arrival>()

  private constructor(buffers: TlsBuffers, settings: TlsSettings, keyring: Keyring, hall: TlsHall) {
    this.openSsl = buffers.openSsl
    this.settings = settings
    this.keyring = keyring
    this.hall = hall
    this.buffers = buffers
  }

  /** Null: this Node gives no way to its OpenSSL, or that does not take what Node takes. */
  static open(settings: TlsSettings, keyring: Keyring, hall: TlsHall): TlsHandshakes | null {
    const openSsl = loadOpenSsl()
    const buffers = openSsl && TlsBuffers.open(openSsl, hall.host.reply)
    if (!buffers) return null
    const made = new TlsHandshakes(buffers, settings, keyring, hall)
    try {
      made.renew()
      made.contextFor('none')
      return made
    } catch {
      return null
    }
  }

  /** Begins the handshake of the connection in this slot. */
  begin(socket: Socket, slot: number, check: PeerCheck): void {
    this.renew()
    const context = this.contextFor(check)
    const open = (owner: LineOwner) => this.hall.openBelow(socket, owner)
    const line = new TlsLine(this.buffers, context.open(), this, open)
    this.pending.set(line, { slot, startedMs: performance.now() })
    line.resume()
  }

  /** Ends handshakes that take too long. */
  sweep(): void {
    const oldestMs = performance.now() - TLS_HANDSHAKE_MS_MAX
    for (const [line, { startedMs }] of this.pending) {
      // They stand in the order of their beginnings.
      if (startedMs > oldestMs) return
      this.refuse(line, 'the handshake takes too long')
    }
  }

  close(): void {
    for (const line of this.pending.keys()) line.destroy()
  }

  greet(line: TlsLine): LineOwner {
    const { settings, hall, openSsl } = this
    const slot = this.pending.get(line)?.slot ?? 0
    this.pending.delete(line)
    if (settings.sslSessionCache && openSsl.call.SSL_session_reused(line.ssl) === 0) {
      hall.host.counters[ThreadCounter.TLS_SESSIONS]++
    }
    return hall.welcome(line, slot)
  }

  refuse(line: TlsLine, reason: string): void {
    const arrival = this.pending.get(line)
    if (arrival === undefined || line.ended) return
    const { host, roster } = this.hall
    host.counters[ThreadCounter.TLS_ERRORS]++
    if (host.control[Control.VERBOSITY] > 0) {
      const id = Roster.idOf(arrival.slot)
      host.log(`<${id} TLS with ${roster.addressOf(id)} failed: ${reason}`)
    }
    line.destroy()
  }

  gone(line: TlsLine): void {
    const arrival = this.pending.get(line)
    this.pending.delete(line)
    if (arrival !== undefined) this.hall.roster.give(arrival.slot)
  }

  later(work: () => void, pauseMs: number): void {
    this.hall.later(work, pauseMs)
  }

  blame(): void {
    this.hall.host.counters[ThreadCounter.TLS_PROTOCOL_ERRORS]++
  }

  /** Takes on what stands in the keyring, if it is new. */
  private renew(): void {
    if (this.keyring.version === this.version) return
    const found = this.keyring.read()
    if (found === null) return
    this.version = found.version
    this.certificates = found.certificates
    for (const context of this.contexts.values()) context.free()
    this.contexts.clear()
  }

  private contextFor(check: PeerCheck): TlsContext {
    const { openSsl, settings, certificates, contexts } = this
    const known = contexts.get(check)
    if (known !== undefined) return known
    if (certificates === undefined) throw new Error('the keyring has no certificates')
    const made = new TlsContext(openSsl, settings, certificates, check)
    contexts.set(check, made)
    return made
  }
}
