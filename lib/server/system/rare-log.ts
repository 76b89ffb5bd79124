// A line about something that peers can cause as often as they like: at most one a second, which
// says how many there were since the last.

/** Least time between two lines, ms. */
export const RARE_LOG_MS_MIN = 1000

export class RareLog {
  private readonly log: (line: string) => void
  private loggedMs = Number.NEGATIVE_INFINITY
  /** Events since the last line. */
  private unlogged = 0

  constructor(log: (line: string) => void) {
    this.log = log
  }

  note(line: string): void {
    const nowMs = performance.now()
    this.unlogged++
    if (nowMs - this.loggedMs < RARE_LOG_MS_MIN) return
    const others = this.unlogged > 1 ? `, and ${this.unlogged - 1} more since the last line` : ''
    this.log(`${line}${others}`)
    this.loggedMs = nowMs
    this.unlogged = 0
  }
}
