// Requests that replace an item by a copy find out late that they need memory: touch, incr, append.
// They wait for it in steps, as stores do, and evict nothing while there is free memory elsewhere.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { type Arena, chunkWords } from '../../../lib/engine/arena/arena.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { pagesAboveLimit } from '../../../lib/engine/chunks/slabs.ts'
import { MovePhase } from '../../../lib/engine/room/moves.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'

const SMALL_BYTES = 20
const LARGE_BYTES = 11_000
const LONG_BYTES = 40_000
/** A copy with anything more has a class of its own: bytes of the item's chunk, at least. */
const CHUNK_BYTES_MIN = 120
const ONE = Buffer.from('1')

const REQUESTS: [name: string, run: (peer: Peer, key: string) => Status][] = [
  ['touch', (peer, key) => peer.touch(key, peer.nowS() + 1000)],
  ['incr', (peer, key) => peer.adjust(key, false, 10n ** 19n)],
  ['append', (peer, key) => peer.store(Mode.APPEND, key, ONE)],
]

for (const [name, run] of REQUESTS) {
  t.test(`${name}: a page of another class is emptied in steps`, async t => {
    const { peer, arena } = createPeer()
    const key = fullKey(arena)
    t.equal(peer.set(key, ONE), Status.OK)
    fill(peer, SMALL_BYTES)
    let outside = 0
    let inside = 0
    arena.witness = {
      evicting: () => {
        if (arena.words[L.MOVE_PHASE] === MovePhase.NONE) outside++
        else inside++
      },
    }
    t.equal(run(peer, key), Status.OK)
    t.ok(inside > 100, `${inside} items were evicted from a page that moves`)
    t.equal(outside, 0)
    t.ok(peer.get(key))
    peer.verify()
  })

  t.test(`${name}: free memory is taken before a live item`, async t => {
    const { peer, arena } = createPeer()
    const key = fullKey(arena)
    const count = fill(peer, LARGE_BYTES)
    t.equal(peer.set(key, ONE), Status.OK)
    fill(peer, SMALL_BYTES)
    for (let i = 0; i < count; i++) peer.remove(`${LARGE_BYTES}-${i}`)
    let evicted = 0
    arena.witness = { evicting: () => evicted++ }
    t.equal(run(peer, key), Status.OK)
    t.equal(evicted, 0)
    peer.verify()
  })
}

t.test('the last free page counts once for a long item that grows', async t => {
  for (let length = 1000; length < 60_000; length += 3000) {
    const { peer, arena } = createPeer()
    t.equal(peer.set('long', makeValue(1, LONG_BYTES)), Status.OK)
    let count = 0
    while (pagesAboveLimit(arena) < -1) peer.set(`k${count}`, makeValue(count++, LARGE_BYTES))
    for (let i = 0; i < count; i += 2) peer.remove(`k${i}`)
    let evicted = 0
    arena.witness = { evicting: () => evicted++ }
    t.equal(peer.store(Mode.APPEND, 'long', makeValue(1, length)), Status.OK)
    if (evicted > 0) t.fail(`${evicted} items were evicted for ${length} bytes more`)
    peer.verify()
  }
})

function createPeer(): { peer: Peer; arena: Arena } {
  const options = { memoryBytes: 4 * MIB, hashpower: 6, eviction: 'worth', fitted: false } as const
  const peer = new Peer(Cache.create(options))
  return { peer, arena: peer.cache.shards[0].arena }
}

/** A key with which ONE fills its chunk. */
function fullKey(arena: Arena): string {
  let classId = 1
  while (chunkWords(arena, classId) * 4 < CHUNK_BYTES_MIN) classId++
  return 'n'.padEnd(chunkWords(arena, classId) * 4 - L.ITEM_WORDS * 4 - ONE.length, 'k')
}

/** Stores values of one length until one was evicted. Returns their count. */
function fill(peer: Peer, length: number): number {
  const { arena } = peer.cache.shards[0]
  let evicted = 0
  arena.witness = { evicting: () => evicted++ }
  let count = 0
  while (evicted === 0) peer.set(`${length}-${count}`, makeValue(count++, length))
  return count
}
