// What the meta commands say: a code of two letters, then what the flags ask for, in the order in
// which they ask, then what a peer has to know of a stale item.

import type { Arena } from '../engine/arena.ts'
import { copyBytes } from '../engine/bytes.ts'
import { DIGITS_MAX, printNumber, printU64, u64FromWords } from '../engine/decimal.ts'
import { endOf, itemFlags, itemTotalBytes, loadCas, readValue } from '../engine/item.ts'
import type { Ref } from '../engine/layout.ts'
import * as L from '../engine/layout.ts'
import type { HitSink } from '../engine/shard.ts'
import { Status } from '../engine/status.ts'
import { INLINE_VALUE_BYTES_MAX, REPLY_FRAME_BYTES_MAX } from '../limits.ts'
import { encodeBase64 } from './base64.ts'
import { Flag, type MetaFlags } from './meta-flags.ts'
import { type Reply, text } from './reply.ts'
import type { Request } from './request.ts'
import { tokenCount, tokenEnd, tokenStart } from './tokens.ts'

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

const BLANK = 32
const DIGIT_0 = 48
const MINUS_1 = 0x312d
const WON = ' W'
const CLAIMED = ' Z'
const STALE = ' X'

/** Prints for one session; the words of the command in hand stand in `line`. */
export class MetaPrinter implements HitSink {
  line: Buffer
  private readonly reply: Reply
  private readonly request: Request
  private readonly flags: MetaFlags

  constructor(reply: Reply, request: Request, flags: MetaFlags) {
    this.line = reply.area.bytes
    this.reply = reply
    this.request = request
    this.flags = flags
  }

  /** A hit of mg, under the arena's lock; long values only up to their header. */
  accept(arena: Arena, ref: Ref): Status {
    const { reply, flags } = this
    const valueBytes = flags.withValue ? arena.words[ref + L.ITEM_VALUE_BYTES] : 0
    const inline = valueBytes <= INLINE_VALUE_BYTES_MAX
    if (reply.room() < REPLY_FRAME_BYTES_MAX + (inline ? valueBytes : 0)) return Status.NO_ROOM
    this.addHead(valueBytes)
    this.addItem(arena, ref)
    reply.endLine()
    if (!flags.withValue) return Status.OK
    this.request.valueBytes = valueBytes
    if (!inline) return Status.HELD
    readValue(arena, ref, 0, valueBytes, reply.area, reply.length)
    reply.length += valueBytes
    reply.endLine()
    return Status.OK
  }

  /** HD, or VA and how long the value is. */
  addHead(valueBytes: number): void {
    if (!this.flags.withValue) return this.addCode(Code.HD)
    this.addCode(Code.VA)
    this.addByte(BLANK)
    this.reply.addNumber(valueBytes)
  }

  addCode(twoBytes: number): void {
    const { reply } = this
    reply.area.view.setInt16(reply.length, twoBytes, true)
    reply.length += 2
  }

  /** A whole reply that names the command again, and nothing of an item. */
  addEcho(twoBytes: number): void {
    this.addCode(twoBytes)
    for (let i = this.flags.first; i < tokenCount; i++) this.addOwn(i)
    this.reply.endLine()
  }

  /** A flag that is answered from the command: opaque or key; nothing for all others. */
  addOwn(word: number): void {
    const byte = this.line[tokenStart[word]]
    if (byte === Flag.OPAQUE) this.addWord(tokenStart[word], tokenEnd[word])
    else if (byte === Flag.KEY) this.addKey(this.flags.terms.keyBinary)
  }

  /** A letter, with the blank before it. */
  addLetter(byte: number): void {
    const { reply } = this
    reply.area.view.setInt16(reply.length, BLANK | (byte << 8), true)
    reply.length += 2
  }

  addCas(high: number, low: number): void {
    u64FromWords(high, low)
    this.addLoadedCas()
  }

  addNumber(byte: number, value: number): void {
    const { reply } = this
    this.addLetter(byte)
    reply.length = printNumber(reply.area.bytes, reply.length, value)
  }

  /** Seconds to an end, 0 of it for never; one that is past counts modulo 2^32, as in memcached. */
  addTtl(endsAtS: number, nowS: number): void {
    if (endsAtS !== 0) return this.addNumber(Flag.TTL, (endsAtS - nowS) >>> 0)
    this.addLetter(Flag.TTL)
    this.addCode(MINUS_1)
  }

  /** What the flags ask to know of an item, as it was before. */
  private addItem(arena: Arena, ref: Ref): void {
    const { terms, first } = this.flags
    const { words } = arena
    let endsAtS = terms.endedAtS
    for (let i = first; i < tokenCount; i++) {
      const byte = this.line[tokenStart[i]]
      // The end that t tells is the one of its moment, between the flags that change it.
      if (byte === Flag.TOUCH) endsAtS = terms.touchAtS
      else if (byte === Flag.CREATE && terms.created) endsAtS = terms.createAtS
      else if (byte === Flag.TTL) this.addTtl(endsAtS, words[L.CLOCK_S])
      else this.addFact(byte, i, arena, ref)
    }
    if (terms.wasClaimed) this.addText(CLAIMED)
    if (terms.wasStale) this.addText(STALE)
    if (terms.won) this.addText(WON)
  }

  private addFact(byte: number, word: number, arena: Arena, ref: Ref): void {
    const { words } = arena
    const meta = words[ref + L.ITEM_META]
    switch (byte) {
      case Flag.SIZE:
        return this.addNumber(byte, words[ref + L.ITEM_VALUE_BYTES])
      case Flag.CAS:
        loadCas(arena, ref)
        return this.addLoadedCas()
      case Flag.CLIENT_FLAGS:
        return this.addNumber(byte, itemFlags(arena, ref))
      case Flag.IDLE:
        return this.addNumber(byte, words[L.CLOCK_S] - words[ref + L.ITEM_TOUCHED_AT_S])
      case Flag.HIT:
        this.addLetter(byte)
        return this.addByte(DIGIT_0 + ((meta & L.STATE_FETCHED) === 0 ? 0 : 1))
      case Flag.KEY:
        return this.addKey(this.flags.terms.keyBinary || (meta & L.STATE_KEY_BINARY) !== 0)
      case Flag.OPAQUE:
        return this.addWord(tokenStart[word], tokenEnd[word])
    }
  }

  /** The CAS that stands in decimal.ts's u64. */
  private addLoadedCas(): void {
    const { reply } = this
    this.addLetter(Flag.CAS)
    reply.length = printU64(reply.area.bytes, reply.length)
  }

  private addKey(binary: boolean): void {
    const { reply } = this
    const { area, keyStart, keyBytes } = this.request
    this.addLetter(Flag.KEY)
    if (!binary) {
      copyBytes(area, keyStart, reply.area, reply.length, keyBytes)
      reply.length += keyBytes
      return
    }
    reply.length = encodeBase64(area, keyStart, keyBytes, reply.area.bytes, reply.length)
    this.addLetter(Flag.BASE64)
  }

  private addWord(start: number, end: number): void {
    this.addByte(BLANK)
    const { reply } = this
    const { bytes } = reply.area
    for (let at = start; at < end; at++) bytes[reply.length++] = this.line[at]
  }

  private addByte(byte: number): void {
    const { reply } = this
    reply.area.bytes[reply.length++] = byte
  }

  private addText(word: string): void {
    for (let i = 0; i < word.length; i++) this.addByte(word.charCodeAt(i))
  }
}

/** The reply to me, which is rare: a line that is made anew each time. */
export class FactsSink implements HitSink {
  line = Buffer.alloc(0)
  private readonly request: Request

  constructor(request: Request) {
    this.request = request
  }

  accept(arena: Arena, ref: Ref): Status {
    const { words } = arena
    const { area, keyStart, keyBytes } = this.request
    const key = area.bytes.subarray(keyStart, keyStart + keyBytes)
    const meta = words[ref + L.ITEM_META]
    const endsAtS = endOf(arena, ref)
    const cas = Buffer.alloc(DIGITS_MAX)
    loadCas(arena, ref)
    const facts = [
      `exp=${endsAtS === 0 ? -1 : endsAtS - words[L.CLOCK_S]}`,
      `la=${words[L.CLOCK_S] - words[ref + L.ITEM_TOUCHED_AT_S]}`,
      `cas=${cas.toString('latin1', 0, printU64(cas, 0))}`,
      `fetch=${(meta & L.STATE_FETCHED) === 0 ? 'no' : 'yes'}`,
      `cls=${L.metaClass(meta)}`,
      `size=${itemTotalBytes(arena, ref)}`,
    ]
    const name = key.toString((meta & L.STATE_KEY_BINARY) === 0 ? 'latin1' : 'base64')
    this.line = Buffer.from(`ME ${name} ${facts.join(' ')}\r\n`, 'latin1')
    return Status.OK
  }
}

function code(letters: string): number {
  return letters.charCodeAt(0) | (letters.charCodeAt(1) << 8)
}
