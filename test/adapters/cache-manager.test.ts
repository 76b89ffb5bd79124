// cache-manager 7 over KeyvStore: its whole interface, for two processes and for two tiers.

import { setTimeout as sleep } from 'node:timers/promises'
import { createCache } from 'cache-manager'
import { Keyv } from 'keyv5'
import t from 'tap'
import { KeyvStore } from '../../lib/strategies/keyv.ts'
import { DOORS } from '../support/doors.ts'
import { untilTrue } from '../support/pool.ts'

const LONG_MS = 60_000

for (const { name, skip, open } of DOORS) {
  t.test(`cache-manager, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    const [cache, other] = [here, there].map(store => {
      return createCache({ stores: [new Keyv({ store: new KeyvStore(store), namespace: 'app' })] })
    })
    t.equal(await cache.get('a'), undefined)
    t.equal(await cache.set('a', 'one', LONG_MS), 'one')
    t.equal(await other.get('a'), 'one')
    for (const value of [0, false, '', { list: [1, null] }]) {
      await cache.set('any', value, LONG_MS)
      t.strictSame(await other.get('any'), value)
    }
    const left = (await other.ttl('a')) ?? 0
    t.ok(left > Date.now() && left <= Date.now() + LONG_MS, 'when it expires')
    await cache.set('soon', 'gone', 50)
    await sleep(60)
    t.equal(await other.get('soon'), undefined)

    await cache.mset([
      { key: 'b', value: 2, ttl: LONG_MS },
      { key: 'c', value: 3, ttl: LONG_MS },
    ])
    t.strictSame(await other.mget(['b', 'none', 'c']), [2, undefined, 3])
    t.equal(await cache.del('b'), true)
    t.equal(await cache.mdel(['c', 'any']), true)
    t.strictSame(await other.mget(['a', 'b', 'c', 'any']), ['one', undefined, undefined, undefined])

    let loads = 0
    const load = async () => ({ loads: ++loads })
    const found = await Promise.all([1, 2, 3].map(() => cache.wrap('w', load, LONG_MS)))
    t.strictSame(found, [{ loads: 1 }, { loads: 1 }, { loads: 1 }])
    t.strictSame(await other.wrap('w', load, LONG_MS), { loads: 1 })
    await cache.wrap('w', load, { ttl: LONG_MS, refreshThreshold: 2 * LONG_MS })
    await untilTrue('refreshed', async () => {
      return (await other.get<{ loads: number }>('w'))?.loads === 2
    })
    t.equal(await cache.clear(), true)
    t.strictSame(await other.mget(['a', 'w']), [undefined, undefined])
  })

  t.test(`cache-manager with memory before it, ${name}`, { skip }, async t => {
    const [here] = await open(t)
    const shared = new Keyv({ store: new KeyvStore(here) })
    const tiers = createCache({ stores: [new Keyv(), shared] })
    const second = createCache({ stores: [new Keyv(), shared] })
    await tiers.set('a', 'one', LONG_MS)
    t.equal(await second.get('a'), 'one', 'the second tier has it')
    await tiers.del('a')
    t.equal(await shared.get('a'), undefined)
  })
}
