// Arguments in getopt's forms -> `--name`, `--name=value`, and words that are neither: clusters of
// letters, attached values, unique prefixes of long names.

import { type Action, SWITCHES, type Switch } from './switches.ts'
import { Refused } from './values.ts'

export interface Normal {
  /** Wins over whatever follows it. */
  action?: Action
  args: string[]
  words: string[]
}

export function normalise(argv: readonly string[]): Normal {
  const normal: Normal = { args: [], words: [] }
  const waiting = [...argv]
  while (waiting.length > 0 && normal.action === undefined) {
    const word = waiting.shift() ?? ''
    if (word === '--') normal.words.push(...waiting.splice(0))
    else if (word.startsWith('--')) takeLong(word.slice(2), waiting, normal)
    else if (word.startsWith('-') && word !== '-') takeCluster(word.slice(1), waiting, normal)
    else normal.words.push(word)
  }
  return normal
}

function takeLong(word: string, waiting: string[], normal: Normal): void {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word : word.slice(0, equals)
  const found = findLong(name)
  const attached = equals < 0 ? undefined : word.slice(equals + 1)
  if (found.value === undefined && attached !== undefined) {
    throw new Refused(`Illegal argument "--${word}": --${found.name} takes no value`)
  }
  take(found, found.value === undefined ? undefined : (attached ?? waiting.shift()), normal)
}

// As in getopt_long: the complete name, or a prefix that no other name has.
function findLong(name: string): Switch {
  const found = SWITCHES.filter(known => known.name.startsWith(name))
  const exact = found.find(known => known.name === name)
  if (exact !== undefined) return exact
  const [first] = found
  if (first === undefined) throw new Refused(`Illegal argument "--${name}"`)
  if (found.length === 1) return first
  const names = found.map(known => `--${known.name}`).join(' ')
  throw new Refused(`Illegal argument "--${name}": it could be any of ${names}`)
}

function takeCluster(letters: string, waiting: string[], normal: Normal): void {
  for (let at = 0; at < letters.length && normal.action === undefined; at++) {
    const found = SWITCHES.find(known => known.letter === letters[at])
    if (found === undefined) throw new Refused(`Illegal argument "-${letters[at]}"`)
    if (found.value === undefined) {
      take(found, undefined, normal)
      continue
    }
    const attached = letters.slice(at + 1)
    take(found, attached === '' ? waiting.shift() : attached, normal)
    return
  }
}

function take(found: Switch, text: string | undefined, normal: Normal): void {
  const { letter, name, value, action, missing, adds } = found
  if (value !== undefined && text === undefined) {
    const given = letter === '' ? `--${name}` : `-${letter}`
    throw new Refused(`Illegal argument "${given}": --${name} needs a value`)
  }
  if (missing !== undefined) {
    throw new Refused(`-${letter} is not supported: memslab has not got ${missing}`)
  }
  normal.action = action
  const before = adds ? normal.args.findIndex(arg => arg.startsWith(`--${name}=`)) : -1
  if (before >= 0) normal.args[before] += `,${text}`
  else normal.args.push(text === undefined ? `--${name}` : `--${name}=${text}`)
}
