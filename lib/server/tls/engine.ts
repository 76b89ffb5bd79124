// What speaks TLS in a thread, and what it tells handshakes.ts. There are two engines:
//
//   DirectEngine   direct-engine.ts   Node's OpenSSL, called through node:ffi; lines are TlsLines
//   NodeEngine     node-engine.ts     Node's TLS streams; lines are StreamLines

import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { PeerCheck } from '../../options/options.ts'
import type { Host } from '../../protocol/host.ts'
import type { Line, LineOwner } from '../line/line.ts'
import type { Replies } from '../line/replies.ts'
import type { Roster } from '../roster.ts'
import type { Certificates } from './certificates.ts'

/** A peer whose handshake is under way. */
export interface Arriving {
  /** The connection is closed or about to close. */
  readonly ended: boolean
  destroy(): void
}

export interface TlsEngine {
  /** Whether OpenSSL is called directly, without Node's streams. */
  readonly isDirect: boolean
  /** New handshakes use these. Throws an Error in OpenSSL's words. */
  use(certificates: Certificates): void
  /** Begins a handshake on an accepted socket; the greeter is told in a later turn how it ends. */
  begin(socket: Socket, check: PeerCheck): Arriving
}

/** Is told how handshakes end. */
export interface Greeter {
  /**
   * It is done. `open` gives the line, not reading yet; the owner has it from now on. `certificate`
   * gives the peer's, which was verified, as DER or Node's; null: it has none.
   */
  greet(
    peer: Arriving,
    isResumed: boolean,
    open: (owner: LineOwner) => Line,
    certificate: () => Uint8Array | X509Certificate | null,
  ): LineOwner
  /** It failed. */
  refuse(peer: Arriving, reason: string): void
  /** The connection closed. */
  gone(peer: Arriving): void
  /** What a peer sent after its handshake is not TLS. */
  blame(): void
  /** Runs something in a later turn, after `pauseMs` milliseconds. */
  later(work: () => void, pauseMs: number): void
}

/** What TLS needs of its thread. */
export interface TlsHall {
  readonly host: Host
  readonly roster: Roster
  readonly replies: Replies
  /** The line through an accepted socket, not reading yet. */
  openLine(accepted: Socket, owner: LineOwner): Line
  /** The line through a stream, not reading yet. */
  openStream(socket: Socket, owner: LineOwner): Line
  later(work: () => void, pauseMs: number): void
  /** Serves the connection in this slot; `names` are those of the peer's certificate. */
  welcome(open: (owner: LineOwner) => Line, slot: number, names?: readonly string[]): LineOwner
}
