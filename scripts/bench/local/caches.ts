// The caches that bench:local compares, each as one thread uses it.

import { once } from 'node:events'
import { connect } from 'node:net'
import { LRUCache } from 'lru-cache'
import { Client } from 'memjs'
import { LocalCache, type LocalCacheHandle } from '../../../lib/index.ts'

export type Kind = 'local' | 'lru' | 'memjs'

/**
 * Which cache a thread opens: the `handle` of a LocalCache or the `port` of a daemon, if shared.
 */
export interface Place {
  kind: Kind
  items: number
  handle?: LocalCacheHandle
  port?: number
}

export interface Cache {
  get(key: string): string | undefined | Promise<string | undefined>
  set(key: string, value: string): unknown
  close(): void
}

export async function openCache({ kind, items, handle, port }: Place): Promise<Cache> {
  if (kind === 'local' && handle !== undefined) {
    const cache = LocalCache.attach(handle)
    return {
      get: key => cache.get(key),
      set: (key, value) => cache.set(key, value),
      close: () => cache.close(),
    }
  }
  if (kind === 'lru') {
    const cache = new LRUCache<string, string>({ max: Math.max(1, items) })
    return {
      get: key => cache.get(key),
      set: (key, value) => cache.set(key, value),
      close: () => cache.clear(),
    }
  }
  // Wait for the daemon: memjs fails all pending requests if it cannot connect.
  const probe = connect(port ?? 0, '127.0.0.1')
  await once(probe, 'connect')
  probe.destroy()
  const client = Client.create(`127.0.0.1:${port}`, { timeout: 30, conntimeout: 30 })
  return {
    get: async key => (await client.get(key)).value?.toString(),
    set: (key, value) => client.set(key, value, {}),
    close: () => client.close(),
  }
}
