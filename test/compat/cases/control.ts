/** Edge cases of sizes, pipelines, flush_all, verbosity, version, quit and stats. */
import { type Case, GET, type Group, KEY_250, ONE, store, times, VERSION } from './case.ts'

const ITEM_BYTES_MAX = 1024 * 1024
// Bytes that memcached counts in addition to key and value: header 48, CAS 8, a NUL, and \r\n.
const ITEM_OVERHEAD_BYTES = 59
const FITS = ITEM_BYTES_MAX - ITEM_OVERHEAD_BYTES - 1

const TOO_LARGE_AND = `${GET}${VERSION}`

function body(bytes: number, fill = 'x'): string {
  return `${fill.repeat(bytes)}\r\n`
}

const sizes: Case[] = [
  ...[FITS - 1, FITS, FITS + 1, ITEM_BYTES_MAX - 1, ITEM_BYTES_MAX, ITEM_BYTES_MAX + 1].map(
    (bytes): Case => [
      `set of ${bytes} bytes`,
      `${ONE}set k 0 0 ${bytes}\r\n${body(bytes)}${TOO_LARGE_AND}`,
    ],
  ),
  ['flags take four bytes', `set k 1 0 ${FITS - 4}\r\n${body(FITS - 4)}${GET}`],
  ['flags take four bytes, no more', `set k 1 0 ${FITS - 3}\r\n${body(FITS - 3)}${GET}`],
  ['the key counts', `set ${KEY_250} 0 0 ${FITS - 249}\r\n${body(FITS - 249)}get ${KEY_250}\r\n`],
  [
    'the key counts, and no more',
    `set ${KEY_250} 0 0 ${FITS - 248}\r\n${body(FITS - 248)}get ${KEY_250}\r\n`,
  ],
  ['half a MiB', store('set', 'x'.repeat(524_288)) + GET],
  ['sizes around 16 KiB', [16_382, 16_384, 16_386].map(n => store('set', 'y'.repeat(n)) + GET)],
  ['sizes around 64 KiB', [65_533, 65_535, 65_537].map(n => store('set', 'z'.repeat(n)) + GET)],
  ['a large value and a short terminator', `set k 0 0 600000\r\n${'x'.repeat(600_000)}XY${GET}`],
  ...['set', 'add', 'replace', 'append', 'prepend'].flatMap((command): Case[] => [
    [
      `${command} of 2 MiB on a missing key`,
      `${command} k 0 0 2097152\r\n${body(2_097_152)}${TOO_LARGE_AND}`,
    ],
    [
      `${command} of 2 MiB on an existing key`,
      `${ONE}${command} k 0 0 2097152\r\n${body(2_097_152)}${TOO_LARGE_AND}`,
    ],
    [
      `${command} of 2 MiB, silent`,
      `${ONE}${command} k 0 0 2097152 noreply\r\n${body(2_097_152)}${TOO_LARGE_AND}`,
    ],
  ]),
  ['cas of 2 MiB', `${ONE}cas k 0 0 2097152 1\r\n${body(2_097_152)}${TOO_LARGE_AND}`],
  [
    'what is too large is swallowed unread',
    `set k 0 0 2097152\r\n${'version\r\n'.repeat(233_017)}`,
  ],
  [
    'no terminator behind what is too large',
    `set k 0 0 1100000\r\n${'x'.repeat(1_100_000)}XY${GET}`,
  ],
  ['half a terminator', `set k 0 0 1100000\r\n${'x'.repeat(1_100_000)}X${GET}${VERSION}`],
  ['half of what is too large', [ONE, `set k 0 0 1100000\r\n${'x'.repeat(500_000)}`], 'raw'],
]

function grown(command: string, first: number, second: number): Case {
  const bytes = store('set', 'x'.repeat(first)) + store(command, 'y'.repeat(second)) + GET
  return [`${command} of ${second} to ${first}`, bytes]
}

const growth: Case[] = ['append', 'prepend'].flatMap(command => [
  grown(command, FITS - 10, 9),
  grown(command, FITS - 10, 10),
  grown(command, FITS - 10, 11),
  grown(command, 600_000, 600_000),
  grown(command, 1, FITS - 1),
  grown(command, 1, FITS),
  grown(command, 300_000, 300_000),
])

const pipelines: Case[] = [
  ['20 gets in a write', `${ONE}${GET.repeat(20)}`],
  ['21 gets in a write', `${ONE}${GET.repeat(21)}`],
  ['5000 gets in a write', `${ONE}${GET.repeat(5000)}`],
  ['20000 versions in a write', VERSION.repeat(20_000)],
  ['10000 sets in a write', `${store('set', 'some value')}`.repeat(10_000) + GET],
  ['10000 silent sets in a write', 'set k 0 0 1 noreply\r\na\r\n'.repeat(10_000) + GET],
  ['3000 incr in a write', ONE + 'incr k 3\r\n'.repeat(3000) + GET],
  ['3000 errors in a write', 'foo\r\n\r\nget\r\nset k\r\n'.repeat(3000) + GET],
  ['2000 mixed requests', `${ONE}${GET}delete k\r\n${GET}`.repeat(2000)],
  ['500 hits of 20 KiB', store('set', 'v'.repeat(20_000)) + GET.repeat(500)],
  ['40 multi-gets of 100', `${ONE}${`get${times(100, 'k')}\r\n`.repeat(40)}`],
  ['5 hits of 1 MB', store('set', 'v'.repeat(1_000_000)) + GET.repeat(5)],
]

const verbosity: Case[] = [
  ['', '0', ' 0', '+0', '00', '-1', 'x', '0x0', '\t0', '4294967296', '18446744073709551616', '0 0']
    .concat(['0 noreply', 'noreply', 'x noreply', '0 noreply x', '0 0 noreply', '0 1 2', '0 1 2 3'])
    .map((line): Case => [`verbosity ${JSON.stringify(line)}`, `verbosity ${line}\r\n${VERSION}`]),
].flat()

const leaving: Case[] = [
  ['version', VERSION],
  ['version with arguments', 'version a b c\r\n'],
  ['version with noreply', 'version noreply\r\n'],
  ['quit', 'quit\r\n'],
  ['quit with arguments', 'quit a b c\r\n'],
  ['quit with noreply', 'quit noreply\r\n'],
  ['quit and a lone newline', 'quit\n'],
  ['quit with a leading space', ' quit\r\n'],
  ['quit answers what came before', [`${ONE}${GET}`, 'quit\r\n']],
  ['quit in a pipeline', `${ONE}${GET}quit\r\n`],
  ['nothing is done behind quit', [`quit\r\n${ONE}`], 'raw'],
  ['quit and a carriage return too many', `quit\r\r\n${VERSION}`],
  ['too long a quit', `quitx\r\n${VERSION}`],
]

const statistics: Case[] = [
  ['an unknown sub-command', `stats foo\r\n${VERSION}`],
  ['an unknown sub-command with arguments', `stats foo bar\r\n${VERSION}`],
  ['stats with noreply alone', `stats noreply\r\n${VERSION}`],
  ['stats RESET', `stats RESET\r\n${VERSION}`],
  ['stats reset', `stats reset\r\n${VERSION}`],
  ['stats reset with arguments', `stats reset x y\r\n${VERSION}`],
  ['stats reset knows no noreply', `stats reset noreply\r\n${VERSION}`],
  ['stats sizes while disabled', `stats sizes\r\n${VERSION}`],
]

// Last, because these empty the cache. `flush_all 2592000` and the like leave a delayed flush,
// which the next flush_all replaces.
const flushing: Case[] = [
  [
    '',
    '0',
    '00',
    '+0',
    '-0',
    '-1',
    '-100',
    '-2147483648',
    '-2147483649',
    '2147483648',
    '4294967295',
  ]
    .concat([
      '4294967296',
      '9223372036854775807',
      '9223372036854775808',
      'x',
      '0x',
      '1.',
      'noreply',
    ])
    .concat(['0 noreply', '-1 noreply', 'x noreply', '0 x', 'noreply 0', 'noreply noreply', '0 0'])
    .concat([
      '0 noreply x',
      '0 1 2 3',
      '2592000',
      '2592001',
      '99999999',
      '2147483647',
      '99999999999',
    ])
    .flatMap((line): Case[] => [
      [`flush_all ${JSON.stringify(line)}`, `${ONE}flush_all ${line}\r\n${GET}flush_all\r\n`],
    ]),
  [
    ['a set behind a flush_all lives', `${ONE}flush_all\r\n${GET}${ONE}${GET}`],
    ['a set between two flushes dies', `flush_all\r\n${ONE}flush_all\r\n${GET}`],
    ['add after a flush_all', `${ONE}flush_all\r\n${store('add', '2')}${GET}`],
    ['replace after a flush_all', `${ONE}flush_all\r\n${store('replace', '2')}${GET}`],
    ['append after a flush_all', `${ONE}flush_all\r\n${store('append', '2')}${GET}`],
    ['incr after a flush_all', `${ONE}flush_all\r\nincr k 1\r\n`],
    ['touch after a flush_all', `${ONE}flush_all\r\ntouch k 0\r\n`],
    ['gat after a flush_all', `${ONE}flush_all\r\ngat 0 k\r\n`],
    ['delete after a flush_all', `${ONE}flush_all\r\ndelete k\r\n`],
    ['cas after a flush_all', [`${ONE}gets k\r\n`, 'flush_all\r\ncas k 0 0 1 <CAS k>\r\na\r\n']],
    ['a hundred flushes', `${ONE}flush_all\r\n`.repeat(100) + GET],
    ['a silent flush_all', `${ONE}flush_all noreply\r\n${GET}`],
  ] satisfies Case[],
].flat()

export const control: Group[] = [
  { name: 'sizes', cases: sizes },
  { name: 'growing past the limit', cases: growth },
  { name: 'pipelines', cases: pipelines },
  { name: 'verbosity', cases: verbosity },
  { name: 'version and quit', cases: leaving },
  { name: 'stats', cases: statistics },
  { name: 'flush_all', cases: flushing },
]
