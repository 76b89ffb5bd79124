/**
 * Answers of memcached 1.6.45 to peers that must authenticate, where they differ from the oracle's:
 * by the names of the scripts of auth-text.test.ts, as newer.ts does for other cases. A line of
 * fewer than six bytes closes, spaces before `set` and signs are not part of a claim, and a claim
 * above 16 KiB is refused at once.
 */
const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated\r\n'
const TOO_LONG = 'CLIENT_ERROR auth token too long\r\n'

export interface Answers {
  readonly answers: readonly string[]
  readonly closed: boolean
}

export const authRows: Readonly<Record<string, Answers>> = {
  'blanks before the line': { answers: [UNAUTHENTICATED, UNAUTHENTICATED], closed: false },
  'a NUL in the line': { answers: [UNAUTHENTICATED, UNAUTHENTICATED], closed: false },
  'few words': { answers: [UNAUTHENTICATED, '', '', ''], closed: true },
  'numbers with a sign': { answers: [UNAUTHENTICATED, 'STORED\r\n'], closed: false },
  'quit ends it': { answers: ['', '', ''], closed: true },
  'a line of five bytes ends it': { answers: ['', ''], closed: true },
  'one byte is no line': { answers: ['', ''], closed: false },
  'an empty line': { answers: ['', ''], closed: true },
  'a claim of 16 KiB and one byte': { answers: [TOO_LONG, 'STORED\r\n'], closed: false },
  'a claim of 2^32-1': { answers: [TOO_LONG, 'STORED\r\n'], closed: false },
  'a claim of 2^32 and 9': { answers: [UNAUTHENTICATED, 'STORED\r\n'], closed: false },
}
