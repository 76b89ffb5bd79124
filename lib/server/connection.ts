// One socket of a worker: feeds what it reads to a session, sends replies, and keeps a peer that
// does not read from costing more than its bound.
//
// All connections of a worker share the read buffer and the reply buffer. Long values pass them by:
// the socket reads into the value's own place in its arena, and writes from there. What a session did not
// eat is copied to `rest`: at most a line, a short value, or, while the peer is stuck, one read. When
// the kernel does not take a whole reply, the pending write owns that reply buffer, the worker goes
// on with another, and this connection stops reading and parsing until the write is done. One that
// asks for much and takes it fast lets the others have a turn in between.

import type { Socket } from 'node:net'
import { Area } from '../engine/bytes.ts'
import { CLOCK_S } from '../engine/layout.ts'
import {
  HEAD_BYTES_MAX,
  READ_REST_BYTES_MAX,
  REPLY_BYTES,
  REPLY_POOL_MAX,
  SHORT_READ_BYTES,
  SHORT_READ_VALUE_BYTES_MIN,
  YIELD_BYTES,
} from '../limits.ts'
import { HEADER_BYTES, REQUEST_MAGIC } from '../protocol/binary-layout.ts'
import { type Endpoint, State } from '../protocol/conversation.ts'
import { Control, type Host, ThreadCounter } from '../protocol/host.ts'
import { Inserts } from '../protocol/inserts.ts'
import { CloseReason, Kind } from '../protocol/journal.ts'
import { type Outlet, Session } from '../protocol/session.ts'
import {
  adoptSocket,
  readByEvents,
  type Sender,
  Sent,
  StreamWriter,
  type Writer,
  writerOf,
} from './adopt.ts'
import { gather } from './gather.ts'
import type { ListenerFacts } from './host.ts'
import { Roster } from './roster.ts'

/** What the connections of one thread share. */
export interface Hall {
  readonly host: Host
  readonly roster: Roster
  /** What they came through, in the order that roster slots refer to. */
  readonly listeners: readonly ListenerFacts[]
  /** What a read gave, behind what the one before left. */
  readonly input: Area
  /** Where every socket reads to: the input from READ_REST_BYTES_MAX on, all of it or little. */
  readonly read: Buffer
  readonly shortRead: Buffer
  /** Reply buffers that wait to be used again. */
  readonly spare: Area[]
  readonly open: Set<Connection>
  /** Something was thrown while a peer was served. */
  readonly fail: (error: unknown) => void
}

const LF = 10
/** memcached's words for connections that begin. */
const KINDS = {
  auto: 'auto-negotiating client connection',
  ascii: 'ascii client connection.',
  binary: 'binary client connection.',
} as const

export class Connection implements Outlet, Sender {
  private readonly hall: Hall
  private readonly slot: number
  private readonly socket: Socket
  private readonly session: Session
  private readonly writer: Writer
  readonly takesInserts: boolean
  /** Where the socket reads to while that is a value's own place. */
  private direct: Buffer | null = null
  /** It reads to the beginning of the shared buffer, where it has just read a long value. */
  private readsShort = false
  private lastReadBytes = 0
  /** Input not eaten yet. */
  private rest: Area | null = null
  /** The reply buffer that a pending write owns. */
  private pending: Area | null = null
  private pendingInserts: Inserts | null = null
  /** Replies with inserts are sent from here if they are short, so that none waits with a reply buffer. */
  private head: Buffer | null = null
  /** Bytes of replies since the session was last given a turn. */
  private written = 0
  /** The peer said its last, and waits for what it asked. */
  private left = false
  private closed = false

  /** `encrypted`: TLS stands between this and the socket's connection. */
  constructor(hall: Hall, accepted: Socket, slot: number, encrypted = false) {
    this.hall = hall
    this.slot = slot
    const { protocol } = hall.listeners[hall.roster.listenerOf(slot)]
    this.session = new Session(hall.host, this, Roster.idOf(slot), protocol)
    this.takesInserts = !encrypted
    const read = (bytes: number) => this.read(bytes)
    const next = () => this.nextBuffer()
    const adopt = encrypted ? readByEvents : adoptSocket
    this.socket = adopt(accepted, hall.read, read, next)
    this.writer = encrypted
      ? new StreamWriter(this.socket, this, true)
      : writerOf(this.socket, this)
    // A reset is the peer's right; 'close' follows and clears up.
    this.socket.on('error', () => {})
    this.socket.on('close', hadError => this.close(hadError))
    if (encrypted) this.socket.on('end', () => this.leave())
    hall.open.add(this)
    const { journal } = hall.host
    if (journal.wants(Kind.CONNEVENTS)) {
      journal.opened(this.id, hall.roster.addressOf(this.id))
    }
    this.log(`new ${KINDS[protocol]}`)
    this.socket.resume()
  }

  /** Sends the reply buffer: false if the kernel did not take all of it. */
  flush(): boolean {
    const { reply, counters } = this.hall.host
    if (reply.inserts.count > 0) return this.flushInserts()
    if (reply.length === 0) return true
    const bytes = reply.area.head(reply.length)
    counters[ThreadCounter.BYTES_WRITTEN] += reply.length
    this.written += reply.length
    reply.length = 0
    const sent = this.writer.write(bytes)
    if (sent === Sent.FAILED) return false
    if (sent === Sent.LATER) {
      this.pending = reply.area
      reply.area = this.hall.spare.pop() ?? Area.allocate(REPLY_BYTES)
      return false
    }
    return this.endTurn()
  }

  /** As `flush`; the inserts are held until all of them are sent. */
  private flushInserts(): boolean {
    const { reply, counters } = this.hall.host
    const { inserts, length } = reply
    const isShort = length <= HEAD_BYTES_MAX
    if (isShort) this.head ??= Buffer.allocUnsafeSlow(HEAD_BYTES_MAX)
    const from = isShort && this.head !== null ? this.head : reply.area.bytes
    if (isShort) reply.area.bytes.copy(from, 0, 0, length)
    counters[ThreadCounter.BYTES_WRITTEN] += length + inserts.bytes
    this.written += length + inserts.bytes
    reply.length = 0
    const sent = this.writer.writeAll(gather(from.subarray(0, length), inserts))
    if (sent === Sent.LATER) {
      this.pendingInserts = inserts
      reply.inserts = new Inserts()
      if (isShort) return false
      this.pending = reply.area
      reply.area = this.hall.spare.pop() ?? Area.allocate(REPLY_BYTES)
      return false
    }
    inserts.clear()
    return sent === Sent.ALL && this.endTurn()
  }

  /** Whether this connection may write more before the others have their turn. */
  private endTurn(): boolean {
    if (this.written < YIELD_BYTES) return true
    this.hall.host.counters[ThreadCounter.CONN_YIELDS]++
    this.later(0)
    return false
  }

  later(pauseMs: number): void {
    if (pauseMs === 0) setImmediate(() => this.goOn())
    else setTimeout(() => this.goOn(), pauseMs)
  }

  sent(): void {
    this.goOn()
  }

  private get id(): number {
    return Roster.idOf(this.slot)
  }

  /** Of a UNIX socket: where a client would look for the daemon. */
  endpoint(): Endpoint {
    const { localAddress = '127.0.0.1', localPort = 0 } = this.socket
    return { address: localAddress, port: localPort }
  }

  /** Ends the connection now; what was not sent is lost. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Ends the connection now and leaves what it holds to others. */
  abandon(): void {
    this.closed = true
    // The write that is under way ends later: by then its holds may be somebody else's.
    this.pendingInserts = null
    this.hall.open.delete(this)
    this.socket.destroy()
  }

  /**
   * Ends the connection if nothing it said since then was a request or a part of a value. One in the
   * middle of a value, in either direction, or of a reply without end, is not idle.
   */
  endIfIdle(sinceS: number): void {
    const { hall, session, slot, socket } = this
    if (hall.roster.spokeAtS(slot) >= sinceS || session.isStuck() || socket.destroyed) return
    if (session.state !== State.COMMAND && session.state !== State.KEYS) return
    if (this.rest !== null && isBegun(this.rest.bytes)) return
    hall.host.counters[ThreadCounter.IDLE_KICKS]++
    if (hall.host.control[Control.VERBOSITY] > 1) {
      hall.host.log(`Closing idle fd ${this.id}`)
    }
    session.closeReason = CloseReason.IDLE_TIMEOUT
    socket.destroy()
  }

  private read(bytes: number): boolean {
    try {
      return this.take(bytes)
    } catch (error) {
      this.hall.fail(error)
      return false
    }
  }

  private take(bytes: number): boolean {
    const { host, input } = this.hall
    host.counters[ThreadCounter.BYTES_READ] += bytes
    this.lastReadBytes = bytes
    // Only the end of what it says is of interest: the session is at work by itself.
    if (this.session.state === State.WATCHING) return true
    if (this.direct !== null) return this.takeDirect(this.direct.byteOffset, bytes)
    const readEnd = READ_REST_BYTES_MAX + bytes
    if (this.rest === null) return this.eat(input, READ_REST_BYTES_MAX, readEnd)
    const rest = this.rest.bytes
    const start = READ_REST_BYTES_MAX - rest.length
    if (start >= 0) {
      rest.copy(input.bytes, start)
      return this.eat(input, start, readEnd)
    }
    const all = Area.allocate(rest.length + bytes)
    rest.copy(all.bytes)
    input.bytes.copy(all.bytes, rest.length, READ_REST_BYTES_MAX, readEnd)
    return this.eat(all, 0, all.bytes.length)
  }

  /** Bytes of a value were read to their place in the arena, `start`, and some behind it maybe. */
  private takeDirect(start: number, bytes: number): boolean {
    const { session } = this
    const { area } = session.request.shard.arena
    return this.eat(area, session.filled(bytes), start + bytes)
  }

  /** Where the socket shall read to from now on; undefined: to where it does. */
  private nextBuffer(): Buffer | undefined {
    const { session, direct, readsShort, hall } = this
    this.direct = this.rest === null ? session.fillView() : null
    this.readsShort = false
    if (this.direct !== null) return this.direct
    // The next value is likely to be as long: of that no more than its beginning goes by the buffer.
    if (direct !== null) this.readsShort = session.request.valueBytes >= SHORT_READ_VALUE_BYTES_MIN
    else if (!readsShort) return undefined
    else this.readsShort = this.lastReadBytes < SHORT_READ_BYTES
    if (!this.readsShort) return hall.read
    return readsShort ? undefined : hall.shortRead
  }

  /** Runs the session over the bytes in [start, end); whether more may be read. */
  private eat(input: Area, start: number, end: number): boolean {
    const { session } = this
    this.written = 0
    const used = session.run(input, start, end)
    if (used > start || this.direct !== null) this.hall.roster.spoke(this.slot, this.nowS())
    if (!session.isStuck() && !this.flush()) session.wait()
    this.rest = null
    if (session.state === State.ENDED) {
      this.socket.destroySoon()
      return false
    }
    if (used < end) {
      this.rest = Area.allocate(end - used)
      input.bytes.copy(this.rest.bytes, 0, used, end)
    }
    if (session.state === State.WATCHING) this.hall.roster.watches(this.slot)
    return !session.isStuck() || session.state === State.WATCHING
  }

  /** The pending write is done, or the others had their turn: the session goes on. */
  private goOn(): void {
    this.givePending()
    if (this.closed || this.socket.destroyed || this.session.state === State.ENDED) return
    const rest = this.rest ?? Area.allocate(0)
    try {
      if (!this.eat(rest, 0, rest.bytes.length)) return
      if (this.left) this.socket.end()
      else this.socket.resume()
    } catch (error) {
      this.hall.fail(error)
    }
  }

  // Through TLS the end comes even while nothing is read: replies that wait go out before.
  private leave(): void {
    this.left = true
    const { session } = this
    if (!session.isStuck() || session.state === State.WATCHING) this.socket.end()
  }

  private close(hadError: boolean): void {
    if (this.closed) return
    this.closed = true
    this.note(hadError)
    this.log('connection closed.')
    this.givePending()
    this.rest = null
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

  private givePending(): void {
    const { pending } = this
    this.pending = null
    this.pendingInserts?.clear()
    this.pendingInserts = null
    if (pending !== null && this.hall.spare.length < REPLY_POOL_MAX) this.hall.spare.push(pending)
  }
}

/** Whether the line, or the header, of a request is there whole: then its value is on its way. */
function isBegun(bytes: Buffer): boolean {
  return bytes[0] === REQUEST_MAGIC ? bytes.length >= HEADER_BYTES : bytes.includes(LF)
}
