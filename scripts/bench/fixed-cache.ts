// A cache in this process that hashes keys with fixed seeds, so that a run repeats itself.

import { HASH_SEED_0, HASH_SEED_1 } from '../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { createArenas } from '../../lib/engine/create.ts'

const HOLDER = 1

export function fixedCache(options: CacheOptions): Cache {
  const handle = createArenas(options)
  for (const buffer of handle.arenas) {
    const words = new Int32Array(buffer)
    words[HASH_SEED_0] = 1
    words[HASH_SEED_1] = 2
  }
  return Cache.attach(handle, HOLDER)
}
