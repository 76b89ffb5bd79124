// CAS numbers: which operations compare one, which assign and return a new one, and the CAS of
// numbers that incr creates.

import t from 'tap'
import { u64 } from '../../../lib/bytes/decimal.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import {
  ClassCounter,
  Counter,
  classCounterAt,
  counterAt,
} from '../../../lib/engine/arena/counters.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { resetArena } from '../../../lib/engine/items/keeps.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { type Hit, Peer } from '../../support/engine-peer.ts'

const ONE = Buffer.from('1')
const NO_NUMBER = Buffer.from('x')

function createPeer(): Peer {
  return new Peer(Cache.create({ memoryBytes: 4 * MIB }))
}

function hitOf(peer: Peer, key: string): Hit {
  const hit = peer.get(key)
  if (hit === undefined) throw new Error(`${key} is not there`)
  return hit
}

/** The item's CAS, and a wrong one. */
function casesOf(peer: Peer, key: string) {
  const { casHigh, casLow } = hitOf(peer, key)
  return { right: { casHigh, casLow }, wrong: { casHigh, casLow: casLow + 1 } }
}

t.test('every store returns its CAS', async t => {
  const peer = createPeer()
  const stores: [name: string, store: () => Status][] = [
    ['set', () => peer.set('k', ONE)],
    ['set again', () => peer.set('k', ONE)],
    ['replace', () => peer.store(Mode.REPLACE, 'k', ONE)],
    ['append', () => peer.store(Mode.APPEND, 'k', ONE)],
    ['prepend', () => peer.store(Mode.PREPEND, 'k', ONE)],
    ['incr in place', () => peer.adjust('k', false, 1n)],
    ['incr to more digits', () => peer.adjust('k', false, 10_000n)],
    ['cas', () => peer.store(Mode.CAS, 'k', ONE, hitOf(peer, 'k'))],
    ['incr of a new number', () => peer.adjustOrAdd('k', 1n, 5n)],
  ]
  let before = 0
  for (const [name, store] of stores) {
    t.equal(store(), Status.OK, name)
    const { storedCasHigh, storedCasLow } = peer.ask
    const { casHigh, casLow } = hitOf(peer, 'k')
    t.same([storedCasHigh, storedCasLow], [casHigh, casLow], name)
    t.ok(casLow > before, `${name} gives a new one`)
    before = casLow
  }
  peer.verify()
})

t.test('append and prepend compare a CAS unless it is 0', async t => {
  const peer = createPeer()
  for (const mode of [Mode.APPEND, Mode.PREPEND]) {
    peer.set('k', ONE)
    const { right, wrong } = casesOf(peer, 'k')
    t.equal(peer.store(mode, 'k', ONE, wrong), Status.EXISTS)
    t.equal(hitOf(peer, 'k').value.toString(), '1')
    t.equal(peer.store(mode, 'k', ONE, right), Status.OK)
    t.equal(peer.store(mode, 'k', ONE, right), Status.EXISTS, 'it is not the same any more')
    t.equal(peer.store(mode, 'k', ONE), Status.OK)
    t.equal(hitOf(peer, 'k').value.toString(), '111')
    t.equal(peer.store(mode, 'none', ONE, right), Status.NOT_STORED)
  }
  peer.verify()
})

t.test('delete compares a CAS unless it is 0', async t => {
  const peer = createPeer()
  peer.set('k', ONE)
  const { right, wrong } = casesOf(peer, 'k')
  t.equal(peer.remove('k', wrong), Status.EXISTS)
  t.equal(peer.remove('k', right), Status.OK)
  t.equal(peer.remove('k', right), Status.MISS)
  peer.set('k', ONE)
  t.equal(peer.remove('k'), Status.OK)
  const { counters } = peer.cache.shards[0].arena
  t.equal(counters[classCounterAt(1, ClassCounter.DELETE_HITS)], 2)
  t.equal(counters[counterAt(Counter.DELETE_MISSES)], 1)
})

t.test('incr and decr compare a CAS unless it is 0, before they read the value', async t => {
  const peer = createPeer()
  peer.set('k', ONE)
  const { right, wrong } = casesOf(peer, 'k')
  t.equal(peer.adjust('k', false, 1n, wrong), Status.EXISTS)
  t.equal(peer.adjust('k', false, 1n, right), Status.OK)
  t.equal(hitOf(peer, 'k').value.toString(), '2')
  t.equal(peer.adjust('none', false, 1n, right), Status.MISS)
  peer.set('k', NO_NUMBER)
  t.equal(peer.adjust('k', false, 1n, right), Status.EXISTS)
  peer.set('k', Buffer.alloc(0))
  t.equal(peer.adjust('k', false, 1n, right), Status.NON_NUMERIC, 'there is no value to look at')
})

t.test('creating a missing number does not count as a store', async t => {
  const peer = createPeer()
  const largest = 2n ** 64n - 1n
  for (const [key, initial] of [
    ['zero', 0n],
    ['ten', 10n],
    ['largest', largest],
  ] as const) {
    t.equal(peer.adjustOrAdd(key, 1n, initial), Status.OK)
    t.equal(BigInt(u64.high) * 10_000_000_000n + BigInt(u64.low), initial)
    t.equal(hitOf(peer, key).value.toString(), `${initial}`)
    t.equal(peer.adjustOrAdd(key, 1n, initial), Status.OK)
    const next = (initial + 1n) % 2n ** 64n
    t.equal(hitOf(peer, key).value.toString().trim(), `${next}`)
  }
  peer.set('x', NO_NUMBER)
  t.equal(peer.adjustOrAdd('x', 1n, 5n), Status.NON_NUMERIC)
  t.equal(peer.adjustOrAdd('short', 1n, 5n, peer.nowS() + 1), Status.OK)
  peer.setClock(peer.nowS() + 1)
  t.equal(peer.get('short'), undefined, 'it ends when it was told to')
  const { counters, classCount } = peer.cache.shards[0].arena
  let sets = 0
  for (let id = 1; id <= classCount; id++) {
    sets += counters[classCounterAt(id, ClassCounter.SET_CMDS)]
  }
  t.equal(sets, 1)
  t.equal(counters[counterAt(Counter.INCR_MISSES)], 0)
  peer.verify()
})

t.test('an item that gets a TTL keeps everything else, its CAS too', async t => {
  const peer = createPeer()
  for (const length of [1, 100, 5000, 300_000]) {
    const value = Buffer.alloc(length, 'v')
    peer.set('k', value, { flags: 7 })
    const before = hitOf(peer, 'k')
    t.equal(peer.touch('k', 1000), Status.OK)
    t.same(hitOf(peer, 'k'), before, `${length} bytes`)
    t.equal(peer.touch('k', 0), Status.OK, 'and one that has had an end none')
    t.same(hitOf(peer, 'k'), before)
    peer.verify()
  }
})

t.test('no two items of a cache have one CAS, in whichever arenas they are', async t => {
  const cache = Cache.create({ memoryBytes: 16 * MIB, shards: 4 })
  t.equal(cache.shards.length, 4)
  const peer = new Peer(cache)
  const seen = new Set<number>()
  const keys = Array.from({ length: 500 }, (_, i) => `key${i}`)
  for (let round = 0; round < 3; round++) {
    for (const key of keys) {
      peer.set(key, ONE)
      const { casHigh, casLow } = hitOf(peer, key)
      seen.add(casHigh * 2 ** 32 + (casLow >>> 0))
    }
    // Numbers of the arena go on behind a reset, too.
    if (round === 1) for (const { arena } of cache.shards) resetArena(arena, new Set())
  }
  t.equal(seen.size, 3 * keys.length)
  peer.verify()
})

t.test('the sequence runs past one word', async t => {
  const peer = createPeer()
  const { words } = peer.cache.shards[0].arena
  words[L.CAS_LOW] = -3
  for (const key of ['a', 'b', 'c', 'd', 'e']) peer.set(key, ONE)
  const numbers = ['a', 'b', 'c', 'd', 'e'].map(key => {
    const { casHigh, casLow } = hitOf(peer, key)
    return casHigh * 2 ** 32 + (casLow >>> 0)
  })
  const first = 2 ** 32 - 2
  t.same(numbers, [first, first + 1, first + 2, first + 3, first + 4])
  t.equal(peer.store(Mode.CAS, 'a', ONE, hitOf(peer, 'a')), Status.OK)
  t.equal(peer.store(Mode.CAS, 'e', ONE, hitOf(peer, 'e')), Status.OK)
  peer.set('f', ONE)
  for (const shard of peer.cache.shards) shard.flush(0)
  for (const key of ['a', 'b', 'e', 'f']) t.equal(peer.get(key), undefined, `${key} is flushed`)
  peer.set('b', ONE)
  t.ok(peer.get('b'), 'what comes after the flush lives')
  peer.verify()
})
