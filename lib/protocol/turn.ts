// The clock of a turn: how long one peer has been served while others wait. Sessions run one at a
// time in a thread, so one clock serves them all.
//
// Reading the time costs as much as a tenth of a short request. So the clock starts when it is
// looked at for the first time, which short turns never do.

import { TURN_MS_MAX } from './limits.ts'

const NOT_STARTED = -1

let startedMs = NOT_STARTED

/** A peer's turn begins. */
export function beginTurn(): void {
  startedMs = NOT_STARTED
}

/** Whether the turn has lasted TURN_MS_MAX since the first call. */
export function isLate(): boolean {
  const nowMs = performance.now()
  if (startedMs === NOT_STARTED) startedMs = nowMs
  return nowMs - startedMs >= TURN_MS_MAX
}
