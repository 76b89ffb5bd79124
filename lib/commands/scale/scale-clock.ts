// Time as the scaler sees it, so that a test can give it a whole day in a second.

import { setTimeout as sleep } from 'node:timers/promises'

export interface Clock {
  /** Unix time, ms. */
  nowMs(): number
  /** Rejects with the signal's reason where it aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
  },
}
