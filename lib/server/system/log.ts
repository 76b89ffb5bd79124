// The daemon's log: lines on stderr or in a file. It is bounded, so it may lose lines, which it
// counts. It never ends the process, even if stderr is a full disk, or a pipe that is closed or not
// read.
//
// Only the main thread writes. Worker threads send their lines through their ports: a worker's own
// stream would stop forever at the first error of stderr.
//
//   words   Int32, shared by all threads: DROPPED, lines lost so far;
//           WAITING, bytes that workers sent and the main thread has not written yet
//
// Lines may contain input of peers. Control characters are escaped, as in `\x1b`.

import { resolve } from 'node:path'
import { printable } from '../../bytes/printable.ts'
import { KIB } from '../../bytes/units.ts'
import type { LogFile } from './log-file.ts'
import { jsonFormat, type Level, type LogFormat, plainText, textFormat } from './log-format.ts'
import { reasonOf } from './reason.ts'

export type { Level } from './log-format.ts'

/**
 * Most bytes that wait for the reader of stderr, and most that wait between workers and main
 * thread.
 */
const LOG_BACKLOG_BYTES_MAX = 256 * KIB

/** Most lines of a start that are kept for the foreground process. */
const LINES_KEPT_MAX = 64

const DROPPED = 0
const WAITING = 1
const WORDS = 2

/** The words of a log, fit for postMessage. */
export type LogWords = Int32Array<SharedArrayBuffer>

/** A port by which this thread sends lines. */
interface Port {
  postMessage(message: LogLine): void
}

/** What a worker sends to the main thread. */
export interface LogLine {
  log: string
  level: Level
}

/** What the options say about the log. */
export interface LogOptions {
  logFile: string | undefined
  logFormat: 'text' | 'json'
}

let words: LogWords = new Int32Array(new SharedArrayBuffer(WORDS * 4))
/** Where this thread sends its lines; null: it writes them. */
let through: Port | null = null
/** Lines lost since the last written one. */
let unsaid = 0
let isGuarded = false
let format: LogFormat = plainText
/** Null: stderr. */
let file: LogFile | null = null
/** Lines since `keepLines`; null: lines are not kept. */
let kept: string[] | null = null

/** Logs one line. */
export function say(line: string, level: Level = 'info'): void {
  // Some texts have several lines; those of peers have none.
  const text = line.split('\n').map(printable).join('\n')
  if (through === null) write(text, level)
  else send(through, text, level)
}

/** Follows the options from now on. A file that cannot be opened is one line on stderr. */
export async function openLog({ logFile, logFormat }: LogOptions): Promise<void> {
  if (logFile !== undefined) file = await openFile(resolve(logFile))
  format = logFormat === 'json' ? await jsonFormat() : textFormat(file !== null)
}

/** Opens the log's file again, after a program has moved it. */
export function reopenLog(): void {
  file?.reopen()
}

async function openFile(path: string): Promise<LogFile | null> {
  try {
    const { openLogFile } = await import('./log-file.ts')
    const opened = await openLogFile(path, LOG_BACKLOG_BYTES_MAX, () => lose(1))
    process.on('exit', () => opened.flush())
    return opened
  } catch (error) {
    say(`Could not open the log file ${path}: ${reasonOf(error)}`, 'error')
    return null
  }
}

/** Writes text to stdout. Resolves to false if it was lost. */
export function print(text: string): Promise<boolean> {
  const { stdout } = process
  stdout.once('error', () => {})
  return new Promise(settle => stdout.write(text, error => settle(!error)))
}

/** Keeps lines for `takeLines` from now on, because stderr leads nowhere. */
export function keepLines(): void {
  kept = []
}

/** The lines since then. Lines are no longer kept. */
export function takeLines(): string[] {
  const lines = kept ?? []
  kept = null
  return lines
}

/** Number of lines lost in this process. */
export function linesDropped(): number {
  return Atomics.load(words, DROPPED)
}

/** The shared counts, for worker threads. */
export function logWords(): LogWords {
  return words
}

/** Makes this thread, a worker, send its lines through this port. */
export function sayThrough(port: Port, shared: LogWords): void {
  through = port
  words = shared
}

/** Writes a line that a worker sent. */
export function sayFor({ log, level }: LogLine): void {
  Atomics.sub(words, WAITING, log.length)
  write(log, level)
}

function send(port: Port, text: string, level: Level): void {
  if (Atomics.add(words, WAITING, text.length) < LOG_BACKLOG_BYTES_MAX) {
    port.postMessage({ log: text, level })
    return
  }
  Atomics.sub(words, WAITING, text.length)
  Atomics.add(words, DROPPED, 1)
}

function write(line: string, level: Level): void {
  if (kept !== null && kept.length < LINES_KEPT_MAX) kept.push(line)
  const before = unsaid
  const head = before > 0 ? format('warn', `${before} lines of the log were lost`) : ''
  const text = head + format(level, line)
  if (file !== null) {
    unsaid = 0
    return file.write(text)
  }
  const { stderr } = process
  if (!isGuarded) guard(stderr)
  if (stderr.writableLength > LOG_BACKLOG_BYTES_MAX) return lose(1)
  unsaid = 0
  stderr.write(text, error => {
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
