// The meta commands mg, ms, md, ma, mn and me, inside the text protocol, which finds the words of a
// line and hands it over. meta-flags.ts reads flags, execute.ts has the meaning, meta-print.ts prints.
//
// A fetch may change its item: it tells a peer that it won, and then no other is told so. Nothing of
// that is done before the reply has room for it.

import { Area, copyBytes } from '../engine/bytes.ts'
import { digitsOfU64, printU64, u64 } from '../engine/decimal.ts'
import { CAS_SHOWN, CLOCK_S } from '../engine/layout.ts'
import { lastCas } from '../engine/links.ts'
import { Mode, Status } from '../engine/status.ts'
import {
  KEY_BYTES_MAX,
  META_STASH_BYTES,
  OPAQUE_BYTES_MAX,
  STREAM_VALUE_BYTES_MIN,
  VALUE_BYTES_MAX,
} from '../limits.ts'
import { equalsWord, parseInt32 } from './ascii.ts'
import { type Conversation, NEED_MORE } from './conversation.ts'
import { adjustOn, beginOn, commitOn, fetchOn, peek, removeOn, storeOn } from './execute.ts'
import { ThreadCounter } from './host.ts'
import { decodeKey, Flag, letter, MetaFlags } from './meta-flags.ts'
import { Code, FactsSink, MetaLine, MetaPrinter } from './meta-print.ts'
import type { Reply } from './reply.ts'
import type { Request } from './request.ts'
import type { Speaker } from './speaker.ts'
import { Line, storedLine } from './text-print.ts'
import { LINE_END_BYTES, tokenCount, tokenEnd, tokenize, tokenStart } from './tokens.ts'
import { Verb } from './verbs.ts'

const LF = 10
const CR = 13
const BLANK = 32

/** What stands behind M. */
const ModeByte = {
  NONE: 0,
  ADD: letter('E'),
  APPEND: letter('A'),
  PREPEND: letter('P'),
  REPLACE: letter('R'),
  SET: letter('S'),
  INCREMENT: letter('I'),
  PLUS: letter('+'),
  DECREMENT: letter('D'),
  MINUS: letter('-'),
} as const

export class MetaCommands {
  private readonly peer: Conversation
  private readonly speaker: Speaker
  private readonly request: Request
  private readonly reply: Reply
  private readonly flags: MetaFlags
  private readonly printer: MetaPrinter
  /** Of a store whose value comes in pieces: its key, then the flags that the reply answers. */
  private stash: Area | null = null
  private stashEnd = 0

  constructor(peer: Conversation, speaker: Speaker) {
    this.peer = peer
    this.speaker = speaker
    this.request = peer.request
    this.reply = peer.host.reply
    this.flags = new MetaFlags(peer.request)
    this.printer = new MetaPrinter(this.reply, this.request, this.flags)
  }

  /**
   * Runs the command at `at`, whose line ends before `next`; how far it ate. NEED_MORE: its value is
   * not there whole and short; `at`: the reply has no room now.
   */
  run(verb: Verb, input: Area, at: number, next: number, end: number): number {
    this.printer.line = input.bytes
    switch (verb) {
      case Verb.MG:
        return this.fetch(input) ? next : at
      case Verb.MS:
        return this.store(input, next, end)
      case Verb.MD:
        this.remove(input)
        return next
      case Verb.MA:
        this.adjust(input)
        return next
      case Verb.ME:
        this.describe(input)
        return next
      default:
        this.speaker.say(MetaLine.NO_OP)
        return next
    }
  }

  /** The value of a store that came in pieces is there whole. */
  finish(): void {
    const { stash, flags } = this
    if (stash === null) return
    const status = commitOn(this.request, flags.terms)
    tokenize(stash.bytes, KEY_BYTES_MAX, this.stashEnd)
    flags.first = 0
    this.printer.line = stash.bytes
    this.answerStore(status)
  }

  /** mg; false if there is no room for its reply now. */
  private fetch(input: Area): boolean {
    const { request, reply, flags, peer } = this
    const wrong = this.checkKey() ?? flags.read(input, 2) ?? this.checkOpaque()
    if (wrong !== null) {
      this.speaker.say(wrong)
      return true
    }
    let before = reply.length
    let status = fetchOn(peer.host.cache, request, flags.terms, this.printer)
    while (status === Status.NO_ROOM) {
      if (!peer.flush()) return false
      before = reply.length
      status = fetchOn(peer.host.cache, request, flags.terms, this.printer)
    }
    if (status === Status.HELD) {
      peer.sendHeld()
    } else if (status === Status.NO_MEMORY) {
      reply.length = before
      this.speaker.say(Line.NO_MEMORY_GET)
    } else if (status === Status.MISS && !flags.quiet) {
      this.printer.addEcho(Code.EN)
    }
    return true
  }

  /** ms: the line, then the value behind it. */
  private store(input: Area, valueStart: number, end: number): number {
    const { request, flags, speaker } = this
    const { bytes } = input
    const valueBytes = tokenCount < 3 ? -1 : parseInt32(bytes, tokenStart[2], tokenEnd[2])
    if (!(valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX)) {
      speaker.say(tokenCount < 2 ? Line.ERROR : Line.BAD_FORMAT)
      return valueStart
    }
    const wrong = this.checkKey() ?? flags.read(input, 3) ?? this.readMode() ?? this.checkOpaque()
    if (wrong !== null) {
      this.peer.swallow(valueBytes + 2, wrong)
      return valueStart
    }
    request.valueBytes = valueBytes
    const valueEnd = valueStart + valueBytes
    if (valueEnd + 2 > end) return this.storeLater(valueStart)
    const { cache } = this.peer.host
    if (bytes[valueEnd] === CR && bytes[valueEnd + 1] === LF) {
      this.answerStore(storeOn(cache, request, flags.terms, input, valueStart))
      return valueEnd + 2
    }
    // Refused for its size before its value is looked at, as when it comes in pieces.
    const status = beginOn(cache, request, flags.terms)
    if (status === Status.OK) request.shard.release(request.hold)
    speaker.say(status === Status.OK ? Line.BAD_CHUNK : storedLine(status))
    return valueEnd + 2
  }

  /** The value is not there whole: wait if it is short, else write it as it comes. */
  private storeLater(valueStart: number): number {
    const { request, flags } = this
    if (request.valueBytes < STREAM_VALUE_BYTES_MIN) return NEED_MORE
    const status = beginOn(this.peer.host.cache, request, flags.terms)
    if (status === Status.OK) {
      this.keepLine()
      this.peer.fillHeld(LINE_END_BYTES)
    } else {
      this.peer.swallow(request.valueBytes + 2, storedLine(status))
    }
    return valueStart
  }

  /** Keeps what the reply takes from the line, which is gone when the value is there. */
  private keepLine(): void {
    const { request, flags, printer } = this
    this.stash ??= Area.allocate(META_STASH_BYTES)
    const { stash } = this
    copyBytes(request.area, request.keyStart, stash, 0, request.keyBytes)
    request.setKey(stash, 0, request.keyBytes)
    let at = KEY_BYTES_MAX
    for (let i = flags.first; i < tokenCount; i++) {
      const byte = printer.line[tokenStart[i]]
      if (byte === Flag.OPAQUE) {
        at += printer.line.copy(stash.bytes, at, tokenStart[i], tokenEnd[i])
      } else if (byte === Flag.KEY || byte === Flag.CAS || byte === Flag.SIZE) {
        stash.bytes[at++] = byte
      } else continue
      stash.bytes[at++] = BLANK
    }
    stash.bytes[at++] = LF
    this.stashEnd = at
  }

  private answerStore(status: Status): void {
    const { printer, flags } = this
    if (status === Status.OK && flags.quiet) return
    const code = storedCode(status)
    if (code === 0) return this.speaker.say(storedLine(status))
    printer.addCode(code)
    for (let i = flags.first; i < tokenCount; i++) {
      const byte = printer.line[tokenStart[i]]
      if (byte === Flag.SIZE) printer.addNumber(byte, flags.terms.valueBytes)
      else if (byte === Flag.CAS) this.addLastCas(status === Status.OK)
      else printer.addOwn(i)
    }
    this.reply.endLine()
  }

  private remove(input: Area): void {
    const { request, flags, printer } = this
    const wrong = this.checkKey() ?? flags.read(input, 2) ?? this.checkOpaque()
    if (wrong !== null) return this.speaker.say(wrong)
    const status = removeOn(this.peer.host.cache, request, flags.terms)
    if (status === Status.NO_MEMORY) this.speaker.say(Line.NO_MEMORY)
    else if (status !== Status.OK) printer.addEcho(status === Status.MISS ? Code.NF : Code.EX)
    else if (!flags.quiet) printer.addEcho(Code.HD)
  }

  private adjust(input: Area): void {
    const { request, flags, printer, speaker } = this
    const wrong = this.checkKey() ?? this.readSum(input)
    if (wrong !== null) return speaker.say(wrong)
    const subtract = flags.mode === ModeByte.DECREMENT || flags.mode === ModeByte.MINUS
    const status = adjustOn(
      this.peer.host.cache,
      request,
      flags.terms,
      subtract,
      flags.deltaHigh,
      flags.deltaLow,
      flags.initialHigh,
      flags.initialLow,
    )
    if (status === Status.OK) {
      if (!flags.quiet) this.answerSum()
    } else if (status === Status.MISS || status === Status.EXISTS) {
      printer.addEcho(status === Status.MISS ? Code.NF : Code.EX)
    } else if (status === Status.NON_NUMERIC) {
      speaker.say(Line.NON_NUMERIC)
    } else {
      speaker.say(flags.terms.created ? MetaLine.NO_MEMORY_NEW : Line.NO_MEMORY)
    }
  }

  /** The sum stands in decimal.ts's u64. */
  private answerSum(): void {
    const { flags, printer, reply, request } = this
    const { terms } = flags
    const { high, low } = u64
    printer.addHead(digitsOfU64())
    let endsAtS = terms.endedAtS
    for (let i = flags.first; i < tokenCount; i++) {
      const byte = printer.line[tokenStart[i]]
      if (byte === Flag.TOUCH) endsAtS = terms.touchAtS
      else if (byte === Flag.CREATE && terms.created) endsAtS = terms.createAtS
      else if (byte === Flag.TTL) printer.addTtl(endsAtS, request.shard.arena.words[CLOCK_S])
      else if (byte === Flag.CAS) this.addLastCas(true)
      else printer.addOwn(i)
    }
    reply.endLine()
    if (!flags.withValue) return
    u64.high = high
    u64.low = low
    reply.length = printU64(reply.area.bytes, reply.length)
    reply.endLine()
  }

  /** me: for people who debug. */
  private describe(input: Area): void {
    const { request, peer } = this
    if (tokenCount < 2 || this.checkKey() !== null) return this.speaker.say(Line.BAD_FORMAT)
    request.setKey(input, tokenStart[1], tokenEnd[1])
    if (tokenCount > 2 && equalsWord(input.bytes, tokenStart[2], tokenEnd[2], 'b')) {
      if (!decodeKey(request)) return this.speaker.say(Line.BAD_FORMAT)
    }
    peer.host.counters[ThreadCounter.CMD_META]++
    const sink = new FactsSink(request)
    if (peek(peer.host.cache, request, sink) === Status.MISS) this.speaker.say(MetaLine.MISS)
    else peer.sendTail(sink.line)
  }

  private checkKey(): Area | null {
    if (tokenCount < 2) return Line.ERROR
    return tokenEnd[1] - tokenStart[1] > KEY_BYTES_MAX ? Line.BAD_FORMAT : null
  }

  private checkOpaque(): Area | null {
    return this.flags.opaqueBytes > OPAQUE_BYTES_MAX ? MetaLine.LONG_OPAQUE : null
  }

  /** Which store an ms is. */
  private readMode(): Area | null {
    const { flags } = this
    const mode = storeMode(flags.mode)
    if (mode < 0) return MetaLine.BAD_MODE_MS
    const swaps = flags.terms.compares && (mode === Mode.SET || mode === Mode.REPLACE)
    flags.terms.mode = swaps ? Mode.CAS : (mode as Mode)
    return null
  }

  private readSum(input: Area): Area | null {
    const { flags } = this
    if (flags.read(input, 2) !== null) return MetaLine.BAD_SUM_FLAGS
    switch (flags.mode) {
      case ModeByte.NONE:
      case ModeByte.INCREMENT:
      case ModeByte.PLUS:
      case ModeByte.DECREMENT:
      case ModeByte.MINUS:
        return this.checkOpaque()
      default:
        return MetaLine.BAD_MODE_MA
    }
  }

  /** The CAS that a store gave; 0 where it did not. */
  private addLastCas(stored: boolean): void {
    const shown = stored ? this.request.shard.arena.words[CAS_SHOWN] : 0
    this.printer.addCas(lastCas.high & shown, lastCas.low & shown)
  }
}

function storeMode(byte: number): Mode | -1 {
  switch (byte) {
    case ModeByte.NONE:
    case ModeByte.SET:
      return Mode.SET
    case ModeByte.ADD:
      return Mode.ADD
    case ModeByte.APPEND:
      return Mode.APPEND
    case ModeByte.PREPEND:
      return Mode.PREPEND
    case ModeByte.REPLACE:
      return Mode.REPLACE
    default:
      return -1
  }
}

/** What answers a store; 0: a line of words does. */
function storedCode(status: Status): number {
  switch (status) {
    case Status.OK:
      return Code.HD
    case Status.EXISTS:
      return Code.EX
    case Status.MISS:
      return Code.NF
    case Status.NOT_STORED:
      return Code.NS
    default:
      return 0
  }
}
