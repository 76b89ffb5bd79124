// The client side of the meta commands: requests to bytes, and bytes, cut anywhere, to replies. No
// socket here. Each request has exactly one reply. Requests of a batch are quiet, so that only hits
// are answered, and an `mn` after them marks the end.
//
//   request   mg user:1 v f t c k      reply   VA 5 f0 t-1 c17 kuser:1, then the value
//             ms user:1 5 T60 F0               HD, NS, EX or NF
//             mn                               MN

import { ITEM_BYTES_MAX } from '../../bytes/memcached.ts'
import { MIB } from '../../bytes/units.ts'

/** A server's reply to one request. */
export interface Reply {
  /**
   * VA, HD, EN, NF, NS, EX, MN; or a classic word, as VERSION, OK or an error line's first word.
   */
  word: string
  /** The flags after the word, each with its letter; for an error the rest of the line. */
  tokens: string[]
  value: Buffer | undefined
}

const CR = 13
const LF = 10
const LINE_BYTES_MAX = 8192
const LINE_END_BYTES = 2
const NOTHING = Buffer.alloc(0)

/** Memory for a value whose end is still to come: at first, and by how much more then. */
const VALUE_BYTES_FIRST = 16 * MIB
const VALUE_GROWTH = 4

/** Takes replies out of a stream of bytes. */
export class ReplyReader {
  /** The beginning of a line. */
  private rest: Buffer | undefined
  /** A VA whose value is incomplete. */
  private waiting: Reply | undefined
  /** Its length, and what there is of it: `filled` bytes of the value and the line end. */
  private valueBytes = 0
  private value: Buffer = NOTHING
  private filled = 0

  /** Passes every complete reply to `give`. Error for bytes that are no reply. */
  read(part: Buffer, give: (reply: Reply) => void): void {
    let input = this.rest === undefined ? part : Buffer.concat([this.rest, part])
    this.rest = undefined
    for (;;) {
      if (this.waiting !== undefined) {
        const reply = this.waiting
        input = this.fill(input)
        if (this.filled < this.valueBytes + LINE_END_BYTES) return
        this.waiting = undefined
        reply.value = endedValue(this.value, this.valueBytes)
        this.value = NOTHING
        give(reply)
      }
      const reply = this.readLine(input)
      if (reply === undefined) break
      input = input.subarray(input.indexOf(LF) + 1)
      const end = this.valueBytes + LINE_END_BYTES
      if (reply.word !== 'VA') give(reply)
      else if (input.length >= end) {
        reply.value = Buffer.from(endedValue(input, this.valueBytes))
        input = input.subarray(end)
        give(reply)
      } else {
        this.waiting = reply
        this.filled = 0
      }
    }
    if (input.length > 0) this.rest = input
  }

  /** Takes what belongs to the value. Returns the rest. */
  private fill(input: Buffer): Buffer {
    const end = this.valueBytes + LINE_END_BYTES
    const bytes = Math.min(input.length, end - this.filled)
    const room = this.value.length
    if (this.filled + bytes > room) {
      // What a server only says that it will send takes no memory yet.
      const grown = Math.max(this.filled + bytes, room * VALUE_GROWTH, VALUE_BYTES_FIRST)
      const value = Buffer.allocUnsafe(Math.min(end, grown))
      this.value.copy(value, 0, 0, this.filled)
      this.value = value
    }
    input.copy(this.value, this.filled, 0, bytes)
    this.filled += bytes
    return input.subarray(bytes)
  }

  private readLine(input: Buffer): Reply | undefined {
    const newline = input.indexOf(LF)
    if (newline < 0) {
      if (input.length > LINE_BYTES_MAX) throw new Error('a reply line without an end')
      return undefined
    }
    const end = input[newline - 1] === CR ? newline - 1 : newline
    const [word = '', ...tokens] = input.toString('latin1', 0, end).split(' ')
    if (word === 'VA') {
      const length = tokens.shift() ?? ''
      this.valueBytes = Number(length)
      if (!/^\d+$/.test(length) || this.valueBytes > ITEM_BYTES_MAX) {
        throw new Error(`no length of a value: ${length.slice(0, 20)}`)
      }
    } else if (!/^[A-Z][A-Z_]+$/.test(word)) {
      throw new Error(`no reply: ${word.slice(0, 20)}`)
    }
    return { word, tokens, value: undefined }
  }
}

/** The value at the beginning of these bytes. Error if no line end follows. */
function endedValue(bytes: Buffer, length: number): Buffer {
  if (bytes[length] === CR && bytes[length + 1] === LF) return bytes.subarray(0, length)
  throw new Error('a value without an end')
}

/** The text of a flag of a reply, without its letter; undefined if it has no such flag. */
export function flagOf({ tokens }: Reply, letter: string): string | undefined {
  return tokens.find(token => token.startsWith(letter))?.slice(1)
}

/** A flag of digits. Error if the reply has none such: then it is damaged. */
export function digitsOf(reply: Reply, letter: string): string {
  const text = flagOf(reply, letter) ?? ''
  if (/^-?\d{1,20}$/.test(text)) return text
  throw new Error(`no number behind ${letter} in a reply: ${text.slice(0, 20)}`)
}
