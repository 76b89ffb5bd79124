// One parsed request: a record that each session reuses. It extends the engine's Ask
// (storing/ask.ts) with what only a protocol knows: exptimes as sent, noreply, the peer. While a
// value is being received or sent, it keeps the value's place.

import type { Pass } from '../access/pass.ts'
import type { Area } from '../bytes/area.ts'
import type { Cache } from '../engine/cache.ts'
import type { Shard } from '../engine/shard.ts'
import { Ask } from '../engine/storing/ask.ts'
import type { HotKeys } from '../observe/hot-keys.ts'
import type { Journal } from '../observe/journal.ts'
import { Timed } from '../observe/latency.ts'
import type { Sampler } from '../observe/miniature/key-sampler.ts'

/** What all requests of a thread use. */
export interface Tools {
  readonly cache: Cache
  readonly journal: Journal
  readonly hotKeys: HotKeys
  readonly sampler: Sampler
}

export class Request extends Ask {
  /** The key's shard, set with its hash. */
  shard: Shard
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; negative: at once. */
  exptime = 0
  /**
   * As exptime: of an item that is created on a miss, and the limit below which a peer wins a
   * recache.
   */
  createExptime = 0
  recacheExptime = 0
  noreply = false
  /** What the request that runs counts as in `stats latency`. */
  timed: Timed = Timed.NOTHING

  /** What the peer may do; null: everything. */
  pass: Pass | null = null
  readonly cache: Cache
  /** Where requests are logged for watchers, and the peer's number. */
  readonly journal: Journal
  readonly peerId: number
  /** Where sampled requests are counted. */
  readonly hotKeys: HotKeys
  /** Samples keys for the miniature caches. */
  readonly sampler: Sampler

  constructor(area: Area, { cache, journal, hotKeys, sampler }: Tools, peerId: number) {
    super(area)
    this.cache = cache
    this.shard = cache.shards[0]
    this.journal = journal
    this.hotKeys = hotKeys
    this.sampler = sampler
    this.peerId = peerId
  }

  /** Sets the key to [start, end) of `area`, which is valid only until the input changes. */
  locate(area: Area, start: number, end: number, hash: number): void {
    this.setKey(area, start, end - start, hash)
    this.shard = this.cache.shardOf(hash)
  }
}
