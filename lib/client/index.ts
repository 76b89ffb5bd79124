// The entry for applications that use a pool of servers: `import { ClusterClient } from
// 'memslab/client'`.

export {} from '../client-node-version.ts'

// The rest is evaluated after the check of Node's version above.

export type {
  JournalChange,
  PoolCall,
  PoolHedge,
  ServerChange,
  StrategyError,
  StrategyLoad,
  StrategyRead,
  TierRead,
} from '../doors/channels.ts'
export { CacheError, type CacheErrorCode, type CacheErrorOptions } from '../doors/errors.ts'
export {
  CacheMeter,
  type CallCounts,
  LATENCY_BOUNDS_MS,
  type MeterReading,
  type ServerCounts,
} from '../doors/meter.ts'
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
} from '../doors/types.ts'
export { json, type Serializer, structured, ValueFlags } from '../serializer.ts'
export { ClusterClient } from './cluster.ts'
export type { ClusterOptions, Servers } from './cluster-options.ts'
export type { HedgeOptions } from './copies/hedge.ts'
export { type DnsOptions, dnsServers } from './discovery/dns.ts'
export { type ElastiCacheOptions, elastiCacheServers } from './discovery/elasticache.ts'
export { type EtcdOptions, etcdServers } from './discovery/etcd.ts'
export type { Discovery, Observer } from './discovery/source.ts'
export { staticServers } from './discovery/static.ts'
export { type DrainOptions, type DrainReport, drain } from './drain/drain.ts'
export { parseServer } from './members/servers.ts'
export type { ConnectionOptions, ServerAddress } from './nodes/connection.ts'
export {
  createRing,
  type KeyHash,
  ownerOf,
  type Ring,
  type RingKind,
  type RingNode,
  type RingOptions,
  successorsOf,
} from './ring/ring.ts'
export type { CodecName, CodecOptions } from './values/codec.ts'
export { type Compression, CompressionFlags } from './values/compression.ts'
export type { Calls } from './with-signal.ts'
