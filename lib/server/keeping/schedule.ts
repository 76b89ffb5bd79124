// When snapshots are due: at an interval, and at times of the day. The interval counts on a clock
// that nobody sets. Times of the day are those of the wall clock, in the system's time zone: one
// that summer time skips comes an hour later, one that comes twice counts once.

export interface Times {
  /** 0: at no interval. */
  everyS: number
  /** Minutes of the day. */
  at: readonly number[]
}

/** It is looked at no more seldom than this, because the wall clock may be set. */
const LOOK_MS_MAX = 30_000

export class Schedule {
  private readonly times: Times
  private everyAtMs: number
  private atMs: number

  /** `wallMs`: Unix time; `clockMs`: a time that only grows. */
  constructor(times: Times, wallMs: number, clockMs: number) {
    this.times = times
    this.everyAtMs = times.everyS === 0 ? Number.POSITIVE_INFINITY : clockMs + times.everyS * 1000
    this.atMs = nextAt(times.at, wallMs)
  }

  /** Whether a snapshot is due; if so, the next one is due later. */
  takeDue(wallMs: number, clockMs: number): boolean {
    const isDue = clockMs >= this.everyAtMs || wallMs >= this.atMs
    if (clockMs >= this.everyAtMs) this.everyAtMs = clockMs + this.times.everyS * 1000
    const next = nextAt(this.times.at, wallMs)
    // The clock was set back by more than a day.
    if (wallMs >= this.atMs || next < this.atMs - DAY_MS) this.atMs = next
    return isDue
  }

  /** How long to wait before the next look, ms. */
  waitMs(wallMs: number, clockMs: number): number {
    const nextMs = Math.min(this.everyAtMs - clockMs, this.atMs - wallMs)
    return Math.max(1, Math.min(nextMs, LOOK_MS_MAX))
  }
}

const DAY_MS = 24 * 60 * 60 * 1000

/** The first of these times of the day after `wallMs`; Infinity: there is none. */
function nextAt(at: readonly number[], wallMs: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const minute of at) {
    const time = new Date(wallMs)
    time.setHours(Math.floor(minute / 60), minute % 60, 0, 0)
    if (time.getTime() <= wallMs) {
      time.setDate(time.getDate() + 1)
      time.setHours(Math.floor(minute / 60), minute % 60, 0, 0)
    }
    next = Math.min(next, time.getTime())
  }
  return next
}
