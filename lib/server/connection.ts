// Serves one peer of a thread: passes input from its line to a session, sends the replies, and
// bounds the cost of a peer that does not read them.
//
// The state of a connection is one field, `flow`, which only `enter` changes. Causes of each step:
//
//   the session ran, and all is sent .............. IDLE, or READING_VALUE inside a long value
//   replies are sent with others (line) ........... SENDING --> sent (line) --> IDLE, or runs again
//   the peer reads them slowly (line) ............. STUCK ----> sent (line) --> runs again
//   turn over, penalty, source waits (session) .... PAUSED ---> timer (wake) -> runs again
//   quit, an error (session), a failed line ....... CLOSING
//   the peer closed its side, all is answered ..... CLOSING
//   the line closed, from any state ............... CLOSED
//
//   IDLE           between requests, or inside one whose line or short value is incomplete
//   READING_VALUE  inside a long value: the line reads it into its place in the arena
//   SENDING        all requests have run, the replies go out at the end of the turn; input is kept
//   STUCK          the kernel did not take all replies: nothing is run, and nothing read
//   PAUSED         the session waits for a timer: nothing is run, and nothing read
//   CLOSING        no request is run any more; the line closes when all is sent
//   CLOSED         the line is closed, and all that the peer held is released
//
// A watcher is PAUSED or STUCK, and a peer that failed to log in is PAUSED, but both are read from
// to notice that they closed their side. Neither is sent an answer then.
//
// Two facts are independent of it. The peer may have closed its side (isHalfClosed): replies to
// earlier requests are still sent. And the session has a state (session.state): a value may be
// incomplete while the replies before it are SENDING or STUCK.
//
// Input that was not consumed is copied to `rest`: at most a line, a short value, or, while a reply
// is being sent, some reads. If it may contain a password, no copy of it outlives its use.

import { Area } from '../bytes/area.ts'
import { KIB } from '../bytes/units.ts'
import { CloseReason, Kind } from '../observe/journal.ts'
import { HEADER_BYTES, REQUEST_MAGIC } from '../protocol/binary/layout.ts'
import { type Endpoint, State } from '../protocol/conversation.ts'
import { Control, type Host, ThreadCounter } from '../protocol/host.ts'
import { READ_REST_BYTES_MAX, ROUND_INSERTS_BYTES, TURN_REPLY_BYTES } from '../protocol/limits.ts'
import { type Outlet, Session } from '../protocol/session.ts'
import { SHORT_READ_BYTES } from './limits.ts'
import { type Line, type LineOwner, Sent } from './line/line.ts'
import type { Replies } from './line/replies.ts'
import { Phase, Roster } from './roster.ts'
import type { ListenerFacts } from './worker-host.ts'

/** Input that is kept while a reply is being sent; then the line stops reading. */
const KEPT_READ_BYTES_MAX = 64 * KIB

/** After a value of this length the next read is a short one: another such value may follow. */
const SHORT_READ_VALUE_BYTES_MIN = 64 * KIB

export const Flow = {
  IDLE: 0,
  READING_VALUE: 1,
  SENDING: 2,
  STUCK: 3,
  PAUSED: 4,
  CLOSING: 5,
  CLOSED: 6,
} as const

export type Flow = (typeof Flow)[keyof typeof Flow]

/** State shared by the connections of one thread. */
export interface Hall {
  readonly host: Host
  readonly replies: Replies
  readonly roster: Roster
  /** What peers connect to, in the order that roster slots refer to. */
  readonly listeners: readonly ListenerFacts[]
  readonly open: Set<Connection>
  /** Runs something in a later turn, after `pauseMs` milliseconds. */
  readonly later: (work: () => void, pauseMs: number) => void
  /** Handles an exception while a peer is served. */
  readonly fail: (error: unknown) => void
}

const LF = 10
const NOTHING = Area.allocate(0)
/** memcached's message about new connections. */
const KINDS = {
  auto: 'auto-negotiating client connection',
  ascii: 'ascii client connection.',
  binary: 'binary client connection.',
} as const

export class Connection implements Outlet, LineOwner {
  protected readonly hall: Hall
  protected readonly slot: number
  private readonly line: Line
  protected readonly session: Session
  readonly takesInserts: boolean
  readonly takesTurns = true
  protected flow: Flow = Flow.IDLE
  /** The peer closed its side, and may wait for replies. */
  private isHalfClosed = false
  /** Input that is not consumed yet. */
  private rest: Area | null = null
  private restStart = 0
  private restEnd = 0
  /** Input that followed while a reply was being sent. */
  private readonly kept: Buffer[] = []
  private keptBytes = 0
  /** Data for `stats conns`. */
  private shown: Phase = Phase.REQUEST
  /** Bytes of replies in this turn. */
  private written = 0
  /** The turn is over, but its replies are still being sent. */
  private isTurnOver = false
  /** The last read filled a long value or followed one: the next value may be as long. */
  private expectsValue = false
  /** Unsent bytes at the last tick, and when the peer was last seen to read some, seconds. */
  private unsentBytes = 0
  private readAtS = 0

  /**
   * `open` returns its line, which does not read yet; `names` are those of the peer's certificate.
   */
  constructor(
    hall: Hall,
    open: (owner: LineOwner) => Line,
    slot: number,
    names: readonly string[] = [],
  ) {
    this.hall = hall
    this.slot = slot
    const { protocol } = hall.listeners[hall.roster.listenerOf(slot)]
    this.session = new Session(hall.host, this, Roster.idOf(slot), protocol, names)
    this.line = open(this)
    this.takesInserts = this.line.takesInserts
    hall.open.add(this)
    const { journal } = hall.host
    if (journal.wants(Kind.CONNEVENTS)) {
      journal.opened(this.id, hall.roster.addressOf(this.id))
    }
    this.log(`new ${KINDS[protocol]}`)
    this.line.resume()
  }

  /** The only place that changes the flow. CLOSED is final. */
  private enter(flow: Flow): void {
    if (this.flow !== Flow.CLOSED) this.flow = flow
  }

  /** Sends the replies so far, inside a run; false if the session must wait. */
  flush(): boolean {
    const sent = this.push()
    // A session that stops runs again only when this reply is sent, however soon that is.
    if (sent !== Sent.ALL) this.enter(sent === Sent.FAILED ? Flow.CLOSING : Flow.STUCK)
    return sent === Sent.ALL && this.endTurn()
  }

  /** Sends the last replies of a run. */
  private finish(): void {
    const sent = this.push()
    if (sent === Sent.SOON) this.enter(Flow.SENDING)
    else if (sent === Sent.LATER) this.enter(Flow.STUCK)
    else if (sent === Sent.FAILED) this.enter(Flow.CLOSING)
    else if (this.endTurn()) this.settle()
  }

  /** Nothing is being sent or waited for. */
  private settle(): void {
    this.enter(this.session.state === State.FILLING ? Flow.READING_VALUE : Flow.IDLE)
  }

  private push(): Sent {
    const { host, replies } = this.hall
    const { reply, counters } = host
    const { start, length, inserts } = reply
    const bytes = length - start + inserts.bytes
    if (bytes === 0) return Sent.ALL
    counters[ThreadCounter.BYTES_WRITTEN] += bytes
    this.written += bytes
    const sent = this.line.send(replies.current, start, length, inserts)
    replies.clear()
    return sent
  }

  /** Whether this connection may write more before others get their turn. */
  private endTurn(): boolean {
    if (this.written < TURN_REPLY_BYTES) return true
    this.hall.host.counters[ThreadCounter.CONN_YIELDS]++
    this.later(0)
    return false
  }

  later(pauseMs: number): void {
    if (this.flow === Flow.STUCK) this.isTurnOver = true
    else if (this.flow < Flow.STUCK) this.pause(pauseMs)
  }

  protected pause(pauseMs: number): void {
    this.isTurnOver = false
    this.enter(Flow.PAUSED)
    this.hall.later(() => this.wake(), pauseMs)
  }

  /** The pause is over: others had their turn. */
  private wake(): void {
    this.hall.host.reply.roundBytes = ROUND_INSERTS_BYTES
    if (this.flow === Flow.PAUSED) this.goOn()
  }

  sent(): void {
    const { flow, rest, keptBytes, isHalfClosed } = this
    if (flow === Flow.SENDING) this.settle()
    else if (flow !== Flow.STUCK) return
    else this.readAtS = this.hall.host.cache.nowS
    if (flow === Flow.STUCK && this.isTurnOver) return this.pause(0)
    if (flow === Flow.STUCK || rest !== null || keptBytes > 0 || isHalfClosed) this.goOn()
  }

  private get id(): number {
    return Roster.idOf(this.slot)
  }

  endpoint(): Endpoint {
    return this.line.endpoint()
  }

  /** Closes the connection now; what was not sent is lost. */
  destroy(): void {
    this.line.destroy()
  }

  /** Runs no request any more, and closes the connection when its replies are sent. */
  leave(): void {
    if (this.flow >= Flow.CLOSING) return
    this.session.closeReason = CloseReason.NORMAL
    this.enter(Flow.CLOSING)
    this.line.leave()
  }

  /** Closes the connection now and releases nothing that it holds: others do. */
  abandon(): void {
    this.enter(Flow.CLOSED)
    this.hall.open.delete(this)
    this.line.abandon()
  }

  /**
   * Closes the connection if since then the peer has sent neither a request nor a part of a value,
   * and read nothing of its replies. Called at each tick. A watcher is never idle.
   */
  endIfIdle(sinceS: number): void {
    const { hall, session, slot, line, flow } = this
    const { unsentBytes } = line
    if (unsentBytes !== this.unsentBytes) this.readAtS = hall.host.cache.nowS
    this.unsentBytes = unsentBytes
    if (Math.max(hall.roster.spokeAtS(slot), this.readAtS) >= sinceS || line.ended) return
    if (flow === Flow.PAUSED || session.state === State.WATCHING) return
    hall.host.counters[ThreadCounter.IDLE_KICKS]++
    if (hall.host.control[Control.VERBOSITY] > 1) {
      hall.host.log(`Closing idle fd ${this.id}`)
    }
    session.closeReason = CloseReason.IDLE_TIMEOUT
    line.destroy()
  }

  read(input: Area, start: number, bytes: number): boolean {
    try {
      const goesOn = this.take(input, start, bytes)
      // A short read that was filled may have begun another long value; a shorter one did not.
      if (this.expectsValue) this.expectsValue = bytes < SHORT_READ_BYTES
      return goesOn
    } catch (error) {
      this.hall.fail(error)
      return false
    }
  }

  filled(bytes: number): boolean {
    const { session, hall } = this
    hall.host.counters[ThreadCounter.BYTES_READ] += bytes
    try {
      const start = session.fillStart()
      const { area } = session.request.shard.arena
      const goesOn = this.eat(area, session.filled(bytes), start + bytes)
      this.expectsValue = session.request.valueBytes >= SHORT_READ_VALUE_BYTES_MIN
      return goesOn
    } catch (error) {
      hall.fail(error)
      return false
    }
  }

  fillView(): Buffer | null {
    const isFilling = this.flow === Flow.READING_VALUE && this.rest === null
    return isFilling ? this.session.fillView() : null
  }

  readsShort(): boolean {
    return this.expectsValue
  }

  awaitsBytes(): number {
    return this.session.state === State.FILLING ? this.session.fillBytes() : 0
  }

  private take(input: Area, start: number, bytes: number): boolean {
    const { session } = this
    this.hall.host.counters[ThreadCounter.BYTES_READ] += bytes
    if (!session.isSecret()) return this.feed(input, start, bytes)
    const { rest } = this
    const from = start - Math.min(this.restEnd - this.restStart, READ_REST_BYTES_MAX)
    const goesOn = this.feed(input, start, bytes)
    input.bytes.fill(0, from, start + bytes)
    if (rest !== this.rest) rest?.bytes.fill(0)
    return goesOn
  }

  private feed(input: Area, start: number, bytes: number): boolean {
    const { session, flow } = this
    // Its session runs by itself; input is discarded.
    if (session.state === State.WATCHING) return true
    if (flow >= Flow.CLOSING) return false
    if (flow >= Flow.SENDING) return this.keep(input, start, bytes)
    const { rest, restStart } = this
    if (rest === null) return this.eat(input, start, start + bytes)
    const restBytes = this.restEnd - restStart
    if (restBytes > READ_REST_BYTES_MAX) {
      this.keep(input, start, bytes)
      return this.eatRest()
    }
    rest.bytes.copy(input.bytes, start - restBytes, restStart, this.restEnd)
    return this.eat(input, start - restBytes, start + bytes)
  }

  /** Keeps input that cannot be consumed yet. Returns whether more may be read. */
  private keep(input: Area, start: number, bytes: number): boolean {
    this.kept.push(Buffer.from(input.bytes.subarray(start, start + bytes)))
    this.keptBytes += bytes
    return this.keptBytes < KEPT_READ_BYTES_MAX
  }

  private eatRest(): boolean {
    if (this.keptBytes > 0) {
      const { rest, restStart, restEnd } = this
      const all = Area.allocate(restEnd - restStart + this.keptBytes)
      let at = rest?.bytes.copy(all.bytes, 0, restStart, restEnd) ?? 0
      for (const piece of this.kept) at += piece.copy(all.bytes, at)
      if (this.session.isSecret()) this.wipe()
      this.rest = all
      this.restStart = 0
      this.restEnd = at
      this.kept.length = 0
      this.keptBytes = 0
    }
    const { rest } = this
    if (rest === null || !this.session.isSecret()) {
      return this.eat(rest ?? NOTHING, this.restStart, this.restEnd)
    }
    const goesOn = this.eat(rest, this.restStart, this.restEnd)
    rest.bytes.fill(0, 0, this.rest === rest ? this.restStart : undefined)
    return goesOn
  }

  /** Overwrites the waiting input. */
  private wipe(): void {
    this.rest?.bytes.fill(0)
    for (const piece of this.kept) piece.fill(0)
  }

  /** Runs the session on the bytes in [start, end). Returns whether more may be read. */
  private eat(input: Area, start: number, end: number): boolean {
    const { session, hall } = this
    const wasFilling = session.state === State.FILLING
    this.written = 0
    const used = session.run(input, start, end)
    if (used > start || wasFilling) hall.roster.spoke(this.slot, hall.host.cache.nowS)
    // If it is stuck, `flush` or `later` has set the flow.
    if (!session.isStuck()) this.finish()
    this.leaveRest(input, used, end)
    if (session.state === State.ENDED) {
      this.close()
      return false
    }
    if (session.state === State.WATCHING) {
      this.show(Phase.WATCH)
      return true
    }
    const isReading = this.rest !== null || session.state === State.FILLING
    if (isReading || this.shown !== Phase.REQUEST) this.showProgress()
    return this.flow <= Flow.SENDING || this.isPenalised()
  }

  private isPenalised(): boolean {
    return this.flow === Flow.PAUSED && this.session.isPenalised()
  }

  /** Whether a value is being received, for `stats conns`. */
  private showProgress(): void {
    const { session, rest, flow } = this
    const isWaiting = rest !== null && flow <= Flow.READING_VALUE
    const isBegunValue =
      session.state === State.FILLING ||
      (isWaiting && isBegun(rest.bytes.subarray(this.restStart, this.restEnd)))
    if (isBegunValue) this.hall.roster.spoke(this.slot, this.hall.host.cache.nowS)
    this.show(isBegunValue ? Phase.VALUE : Phase.REQUEST)
  }

  private show(phase: Phase): void {
    if (phase === this.shown) return
    this.shown = phase
    this.hall.roster.enters(this.slot, phase)
  }

  /** Keeps [start, end), the part of the input that was not consumed. */
  private leaveRest(input: Area, start: number, end: number): void {
    if (start === end || this.session.state === State.ENDED) {
      this.rest = null
      this.restStart = 0
      this.restEnd = 0
    } else if (input === this.rest) {
      this.restStart = start
    } else {
      this.rest = Area.allocate(end - start)
      input.bytes.copy(this.rest.bytes, 0, start, end)
      this.restStart = 0
      this.restEnd = end - start
    }
  }

  /** Runs the session again after a wait. */
  protected goOn(): void {
    if (this.line.ended) return
    this.settle()
    try {
      if (!this.eatRest()) return
      if (this.isHalfClosed) this.close()
      else this.line.resume()
    } catch (error) {
      this.hall.fail(error)
    }
  }

  // Waiting replies, and those to input that came meanwhile, are sent first; then goOn closes.
  halfClosed(): void {
    const { flow, session } = this
    this.isHalfClosed = true
    const isWatching = flow === Flow.PAUSED && session.state === State.WATCHING
    if (flow <= Flow.READING_VALUE || isWatching || this.isPenalised()) this.close()
  }

  /** No request is run any more; the line closes when all is sent. */
  private close(): void {
    this.enter(Flow.CLOSING)
    this.line.endSoon()
  }

  closed(hadError: boolean): void {
    if (this.flow === Flow.CLOSED) return
    this.enter(Flow.CLOSED)
    this.note(hadError)
    this.log('connection closed.')
    if (this.session.isSecret()) this.wipe()
    this.rest = null
    this.restStart = 0
    this.restEnd = 0
    this.kept.length = 0
    this.keptBytes = 0
    this.hall.open.delete(this)
    this.hall.roster.give(this.slot)
    try {
      this.session.close()
    } catch (error) {
      this.hall.fail(error)
    }
  }

  /** Tells watchers that it closed and why. */
  private note(hadError: boolean): void {
    const { host, roster } = this.hall
    if (!host.journal.wants(Kind.CONNEVENTS)) return
    const { state, closeReason } = this.session
    const left = hadError ? CloseReason.ERROR : CloseReason.NORMAL
    const ended = state === State.ENDED || closeReason !== CloseReason.ERROR
    const reason = ended ? closeReason : left
    host.journal.closed(this.id, roster.addressOf(this.id), reason)
  }

  private log(event: string): void {
    const { host } = this.hall
    if (host.control[Control.VERBOSITY] > 1) host.log(`<${this.id} ${event}`, 'debug')
  }
}

/** Whether the line or header of a request is complete, so that its value is being received. */
function isBegun(bytes: Buffer): boolean {
  return bytes[0] === REQUEST_MAGIC ? bytes.length >= HEADER_BYTES : bytes.includes(LF)
}
