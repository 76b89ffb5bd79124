// A file of options in the form of Debian's /etc/memcached.conf -> arguments: one option a line as
// on the command line, `#` before a comment, `logfile FILE` for --logfile. As in Debian's scripts
// -d and -h have no effect there, since whoever starts the daemon decides about the background.

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { KIB } from '../bytes/units.ts'
import { ALLOW, readAllow } from './access.ts'
import { normalise } from './getopt.ts'
import { CONFIG } from './switches.ts'
import { Refused } from './values.ts'

/** Longest file of options. */
const CONFIG_BYTES_MAX = 64 * KIB

/** Arguments of one line, normalised. */
export interface Line {
  /** From 1. */
  number: number
  args: string[]
}

/** A comment begins a line or follows a blank; `\\#` is no comment. */
const COMMENT = /(?:^|\s)#.*$/
/** A word, or one in quotes, which may have blanks. */
const WORD = /"([^"]*)"|'([^']*)'|(\S+)/g
const IGNORED = new Set(['--daemon'])

/** Throws Refused with the file and the line. */
export function readConfigFile(path: string): Line[] {
  const lines = readText(path).split(/\r?\n/)
  return lines.flatMap((text, index) => readLine(path, index + 1, text))
}

/** What its --allow lists; empty: it has none. Throws Refused with the file and the line. */
export function readAllowOf(path: string): string[] {
  return readConfigFile(path).flatMap(({ args }) =>
    args.filter(arg => arg.startsWith(ALLOW)).flatMap(arg => readAllow(arg.slice(ALLOW.length))),
  )
}

function readText(path: string): string {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    throw new Refused(`Could not open the file of options [${path}]: ${codeOf(error)}`)
  }
  try {
    if (!fstatSync(file).isFile()) throw new Refused(`[${path}] is no file of options`)
    if (fstatSync(file).size > CONFIG_BYTES_MAX) {
      throw new Refused(`The file of options [${path}] is longer than ${CONFIG_BYTES_MAX} bytes`)
    }
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function readLine(path: string, number: number, text: string): Line[] {
  const words = wordsOf(text.replace(COMMENT, ''))
  if (words.length === 0) return []
  const [first, second] = words
  const argv = first === 'logfile' && second !== undefined ? ['--logfile', second] : words
  try {
    const { args, action, words: others } = normalise(argv)
    if (others.length > 0) throw new Refused(`Unknown word "${others[0]}"`)
    if (args.some(arg => arg.startsWith(CONFIG))) throw new Refused('--config is not for files')
    const known = action === undefined ? args.filter(arg => !IGNORED.has(arg)) : []
    return [{ number, args: known }]
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    throw new Refused(`${path}:${number}: ${error.message}`, error.exitCode)
  }
}

function wordsOf(text: string): string[] {
  const found = [...text.matchAll(WORD)]
  return found.map(([, double, single, bare]) => double ?? single ?? bare ?? '')
}

/**
 * The arguments of a file before those of the command line, which win: an option of both is the
 * command line's alone. Only values of -o join, since each is a list of options of its own.
 */
export function mergeArguments(fromFile: readonly string[], own: readonly string[]): string[] {
  const given = new Set(own.map(nameOf).filter(name => name !== '--extended'))
  return normalise([...fromFile.filter(arg => !given.has(nameOf(arg))), ...own]).args
}

function nameOf(arg: string): string {
  const equals = arg.indexOf('=')
  return equals < 0 ? arg : arg.slice(0, equals)
}

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' ? 'No such file or directory' : String(code)
}
