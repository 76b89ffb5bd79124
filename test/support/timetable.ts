/**
 * Steps at given times, for what is compared by the clock: a second that a busy machine loses
 * would change the outcome. A walk that was late is repeated; it begins with what it needs.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** A step has to be over this long after its time, and after the silence that it waits for. */
const LATE_MS = 300
const TRIES_MAX = 6

export class Timetable {
  readonly #startMs = performance.now()
  readonly #quietMs: number
  isLate = false

  constructor(quietMs: number) {
    this.#quietMs = quietMs
  }

  /** Runs a step this long after the start. */
  async at(ms: number, step: () => Promise<unknown>): Promise<void> {
    await sleep(Math.max(0, this.#startMs + ms - performance.now()))
    await step()
    if (performance.now() > this.#startMs + ms + this.#quietMs + LATE_MS) this.isLate = true
  }
}

/**
 * Returns the outcome of the first walk that was on time, or of the last try. `quietMs`: silence
 * that each step waits for.
 */
export async function onTime<Outcome>(
  walk: (timetable: Timetable) => Promise<Outcome>,
  quietMs = 0,
): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const timetable = new Timetable(quietMs)
    const outcome = await walk(timetable)
    if (!timetable.isLate || tries === TRIES_MAX) return outcome
  }
}
