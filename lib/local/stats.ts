// Statistics of the in-process door, summed over the arenas.

import { ClassCounter, Counter, classCounterAt, counterAt } from '../engine/arena/counters.ts'
import type { Cache } from '../engine/cache.ts'
import type { LocalCacheStats } from './types.ts'

export function statsOf(cache: Cache): LocalCacheStats {
  const stats: LocalCacheStats = {
    items: cache.itemCount(),
    itemBytes: 0,
    memoryBytes: cache.memoryLimitBytes(),
    getHits: 0,
    getMisses: 0,
    evictions: 0,
    resets: cache.resetCount(),
  }
  for (const { arena } of cache.shards) {
    const { counters, classCount } = arena
    stats.getMisses += counters[counterAt(Counter.GET_MISSES)]
    stats.getMisses += counters[counterAt(Counter.TOUCH_MISSES)]
    for (let classId = 1; classId <= classCount; classId++) {
      stats.itemBytes += counters[classCounterAt(classId, ClassCounter.MEM_REQUESTED)]
      stats.getHits += counters[classCounterAt(classId, ClassCounter.GET_HITS)]
      stats.getHits += counters[classCounterAt(classId, ClassCounter.TOUCH_HITS)]
      stats.evictions += counters[classCounterAt(classId, ClassCounter.EVICTED)]
    }
  }
  return stats
}
