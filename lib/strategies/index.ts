// The entry for caching strategies, over a LocalCache or a ClusterClient:
// `import { CacheAside } from 'memslab/strategies'`.

export {} from '../client-node-version.ts'

// The rest is evaluated after the check of Node's version above.

export type {
  JournalChange,
  PoolCall,
  ServerChange,
  StrategyError,
  StrategyLoad,
  StrategyRead,
  TierRead,
} from '../doors/channels.ts'
export { CacheError, type CacheErrorCode } from '../doors/errors.ts'
export {
  CacheMeter,
  type CallCounts,
  LATENCY_BOUNDS_MS,
  type MeterReading,
  type ServerCounts,
} from '../doors/meter.ts'
export type { Awaitable, Item, Lease, Store } from '../doors/types.ts'
export { json, type Serializer, structured, ValueFlags } from '../serializer.ts'
export { CacheAside, type Loader } from './aside.ts'
export type { ManyLoader } from './aside-many.ts'
export type { AsideOptions, CallOptions, KeyOptions, StoreOptions } from './aside-options.ts'
export { type BehindOptions, type CloseOptions, UnsavedError, WriteBehind } from './behind.ts'
export { claimKeyOf } from './claims.ts'
export { type KeyvEntry, KeyvStore, type KeyvStoreOptions } from './keyv.ts'
export type { OnError } from './reporter.ts'
export {
  createSessionStore,
  type SessionCalls,
  type SessionFacts,
  type SessionOptions,
} from './session-store.ts'
export { type GuardOptions, SourceGuard } from './source-guard.ts'
export { type TagOptions, Tags } from './tags.ts'
export {
  ReadThrough,
  type Source,
  type ThroughOptions,
  type WritableSource,
  WriteThrough,
} from './through.ts'
export { TieredCache, type TieredOptions } from './tiered.ts'
export type { Write } from './write-queue.ts'
