/** Rows of newer.ts about operators' commands. */
import type { Row } from './case.ts'

const BAD_FORMAT = 'CLIENT_ERROR bad command line format\r\n'
const BAD_EXPTIME = 'CLIENT_ERROR invalid exptime argument\r\n'
const VERSION = 'VERSION *\r\n'
const HIT = 'VALUE k 0 1\r\n1\r\nEND\r\n'
const COUNTS = [8, 21, 22, 23, 24, 25, 40]

/** `line "word"` of each word, as the cases are called. */
function named(line: string, ...words: string[]): string[] {
  return words.map(word => `${line} ${JSON.stringify(word)}`)
}

const words: Row[] = [
  {
    group: 'verbosity',
    cases: named('verbosity', '', '+0', '\t0', '4294967296'),
    replies: [BAD_FORMAT + VERSION],
  },
  {
    group: 'verbosity',
    cases: named('verbosity', '0 noreply x', '0 1 2', '0 1 2 3'),
    replies: [`OK\r\n${VERSION}`],
  },
  { group: 'verbosity', cases: named('verbosity', '0 0 noreply'), replies: [VERSION] },
  {
    group: 'token counts',
    cases: COUNTS.map(count => `verbosity with ${count} arguments`),
    replies: [BAD_FORMAT + VERSION],
  },
  {
    group: 'token counts',
    cases: COUNTS.map(count => `flush_all with ${count} arguments`),
    replies: [BAD_EXPTIME + VERSION],
  },
  {
    group: 'flush_all',
    cases: named(
      'flush_all',
      '+0',
      '-2147483649',
      '2147483648',
      '4294967295',
      '4294967296',
      '9223372036854775807',
      '99999999999',
    ),
    replies: [`STORED\r\n${BAD_EXPTIME}${HIT}OK\r\n`],
  },
  {
    group: 'flush_all',
    cases: named('flush_all', '0 noreply x', '0 1 2 3'),
    replies: ['STORED\r\nOK\r\nEND\r\nOK\r\n'],
  },
  { group: 'cache_memlimit', cases: ['cache_memlimit 64 a b'], replies: ['OK\r\n'] },
]

const silenced: Row[] = [
  {
    group: 'lru_crawler',
    cases: [
      'lru_crawler enable noreply',
      'lru_crawler crawl all noreply',
      'lru_crawler metadump all noreply',
      'lru_crawler sleep 100 noreply',
    ],
    replies: [''],
  },
  { group: 'slabs', cases: ['slabs reassign 2 1 noreply'], replies: [''] },
  { group: 'shutdown', cases: ['shutdown noreply'], replies: [''] },
]

const others: Row[] = [
  { group: 'slabs', cases: ['slabs automove window 3'], replies: ['OK\r\n'] },
  { group: 'watch', cases: ['watch noreply', 'watch fetchers noreply'], replies: ['ERROR\r\n'] },
  {
    group: 'what is not allowed',
    cases: ['watch noreply'],
    replies: ['CLIENT_ERROR watch commands not allowed\r\n'],
  },
  {
    group: 'what is not allowed',
    cases: ['shutdown', 'shutdown x'],
    replies: ['SERVER_ERROR: shutdown not enabled\r\n'],
  },
]

export const controlRows: readonly Row[] = [...words, ...silenced, ...others]
