// Seconds in shared memory, so that an operation reads the time with one load. Every thread that
// uses a cache ticks its clocks several times a second; the first one in each second moves them.
//
// The clock is monotonic and starts at 2 when the arena is created, so that 0 can mean "never" and
// 1 "long ago". The wall clock is read once, at creation. Absolute times are relative to that, so a
// step of the wall clock does not change when items expire.

import { RELATIVE_S_MAX } from '../../bytes/memcached.ts'
import { CLOCK_S, STARTED_AT_S } from './layout.ts'

/** The time of a new arena. */
export const FIRST_S = 2
const EXPIRED_S = 1
/** The last second that fits a word, 68 years after the arena was created. */
const LAST_S = 2 ** 31 - 1

/** Sets the clock of a new arena, to its first second unless it goes on from another one. */
export function startClock(words: Int32Array, nowS: number = FIRST_S): void {
  words[STARTED_AT_S] = Math.floor(Date.now() / 1000) - nowS
  words[CLOCK_S] = nowS
}

/** Seconds of the monotonic clock that all threads of a process share. */
export function monotonicS(): number {
  return process.hrtime()[0]
}

/** Moves the clock to `elapsedS` seconds after creation, but never back. */
export function moveClock(words: Int32Array, elapsedS: number): void {
  const nowS = elapsedS + FIRST_S
  let seen = Atomics.load(words, CLOCK_S)
  while (nowS > seen) seen = Atomics.compareExchange(words, CLOCK_S, seen, nowS)
}

/** The time on an arena's clock, seconds. */
export function clockS(words: Int32Array): number {
  return words[CLOCK_S]
}

/**
 * When an item with this exptime expires, on the arena's clock; 0: never.
 * exptime: seconds, as in protocol.txt; above 30 days an absolute Unix time; negative: at once.
 */
export function expiresAt(words: Int32Array, exptime: number): number {
  if (exptime === 0) return 0
  if (exptime < 0) return EXPIRED_S
  if (exptime <= RELATIVE_S_MAX) return words[CLOCK_S] + exptime
  const atS = exptime - words[STARTED_AT_S]
  return Math.min(Math.max(atS, EXPIRED_S), LAST_S)
}
