// How long this thread was ready to run while others had its core, as Linux tells: that is taken
// out of a time, so that what is left is the program's own, also on a machine that is not quiet.
// Where it is not told nothing is taken out.

import { openSync, readSync } from 'node:fs'

/** Shorter times are taken as they are. */
const LOOK_MS_MIN = 0.2
/** The last reading is renewed after so many of those, so that it is not of long ago. */
const RENEW_EVERY = 512

const file = openFile()
const buffer = Buffer.alloc(96)

/** For times that follow one another. */
export class RunDelay {
  private seenMs = readMs()
  private left = RENEW_EVERY

  /** A time that has just ended, ms, without what of it was spent waiting for a core. */
  takeOut(ms: number): number {
    if (ms < LOOK_MS_MIN && --this.left > 0) return ms
    const before = this.seenMs
    this.seenMs = readMs()
    this.left = RENEW_EVERY
    return ms < LOOK_MS_MIN ? ms : Math.max(0, ms - (this.seenMs - before))
  }
}

function openFile(): number | undefined {
  try {
    return openSync('/proc/thread-self/schedstat', 'r')
  } catch {
    return undefined
  }
}

/** Its second number: nanoseconds on a run queue. */
function readMs(): number {
  if (file === undefined) return 0
  const bytes = readSync(file, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, bytes).split(' ')[1]) / 1e6
}
