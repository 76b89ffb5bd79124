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
  /** The value of the item that the request holds shall follow what was written. */
  sendHeld(): void
  /** The value of the item that the request holds is on its way in, and so many bytes behind it. */
  fillHeld(bytesBehind: number): void
  /** The next bytes are to be thrown away; then comes `reply`, as the protocol says it. */
  swallow(bytes: number, reply: Area | null): void
  /** The next bytes are kept until all are there; then comes what `take` makes of them. */
  collect(bytes: number, take: (value: Buffer) => Area): void
  /** The rest of the line is to be thrown away; then comes `reply`. */
  swallowLine(reply: Area): void
  /** A reply of any length that is there whole, sent before anything else. */
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

/** A way to parse requests and print replies. All but `command` serve the other states. */
export interface Protocol {
  /** Its input may hold passwords: no copy of it may stay in memory. */
  readonly isSecret?: boolean
  /** COMMAND: runs the request at `at`, with at least one byte there; how far it ate. */
  command(input: Area, at: number, end: number): number
  /** KEYS: goes on with a request that was begun; how far it ate. */
  keys(input: Area, at: number, end: number): number
  /** SENDING is done: the request's value stands in the reply, its hold is released. */
  endSending(): void
  /** FILLING is done: eats what stands behind the value, stores it and answers. */
  endFilling(input: Area, at: number, end: number): number
  /**
   * FILLING failed with NO_MEMORY or LOST, `bytes` of the value before its end; the item is held.
   */
  refuse(status: Status, bytes: number): void
  /** SWALLOW is done. */
  say(reply: Area): void
}
