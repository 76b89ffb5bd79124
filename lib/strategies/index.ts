// The door for caching strategies, over a LocalCache or a ClusterClient alike:
// `import { CacheAside } from 'memslab/strategies'`.

export { json, type Serializer, structured, ValueFlags } from '../serializer.ts'
export { type AsideOptions, CacheAside, type Loader } from './aside.ts'
export { type BehindOptions, WriteBehind } from './behind.ts'
export { type OnError, StrategyError, type StrategyErrorCode } from './errors.ts'
export { type KeyvEntry, KeyvStore, type KeyvStoreOptions } from './keyv.ts'
export {
  createSessionStore,
  type SessionCalls,
  type SessionFacts,
  type SessionOptions,
} from './session-store.ts'
export type { Awaitable, Claim, Item, Outcome, Store, WriteOptions } from './store.ts'
export { type TagOptions, Tags } from './tags.ts'
export {
  ReadThrough,
  type Source,
  type ThroughOptions,
  type WritableSource,
  WriteThrough,
} from './through.ts'
