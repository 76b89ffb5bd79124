// One peer's conversation: consumes input cut anywhere, runs complete requests, writes replies in
// order. Knows no socket: the owner of one feeds bytes to `run` and sends what was written.
//
//   COMMAND   at the start of a request; the protocol parses and runs it
//   KEYS      inside the keys of a get, of which there may be any number
//   SENDING   inside a long value being sent: held, inserted into the reply or copied in pieces; or
//             a copy of its own, if values being sent keep too much memory
//   FILLING   inside a partial value: held, written as it arrives by `run`, or by the owner of the
//             socket where `fillView` says
//   SWALLOW   inside bytes to discard: a refused value, the rest of a broken get
//   WATCHING  the peer gets log lines from an endless source; input is discarded
//   ENDED     the peer sent quit or something that cannot be answered; input is not consumed
//
// `run` consumes what it can and returns how far. It stops if it needs more input, or if the
// replies cannot be sent now; then it continues when it is called again.
//
// The first byte of a connection chooses its protocol, unless the listener has one.

import type { Pass } from '../access/pass.ts'
import { Area, copyBytes } from '../bytes/area.ts'
import { type Arena, HOLD_SLOTS_MAX } from '../engine/arena/arena.ts'
import { heldRef, holdCount } from '../engine/items/holds.ts'
import { readValue } from '../engine/items/item.ts'
import { createPlace, nextPlace, rewind } from '../engine/items/place.ts'
import { Status } from '../engine/status.ts'
import { isJoin } from '../engine/storing/terms.ts'
import { CloseReason } from '../observe/journal.ts'
import { Timed } from '../observe/latency.ts'
import {
  type Conversation,
  type Endpoint,
  type Filling,
  NEED_MORE,
  type Outlet,
  type Protocol,
  type ProtocolName,
  type Sending,
  type Source,
  State,
} from './conversation.ts'
import { protocolFor } from './dialects.ts'
import { type Operations, operations } from './execute.ts'
import { guarded, guardedWatched } from './guarded.ts'
import { type Host, ThreadCounter, TURN_UNBOUNDED } from './host.ts'
import {
  DIRECT_READ_BYTES_MIN,
  REPLY_FRAME_BYTES_MAX,
  TURN_LOOK_REQUESTS,
  UPLOAD_WAIT_MS_MAX,
  UPLOAD_WAIT_MS_MIN,
  UPLOAD_WAITS_MAX,
} from './limits.ts'
import { forgetAhead } from './lookahead.ts'
import type { Reply } from './reply.ts'
import { Request } from './request.ts'
import { Swallow } from './swallow.ts'
import { beginTurn, isLate } from './turn.ts'
import { watched } from './watched.ts'

/** Empty pieces in a row that a source may return before others have a turn. */
const SOURCE_STEPS_MAX = 8

/** While this many items of an arena are held, replies take values one at a time, as copies. */
export const INSERTS_HELD_MAX = HOLD_SLOTS_MAX / 2

export type { Outlet } from './conversation.ts'

export class Session implements Conversation {
  readonly host: Host
  readonly request: Request
  readonly id: number
  operations: Operations
  readonly pass: Pass | null
  readonly takesLogins: boolean
  /** Commands that ran so far. */
  requestCount = 0
  state: State = State.COMMAND
  closeReason: CloseReason = CloseReason.ERROR
  replyStart = 0
  private readonly reply: Reply
  private readonly outlet: Outlet
  private readonly protocolName: ProtocolName
  /** Its operations, and those while somebody watches. */
  private readonly basic: Operations
  private readonly observed: Operations
  /** Peers log in: what they send may contain a password. */
  private readonly mayBeSecret: boolean
  /** Chosen by the first byte. */
  private protocol: Protocol | null = null
  /** After this many requests the turn is over, or the peer has asked for too many replies. */
  private readonly turnRequests: number = TURN_UNBOUNDED
  /** The outlet takes no more for now. */
  private stuck = false
  /** Position in a held value being filled or sent, and the bytes that may follow a filled one. */
  private readonly place = createPlace()
  private bytesBehind = 0
  /** The receiver of the value being filled, and the requester of the one being sent. */
  private filling: Filling | null = null
  private sending: Sending | null = null
  /** The held value is sent from its arena. */
  private inserting = false
  /** Its copy, which is sent instead. */
  private copy: Area | null = null
  /** How often the upload has waited for memory. */
  private waits = 0
  private readonly swallowing = new Swallow()
  private tail: Buffer | null = null
  private tailOffset = 0
  /** The source of the next tail. */
  private source: Source | null = null

  /**
   * `id` is the peer's number in logs, like memcached's file descriptor; `names` those of its
   * certificate.
   */
  constructor(
    host: Host,
    outlet: Outlet,
    id: number,
    protocolName: ProtocolName = 'auto',
    names: readonly string[] = [],
  ) {
    this.host = host
    this.protocolName = protocolName
    this.reply = host.reply
    this.outlet = outlet
    const { requestsMax, repliesMax } = host.turn
    if (outlet.takesTurns) this.turnRequests = Math.min(requestsMax, repliesMax + 1)
    this.id = id
    this.request = new Request(host.reply.area, host, id)
    this.request.copyRoom = host.reply.copyRoom
    this.pass = host.access?.arrive(id, names) ?? null
    this.takesLogins = outlet.takesLogins !== false
    this.mayBeSecret = host.auth !== null || host.access !== null
    this.request.pass = this.pass
    this.basic = this.pass === null ? operations : guarded
    this.observed = this.pass === null ? watched : guardedWatched
    this.operations = this.basic
    this.endWaits()
  }

  /** Runs requests from [start, end). Returns how far. Call again with the rest and more. */
  run(input: Area, start: number, end: number): number {
    let at = start
    this.stuck = false
    this.replyStart = -1
    forgetAhead()
    beginTurn()
    const isTimed = this.host.latency.begins()
    if (isTimed) this.request.timed = Timed.NOTHING
    let requests = 0
    let lookAt = Math.min(TURN_LOOK_REQUESTS, this.turnRequests)
    while (this.state !== State.ENDED && !this.stuck) {
      if (this.reply.room() < REPLY_FRAME_BYTES_MAX && !this.flush()) break
      if (this.tail !== null) {
        this.writeTail(this.tail)
        continue
      }
      if (this.source !== null) {
        this.look(requests, true)
        if (!this.stuck) this.drawSource(this.source)
        continue
      }
      const isRequest = this.state === State.COMMAND
      const next = this.step(input, at, end)
      if (next === NEED_MORE) break
      at = next
      if (isTimed && this.state !== State.KEYS) this.noteTime()
      if (isRequest) requests++
      if (requests >= lookAt || !isRequest || isJoin(this.request.mode)) {
        lookAt = this.look(requests, at < end)
      }
    }
    this.requestCount += requests
    return this.state === State.WATCHING ? end : at
  }

  /** The request of a timed read is done, up to a long value that is still to be sent. */
  private noteTime(): void {
    const { request } = this
    if (request.timed !== Timed.NOTHING) this.host.latency.note(request.timed)
    request.timed = Timed.NOTHING
  }

  /** Ends the turn if it has reached a bound. Returns at how many requests to look again. */
  private look(requests: number, isMore: boolean): number {
    if (this.turnRequests === TURN_UNBOUNDED || this.stuck) return TURN_UNBOUNDED
    const { turn } = this.host
    if (requests > turn.repliesMax) this.refuseReplies()
    else if (isMore && (requests >= turn.requestsMax || isLate())) this.endTurn()
    return Math.min(requests + TURN_LOOK_REQUESTS, this.turnRequests)
  }

  /** As in memcached, the peer is closed without the pending replies. */
  private refuseReplies(): void {
    this.host.counters[ThreadCounter.REPLIES_REFUSED]++
    this.reply.cut(this.reply.start)
    this.close()
  }

  private endTurn(): void {
    this.host.counters[ThreadCounter.CONN_YIELDS]++
    this.flush()
    this.outlet.later(0)
    this.stuck = true
  }

  /** Whether the last `run` stopped because the replies could not be sent. */
  isStuck(): boolean {
    return this.stuck
  }

  /** Whether the peer's input may contain a password. */
  isSecret(): boolean {
    if (!this.mayBeSecret) return false
    return this.protocol === null || this.protocol.isSecret === true
  }

  /** Whether it waits because a log-in failed. */
  isPenalised(): boolean {
    return this.source?.isPenalty === true
  }

  /** The outlet took only a part of the last replies: same as a `flush` that returned false. */
  wait(): void {
    this.stuck = true
  }

  /** Releases the session's holds: the peer is gone. */
  close(): void {
    if (this.copy !== null) this.dropCopy()
    else if (this.state === State.SENDING || this.state === State.FILLING) {
      this.request.shard.release(this.request.hold)
    }
    this.state = State.ENDED
    this.tail = null
    this.source?.close()
    this.source = null
  }

  flush(): boolean {
    this.replyStart = -1
    this.stuck = !this.outlet.flush()
    return !this.stuck
  }

  /**
   * Where the next bytes of the value being filled may be read to, with some room after it; null if
   * that does not pay. Valid until the next `run`.
   */
  fillView(): Buffer | null {
    if (this.state !== State.FILLING || this.stuck) return null
    const { start, end, spare } = this.place
    if (end - start < DIRECT_READ_BYTES_MIN) return null
    return this.request.shard.arena.area.bytes.subarray(
      start,
      end + Math.min(spare, this.bytesBehind),
    )
  }

  /** Where `fillView` begins, an address in the arena of the request's shard. */
  fillStart(): number {
    return this.place.start
  }

  /** Missing bytes of the value being filled. */
  fillBytes(): number {
    const { start, end, left } = this.place
    return end - start + left
  }

  /**
   * `bytes` bytes were read to `fillView`. Those up to the result, an address in the same arena,
   * are consumed; `run` consumes the others.
   */
  filled(bytes: number): number {
    const { place } = this
    place.start = Math.min(place.end, place.start + bytes)
    return place.start
  }

  sendHeld(sending: Sending): void {
    this.state = State.SENDING
    this.sending = sending
    // Each insert is held until the reply is sent, so peers that do not read must leave holds to
    // others.
    const { arena } = this.request.shard
    this.inserting = this.outlet.takesInserts === true && holdCount(arena) <= INSERTS_HELD_MAX
    rewind(this.place, this.request.valueBytes)
    if (this.request.mustCopy) this.copyHeld()
  }

  fillHeld(bytesBehind: number, filling: Filling): void {
    this.state = State.FILLING
    this.filling = filling
    this.bytesBehind = bytesBehind
    rewind(this.place, this.request.valueBytes)
    this.endWaits()
  }

  tryLater(): void {
    // A meta command is tried in its usual form, then as any line.
    if (this.stuck) return
    const waitMs = Math.min(UPLOAD_WAIT_MS_MIN * 2 ** this.waits++, UPLOAD_WAIT_MS_MAX)
    this.request.waits = this.waits < UPLOAD_WAITS_MAX
    if (this.flush()) this.outlet.later(waitMs)
    this.stuck = true
  }

  swallow(bytes: number, reply: Area | null): void {
    this.swallowing.begin(bytes, reply)
    this.beginSwallow()
  }

  collect(bytes: number, take: (value: Buffer) => Area): void {
    this.swallowing.beginCollecting(bytes, take)
    this.beginSwallow()
  }

  swallowLine(reply: Area): void {
    this.swallowing.beginLine(reply)
    this.beginSwallow()
  }

  sendTail(bytes: Buffer): void {
    this.tail = bytes
    this.tailOffset = 0
  }

  sendSource(source: Source): void {
    this.source = source
  }

  endpoint(): Endpoint {
    return this.outlet.endpoint?.() ?? { address: '', port: 0 }
  }

  speak(protocol: Protocol): void {
    this.protocol = protocol
  }

  watch(source: Source): void {
    this.state = State.WATCHING
    this.source = source
  }

  private step(input: Area, at: number, end: number): number {
    this.operations = this.request.journal.wanted() === 0 ? this.basic : this.observed
    if (this.state === State.SENDING) {
      this.sendPiece()
      return at
    }
    if (this.state === State.FILLING) return this.fillPiece(input, at, end)
    if (at === end) return NEED_MORE
    if (this.protocol === null) {
      this.protocol = protocolFor(this, this.protocolName, input.bytes[at])
      if (this.protocol === null) {
        this.state = State.ENDED
        return end
      }
    }
    switch (this.state) {
      case State.COMMAND:
        this.replyStart = this.reply.length
        return this.protocol.command(input, at, end)
      case State.KEYS:
        return this.protocol.command(input, at, end)
      default:
        return this.swallowPiece(input, at, end)
    }
  }

  /** Takes the source's next piece that is not empty; waits if it has none now. */
  private drawSource(source: Source): void {
    for (let step = 0; step < SOURCE_STEPS_MAX; step++) {
      const piece = source.next()
      if (piece === null) {
        this.source = null
        source.close()
        return
      }
      if (piece.length > 0) return this.sendTail(piece)
      if (source.pauseMs > 0) break
    }
    if (this.flush()) this.outlet.later(source.pauseMs)
    this.stuck = true
  }

  private writeTail(tail: Buffer): void {
    const { reply } = this
    const bytes = Math.min(reply.room(), tail.length - this.tailOffset)
    tail.copy(reply.area.bytes, reply.length, this.tailOffset, this.tailOffset + bytes)
    reply.length += bytes
    this.tailOffset += bytes
    if (this.tailOffset === tail.length) this.tail = null
  }

  /** Puts the next piece of a held value into the reply. */
  private sendPiece(): void {
    const { reply, place } = this
    const { arena } = this.request.shard
    if (place.start === place.end && !this.nextPiece(arena)) return this.endSending()
    if (this.inserting && reply.roundBytes <= 0 && this.outlet.takesTurns) return this.endTurn()
    const room = this.inserting ? reply.inserts.room() : reply.room()
    const bytes = Math.min(place.end - place.start, room)
    if (bytes === 0) {
      this.flush()
      return
    }
    if (this.inserting) {
      reply.inserts.add(reply.length, arena.area, place.start, bytes)
      reply.roundBytes -= bytes
    } else {
      copyBytes(this.copy ?? arena.area, place.start, reply.area, reply.length, bytes)
      reply.length += bytes
    }
    place.start += bytes
  }

  private nextPiece(arena: Arena): boolean {
    return (
      this.copy === null && nextPlace(arena, heldRef(arena, this.request.hold.slot), this.place)
    )
  }

  /** Copies the held value, which is released, and sends the copy. */
  private copyHeld(): void {
    const { request, place } = this
    const { shard, hold, valueBytes } = request
    this.copy = Area.allocate(valueBytes)
    request.copyRoom.bytes -= valueBytes
    readValue(shard.arena, heldRef(shard.arena, hold.slot), this.copy, 0)
    shard.release(hold)
    this.inserting = false
    place.end = valueBytes
    place.left = 0
  }

  private dropCopy(): void {
    this.request.copyRoom.bytes += this.copy?.bytes.length ?? 0
    this.copy = null
  }

  private endWaits(): void {
    this.waits = 0
    this.request.waits = this.outlet.takesTurns === true
  }

  /** The value is in the reply, which holds it if it is an insert. */
  private endSending(): void {
    const { request, reply } = this
    // Without inserts all of the value was sent before, by a turn that ended.
    if (this.copy !== null) this.dropCopy()
    else if (!this.inserting || reply.inserts.count === 0) request.shard.release(request.hold)
    else reply.inserts.keep(request.shard, request.hold)
    this.state = State.COMMAND
    this.sending?.sent()
  }

  private fillPiece(input: Area, at: number, end: number): number {
    const { request, filling, place } = this
    if (filling === null) return NEED_MORE
    if (place.start === place.end) {
      if (place.left === 0) return filling.filled(input, at, end)
      const status = request.shard.extend(request, place)
      if (status !== Status.OK) {
        filling.refused(status, place.left)
        return at
      }
    }
    if (at === end) return NEED_MORE
    const bytes = Math.min(place.end - place.start, end - at)
    copyBytes(input, at, request.shard.arena.area, place.start, bytes)
    place.start += bytes
    return at + bytes
  }

  private beginSwallow(): void {
    this.state = State.SWALLOW
    this.endWaits()
    if (this.swallowing.isDone) this.endSwallow()
  }

  private swallowPiece(input: Area, at: number, end: number): number {
    const next = this.swallowing.eat(input, at, end)
    if (this.swallowing.isDone) this.endSwallow()
    return next
  }

  private endSwallow(): void {
    this.state = State.COMMAND
    const reply = this.swallowing.end()
    if (reply !== null) this.protocol?.say(reply)
  }
}
