// Finds the words of a command line and its end in one pass. As in memcached a line ends at \n, one
// \r before it is dropped, and only spaces separate words: NUL and tab are bytes of a word.

import { TOKENS_MAX } from '../limits.ts'
import { equalsWord } from './ascii.ts'

const LF = 10
const CR = 13
/** Length of the \r\n behind a line and behind a value. */
export const LINE_END_BYTES = 2
const BLANK = 32

// Starts and ends of the words of the current line. A thread parses one line at a time.
export const tokenStart = new Int32Array(TOKENS_MAX)
export const tokenEnd = new Int32Array(TOKENS_MAX)
export let tokenCount = 0

/**
 * Finds the first TOKENS_MAX words of the line at `lineStart`. Returns the position of its \n, or
 * -1 if that has not arrived.
 */
export function tokenize(bytes: Buffer, lineStart: number, end: number): number {
  tokenCount = 0
  let at = lineStart
  while (at < end) {
    if (bytes[at] === BLANK) {
      at++
      continue
    }
    const start = at
    while (at < end && !endsToken(bytes[at])) at++
    if (at === end) return -1
    const byte = bytes[at]
    const dropsReturn = byte === LF && at - lineStart > 1 && bytes[at - 1] === CR
    const stop = dropsReturn ? at - 1 : at
    if (stop > start) {
      tokenStart[tokenCount] = start
      tokenEnd[tokenCount++] = stop
    }
    if (byte === LF) return at
    if (tokenCount === TOKENS_MAX) return findNewline(bytes, at, end)
  }
  return -1
}

/** Whether the last word of the line is `noreply`. */
export function endsWithNoreply(bytes: Buffer): boolean {
  const last = tokenCount - 1
  return last >= 0 && equalsWord(bytes, tokenStart[last], tokenEnd[last], 'noreply')
}

function endsToken(byte: number): boolean {
  return byte === BLANK || byte === LF
}

function findNewline(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at] !== LF) at++
  return at < end ? at : -1
}
