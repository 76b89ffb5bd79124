// The public door of the package: the cache engine for one process and its threads, and the daemon
// to be started by another program.

export { Area } from './bytes/area.ts'
export { expiresAt } from './engine/arena/clock.ts'
export { Cache, type CacheHandle, type CacheOptions } from './engine/cache.ts'
export type { Hold } from './engine/items/holds.ts'
export { Shard } from './engine/shard.ts'
export { Mode, Status } from './engine/status.ts'
export { Ask, type HitSink } from './engine/storing/ask.ts'
export { ValueSink } from './engine/value-sink.ts'
export { verify } from './engine/verify.ts'
export { LocalCache } from './local/local-cache.ts'
export {
  type AttachOptions,
  CacheError,
  type Found,
  type Lease,
  type LeaseOptions,
  type LocalCacheHandle,
  type LocalCacheOptions,
  type LocalCacheStats,
  type StoreOptions,
} from './local/types.ts'
export { checkOptions } from './options/checks.ts'
export { DEFAULTS, isRefusal, type Options, type Refusal } from './options/options.ts'
export {
  decodeValue,
  type EncodedValue,
  encodeValue,
  json,
  type Serializer,
  structured,
  ValueFlags,
} from './serializer.ts'
export { type Daemon, startDaemon } from './server/daemon.ts'
export { type Served, type ServeOptions, serve } from './server/serve.ts'
