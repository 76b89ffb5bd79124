// The flags of one meta command: a letter, followed by its argument. What they ask of the item goes
// into the request, the rest is kept here. All commands accept all letters, and ignore those
// without a meaning for them.
//
// A well-formed line is read in one pass by `readLine`. Any other is left to `read`, which goes
// over its words (tokens.ts) and knows the errors.

import { Area } from '../../bytes/area.ts'
import { u64, u64ToWords } from '../../bytes/decimal.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { META_WORDS_MAX, OPAQUE_BYTES_MAX } from '../limits.ts'
import { locateKey } from '../lookahead.ts'
import { text } from '../reply.ts'
import type { Request } from '../request.ts'
import { wordEnd } from '../words/ascii.ts'
import { readInt32, readUint32, readUint64 } from '../words/numbers.ts'
import { Line } from '../words/print.ts'
import { tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import { decodeBase64 } from './base64.ts'

export const FlagLine = {
  BAD_DELTA: text('CLIENT_ERROR invalid numeric delta value\r\n'),
  BAD_FLAG: text('CLIENT_ERROR invalid flag\r\n'),
  BAD_INITIAL: text('CLIENT_ERROR invalid numeric initial value\r\n'),
  BAD_KEY: text('CLIENT_ERROR error decoding key\r\n'),
  BAD_TOKEN: text('CLIENT_ERROR bad token in command line format\r\n'),
  DUPLICATE: text('CLIENT_ERROR duplicate flag\r\n'),
  TOO_MANY: text('CLIENT_ERROR options flags are too long\r\n'),
} as const

/** The letters, as bytes. */
export const Flag = {
  BASE64: letter('b'),
  CAS: letter('c'),
  CLIENT_FLAGS: letter('f'),
  HIT: letter('h'),
  KEY: letter('k'),
  IDLE: letter('l'),
  QUIET: letter('q'),
  SIZE: letter('s'),
  TTL: letter('t'),
  UNSEEN: letter('u'),
  VALUE: letter('v'),
  CLEAR: letter('x'),
  COMPARE: letter('C'),
  DELTA: letter('D'),
  NEW_CAS: letter('E'),
  SET_FLAGS: letter('F'),
  INVALIDATE: letter('I'),
  INITIAL: letter('J'),
  PROXY_L: letter('L'),
  MODE: letter('M'),
  CREATE: letter('N'),
  OPAQUE: letter('O'),
  PROXY_P: letter('P'),
  RECACHE: letter('R'),
  TOUCH: letter('T'),
} as const

/** Bytes from here on that are no letters count as duplicate flags, as in memcached. */
const LETTERS_END = 127
/** By byte: the flag's bit in a set of flags, 0 for other bytes. */
const BITS = new Int32Array(256)
Object.values(Flag).forEach((byte, index) => {
  BITS[byte] = 1 << index
})
const VALUE_BIT = BITS[Flag.VALUE]
const QUIET_BIT = BITS[Flag.QUIET]
/** Flags without an argument. */
const PLAIN = setOf('vqksctfhlPL')
/** Flags that a reply answers, and flags that change a later answer. */
const ANSWERED = setOf('OksctfhlTN')
/** Index of the word that is the key. */
const KEY_WORD = 1
const LF = 10
const CR = 13
const BLANK = 32
const DIGIT_0 = 48
const DIGIT_9 = 57
const UPPER_A = letter('A')
const LOWER_Z = letter('z')

const words = { high: 0, low: 0 }
/** The decoded base64 key, with room for complete blocks of three bytes. */
const decoded = Area.allocate(KEY_BYTES_MAX)

export class MetaFlags {
  /** The flags that matter to a reply, in order: the first `answerCount`. */
  readonly answers = new Uint8Array(META_WORDS_MAX)
  answerCount = 0
  /** No reply if the command succeeds. */
  quiet = false
  withValue = false
  /** The byte after M; 0: no M, -1: M without an argument. */
  mode = 0
  /** Start and length of the opaque, including its letter. */
  line: Area
  opaqueStart = 0
  opaqueBytes = 0
  private readonly request: Request
  /** The set of flags that were read. */
  private seen = 0

  constructor(request: Request) {
    this.request = request
    this.line = request.area
  }

  /**
   * Reads the flags, the words from the `first` on, from `start` to the end of the line. Returns
   * where the next line begins; -1: the line is incomplete or not well-formed.
   */
  readLine(input: Area, start: number, end: number, first: number): number {
    const { bytes } = input
    let count = first
    let at = start
    while (at < end) {
      const byte = bytes[at]
      if (byte === BLANK) {
        at++
      } else if (byte === LF || (byte === CR && at + 1 < end && bytes[at + 1] === LF)) {
        if (this.opaqueBytes > OPAQUE_BYTES_MAX) return -1
        return byte === LF ? at + 1 : at + 2
      } else {
        const stop = bytes[at + 1] <= BLANK ? at + 1 : wordEnd(input, at + 1, end)
        if (++count > META_WORDS_MAX || this.take(input, at, stop) !== null) return -1
        at = stop
      }
    }
    return -1
  }

  /**
   * Reads the key, and the flags from word `first` on. Returns an error line, or null.
   */
  read(input: Area, first: number): Area | null {
    if (tokenCount > META_WORDS_MAX) return FlagLine.TOO_MANY
    this.begin(input, tokenStart[KEY_WORD], tokenEnd[KEY_WORD])
    let wrong: Area | null = null
    for (let i = first; i < tokenCount; i++) {
      const line = this.take(input, tokenStart[i], tokenEnd[i])
      if (line === FlagLine.BAD_FLAG || line === FlagLine.DUPLICATE) return line
      // As in memcached, the last error is reported, but that of client flags only if it is the
      // only one.
      if (line !== null && (line !== Line.BAD_FORMAT || wrong === null)) wrong = line
    }
    return wrong
  }

  /** Resets for a new command, whose key is [start, end). */
  begin(input: Area, start: number, end: number): void {
    const { request } = this
    locateKey(request, input, start, end)
    request.isPlain = false
    request.noreply = false
    request.dropsOld = true
    request.flags = 0
    request.casHigh = 0
    request.casLow = 0
    request.deltaHigh = 0
    request.deltaLow = 1
    request.exptime = 0
    request.createExptime = 0
    request.recacheExptime = 0
    this.line = input
    this.answerCount = 0
    this.quiet = false
    this.withValue = false
    // Most flags do not touch the rest of the state.
    if ((this.seen & ~PLAIN) !== 0) this.forget()
    this.seen = 0
  }

  private forget(): void {
    this.request.resetTerms()
    this.request.initialHigh = 0
    this.request.initialLow = 0
    this.mode = 0
    this.opaqueBytes = 0
  }

  /** Reads the flag in [start, end). Returns an error line, or null. */
  private take(input: Area, start: number, end: number): Area | null {
    const byte = input.bytes[start]
    const bit = BITS[byte]
    if (bit === 0) return byte < LETTERS_END ? FlagLine.BAD_FLAG : FlagLine.DUPLICATE
    if ((this.seen & bit) !== 0) return FlagLine.DUPLICATE
    this.seen |= bit
    if ((bit & ANSWERED) !== 0) this.answers[this.answerCount++] = byte
    if ((bit & PLAIN) === 0) return this.readFlag(byte, input.bytes, start + 1, end)
    if (bit === VALUE_BIT) this.withValue = true
    else if (bit === QUIET_BIT) this.quiet = true
    return null
  }

  /** Reads a flag with an argument: its letter, and the argument in [start, end). */
  private readFlag(byte: number, bytes: Buffer, start: number, end: number): Area | null {
    switch (byte) {
      case Flag.OPAQUE:
        this.opaqueStart = start - 1
        this.opaqueBytes = end - this.opaqueStart
        return null
      case Flag.UNSEEN:
        this.request.bumps = false
        return null
      case Flag.INVALIDATE:
        this.request.invalidates = true
        return null
      case Flag.CLEAR:
        this.request.clears = true
        return null
      case Flag.MODE:
        this.mode = end > start ? bytes[start] : -1
        return null
      case Flag.BASE64:
        return this.decodeKey()
      case Flag.CREATE:
      case Flag.TOUCH:
      case Flag.RECACHE:
        return this.readTime(byte, bytes, start, end)
      default:
        return this.readNumber(byte, bytes, start, end)
    }
  }

  private decodeKey(): Area | null {
    this.request.isKeyBinary = true
    return decodeKey(this.request) ? null : FlagLine.BAD_KEY
  }

  private readTime(byte: number, bytes: Buffer, start: number, end: number): Area | null {
    const { request } = this
    const exptime = start === end ? Number.NaN : readInt32(bytes, start, end)
    if (Number.isNaN(exptime)) return FlagLine.BAD_TOKEN
    if (byte === Flag.CREATE) {
      request.createExptime = exptime
      request.creates = true
      request.touchesCreated = false
    } else if (byte === Flag.TOUCH) {
      request.exptime = exptime
      request.touches = true
      request.touchesCreated = true
    } else {
      request.recacheExptime = exptime
      request.recaches = true
      request.recachesTouched = request.touches
    }
    return null
  }

  private readNumber(byte: number, bytes: Buffer, start: number, end: number): Area | null {
    const { request } = this
    if (byte === Flag.SET_FLAGS) {
      const flags = start === end ? -1 : readUint32(bytes, start, end)
      if (flags < 0) return Line.BAD_FORMAT
      request.flags = flags
      return null
    }
    const good = readUint64(bytes, start, end)
    if (byte === Flag.DELTA) {
      request.deltaHigh = u64.high
      request.deltaLow = u64.low
      return good ? null : FlagLine.BAD_DELTA
    }
    if (byte === Flag.INITIAL) {
      request.initialHigh = u64.high
      request.initialLow = u64.low
      return good ? null : FlagLine.BAD_INITIAL
    }
    if (!good) return FlagLine.BAD_TOKEN
    u64ToWords(words)
    if (byte === Flag.COMPARE) {
      request.compares = true
      request.casHigh = words.high
      request.casLow = words.low
    } else {
      request.newCasHigh = words.high
      request.newCasLow = words.low
    }
    return null
  }
}

/**
 * Decodes the request's key from base64; false if it is not. The key is valid until the next one.
 */
export function decodeKey(request: Request): boolean {
  const start = request.keyStart
  const length = decodeBase64(request.area.bytes, start, start + request.keyBytes, decoded)
  if (length === 0) return false
  request.locate(decoded, 0, length, request.cache.hash(decoded, 0, length))
  return true
}

/**
 * Whether all words from `first` on begin with a letter or a digit, as flags do. `[` to '`' are
 * between the letters, and pass too. Other lines are badly formatted, whatever else they contain.
 */
export function areFlags(bytes: Buffer, first: number): boolean {
  for (let i = first; i < tokenCount; i++) {
    const byte = bytes[tokenStart[i]]
    const isDigit = byte >= DIGIT_0 && byte <= DIGIT_9
    if (!isDigit && (byte < UPPER_A || byte > LOWER_Z)) return false
  }
  return true
}

/** The byte of a letter. */
export function letter(character: string): number {
  return character.charCodeAt(0)
}

function setOf(letters: string): number {
  return [...letters].reduce((set, character) => set | BITS[letter(character)], 0)
}
