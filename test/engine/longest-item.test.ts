// The longest item that -I promises fits into every arena, however the memory is divided. Memory
// that nobody touches is not taken, so the caches here are large.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ITEM_BYTES_LIMIT } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'

/**
 * Half of the memory each, as far as -I reaches; some where two arenas are needed for the memory.
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
