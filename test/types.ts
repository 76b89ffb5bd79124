/**
 * Tests of the public types: compiled by `npm run typecheck`, never run. It fails for a line that
 * should compile and does not, and for a line that should not compile and does.
 */
import session from 'express-session'
import Keyv, { type KeyvStorageAdapter } from 'keyv'
import {
  CacheError,
  type CacheErrorCode,
  ClusterClient,
  type ClusterOptions,
  type Item as PoolItem,
} from '../lib/client/index.ts'
import {
  type Answer,
  type CasResult,
  type How,
  type Item,
  type Lease,
  LocalCache,
  type LocalCacheHandle,
  type Serializer,
  type Served,
  type Store,
  serve,
} from '../lib/index.ts'
import {
  CacheAside,
  createSessionStore,
  KeyvStore,
  ReadThrough,
  type Store as StrategyStore,
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
  const unknown = local.get('a')
  is<Same<typeof unknown, unknown>>()
  const named = local.get<{ name: string }>('a')
  is<Same<typeof named, { name: string } | undefined>>()
  const item = local.getItem<string>('a')
  is<Same<typeof item, (Item<string> & { ttlS: number }) | undefined>>()
  is<Same<ReturnType<typeof local.set>, boolean>>()
  is<Same<ReturnType<typeof local.cas>, boolean>>()
  const cas = local.casItem<string>('a', 'v', 1n)
  is<Same<typeof cas, CasResult<string>>>()
  is<Same<ReturnType<typeof local.incr>, bigint | undefined>>()
  const lease = local.lease<string>('a', { claimS: 1 })
  is<Same<typeof lease, Lease<string>>>()
  is<Same<typeof lease.value, string | undefined>>()
  const values = local.getMany<number>(['a', 'b'])
  is<Same<typeof values, Map<string, number>>>()
  const items = local.getManyItems(new Set(['a']))
  is<Same<typeof items, Map<string, Item>>>()
  local.set(Buffer.from('a'), user, { expiresAt: new Date(), flags: undefined })
  const handle: LocalCacheHandle = LocalCache.create({ memoryBytes: 1 }).handle
  LocalCache.attach(handle)
  const served: Served = await serve(local, { port: 1, threads: 2 })
  await served.close()
  // @ts-expect-error the cache decides the memory limit
  await serve(local, { memoryLimitBytes: 1 })
  // @ts-expect-error memoryBytes is required
  LocalCache.create({})
  // @ts-expect-error a version is a bigint
  local.cas('a', 'v', 1)
  // @ts-expect-error keys are strings or bytes
  local.get(1)
  // @ts-expect-error only text and bytes can be appended
  local.append('a', 1)
  // @ts-expect-error a TTL is an option, not a number
  local.touch('a', 60)
  // @ts-expect-error no such option
  local.set('a', 'v', { ttl: 60 })
}

export async function pools(): Promise<void> {
  const unknown = await pool.get('a')
  is<Same<typeof unknown, unknown>>()
  const named = await pool.get<{ name: string }>('a')
  is<Same<typeof named, { name: string } | undefined>>()
  const item = await pool.getItem<string>('a')
  is<Same<typeof item, Item<string> | undefined>>()
  is<Same<Item['ttlS'], number | undefined>>()
  is<Same<ReturnType<typeof pool.set>, Promise<boolean>>>()
  is<Same<ReturnType<typeof pool.cas>, Promise<boolean>>>()
  is<Same<ReturnType<typeof pool.incr>, Promise<bigint | undefined>>>()
  const cas = await pool.casItem<string>('a', 'v', 1n)
  is<Same<typeof cas, CasResult<string>>>()
  const values = await pool.getMany<number>(['a'])
  is<Same<typeof values, Map<string, number>>>()
  const items = await pool.getManyItems(['a'])
  is<Same<typeof items, Map<string, PoolItem>>>()
  const options: ClusterOptions = {
    driver: 'memjs',
    replicas: 2,
    compression: { method: 'brotli' },
  }
  new ClusterClient(['a:1', { host: 'b', port: 1, weight: 2 }], options)
  // @ts-expect-error no such driver
  new ClusterClient(['a'], { driver: 'memcached' })
  // @ts-expect-error no such method
  new ClusterClient(['a'], { compression: { method: 'lz4' } })
  // @ts-expect-error a version is a bigint
  await pool.cas('a', 'v', 1)
  // @ts-expect-error only text and bytes can be appended
  await pool.append('a', 1)
  // @ts-expect-error keys are strings
  await pool.get(Buffer.from('a'))
  // @ts-expect-error times are numbers
  await pool.set('a', 'v', { ttlS: '60' })
  const code: CacheErrorCode = new CacheError('BUSY', 'too many').code
  // @ts-expect-error no such code
  return void [code, new CacheError('SLOW', 'too slow')]
}

export async function bothDoors(): Promise<void> {
  const sync: Store<'sync'> = local
  const async: Store<'async'> = pool
  const stores: StrategyStore[] = [local, pool, sync, async]
  const answers: Answer<boolean, How>[] = [sync.has('a'), async.has('a')]
  for (const store of stores) {
    const value = await store.get<string>('a')
    is<Same<typeof value, string | undefined>>()
    new CacheAside(store, { ttlS: 1 })
  }
  // @ts-expect-error a pool returns promises
  const wrong: Store<'sync'> = pool
  // @ts-expect-error ttlS is required
  new CacheAside(local, {})
  // @ts-expect-error a Map is no cache
  new CacheAside(new Map(), { ttlS: 1 })
  return void [answers, wrong]
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
