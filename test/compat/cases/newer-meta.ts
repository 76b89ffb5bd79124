// Rows of newer.ts about the meta commands. The newer release reads the numbers of flags as digits
// alone, as all others. A flag that starts with neither a letter nor a digit is a format error, and
// leading spaces are not skipped. Where it then runs the value of an ms as commands, memslab
// discards that value.

import { type Row, rowsOf } from './case.ts'

const BAD = 'CLIENT_ERROR bad command line format\r\n'
const BAD_CHUNK = 'CLIENT_ERROR bad data chunk\r\n'
const BAD_INITIAL = 'CLIENT_ERROR invalid numeric initial value\r\n'
const BAD_MODE = 'CLIENT_ERROR invalid mode for ms M token\r\n'
const BAD_SUM = 'CLIENT_ERROR invalid or duplicate flag\r\n'
const BAD_TOKEN = 'CLIENT_ERROR bad token in command line format\r\n'
const DUPLICATE = 'CLIENT_ERROR duplicate flag\r\n'
const ERROR = 'ERROR\r\n'
const MN = 'MN\r\n'
const MISS = 'EN kk\r\n'
/** The stored value as the cases ask for it, in one of two orders of the flags. */
const HELLO = 'VA 5 kk s5 t300 c#0 f7\r\nhello\r\n'
const HELLO_TOO = 'VA 5 s5 c#0 f7 kk\r\nhello\r\n'
const FIVE = 'VA 1 s1 c#0 f0 kk\r\n5\r\n'

const SWALLOWED = 'the value of a refused ms is discarded, not run'

/** Characters that start no flag, as in the cases: without NUL, \n and the space. */
const ODD = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1)).filter(
  character => !/[ \n0-9A-Za-z[\\\]^_`]/.test(character),
)
const quoted = (word: string) => JSON.stringify(word)

const letters: Row[] = [
  ...rowsOf('letters', {
    [`HD\r\n${BAD}${HELLO}`]: ODD.map(one => `mg of a hit with ${quoted(one)}`),
    [BAD + MISS]: ODD.map(one => `mg of a miss with ${quoted(one)}`),
    [`HD\r\n${BAD}${FIVE}`]: ODD.map(one => `ma with ${quoted(one)}`),
  }),
  {
    group: 'letters',
    cases: ODD.map(one => `ms with ${quoted(one)}`),
    replies: [BAD + MISS],
    own: SWALLOWED,
  },
]

const BLANKS = ['\t1', '1\t', '\v1', '1\f']
const ODD_NUMBERS = [...BLANKS, '+1', '000000000000000000000000000001']
const NEGATIVE_64 = ['-9223372036854775809', '-18446744073709551615']
const BAD_TIMES = [...ODD_NUMBERS, '2147483648', '4294967295', '4294967296', '4294967301'].concat([
  '-2147483649',
  '-4294967295',
  '9223372036854775807',
  '-9223372036854775808',
])
const BAD_64 = [...ODD_NUMBERS, '-0', ...NEGATIVE_64]
const ABOVE_32 = ['4294967296', '4294967301', '9223372036854775807', '9223372036854775808'].concat([
  '18446744073709551615',
])

const numbers: Row[] = rowsOf('numbers behind letters', {
  [`HD\r\n${BAD_TOKEN}${HELLO}`]: [
    ...forms(['T of mg', 'N of a hit', 'R'], BAD_TIMES),
    ...forms(['C of ms', 'C of an append'], BAD_64),
  ],
  [BAD_TOKEN + MISS]: [
    ...forms(['T of a miss', 'N of a miss', 'T of ms'], BAD_TIMES),
    ...forms(['C of ms of a miss'], BAD_64),
  ],
  [BAD + MISS]: forms(['F of ms'], [...BAD_64, ...ABOVE_32]),
  [`HD\r\n${BAD_SUM}${FIVE}`]: forms(['C of ma', 'D of ma', 'D of ma down'], BAD_64),
  [BAD_SUM + MISS]: [...forms(['J of ma'], BAD_64), ...forms(['N of ma'], BAD_TIMES)],
  [`HD\r\n${BAD_INITIAL}${HELLO_TOO}`]: forms(['all of mg with'], BAD_64),
  [`HD\r\n${BAD}${HELLO_TOO}`]: forms(['all of mg with'], ABOVE_32),
  [`HD\r\n${BAD_CHUNK}${BAD}${HELLO}`]: forms(['the length of ms'], ['-0', '-', '0']),
  [`HD\r\n${BAD}${MN}${HELLO}`]: forms(
    ['the length of ms'],
    [...BLANKS, '-4294967295', '-9223372036854775808'],
  ),
  // A lone minus is 0, in T and N an item that never expires.
  'HD\r\nVA 5 t-1\r\nhello\r\nVA 5 kk s5 t-1 c#0 f7\r\nhello\r\n': forms(['T of mg'], ['-']),
  [`EN\r\n${MISS}`]: forms(['T of a miss'], ['-']),
  'VA 0 t-1 W\r\n\r\nVA 0 kk s0 t-1 c#0 f0 Z\r\n\r\n': forms(['N of a miss'], ['-']),
  [`HD\r\nVA 5 t300\r\nhello\r\n${HELLO}`]: forms(['N of a hit', 'R'], ['-']),
  'HD\r\nVA 1 kk s1 t-1 c#0 f0\r\nv\r\n': forms(['T of ms'], ['-']),
  'VA 1 t-1\r\n0\r\nVA 1 kk s1 t-1 c#0 f0\r\n0\r\n': forms(['N of ma'], ['-']),
})

const lines: Row[] = [
  ...rowsOf('quiet', {
    [BAD + DUPLICATE + BAD_TOKEN + MN]: ['mg of a miss with an error'],
    [BAD_CHUNK + BAD + MN]: ['ms with a bad chunk'],
  }),
  {
    group: 'quiet',
    cases: ['ms with an error'],
    replies: [BAD + BAD_MODE + BAD_TOKEN + MN + MISS],
    own: SWALLOWED,
  },
  ...rowsOf('commands', {
    [ERROR + MN]: ['mn with blanks'],
    [BAD + BAD]: ['mn without \\r'],
    [ERROR.repeat(4) + BAD + ERROR + ERROR]: ['MN'],
    [BAD.repeat(5)]: ['meta commands alone'],
    [BAD + ERROR + ERROR + BAD + ERROR]: ['meta commands alone, with blanks'],
  }),
  ...rowsOf('meta lines', {
    [`HD\r\n${ERROR}`]: ['blanks everywhere'],
    [`HD\r\nEN\r\n${MN}`]: ['a NUL behind the key'],
    [`HD\r\nVA 5 kk\r\nhello\r\n${MN}`]: ['a NUL behind a flag'],
    [`HD\r\n${BAD}${MN}`]: ['a NUL before the flags'],
    [BAD + BAD + MISS]: ['a NUL in the length'],
    [BAD + BAD + DUPLICATE]: ['two errors, an unknown flag is told at once'],
  }),
  {
    group: 'meta lines',
    cases: ['a key of 251 in ma and me'],
    replies: [BAD_SUM, BAD, MN],
  },
  ...rowsOf('ms', {
    [BAD_CHUNK + BAD + MN + MISS]: ['a value that is too short', 'a value that is too long by one'],
  }),
  {
    group: 'ms',
    cases: ['errors swallow the value'],
    replies: [BAD + BAD_TOKEN + BAD_MODE + MN],
    own: SWALLOWED,
  },
]

/** With -C every CAS is 0, the one that these cases give. */
const withoutCas: Row[] = [
  {
    group: 'numbers behind letters',
    cases: forms(['all of mg with'], ['0']),
    replies: ['HD\r\nHD\r\nVA 5 s5 c0 f7 kk\r\nhello\r\n'],
    casOff: true,
  },
]

export const metaRows: readonly Row[] = [...letters, ...numbers, ...lines, ...withoutCas]

/** The names of the cases of each of these words with each of these forms. */
function forms(words: string[], list: string[]): string[] {
  return words.flatMap(word => list.map(form => `${word} ${quoted(form)}`))
}
