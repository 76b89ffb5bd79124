// Where a pool's client learns its servers from. A source is asked to watch, tells all servers as
// soon as it knows them and again at each change, and goes on until it is stopped. What it cannot
// find out changes nothing: the servers it told last stay.

import type { RingNode } from '../ring/ring.ts'

export interface Observer {
  /** All servers there are now. A list without servers is not taken for one: the last one stays. */
  change(servers: readonly RingNode[]): void
  /** Why it could not be found out now; the source tries again by itself. */
  fail(error: Error): void
}

export interface Discovery {
  /** Tells the observer from now on, never before it returns; how to stop it. */
  watch(observer: Observer): () => void
}
