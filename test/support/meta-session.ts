/**
 * Random sessions of meta commands and classic ones, on the keys of text-session.ts and a few
 * base64 keys. What is left out there is left out here, and also:
 * - what 1.6.45, or memslab on purpose, does differently from 1.6.18: see compat/cases/meta.ts;
 * - for numbers, flags that show what an item loses when it is stored again (h, s, R, md I, me):
 *   whether memcached stores a number again depends on whether replies in flight hold it;
 * - expiry times near the limits of R, because clocks tick.
 * What is broken in an ALIKE session is so for both releases: see text-session.ts.
 * A CAS is always requested with the key, by which normalise.ts distinguishes CAS numbers.
 */
import type { Random } from './prng.ts'
import type { Command } from './random-runs.ts'
import {
  ALIKE,
  ALL,
  COUNTER_KEYS,
  deleteAllKeys,
  largeValue,
  randomCommand,
  randomValue,
  type Scope,
  TEXT_KEYS,
} from './text-session.ts'

/** Their values are binary; none is a key of text-session.ts. */
const BINARY_KEYS = ['AAEC', '/+8=', 'aGVsbG8=', 'DQo=', Buffer.alloc(186, 0xab).toString('base64')]
const ENDS = ['0', '0', '100', '1000', '100000', '-1']
const LIMITS = ['0', '30', '500', '50000', '-1', '2000000']
const DELTAS = ['0', '1', '5', '10', '99', '4294967296', '999999999999', '007']
const BROKEN = [
  'k k',
  'v v',
  'T',
  'Tx',
  'N1x',
  'R',
  'Cx',
  'C-1',
  'Dx',
  'J',
  'Fx',
  'F-1',
  'S1',
].concat(['z', '0', 'Tx Jx', 'Jx Fx', 'O1 O2', 'Z', 'W'])
/** They begin no flag: an error of the whole line in the newer release. */
const NO_FLAGS = ['!', '\xff', '\x7f', '\0']
const WORDS_MAX = 12

/** A session that starts with every key stored once and deleted, so that 1 is an old CAS. */
export function randomMetaSession(
  random: Random,
  commandCount: number,
  scope: Scope = ALL,
): Command[] {
  return Array.from({ length: commandCount }, () => {
    const kind = random.below(100)
    if (kind >= 81 && kind < 93) return randomCommand(random, scope)
    const command = metaCommand(random, kind, scope)
    // Once a command: a second time would break the end of its value, which ALIKE leaves out.
    const isShort = scope === ALIKE && command === 'mn\r\n'
    return !isShort && random.once(40) ? command.replace('\r\n', '\n') : command
  })
}

export function resetMetaKeys(): string {
  const texts = [...COUNTER_KEYS, ...TEXT_KEYS].map(key => `set ${key} 0 0 1\r\n1\r\n`)
  const binary = BINARY_KEYS.map(key => `ms ${key} 1 b q\r\n1\r\nmd ${key} b q\r\n`)
  return `flush_all\r\n${texts.join('')}${deleteAllKeys()}${binary.join('')}`
}

function metaCommand(random: Random, kind: number, scope: Scope): Command {
  if (kind < 34) return fetch(random)
  if (kind < 58) return store(random)
  if (kind < 67) return remove(random)
  if (kind < 77) return sum(random)
  if (kind < 79) return random.pick(['mn\r\n', 'mn x\r\n'])
  if (kind < 81) return `me ${random.pick(TEXT_KEYS)}\r\n`
  return scope === ALL && random.once(2) ? brokenAnew(random) : broken(random)
}

function fetch(random: Random): Command {
  const kind = random.below(10)
  if (kind === 0) {
    return line(random, `mg ${random.pick(BINARY_KEYS)} b`, [
      ...plainFlags(random),
      ...hitFlags(random),
    ])
  }
  if (kind < 3) return line(random, `mg ${random.pick(COUNTER_KEYS)}`, plainFlags(random))
  return line(random, `mg ${random.pick(TEXT_KEYS)}`, [
    ...plainFlags(random),
    ...hitFlags(random),
    ...some(random, 4, `N${random.pick(ENDS)}`),
  ])
}

/** Commands for every key. */
function plainFlags(random: Random): string[] {
  const cas = random.once(3) ? ['c', 'k'] : some(random, 3, 'k')
  return [
    ...cas,
    ...['v', 'f', 't'].filter(() => random.once(2)),
    ...some(random, 6, 'q'),
    ...some(random, 5, opaque(random)),
    ...some(random, 8, `T${random.pick(ENDS)}`),
    ...some(random, 20, random.pick(['P', 'L1', 'Pq', 'C1', 'D5', 'J7', 'F9', 'I'])),
  ]
}

/** Commands for keys that hold no numbers. */
function hitFlags(random: Random): string[] {
  return [
    ...['h', 'l', 's'].filter(() => random.once(3)),
    ...some(random, 6, 'u'),
    ...some(random, 4, `R${random.pick(LIMITS)}`),
  ]
}

function store(random: Random): Command {
  const kind = random.below(10)
  const binary = kind === 0
  const keys = kind < 3 ? COUNTER_KEYS : TEXT_KEYS
  const key = random.pick(binary ? BINARY_KEYS : keys)
  const joins = keys === TEXT_KEYS && !binary ? ['MA', 'MP'] : []
  const flags = [
    ...some(random, 3, random.pick(['MS', 'ME', 'MR', ...joins])),
    ...some(random, 2, `T${random.pick(ENDS)}`),
    ...some(random, 3, `F${random.pick(['0', '1', '42', '4294967295'])}`),
    ...some(
      random,
      4,
      random.pick([`C<CAS ${key}>`, `C<CAS ${key}>`, 'C1', 'C0', 'C18446744073709551615']),
    ),
    ...some(random, 3, 'I'),
    ...(random.once(3) ? ['c', 'k'] : some(random, 4, 'k')),
    ...some(random, 5, 'q'),
    ...some(random, 5, opaque(random)),
    ...some(random, 12, random.pick(['v', 't', 'f', 'h', 'l', 'u', 'P', 'L', 'R1', 'D1', 'J1'])),
  ]
  // A stale number: see the file head.
  const allowed = keys === COUNTER_KEYS ? flags.filter(flag => flag !== 'I') : flags
  const value = random.once(30) ? largeValue(random) : randomValue(random)
  return withValue(line(random, `ms ${key} ${value.length}${binary ? ' b' : ''}`, allowed), value)
}

function remove(random: Random): Command {
  const kind = random.below(10)
  const binary = kind === 0
  const keys = kind < 3 ? COUNTER_KEYS : TEXT_KEYS
  const key = random.pick(binary ? BINARY_KEYS : keys)
  return line(random, `md ${key}${binary ? ' b' : ''}`, [
    ...(keys === COUNTER_KEYS && !binary ? [] : some(random, 2, 'I')),
    ...some(random, 3, `T${random.pick(ENDS)}`),
    ...some(random, 4, random.pick([`C<CAS ${key}>`, 'C1', 'C0'])),
    ...some(random, 3, 'k'),
    ...some(random, 4, 'q'),
    ...some(random, 4, opaque(random)),
  ])
}

function sum(random: Random): Command {
  const key = random.pick(COUNTER_KEYS)
  const makes = random.once(3)
  return line(random, `ma ${key}`, [
    ...some(random, 2, random.pick(['MI', 'M+', 'MD', 'M-'])),
    ...some(random, 2, `D${random.pick(DELTAS)}`),
    ...some(random, 4, `J${random.pick(DELTAS)}`),
    ...(makes ? [`N${random.pick(ENDS)}`] : some(random, 5, 'q')),
    ...some(random, 8, random.pick([`C<CAS ${key}>`, 'C1', 'C0'])),
    ...['v', 't'].filter(() => random.once(2)),
    ...(random.once(3) ? ['c', 'k'] : some(random, 3, 'k')),
    ...some(random, 5, opaque(random)),
  ])
}

function broken(random: Random): Command {
  const key = random.pick(TEXT_KEYS)
  const flags = [random.pick(BROKEN), ...['v', 'k', 'q'].filter(() => random.once(3))]
  const value = randomValue(random)
  switch (random.below(6)) {
    case 0:
      return line(random, `mg ${key}`, flags)
    case 1:
      return withValue(line(random, `ms ${key} ${value.length}`, flags), value)
    case 2:
      return `${random.pick(['mg', 'md', 'me'])} ${'K'.repeat(251)} k\r\n`
    case 3:
      return `ms ${key} ${random.pick(['x', '-1', '1x', '9'.repeat(30), ''])}\r\n`
    case 4:
      return `mg ${random.pick(['=', 'a', 'a===', '\xff'])} b k\r\n`
    default:
      return line(random, `ma ${random.pick(COUNTER_KEYS)}`, [
        'v',
        random.pick(['MX', 'Mi', 'Dx', 'v']),
      ])
  }
}

/** Broken in a way that only the newer release answers as memslab does. */
function brokenAnew(random: Random): Command {
  const key = random.pick(TEXT_KEYS)
  const value = randomValue(random)
  switch (random.below(5)) {
    case 0:
      return line(random, `${random.pick(['mg', 'md'])} ${key}`, [random.pick(NO_FLAGS), 'v'])
    case 1:
      return line(random, `ma ${random.pick(COUNTER_KEYS)}`, [random.pick(NO_FLAGS), 'v'])
    case 2: // a length that is not the value's: what follows is read as something else
      return withValue(`ms ${key} ${value.length + random.between(-2, 3)}\r\n`, value)
    case 3:
      return `${random.pick(['mg', 'ms', 'md', 'ma', 'me', 'm', 'mx', `ma ${'K'.repeat(251)}`])}\r\n`
    default:
      return `mg ${key}\0 v\r\n`
  }
}

function opaque(random: Random): string {
  return `O${random.pick(['', '1', 'abc', 'x'.repeat(31), random.below(10_000).toString()])}`
}

function some(random: Random, times: number, flag: string): string[] {
  return random.once(times) ? [flag] : []
}

/** The words in a random order, on one line. */
function line(random: Random, start: string, flags: string[]): Command {
  const words = [...flags]
  for (let i = words.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[words[i], words[j]] = [words[j], words[i]]
  }
  return `${[start, ...words.slice(0, WORDS_MAX)].join(' ')}\r\n`
}

function withValue(head: string, value: string): Command {
  return `${head}${value}\r\n`
}
