/**
 * What the types promise: compiled by `npm run typecheck`, never run. A line that should compile and
 * does not fails it, and so does one that is expected to fail and compiles.
 */
import session from 'express-session'
import Keyv, { type KeyvStorageAdapter } from 'keyv'
import {
  ClientError,
  type ClientErrorCode,
  ClusterClient,
  type ClusterOptions,
  type Hit,
  type Lease as PoolLease,
  type Stored,
} from '../lib/client/index.ts'
import {
  type Found,
  type Lease,
  LocalCache,
  type LocalCacheHandle,
  type Serializer,
  type Served,
  serve,
} from '../lib/index.ts'
import {
  CacheAside,
  type Claim,
  createSessionStore,
  KeyvStore,
  ReadThrough,
  type Store,
  Tags,
  WriteBehind,
  WriteThrough,
} from '../lib/strategies/index.ts'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function is<T extends true>(): T
declare const local: LocalCache
declare const pool: ClusterClient
declare const user: { name: string }

export async function inProcess(): Promise<void> {
  is<Same<ReturnType<typeof local.get>, Buffer | undefined>>()
  is<Same<ReturnType<typeof local.getString>, string | undefined>>()
  is<Same<ReturnType<typeof local.gets>, Found | undefined>>()
  is<Same<ReturnType<typeof local.incr>, bigint | undefined>>()
  is<Same<ReturnType<typeof local.lease>, Lease>>()
  const named = local.getValue<{ name: string }>('a')
  is<Same<typeof named, { name: string } | undefined>>()
  const unknown = local.getValue('a')
  is<Same<typeof unknown, unknown>>()
  const many = local.getMany(['a', 'b'])
  is<Same<typeof many, Map<string, Found>>>()
  const values = local.getManyValues<number>(['a'])
  is<Same<typeof values, Map<string, number>>>()
  const handle: LocalCacheHandle = LocalCache.create({ memoryBytes: 1 }).handle
  LocalCache.attach(handle)
  const served: Served = await serve(local, { port: 1, threads: 2 })
  await served.close()
  // @ts-expect-error the cache has settled how much memory there is
  await serve(local, { memoryLimitBytes: 1 })
  // @ts-expect-error memory has to be told
  LocalCache.create({})
  // @ts-expect-error a version is a bigint
  local.cas('a', 'v', 1)
  // @ts-expect-error keys are strings or bytes
  local.get(1)
  // @ts-expect-error numbers are no bytes to join
  local.append('a', 1)
}

export async function pools(): Promise<void> {
  is<Same<ReturnType<typeof pool.get>, Promise<Hit | undefined>>>()
  is<Same<Hit['value'], Buffer>>()
  is<Same<Hit['ttlS'], number | undefined>>()
  is<Same<ReturnType<typeof pool.set>, Promise<Stored>>>()
  is<Same<ReturnType<typeof pool.incr>, Promise<bigint | undefined>>>()
  const named = await pool.getValue<{ name: string }>('a')
  is<Same<typeof named, { name: string } | undefined>>()
  const unknown = await pool.getValue('a')
  is<Same<typeof unknown, unknown>>()
  const many = await pool.getMany(['a'])
  is<Same<typeof many, Map<string, Hit>>>()
  const values = await pool.getManyValues<number>(['a'])
  is<Same<typeof values, Map<string, number>>>()
  const options: ClusterOptions = {
    driver: 'memjs',
    replicas: 2,
    compression: { method: 'brotli' },
  }
  new ClusterClient(['a:1', { host: 'b', port: 1, weight: 2 }], options)
  // @ts-expect-error no such driver
  new ClusterClient(['a'], { driver: 'memcached' })
  // @ts-expect-error nor such a method
  new ClusterClient(['a'], { compression: { method: 'lz4' } })
  // @ts-expect-error a version is a bigint
  await pool.cas('a', 'v', 1)
  // @ts-expect-error numbers are no bytes to join
  await pool.append('a', 1)
  // @ts-expect-error keys are strings
  await pool.get(Buffer.from('a'))
  const code: ClientErrorCode = new ClientError('BUSY', 'too many').code
  // @ts-expect-error no such code
  return void [code, new ClientError('SLOW', 'too slow')]
}

export async function bothDoors(): Promise<void> {
  const stores: Store[] = [local, pool]
  const claims: Claim[] = [{} as Lease, {} as PoolLease]
  const items = [{} as Found, {} as Hit]
  for (const store of stores) new CacheAside(store, { ttlS: 1 })
  // @ts-expect-error how long is fresh has to be told
  new CacheAside(local, {})
  // @ts-expect-error a Map is no cache
  new CacheAside(new Map(), { ttlS: 1 })
  return void [claims, items]
}

export async function strategies(): Promise<void> {
  const aside = new CacheAside(pool, { ttlS: 1 })
  const found = await aside.getOrSet('a', async () => user)
  is<Same<typeof found, { name: string }>>()
  const maybe = await aside.getOrSet('a', signal => (signal.aborted ? null : user))
  is<Same<typeof maybe, { name: string } | null>>()
  const source = { load: () => user, save: () => {}, remove: () => {} }
  const through = new WriteThrough<{ name: string }>(local, source, { ttlS: 1 })
  const read = await through.get('a')
  is<Same<typeof read, { name: string } | null | undefined>>()
  await through.set('a', user)
  // @ts-expect-error not a user
  await through.set('a', 'Ada')
  // @ts-expect-error read-through cannot write
  new ReadThrough(local, source, { ttlS: 1 }).set('a', user)
  // @ts-expect-error a source of writes has save and remove
  new WriteBehind(local, { load: () => user }, { ttlS: 1 })
  const key: string = await new Tags(local).key('a', 'tag')
  return void key
}

export function adapters(): void {
  const store: session.Store = createSessionStore(session.Store, local)
  const adapter: KeyvStorageAdapter = new KeyvStore(pool)
  const upper: Serializer = { flags: 1 << 20, encode: () => Buffer.of(), decode: () => 1 }
  new Keyv({ store: new KeyvStore(local, { serializer: upper }) })
  return void [store, adapter]
}
