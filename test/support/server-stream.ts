/**
 * Random streams of requests for one session, and random garbage that looks like them. Values are
 * empty to many reply buffers long, gets have several keys, some requests are wrong. A key that is
 * too long is the first of its get: otherwise hits before it are answered if they were sent before
 * it was read, in memcached too.
 */
import type { Random } from './prng.ts'

const KEYS = ['a', 'b', 'c', 'counter', 'K'.repeat(250), 'none', 'long', 'longer']
/** Value lengths around every bound of a session. */
export const SIZES = [
  0, 1, 2, 31, 100, 1000, 4095, 4096, 4097, 5000, 32_767, 32_768, 32_769, 65_536,
]
export const LARGE = [70_000, 131_072, 200_000, 300_001]
const BROKEN = [
  'nonsense\r\n',
  '\r\n',
  'get\r\n',
  'get   \r\n',
  `get ${'x'.repeat(251)} b\r\n`,
  `gets ${'y'.repeat(4000)} a\r\n`,
  'gat x a\r\n',
  'set a 0 0 -1\r\n',
  'set a 0 0\r\n',
  'set a 0 0 3\r\nabcd\r\n',
  `set a 0 0 5000\r\n${'v'.repeat(5001)}\r\n`,
  `set a 0 0 5000\r\n${'v'.repeat(5000)}\rX`,
  `set long 0 0 2000000\r\n${'w'.repeat(2_000_000)}\r\n`,
  'get a\0b c\r\n',
  'incr a x\r\n',
  'delete a 5\r\n',
]
const REPORTS = ['stats settings\r\n', 'stats conns\r\n', 'stats sizes\r\n', 'version\r\n']

export interface StreamOptions {
  /** Longest value, bytes. */
  valueBytesMax: number
  commands: number
}

/** A stream of requests, most of them valid. */
export function randomStream(random: Random, { valueBytesMax, commands }: StreamOptions): Buffer {
  const sizes = [...SIZES, ...LARGE].filter(size => size <= valueBytesMax)
  const broken = BROKEN.filter(text => text.length <= valueBytesMax + 100)
  const parts = Array.from({ length: commands }, () => randomRequest(random, sizes, broken))
  return Buffer.from(parts.join(''), 'latin1')
}

function randomRequest(random: Random, sizes: number[], broken: string[]): string {
  const key = random.pick(KEYS)
  const noreply = random.once(8) ? ' noreply' : ''
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return retrieval(random)
    case 3:
    case 4:
    case 5:
      return storage(random, key, random.pick(sizes), noreply)
    case 6:
      return `cas ${key} 0 0 1 ${random.between(1, 20)}${noreply}\r\n${random.below(10)}\r\n`
    case 7:
      return `${random.pick(['incr', 'decr'])} counter ${random.below(1000)}${noreply}\r\n`
    case 8:
      return random.pick([`delete ${key}${noreply}\r\n`, `touch ${key} 100${noreply}\r\n`])
    case 9:
      return random.pick(REPORTS)
    case 10:
      return random.pick(broken)
    default:
      return random.pick([
        'get a\n',
        'flush_all\r\n',
        'set counter 0 0 2\r\n41\r\n',
        '  get a  \r\n',
      ])
  }
}

function storage(random: Random, key: string, valueBytes: number, noreply: string): string {
  const verb = random.pick(['set', 'set', 'set', 'add', 'replace', 'append', 'prepend'])
  const flags = random.pick([0, 0, 7, 4294967295])
  return `${verb} ${key} ${flags} 0 ${valueBytes}${noreply}\r\n${value(random, valueBytes)}\r\n`
}

/** Bytes that differ from themselves at every shift, with a line end at times. */
function value(random: Random, valueBytes: number): string {
  const words = random.pick([
    '0123456789abcdefghi',
    'get a\r\n',
    '\r\n',
    'VALUE a 0 1\r\nx\r\nEND\r\n',
  ])
  return words.repeat(Math.ceil(valueBytes / words.length)).slice(0, valueBytes)
}

/** A gat stays below the length above which only get and gets may arrive in pieces. */
function retrieval(random: Random): string {
  if (random.once(3)) return `${random.pick(['gat 0', 'gats 0'])} ${keyList(random, 4)}\r\n`
  const count = random.once(4) ? random.between(5, 60) : random.between(1, 4)
  return `${random.pick(['get', 'gets'])} ${keyList(random, count)}\r\n`
}

function keyList(random: Random, count: number): string {
  const blank = () => (random.once(6) ? '   ' : ' ')
  return Array.from({ length: count }, () => random.pick(KEYS) + blank()).join('')
}

const WORDS = ['get', 'gets', 'set', 'cas', 'incr', 'gat', 'append', 'delete', 'stats', 'verbosity']
  .concat([
    'flush_all',
    'touch',
    'noreply',
    'a',
    'b',
    '0',
    '1',
    '-1',
    '5000',
    '70000',
    '2147483645',
  ])
  .concat(['99999999999999999999', 'K'.repeat(250), 'K'.repeat(251), '\0', '\r', 'x'.repeat(3000)])
  .concat([
    'settings',
    'items',
    'slabs',
    'conns',
    'sizes',
    'reset',
    'detail dump',
    'me',
    'mg',
    'mn',
  ])
const SEPARATORS = [' ', ' ', ' ', '  ', '\r\n', '\r\n', '\n', '\r', '\0', '\t', '']

/** Garbage without the few lines that end a conversation. */
export function randomGarbage(random: Random, words: number): Buffer {
  const kind = random.below(3)
  if (kind === 0) return Buffer.from(Array.from({ length: words }, () => random.below(256)))
  const list = kind === 1 ? WORDS : [...WORDS, '\xff\xfe', '\x80\x81\x00']
  const parts = Array.from({ length: words }, () => random.pick(list) + random.pick(SEPARATORS))
  return Buffer.from(parts.join(''), 'latin1')
}
