// The binary protocol: parses frames, executes them by execute.ts, answers by binary/print.ts.
// binary/layout.ts has the layout of frames, binary/forms.ts the form of each opcode.
//
// A frame is run once its header, extras and key are complete. A frame that does not have its
// opcode's form closes the connection, as in memcached. The bodies of too large and unknown frames
// are discarded.

import { Need } from '../../access/rights.ts'
import type { Area } from '../../bytes/area.ts'
import { u64, u64FromWords } from '../../bytes/decimal.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { GIB, KIB } from '../../bytes/units.ts'
import { casBits } from '../../engine/items/item.ts'
import { Mode, Status } from '../../engine/status.ts'
import { CloseReason } from '../../observe/journal.ts'
import {
  type Conversation,
  type Filling,
  NEED_MORE,
  type Protocol,
  type Sending,
  State,
} from '../conversation.ts'
import { flushAll } from '../execute.ts'
import { refusalOf } from '../guarded.ts'
import { Control, type Host, ThreadCounter } from '../host.ts'
import { STREAM_VALUE_BYTES_MIN } from '../limits.ts'
import { locateKey } from '../lookahead.ts'
import { needsOfStats } from '../needs.ts'
import { type Reply, text } from '../reply.ts'
import type { Request } from '../request.ts'
import { lookAheadFrames } from './ahead.ts'
import { FORMS, hasForm, UNKNOWN } from './forms.ts'
import * as B from './layout.ts'
import { BinaryStatus, Opcode } from './layout.ts'
import { headerText, hexOf, Responder, Words } from './print.ts'
import { statFrames } from './stats.ts'

/** Header, extras and key of a frame: memcached reads this much before it checks the key. */
const BINARY_HEAD_BYTES_MAX = 16 * KIB

/** A frame with a longer body closes the connection. */
export const BODY_BYTES_MAX = GIB

const NOTHING = text('')

export class BinaryProtocol implements Protocol, Sending, Filling {
  protected readonly peer: Conversation
  private readonly host: Host
  private readonly request: Request
  protected readonly reply: Reply
  private readonly responder: Responder
  /** All bits if there are CAS numbers, none if they are off (-C). */
  private readonly casBits: number
  /** The operation of the current frame; UNKNOWN if there is none. */
  private opcode = UNKNOWN
  /** Why the current frame closes the connection, once its key is complete. */
  private parting: BinaryStatus = BinaryStatus.EINVAL

  constructor(peer: Conversation) {
    this.peer = peer
    this.host = peer.host
    this.request = peer.request
    this.reply = peer.host.reply
    this.casBits = casBits(peer.host.cache.shards[0].arena)
    this.responder = new Responder(this.reply, this.request)
  }

  command(input: Area, at: number, end: number): number {
    lookAheadFrames(this.host.cache, input, at, end)
    if (end - at < B.HEADER_BYTES) return NEED_MORE
    if (this.host.control[Control.VERBOSITY] > 1) return this.logged(input, at, end)
    return this.frame(input, at, end)
  }

  sent(): void {}

  filled(_input: Area, at: number, _end: number): number {
    this.peer.state = State.COMMAND
    const before = this.reply.length
    this.endUpdate(this.peer.operations.commit(this.request))
    if (this.host.control[Control.VERBOSITY] > 1) this.logResponse(before)
    return at
  }

  refused(status: Status, bytes: number): void {
    const { request } = this
    request.shard.giveUp(request)
    this.endUpdate(status)
    this.peer.swallow(bytes, null)
  }

  /** A too long key has been discarded: answers and closes. */
  say(words: Area): void {
    if (words === NOTHING) this.peer.state = State.ENDED
    else this.hangUp(this.parting, words)
  }

  /**
   * Runs the frame at `at`, whose header is complete. Returns how far it consumed, or NEED_MORE.
   */
  private frame(input: Area, at: number, end: number): number {
    const { bytes, view } = input
    if (bytes[at] !== B.REQUEST_MAGIC) {
      this.complain('Invalid magic:', bytes[at])
      this.peer.state = State.ENDED
      return end
    }
    const keyBytes = view.getUint16(at + B.KEY_BYTES)
    const extraBytes = bytes[at + B.EXTRA_BYTES]
    const bodyBytes = view.getUint32(at + B.BODY_BYTES)
    const valueBytes = bodyBytes - extraBytes - keyBytes
    const { responder, request } = this
    responder.opcode = bytes[at + B.OPCODE]
    responder.opaque = view.getInt32(at + B.OPAQUE)
    if (keyBytes > KEY_BYTES_MAX) {
      this.refuseKey(extraBytes + keyBytes, valueBytes)
      return at + B.HEADER_BYTES
    }
    const keyEnd = at + B.HEADER_BYTES + extraBytes + keyBytes
    if (keyEnd > end) return NEED_MORE
    if (valueBytes < 0) {
      this.hangUp(BinaryStatus.UNKNOWN_COMMAND, Words.UNKNOWN_COMMAND)
      return keyEnd
    }
    if (bodyBytes > BODY_BYTES_MAX) {
      this.hangUp(BinaryStatus.EINVAL, Words.INVALID)
      return keyEnd
    }
    const form = FORMS[responder.opcode]
    if (form.opcode === UNKNOWN) {
      this.refuseCommand(bodyBytes)
      return keyEnd
    }
    if (!hasForm(form, extraBytes, keyBytes, valueBytes)) {
      this.hangUp(BinaryStatus.EINVAL, Words.INVALID)
      return keyEnd
    }
    this.opcode = form.opcode
    responder.quiet = form.quiet
    locateKey(request, input, keyEnd - keyBytes, keyEnd)
    request.casHigh = view.getInt32(at + B.CAS_HIGH)
    request.casLow = view.getInt32(at + B.CAS_LOW)
    return this.dispatch(input, at, keyEnd, end, valueBytes)
  }

  private dispatch(
    input: Area,
    at: number,
    keyEnd: number,
    end: number,
    valueBytes: number,
  ): number {
    switch (this.opcode) {
      case Opcode.GET:
      case Opcode.GETK:
        return this.retrieve(at, keyEnd, false)
      case Opcode.SET:
      case Opcode.ADD:
      case Opcode.REPLACE:
        this.request.flags = input.view.getUint32(at + B.STORE_FLAGS)
        this.request.exptime = input.view.getUint32(at + B.STORE_EXPTIME)
        return this.update(input, keyEnd, end, valueBytes)
      case Opcode.APPEND:
      case Opcode.PREPEND:
        this.request.flags = 0
        this.request.exptime = 0
        return this.update(input, keyEnd, end, valueBytes)
      case Opcode.TOUCH:
      case Opcode.GAT:
      case Opcode.GATK:
        // Bytes after the key are read as the next frame, as in memcached.
        this.request.exptime = input.view.getUint32(at + B.EXPTIME)
        return this.retrieve(at, keyEnd, true)
      default:
        this.runPlain(input, at, keyEnd, valueBytes)
        return keyEnd
    }
  }

  /** The commands that have only header, extras and key. */
  private runPlain(input: Area, at: number, keyEnd: number, valueBytes: number): void {
    switch (this.opcode) {
      case Opcode.DELETE:
        return this.remove()
      case Opcode.INCREMENT:
        return this.adjust(input, at, false)
      case Opcode.DECREMENT:
        return this.adjust(input, at, true)
      case Opcode.NOOP:
        return this.responder.done()
      case Opcode.VERSION:
        return this.responder.text(this.host.version)
      case Opcode.FLUSH:
        return this.flush(keyEnd === at + B.HEADER_BYTES ? 0 : input.view.getUint32(at + B.EXPTIME))
      case Opcode.STAT:
        return this.stat(input.bytes)
      case Opcode.QUIT:
        this.responder.done()
        this.peer.closeReason = CloseReason.NORMAL
        this.peer.state = State.ENDED
        return
      default:
        // SASL is not supported here: memcached discards its value and does nothing else.
        return this.refuseCommand(valueBytes)
    }
  }

  private retrieve(at: number, keyEnd: number, touching: boolean): number {
    const { request, reply, responder, peer, opcode } = this
    responder.withKey = opcode === Opcode.GETK || opcode === Opcode.GATK
    responder.withValue = opcode !== Opcode.TOUCH
    for (;;) {
      const before = reply.length
      const status = touching
        ? peer.operations.getAndTouch(request, responder)
        : peer.operations.get(request, responder)
      if (status === Status.NO_ROOM) {
        if (!peer.flush()) return at
        continue
      }
      if (status === Status.MISS) {
        responder.missed()
      } else if (status === Status.HELD) {
        peer.sendHeld(this)
      } else if (status > Status.MISS) {
        reply.length = before
        this.fail(status, Words.NO_MEMORY)
      }
      return keyEnd
    }
  }

  /** A store, whose value begins at `valueStart`. */
  private update(input: Area, valueStart: number, end: number, valueBytes: number): number {
    const { request } = this
    const { operations } = this.peer
    // If CAS numbers are off, stores ignore a CAS, while other commands compare it and fail.
    request.casHigh &= this.casBits
    request.casLow &= this.casBits
    request.mode = this.modeOfStore()
    // No old value stays after a refused set, whatever CAS it requested.
    request.dropsOld = this.opcode === Opcode.SET
    request.valueBytes = valueBytes
    const isWhole = valueBytes <= end - valueStart
    if (!isWhole && valueBytes < STREAM_VALUE_BYTES_MIN) return NEED_MORE
    const status = isWhole
      ? operations.store(request, input, valueStart)
      : operations.begin(request)
    if (status === Status.OK && !isWhole) {
      this.peer.fillHeld(0, this)
      return valueStart
    }
    if (status === Status.BUSY) {
      this.peer.tryLater()
      return NEED_MORE
    }
    this.endUpdate(status)
    if (isWhole) return valueStart + valueBytes
    this.peer.swallow(valueBytes, null)
    return valueStart
  }

  private modeOfStore(): Mode {
    const { opcode } = this
    if (opcode === Opcode.APPEND) return Mode.APPEND
    if (opcode === Opcode.PREPEND) return Mode.PREPEND
    const { casHigh, casLow } = this.request
    if ((casHigh | casLow) !== 0) return Mode.CAS
    if (opcode === Opcode.SET) return Mode.SET
    return opcode === Opcode.ADD ? Mode.ADD : Mode.REPLACE
  }

  private endUpdate(status: Status): void {
    const { responder, opcode } = this
    switch (status) {
      case Status.OK:
        return responder.stored()
      case Status.MISS:
        return responder.error(BinaryStatus.KEY_ENOENT, Words.NOT_FOUND)
      case Status.EXISTS:
        return responder.error(BinaryStatus.KEY_EEXISTS, Words.EXISTS)
      case Status.NOT_STORED:
        if (opcode === Opcode.ADD) return responder.error(BinaryStatus.KEY_EEXISTS, Words.EXISTS)
        if (opcode === Opcode.REPLACE) {
          return responder.error(BinaryStatus.KEY_ENOENT, Words.NOT_FOUND)
        }
        return responder.error(BinaryStatus.NOT_STORED, Words.NOT_STORED)
      case Status.TOO_LARGE:
        return responder.error(BinaryStatus.E2BIG, Words.TOO_LARGE)
      default:
        return this.fail(status, Words.NO_MEMORY_STORE)
    }
  }

  private adjust({ view }: Area, at: number, subtract: boolean): void {
    const { request } = this
    request.subtracts = subtract
    request.exptime = 0
    request.createExptime = view.getUint32(at + B.ADJUST_EXPTIME)
    request.creates = request.createExptime !== B.EXPTIME_NO_INITIAL
    u64FromWords(view.getInt32(at + B.DELTA_HIGH), view.getInt32(at + B.DELTA_LOW))
    request.deltaHigh = u64.high
    request.deltaLow = u64.low
    u64FromWords(view.getInt32(at + B.INITIAL_HIGH), view.getInt32(at + B.INITIAL_LOW))
    request.initialHigh = u64.high
    request.initialLow = u64.low
    this.endAdjust(this.peer.operations.adjust(request))
  }

  private endAdjust(status: Status): void {
    const { responder } = this
    switch (status) {
      case Status.OK:
        return responder.number()
      case Status.MISS:
        return responder.error(BinaryStatus.KEY_ENOENT, Words.NOT_FOUND)
      case Status.EXISTS:
        return responder.error(BinaryStatus.KEY_EEXISTS, Words.EXISTS)
      case Status.NON_NUMERIC:
        return responder.error(BinaryStatus.DELTA_BADVAL, Words.NON_NUMERIC)
      default:
        return this.fail(status, Words.NO_MEMORY_ADJUST)
    }
  }

  private remove(): void {
    const { responder } = this
    const status = this.peer.operations.remove(this.request)
    if (status === Status.OK) return responder.done()
    if (status === Status.MISS) return responder.error(BinaryStatus.KEY_ENOENT, Words.NOT_FOUND)
    if (status > Status.EXISTS) return this.fail(status, Words.NO_MEMORY)
    responder.error(BinaryStatus.KEY_EEXISTS, Words.EXISTS)
  }

  /** Why nothing was done: access control, or no memory. */
  private fail(status: Status, noMemory: Area): void {
    const isDenied = status >= Status.UNAUTHENTICATED
    if (isDenied) this.responder.error(BinaryStatus.AUTH_ERROR, Words.AUTH_FAILURE)
    else this.responder.error(BinaryStatus.ENOMEM, noMemory)
  }

  private flush(exptime: number): void {
    const { host, responder } = this
    const status = refusalOf(this.peer.pass, Need.ADMIN)
    if (status !== Status.OK) return this.fail(status, Words.NO_MEMORY)
    if (!host.flushAllowed) return responder.error(BinaryStatus.AUTH_ERROR, Words.AUTH_FAILURE)
    host.counters[ThreadCounter.CMD_FLUSH]++
    flushAll(host.cache, exptime)
    responder.done()
  }

  private stat(bytes: Buffer): void {
    const { peer, responder } = this
    const { keyStart, keyBytes } = this.request
    const name = bytes.toString('latin1', keyStart, keyStart + keyBytes)
    const status = refusalOf(peer.pass, needsOfStats(name))
    if (status !== Status.OK) return this.fail(status, Words.NO_MEMORY)
    const frames = statFrames(this.host, name, responder.opaque)
    if (frames !== null) peer.sendTail(frames)
    else responder.error(BinaryStatus.KEY_ENOENT, Words.NOT_FOUND)
  }

  private refuseCommand(bytes: number): void {
    this.responder.error(BinaryStatus.UNKNOWN_COMMAND, Words.UNKNOWN_COMMAND)
    this.peer.swallow(bytes, null)
  }

  /** Discards as much of a too long key as memcached reads, and then closes. */
  private refuseKey(extraAndKeyBytes: number, valueBytes: number): void {
    const most = BINARY_HEAD_BYTES_MAX - B.HEADER_BYTES
    if (extraAndKeyBytes > most) return this.peer.swallow(most, NOTHING)
    this.parting = valueBytes < 0 ? BinaryStatus.UNKNOWN_COMMAND : BinaryStatus.EINVAL
    this.peer.swallow(extraAndKeyBytes, valueBytes < 0 ? Words.UNKNOWN_COMMAND : Words.INVALID)
  }

  private hangUp(status: BinaryStatus, words: Area): void {
    this.responder.error(status, words)
    this.peer.state = State.ENDED
    if (status === BinaryStatus.EINVAL)
      this.complain('Protocol error: opcode', this.responder.opcode)
  }

  /** Logs why a connection is closed. */
  private complain(what: string, byte: number): void {
    const { host, peer } = this
    if (host.control[Control.VERBOSITY] > 0) host.log(`<${peer.id} ${what} ${hexOf(byte)}`)
  }

  /** As `frame`, with the headers of requests and responses logged. */
  private logged(input: Area, at: number, end: number): number {
    const { host, peer, reply } = this
    const before = reply.length
    const next = this.frame(input, at, end)
    if (next === NEED_MORE || next === at) return next
    host.log(
      headerText(`<${peer.id} Read binary protocol data:`, `<${peer.id}`, input, at),
      'debug',
    )
    this.logResponse(before)
    return next
  }

  /** Logs the header written at `before`, or at the start of a reply buffer sent since then. */
  private logResponse(before: number): void {
    const { host, peer, reply } = this
    const start = reply.start > before || reply.length < before ? reply.start : before
    if (reply.length - start < B.HEADER_BYTES) return
    host.log(
      headerText(`>${peer.id} Writing bin response:`, `>${peer.id}`, reply.area, start),
      'debug',
    )
  }
}
