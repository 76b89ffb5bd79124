// Times of many operations: the longest, and percentiles.

import { Histogram } from '../bench/histogram.ts'
import { RunDelay } from './run-delay.ts'

export class Times {
  longestMs = 0
  /** Is shown each time. */
  watch: (ms: number) => void = () => {}
  #histogram = new Histogram()
  readonly #delay = new RunDelay()

  /** Adds a time that has just ended, less what the thread waited for a core. */
  add(wallMs: number): void {
    const ms = this.#delay.subtractFrom(wallMs)
    if (ms > this.longestMs) this.longestMs = ms
    this.#histogram.record(ms * 1000)
    this.watch(ms)
  }

  percentileMs(percent: number): number {
    return this.#histogram.percentileUs(percent) / 1000
  }

  clear(): void {
    this.longestMs = 0
    this.#histogram = new Histogram()
  }
}
