// The commands of the text protocol: bytes of the first word -> a number to switch on. Short and
// frequent ones are recognised by their letters packed into one number.

import { Mode } from '../../engine/status.ts'
import { equalsWord } from './ascii.ts'

export const Verb = {
  NONE: 0,
  GET: 1,
  GETS: 2,
  GAT: 3,
  GATS: 4,
  SET: 5,
  ADD: 6,
  REPLACE: 7,
  APPEND: 8,
  PREPEND: 9,
  CAS: 10,
  INCR: 11,
  DECR: 12,
  TOUCH: 13,
  DELETE: 14,
  STATS: 15,
  FLUSH_ALL: 16,
  VERSION: 17,
  VERBOSITY: 18,
  QUIT: 19,
  LRU_CRAWLER: 20,
  LRU: 21,
  SLABS: 22,
  CACHE_MEMLIMIT: 23,
  WATCH: 24,
  SHUTDOWN: 25,
  CONFIG: 26,
  REFRESH_CERTS: 27,
  SNAPSHOT: 28,
  MG: 32,
  MS: 33,
  MD: 34,
  MA: 35,
  MN: 36,
  ME: 37,
} as const

export type Verb = (typeof Verb)[keyof typeof Verb]

const GET = packed('get')
const SET = packed('set')
const ADD = packed('add')
const CAS = packed('cas')
const GAT = packed('gat')

/** The verb in [start, end). */
export function verbOf(bytes: Buffer, start: number, end: number): Verb {
  if (end - start === 2) return metaVerb(bytes, start)
  if (end - start !== 3) return longVerb(bytes, start, end)
  switch ((bytes[start] << 16) | (bytes[start + 1] << 8) | bytes[start + 2]) {
    case GET:
      return Verb.GET
    case SET:
      return Verb.SET
    case ADD:
      return Verb.ADD
    case CAS:
      return Verb.CAS
    case GAT:
      return Verb.GAT
    default:
      return longVerb(bytes, start, end)
  }
}

/**
 * Whether blanks may stand before it: in memcached they may before the operators' commands alone.
 */
export function mayBeIndented(verb: Verb): boolean {
  return INDENTED.has(verb)
}

const INDENTED: ReadonlySet<Verb> = new Set([
  Verb.FLUSH_ALL,
  Verb.VERBOSITY,
  Verb.LRU_CRAWLER,
  Verb.LRU,
  Verb.SLABS,
  Verb.CACHE_MEMLIMIT,
  Verb.SHUTDOWN,
  Verb.CONFIG,
  Verb.REFRESH_CERTS,
])

/** The mode of a storing verb. */
export function modeOf(verb: Verb): Mode {
  switch (verb) {
    case Verb.ADD:
      return Mode.ADD
    case Verb.REPLACE:
      return Mode.REPLACE
    case Verb.APPEND:
      return Mode.APPEND
    case Verb.PREPEND:
      return Mode.PREPEND
    case Verb.CAS:
      return Mode.CAS
    default:
      return Mode.SET
  }
}

const LETTER_M = 'm'.charCodeAt(0)
const LETTER_G = 'g'.charCodeAt(0)
const LETTER_S = 's'.charCodeAt(0)
const LETTER_D = 'd'.charCodeAt(0)
const LETTER_A = 'a'.charCodeAt(0)
const LETTER_N = 'n'.charCodeAt(0)
const LETTER_E = 'e'.charCodeAt(0)

function metaVerb(bytes: Buffer, start: number): Verb {
  if (bytes[start] !== LETTER_M) return Verb.NONE
  switch (bytes[start + 1]) {
    case LETTER_G:
      return Verb.MG
    case LETTER_S:
      return Verb.MS
    case LETTER_D:
      return Verb.MD
    case LETTER_A:
      return Verb.MA
    case LETTER_N:
      return Verb.MN
    case LETTER_E:
      return Verb.ME
    default:
      return Verb.NONE
  }
}

const LONG: readonly (readonly [string, Verb])[] = [
  ['gets', Verb.GETS],
  ['incr', Verb.INCR],
  ['decr', Verb.DECR],
  ['touch', Verb.TOUCH],
  ['delete', Verb.DELETE],
  ['gats', Verb.GATS],
  ['append', Verb.APPEND],
  ['prepend', Verb.PREPEND],
  ['replace', Verb.REPLACE],
  ['stats', Verb.STATS],
  ['version', Verb.VERSION],
  ['quit', Verb.QUIT],
  ['flush_all', Verb.FLUSH_ALL],
  ['verbosity', Verb.VERBOSITY],
  ['watch', Verb.WATCH],
  ['lru_crawler', Verb.LRU_CRAWLER],
  ['lru', Verb.LRU],
  ['slabs', Verb.SLABS],
  ['cache_memlimit', Verb.CACHE_MEMLIMIT],
  ['shutdown', Verb.SHUTDOWN],
  ['config', Verb.CONFIG],
  ['refresh_certs', Verb.REFRESH_CERTS],
  ['snapshot', Verb.SNAPSHOT],
]

function longVerb(bytes: Buffer, start: number, end: number): Verb {
  for (let i = 0; i < LONG.length; i++) {
    if (equalsWord(bytes, start, end, LONG[i][0])) return LONG[i][1]
  }
  return Verb.NONE
}

function packed(word: string): number {
  return (word.charCodeAt(0) << 16) | (word.charCodeAt(1) << 8) | word.charCodeAt(2)
}
