// Prints the replies of the classic text protocol: fixed lines, and hits as `VALUE key flags bytes
// [cas]`.

import { type Area, copyBytes } from '../../bytes/area.ts'
import { printNumber, printU64 } from '../../bytes/decimal.ts'
import type { Arena } from '../../engine/arena/arena.ts'
import { itemFlags, loadCas, type Ref, readValue, valueBytesOf } from '../../engine/items/item.ts'
import { Status } from '../../engine/status.ts'
import type { HitSink } from '../../engine/storing/ask.ts'
import { INLINE_VALUE_BYTES_MAX, REPLY_FRAME_BYTES_MAX } from '../limits.ts'
import { type Reply, text } from '../reply.ts'
import type { Request } from '../request.ts'

const BAD_FORMAT = 'CLIENT_ERROR bad command line format'

export const Line = {
  BAD_CHUNK: text('CLIENT_ERROR bad data chunk\r\n'),
  BAD_DELETE: text(`${BAD_FORMAT}.  Usage: delete <key> [noreply]\r\n`),
  BAD_DELTA: text('CLIENT_ERROR invalid numeric delta argument\r\n'),
  BAD_EXPTIME: text('CLIENT_ERROR invalid exptime argument\r\n'),
  BAD_FORMAT: text(`${BAD_FORMAT}\r\n`),
  DELETED: text('DELETED\r\n'),
  END: text('END\r\n'),
  ERROR: text('ERROR\r\n'),
  EXISTS: text('EXISTS\r\n'),
  FLUSH_DISABLED: text('CLIENT_ERROR flush_all not allowed\r\n'),
  NON_NUMERIC: text('CLIENT_ERROR cannot increment or decrement non-numeric value\r\n'),
  NOT_FOUND: text('NOT_FOUND\r\n'),
  NOT_STORED: text('NOT_STORED\r\n'),
  NO_MEMORY: text('SERVER_ERROR out of memory\r\n'),
  NO_MEMORY_GET: text('SERVER_ERROR out of memory writing get response\r\n'),
  NO_MEMORY_STORE: text('SERVER_ERROR out of memory storing object\r\n'),
  OK: text('OK\r\n'),
  RESET: text('RESET\r\n'),
  STORED: text('STORED\r\n'),
  TOO_LARGE: text('SERVER_ERROR object too large for cache\r\n'),
  TOUCHED: text('TOUCHED\r\n'),
  UNAUTHENTICATED: text('CLIENT_ERROR unauthenticated\r\n'),
  UNAUTHORIZED: text('CLIENT_ERROR unauthorized\r\n'),
} as const

/** The reply to a store. */
export function storedLine(status: Status): Area {
  switch (status) {
    case Status.OK:
      return Line.STORED
    case Status.MISS:
      return Line.NOT_FOUND
    case Status.EXISTS:
      return Line.EXISTS
    case Status.NOT_STORED:
      return Line.NOT_STORED
    case Status.TOO_LARGE:
      return Line.TOO_LARGE
    default:
      return failedLine(status, Line.NO_MEMORY_STORE)
  }
}

/** Why a command did nothing: access control, or no memory, for which each command has its line. */
export function failedLine(status: Status, noMemory: Area = Line.NO_MEMORY): Area {
  if (status === Status.UNAUTHENTICATED) return Line.UNAUTHENTICATED
  return status === Status.UNAUTHORIZED ? Line.UNAUTHORIZED : noMemory
}

// 'VALU', 'E ', '\r\n' and ' 0 ' as little-endian numbers: a hit begins with a few wide stores.
const VALU = 0x554c4156
const E_BLANK = 0x2045
const CRLF = 0x0a0d
const BLANK_0 = 0x3020
const BLANK = 32

/**
 * Writes a hit into the reply buffer, under the arena's lock; for a long value only the header.
 */
export class TextSink implements HitSink {
  withCas = false
  private readonly reply: Reply
  private readonly request: Request

  constructor(reply: Reply, request: Request) {
    this.reply = reply
    this.request = request
  }

  accept(arena: Arena, ref: Ref): Status {
    const { reply, request } = this
    const { area, keyStart, keyBytes } = request
    const valueBytes = valueBytesOf(arena, ref)
    const inline = valueBytes <= INLINE_VALUE_BYTES_MAX
    if (reply.room() < REPLY_FRAME_BYTES_MAX + (inline ? valueBytes : 0)) return Status.NO_ROOM
    const { bytes, view } = reply.area
    let at = reply.length
    view.setInt32(at, VALU, true)
    view.setInt16(at + 4, E_BLANK, true)
    copyBytes(area, keyStart, reply.area, at + 6, keyBytes)
    at += 6 + keyBytes
    const flags = itemFlags(arena, ref)
    view.setInt16(at, BLANK_0, true)
    at = flags === 0 ? at + 2 : printNumber(bytes, at + 1, flags)
    bytes[at] = BLANK
    at = printNumber(bytes, at + 1, valueBytes)
    if (this.withCas) {
      bytes[at] = BLANK
      loadCas(arena, ref)
      at = printU64(bytes, at + 1)
    }
    view.setInt16(at, CRLF, true)
    at += 2
    request.valueBytes = valueBytes
    if (inline) {
      readValue(arena, ref, reply.area, at)
      at += valueBytes
      view.setInt16(at, CRLF, true)
      at += 2
    }
    reply.length = at
    return inline ? Status.OK : Status.HELD
  }
}
