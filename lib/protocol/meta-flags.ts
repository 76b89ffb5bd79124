// The flags of one meta command, read in place from its words (tokens.ts): a letter, and behind it
// what it takes. What they ask of the item goes into terms, their times into the request, the rest is
// kept here. All commands know all letters; each takes no notice of those that mean nothing to it.

import { Area } from '../engine/bytes.ts'
import { parseU64, u64, u64ToWords } from '../engine/decimal.ts'
import { Terms } from '../engine/terms.ts'
import { KEY_BYTES_MAX, META_WORDS_MAX } from '../limits.ts'
import { parseInt32, parseUint32 } from './ascii.ts'
import { decodeBase64 } from './base64.ts'
import { text } from './reply.ts'
import type { Request } from './request.ts'
import { Line } from './text-print.ts'
import { tokenCount, tokenEnd, tokenStart } from './tokens.ts'

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

// Letters stand in two rows of 32 bytes; what is below them is no flag, what is above is seen before.
const LETTERS_START = 64
const LOWER_START = 96
const LETTERS_END = 127
/** The word of a command that is its key. */
const KEY_WORD = 1

const words = { high: 0, low: 0 }
/** Where a key stands that came in base64: whole blocks of three bytes. */
const decoded = Area.allocate(KEY_BYTES_MAX)

export class MetaFlags {
  readonly terms = new Terms()
  /** The first word that is a flag. */
  first = 0
  /** No reply where the command does what it is meant to. */
  quiet = false
  withValue = false
  /** The byte behind M; 0: no M, -1: nothing behind it. */
  mode = 0
  /** Bytes of the opaque with its letter. */
  opaqueBytes = 0
  // Numbers of decimal.ts
  deltaHigh = 0
  deltaLow = 0
  initialHigh = 0
  initialLow = 0
  private readonly request: Request

  constructor(request: Request) {
    this.request = request
  }

  /** Reads the key, and the flags from word `first` on; the line that says what is wrong, or null. */
  read(input: Area, first: number): Area | null {
    if (tokenCount > META_WORDS_MAX) return FlagLine.TOO_MANY
    this.reset(first)
    this.request.setKey(input, tokenStart[KEY_WORD], tokenEnd[KEY_WORD])
    let upperSeen = 0
    let lowerSeen = 0
    let wrong: Area | null = null
    for (let i = first; i < tokenCount; i++) {
      const byte = input.bytes[tokenStart[i]]
      const bit = 1 << (byte & 31)
      if (byte < LETTERS_START) return FlagLine.BAD_FLAG
      const seen = byte < LOWER_START ? upperSeen : lowerSeen
      if (byte >= LETTERS_END || (seen & bit) !== 0) return FlagLine.DUPLICATE
      if (byte < LOWER_START) upperSeen |= bit
      else lowerSeen |= bit
      const line = this.readFlag(byte, input.bytes, tokenStart[i] + 1, tokenEnd[i])
      if (line === FlagLine.BAD_FLAG) return line
      // As in memcached the last one is told, but for client flags only where nothing else is.
      if (line !== null && (line !== Line.BAD_FORMAT || wrong === null)) wrong = line
    }
    return wrong
  }

  private reset(first: number): void {
    this.terms.reset()
    this.first = first
    this.quiet = false
    this.withValue = false
    this.mode = 0
    this.opaqueBytes = 0
    this.deltaHigh = 0
    this.deltaLow = 1
    this.initialHigh = 0
    this.initialLow = 0
    this.request.exptime = 0
    this.request.createExptime = 0
    this.request.recacheExptime = 0
  }

  /** One flag: its letter, and what stands behind it in [start, end). */
  private readFlag(byte: number, bytes: Buffer, start: number, end: number): Area | null {
    switch (byte) {
      case Flag.VALUE:
        this.withValue = true
        return null
      case Flag.QUIET:
        this.quiet = true
        return null
      case Flag.OPAQUE:
        this.opaqueBytes = end - start + 1
        return null
      case Flag.UNSEEN:
        this.terms.bumps = false
        return null
      case Flag.INVALIDATE:
        this.terms.invalidates = true
        return null
      case Flag.CLEAR:
        this.terms.clears = true
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
      case Flag.SET_FLAGS:
      case Flag.COMPARE:
      case Flag.NEW_CAS:
      case Flag.DELTA:
      case Flag.INITIAL:
        return this.readNumber(byte, bytes, start, end)
      default:
        return isPlain(byte) ? null : FlagLine.BAD_FLAG
    }
  }

  private decodeKey(): Area | null {
    this.terms.keyBinary = true
    return decodeKey(this.request) ? null : FlagLine.BAD_KEY
  }

  private readTime(byte: number, bytes: Buffer, start: number, end: number): Area | null {
    const { request, terms } = this
    const exptime = parseInt32(bytes, start, end)
    if (Number.isNaN(exptime)) return FlagLine.BAD_TOKEN
    if (byte === Flag.CREATE) {
      request.createExptime = exptime
      terms.creates = true
      terms.touchesCreated = false
    } else if (byte === Flag.TOUCH) {
      request.exptime = exptime
      terms.touches = true
      terms.touchesCreated = true
    } else {
      request.recacheExptime = exptime
      terms.recaches = true
      terms.recachesTouched = terms.touches
    }
    return null
  }

  private readNumber(byte: number, bytes: Buffer, start: number, end: number): Area | null {
    const { terms } = this
    if (byte === Flag.SET_FLAGS) {
      const flags = parseUint32(bytes, start, end)
      if (flags < 0) return Line.BAD_FORMAT
      terms.flags = flags
      return null
    }
    const good = parseU64(bytes, start, end)
    if (byte === Flag.DELTA) {
      this.deltaHigh = u64.high
      this.deltaLow = u64.low
      return good ? null : FlagLine.BAD_DELTA
    }
    if (byte === Flag.INITIAL) {
      this.initialHigh = u64.high
      this.initialLow = u64.low
      return good ? null : FlagLine.BAD_INITIAL
    }
    if (!good) return FlagLine.BAD_TOKEN
    u64ToWords(words)
    if (byte === Flag.COMPARE) {
      terms.compares = true
      terms.casHigh = words.high
      terms.casLow = words.low
    } else {
      terms.newCasHigh = words.high
      terms.newCasLow = words.low
    }
    return null
  }
}

/** Takes the request's key for base64; false if it is none. The key then stands until the next one. */
export function decodeKey(request: Request): boolean {
  const start = request.keyStart
  const length = decodeBase64(request.area.bytes, start, start + request.keyBytes, decoded)
  request.setKey(decoded, 0, length)
  return length > 0
}

/** Letters that ask for something in the reply, and those that are for memcached's proxy. */
function isPlain(byte: number): boolean {
  switch (byte) {
    case Flag.KEY:
    case Flag.SIZE:
    case Flag.TTL:
    case Flag.CAS:
    case Flag.CLIENT_FLAGS:
    case Flag.IDLE:
    case Flag.HIT:
    case Flag.PROXY_P:
    case Flag.PROXY_L:
      return true
    default:
      return false
  }
}

/** The byte of a letter. */
export function letter(character: string): number {
  return character.charCodeAt(0)
}
