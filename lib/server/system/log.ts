// The daemon's log: lines on stderr. It is bounded, it loses lines, it counts what it lost, and it
// never ends the process: stderr may be a full disk, a pipe whose reader is gone, or one that
// nobody reads.
//
// Only the main thread writes. Worker threads send their lines through their ports: a stream of
// their own would stop for ever at the first error of stderr.
//
//   words   Int32, shared by all threads: DROPPED, lines lost so far;
//           WAITING, bytes that workers sent and the main thread has not written yet
//
// Lines may hold what peers sent. Characters that a terminal acts on are written as `\x1b`.

import { KIB } from '../../bytes/units.ts'

/** Bytes that wait for the reader of stderr, and bytes that wait on their way from the workers. */
const LOG_BACKLOG_BYTES_MAX = 256 * KIB

/** Lines of a start that are kept for the process that asked for it. */
const LINES_KEPT_MAX = 64

const DROPPED = 0
const WAITING = 1
const WORDS = 2

/** All but line feeds: some texts have several lines, and no line of a peer has any. */
const ACTED_ON = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** The words of a log, fit for postMessage. */
export type LogWords = Int32Array<SharedArrayBuffer>

/** The end of a port that this thread sends through. */
interface Port {
  postMessage(message: LogLine): void
}

/** What a worker sends to the main thread. */
export interface LogLine {
  log: string
}

let words: LogWords = new Int32Array(new SharedArrayBuffer(WORDS * 4))
/** Where this thread sends its lines; null: it writes them itself. */
let through: Port | null = null
/** Lines lost since the last one that was written. */
let unsaid = 0
let isGuarded = false
/** What was said since `keepLines`; null: nobody asked for it. */
let kept: string[] | null = null

/** One line for the operator. */
export function say(line: string): void {
  const text = line.replace(ACTED_ON, escaped)
  if (through === null) write(text)
  else send(through, text)
}

/** Text on stdout, for the one who started this process; resolves to false where it was lost. */
export function print(text: string): Promise<boolean> {
  const { stdout } = process
  stdout.once('error', () => {})
  return new Promise(settle => stdout.write(text, error => settle(!error)))
}

/** From now on lines are kept for `takeLines`: stderr leads nowhere yet. */
export function keepLines(): void {
  kept = []
}

/** What was said since then; lines are kept no longer. */
export function takeLines(): string[] {
  const lines = kept ?? []
  kept = null
  return lines
}

/** How many lines were lost in this process. */
export function linesDropped(): number {
  return Atomics.load(words, DROPPED)
}

/** The counts, for worker threads. */
export function logWords(): LogWords {
  return words
}

/** From now on this thread, a worker, sends its lines through this port. */
export function sayThrough(port: Port, shared: LogWords): void {
  through = port
  words = shared
}

/** Writes a line that a worker sent. */
export function sayFor({ log }: LogLine): void {
  Atomics.sub(words, WAITING, log.length)
  write(log)
}

function send(port: Port, text: string): void {
  if (Atomics.add(words, WAITING, text.length) < LOG_BACKLOG_BYTES_MAX) {
    port.postMessage({ log: text })
    return
  }
  Atomics.sub(words, WAITING, text.length)
  Atomics.add(words, DROPPED, 1)
}

function write(text: string): void {
  if (kept !== null && kept.length < LINES_KEPT_MAX) kept.push(text)
  const { stderr } = process
  if (!isGuarded) guard(stderr)
  if (stderr.writableLength > LOG_BACKLOG_BYTES_MAX) return lose(1)
  const before = unsaid
  unsaid = 0
  const head = before > 0 ? `${before} lines of the log were lost\n` : ''
  stderr.write(`${head}${text}\n`, error => {
    if (!error) return
    unsaid += before
    lose(1)
  })
}

/** Not exported by Node: its handle of a terminal waits for the reader unless it is told not to. */
interface Blocking {
  _handle?: { setBlocking?(blocks: boolean): number }
}

function guard(stderr: NodeJS.WriteStream): void {
  isGuarded = true
  stderr.on('error', () => {})
  // A terminal that was stopped by Ctrl-S must not stop this thread.
  const { _handle } = stderr as Blocking
  if (stderr.isTTY) _handle?.setBlocking?.(false)
}

function lose(lines: number): void {
  unsaid += lines
  Atomics.add(words, DROPPED, lines)
}

function escaped(character: string): string {
  if (character === '\n') return character
  const code = character.codePointAt(0) ?? 0
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}
