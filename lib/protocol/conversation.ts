// The interface between a session and its protocols: the states of a conversation (session.ts draws
// them), what a protocol may ask of its session, and what every protocol implements.

import type { Pass } from '../access/pass.ts'
import type { Area } from '../bytes/area.ts'
import type { Status } from '../engine/status.ts'
import type { CloseReason } from '../observe/journal.ts'
import type { Operations } from './execute.ts'
import type { Host } from './host.ts'
import type { Request } from './request.ts'
import type { Source } from './source.ts'

export type { Source } from './source.ts'

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

/** The protocol of a connection; auto: its first byte decides. */
export type ProtocolName = 'auto' | 'ascii' | 'binary'

/** Returned by a step that needs more input. Otherwise it returns how far it consumed. */
export const NEED_MORE = -1

export interface Conversation {
  readonly host: Host
  readonly request: Request
  /** The operations that requests run, with logging while somebody watches. */
  readonly operations: Operations
  /** The peer's number in the log. */
  readonly id: number
  /** What it may do; null: everything. */
  readonly pass: Pass | null
  /** Whether it may log in here; a peer of UDP may not. */
  readonly takesLogins: boolean
  state: State
  /** Where the current request's reply begins in the reply buffer; -1 once part of it was sent. */
  readonly replyStart: number
  /** Why the conversation ended, once it has: an error unless the protocol says otherwise. */
  closeReason: CloseReason
  /** Sends the reply buffer; false if the peer must read first. */
  flush(): boolean
  /** Sends the value of the item that the request holds, after what was written. */
  sendHeld(sending: Sending): void
  /** Fills the item that the request holds. `bytesBehind` bytes follow the value. */
  fillHeld(bytesBehind: number, filling: Filling): void
  /**
   * `begin` returned BUSY: runs the request again soon. The protocol returns NEED_MORE and changes
   * nothing.
   */
  tryLater(): void
  /** Discards the next bytes, then replies `reply`. */
  swallow(bytes: number, reply: Area | null): void
  /** Collects the next bytes until they are complete, then sends the reply that `take` returns. */
  collect(bytes: number, take: (value: Buffer) => Area): void
  /** Discards the rest of the line, then replies `reply`. */
  swallowLine(reply: Area): void
  /** Sends a complete reply of any length before anything else. */
  sendTail(bytes: Buffer): void
  /** As sendTail, for a reply that is produced while it is sent. */
  sendSource(source: Source): void
  /** Switches the session to this protocol from the next request on. */
  speak(protocol: Protocol): void
  /** The address that the peer connected to. */
  endpoint(): Endpoint
  /** From now on the peer gets only the source's output, and its input is ignored. */
  watch(source: Source): void
}

/** The address that a peer connected to. */
export interface Endpoint {
  address: string
  port: number
}

/** The way out of a session. */
export interface Outlet {
  /** Whether the reply may have inserts: then `flush` sends them and releases their holds. */
  readonly takesInserts?: boolean
  /** Whether `later` runs the rest of the input: then a turn may end before it. */
  readonly takesTurns?: boolean
  /** False: its peers cannot log in, since nothing is kept from one request to the next. */
  readonly takesLogins?: boolean
  /** Sends the reply buffer; false if the peer must read first. */
  flush(): boolean
  /**
   * Calls `run` again after `pauseMs` milliseconds; with 0 after the others' turns, and when all is
   * sent.
   */
  later(pauseMs: number): void
  /** The address that the peer connected to, if known. */
  endpoint?(): Endpoint
}

/** A protocol: parses requests and prints replies. */
export interface Protocol {
  /** Its input may hold passwords: no copy of it may stay in memory. */
  readonly isSecret?: boolean
  /**
   * Runs the request at `at`, which has at least one byte, or continues the one that it left in the
   * state KEYS. Returns how far it consumed.
   */
  command(input: Area, at: number, end: number): number
  /** The bytes to discard are gone: replies. */
  say(reply: Area): void
}

/** The requester of a held value that is being sent. */
export interface Sending {
  /** The value is in the reply, and its hold is released. */
  sent(): void
}

/** The receiver of a value that arrives in pieces. */
export interface Filling {
  /** The value is complete: consumes its end, stores and answers. Returns how far it consumed. */
  filled(input: Area, at: number, end: number): number
  /** NO_MEMORY or LOST, `bytes` bytes before the value's end; the item is still held. */
  refused(status: Status, bytes: number): void
}
