/**
 * Random sessions of the classic text protocol: few keys, so that commands meet on them, most of
 * them valid and some broken, with values that look like commands. A session is a list of commands.
 * Any part of it is a valid session, so that a failing one can be shrunk.
 *
 * Left out because two correct servers may answer differently: short exptimes and delayed flushes
 * (time), over-long keys in a get (see normalise.ts), values of white space only, and minus signs
 * and numbers near 2^63 in values (memcached reads beyond the end of such a value). memcached pads
 * a shorter number with spaces only if no reply in flight holds the old one, so numbers are
 * compared without padding and nothing is ever appended to them.
 *
 * A session is for an oracle of a release: ALIKE has only what memcached 1.6.18 and 1.6.45 answer
 * alike, and ALL what the newer one, which memslab follows, can be asked too.
 */
import type { Random } from './prng.ts'
import type { Command } from './random-runs.ts'

// Two kinds of keys, one for incr and decr, one for append and prepend: see the file head.
export const COUNTER_KEYS = ['n1', 'n2', 'n3', 'noreply', 'N'.repeat(250)]
export const TEXT_KEYS = ['k1', 'k2', 'k3', 'key-four', 'get', '\xe9\x01\x7f', 'K'.repeat(250)]
const KEYS = [...COUNTER_KEYS, ...TEXT_KEYS]

/** What a session is made of: see the file head. */
export const ALIKE = 'alike'
export const ALL = 'all'
export type Scope = typeof ALIKE | typeof ALL

/** As the last word of a line it silences, in the newer release even where it is the key. */
const NOREPLY_KEY = 'noreply'

const EXPTIMES = ['0', '0', '0', '0', '1000', '2592000', '-1', '2147483647']
const BROKEN_KEYS = ['K'.repeat(251), 'x'.repeat(600), 'a\0b']
/** Exptimes of these are cut to 32 bits by stores; elsewhere the newer release refuses them. */
const LONG_EXPTIME = '4000000000'
const BROKEN_NUMBERS = ['x', '-1', '1x', '0x10', '9'.repeat(30), '1.5', '007']
/** Forms that the two releases read differently. */
const ODD_NUMBERS = ['', '-', '\t7', '+3']
const DELTAS = ['0', '1', '1', '5', '10', '99', '4294967296', '999999999999', '007']
const ODD_DELTA = '+2'
const NUMBERS = ['0', '1', '9', '10', '99', '100', '00012', '7   ', ' 8', '4294967295', '123456789']
const TEXTS = [
  '',
  'x',
  'value',
  '\r',
  '\n',
  '\r\n',
  'get k1\r\n',
  'END\r\n',
  'STORED\r\n',
  '\0',
].concat(['set k1 0 0 2\r\nab\r\n', 'delete k2\r\n', 'VALUE k1 0 1\r\n', '\xff\xfe', ' 12', '12 '])

// Whether a longer line closes the connection depends on how its bytes arrive, except for get and
// gets.
const LINE_BYTES_MAX = 1800

const NOREPLY_ONE_IN = 6
const BROKEN_ONE_IN = 12

/** A session that starts with its keys deleted. */
export function randomSession(random: Random, commandCount: number, scope: Scope = ALL): Command[] {
  return Array.from({ length: commandCount }, () => randomCommand(random, scope))
}

export function deleteAllKeys(): string {
  return KEYS.map(key => `delete ${key}\r\n`).join('')
}

export function randomCommand(random: Random, scope: Scope): Command {
  const command = random.once(BROKEN_ONE_IN)
    ? brokenCommand(random, scope)
    : validCommand(random, scope)
  return random.once(40) ? command.replace('\r\n', '\n') : command
}

function validCommand(random: Random, scope: Scope): Command {
  const key = random.pick(KEYS)
  const kind = random.below(100)
  if (kind < 25) return `${random.pick(['get', 'get', 'gets'])} ${keyList(random)}\r\n`
  if (kind < 60) return storage(random, key, randomValue(random))
  if (kind < 67) return swap(random, key, randomValue(random))
  if (kind < 80) {
    const deltas = scope === ALL ? [...DELTAS, ODD_DELTA] : DELTAS
    return `${counting(random)} ${random.pick(deltas)}${end(random)}`
  }
  if (kind < 87) {
    const endsInKey = random.once(5) ? '' : ' 0'
    const isOdd = scope === ALIKE && key === NOREPLY_KEY
    return `delete ${key}${isOdd ? ' 0' : endsInKey}${end(random)}`
  }
  const exptimes = scope === ALL ? [...EXPTIMES, LONG_EXPTIME] : EXPTIMES
  if (kind < 91) return `touch ${key} ${random.pick(exptimes)}${end(random)}`
  if (kind < 96) {
    const keys = keyList(random).slice(0, LINE_BYTES_MAX)
    return `${random.pick(['gat', 'gats'])} ${random.pick(exptimes)} ${keys}\r\n`
  }
  return rareCommand(random)
}

function rareCommand(random: Random): Command {
  switch (random.below(5)) {
    case 0:
      return 'version\r\n'
    case 1:
      return `verbosity 0${end(random)}`
    case 2:
      return `flush_all${random.pick(['', ' 0', ' -1'])}${end(random)}`
    case 3:
      return storage(random, random.pick(KEYS), largeValue(random))
    default:
      return `${counting(random)} 1\r\n`.repeat(random.between(1, 12))
  }
}

/** Broken in a way that both releases answer alike. */
function brokenAlike(random: Random): Command {
  const key = random.pick(KEYS.filter(key => key !== NOREPLY_KEY))
  const number = random.pick(BROKEN_NUMBERS)
  switch (random.below(4)) {
    case 0:
      return `${random.pick(['foo', '', ' ', 'GET', 'gett', 'se', '\xff'])} ${key}\r\n`
    case 1:
      return `${counting(random)} ${number}${end(random)}`
    case 2:
      return `touch ${key} ${number}${end(random)}`
    default:
      return `${random.pick(['incr', 'touch'])} ${'K'.repeat(251)} 1${end(random)}`
  }
}

/** Without words behind the key of a delete, of which the newer release takes any. */
function brokenCommand(random: Random, scope: Scope): Command {
  if (scope === ALIKE || random.once(4)) return brokenAlike(random)
  const key = random.pick(KEYS)
  const number = random.pick([...BROKEN_NUMBERS, ...ODD_NUMBERS])
  const value = randomValue(random)
  switch (random.below(10)) {
    case 0:
      return `delete ${key} ${random.pick(['5', '-1', '007', '0 0', '60 x'])}${end(random)}`
    case 1:
      return brokenStorage(random, random.pick(BROKEN_KEYS), '0', '0', value)
    case 2:
      return brokenStorage(random, key, number, '0', value)
    case 3:
      return brokenStorage(random, key, '0', number === '\t7' ? 'x' : number, value)
    case 4: // a length that is not the value's: what follows is read as something else
      // Not for a counter, whose value could become a line end only: see the file head.
      return `set ${random.pick(TEXT_KEYS)} 0 0 ${value.length + random.between(-2, 3)}${end(random)}${value}\r\n`
    case 5:
      return `${counting(random)} ${number}${end(random)}`
    case 6:
      return `touch ${key} ${number}${end(random)}`
    case 7:
      return `${random.pick(['incr', 'touch', 'delete'])} ${random.pick(BROKEN_KEYS)} 1${end(random)}`
    case 8:
      return `${random.pick(['get', 'set', 'gat', 'cas', 'incr', 'delete', 'touch', 'add'])}\r\n`
    default:
      return `${random.pick(['set', 'cas', 'incr', 'touch'])} ${repeated(random, key)}\r\n`
  }
}

function storage(random: Random, key: string, value: string): Command {
  const joins = TEXT_KEYS.includes(key) ? ['append', 'prepend'] : []
  const command = random.pick(['set', 'set', 'set', 'add', 'replace', ...joins])
  const head = `${command} ${key} ${flags(random)} ${random.pick(EXPTIMES)} ${value.length}`
  return `${head}${end(random)}${value}\r\n`
}

function swap(random: Random, key: string, value: string): Command {
  const cas = random.once(4) ? random.pick(['0', '18446744073709551615']) : `<CAS ${key}>`
  const head = `cas ${key} ${flags(random)} ${random.pick(EXPTIMES)} ${value.length} ${cas}`
  return `${head}${end(random)}${value}\r\n`
}

function brokenStorage(
  random: Random,
  key: string,
  flagsText: string,
  exptime: string,
  value: string,
): Command {
  const joins = TEXT_KEYS.includes(key) ? ['append', 'prepend'] : []
  const command = random.pick(['set', 'add', 'replace', ...joins])
  return `${command} ${key} ${flagsText} ${exptime} ${value.length}${end(random)}${value}\r\n`
}

function counting(random: Random): string {
  return `${random.pick(['incr', 'decr'])} ${random.pick(COUNTER_KEYS)}`
}

function end(random: Random): string {
  return random.once(NOREPLY_ONE_IN) ? ' noreply\r\n' : '\r\n'
}

function flags(random: Random): string {
  return random.pick(['0', '0', '0', '1', '4294967295', '42'])
}

function repeated(random: Random, key: string): string {
  return `${key} `.repeat(random.between(1, 30)).slice(0, LINE_BYTES_MAX)
}

function keyList(random: Random): string {
  const count = random.once(8) ? random.between(2, 40) : 1
  return Array.from({ length: count }, () => random.pick(KEYS)).join(' ')
}

/** Numbers, texts, and text that looks like commands. */
export function randomValue(random: Random): string {
  if (random.below(2) === 0) return random.pick(NUMBERS)
  const value = Array.from({ length: random.between(0, 3) }, () => random.pick(TEXTS)).join('')
  // Never white space only, even where an append or a wrong length joins two of them.
  return /^\s+$/.test(value) ? `v${value}v` : value
}

export function largeValue(random: Random): string {
  // No long lines: after a broken length they are read as commands, and whether memcached closes on
  // a line of more than 2048 bytes depends on how its reads were cut.
  if (random.once(3)) return '7'.repeat(random.between(100, 1000))
  return random.pick([`${'large'.repeat(40)}\n`, 'get k1\r\n']).repeat(random.between(50, 1000))
}
