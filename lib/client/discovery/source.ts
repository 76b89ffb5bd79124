// A source of a pool's servers. Once it is watched it reports all servers as soon as it knows them,
// and again at each change, until it is stopped. A failure changes nothing: the last servers stay.

import type { RingNode } from '../ring/ring.ts'

export interface Observer {
  /** All current servers. An empty list is ignored: the last one stays. */
  change(servers: readonly RingNode[]): void
  /** Why a lookup failed. The source retries by itself. */
  fail(error: Error): void
}

export interface Discovery {
  /**
   * Calls the observer from now on, but never before it returns. Returns a function that stops it.
   */
  watch(observer: Observer): () => void
}
