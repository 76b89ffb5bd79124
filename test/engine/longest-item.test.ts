// The longest item that -I allows fits into every arena, however the memory is divided. Untouched
// memory costs nothing, so the caches here are large.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ITEM_BYTES_LIMIT } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'

/**
 * Items of half of the memory each, up to the bound of -I; some memory sizes need two arenas.
 */
const MEGABYTES: [memory: number, item: number][] = [
  [2, 1],
  [64, 32],
  [1536, 768],
  [1537, 768],
  [1600, 800],
  [2048, 1024],
  [2100, 1024],
  [4096, 1024],
]

t.test('an item of half of the memory fits into each arena', async t => {
  for (const [memory, item] of MEGABYTES) {
    for (const shards of [1, 4]) {
      const options = {
        memoryBytes: memory * MIB,
        itemBytesMax: item * MIB,
        shards,
        headroom: true,
      }
      for (const { arena } of Cache.create(options).shards) {
        t.equal(arena.words[ITEM_BYTES_LIMIT] / MIB, item, `-m ${memory} -I ${item}m -t ${shards}`)
      }
    }
  }
})
