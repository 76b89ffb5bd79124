/** Edge cases of the binary commands: what each does and answers, in its normal and quiet form. */
import {
  count,
  countExtras,
  frame,
  lastCas,
  Op,
  store,
  touch,
  u32,
} from '../../support/binary-frames.ts'
import { GET, NOOP, numbered, ONE } from './binary-case.ts'
import type { Case, Group } from './case.ts'

const STORES = {
  SET: Op.SET,
  ADD: Op.ADD,
  REPLACE: Op.REPLACE,
  SETQ: Op.SETQ,
  ADDQ: Op.ADDQ,
  REPLACEQ: Op.REPLACEQ,
}
const JOINS = { APPEND: Op.APPEND, PREPEND: Op.PREPEND, APPENDQ: Op.APPENDQ, PREPENDQ: Op.PREPENDQ }
const GETS = { GET: Op.GET, GETK: Op.GETK, GETQ: Op.GETQ, GETKQ: Op.GETKQ }
const TOUCHES = { TOUCH: Op.TOUCH, GAT: Op.GAT, GATQ: Op.GATQ, GATK: Op.GATK, GATKQ: Op.GATKQ }
const COUNTS = { INCR: Op.INCR, DECR: Op.DECR, INCRQ: Op.INCRQ, DECRQ: Op.DECRQ }
const DELETES = { DELETE: Op.DELETE, DELETEQ: Op.DELETEQ }
const FAR = 1_000_000
const TOO_LARGE = 'x'.repeat(1_048_577)

const join = (opcode: number, value: string, parts = {}) =>
  frame(opcode, { key: 'k', value, ...parts })
/** GET again and again: the CAS before and after. */
const SEEN = [ONE + GET]

function storesOf([name, opcode]: [string, number]): Case[] {
  const of = (value: string, parts = {}) => store(opcode, 'k', value, parts)
  return [
    [`${name} on a missing key`, of('new') + GET],
    [`${name} on an existing key`, ONE + of('new') + GET],
    [`${name} with flags`, ONE + of('new', { extras: u32(0xfedcba98) + u32(0) }) + GET],
    [`${name} of nothing`, ONE + of('') + GET],
    [`${name} of nothing on a missing key`, of('') + GET],
    [`${name} with the right CAS`, [...SEEN, of('new', { cas: lastCas('k') }) + GET]],
    [`${name} with a wrong CAS`, ONE + of('new', { cas: 2n ** 40n }) + GET],
    [`${name} with a CAS of high bits`, ONE + of('new', { cas: 2n ** 63n }) + GET],
    [`${name} with a CAS on a missing key`, of('new', { cas: 1n }) + GET],
    [`${name} changes the CAS`, [ONE + of('new') + GET, of('newer') + GET]],
    [`${name} of a large value`, ONE + of('v'.repeat(500_000)) + GET],
    [`${name} of the largest value`, ONE + of('v'.repeat(1_048_500)) + GET],
    [`${name} of a value too large`, ONE + of(TOO_LARGE) + GET],
    [`${name} of a value too large, with a CAS`, ONE + of(TOO_LARGE, { cas: 5n }) + GET],
    [`${name} of a value too large on a missing key`, of(TOO_LARGE) + GET],
    [`${name} that ends far away`, ONE + of('v', { extras: u32(0) + u32(0xffffffff) }) + GET],
    [`${name} that ends in 2038`, ONE + of('v', { extras: u32(0) + u32(0x80000000) }) + GET],
    [`${name} that has ended`, ONE + of('v', { extras: u32(0) + u32(100_000_000) }) + GET],
    [`${name} of all bytes`, of(String.fromCharCode(...Array(256).keys())) + GET],
  ]
}

function joinsOf([name, opcode]: [string, number]): Case[] {
  return [
    [`${name} on a missing key`, join(opcode, 'new') + GET],
    [`${name} on an existing key`, ONE + join(opcode, 'new') + GET],
    [
      `${name} keeps flags`,
      store(Op.SET, 'k', '1', { extras: u32(9) + u32(0) }) + join(opcode, 'new') + GET,
    ],
    [`${name} of nothing`, ONE + join(opcode, '') + GET],
    [`${name} of nothing on a missing key`, join(opcode, '') + GET],
    [`${name} to nothing`, store(Op.SET, 'k', '') + join(opcode, 'x') + GET],
    [`${name} with the right CAS`, [...SEEN, join(opcode, 'new', { cas: lastCas('k') }) + GET]],
    [`${name} with a wrong CAS`, ONE + join(opcode, 'new', { cas: 2n ** 40n }) + GET],
    [`${name} with a CAS on a missing key`, join(opcode, 'new', { cas: 1n }) + GET],
    [`${name} of a large value`, ONE + join(opcode, 'v'.repeat(500_000)) + GET],
    [`${name} of a value too large`, ONE + join(opcode, TOO_LARGE) + GET],
    [
      `${name} that makes a value too large`,
      store(Op.SET, 'k', 'v'.repeat(700_000)) + join(opcode, 'w'.repeat(700_000)) + GET,
    ],
  ]
}

function getsOf([name, opcode]: [string, number]): Case[] {
  return [
    [`${name} of a missing key`, frame(opcode, { key: 'k' }) + NOOP],
    [`${name} of a hit`, ONE + frame(opcode, { key: 'k' }) + NOOP],
    [
      `${name} of a hit with flags`,
      store(Op.SET, 'k', '1', { extras: u32(0x89abcdef) + u32(0) }) + frame(opcode, { key: 'k' }),
    ],
    [`${name} of a value of nothing`, store(Op.SET, 'k', '') + frame(opcode, { key: 'k' })],
    [
      `${name} of the longest key`,
      store(Op.SET, 'K'.repeat(250), '1') + frame(opcode, { key: 'K'.repeat(250) }),
    ],
    [
      `${name} of a large value`,
      store(Op.SET, 'k', 'v'.repeat(900_000)) + frame(opcode, { key: 'k' }) + NOOP,
    ],
    [
      `${name} of many, hits and misses`,
      store(Op.SET, 'k', '1') +
        numbered(
          Array.from({ length: 300 }, (_, i) => frame(opcode, { key: i % 3 === 0 ? 'zz' : 'k' })),
        ),
    ],
    [
      `${name} of large values`,
      store(Op.SET, 'k', 'v'.repeat(50_000)) +
        numbered(Array.from({ length: 20 }, () => frame(opcode, { key: 'k' }))),
    ],
  ]
}

function touchesOf([name, opcode]: [string, number]): Case[] {
  return [
    [`${name} of a missing key`, touch(opcode, 'k', 0) + NOOP],
    [`${name} of a hit`, ONE + touch(opcode, 'k', 0) + GET],
    [`${name} changes no CAS`, [ONE + GET + touch(opcode, 'k', FAR) + GET]],
    [
      `${name} with flags`,
      store(Op.SET, 'k', '1', { extras: u32(7) + u32(0) }) + touch(opcode, 'k', 0),
    ],
    [`${name} to 2106`, ONE + touch(opcode, 'k', 0xffffffff) + GET],
    [`${name} to the past`, ONE + touch(opcode, 'k', 100_000_000) + GET],
    [
      `${name} of a large value`,
      store(Op.SET, 'k', 'v'.repeat(900_000)) + touch(opcode, 'k', 0) + NOOP,
    ],
  ]
}

function countsOf([name, opcode]: [string, number]): Case[] {
  const number = (value: string) => store(Op.SET, 'k', value)
  const by = (delta: bigint, initial?: bigint, exptime?: number, parts = {}) =>
    frame(opcode, { extras: countExtras(delta, initial, exptime), key: 'k', ...parts })
  const values = [
    '0',
    '9',
    '10',
    '99',
    '007',
    '18446744073709551615',
    '18446744073709551616',
    '',
    'x',
    '1x',
    '5 ',
    ' 5',
    '+5',
  ]
  const deltas = [0n, 1n, 10n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]
  return [
    ...values.map(
      (value): Case => [`${name} of ${JSON.stringify(value)}`, number(value) + by(1n) + GET],
    ),
    ...deltas.map(
      (delta): Case => [`${name} by ${delta}`, number('1000') + by(delta) + by(delta) + GET],
    ),
    ...deltas.map(
      (initial): Case => [
        `${name} from ${initial}`,
        [by(1n, initial, 0) + GET, by(1n, initial, 0), GET],
      ],
    ),
    [`${name} of a missing key`, by(1n) + GET],
    [`${name} of a missing key, not to be made`, by(1n, 5n, 0xffffffff) + GET],
    [`${name} of a missing key with a CAS`, by(1n, 5n, 0, { cas: 9n }) + GET],
    [`${name} makes one for long`, by(1n, 5n, 0xfffffffe) + GET],
    [`${name} makes one that has ended`, by(1n, 5n, 100_000_000) + GET],
    [`${name} with the right CAS`, [number('5') + GET, by(1n, 0n, 0, { cas: lastCas('k') }) + GET]],
    [`${name} with a wrong CAS`, number('5') + by(1n, 0n, 0, { cas: 2n ** 40n }) + GET],
    [
      `${name} of no number with a wrong CAS`,
      number('x') + by(1n, 0n, 0, { cas: 2n ** 40n }) + GET,
    ],
    [`${name} of nothing with a wrong CAS`, number('') + by(1n, 0n, 0, { cas: 2n ** 40n }) + GET],
    [`${name} changes the CAS`, [number('5') + GET, by(1n) + GET, by(1n) + GET]],
    [`${name} keeps flags`, store(Op.SET, 'k', '5', { extras: u32(7) + u32(0) }) + by(100n) + GET],
    [`${name} of a large value`, number('7'.repeat(600_000)) + by(1n)],
  ]
}

function deletesOf([name, opcode]: [string, number]): Case[] {
  const remove = (parts = {}) => frame(opcode, { key: 'k', ...parts })
  return [
    [`${name} of a missing key`, remove() + NOOP],
    [`${name} of a hit`, ONE + remove() + GET + remove()],
    [`${name} with the right CAS`, [...SEEN, remove({ cas: lastCas('k') }) + GET]],
    [`${name} with a wrong CAS`, ONE + remove({ cas: 2n ** 40n }) + GET],
    [`${name} of a missing key with a CAS`, remove({ cas: 1n }) + NOOP],
  ]
}

const flushes: Case[] = [
  ['flush', ONE + frame(Op.FLUSH) + GET],
  ['flush, quiet', ONE + frame(Op.FLUSHQ) + GET],
  ['flush with a delay of 0', ONE + frame(Op.FLUSH, { extras: u32(0) }) + GET],
  ['flush with a delay of 1', ONE + frame(Op.FLUSHQ, { extras: u32(1) }) + GET],
  ['flush with a delay', ONE + frame(Op.FLUSH, { extras: u32(100) }) + GET],
  ['flush in 2106', ONE + frame(Op.FLUSH, { extras: u32(0xffffffff) }) + GET],
  ['flush in the past', frame(Op.FLUSH, { extras: u32(100_000_000) }) + NOOP],
  ['a flush takes back one that was to come', frame(Op.FLUSH) + ONE + GET],
]

const rest: Case[] = [
  ['noop', NOOP + NOOP],
  ['version', frame(Op.VERSION) + NOOP],
  ['verbosity is not known', frame(Op.VERBOSITY) + NOOP],
  ['quit', NOOP + frame(Op.QUIT) + NOOP],
  ['quitq', NOOP + frame(Op.QUITQ) + NOOP],
  [
    'quit behind quiet commands',
    frame(Op.SETQ, { extras: u32(0) + u32(0), key: 'k', value: '1' }) + GET + frame(Op.QUIT),
  ],
  ['sasl is not known', frame(Op.SASL_LIST) + NOOP],
  ['a report nobody knows', frame(Op.STAT, { key: 'none' }) + NOOP],
  [
    'a report that only text has',
    frame(Op.STAT, { key: 'conns' }) + frame(Op.STAT, { key: 'cachedump' }) + NOOP,
  ],
  [
    'a report with a blank',
    frame(Op.STAT, { key: 'items ' }) + frame(Op.STAT, { key: ' items' }) + NOOP,
  ],
  [
    'part of a name',
    frame(Op.STAT, { key: 'rese' }) +
      frame(Op.STAT, { key: 'setting' }) +
      frame(Op.STAT, { key: 'item' }) +
      NOOP,
  ],
  [
    'stat reset',
    frame(Op.STAT, { key: 'reset' }) + frame(Op.STAT, { key: 'reset and more' }) + NOOP,
  ],
  ['stat sizes', frame(Op.STAT, { key: 'sizes' }) + NOOP],
  [
    'detail counts prefixes',
    [
      frame(Op.STAT, { key: 'reset' }) + frame(Op.STAT, { key: 'detail on' }),
      store(Op.SET, 'a:b', '1') + frame(Op.GET, { key: 'a:b' }) + frame(Op.GETQ, { key: 'a:c' }),
      touch(Op.GAT, 'a:b', 0) + store(Op.REPLACEQ, 'a:none', '1') + count(Op.INCR, 'a:n', 1n),
      frame(Op.APPEND, { key: 'a:b', value: 'x' }) + frame(Op.DELETE, { key: 'a:b' }),
      frame(Op.STAT, { key: 'detail dump' }) + frame(Op.STAT, { key: 'detail dump it' }),
      frame(Op.STAT, { key: 'detail off' }) + frame(Op.GET, { key: 'a:b' }),
      frame(Op.STAT, { key: 'detail dump' }) + frame(Op.STAT, { key: 'reset' }),
      frame(Op.STAT, { key: 'detail dump' }) + NOOP,
    ],
  ],
  [
    'detail of something else',
    frame(Op.STAT, { key: 'detail' }) + frame(Op.STAT, { key: 'detail  on' }) + NOOP,
  ],
  ['detail with a longer word', frame(Op.STAT, { key: 'details' }) + NOOP],
  ['a report with a key of 250', frame(Op.STAT, { key: 's'.repeat(250) }) + NOOP],
]

const each = (commands: Record<string, number>, casesOf: (entry: [string, number]) => Case[]) =>
  Object.entries(commands).flatMap(casesOf)

export const commands: Group[] = [
  { name: 'stores', cases: each(STORES, storesOf) },
  { name: 'joins', cases: each(JOINS, joinsOf) },
  { name: 'gets', cases: each(GETS, getsOf) },
  { name: 'touches', cases: each(TOUCHES, touchesOf) },
  { name: 'numbers', cases: each(COUNTS, countsOf) },
  { name: 'deletes', cases: each(DELETES, deletesOf) },
  { name: 'flushes', cases: flushes },
  { name: 'the rest', cases: rest },
]
