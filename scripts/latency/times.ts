// Times of many operations: the longest, how many were above a millisecond, and a percentile.

import { Histogram } from '../bench/histogram.ts'
import { RunDelay } from './run-delay.ts'

export class Times {
  longestMs = 0
  /** Above a millisecond. */
  longCount = 0
  #histogram = new Histogram()
  readonly #delay = new RunDelay()

  /** A time that has just ended; what others took of it is taken out. */
  add(wallMs: number): void {
    const ms = this.#delay.takeOut(wallMs)
    if (ms > this.longestMs) this.longestMs = ms
    if (ms > 1) this.longCount++
    this.#histogram.record(ms * 1000)
  }

  percentileMs(percent: number): number {
    return this.#histogram.percentileUs(percent) / 1000
  }

  clear(): void {
    this.longestMs = 0
    this.longCount = 0
    this.#histogram = new Histogram()
  }
}
