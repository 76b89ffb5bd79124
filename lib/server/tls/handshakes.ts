// The TLS handshakes of one thread, whichever engine makes them (tls/engine.ts). A handshake begins
// with the newest certificates. Peers that pass are served; those that fail or take too long are
// closed and counted, and logged with -v.

import assert from 'node:assert/strict'
import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { PeerCheck } from '../../options/options.ts'
import { Control, ThreadCounter } from '../../protocol/host.ts'
import { TLS_HANDSHAKE_MS_MAX } from '../limits.ts'
import type { Line, LineOwner } from '../line/line.ts'
import { Roster } from '../roster.ts'
import type { TlsSettings } from './certificates.ts'
import { DirectEngine } from './direct-engine.ts'
import type { Arriving, Greeter, TlsEngine, TlsHall } from './engine.ts'
import type { Keyring } from './keyring.ts'
import { NodeEngine } from './node-engine.ts'
import { peerNamesOf } from './peer-names.ts'

interface Arrival {
  slot: number
  startedMs: number
}

export class Handshakes implements Greeter {
  private readonly settings: TlsSettings
  private readonly keyring: Keyring
  private readonly hall: TlsHall
  private readonly engine: TlsEngine
  /** In the order in which they began. */
  private readonly pending = new Map<Arriving, Arrival>()
  /** Of the certificates that the engine uses. */
  private version = -1

  constructor(settings: TlsSettings, keyring: Keyring, hall: TlsHall) {
    this.settings = settings
    this.keyring = keyring
    this.hall = hall
    this.engine = this.openDirect() ?? new NodeEngine(settings, hall, this)
  }

  get isDirect(): boolean {
    return this.engine.isDirect
  }

  /** Begins the handshake of the connection in this slot. */
  begin(socket: Socket, slot: number, check: PeerCheck): void {
    this.renew(this.engine)
    this.pending.set(this.engine.begin(socket, check), { slot, startedMs: performance.now() })
  }

  /** Ends handshakes that take too long. */
  sweep(): void {
    const oldestMs = performance.now() - TLS_HANDSHAKE_MS_MAX
    for (const [peer, { startedMs }] of this.pending) {
      if (startedMs > oldestMs) return
      this.refuse(peer, 'the handshake takes too long')
    }
  }

  close(): void {
    for (const peer of this.pending.keys()) peer.destroy()
  }

  greet(
    peer: Arriving,
    isResumed: boolean,
    open: (owner: LineOwner) => Line,
    certificate: () => Uint8Array | X509Certificate | null,
  ): LineOwner {
    const { settings, hall, pending } = this
    const arrival = pending.get(peer)
    assert(arrival !== undefined, 'a handshake is done once')
    pending.delete(peer)
    hall.host.counters[ThreadCounter.TLS_HANDSHAKES]++
    if (settings.sslSessionCache && !isResumed) {
      hall.host.counters[ThreadCounter.TLS_SESSIONS]++
    }
    const shown = hall.host.access === null ? null : certificate()
    return hall.welcome(open, arrival.slot, shown === null ? [] : peerNamesOf(shown))
  }

  refuse(peer: Arriving, reason: string): void {
    const arrival = this.pending.get(peer)
    if (arrival === undefined || peer.ended) return
    const { host, roster } = this.hall
    host.counters[ThreadCounter.TLS_ERRORS]++
    if (host.control[Control.VERBOSITY] > 0) {
      const id = Roster.idOf(arrival.slot)
      host.log(`<${id} TLS with ${roster.addressOf(id)} failed: ${reason}`, 'warn')
    }
    peer.destroy()
  }

  gone(peer: Arriving): void {
    const arrival = this.pending.get(peer)
    this.pending.delete(peer)
    if (arrival !== undefined) this.hall.roster.give(arrival.slot)
  }

  blame(): void {
    this.hall.host.counters[ThreadCounter.TLS_PROTOCOL_ERRORS]++
  }

  later(work: () => void, pauseMs: number): void {
    this.hall.later(work, pauseMs)
  }

  /** Null: not wanted, no node:ffi, or this OpenSSL refuses what Node accepts. */
  private openDirect(): TlsEngine | null {
    const { settings, hall } = this
    const direct = settings.sslEngine === 'direct' ? DirectEngine.open(settings, hall, this) : null
    try {
      if (direct !== null) this.renew(direct)
      return direct
    } catch {
      this.version = -1
      return null
    }
  }

  private renew(engine: TlsEngine): void {
    if (this.keyring.version === this.version) return
    const found = this.keyring.read()
    if (found === null) return
    this.version = found.version
    engine.use(found.certificates)
  }
}
