// Whether a worker thread has ended, for a thread that cannot wait for its event 'exit' because it
// waits for a lock that the worker may have taken with it.
//
// The idle time of an event loop is read from the worker itself. Once the thread can run no more
// JavaScript Node has none to read, and says -1; after 'exit' it says 0. Node notes when the loop
// began at the first look at a running one, so there has to be one before the end: a worker that
// nobody looked at while it ran counts as running.

/** The used part of a Worker. */
export interface Observed {
  readonly performance: { eventLoopUtilization(): { idle: number } }
  once(event: 'online', listener: () => void): unknown
}

/** Looks at a worker now and once it runs, so that its end can be seen. */
export function observe(worker: Observed): void {
  hasEnded(worker)
  worker.once('online', () => hasEnded(worker))
}

/** Whether an observed worker can run no more, before its event 'exit'. */
export function hasEnded({ performance }: Observed): boolean {
  return performance.eventLoopUtilization().idle < 0
}
