// Reads the value after the line of a text or meta store, stores it and has the store answered. A
// complete value is stored at once. A short, partial one is waited for. A long one is written into
// its item as it arrives, in the session's state FILLING.

import type { Area } from '../../bytes/area.ts'
import { Status } from '../../engine/status.ts'
import { type Conversation, type Filling, NEED_MORE, State } from '../conversation.ts'
import { STREAM_VALUE_BYTES_MIN } from '../limits.ts'
import { Line, storedLine } from './print.ts'
import type { Speaker } from './speaker.ts'
import { LINE_END_BYTES } from './tokens.ts'

const LF = 10
const CR = 13

/** The command whose value this is. */
export interface Store {
  /** The value arrives in pieces, so the line will be gone: keep what the reply needs of it. */
  keepLine(): void
  /** Answers the store with this status. */
  stored(status: Status): void
}

export class ValueReader implements Filling {
  private readonly peer: Conversation
  private readonly speaker: Speaker
  private readonly store: Store
  /** Of the end of a value in pieces, the \r has arrived and the \n has not. */
  private sawReturn = false

  constructor(peer: Conversation, speaker: Speaker, store: Store) {
    this.peer = peer
    this.speaker = speaker
    this.store = store
  }

  /**
   * Takes the value of the request's store, which begins at `start`. Returns how far it consumed.
   * NEED_MORE: the value is short and incomplete, or waits for memory, and nothing was done.
   */
  take(input: Area, start: number, end: number): number {
    const { request, operations } = this.peer
    const { bytes } = input
    const valueEnd = start + request.valueBytes
    if (valueEnd + LINE_END_BYTES > end) return this.takeLater(start)
    if (bytes[valueEnd] === CR && bytes[valueEnd + 1] === LF) {
      this.store.stored(operations.store(request, input, start))
    } else {
      // Refused for its size before the value is checked, as when it arrives in pieces.
      const status = operations.begin(request)
      if (status === Status.OK) request.shard.release(request.hold)
      const isWrong = status === Status.OK || status === Status.BUSY
      this.speaker.say(isWrong ? Line.BAD_CHUNK : storedLine(status))
    }
    return valueEnd + LINE_END_BYTES
  }

  /** The two bytes after a value: whatever they are, exactly two are consumed, as in memcached. */
  filled(input: Area, at: number, end: number): number {
    if (at === end) return NEED_MORE
    const { peer } = this
    const { request } = peer
    const wanted = this.sawReturn ? LF : CR
    if (input.bytes[at] !== wanted) {
      request.shard.release(request.hold)
      peer.swallow(this.sawReturn ? 0 : 1, request.noreply ? null : Line.BAD_CHUNK)
    } else if (this.sawReturn) {
      peer.state = State.COMMAND
      this.store.stored(peer.operations.commit(request))
    } else {
      this.sawReturn = true
    }
    return at + 1
  }

  /** Drops a begun value, discards its rest, then replies why it was not stored. */
  refused(status: Status, bytes: number): void {
    const { request } = this.peer
    request.shard.giveUp(request)
    this.refuse(status, bytes)
  }

  private takeLater(start: number): number {
    const { peer } = this
    const { request } = peer
    if (request.valueBytes < STREAM_VALUE_BYTES_MIN) return NEED_MORE
    const status = peer.operations.begin(request)
    if (status === Status.OK) {
      this.sawReturn = false
      this.store.keepLine()
      peer.fillHeld(LINE_END_BYTES, this)
    } else if (status === Status.BUSY) {
      peer.tryLater()
      return NEED_MORE
    } else {
      this.refuse(status, request.valueBytes)
    }
    return start
  }

  private refuse(status: Status, bytes: number): void {
    const { request } = this.peer
    this.peer.swallow(bytes + LINE_END_BYTES, request.noreply ? null : storedLine(status))
  }
}
