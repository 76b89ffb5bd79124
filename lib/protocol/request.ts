// One request as a protocol parsed it: one record a session, used again and again. To what the
// engine is asked (storing/ask.ts) it adds what only a protocol knows: times as the peer sent them,
// noreply, whose request it is. While a value is on its way, in or out, it remembers where that
// value lives.

import type { Area } from '../bytes/area.ts'
import type { Cache } from '../engine/cache.ts'
import type { Shard } from '../engine/shard.ts'
import { Ask } from '../engine/storing/ask.ts'
import type { HotKeys } from '../observe/hot-keys.ts'
import type { Journal } from '../observe/journal.ts'

export class Request extends Ask {
  /** The key's shard, set with its hash. */
  shard: Shard
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; negative: at once. */
  exptime = 0
  /** As exptime: of an item that is made on a miss, and from when on a new value is asked for. */
  createExptime = 0
  recacheExptime = 0
  noreply = false

  readonly cache: Cache
  /** Where requests are noted while somebody wants to know, and whose they are. */
  readonly journal: Journal
  readonly peerId: number
  /** Where some of them are counted. */
  readonly hotKeys: HotKeys

  constructor(area: Area, cache: Cache, journal: Journal, hotKeys: HotKeys, peerId: number) {
    super(area)
    this.cache = cache
    this.shard = cache.shards[0]
    this.journal = journal
    this.hotKeys = hotKeys
    this.peerId = peerId
  }

  /** The key in [start, end) of `area`, valid only until the input moves on. */
  locate(area: Area, start: number, end: number, hash: number): void {
    this.setKey(area, start, end - start, hash)
    this.shard = this.cache.shardOf(hash)
  }
}
