// The longest of many times that recur. The same work is timed in several rounds, which take the
// same times in the same order. A place that is long once was held up by the machine: by another
// process, a hypervisor or the garbage collector. One that is long in each round is long by itself.

/** Shorter times are of no interest. */
const NOTED_MS_MIN = 0.05

export class Recurring {
  #at = 0
  #round = new Map<number, number>()
  #before: Map<number, number> | undefined

  /** Adds the next time of this round, ms. */
  add(ms: number): void {
    const at = this.#at++
    if (ms < NOTED_MS_MIN) return
    const before = this.#before === undefined ? ms : this.#before.get(at)
    if (before !== undefined) this.#round.set(at, Math.min(ms, before))
  }

  /** The longest time of a place, by its shortest in all rounds so far, ms; then a round begins. */
  endRound(): number {
    this.#before = this.#round
    this.#round = new Map()
    this.#at = 0
    let longestMs = 0
    for (const ms of this.#before.values()) longestMs = Math.max(longestMs, ms)
    return longestMs
  }
}
