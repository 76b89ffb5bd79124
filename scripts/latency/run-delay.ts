// Subtracts from a measured time how long this thread was ready to run but waited for a core, as
// Linux counts it (schedstat): what is left is the program's own, also on a busy machine. Where the
// kernel has no schedstat nothing is subtracted.

import { openSync, readSync } from 'node:fs'

/** Shorter times are not corrected. */
const CORRECTED_MS_MIN = 0.2
/** After this many short times the count is read again, so that the last reading stays recent. */
const READ_EVERY = 512

const file = openFile()
const buffer = Buffer.alloc(96)

/** For consecutive times of one thread. */
export class RunDelay {
  private lastMs = readMs()
  private left = READ_EVERY

  /** A time that has just ended, ms, less what the thread waited for a core. */
  subtractFrom(ms: number): number {
    if (ms < CORRECTED_MS_MIN && --this.left > 0) return ms
    const before = this.lastMs
    this.lastMs = readMs()
    this.left = READ_EVERY
    return ms < CORRECTED_MS_MIN ? ms : Math.max(0, ms - (this.lastMs - before))
  }
}

function openFile(): number | undefined {
  try {
    return openSync('/proc/thread-self/schedstat', 'r')
  } catch {
    return undefined
  }
}

/** Time on a run queue so far, ms: schedstat's second number, in nanoseconds. */
function readMs(): number {
  if (file === undefined) return 0
  const bytes = readSync(file, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, bytes).split(' ')[1]) / 1e6
}
