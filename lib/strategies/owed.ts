// Deletes that a cache still owes: it did not answer, so it may have an old value. They are retried
// until it does. Until then the key is not read from the cache here.
//
// Each is deleted twice, some time apart: the store that got no answer may be carried out late,
// when a stalled server goes on.

import { setTimeout as sleep } from 'node:timers/promises'
import { CacheError } from '../doors/errors.ts'

/** Most keys that are owed; with more, the write that would add one is refused. */
const OWED_KEYS_MAX = 65_536

/** The pause before the first retry, which doubles up to the second one. */
const OWED_MS_MIN = 100
const OWED_MS_MAX = 5000

/** The second delete, after a late store may have been carried out. */
const OWED_DELETES = 2
const OWED_AGAIN_MS = 500

/** How many are deleted at the same time. */
const OWED_BATCH_KEYS = 1024

interface Debt {
  /** How many deletes have succeeded. */
  deletes: number
  /** Not before that time. */
  dueMs: number
}

export class Owed {
  private readonly remove: (key: string) => Promise<unknown>
  private readonly debts = new Map<string, Debt>()
  private working: Promise<void> | undefined

  /** `remove` deletes a key from the cache. */
  constructor(remove: (key: string) => Promise<unknown>) {
    this.remove = remove
  }

  get size(): number {
    return this.debts.size
  }

  has(key: string): boolean {
    return this.debts.has(key)
  }

  /** From now on the key is to be deleted. CacheError FULL if too many are. */
  add(key: string): void {
    if (this.debts.size >= OWED_KEYS_MAX && !this.debts.has(key)) {
      throw new CacheError('FULL', `${OWED_KEYS_MAX} keys wait to be deleted from the cache`)
    }
    this.debts.set(key, { deletes: 0, dueMs: 0 })
    this.working ??= this.work().finally(() => {
      this.working = undefined
    })
  }

  private async work(): Promise<void> {
    let pauseMs = OWED_MS_MIN
    while (this.debts.size > 0) {
      await sleep(pauseMs, undefined, { ref: false })
      const done = await Promise.allSettled(this.due().map(key => this.removeOnce(key)))
      const isAway = done.length > 0 && done.every(({ status }) => status === 'rejected')
      pauseMs = isAway ? Math.min(2 * pauseMs, OWED_MS_MAX) : OWED_MS_MIN
    }
  }

  private due(): string[] {
    const nowMs = performance.now()
    const due: string[] = []
    for (const [key, { dueMs }] of this.debts) {
      if (dueMs <= nowMs) due.push(key)
      if (due.length === OWED_BATCH_KEYS) break
    }
    return due
  }

  private async removeOnce(key: string): Promise<void> {
    const debt = this.debts.get(key)
    await this.remove(key)
    // Owed again meanwhile: that needs deletes of its own.
    if (debt === undefined || this.debts.get(key) !== debt) return
    debt.deletes++
    debt.dueMs = performance.now() + OWED_AGAIN_MS
    if (debt.deletes === OWED_DELETES) this.debts.delete(key)
  }
}
