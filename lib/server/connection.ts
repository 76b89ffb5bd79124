// One peer of a thread: feeds what its line reads to a session, has replies sent, and keeps a peer
// that does not read from costing more than its bound.
//
// What a session did not eat is copied to `rest`: at most a line, a short value, or, while the peer is
// stuck, some reads. While a reply is on its way nothing is run; what comes is kept, up to a bound.
// One that asks for much and takes it fast lets the others have a turn in between.

import { Area } from '../bytes/area.ts'
import { KIB, MIB } from '../bytes/units.ts'
import { CLOCK_S } from '../engine/arena/layout.ts'
import { CloseReason, Kind } from '../observe/journal.ts'
import { HEADER_BYTES, REQUEST_MAGIC } from '../protocol/binary/layout.ts'
import { type Endpoint, State } from '../protocol/conversation.ts'
import { Control, type Host, ThreadCounter } from '../protocol/host.ts'
import { READ_REST_BYTES_MAX } from '../protocol/limits.ts'
import { type Outlet, Session } from '../protocol/session.ts'
import { type Line, type LineOwner, Sent } from './line/line.ts'
import { Roster } from './roster.ts'
import type { ListenerFacts } from './worker-host.ts'

/** What a peer may say while it does not take its replies; nothing more is read then. */
const KEPT_READ_BYTES_MAX = 64 * KIB

/** After so many bytes of replies in one turn a connection lets the others have theirs. */
const YIELD_BYTES = MIB

/** What the connections of one thread share. */
export interface Hall {
  readonly host: Host
  readonly roster: Roster
  /** What they came through, in the order that roster slots refer to. */
  readonly listeners: readonly ListenerFacts[]
  readonly open: Set<Connection>
  /** Runs something after so many milliseconds, with 0 behind what else is to be done. */
  readonly later: (work: () => void, pauseMs: number) => void
  /** Something was thrown while a peer was served. */
  readonly fail: (error: unknown) => void
}

const LF = 10
const NOTHING = Area.allocate(0)
/** memcached's words for connections that begin. */
const KINDS = {
  auto: 'auto-negotiating client connection',
  ascii: 'ascii client connection.',
  binary: 'binary client connection.',
} as const

export class Connection implements Outlet, LineOwner {
  private readonly hall: Hall
  private readonly slot: number
  private readonly line: Line
  private readonly session: Session
  readonly takesInserts: boolean
  /** Input not eaten yet. */
  private rest: Area | null = null
  private restStart = 0
  private restEnd = 0
  /** What came behind it while a reply was on its way. */
  private readonly kept: Buffer[] = []
  private keptBytes = 0
  /** A reply is on its way: until it is gone the session does not run. */
  private sending = false
  /** Bytes of replies since the session was last given a turn. */
  private written = 0
  /** The peer said its last, and waits for what it asked. */
  private hasLeft = false
  private isClosed = false

  /** `open` gives its line, not reading yet. */
  constructor(hall: Hall, open: (owner: LineOwner) => Line, slot: number) {
    this.hall = hall
    this.slot = slot
    const { protocol } = hall.listeners[hall.roster.listenerOf(slot)]
    this.session = new Session(hall.host, this, Roster.idOf(slot), protocol)
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

  /** Sends the reply buffer: false if the session must wait until that is done. */
  flush(): boolean {
    const sent = this.push()
    return sent === Sent.ALL && this.endTurn()
  }

  /** Sends the last replies of a run; whether more may be read. */
  private finish(): boolean {
    const sent = this.push()
    return sent === Sent.SOON || (sent === Sent.ALL && this.endTurn())
  }

  private push(): Sent {
    const { reply, counters } = this.hall.host
    const bytes = reply.length - reply.start + reply.inserts.bytes
    if (bytes === 0) return Sent.ALL
    counters[ThreadCounter.BYTES_WRITTEN] += bytes
    this.written += bytes
    const sent = this.line.send()
    this.sending = sent === Sent.SOON || sent === Sent.LATER
    return sent
  }

  /** Whether this connection may write more before the others have their turn. */
  private endTurn(): boolean {
    if (this.written < YIELD_BYTES) return true
    this.hall.host.counters[ThreadCounter.CONN_YIELDS]++
    this.later(0)
    return false
  }

  later(pauseMs: number): void {
    this.hall.later(() => this.goOn(), pauseMs)
  }

  sent(): void {
    this.sending = false
    const { rest, keptBytes, session } = this
    if (rest !== null || keptBytes > 0 || session.isStuck() || this.hasLeft) this.goOn()
  }

  private get id(): number {
    return Roster.idOf(this.slot)
  }

  endpoint(): Endpoint {
    return this.line.endpoint()
  }

  /** Ends the connection now; what was not sent is lost. */
  destroy(): void {
    this.line.destroy()
  }

  /** Ends the connection now and leaves what it holds to others. */
  abandon(): void {
    this.isClosed = true
    this.hall.open.delete(this)
    this.line.abandon()
  }

  /**
   * Ends the connection if nothing it said since then was a request or a part of a value. One in the
   * middle of a value, in either direction, or of a reply without end, is not idle.
   */
  endIfIdle(sinceS: number): void {
    const { hall, session, slot, line } = this
    if (hall.roster.spokeAtS(slot) >= sinceS || session.isStuck() || line.ended) return
    if (session.state !== State.COMMAND && session.state !== State.KEYS) return
    if (this.rest !== null && isBegun(this.rest.bytes.subarray(this.restStart, this.restEnd)))
      return
    hall.host.counters[ThreadCounter.IDLE_KICKS]++
    if (hall.host.control[Control.VERBOSITY] > 1) {
      hall.host.log(`Closing idle fd ${this.id}`)
    }
    session.closeReason = CloseReason.IDLE_TIMEOUT
    line.destroy()
  }

  read(input: Area, start: number, bytes: number): boolean {
    try {
      return this.take(input, start, bytes)
    } catch (error) {
      this.hall.fail(error)
      return false
    }
  }

  /** Bytes of a value were read to their place in the arena. */
  filled(bytes: number): boolean {
    const { session, hall } = this
    hall.host.counters[ThreadCounter.BYTES_READ] += bytes
    try {
      const start = session.fillStart()
      return this.eat(session.request.shard.arena.area, session.filled(bytes), start + bytes)
    } catch (error) {
      hall.fail(error)
      return false
    }
  }

  fillView(): Buffer | null {
    return this.rest === null && !this.sending ? this.session.fillView() : null
  }

  awaitsBytes(): number {
    return this.session.state === State.FILLING ? this.session.fillBytes() : 0
  }

  valueBytes(): number {
    return this.session.request.valueBytes
  }

  private take(input: Area, start: number, bytes: number): boolean {
    this.hall.host.counters[ThreadCounter.BYTES_READ] += bytes
    // Only the end of what it says is of interest: the session is at work by itself.
    if (this.session.state === State.WATCHING) return true
    if (this.sending || this.session.isStuck()) return this.keep(input, start, bytes)
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

  /** Input that cannot be eaten yet; whether more of it may come. */
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
      this.rest = all
      this.restStart = 0
      this.restEnd = at
      this.kept.length = 0
      this.keptBytes = 0
    }
    return this.eat(this.rest ?? NOTHING, this.restStart, this.restEnd)
  }

  /** Runs the session over the bytes in [start, end); whether more may be read. */
  private eat(input: Area, start: number, end: number): boolean {
    const { session, hall } = this
    const wasFilling = session.state === State.FILLING
    this.written = 0
    const used = session.run(input, start, end)
    if (used > start || wasFilling) hall.roster.spoke(this.slot, this.nowS())
    if (!session.isStuck() && !this.finish()) session.wait()
    this.leaveRest(input, used, end)
    if (session.state === State.ENDED) {
      this.line.endSoon()
      return false
    }
    if (session.state === State.WATCHING) hall.roster.watches(this.slot)
    return !session.isStuck() || session.state === State.WATCHING
  }

  /** Of what was eaten from, [start, end) is left. */
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

  /** What was on its way is gone, or the others had their turn: the session goes on. */
  private goOn(): void {
    if (this.isClosed || this.sending || this.line.ended) return
    if (this.session.state === State.ENDED) return
    try {
      if (!this.eatRest()) return
      if (this.hasLeft) this.line.endSoon()
      else this.line.resume()
    } catch (error) {
      this.hall.fail(error)
    }
  }

  // The end may come while nothing is run: replies that wait go out before, and so do those to what
  // came while one was on its way.
  left(): void {
    this.hasLeft = true
    const { session } = this
    if (this.sending) return
    if (!session.isStuck() || session.state === State.WATCHING) this.line.endSoon()
  }

  closed(hadError: boolean): void {
    if (this.isClosed) return
    this.isClosed = true
    this.note(hadError)
    this.log('connection closed.')
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

  /** Tells those who watch of the end. */
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
    if (host.control[Control.VERBOSITY] > 1) host.log(`<${this.id} ${event}`)
  }

  private nowS(): number {
    return this.hall.host.cache.shards[0].arena.words[CLOCK_S]
  }
}

/** Whether the line, or the header, of a request is there whole: then its value is on its way. */
function isBegun(bytes: Buffer): boolean {
  return bytes[0] === REQUEST_MAGIC ? bytes.length >= HEADER_BYTES : bytes.includes(LF)
}
