/**
 * Rows of newer.ts about the classic text protocol: lines, words, stores and their numbers. In the
 * newer release a line begins with its command, is not cut at a NUL, and is refused as badly
 * formatted where words are missing; further words change nothing; a store that is refused swallows
 * the value that it announced.
 */
import { type Row, rowsOf } from './case.ts'

const BAD = 'CLIENT_ERROR bad command line format\r\n'
const BAD_CHUNK = 'CLIENT_ERROR bad data chunk\r\n'
const BAD_DELTA = 'CLIENT_ERROR invalid numeric delta argument\r\n'
const BAD_TIME = 'CLIENT_ERROR invalid exptime argument\r\n'
const USAGE = 'CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n'
const END = 'END\r\n'
const ERROR = 'ERROR\r\n'
const STORED = 'STORED\r\n'
const VERSION = 'VERSION *\r\n'
/** The reply to a get of k with this value. */
const ONE = 'VALUE k 0 1\r\n1\r\nEND\r\n'
const A = 'VALUE k 0 1\r\na\r\nEND\r\n'

const lines: Row[] = [
  ...rowsOf('line ends', {
    [BAD + VERSION]: ['an empty line', 'an empty line without carriage return'],
    [END + BAD + BAD + VERSION + BAD + BAD + END]: ['empty lines between commands'],
  }),
  ...rowsOf('spaces', {
    [BAD + VERSION]: ['one space'],
    [STORED + ERROR]: ['a leading space', 'a hundred leading spaces', 'a thousand leading spaces'],
    [ERROR + BAD + END]: ['a leading space before set'],
  }),
  ...rowsOf('NUL bytes', {
    [STORED + END + VERSION]: ['NUL ends a get line early'],
    [STORED + ONE]: ['NUL between keys'],
    [STORED + END]: ['NUL inside the key of a set'],
    [BAD + BAD + END]: ['NUL behind the length of a set'],
    [ERROR + VERSION]: ['NUL behind the command'],
    [ERROR]: ['NUL behind quit'],
    [STORED + BAD_DELTA]: ['NUL behind a delta'],
    [BAD + VERSION]: ['a line of NUL'],
  }),
  ...rowsOf('unknown commands', {
    [VERSION]: ['an unknown command with noreply'],
    [BAD + VERSION]: ['one letter'],
  }),
  ...rowsOf('HTTP', {
    [ERROR]: ['an HTTP version alone'],
    [BAD + VERSION]: ['HTTP/ behind a known command'],
  }),
  ...rowsOf('long lines', { [BAD + VERSION]: ['a long key of a set, whole'] }),
  ...rowsOf('version and quit', { [ERROR]: ['quit with a leading space'] }),
  ...rowsOf('pipelines', {
    [(ERROR + BAD + BAD + BAD).repeat(3000) + END]: ['3000 errors in a write'],
  }),
]

const COUNTS = [8, 21, 22, 23, 24, 25, 40]
const counted = (...commands: string[]) =>
  commands.flatMap(command => COUNTS.map(count => `${command} with ${count} arguments`))

const counts: Row[] = [
  ...rowsOf('token counts', {
    [BAD + VERSION]: counted('set', 'add', 'replace', 'append', 'prepend', 'cas'),
    [BAD_DELTA + VERSION]: counted('incr', 'decr'),
    [BAD_TIME + VERSION]: counted('touch'),
  }),
  {
    group: 'token counts',
    cases: counted('delete'),
    replies: [USAGE + VERSION],
    own: 'what follows the key has to be a time or noreply: memccapable expects an error',
  },
]

const retrieval: Row[] = [
  ...rowsOf('get and gets', {
    [BAD + VERSION]: ['get without a key', 'get and a space', 'gets without a key'],
  }),
  ...rowsOf('keys', { [`${STORED}VALUE noreply 0 1\r\nx\r\n${END}`]: ['a key called noreply'] }),
  ...rowsOf('gat, gats and touch', {
    [BAD + VERSION]: [
      'gat without arguments',
      'gats without arguments',
      'gat with an exptime alone',
      'gats with an exptime alone',
      'touch without arguments',
    ],
    [STORED + BAD + VERSION]: ['gat with a key alone', 'touch without an exptime'],
    [STORED + BAD + ONE]: ['gat with exptime ""', 'touch with exptime ""'],
    [`${STORED}TOUCHED\r\n${ONE}`]: ['touch with five tokens'],
    [STORED + BAD_TIME + ONE]: forms(
      ['gat with exptime', 'touch with exptime'],
      ['+0', '2147483648', '4294967295', '4294967296', '-2147483649'],
      ['9223372036854775807', '\t0', '0\t'],
    ),
  }),
]

/** Stored by a store with words after `noreply`, whose last word is another. */
const CARRIED_OUT: Record<string, string> = {
  set: STORED + A,
  add: `NOT_STORED\r\n${ONE}`,
  replace: STORED + A,
  append: `${STORED}VALUE k 0 2\r\n1a\r\nEND\r\n`,
  prepend: `${STORED}VALUE k 0 2\r\na1\r\nEND\r\n`,
}

const storage: Row[] = [
  ...Object.entries(CARRIED_OUT).flatMap(([command, reply]) =>
    rowsOf(command, {
      [BAD + VERSION]: [
        `${command} without arguments`,
        `${command} with a key`,
        `${command} with flags`,
      ],
      [BAD + BAD + END]: [`${command} without a length`],
      [STORED + reply]: [`${command} with a seventh token`],
      [STORED + BAD_CHUNK + BAD + ONE]: [`${command} of a value too long by one`],
      [STORED + BAD + ONE]: [`${command} too long by one, silent`],
      [BAD + END]: [`${command} to a key of 251`],
      [END]: [`${command} to a key of 251, silent`],
    }),
  ),
  ...rowsOf('values', {
    [BAD_CHUNK + BAD + END]: ['length 0 and one byte'],
    [BAD_CHUNK + BAD + STORED + ONE]: ['a good value behind a bad one'],
    [BAD_CHUNK + BAD + A]: ['a bad value behind a silent good one'],
    [BAD + VERSION]: [
      'noreply as the length',
      'noreply as the flags',
      'a negative length and noreply',
    ],
    [`${STORED}VALUE noreply 0 1\r\na\r\n${END}`]: ['noreply as the key'],
    [END]: ['a bad number and noreply'],
    [BAD + BAD + VERSION]: ['noreply does not stick'],
    [BAD_CHUNK + BAD + VERSION]: ['noreply does not stick to ERROR'],
  }),
  ...rowsOf('cas', {
    [BAD + VERSION]: ['cas without arguments', 'cas of a key of 251'],
    [STORED + BAD + ONE]: ['cas without a number'],
    [STORED + ONE]: ['cas with noreply for a number'],
    [`${STORED}EXISTS\r\n${ONE}`]: ['cas with eight tokens'],
    [VERSION]: ['cas of a key of 251, silent'],
    [STORED + BAD + VERSION]: ['cas of a negative length, silent'],
  }),
  {
    group: 'cas',
    cases: ['cas of a bad value'],
    replies: [`${STORED}VALUE k 0 1 #0\r\n1\r\n${END}`, BAD_CHUNK + BAD + ONE],
  },
  {
    group: 'cas',
    cases: ['cas behind a bad cas'],
    replies: [
      `${STORED}VALUE k 0 1 #0\r\n1\r\n${END}`,
      `${BAD_CHUNK}${BAD}${STORED}VALUE k 0 1\r\nc\r\n${END}`,
    ],
  },
]

const removal: Row[] = [
  ...rowsOf('delete', {
    [`${STORED}DELETED\r\n${END}`]: [
      'delete with 10',
      'delete with 00',
      'delete with -0',
      'delete with 0 and 0',
      'delete with 0 and a word',
      'delete with noreply and 0',
      'delete with five tokens',
    ],
    [STORED + END]: ['delete with 10, silent', 'delete with noreply twice', 'delete of noreply'],
    [BAD + VERSION]: ['delete without a key', 'delete of a key of 251 with 10'],
  }),
  {
    group: 'delete',
    cases: ['delete with 30 keys'],
    replies: [STORED + USAGE + ONE],
    own: 'what follows the key has to be a time or noreply: memccapable expects an error',
  },
]

const ZEROS = '000000000000000000000000000001'
const NINES = '9'.repeat(60)
/** Texts that are no numbers in any release. */
const NONE = ['0x1', '1a', 'a1', '1.', '1.0', '1e0', '+', '--1', '+-1', '1_0', '1,0', '\xb9']
/** Numbers for strtol, but not for the newer tokenizer. */
const BLANKS = ['\t1', '1\t', '\v1', '1\f', ZEROS]
const NEGATIVE_64 = ['-9223372036854775809', '-18446744073709551615']
const ABOVE_64 = ['18446744073709551616', '-18446744073709551616', NINES]
const NEGATIVE = ['-2147483648', '-2147483649', '-4294967295', '-4294967296']
const ABOVE_32 = ['2147483647', '2147483648', '4294967295', '4294967296', '4294967297']

const BAD_FLAGS = [...NONE, '-1', '-', ...NEGATIVE, '-9223372036854775808', ...ABOVE_64]
const BAD_CAS = [...BAD_FLAGS, '+1', '-0', '', ...BLANKS, ...NEGATIVE_64]
const BAD_TIMES = [...NONE, '-', ...NEGATIVE_64, ...ABOVE_64].concat([
  '9223372036854775808',
  '18446744073709551615',
])
const BAD_DELTAS = ['+1', '-0', ...BLANKS, ...NEGATIVE_64]
const BAD_LENGTHS = [...NONE, '-1', '+1', '', ...BLANKS, ...NEGATIVE, ...ABOVE_32].concat(
  ['4294967301', '2147483646', '-4294967297', '4294967298', '9223372036854775807'],
  ['9223372036854775808', '18446744073709551615', '-9223372036854775808'],
  [...NEGATIVE_64, ...ABOVE_64],
)

const numbers: Row[] = [
  ...rowsOf('forms of numbers', {
    [BAD + END]: [
      ...forms(['flags'], BAD_FLAGS),
      ...forms(['exptime'], BAD_TIMES),
      ...forms(['cas of a miss'], BAD_CAS),
      ...forms(['incr of a miss by'], ['']),
    ],
    [STORED + BAD + ONE]: [
      ...forms(['flags of append'], BAD_FLAGS),
      ...forms(['cas'], BAD_CAS),
      ...forms(['incr by', 'decr by'], ['']),
    ],
    [STORED + BAD_DELTA + ONE]: forms(['incr by', 'decr by'], BAD_DELTAS),
    [BAD_DELTA + END]: forms(['incr of a miss by'], BAD_DELTAS),
    [STORED + ONE]: forms(
      ['silent incr by'],
      BAD_DELTAS.filter(form => form !== '-0'),
    ),
    [BAD + BAD + END]: [
      ...forms(['flags', 'exptime'], ['']),
      ...forms(['length of add'], BAD_LENGTHS),
    ],
    [STORED + BAD + BAD + ONE]: [
      ...forms(['flags of append'], ['']),
      ...forms(['length'], BAD_LENGTHS),
    ],
    [STORED + BAD_CHUNK + BAD + ONE]: forms(['length'], ['-0', '-']),
    [BAD_CHUNK + BAD + END]: forms(['length of add'], ['-0', '-']),
  }),
  ...rowsOf('incr and decr', {
    [BAD + VERSION]: ['incr without arguments', 'decr without arguments'],
    [STORED + BAD + ONE]: ['incr without a delta', 'decr without a delta'],
    [`${STORED}2\r\nVALUE k 0 1\r\n2\r\n${END}`]: ['incr with five tokens', 'incr with 30 deltas'],
    [`${STORED}0\r\nVALUE k 0 1\r\n0\r\n${END}`]: ['decr with five tokens', 'decr with 30 deltas'],
  }),
]

export const textRows: readonly Row[] = [
  ...lines,
  ...counts,
  ...retrieval,
  ...storage,
  ...removal,
  ...numbers,
]

/** The names of the cases of each of these words with each of these forms. */
function forms(words: string[], ...lists: string[][]): string[] {
  return words.flatMap(word => lists.flat().map(form => `${word} ${JSON.stringify(form)}`))
}
