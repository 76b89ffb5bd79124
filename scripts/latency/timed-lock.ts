// The arenas' lock with a clock: takes the place of lib/engine/arena/lock.ts where hooks.ts was
// imported. Times of one thread, from the moment that it has the lock to the moment before it gives
// it back.

import * as plain from '../../lib/engine/arena/lock.ts'
import { Times } from './times.ts'

export { lockHolder } from '../../lib/engine/arena/lock.ts'

export const holds = new Times()
let takenMs = 0

export function lock(words: Int32Array, holder: number): void {
  plain.lock(words, holder)
  takenMs = performance.now()
}

export function lockWithin(words: Int32Array, holder: number, waitMs: number): boolean {
  const taken = plain.lockWithin(words, holder, waitMs)
  takenMs = performance.now()
  return taken
}

export function yieldLock(words: Int32Array, holder: number): void {
  holds.add(performance.now() - takenMs)
  plain.yieldLock(words, holder)
  takenMs = performance.now()
}

export function unlock(words: Int32Array): void {
  holds.add(performance.now() - takenMs)
  plain.unlock(words)
}
