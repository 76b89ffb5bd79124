// The arenas' lock with a clock: replaces lib/engine/arena/lock.ts where hooks.ts was imported.
// Times how long this thread holds the lock, from after it takes the lock to before it releases it.

import * as plain from '../../lib/engine/arena/lock.ts'
import { Times } from './times.ts'

export { lockHolder } from '../../lib/engine/arena/lock.ts'

export const holds = new Times()
let takenMs = 0

export function lock(words: Int32Array, holder: number): boolean {
  const waited = plain.lock(words, holder)
  takenMs = performance.now()
  return waited
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
