// Upkeep of an arena whose lock a dead thread has: it waits a little and comes again, so that the
// thread that does it hears of the death and cleans up.

import t from 'tap'
import { LOCK } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Keeper } from '../../lib/engine/keeper.ts'
import { UPKEEP_IDLE_MS_MAX } from '../../lib/engine/limits.ts'

const MAIN = 1
const DEAD = 7

t.test('a turn leaves a locked arena to the next one, and throws nothing', async t => {
  const cache = Cache.create({ memoryBytes: 8 * 2 ** 20 }, MAIN)
  const { words } = cache.shards[0].arena
  t.ok(cache.takeUpkeep(0))
  words[LOCK] = DEAD
  t.equal(cache.upkeep(0), UPKEEP_IDLE_MS_MAX)
  t.equal(cache.recover(DEAD), 0)
  t.ok(cache.isRecovered())
  t.not(cache.upkeep(0), undefined)
})

t.test('a keeper reports no failure meanwhile', async t => {
  const cache = Cache.create({ memoryBytes: 8 * 2 ** 20 }, MAIN)
  const { words } = cache.shards[0].arena
  const failures: unknown[] = []
  words[LOCK] = DEAD
  const keeper = new Keeper(cache, [0], error => failures.push(error))
  t.teardown(() => keeper.stop())
  let turns = 0
  const { upkeep } = cache
  cache.upkeep = index => {
    turns++
    return upkeep.call(cache, index)
  }
  while (turns < 2) await new Promise(resolve => setTimeout(resolve, 20))
  t.same(failures, [])
})
