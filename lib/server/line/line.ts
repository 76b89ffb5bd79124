// The line to one peer: what carries its bytes. A connection owns a line; this file says what each
// may ask of the other. There are four ways for bytes:
//
//   UringLine    uring/line.ts    the kernel's io_uring, without Node's sockets in between
//   SocketLine   line/socket.ts   the handle of a Node socket, past its stream
//   TlsLine      tls/line.ts      OpenSSL in this thread, on top of a UringLine or a SocketLine
//   StreamLine   line/stream.ts   a stream of Node's: its TLS socket, or a plain one whose handle
//                                 SocketLine does not know. Slow, and works everywhere
//
// A line reads by itself until the owner says stop, and sends one reply at a time. Everything is
// called in the thread of the line.

import type { Socket } from 'node:net'
import type { Area } from '../../bytes/area.ts'
import type { Endpoint } from '../../protocol/conversation.ts'
import type { Inserts } from '../../protocol/inserts.ts'
import type { ReplyBuffer } from './replies.ts'

/**
 * The outcome of a reply.
 *   ALL     it is sent
 *   SOON    it goes out at the end of this turn, with those of other peers
 *   LATER   the kernel did not take all of it; the rest goes out when the peer reads
 *   FAILED  the line has failed
 * After SOON and LATER the owner sends nothing until the line calls `sent`.
 */
export const Sent = { ALL: 0, SOON: 1, LATER: 2, FAILED: 3 } as const
export type Sent = (typeof Sent)[keyof typeof Sent]

/** Whether the reply is still being sent. */
export function isOnItsWay(sent: Sent): boolean {
  return sent === Sent.SOON || sent === Sent.LATER
}

export interface Line {
  /** Whether replies may have inserts, which are sent from the arena. */
  readonly takesInserts: boolean
  /** It is closed or about to close: nothing more is read or sent. */
  readonly ended: boolean
  /** Bytes of replies that the kernel has not taken yet, as far as this line can see. */
  readonly unsentBytes: number
  /**
   * Sends the bytes [start, end) of the thread's current reply buffer, with the inserts at their
   * offsets. The line keeps what it needs beyond this call (replies.ts); the caller clears the
   * rest.
   */
  send(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent
  /** Reads until the owner says stop. */
  resume(): void
  /** Closes when all is sent. */
  endSoon(): void
  /** As `endSoon`, but requests that come meanwhile do not reset the connection. */
  leave(): void
  /** Closes now; what was not sent is lost. */
  destroy(): void
  /** As `destroy`, but releases no values: another thread may already have cleared them up. */
  abandon(): void
  /** The address and port that the peer connected to. */
  endpoint(): Endpoint
}

export interface LineOwner {
  /** Bytes arrived at `start`, after READ_REST_BYTES_MAX bytes of room. False: stop reading. */
  read(input: Area, start: number, bytes: number): boolean
  /** As `read`, for bytes that were read into `fillView`. */
  filled(bytes: number): boolean
  /**
   * Where the next bytes should be read to: their place in an arena. Null: to the line's own
   * buffer.
   */
  fillView(): Buffer | null
  /** Whether the next read into the line's own buffer should take SHORT_READ_BYTES at most. */
  readsShort(): boolean
  /** Missing bytes of the value that is being read. */
  awaitsBytes(): number
  /** The pending reply has been sent. */
  sent(): void
  /** The peer closed its side and may wait for the rest of its replies. */
  halfClosed(): void
  /** The line is closed. Nothing is called after this. */
  closed(hadError: boolean): void
}

/** The address for a UNIX socket: where a client would look for the daemon. */
export function endpointOf({ localAddress = '127.0.0.1', localPort = 0 }: Socket): Endpoint {
  return { address: localAddress, port: localPort }
}
