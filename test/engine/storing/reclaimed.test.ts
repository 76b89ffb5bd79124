// What a store that replaces a dead item counts: its memory was reclaimed, not replaced.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { ClassCounter, classCounterAt } from '../../../lib/engine/arena/counters.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Peer } from '../../support/engine-peer.ts'

const ONE = Buffer.from('1')

t.test('a store over an expired or a flushed item counts as reclaimed, once', async t => {
  for (const mode of [Mode.SET, Mode.ADD]) {
    const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB }))
    const { arena } = peer.cache.shards[0]
    const reclaimed = () => {
      let sum = 0
      for (let id = 1; id <= arena.classCount; id++) {
        sum += arena.counters[classCounterAt(id, ClassCounter.RECLAIMED)]
      }
      return sum
    }
    peer.set('k', ONE)
    peer.set('k', ONE)
    t.equal(reclaimed(), 0, 'a live item is replaced')
    t.equal(peer.touch('k', peer.nowS() + 1), Status.OK)
    peer.setClock(peer.nowS() + 2)
    t.equal(peer.store(mode, 'k', ONE), Status.OK)
    t.equal(reclaimed(), 1, 'an expired one')
    for (const shard of peer.cache.shards) shard.flush(0)
    t.equal(peer.store(mode, 'k', ONE), Status.OK)
    t.equal(reclaimed(), 2, 'a flushed one')
    t.equal(peer.get('none'), undefined)
    t.equal(reclaimed(), 2)
    peer.verify()
  }
})
