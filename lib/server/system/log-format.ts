// How a line of the log looks: text as memcached prints it, with journald's level before it where
// journald reads it; or JSON, by pino.

import { fstatSync } from 'node:fs'

/** The levels of the log. A peer's requests with -vv are `debug`. */
export type Level = 'error' | 'warn' | 'info' | 'debug'

/** A level and a line -> the text to write, with its line end. */
export type LogFormat = (level: Level, line: string) => string

/** syslog's numbers, as journald reads them. */
const SYSLOG: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6, debug: 7 }

export const plainText: LogFormat = (_, line) => `${line}\n`

/** Text for this log: `isFile` if it goes to a file of its own, else to stderr. */
export function textFormat(isFile: boolean): LogFormat {
  if (isFile) return (_, line) => `${new Date().toISOString()} ${line}\n`
  return isJournal() ? (level, line) => `<${SYSLOG[level]}>${line}\n` : plainText
}

/** An object a line: level, time, pid, msg. */
export async function jsonFormat(): Promise<LogFormat> {
  const { pino } = await import('pino')
  let text = ''
  const logger = pino(
    {
      level: 'debug',
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    { write: written => (text = written) },
  )
  return (level, line) => {
    logger[level](line)
    return text
  }
}

/** systemd names the journal's end of stderr by device and inode. */
function isJournal(): boolean {
  const named = process.env.JOURNAL_STREAM
  if (named === undefined) return false
  try {
    const { dev, ino } = fstatSync(2)
    return named === `${dev}:${ino}`
  } catch {
    return false
  }
}
