// What needs a longer item than the old one gets a copy: the copy has the place of the old item,
// and without memory for it the old one stays.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { keyAt, keyBytesOf } from '../../../lib/engine/items/item.ts'
import { coldest } from '../../../lib/engine/items/lru.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'

const LENGTH = 100

t.test('a touch that copies an item does not make it newer', async t => {
  const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB, fitted: false }))
  for (const key of ['a', 'b', 'c']) peer.set(key, makeValue(1, LENGTH))
  const classId = classOfColdest(peer)
  peer.touch('a', peer.nowS() + 1000)
  t.equal(keyOfColdest(peer, classId), 'a')
  peer.touch('b', peer.nowS() + 1000)
  peer.remove('a')
  t.equal(keyOfColdest(peer, classId), 'b')
  peer.touch('c', peer.nowS() + 1000)
  t.equal(keyOfColdest(peer, classId), 'b')
  peer.verify()
})

for (const mode of [Mode.APPEND, Mode.PREPEND] as const) {
  t.test(`mode ${mode} without memory for the whole is an error, not a missing item`, async t => {
    const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB, evictions: false }))
    const value = makeValue(1, 5000)
    const part = makeValue(2, 5000)
    assert.equal(peer.set('k', value), Status.OK)
    let count = 0
    while (peer.set(`part${count}`, part) === Status.OK) count++
    assert(count > 100)
    peer.remove('part50')
    t.equal(peer.store(mode, 'k', part), Status.NO_MEMORY)
    t.ok(peer.get('k')?.value.equals(value), 'it has its old value')
    peer.verify()
  })
}

/** The class of the items, which are all of one length. */
function classOfColdest({ cache }: Peer): number {
  const { arena } = cache.shards[0]
  for (let classId = 1; classId <= arena.classCount; classId++) {
    if (coldest(arena, classId) !== L.NIL) return classId
  }
  throw new Error('there is no item')
}

function keyOfColdest({ cache }: Peer, classId: number): string {
  const { arena } = cache.shards[0]
  const ref = coldest(arena, classId)
  const start = keyAt(arena, ref)
  return arena.area.bytes.toString('latin1', start, start + keyBytesOf(arena, ref))
}
