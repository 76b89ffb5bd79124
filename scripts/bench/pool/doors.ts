// The clients that bench:pool compares: the pool client with each of its two drivers, and memjs
// alone, as an application uses it without a pool.

import { Client } from 'memjs'
import { ClusterClient } from '../../../lib/client/index.ts'

export type Kind = 'meta' | 'memjs' | 'memjs alone'

export interface Door {
  get(key: string): Promise<unknown>
  set(key: string, value: Buffer): Promise<unknown>
  getMany(keys: string[]): Promise<unknown>
  close(): void
}

/** Longer than any case runs. */
const LONG_S = 60

export function openDoor(kind: Kind, port: number): Door {
  const server = `127.0.0.1:${port}`
  if (kind !== 'memjs alone') {
    const pool = new ClusterClient([server], { driver: kind, timeoutMs: LONG_S * 1000, retries: 0 })
    return {
      get: key => pool.get(key),
      set: (key, value) => pool.set(key, value),
      getMany: keys => pool.getMany(keys),
      close: () => pool.close(),
    }
  }
  const logger = { log() {} }
  const client = Client.create(server, { timeout: LONG_S, conntimeout: LONG_S, retries: 1, logger })
  return {
    get: key => client.get(key),
    set: (key, value) => client.set(key, value, {}),
    getMany: keys => Promise.all(keys.map(key => client.get(key))),
    close: () => client.close(),
  }
}
