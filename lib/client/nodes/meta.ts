// The client side of the meta commands: requests to bytes, and bytes, cut anywhere, to replies. No
// socket here. Each request has exactly one reply. Requests of a batch are quiet, so that only hits
// are answered, and an `mn` after them marks the end.
//
//   request   mg user:1 v f t c k      reply   VA 5 f0 t-1 c17 kuser:1, then the value
//             ms user:1 5 T60 F0               HD, NS, EX or NF
//             mn                               MN

import { ITEM_BYTES_MAX } from '../../bytes/memcached.ts'

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

/** Takes replies out of a stream of bytes. */
export class ReplyReader {
  private parts: Buffer[] = []
  private bytes = 0
  /** A VA whose value is incomplete. */
  private waiting: Reply | undefined
  private valueBytes = 0

  /** Passes every complete reply to `give`. Error for bytes that are no reply. */
  read(part: Buffer, give: (reply: Reply) => void): void {
    this.parts.push(part)
    this.bytes += part.length
    // A long value is joined once, when it is complete.
    if (this.waiting !== undefined && this.bytes < this.valueBytes + 2) return
    let input = this.parts.length === 1 ? part : Buffer.concat(this.parts)
    this.parts = []
    for (;;) {
      const reply = this.waiting ?? this.readLine(input)
      if (reply === undefined) break
      if (this.waiting === undefined) input = input.subarray(input.indexOf(LF) + 1)
      if (reply.word === 'VA') {
        const end = this.valueBytes + 2
        if (input.length < end) {
          this.waiting = reply
          break
        }
        this.waiting = undefined
        if (input[end - 2] !== CR || input[end - 1] !== LF)
          throw new Error('a value without an end')
        reply.value = Buffer.from(input.subarray(0, this.valueBytes))
        input = input.subarray(end)
      }
      give(reply)
    }
    this.parts = input.length > 0 ? [input] : []
    this.bytes = input.length
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
