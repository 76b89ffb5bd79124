// What a thread that serves peers tells of itself once a second, for the admin listener: its CPU
// time, its pauses for garbage collection, the longest delay of its event loop. It writes them to
// its own counters, so that nobody has to ask it.

import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { ThreadCounter } from '../protocol/host.ts'

/** How often the delay of the event loop is measured. */
const DELAY_SAMPLE_MS = 100

export class ThreadHealth {
  private readonly counters: Float64Array
  private readonly delay = monitorEventLoopDelay({ resolution: DELAY_SAMPLE_MS })
  private readonly collections: PerformanceObserver

  /** `counters`: those of the calling thread, by ThreadCounter. */
  constructor(counters: Float64Array) {
    this.counters = counters
    this.delay.enable()
    this.collections = new PerformanceObserver(list => {
      for (const { duration } of list.getEntries()) counters[ThreadCounter.GC_US] += duration * 1000
    })
    this.collections.observe({ entryTypes: ['gc'] })
  }

  /** Called once a second. */
  tick(): void {
    const { user, system } = process.threadCpuUsage()
    this.counters[ThreadCounter.CPU_US] = user + system
    this.counters[ThreadCounter.HEAP_BYTES] = getHeapStatistics().used_heap_size
    // The sampling interval is a part of each measured delay.
    const delayUs = this.delay.max / 1000 - DELAY_SAMPLE_MS * 1000
    this.counters[ThreadCounter.LOOP_DELAY_US] = Math.max(0, Math.round(delayUs))
    this.delay.reset()
  }

  close(): void {
    this.delay.disable()
    this.collections.disconnect()
  }
}
