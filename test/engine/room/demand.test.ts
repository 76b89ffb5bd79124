// Memory follows demand: free and dead memory of any class, whatever freed it, goes to the class
// that wants it before a live item is evicted, in every mode, with and without evictions, and
// without help of upkeep.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import type { Ref } from '../../../lib/engine/arena/layout.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../../lib/engine/cache.ts'
import { hasSlack } from '../../../lib/engine/chunks/slack.ts'
import { isDead } from '../../../lib/engine/items/links.ts'
import { walkItems } from '../../../lib/engine/items/walk.ts'
import { MovePhase } from '../../../lib/engine/room/moves.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { type Held, Peer } from '../../support/engine-peer.ts'
import { isWhole, makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'

const SETTINGS: [name: string, options: Partial<CacheOptions>][] = [
  ['by worth', { eviction: 'worth' }],
  ['segmented', { eviction: 'segmented' }],
  ['by age', { eviction: 'lru' }],
  ['without evictions', { evictions: false }],
  ['in four arenas', { eviction: 'worth', memoryBytes: 16 * MIB, shards: 4 }],
  ['in large pages', { eviction: 'worth', memoryBytes: 256 * MIB }],
]
const OLD_BYTES = 11_000
const NEW_BYTES = 4000
const HALF_BYTES = 6000

/** Share of its page that an old item takes, and share of the memory that is left for values. */
const OLD_SHARE_BYTES = 13_200
const USABLE = 0.83
/** The kind of step that appends. */
const JOINS = 6
const seed = announceSeed(t)

for (const [name, options] of SETTINGS) {
  t.test(`${name}: the room of deleted items is used`, async t => {
    const { peer, bytes } = createPeer(options)
    const olds = fill(peer, 'old', bytes, OLD_BYTES)
    const half = Array.from({ length: olds }, (_, i) => `old${i}`).filter((_, i) => i % 2 === 0)
    for (const key of half) peer.remove(key)
    const left = countHits(peer, 'old', olds)
    const kept = fillAndCount(peer, 'new', bytes, HALF_BYTES)
    const free = bytes * USABLE - left * OLD_SHARE_BYTES
    t.ok(kept * HALF_BYTES > free, `${kept} items, room for ${Math.floor(free / HALF_BYTES)}`)
    peer.verify()
  })

  t.test(`${name}: the room of flushed items is used at once`, async t => {
    const { peer, bytes } = createPeer(options)
    fill(peer, 'old', bytes, OLD_BYTES)
    peer.flush(peer.nowS())
    const kept = fillAndCount(peer, 'new', bytes, NEW_BYTES)
    t.ok(kept * NEW_BYTES > bytes * USABLE, `${kept} items`)
    peer.verify()
  })

  t.test(`${name}: the room of expired items is used at once`, async t => {
    const { peer, bytes } = createPeer(options)
    fill(peer, 'old', bytes, OLD_BYTES, peer.nowS() + 1)
    peer.setClock(peer.nowS() + 1)
    const kept = fillAndCount(peer, 'new', bytes, NEW_BYTES)
    t.ok(kept * NEW_BYTES > bytes * USABLE, `${kept} items`)
    peer.verify()
  })

  t.test(`${name}: the room of items replaced by small ones is used`, async t => {
    const { peer, bytes } = createPeer(options)
    const olds = fill(peer, 'old', bytes, OLD_BYTES)
    for (let i = 0; i < olds; i++) peer.set(`old${i}`, makeValue(i, 8))
    const kept = fillAndCount(peer, 'new', bytes, NEW_BYTES)
    t.ok(kept * NEW_BYTES > bytes * USABLE, `${kept} items`)
    peer.verify()
  })
}

t.test('appends that outgrow their class use the room of deleted items', async t => {
  const { peer, bytes } = createPeer({ eviction: 'worth' })
  const olds = fill(peer, 'old', bytes, OLD_BYTES)
  peer.set('grown', makeValue(1, 100))
  for (let i = 0; i < olds; i++) if (i % 2 === 0) peer.remove(`old${i}`)
  const left = countHits(peer, 'old', olds)
  for (let i = 0; i < 5; i++) peer.store(Mode.APPEND, 'grown', makeValue(i, 5000))
  t.equal(peer.get('grown')?.value.length, 25_100)
  t.equal(countHits(peer, 'old', olds), left)
  peer.verify()
})

t.test('items that grow all at once are whole, wherever they went', async t => {
  const { peer, bytes } = createPeer({ eviction: 'worth', memoryBytes: 8 * MIB })
  const count = Math.floor(bytes / 50_000)
  for (let i = 0; i < count; i++) peer.set(`grown${i}`, makeValue(i, 1500))
  for (let round = 1; round < 20; round++) {
    for (let i = 0; i < count; i++) peer.store(Mode.APPEND, `grown${i}`, makeValue(i, 1500))
    peer.verify()
  }
  let whole = 0
  for (let i = 0; i < count; i++) {
    const value = peer.get(`grown${i}`)?.value
    if (value === undefined) continue
    for (let at = 0; at < value.length; at += 1500) {
      assert(value.subarray(at, at + 1500).equals(makeValue(i, 1500)), 'another value')
    }
    if (value.length === 20 * 1500) whole++
  }
  t.ok(whole > count / 2, `${whole} of ${count} have grown to the end`)
})

t.test(
  'where the pages with room are held, others are tried, and then the class evicts',
  async t => {
    const { peer, bytes } = createPeer({ eviction: 'worth', fitted: false })
    const olds = fill(peer, 'old', bytes, OLD_BYTES)
    fill(peer, 'new', 400_000, NEW_BYTES)
    const held: Held[] = []
    for (let i = 1; i < olds; i += 2) {
      const hold = peer.begin(Mode.SET, `up${i}`, OLD_BYTES)
      if (hold !== undefined) held.push(hold)
    }
    for (let i = 0; i < olds; i++) peer.remove(`old${i}`)
    for (let i = 0; i < 200; i++) t.equal(peer.set(`more${i}`, makeValue(i, NEW_BYTES)), Status.OK)
    peer.verify()
    for (const hold of held) peer.release(hold)
    peer.setClock(peer.nowS() + 1)
    const kept = fillAndCount(peer, 'last', bytes, NEW_BYTES)
    t.ok(kept * NEW_BYTES > bytes * USABLE, `${kept} items`)
    peer.verify()
  },
)

for (const evictions of [true, false]) {
  t.test(`random steps, ${evictions ? 'with' : 'without'} evictions`, async t => {
    const options = { eviction: 'worth', evictions, hashpower: 6 } as const
    const { peer } = createPeer(options)
    const { arena } = peer.cache.shards[0]
    const random = createRandom(seed, evictions ? 1 : 2)
    let evicted = 0
    let isChecked = true
    arena.witness = {
      evicting: () => {
        evicted++
        // A move that began before there was slack still ends by its first plan.
        if (isChecked && arena.words[L.MOVE_PHASE] === MovePhase.NONE) checkWanted(arena)
      },
    }
    for (let round = 0; round < 60; round++) {
      const kind = random.below(10)
      // append and prepend find room in few steps, or evict, because they keep the lock.
      isChecked = kind !== JOINS
      step(peer, random, kind)
      peer.verify()
    }
    t.equal(evicted > 0, evictions, `${evicted} evicted`)
  })
}

/** A random step that fills or frees memory. */
function step(peer: Peer, random: Random, kind: number): void {
  const length = Math.floor(2 ** (5 + random.below(90) / 10))
  if (kind === 0) peer.flush(peer.nowS())
  if (kind === 1) peer.setClock(peer.nowS() + random.between(1, 20))
  if (kind === 2) peer.cache.upkeep(0)
  for (let i = 0; i < 600; i++) {
    const key = `k${random.below(4000)}`
    const expiresAtS = random.once(3) ? peer.nowS() + random.between(1, 10) : 0
    if (kind === 3 || kind === 4) peer.remove(key)
    else if (kind === 5) check(peer, key)
    else if (kind === JOINS) peer.store(Mode.APPEND, key, makeValue(i, 0))
    else peer.set(key, makeValue(i, length), { expiresAtS })
  }
}

function check(peer: Peer, key: string): void {
  const hit = peer.get(key)
  assert(hit === undefined || isWhole(hit.value), `${key} is torn`)
}

/** Asserts that a live item may be evicted now. */
function checkWanted(arena: Arena): void {
  for (let classId = 1; classId <= arena.classCount; classId++) {
    assert(!hasSlack(arena, classId), `class ${classId} has a page's worth of free chunks`)
  }
  // A page's worth of dead items, spread evenly, may be missed (reap.ts), but not this much.
  const pages = deadBytes(arena) / (arena.pageWords * 4)
  assert(pages < 12, `${pages} pages' worth of dead items`)
}

function deadBytes(arena: Arena): number {
  const cursor = { page: 0, chunk: 0 }
  const classes = new Uint8Array(64).fill(1, 1)
  let bytes = 0
  const sink = {
    take: ({ words }: Arena, ref: Ref) => {
      const classId = L.metaClass(words[ref + L.ITEM_META])
      if (isDead(arena, ref)) bytes += words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] * 4
      return true
    },
  }
  while (walkItems(arena, cursor, classes, sink));
  return bytes
}

function createPeer(options: Partial<CacheOptions>): { peer: Peer; bytes: number } {
  const bytes = options.memoryBytes ?? 4 * MIB
  return { peer: new Peer(Cache.create({ memoryBytes: bytes, hashpower: 6, ...options })), bytes }
}

/** Stores values of this many bytes in total. Returns their number. */
function fill(peer: Peer, name: string, bytes: number, length: number, expiresAtS = 0): number {
  const count = Math.floor(bytes / length)
  const value = makeValue(1, length)
  for (let i = 0; i < count; i++) peer.set(name + i, value, { expiresAtS })
  return count
}

function fillAndCount(peer: Peer, name: string, bytes: number, length: number): number {
  return countHits(peer, name, fill(peer, name, bytes, length))
}

function countHits(peer: Peer, name: string, count: number): number {
  let hits = 0
  for (let i = 0; i < count; i++) if (peer.get(name + i) !== undefined) hits++
  return hits
}
