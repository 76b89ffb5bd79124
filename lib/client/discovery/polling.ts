// A source that polls: at once, then after each interval, which varies so that many clients do not
// poll at the same time. After a failure the next try may come sooner.

import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { DISCOVERY_JITTER, DISCOVERY_RETRY_MS } from '../limits.ts'
import { addressText } from '../nodes/connection.ts'
import type { RingNode } from '../ring/ring.ts'
import type { Discovery, Observer } from './source.ts'

/** One poll. Rejects if it fails; undefined: no change. `note` reports what it left out. */
export type Look = (
  signal: AbortSignal,
  note: (error: Error) => void,
) => Promise<readonly RingNode[] | undefined>

/** `begin` returns the poll of one watcher. Each call may end early when its signal aborts. */
export function pollingServers(
  begin: () => Look,
  intervalMs: number,
  retryMs = Math.min(intervalMs, DISCOVERY_RETRY_MS),
): Discovery {
  return {
    watch(observer) {
      const stop = new AbortController()
      void poll(begin(), { intervalMs, retryMs }, observer, stop.signal)
      return () => stop.abort()
    },
  }
}

async function poll(
  look: Look,
  { intervalMs, retryMs }: { intervalMs: number; retryMs: number },
  observer: Observer,
  signal: AbortSignal,
): Promise<void> {
  let last: readonly RingNode[] = []
  while (!signal.aborted) {
    let restMs = intervalMs
    try {
      const found = await look(signal, error => observer.fail(error))
      if (signal.aborted) return
      if (found !== undefined) {
        const sorted = sortedByName(found)
        if (!isDeepStrictEqual(sorted, last)) observer.change(sorted)
        last = sorted
      }
    } catch (error) {
      if (signal.aborted) return
      observer.fail(error instanceof Error ? error : new Error(String(error)))
      restMs = retryMs
    }
    const variedMs = restMs * (1 + DISCOVERY_JITTER * (2 * Math.random() - 1))
    await sleep(variedMs, undefined, { signal, ref: false }).catch(() => {})
  }
}

/** Compares lists as sets, because answers come in any order. */
export function sortedByName(servers: readonly RingNode[]): RingNode[] {
  const byName = new Map(servers.map(server => [addressText(server), server]))
  return [...byName.keys()].sort().map(name => byName.get(name) as RingNode)
}
