// The keys of a cache, in steps: each copies some keys under the lock of an arena.

import type { Cache } from '../engine/cache.ts'
import { allClasses } from '../engine/items/walk.ts'
import { KeySink } from '../engine/key-sink.ts'

/** The keys of all arenas that are text. */
export function* keysOf(cache: Cache): Generator<string, void> {
  const sink = new KeySink()
  const classes = allClasses()
  for (const shard of cache.shards) {
    const cursor = { page: 0, chunk: 0 }
    let hasMore = true
    while (hasMore) {
      hasMore = shard.walk(cursor, classes, sink)
      yield* sink.drain()
    }
  }
}
