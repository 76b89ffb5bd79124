// The clients that bench:pool compares: the pool client with each of its two drivers, the clients
// of npm as an application uses them without a pool, and ioredis on Redis.

import { Redis } from 'ioredis'
import { MemcacheClient } from 'memcache-client'
import Memcached from 'memcached'
import { Client } from 'memjs'
import { MIB } from '../../../lib/bytes/units.ts'
import { ClusterClient } from '../../../lib/client/index.ts'

export const KINDS = [
  'meta',
  'memjs',
  'memjs alone',
  'memcached',
  'memcache-client',
  'ioredis',
] as const
export type Kind = (typeof KINDS)[number]

/** The kind that needs Redis; all others talk to memslab. */
export const REDIS_KIND: Kind = 'ioredis'

export interface Door {
  get(key: string): Promise<unknown>
  set(key: string, value: Buffer): Promise<unknown>
  getMany(keys: string[]): Promise<unknown>
  close(): void
}

/** Longer than any case runs. */
const LONG_S = 60
const ITEM_BYTES_MAX = 8 * MIB

export function openDoor(kind: Kind, port: number): Door {
  const server = `127.0.0.1:${port}`
  switch (kind) {
    case 'memjs alone':
      return openMemjs(server)
    case 'memcached':
      return openMemcached(server)
    case 'memcache-client':
      return openMemcacheClient(server)
    case 'ioredis':
      return openRedis(port)
  }
  const pool = new ClusterClient([server], { driver: kind, timeoutMs: LONG_S * 1000, retries: 0 })
  return {
    get: key => pool.get(key),
    set: (key, value) => pool.set(key, value),
    getMany: keys => pool.getMany(keys),
    close: () => pool.close(),
  }
}

function openMemjs(server: string): Door {
  const logger = { log() {} }
  const client = Client.create(server, { timeout: LONG_S, conntimeout: LONG_S, retries: 1, logger })
  return {
    get: key => client.get(key),
    set: (key, value) => client.set(key, value, {}),
    getMany: keys => Promise.all(keys.map(key => client.get(key))),
    close: () => client.close(),
  }
}

/** Its pool has ten connections by default. */
function openMemcached(server: string): Door {
  const client = new Memcached(server, { timeout: LONG_S * 1000, maxValue: ITEM_BYTES_MAX })
  const done = <T>(call: (callback: (error: unknown, result: T) => void) => void) =>
    new Promise<T>((resolve, reject) => {
      call((error, result) => (error ? reject(error) : resolve(result)))
    })
  return {
    get: key => done(callback => client.get(key, callback)),
    set: (key, value) => done(callback => client.set(key, value, 0, callback)),
    getMany: keys => done(callback => client.getMulti(keys, callback)),
    close: () => client.end(),
  }
}

function openMemcacheClient(server: string): Door {
  const client = new MemcacheClient({ server, cmdTimeout: LONG_S * 1000 })
  return {
    get: key => client.get(key),
    set: (key, value) => client.set(key, value),
    getMany: keys => client.get(keys),
    close: () => client.shutdown(),
  }
}

function openRedis(port: number): Door {
  const client = new Redis({ host: '127.0.0.1', port })
  return {
    get: key => client.getBuffer(key),
    set: (key, value) => client.set(key, value),
    getMany: keys => client.mgetBuffer(keys),
    close: () => client.disconnect(),
  }
}
