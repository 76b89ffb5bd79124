// The line to one peer: what a connection asks of whatever carries its bytes, and what it is told.
//
// Two things are lines: a socket of Node's (line/socket.ts), for every peer and every platform, and a
// descriptor in a ring that this thread shares with the kernel (uring/line.ts). TLS is one on top of
// either (tls/line.ts). A line reads without being asked until it is told to stop, and sends one reply
// at a time.

import type { Socket } from 'node:net'
import type { Area } from '../../bytes/area.ts'
import type { Endpoint } from '../../protocol/conversation.ts'

/**
 * How a reply went. ALL: it is sent. LATER: the kernel did not take all of it. SOON: it goes out with
 * those of other peers, at once. FAILED: the line is at its end. After LATER and SOON the bytes go by
 * themselves, the owner is told once they are gone, and sends nothing until then.
 */
export const Sent = { ALL: 0, SOON: 1, LATER: 2, FAILED: 3 } as const
export type Sent = (typeof Sent)[keyof typeof Sent]

export interface Line {
  /** Whether replies may have inserts, sent from where they stand. */
  readonly takesInserts: boolean
  /** It is at its end, or will be shortly: nothing is read or sent any more. */
  readonly ended: boolean
  /** Sends what stands in the thread's reply buffer, which is free for the next when this returns. */
  send(): Sent
  /** Reads on. */
  resume(): void
  /** Ends when all was sent. */
  endSoon(): void
  /** Ends now; what was not sent is lost. */
  destroy(): void
  /** As `destroy`, and leaves what it holds to others: they may hold it already. */
  abandon(): void
  /** Where the peer reached this daemon. */
  endpoint(): Endpoint
}

/** Whose line it is. */
export interface LineOwner {
  /** Bytes came and stand at `start`, behind READ_REST_BYTES_MAX of room; false: stop reading. */
  read(input: Area, start: number, bytes: number): boolean
  /** As `read`, for bytes that were read to `fillView`. */
  filled(bytes: number): boolean
  /** Where the next bytes should be read to, since they belong there; null: nowhere special. */
  fillView(): Buffer | null
  /** How much of a value is still to come, bytes. */
  awaitsBytes(): number
  /** Of the value last on its way in, bytes. */
  valueBytes(): number
  /** What `send` said goes by itself is gone. */
  sent(): void
  /** The peer said its last, and waits for what it asked. */
  left(): void
  /** The line is closed, nothing comes any more. */
  closed(hadError: boolean): void
}

/** Where the peer of this socket reached it; of a UNIX socket, where a client would look for the daemon. */
export function endpointOf({ localAddress = '127.0.0.1', localPort = 0 }: Socket): Endpoint {
  return { address: localAddress, port: localPort }
}
