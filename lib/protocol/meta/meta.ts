// The meta commands mg, ms, md, ma, mn and me, inside the text protocol. A well-formed line is read
// here in one pass; for any other the text protocol finds the words and calls again. meta/flags.ts
// reads flags, execute.ts has the meaning, meta/print.ts prints.
//
// A fetch may change its item: if it tells a peer that it won, no other peer is told so. It does
// this only once the reply has room.

import { Area, copyBytes } from '../../bytes/area.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { Mode, Status } from '../../engine/status.ts'
import { type Conversation, NEED_MORE, type Sending } from '../conversation.ts'
import { ThreadCounter } from '../host.ts'
import { OPAQUE_BYTES_MAX, VALUE_BYTES_MAX } from '../limits.ts'
import { keyEndAt, locateKey } from '../lookahead.ts'
import type { Reply } from '../reply.ts'
import type { Request } from '../request.ts'
import { equalsWord, wordEnd } from '../words/ascii.ts'
import { readInt32 } from '../words/numbers.ts'
import { failedLine, Line, storedLine } from '../words/print.ts'
import type { Speaker } from '../words/speaker.ts'
import { tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import { type Store, ValueReader } from '../words/value-reader.ts'
import { Verb } from '../words/verbs.ts'
import { areFlags, decodeKey, letter, MetaFlags } from './flags.ts'
import { Code, FactsSink, MetaLine, MetaPrinter } from './print.ts'

/** What a meta store keeps of its line while its value arrives: the key and the opaque. */
const META_STASH_BYTES = KEY_BYTES_MAX + OPAQUE_BYTES_MAX

const BLANK = 32
const LETTER_A = letter('a')
const LETTER_D = letter('d')
const LETTER_G = letter('g')
const LETTER_S = letter('s')
const VERB_BYTES = 2

/** Arguments of M. */
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

export class MetaCommands implements Sending, Store {
  private readonly peer: Conversation
  private readonly speaker: Speaker
  private readonly request: Request
  private readonly reply: Reply
  private readonly flags: MetaFlags
  private readonly printer: MetaPrinter
  private readonly values: ValueReader
  /** For a store whose value comes in pieces: its key, then its opaque. */
  private stash: Area | null = null

  constructor(peer: Conversation, speaker: Speaker) {
    this.peer = peer
    this.speaker = speaker
    this.request = peer.request
    this.reply = peer.host.reply
    this.flags = new MetaFlags(peer.request)
    this.printer = new MetaPrinter(this.reply, this.request, this.flags)
    this.values = new ValueReader(peer, speaker, this)
  }

  /**
   * Runs the command at `at`, if its line is complete and well-formed. Returns how far it consumed,
   * or `at` if there is no room, as `run` does. NEED_MORE: it is for `run`, or its value is
   * incomplete.
   */
  quick(input: Area, at: number, end: number): number {
    const { bytes } = input
    const keyStart = at + VERB_BYTES + 1
    if (keyStart >= end || bytes[keyStart - 1] !== BLANK) return NEED_MORE
    const known = keyEndAt(keyStart)
    const keyEnd = known >= 0 ? known : wordEnd(input, keyStart, end)
    if (keyEnd === keyStart || keyEnd - keyStart > KEY_BYTES_MAX) return NEED_MORE
    const { flags } = this
    flags.begin(input, keyStart, keyEnd)
    const verb = bytes[at + 1]
    if (verb === LETTER_S) return this.quickStore(input, keyEnd, end)
    const next = flags.readLine(input, keyEnd, end, 2)
    if (next < 0) return NEED_MORE
    if (verb === LETTER_G) return this.fetch() ? next : at
    if (verb === LETTER_D) this.remove()
    else if (verb === LETTER_A && isSum(flags.mode)) this.adjust()
    else return NEED_MORE
    return next
  }

  /**
   * Runs the command at `at`, whose line ends before `next`. Returns how far it consumed.
   * NEED_MORE: its value is short and incomplete; `at`: the reply has no room now.
   */
  run(verb: Verb, input: Area, at: number, next: number, end: number): number {
    if (verb === Verb.MS) return this.store(input, next, end)
    if (verb === Verb.ME) this.describe(input)
    else if (verb === Verb.MN) this.speaker.say(MetaLine.NO_OP)
    else {
      const wrong = this.readFlags(verb, input) ?? this.checkOpaque()
      if (wrong !== null) this.speaker.say(wrong)
      else if (verb === Verb.MG) return this.fetch() ? next : at
      else if (verb === Verb.MD) this.remove()
      else this.adjust()
    }
    return next
  }

  /** The value of an mg was sent. */
  sent(): void {
    this.reply.endLine()
  }

  /** mg. False: there is no room for its reply now. */
  private fetch(): boolean {
    const { request, reply, flags, peer } = this
    let before = reply.length
    let status = peer.operations.get(request, this.printer)
    while (status === Status.NO_ROOM) {
      if (!peer.flush()) return false
      before = reply.length
      status = peer.operations.get(request, this.printer)
    }
    if (status === Status.HELD) {
      peer.sendHeld(this)
    } else if (status > Status.MISS) {
      reply.length = before
      this.speaker.say(failedLine(status, Line.NO_MEMORY_GET))
    } else if (status === Status.MISS && !flags.quiet) {
      this.printer.addEcho(Code.EN)
    }
    return true
  }

  /** ms: the line, then the value after it. */
  private store(input: Area, valueStart: number, end: number): number {
    const { flags, speaker } = this
    const { bytes } = input
    const valueBytes = tokenCount < 3 ? -1 : readInt32(bytes, tokenStart[2], tokenEnd[2])
    if (!(valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX)) {
      speaker.say(Line.BAD_FORMAT)
      return valueStart
    }
    const wrong =
      this.checkWords(bytes, 3) ?? flags.read(input, 3) ?? this.readMode() ?? this.checkOpaque()
    if (wrong !== null) {
      this.peer.swallow(valueBytes + 2, wrong)
      return valueStart
    }
    this.request.valueBytes = valueBytes
    return this.values.take(input, valueStart, end)
  }

  /** An ms whose key ends at `start`. */
  private quickStore(input: Area, start: number, end: number): number {
    const { bytes } = input
    const stop = wordEnd(input, start + 1, end)
    const isThere = bytes[start] === BLANK && stop > start + 1
    const valueBytes = isThere ? readInt32(bytes, start + 1, stop) : -1
    if (!(valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX)) return NEED_MORE
    const next = this.flags.readLine(input, stop, end, 3)
    if (next < 0 || this.readMode() !== null) return NEED_MORE
    this.request.valueBytes = valueBytes
    return this.values.take(input, next, end)
  }

  /** Keeps what the reply needs of the line, which is gone when the value is complete. */
  keepLine(): void {
    const { request, flags } = this
    this.stash ??= Area.allocate(META_STASH_BYTES)
    const { stash } = this
    copyBytes(request.area, request.keyStart, stash, 0, request.keyBytes)
    request.setKey(stash, 0, request.keyBytes, request.hash)
    copyBytes(flags.line, flags.opaqueStart, stash, KEY_BYTES_MAX, flags.opaqueBytes)
    flags.line = stash
    flags.opaqueStart = KEY_BYTES_MAX
  }

  stored(status: Status): void {
    if (status === Status.OK && this.flags.quiet) return
    const code = storedCode(status)
    if (code === 0) return this.speaker.say(storedLine(status))
    const { storedCasHigh, storedCasLow } = this.request
    const isStored = status === Status.OK
    this.printer.addStored(code, isStored ? storedCasHigh : 0, isStored ? storedCasLow : 0)
  }

  private remove(): void {
    const { request, flags, printer } = this
    const status = this.peer.operations.remove(request)
    if (status > Status.EXISTS) this.speaker.say(failedLine(status))
    else if (status !== Status.OK) printer.addEcho(status === Status.MISS ? Code.NF : Code.EX)
    else if (!flags.quiet) printer.addEcho(Code.HD)
  }

  private adjust(): void {
    const { request, flags, printer, speaker } = this
    request.subtracts = flags.mode === ModeByte.DECREMENT || flags.mode === ModeByte.MINUS
    const status = this.peer.operations.adjust(request)
    if (status === Status.OK) {
      if (flags.quiet) return
      printer.addSum(request.shard.nowS())
    } else if (status === Status.MISS || status === Status.EXISTS) {
      printer.addEcho(status === Status.MISS ? Code.NF : Code.EX)
    } else if (status === Status.NON_NUMERIC) {
      speaker.say(Line.NON_NUMERIC)
    } else {
      speaker.say(failedLine(status, request.created ? MetaLine.NO_MEMORY_NEW : Line.NO_MEMORY))
    }
  }

  /** me, for debugging. */
  private describe(input: Area): void {
    const { request, peer } = this
    if (this.checkWords(input.bytes, 2) !== null) return this.speaker.say(Line.BAD_FORMAT)
    locateKey(request, input, tokenStart[1], tokenEnd[1])
    if (tokenCount > 2 && equalsWord(input.bytes, tokenStart[2], tokenEnd[2], 'b')) {
      if (!decodeKey(request)) return this.speaker.say(Line.BAD_FORMAT)
    }
    peer.host.counters[ThreadCounter.CMD_META]++
    const sink = new FactsSink(request)
    const status = peer.operations.peek(request, sink)
    if (status === Status.OK) peer.sendTail(sink.line)
    else this.speaker.say(failedLine(status, MetaLine.MISS))
  }

  /** Checks for a key, and flags from word `first` on. Returns an error line, or null. */
  private checkWords(bytes: Buffer, first: number): Area | null {
    if (tokenCount < 2 || !areFlags(bytes, first)) return Line.BAD_FORMAT
    return tokenEnd[1] - tokenStart[1] > KEY_BYTES_MAX ? Line.BAD_FORMAT : null
  }

  private checkOpaque(): Area | null {
    return this.flags.opaqueBytes > OPAQUE_BYTES_MAX ? MetaLine.LONG_OPAQUE : null
  }

  /** The mode of an ms. */
  private readMode(): Area | null {
    const { flags, request } = this
    const mode = storeMode(flags.mode)
    if (mode < 0) return MetaLine.BAD_MODE_MS
    const swaps = request.compares && (mode === Mode.SET || mode === Mode.REPLACE)
    request.mode = swaps ? Mode.CAS : (mode as Mode)
    return null
  }

  private readFlags(verb: Verb, input: Area): Area | null {
    const { flags } = this
    if (verb !== Verb.MA) return this.checkWords(input.bytes, 2) ?? flags.read(input, 2)
    if (tokenCount < 2 || !areFlags(input.bytes, 2)) return Line.BAD_FORMAT
    const wrong = this.checkWords(input.bytes, 2) ?? flags.read(input, 2)
    if (wrong !== null) return MetaLine.BAD_SUM_FLAGS
    return isSum(flags.mode) ? null : MetaLine.BAD_MODE_MA
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

function isSum(mode: number): boolean {
  switch (mode) {
    case ModeByte.NONE:
    case ModeByte.INCREMENT:
    case ModeByte.PLUS:
    case ModeByte.DECREMENT:
    case ModeByte.MINUS:
      return true
    default:
      return false
  }
}

/** The code that answers a store; 0: an error line does. */
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
