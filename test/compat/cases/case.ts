/**
 * The type of the hand-written edge cases, and helpers to write them. Steps are latin1 text: one
 * character is one byte. The keys of RESET_KEYS are deleted before every case.
 */

/**
 * A name and the bytes, or several steps, each sent after the replies to the one before. 'raw' is
 * for streams that end inside a request or are closed half-way: replies are read until none come.
 */
export type Case = readonly [name: string, steps: string | readonly string[], kind?: 'raw']

export interface Group {
  readonly name: string
  readonly cases: readonly Case[]
}

/** What a newer memcached answers to some cases of a group: see newer.ts. */
export interface Row {
  readonly group: string
  readonly cases: readonly string[]
  readonly replies: readonly string[]
  /** Whether the connection is open afterwards; true by default. */
  readonly state?: 'closed'
  /** With -C alone, where every CAS is 0. */
  readonly casOff?: boolean
  /** Why memslab differs from both. */
  readonly own?: string
}

export const KEY_250 = 'K'.repeat(250)
export const KEY_251 = 'K'.repeat(251)
export const RESET_KEYS = ['k', 'a', 'b', KEY_250]

/** Stores 1 under k. */
export const ONE = 'set k 0 0 1\r\n1\r\n'
export const GET = 'get k\r\n'
/** Shows that both servers read the next command at the same byte again. */
export const VERSION = 'version\r\n'

/** A complete storage request with the right length. */
export function store(command: string, value: string, key = 'k', flags = 0): string {
  return `${command} ${key} ${flags} 0 ${value.length}\r\n${value}\r\n`
}

/** `word` count times, each after a space. */
export function times(count: number, word: string): string {
  return ` ${word}`.repeat(count)
}

/** Rows of cases with one step each: the cases by their reply. */
export function rowsOf(group: string, casesByReply: Record<string, readonly string[]>): Row[] {
  return Object.entries(casesByReply).map(([reply, cases]) => ({ group, cases, replies: [reply] }))
}
