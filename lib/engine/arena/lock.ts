// The mutex of an arena, on Atomics. The lock word is 0 while free, else the holder's id, with
// WAITERS set while a thread sleeps on it. Holder and state are one word, so that no thread can die
// between taking the lock and recording that it did.
//
// An uncontended lock and unlock cost one compareExchange and one exchange. Sleeps are bounded: if
// a wake-up went to a thread that died, the next time-out makes up for it.
//
// A process may be stopped while it waits, for example in a paused container. The holder did not
// run either. So a sleep counts as no longer than its time-out, and the word is read once more
// before a thread gives up.

import { LOCK_SLEEP_MS_MAX, LOCK_SPINS_MAX, LOCK_WAIT_MS_MAX } from '../limits.ts'
import { LOCK } from './layout.ts'

/** Longest time that the lock is left to waiting threads between two steps of long work. */
const LOCK_YIELD_MS_MAX = 0.1

const FREE = 0
const WAITERS = 1 << 30

/**
 * Called in a thread that has slept in vain, with the id of the thread that has the lock. It frees
 * the lock if it can tell that this thread has ended.
 */
export type OnStuck = (holder: number) => void

/**
 * Takes the lock for `holder`, a positive number below 2^30 that is unique in the process. Returns
 * whether another thread had it. Throws after LOCK_WAIT_MS_MAX.
 */
export function lock(words: Int32Array, holder: number, onStuck: OnStuck | null = null): boolean {
  if (Atomics.compareExchange(words, LOCK, FREE, holder) === FREE) return false
  if (!lockWithin(words, holder, LOCK_WAIT_MS_MAX, onStuck)) {
    throw new Error(`the arena's lock is stuck: thread ${lockHolder(words)} has it`)
  }
  return true
}

/** As `lock`, but returns false if the lock cannot be had within `waitMs` of running time. */
export function lockWithin(
  words: Int32Array,
  holder: number,
  waitMs: number,
  onStuck: OnStuck | null = null,
): boolean {
  for (let spin = 0; spin < LOCK_SPINS_MAX; spin++) {
    if (Atomics.load(words, LOCK) !== FREE) continue
    if (Atomics.compareExchange(words, LOCK, FREE, holder) === FREE) return true
  }
  let waitedMs = 0
  for (;;) {
    const seen = Atomics.load(words, LOCK)
    if (seen === FREE) {
      // Others may still sleep, so a thread that took the lock after sleeping keeps the mark.
      if (Atomics.compareExchange(words, LOCK, FREE, holder | WAITERS) === FREE) return true
      continue
    }
    if (waitedMs >= waitMs) return false
    const marked = seen | WAITERS
    if (seen !== marked && Atomics.compareExchange(words, LOCK, seen, marked) !== seen) continue
    const sleepMs = Math.min(waitMs - waitedMs, LOCK_SLEEP_MS_MAX)
    const sleptAtMs = performance.now()
    const woke = Atomics.wait(words, LOCK, marked, sleepMs)
    if (onStuck !== null && woke === 'timed-out') onStuck(lockHolder(words))
    waitedMs += Math.min(performance.now() - sleptAtMs, sleepMs)
  }
}

export function unlock(words: Int32Array): void {
  if ((Atomics.exchange(words, LOCK, FREE) & WAITERS) !== 0) Atomics.notify(words, LOCK, 1)
}

/** Gives the lock to a waiting thread and takes it again, between two steps of long work. */
export function yieldLock(words: Int32Array, holder: number, onStuck: OnStuck | null = null): void {
  if ((Atomics.exchange(words, LOCK, FREE) & WAITERS) !== 0) {
    Atomics.notify(words, LOCK, 1)
    // A woken thread needs longer to come than this thread to lock again.
    Atomics.wait(words, LOCK, FREE, LOCK_YIELD_MS_MAX)
  }
  lock(words, holder, onStuck)
}

/** The id of the thread that holds the lock, 0 while it is free. */
export function lockHolder(words: Int32Array): number {
  return Atomics.load(words, LOCK) & ~WAITERS
}
