// The main entry of the package: the cache in process, and the daemon to be started by a program.
// `memslab/client`, `memslab/strategies` and `memslab/engine` are separate entries.

export {} from './node-version.ts'

// The rest is evaluated after the check of Node's version above.

export { CacheError, type CacheErrorCode, type CacheErrorOptions } from './doors/errors.ts'
export type {
  Answer,
  Awaitable,
  CasResult,
  CountOptions,
  DeleteOptions,
  ExpiryOptions,
  FlushOptions,
  How,
  Item,
  Lease,
  LeaseOptions,
  ReadOptions,
  SetOptions,
  Store,
  TouchingReadOptions,
} from './doors/types.ts'
export { LocalCache } from './local/local-cache.ts'
export type {
  AttachOptions,
  LocalCacheHandle,
  LocalCacheOptions,
  LocalCacheStats,
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
export { type Address, type Daemon, startDaemon } from './server/launch.ts'
export { type Served, type ServeOptions, serve } from './server/serve.ts'
