// Seconds, kept in shared memory so that an operation reads them with one load. Every thread that
// attends to a cache ticks it about once a second; whoever comes first moves it.
//
// The clock is monotonic and starts at 2 when the arena is made, so that 0 can mean "never" and 1
// "long ago". The wall clock is read once, at creation: absolute times are measured from there, and
// a step of the wall clock moves no item's end.

import { RELATIVE_S_MAX } from '../../bytes/memcached.ts'
import { CLOCK_S, STARTED_AT_S } from './layout.ts'

/** What a new arena's clock shows. */
export const FIRST_S = 2
const EXPIRED_S = 1
/** The last second that an item's word holds, 68 years after the arena was made. */
const LAST_S = 2 ** 31 - 1

/** Sets the clock of a new arena to its first second. */
export function startClock(words: Int32Array): void {
  words[STARTED_AT_S] = Math.floor(Date.now() / 1000) - FIRST_S
  words[CLOCK_S] = FIRST_S
}

/** Seconds of the monotonic clock that all threads of a process share. */
export function monotonicS(): number {
  return process.hrtime()[0]
}

/** Moves the clock to `elapsedS` seconds after the arena was made; never back. */
export function moveClock(words: Int32Array, elapsedS: number): void {
  const nowS = elapsedS + FIRST_S
  let seen = Atomics.load(words, CLOCK_S)
  while (nowS > seen) seen = Atomics.compareExchange(words, CLOCK_S, seen, nowS)
}

/** What an arena's clock shows, seconds. */
export function clockS(words: Int32Array): number {
  return words[CLOCK_S]
}

/**
 * When an item with this exptime ends, on the arena's clock; 0 for never.
 * exptime: seconds, as in protocol.txt; above 30 days an absolute Unix time; negative: at once.
 */
export function expiresAt(words: Int32Array, exptime: number): number {
  if (exptime === 0) return 0
  if (exptime < 0) return EXPIRED_S
  if (exptime <= RELATIVE_S_MAX) return words[CLOCK_S] + exptime
  const atS = exptime - words[STARTED_AT_S]
  return Math.min(Math.max(atS, EXPIRED_S), LAST_S)
}
