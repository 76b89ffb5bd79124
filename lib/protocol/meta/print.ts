// Prints the replies of meta commands: a code of two letters, then the answers to flags in the
// flags' order, then what a peer must know about a stale item.

import { copyBytes } from '../../bytes/area.ts'
import {
  DIGITS_MAX,
  digitsOfU64,
  printNumber,
  printU64,
  setU64,
  u64FromWords,
} from '../../bytes/decimal.ts'
import type { Arena } from '../../engine/arena/arena.ts'
import {
  casHighOf,
  casLowOf,
  classOf,
  idleS,
  isKeyBinary,
  itemFlags,
  itemTotalBytes,
  loadCas,
  type Ref,
  readValue,
  ttlOf,
  valueBytesOf,
  wasFetched,
} from '../../engine/items/item.ts'
import { Status } from '../../engine/status.ts'
import type { HitSink } from '../../engine/storing/ask.ts'
import { INLINE_VALUE_BYTES_MAX, REPLY_FRAME_BYTES_MAX } from '../limits.ts'
import { type Reply, text } from '../reply.ts'
import type { Request } from '../request.ts'
import { encodeBase64 } from './base64.ts'
import { Flag, type MetaFlags } from './flags.ts'

export const MetaLine = {
  BAD_MODE_MA: text('CLIENT_ERROR invalid mode for ma M token\r\n'),
  BAD_MODE_MS: text('CLIENT_ERROR invalid mode for ms M token\r\n'),
  BAD_SUM_FLAGS: text('CLIENT_ERROR invalid or duplicate flag\r\n'),
  MISS: text('EN\r\n'),
  LONG_OPAQUE: text('CLIENT_ERROR opaque token too long\r\n'),
  NO_MEMORY_NEW: text('SERVER_ERROR Out of memory allocating new item\r\n'),
  NO_OP: text('MN\r\n'),
} as const

/** Codes, as two bytes of a little-endian number. */
export const Code = {
  EN: code('EN'),
  EX: code('EX'),
  HD: code('HD'),
  NF: code('NF'),
  NS: code('NS'),
  VA: code('VA'),
} as const

// As little-endian numbers
const CRLF = 0x0a0d
const BLANK = 0x20
const MINUS_1 = 0x312d
const WON = blankAnd('W')
const CLAIMED = blankAnd('Z')
const STALE = blankAnd('X')

/** Prints for one session: each `print` writes at `at` and returns the end. */
export class MetaPrinter implements HitSink {
  private readonly reply: Reply
  private readonly request: Request
  private readonly flags: MetaFlags

  constructor(reply: Reply, request: Request, flags: MetaFlags) {
    this.reply = reply
    this.request = request
    this.flags = flags
  }

  /** A hit of mg, under the arena's lock; for a long value only the header. */
  accept(arena: Arena, ref: Ref): Status {
    const { reply } = this
    const withValue = this.flags.withValue && !this.isKnown(arena, ref)
    const valueBytes = withValue ? valueBytesOf(arena, ref) : 0
    const inline = valueBytes <= INLINE_VALUE_BYTES_MAX
    if (reply.room() < REPLY_FRAME_BYTES_MAX + (inline ? valueBytes : 0)) return Status.NO_ROOM
    const head = this.printHead(reply.length, withValue, valueBytes)
    let at = this.printItem(head, arena, ref)
    const { view } = reply.area
    view.setInt16(at, CRLF, true)
    at += 2
    if (withValue) {
      this.request.valueBytes = valueBytes
      if (inline) {
        readValue(arena, ref, reply.area, at)
        at += valueBytes
        view.setInt16(at, CRLF, true)
        at += 2
      }
    }
    reply.length = at
    return inline ? Status.OK : Status.HELD
  }

  /**
   * Whether the peer sent the item's CAS: then it has the value, and asks whether it is current.
   */
  private isKnown(arena: Arena, ref: Ref): boolean {
    const { compares, casHigh, casLow } = this.request
    return compares && casHighOf(arena, ref) === casHigh && casLowOf(arena, ref) === casLow
  }

  /** Adds a complete reply that repeats parts of the command, without an item. */
  addEcho(twoBytes: number): void {
    const { answers, answerCount } = this.flags
    let at = this.printCode(this.reply.length, twoBytes)
    for (let i = 0; i < answerCount; i++) at = this.printOwn(at, answers[i])
    this.endLine(at)
  }

  /** Adds the answers of a store: its size and CAS, 0 if it was not stored. */
  addStored(twoBytes: number, casHigh: number, casLow: number): void {
    const { request } = this
    const { answers, answerCount } = this.flags
    let at = this.printCode(this.reply.length, twoBytes)
    for (let i = 0; i < answerCount; i++) {
      const byte = answers[i]
      if (byte === Flag.SIZE) at = this.printNumber(at, byte, request.storedBytes)
      else if (byte === Flag.CAS) at = this.printCas(at, casHigh, casLow)
      else at = this.printOwn(at, byte)
    }
    this.endLine(at)
  }

  /** Adds the answers of an increment or decrement. */
  addSum(nowS: number): void {
    const { request } = this
    const { answers, answerCount, withValue } = this.flags
    setU64(request.numberHigh, request.numberLow)
    let at = this.printHead(this.reply.length, withValue, digitsOfU64())
    let expiresAtS = request.oldExpiresAtS
    for (let i = 0; i < answerCount; i++) {
      const byte = answers[i]
      if (byte === Flag.TOUCH) expiresAtS = request.expiresAtS
      else if (byte === Flag.CREATE && request.created) expiresAtS = request.createAtS
      else if (byte === Flag.TTL) at = this.printTtl(at, expiresAtS, nowS)
      else if (byte === Flag.CAS)
        at = this.printCas(at, request.storedCasHigh, request.storedCasLow)
      else at = this.printOwn(at, byte)
    }
    this.endLine(at)
    if (!withValue) return
    setU64(request.numberHigh, request.numberLow)
    this.endLine(printU64(this.reply.area.bytes, this.reply.length))
  }

  private endLine(at: number): void {
    const { reply } = this
    reply.length = at
    reply.endLine()
  }

  /** HD, or VA and the value's length. */
  private printHead(at: number, withValue: boolean, valueBytes: number): number {
    if (!withValue) return this.printCode(at, Code.HD)
    const { bytes, view } = this.reply.area
    view.setInt16(at, Code.VA, true)
    bytes[at + 2] = BLANK
    return printNumber(bytes, at + 3, valueBytes)
  }

  private printCode(at: number, twoBytes: number): number {
    this.reply.area.view.setInt16(at, twoBytes, true)
    return at + 2
  }

  /** The answers about an item, as it was before the request. */
  private printItem(start: number, arena: Arena, ref: Ref): number {
    const { request } = this
    const { answers, answerCount } = this.flags
    let at = start
    const nowS = request.shard.nowS()
    let expiresAtS = request.oldExpiresAtS
    for (let i = 0; i < answerCount; i++) {
      const byte = answers[i]
      // The TTL that t prints is that at its position between the flags that change it.
      if (byte === Flag.TOUCH) expiresAtS = request.expiresAtS
      else if (byte === Flag.CREATE && request.created) expiresAtS = request.createAtS
      else if (byte === Flag.TTL) at = this.printTtl(at, expiresAtS, nowS)
      else at = this.printFact(at, byte, arena, ref)
    }
    if (request.wasClaimed) at = this.printCode(at, CLAIMED)
    if (request.wasStale) at = this.printCode(at, STALE)
    if (request.won) at = this.printCode(at, WON)
    return at
  }

  private printFact(at: number, byte: number, arena: Arena, ref: Ref): number {
    switch (byte) {
      case Flag.CLIENT_FLAGS:
        return this.printNumber(at, byte, itemFlags(arena, ref))
      case Flag.KEY:
        return this.printKey(at, this.request.isKeyBinary || isKeyBinary(arena, ref))
      case Flag.OPAQUE:
        return this.printOpaque(at)
      case Flag.CAS:
        return this.printCas(at, casHighOf(arena, ref), casLowOf(arena, ref))
      case Flag.SIZE:
        return this.printNumber(at, byte, valueBytesOf(arena, ref))
      case Flag.IDLE:
        return this.printNumber(at, byte, idleS(arena, ref))
      case Flag.HIT:
        return this.printNumber(at, byte, wasFetched(arena, ref) ? 1 : 0)
      default:
        return at
    }
  }

  /** The answer to a flag from the command itself: opaque or key; nothing for other flags. */
  private printOwn(at: number, byte: number): number {
    if (byte === Flag.OPAQUE) return this.printOpaque(at)
    if (byte === Flag.KEY) return this.printKey(at, this.request.isKeyBinary)
    return at
  }

  /** A space and a letter. */
  private printLetter(at: number, byte: number): number {
    this.reply.area.view.setInt16(at, BLANK | (byte << 8), true)
    return at + 2
  }

  private printNumber(at: number, byte: number, value: number): number {
    return printNumber(this.reply.area.bytes, this.printLetter(at, byte), value)
  }

  private printCas(at: number, high: number, low: number): number {
    u64FromWords(high, low)
    return printU64(this.reply.area.bytes, this.printLetter(at, Flag.CAS))
  }

  /** Seconds until the expiry, -1 for never; a past time counts modulo 2^32, as in memcached. */
  private printTtl(at: number, expiresAtS: number, nowS: number): number {
    if (expiresAtS !== 0) return this.printNumber(at, Flag.TTL, (expiresAtS - nowS) >>> 0)
    return this.printCode(this.printLetter(at, Flag.TTL), MINUS_1)
  }

  private printKey(at: number, binary: boolean): number {
    const { area, keyStart, keyBytes } = this.request
    const { reply } = this
    const from = this.printLetter(at, Flag.KEY)
    if (!binary) {
      copyBytes(area, keyStart, reply.area, from, keyBytes)
      return from + keyBytes
    }
    const end = encodeBase64(area, keyStart, keyBytes, reply.area.bytes, from)
    return this.printLetter(end, Flag.BASE64)
  }

  private printOpaque(at: number): number {
    const { line, opaqueStart, opaqueBytes } = this.flags
    const { area } = this.reply
    area.bytes[at] = BLANK
    copyBytes(line, opaqueStart, area, at + 1, opaqueBytes)
    return at + 1 + opaqueBytes
  }
}

/** The reply to me. It is rare, so each one creates a new string. */
export class FactsSink implements HitSink {
  line = Buffer.alloc(0)
  private readonly request: Request

  constructor(request: Request) {
    this.request = request
  }

  accept(arena: Arena, ref: Ref): Status {
    const { area, keyStart, keyBytes } = this.request
    const key = area.bytes.subarray(keyStart, keyStart + keyBytes)
    const cas = Buffer.alloc(DIGITS_MAX)
    loadCas(arena, ref)
    const facts = [
      `exp=${ttlOf(arena, ref)}`,
      `la=${idleS(arena, ref)}`,
      `cas=${cas.toString('latin1', 0, printU64(cas, 0))}`,
      `fetch=${wasFetched(arena, ref) ? 'yes' : 'no'}`,
      `cls=${classOf(arena, ref)}`,
      `size=${itemTotalBytes(arena, ref)}`,
    ]
    const name = key.toString(isKeyBinary(arena, ref) ? 'base64' : 'latin1')
    this.line = Buffer.from(`ME ${name} ${facts.join(' ')}\r\n`, 'latin1')
    return Status.OK
  }
}

function blankAnd(character: string): number {
  return code(` ${character}`)
}

function code(letters: string): number {
  return letters.charCodeAt(0) | (letters.charCodeAt(1) << 8)
}
