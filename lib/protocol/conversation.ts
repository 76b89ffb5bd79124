// What a session and its protocols tell each other: the states of a conversation, what a protocol
// may ask of the session it serves (session.ts, which draws the states), and what every protocol
// can do for its session.

import type { Area } from '../bytes/area.ts'
import type { Status } from '../engine/status.ts'
import type { CloseReason } from '../observe/journal.ts'
import type { Operations } from './execute.ts'
import type { Host } from './host.ts'
import type { Request } from './request.ts'

export const State = {
  COMMAND: 0,
  KEYS: 1,
  SENDING: 2,
  FILLING: 3,
  SWALLOW: 4,
  ENDED: 5,
  WATCHING: 6,
} as const

export type State = (typeof State)[keyof typeof State]

/** Which protocol a connection speaks; auto: the first byte of the connection tells. */
export type ProtocolName = 'auto' | 'ascii' | 'binary'

/** A step that could not go on until more input comes; else it returns how far it ate. */
export const NEED_MORE = -1

/**
 * Output of any length, asked for piece by piece while the peer takes it. Each call is bounded; an
 * empty piece says "not yet": the next call comes after `pauseMs`, others have their turn between.
 */
export interface Source {
  readonly pauseMs: number
  /** It delays the answer of a peer that failed to log in: one that leaves is not waited for. */
  readonly isPenalty?: boolean
  /** The next piece, or null behind the last. */
  next(): Buffer | null
  /** The peer is gone, or `next` said null. */
  close(): void
}

export interface Conversation {
  readonly host: Host
  readonly request: Request
  /** What requests run: with notes of them while somebody watches. */
  readonly operations: Operations
  /** Names the peer in the log. */
  readonly id: number
  state: State
  /** Where in the reply buffer the current request's reply begins; -1 once some of it was sent. */
  readonly replyStart: number
  /** Why the conversation ended, once it has: an error unless the protocol says otherwise. */
  closeReason: CloseReason
  /** Sends what stands in the reply buffer; false if the peer must first take it. */
  flush(): boolean
  /** Sends the value of the item that the request holds behind what was written. */
  sendHeld(sending: Sending): void
  /** Fills the item that the request holds; `bytesBehind` bytes follow its value. */
  fillHeld(bytesBehind: number, filling: Filling): void
  /** Throws the next bytes away, then says `reply`. */
  swallow(bytes: number, reply: Area | null): void
  /** Keeps the next bytes until they are complete, then says what `take` makes of them. */
  collect(bytes: number, take: (value: Buffer) => Area): void
  /** Throws the rest of the line away, then says `reply`. */
  swallowLine(reply: Area): void
  /** Sends a complete reply of any length before anything else. */
  sendTail(bytes: Buffer): void
  /** As sendTail, for a reply that is made while it is sent. */
  sendSource(source: Source): void
  /** From the next request on the session speaks this protocol. */
  speak(protocol: Protocol): void
  /** Where the peer reached this daemon. */
  endpoint(): Endpoint
  /** What the source gives is all that the peer gets from now on; what it says is not heard. */
  watch(source: Source): void
}

/** Where a peer reached this daemon. */
export interface Endpoint {
  address: string
  port: number
}

/** A way to parse requests and print replies. */
export interface Protocol {
  /** Its input may hold passwords: no copy of it may stay in memory. */
  readonly isSecret?: boolean
  /**
   * Runs the request at `at`, with at least one byte there, or goes on with the one that it left in
   * the state KEYS; how far it ate.
   */
  command(input: Area, at: number, end: number): number
  /** What was to be thrown away is gone: says what follows. */
  say(reply: Area): void
}

/** Who asked for a held value to be sent. */
export interface Sending {
  /** The reply has the value, and its hold is released. */
  sent(): void
}

/** Who reads a value on its way in. */
export interface Filling {
  /** The value is complete: eats what follows it, stores it and answers; how far it ate. */
  filled(input: Area, at: number, end: number): number
  /** NO_MEMORY or LOST, `bytes` bytes before the value's end; the item is still held. */
  refused(status: Status, bytes: number): void
}
