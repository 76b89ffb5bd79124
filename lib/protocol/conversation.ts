// What a session and its protocols tell each other: the states of a conversation, and what a
// protocol may ask of the session it serves (session.ts, which draws the states).

import type { Area } from '../engine/bytes.ts'
import type { Host } from './host.ts'
import type { Request } from './request.ts'

export const State = {
  COMMAND: 0,
  KEYS: 1,
  SENDING: 2,
  FILLING: 3,
  SWALLOW: 4,
  ENDED: 5,
} as const

export type State = (typeof State)[keyof typeof State]

/** A step that could not go on until more input comes; else it returns how far it ate. */
export const NEED_MORE = -1

export interface Conversation {
  readonly host: Host
  readonly request: Request
  /** Names the peer in the log. */
  readonly id: number
  state: State
  /** Where in the reply buffer the current request's reply begins; -1 once some of it was sent. */
  readonly replyStart: number
  /** Sends what stands in the reply buffer; false if the peer must first take it. */
  flush(): boolean
  /** The value of the item that the request holds shall follow what was written. */
  sendHeld(): void
  /** The value of the item that the request holds is on its way in. */
  fillHeld(): void
  /** The next bytes are to be thrown away; then comes `reply`. */
  swallow(bytes: number, reply: Area | null): void
  /** The rest of the line is to be thrown away; then comes `reply`. */
  swallowLine(reply: Area): void
  /** A reply of any length, sent before anything else. */
  sendTail(bytes: Buffer): void
}
