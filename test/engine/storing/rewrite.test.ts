// A set over an item of the same shape writes in place. Over an item of another shape, or one that
// is held, it creates a new item. Peers see no difference.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import {
  ClassCounter,
  Counter,
  classCounterAt,
  counterAt,
} from '../../../lib/engine/arena/counters.ts'
import type { Ref } from '../../../lib/engine/arena/layout.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { lock } from '../../../lib/engine/arena/lock.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { findItem } from '../../../lib/engine/items/table.ts'
import { ENDLESS_VALUE_BYTES_MAX, EVICTIONS } from '../../../lib/engine/limits.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Peer, type StoreOptions } from '../../support/engine-peer.ts'

const DAY_S = 86_400
const CLASS_BITS = 63 << L.META_CLASS_SHIFT

t.test('a set of the same shape stays in place, as a new item', async t => {
  const { peer, arena } = createPeer()
  for (const [before, after] of [
    [{}, {}],
    [{ flags: 7 }, { flags: 4_294_967_295 }],
    [{ expiresAtS: 2 * DAY_S }, { expiresAtS: 3 * DAY_S }],
    [
      { flags: 1, expiresAtS: 2 * DAY_S },
      { flags: 2, expiresAtS: 3 * DAY_S },
    ],
  ]) {
    peer.set('k', Buffer.from('first'), before)
    const ref = refOf(peer, 'k')
    const first = peer.get('k')
    peer.get('k')
    const sets = setsOf(peer, ref)
    const total = arena.counters[counterAt(Counter.TOTAL_ITEMS)]
    t.equal(peer.set('k', Buffer.from('next'), after), Status.OK)
    const next = peer.get('k')
    assert(first !== undefined && next !== undefined)
    t.equal(refOf(peer, 'k'), ref, 'the item is where it was')
    t.equal(`${next.value}`, 'next')
    t.equal(next.flags, 'flags' in after ? after.flags : 0)
    t.ok(next.casLow > first.casLow, 'with a new CAS')
    t.equal(setsOf(peer, ref), sets + 1)
    t.equal(arena.counters[counterAt(Counter.TOTAL_ITEMS)], total + 1)
    peer.verify()
    peer.remove('k')
  }
})

t.test('it counts as not fetched, but is not evicted first', async t => {
  const { peer, arena } = createPeer()
  arena.words[L.EVICTION] = EVICTIONS.indexOf('segmented')
  peer.set('k', Buffer.from('first'))
  peer.get('k')
  peer.set('k', Buffer.from('next'))
  const meta = arena.words[refOf(peer, 'k') + L.ITEM_META]
  t.equal(meta & L.STATE_FETCHED, 0)
  t.not(meta & L.STATE_ACTIVE, 0)
  peer.get('k')
  t.not(arena.words[refOf(peer, 'k') + L.ITEM_META] & L.STATE_FETCHED, 0)
})

t.test('another shape makes another item', async t => {
  const short = Buffer.from('v')
  const cases: [what: string, before: StoreOptions, value: Buffer, after: StoreOptions][] = [
    ['flags', {}, short, { flags: 1 }],
    ['no flags', { flags: 1 }, short, {}],
    ['an end', {}, short, { expiresAtS: 2 * DAY_S }],
    ['no end', { expiresAtS: 2 * DAY_S }, short, {}],
    ['a longer value', {}, Buffer.alloc(3000), {}],
    ['an end that is near', { expiresAtS: 2 * DAY_S }, short, { expiresAtS: 5 }],
  ]
  for (const [what, before, value, after] of cases) {
    const { peer, arena } = createPeer()
    arena.words[L.LRU_TEMPORARY_TTL_S] = 60
    peer.set('k', short, before)
    const ref = refOf(peer, 'k')
    peer.set('k', value, after)
    t.not(refOf(peer, 'k'), ref, what)
    t.ok(peer.get('k')?.value.equals(value))
    t.equal(peer.get('k')?.flags, after.flags ?? 0)
    peer.verify()
  }
})

t.test('a value that a peer still reads is left unchanged', async t => {
  const { peer } = createPeer()
  peer.set('k', Buffer.from('first'))
  const held = peer.hold('k')
  assert(held !== undefined)
  peer.set('k', Buffer.from('after'))
  t.equal(`${peer.read(held, 0, 5)}`, 'first')
  t.equal(`${peer.get('k')?.value}`, 'after')
  peer.release(held)
  peer.verify()
})

t.test('an append stays in place while the chunk has room for it', async t => {
  const { peer, arena } = createPeer()
  peer.set('k', Buffer.alloc(5000, 'v'), { flags: 7, expiresAtS: 2 * DAY_S })
  const size = arena.words[refOf(peer, 'k') + L.ITEM_META] & CLASS_BITS
  let value = Buffer.alloc(5000, 'v')
  let stayed = 0
  let moved = 0
  for (let i = 0; i < 200; i++) {
    const before = { ref: refOf(peer, 'k'), cas: peer.get('k')?.casLow ?? 0 }
    const part = Buffer.alloc(30, `${i % 10}`)
    assert.equal(peer.store(Mode.APPEND, 'k', part), Status.OK)
    value = Buffer.concat([value, part])
    const { ref, cas } = { ref: refOf(peer, 'k'), cas: peer.get('k')?.casLow ?? 0 }
    if (ref === before.ref) stayed++
    else moved++
    assert(cas > before.cas, 'a new CAS')
  }
  const hit = peer.get('k')
  t.ok(hit?.value.equals(value))
  t.equal(hit?.flags, 7)
  t.ok(stayed > 10 * moved && moved > 0, `${stayed} in place, ${moved} copied`)
  t.not(arena.words[refOf(peer, 'k') + L.ITEM_META] & CLASS_BITS, size, 'it grew')
  peer.verify()
})

t.test('an append to a value that a peer still reads makes another item', async t => {
  const { peer } = createPeer()
  peer.set('k', Buffer.from('first'))
  const held = peer.hold('k')
  const ref = refOf(peer, 'k')
  assert(held !== undefined)
  t.equal(peer.store(Mode.APPEND, 'k', Buffer.from('after')), Status.OK)
  t.not(refOf(peer, 'k'), ref)
  t.equal(`${peer.read(held, 0, 5)}`, 'first')
  t.equal(`${peer.get('k')?.value}`, 'firstafter')
  peer.release(held)
  peer.verify()
})

t.test('an append that needs a word for its expiry, or is too long, is not in place', async t => {
  const { peer, arena } = createPeer()
  peer.set('k', Buffer.alloc(ENDLESS_VALUE_BYTES_MAX))
  t.equal(peer.store(Mode.APPEND, 'k', Buffer.from('x')), Status.OK)
  t.not(arena.words[refOf(peer, 'k') + L.ITEM_META] & L.STATE_ENDS, 0)
  t.equal(peer.get('k')?.value.length, ENDLESS_VALUE_BYTES_MAX + 1)
  t.equal(peer.store(Mode.APPEND, 'none', Buffer.from('x')), Status.NOT_STORED)
  peer.verify()
})

t.test('an item whose writer died halfway is dropped', async t => {
  const dead = new Peer(Cache.create({ memoryBytes: 4 * MIB }, 7))
  const peer = new Peer(Cache.attach(dead.cache.handle, 8))
  const { arena } = peer.cache.shards[0]
  peer.set('a', Buffer.from('value'))
  peer.set('b', Buffer.from('value'))
  // State of a death in the middle of a value: the lock is held, the item named, some bytes are
  // new.
  dead.set('a', Buffer.from('other'))
  lock(arena.words, 7)
  arena.words[L.REWRITING] = refOf(peer, 'a')
  t.equal(peer.cache.recover(7), 0)
  t.equal(peer.get('a'), undefined)
  t.equal(`${peer.get('b')?.value}`, 'value')
  peer.verify()
})

t.test('it is half written while it has its old CAS', async t => {
  const { peer, arena } = createPeer()
  peer.set('k', Buffer.from('1'))
  const ref = refOf(peer, 'k')
  // Every function reads the words once: this is what the last one to see the old CAS saw.
  const { words } = arena
  let isNamed = false
  let cas = words[L.CAS_LOW]
  Object.defineProperty(arena, 'words', {
    get: () => {
      if (words[L.CAS_LOW] === cas) isNamed = words[L.REWRITING] === ref
      return words
    },
  })
  peer.set('k', Buffer.from('2'))
  t.ok(isNamed, 'a set')
  cas = words[L.CAS_LOW]
  peer.adjust('k', false, 1n)
  t.ok(isNamed, 'a number counted up')
  t.equal(arena.words[L.REWRITING], L.NIL)
})

function createPeer() {
  const peer = new Peer(Cache.create({ memoryBytes: 4 * MIB }))
  return { peer, arena: peer.cache.shards[0].arena }
}

function refOf(peer: Peer, name: string): Ref {
  const { arena } = peer.find(name)
  const { hash, area, keyStart, keyBytes } = peer.ask
  return findItem(arena, hash, area, keyStart, keyBytes)
}

function setsOf(peer: Peer, ref: Ref): number {
  const { words, counters } = peer.cache.shards[0].arena
  return counters[classCounterAt(L.metaClass(words[ref + L.ITEM_META]), ClassCounter.SET_CMDS)]
}
