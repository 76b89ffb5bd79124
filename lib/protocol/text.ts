// The classic text protocol: parses a line, executes it, prints the reply. Errors, and whether to
// answer or close, are memcached 1.6.45's. tokens.ts splits a line into words.
//
// A line begins with its command. Missing words are an error, extra words are ignored, and
// `noreply` as the last word silences the line. A refused store discards the value that it
// announced, so that no value is ever run as commands.

import type { Area } from '../bytes/area.ts'
import { printU64, setU64, u64, u64ToWords } from '../bytes/decimal.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import { Mode, Status } from '../engine/status.ts'
import { CloseReason } from '../observe/journal.ts'
import { runControl } from './control/control.ts'
import { CLUSTER_KEY, clusterNodes } from './control/daemon.ts'
import { type Conversation, NEED_MORE, type Protocol, type Sending, State } from './conversation.ts'
import { Control, type Host, ThreadCounter } from './host.ts'
import {
  LINE_BYTES_MAX,
  LINE_SPACES_MAX,
  REPLY_FRAME_BYTES_MAX,
  TURN_LOOK_KEYS_BYTES,
  VALUE_BYTES_MAX,
} from './limits.ts'
import { keyEndAt, locateKey, lookAhead, NOT_PLAIN, PLAIN_GET, plainAt } from './lookahead.ts'
import { MetaCommands } from './meta/meta.ts'
import { type Reply, text } from './reply.ts'
import type { Request } from './request.ts'
import { equalsWord, parseInt32, parseUint32 } from './words/ascii.ts'
import { readInt32, readUint64 } from './words/numbers.ts'
import { failedLine, Line, storedLine, TextSink } from './words/print.ts'
import {
  endsWithNoreply,
  LINE_END_BYTES,
  tokenCount,
  tokenEnd,
  tokenize,
  tokenStart,
} from './words/tokens.ts'
import { type Store, ValueReader } from './words/value-reader.ts'
import { mayBeIndented, modeOf, Verb, verbOf } from './words/verbs.ts'

const LF = 10
const CR = 13
const BLANK = 32
const LETTER_M = 109

/** Shorter lines, including the line end, are no commands. */
const LINE_BYTES_MIN = 4

const words = { high: 0, low: 0 }

export class TextProtocol implements Protocol, Sending, Store {
  private readonly peer: Conversation
  private readonly host: Host
  private readonly request: Request
  private readonly reply: Reply
  private readonly sink: TextSink
  /** Of the current get: whether it is a gat, and whether its exptime is still to be read. */
  private touching = false
  private needsExptime = false
  private hasBadExptime = false
  private keysSeen = 0
  /** The current command was parsed before, and waits for its value. */
  private isWaiting = false
  /** Created for the first meta command. */
  private meta: MetaCommands | null = null
  private readonly values: ValueReader

  constructor(peer: Conversation) {
    this.peer = peer
    this.host = peer.host
    this.request = peer.request
    this.reply = peer.host.reply
    this.sink = new TextSink(this.reply, this.request)
    this.values = new ValueReader(peer, this, this)
  }

  /** Runs the command at `at`. Returns how far it consumed, or NEED_MORE. */
  command(input: Area, at: number, end: number): number {
    if (this.peer.state === State.KEYS) return this.keys(input, at, end)
    const { bytes } = input
    lookAhead(this.host.cache, input, at, end, false)
    if (bytes[at] === LETTER_M && this.host.control[Control.VERBOSITY] <= 1) {
      const next = this.metaCommands().quick(input, at, end)
      if (next !== NEED_MORE) return next
    }
    const plain = plainAt(input, at, this.request)
    if (plain !== NOT_PLAIN && this.host.control[Control.VERBOSITY] <= 1) {
      return plain === PLAIN_GET ? this.plainGet() : this.plainSet(input, plain)
    }
    let stop = at
    while (stop < end && bytes[stop] > BLANK) stop++
    const verb = verbOf(bytes, at, stop)
    if (verb < Verb.GET || verb > Verb.GATS || bytes[stop] !== BLANK) {
      return this.line(input, at, end)
    }
    const newline = bytes.indexOf(LF, stop)
    if (newline < 0 || newline >= end) return this.unfinishedLine(input, at, end)
    if (this.host.control[Control.VERBOSITY] > 1) this.logInput(bytes, at, newline)
    this.beginKeys(verb)
    return this.keys(input, stop, newline + 1)
  }

  /** Serves a get that was parsed ahead, as `keys` does. */
  private plainGet(): number {
    const { keyStart, keyBytes } = this.request
    const keyEnd = keyStart + keyBytes
    this.beginKeys(Verb.GET)
    if (!this.fetch()) {
      return this.peer.state === State.SWALLOW ? keyEnd : keyStart
    }
    if (this.peer.state === State.SENDING) return keyEnd
    this.endKeys()
    return keyEnd + LINE_END_BYTES
  }

  /** Executes a set that was parsed ahead with its value, as `update` does. */
  private plainSet(input: Area, valueStart: number): number {
    const { request } = this
    this.isWaiting = false
    this.say(storedLine(this.peer.operations.store(request, input, valueStart)))
    return valueStart + request.valueBytes + LINE_END_BYTES
  }

  /** Serves the keys of a get up to the end of its line or of the input. */
  private keys(input: Area, start: number, end: number): number {
    const { bytes } = input
    let at = start
    for (;;) {
      // The turn may be over; it goes on here otherwise.
      if (at - start >= TURN_LOOK_KEYS_BYTES) return at
      lookAhead(this.host.cache, input, at, end, true)
      // One space before a key that was parsed ahead, and one after it.
      const known = keyEndAt(at + 1)
      if (known >= 0 && bytes[at] === BLANK && bytes[known] === BLANK) {
        if (!this.word(input, at + 1, known)) return this.peer.state === State.SWALLOW ? known : at
        if (this.peer.state === State.SENDING) return known
        at = known
        continue
      }
      while (at < end && bytes[at] === BLANK) at++
      let stop = at
      while (stop < end && bytes[stop] !== BLANK && bytes[stop] !== LF) stop++
      if (stop === end) {
        if (stop - at > KEY_BYTES_MAX + 1) return this.failKeys(stop)
        return at === start ? NEED_MORE : at
      }
      const last = bytes[stop] === LF
      const keyEnd = last && stop > at && bytes[stop - 1] === CR ? stop - 1 : stop
      if (keyEnd > at) {
        if (!this.word(input, at, keyEnd)) return this.peer.state === State.SWALLOW ? stop : at
        if (this.peer.state === State.SENDING) return stop
      }
      at = stop
      if (!last) continue
      this.endKeys()
      return stop + 1
    }
  }

  /** The value of a get was sent; more keys may follow. */
  sent(): void {
    this.reply.endLine()
    this.peer.state = State.KEYS
  }

  keepLine(): void {}

  stored(status: Status): void {
    this.say(storedLine(status))
  }

  /** Adds a line, unless the peer said noreply. */
  say(line: Area): void {
    if (this.request.noreply) return
    this.reply.add(line)
    if (this.host.control[Control.VERBOSITY] > 1) {
      this.host.log(
        `>${this.peer.id} ${line.bytes.toString('utf8', 0, line.bytes.length - 2)}`,
        'debug',
      )
    }
  }

  /** Any command but a get with keys. */
  private line(input: Area, at: number, end: number): number {
    const { bytes } = input
    const newline = tokenize(bytes, at, end)
    if (newline < 0) return this.unfinishedLine(input, at, end)
    if (this.host.control[Control.VERBOSITY] > 1) this.logInput(bytes, at, newline)
    this.request.noreply = false
    this.request.isPlain = true
    this.request.creates = false
    this.request.casHigh = 0
    this.request.casLow = 0
    let next = newline + 1
    if (next - at < LINE_BYTES_MIN) {
      this.say(Line.BAD_FORMAT)
      return next
    }
    const verb = this.verbAt(bytes, at)
    if (verb >= Verb.MG) next = this.metaCommands().run(verb, input, at, next, end)
    else if (verb >= Verb.SET && verb <= Verb.CAS) next = this.update(verb, input, next, end)
    else this.dispatch(verb, input)
    // Nothing was done yet: the command waits for its value, or for room for its reply.
    this.isWaiting = next === NEED_MORE || next === at
    return next
  }

  /** The verb of the line at `at`, after its words were found. */
  private verbAt(bytes: Buffer, at: number): Verb {
    if (tokenCount === 0) return Verb.NONE
    const verb = verbOf(bytes, tokenStart[0], tokenEnd[0])
    return tokenStart[0] === at || mayBeIndented(verb) ? verb : Verb.NONE
  }

  /** Meta commands read their own flags; most connections send none. */
  private metaCommands(): MetaCommands {
    this.meta ??= new MetaCommands(this.peer, this)
    return this.meta
  }

  private beginKeys(verb: Verb): void {
    this.peer.state = State.KEYS
    this.sink.withCas = verb === Verb.GETS || verb === Verb.GATS
    this.touching = verb === Verb.GAT || verb === Verb.GATS
    this.needsExptime = this.touching
    this.hasBadExptime = false
    this.keysSeen = 0
    this.request.isPlain = true
    this.request.noreply = false
  }

  /** One word of a get; false if it could not be served: no room yet, or the get has failed. */
  private word(input: Area, start: number, end: number): boolean {
    if (this.needsExptime) return this.readExptime(input.bytes, start, end)
    if (this.hasBadExptime) {
      this.failWith(Line.BAD_EXPTIME)
      return false
    }
    if (end - start > KEY_BYTES_MAX) {
      this.failWith(Line.BAD_FORMAT)
      return false
    }
    if (this.keysSeen >= this.host.turn.repliesMax) {
      this.host.counters[ThreadCounter.REPLIES_REFUSED]++
      this.failWith(Line.NO_MEMORY_GET)
      return false
    }
    locateKey(this.request, input, start, end)
    return this.fetch()
  }

  /** Serves the request's key; false if it could not be served. */
  private fetch(): boolean {
    const { request, reply, peer } = this
    for (;;) {
      const before = reply.length
      const status = this.touching
        ? peer.operations.getAndTouch(request, this.sink)
        : peer.operations.get(request, this.sink)
      if (status > Status.MISS) {
        if (status === Status.NO_ROOM) {
          if (!peer.flush()) return false
          continue
        }
        if (status !== Status.HELD) {
          reply.length = before
          this.failWith(failedLine(status, Line.NO_MEMORY_GET))
          return false
        }
        peer.sendHeld(this)
      }
      if (status === Status.MISS && !this.offerCluster()) return false
      this.keysSeen++
      return true
    }
  }

  /** If the key of the cluster's nodes is not stored, they are its value. False: no room yet. */
  private offerCluster(): boolean {
    const { request, reply, peer } = this
    const { area, keyStart, keyBytes } = request
    if (keyBytes !== CLUSTER_KEY.length) return true
    if (!equalsWord(area.bytes, keyStart, keyStart + keyBytes, CLUSTER_KEY)) return true
    const nodes = clusterNodes(peer)
    const cas = this.sink.withCas ? ' 0' : ''
    const value = text(`VALUE ${CLUSTER_KEY} 0 ${nodes.length}${cas}\r\n${nodes}\r\n`)
    if (reply.room() < value.bytes.length + REPLY_FRAME_BYTES_MAX && !peer.flush()) return false
    reply.add(value)
    return true
  }

  private readExptime(bytes: Buffer, start: number, end: number): boolean {
    const exptime = readInt32(bytes, start, end)
    this.needsExptime = false
    this.hasBadExptime = Number.isNaN(exptime)
    if (!this.hasBadExptime) this.request.exptime = exptime
    return true
  }

  private endKeys(): void {
    this.peer.state = State.COMMAND
    this.say(this.keysSeen === 0 ? Line.BAD_FORMAT : Line.END)
  }

  private failKeys(at: number): number {
    this.failWith(Line.BAD_FORMAT)
    return at
  }

  /** A get fails completely: hits that have not been sent yet are removed. */
  private failWith(line: Area): void {
    if (this.peer.replyStart >= 0) this.reply.cut(this.peer.replyStart)
    this.peer.swallowLine(line)
  }

  /** Only gets may be longer than a line's bound: their keys are served as they arrive. */
  private unfinishedLine(input: Area, at: number, end: number): number {
    if (end - at <= LINE_BYTES_MAX) return NEED_MORE
    const { bytes } = input
    let start = at
    while (start < end && bytes[start] === BLANK) start++
    let stop = start
    while (stop < end && bytes[stop] !== BLANK) stop++
    const verb = verbOf(bytes, start, stop)
    if (start - at > LINE_SPACES_MAX || (verb !== Verb.GET && verb !== Verb.GETS)) {
      this.peer.state = State.ENDED
      return end
    }
    if (start > at) {
      // Once complete, it would be no command.
      this.request.noreply = false
      this.peer.swallowLine(Line.ERROR)
      return end
    }
    this.beginKeys(verb)
    return stop
  }

  private dispatch(verb: Verb, input: Area): void {
    switch (verb) {
      case Verb.INCR:
        return this.adjust(input, false)
      case Verb.DECR:
        return this.adjust(input, true)
      case Verb.TOUCH:
        return this.touch(input)
      case Verb.DELETE:
        return this.remove(input)
      case Verb.QUIT:
        this.peer.closeReason = CloseReason.NORMAL
        this.peer.state = State.ENDED
        return
      case Verb.NONE:
        return this.unknown(input.bytes)
      case Verb.GET:
      case Verb.GETS:
      case Verb.GAT:
      case Verb.GATS:
        return this.say(Line.BAD_FORMAT)
      default:
        return runControl(verb, input.bytes, this.peer, this)
    }
  }

  /** set, add, replace, append, prepend, cas: the line, then the value after it. */
  private update(verb: Verb, input: Area, valueStart: number, end: number): number {
    const { bytes } = input
    const { request } = this
    const valueBytes = tokenCount < 5 ? -1 : readInt32(bytes, tokenStart[4], tokenEnd[4])
    if (!(valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX)) {
      this.say(Line.BAD_FORMAT)
      return valueStart
    }
    request.valueBytes = valueBytes
    request.noreply = endsWithNoreply(bytes)
    if (this.readUpdate(verb, input)) return this.values.take(input, valueStart, end)
    this.peer.swallow(valueBytes + LINE_END_BYTES, request.noreply ? null : Line.BAD_FORMAT)
    return valueStart
  }

  /** Reads key, flags, exptime and CAS. False if one of them is invalid. */
  private readUpdate(verb: Verb, input: Area): boolean {
    const { request } = this
    const { bytes } = input
    if (!this.readKey(input)) return false
    const flags = parseUint32(bytes, tokenStart[2], tokenEnd[2])
    const exptime = parseInt32(bytes, tokenStart[3], tokenEnd[3])
    if (flags < 0 || Number.isNaN(exptime)) return false
    if (verb === Verb.CAS) {
      if (tokenCount < 6 || !readUint64(bytes, tokenStart[5], tokenEnd[5])) return false
      u64ToWords(words)
      request.casHigh = words.high
      request.casLow = words.low
    }
    request.mode = modeOf(verb)
    request.dropsOld = request.mode === Mode.SET
    request.flags = flags
    request.exptime = exptime
    return true
  }

  private adjust(input: Area, subtract: boolean): void {
    if (tokenCount < 3) return this.say(Line.BAD_FORMAT)
    this.request.noreply = endsWithNoreply(input.bytes)
    if (!this.readKey(input)) return this.say(Line.BAD_FORMAT)
    if (!readUint64(input.bytes, tokenStart[2], tokenEnd[2])) return this.say(Line.BAD_DELTA)
    const { request } = this
    request.subtracts = subtract
    request.deltaHigh = u64.high
    request.deltaLow = u64.low
    const status = this.peer.operations.adjust(request)
    if (status === Status.MISS) return this.say(Line.NOT_FOUND)
    if (status === Status.NON_NUMERIC) return this.say(Line.NON_NUMERIC)
    if (status !== Status.OK) return this.say(failedLine(status))
    if (this.request.noreply) return
    setU64(request.numberHigh, request.numberLow)
    this.reply.length = printU64(this.reply.area.bytes, this.reply.length)
    this.reply.endLine()
  }

  private touch(input: Area): void {
    const { request } = this
    if (tokenCount < 3) return this.say(Line.BAD_FORMAT)
    request.noreply = endsWithNoreply(input.bytes)
    if (!this.readKey(input)) return this.say(Line.BAD_FORMAT)
    const exptime = readInt32(input.bytes, tokenStart[2], tokenEnd[2])
    if (Number.isNaN(exptime)) return this.say(Line.BAD_EXPTIME)
    request.exptime = exptime
    const status = this.peer.operations.touch(request)
    if (status === Status.MISS) return this.say(Line.NOT_FOUND)
    this.say(status === Status.OK ? Line.TOUCHED : failedLine(status))
  }

  private remove(input: Area): void {
    const { bytes } = input
    if (tokenCount < 2) return this.say(Line.BAD_FORMAT)
    this.request.noreply = endsWithNoreply(bytes)
    if (!this.readKey(input)) return this.say(Line.BAD_FORMAT)
    if (tokenCount > 2 && !isTimeOrNoreply(bytes, tokenStart[2], tokenEnd[2])) {
      return this.say(Line.BAD_DELETE)
    }
    const status = this.peer.operations.remove(this.request)
    if (status === Status.OK) return this.say(Line.DELETED)
    this.say(failedLine(status, Line.NOT_FOUND))
  }

  /** An HTTP request closes the connection, as in memcached. */
  private unknown(bytes: Buffer): void {
    const last = tokenCount - 1
    if (last > 0 && equalsWord(bytes, tokenStart[last], tokenStart[last] + 5, 'HTTP/')) {
      this.peer.state = State.ENDED
      return
    }
    this.request.noreply = endsWithNoreply(bytes)
    this.say(Line.ERROR)
  }

  private readKey(input: Area): boolean {
    if (tokenEnd[1] - tokenStart[1] > KEY_BYTES_MAX) return false
    locateKey(this.request, input, tokenStart[1], tokenEnd[1])
    return true
  }

  private logInput(bytes: Buffer, start: number, newline: number): void {
    if (this.isWaiting) return
    const end = bytes[newline - 1] === CR ? newline - 1 : newline
    this.host.log(`<${this.peer.id} ${bytes.toString('utf8', start, end)}`, 'debug')
  }
}

/**
 * What may follow the key of a delete. Newer releases of memcached accept any word. Older clients
 * send a time, and memccapable expects other words to be refused.
 */
function isTimeOrNoreply(bytes: Buffer, start: number, end: number): boolean {
  return !Number.isNaN(readInt32(bytes, start, end)) || equalsWord(bytes, start, end, 'noreply')
}
