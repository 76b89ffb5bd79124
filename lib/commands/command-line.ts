// The arguments of `memslab COMMAND`, read by yargs. An argument that is wrong is one line, then
// the command's usage.

import type { Options as Switch } from 'yargs'

/** As in sysexits.h: the command was used wrongly. */
export const EX_USAGE = 64

/** Why arguments are refused, in one line; empty where the usage says enough. */
export class Misused extends Error {}

export interface Parsed {
  words: string[]
  /** A switch that was given, or its default. */
  text(name: string): string | undefined
  texts(name: string): string[]
  number(name: string): number
  flag(name: string): boolean
}

/** Throws Misused for unknown switches and for values that are no numbers. */
export async function readArguments(
  words: readonly string[],
  switches: Readonly<Record<string, Switch>>,
): Promise<Parsed> {
  const { default: yargs } = await import('yargs')
  const found = await yargs([...words])
    .options(switches)
    .strictOptions()
    .help(false)
    .version(false)
    .exitProcess(false)
    .parserConfiguration({ 'parse-positional-numbers': false })
    .fail(message => {
      throw new Misused(message)
    })
    .parseAsync()
  const of = (name: string): unknown => found[name]
  return {
    words: found._.map(String),
    text: name => (of(name) === undefined ? undefined : String(of(name))),
    texts: name => [of(name) ?? []].flat().map(String),
    number: name => {
      const value = of(name)
      if (typeof value === 'number' && Number.isFinite(value)) return value
      throw new Misused(`--${name} takes a number`)
    },
    flag: name => of(name) === true,
  }
}

/**
 * Runs a command: its exit code, EX_USAGE after its usage where it was misused. -h and --help print
 * the usage alone.
 */
export async function runCommand(
  usage: string,
  words: readonly string[],
  run: () => Promise<number>,
): Promise<number> {
  if (words.includes('-h') || words.includes('--help')) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof Misused)) throw error
    const line = error.message === '' ? '' : `${error.message}\n`
    process.stderr.write(`${line}${usage}\n`)
    return EX_USAGE
  }
}

/** What a command says where it fails, in one line. Returns the exit code. Throws Misused again. */
export function failed(command: string, error: unknown): number {
  if (error instanceof Misused) throw error
  const reason = error instanceof Error ? error.message : error
  process.stderr.write(`memslab ${command}: ${reason}\n`)
  return 1
}
