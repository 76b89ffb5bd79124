// The engine that calls OpenSSL directly: one context for each way to check peers, made of the
// newest certificates, and a TlsLine for each connection.

import type { Socket } from 'node:net'
import type { PeerCheck } from '../../options/options.ts'
import type { LineOwner } from '../line/line.ts'
import type { Certificates, TlsSettings } from './certificates.ts'
import { TlsContext } from './context.ts'
import type { Greeter, TlsEngine, TlsHall } from './engine.ts'
import { TlsBuffers, TlsLine } from './line.ts'
import { loadOpenSsl } from './openssl.ts'

export class DirectEngine implements TlsEngine {
  readonly isDirect = true
  private readonly buffers: TlsBuffers
  private readonly settings: TlsSettings
  private readonly hall: TlsHall
  private readonly greeter: Greeter
  private readonly contexts = new Map<PeerCheck, TlsContext>()
  private certificates: Certificates | undefined

  private constructor(buffers: TlsBuffers, settings: TlsSettings, hall: TlsHall, greeter: Greeter) {
    this.buffers = buffers
    this.settings = settings
    this.hall = hall
    this.greeter = greeter
  }

  /** Null: no node:ffi, no OpenSSL 3, or one whose memory differs from what bio.ts expects. */
  static open(settings: TlsSettings, hall: TlsHall, greeter: Greeter): DirectEngine | null {
    const openSsl = loadOpenSsl()
    const buffers = openSsl && TlsBuffers.open(openSsl)
    return buffers ? new DirectEngine(buffers, settings, hall, greeter) : null
  }

  use(certificates: Certificates): void {
    this.certificates = certificates
    for (const context of this.contexts.values()) context.free()
    this.contexts.clear()
    // A first one at once, so that it fails here if it does.
    this.contextFor('none')
  }

  begin(socket: Socket, check: PeerCheck): TlsLine {
    const { hall, buffers, greeter } = this
    const ssl = this.contextFor(check).open()
    const open = (owner: LineOwner) => hall.openLine(socket, owner)
    const line = new TlsLine(buffers, hall.replies, ssl, greeter, open)
    line.resume()
    return line
  }

  private contextFor(check: PeerCheck): TlsContext {
    const { buffers, settings, certificates, contexts } = this
    const known = contexts.get(check)
    if (known !== undefined) return known
    if (certificates === undefined) throw new Error('the keyring has no certificates')
    const made = new TlsContext(buffers.openSsl, settings, certificates, check)
    contexts.set(check, made)
    return made
  }
}
