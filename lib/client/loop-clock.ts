// The clock of deadlines. It stands still while this process does not turn its event loop, because
// then no answer can be read, however fast the server was: a process that was busy, stopped or
// short of processor time must not take its servers for dead.
//
//   real time    |--20--|--20--|------------ 400 ------------|--20--|
//   this clock   |--20--|--20--|--20--|                      |--20--|
//
// A timer measures the turns while somebody holds the clock, that is while requests are pending.
// Between two turns the clock runs on, and is put back at the next: a deadline that is set within a
// long turn may be that much later.

/** The time between two turns that counts; more is lost, once it is more than twice that. */
const TURN_MS = 20

class LoopClock {
  private lostMs = 0
  private turnedAtMs = 0
  private holders = 0
  private timer: NodeJS.Timeout | undefined

  /** Milliseconds, without the time in which the loop did not turn. */
  nowMs(): number {
    return performance.now() - this.lostMs
  }

  /** Measures turns until it is released as often. */
  hold(): void {
    this.holders++
    if (this.timer !== undefined) return
    this.turnedAtMs = performance.now()
    this.timer = setInterval(() => this.tick(), TURN_MS).unref()
  }

  release(): void {
    this.holders--
  }

  /** The loop turns now. */
  turn(): void {
    const nowMs = performance.now()
    const tookMs = nowMs - this.turnedAtMs
    if (this.timer !== undefined && tookMs > 2 * TURN_MS) this.lostMs += tookMs - TURN_MS
    this.turnedAtMs = nowMs
  }

  private tick(): void {
    this.turn()
    if (this.holders > 0) return
    clearInterval(this.timer)
    this.timer = undefined
  }
}

/** One for the process: it has one event loop. */
export const loopClock = new LoopClock()
