// Walks over the table: whatever is stored, deleted, moved or grown meanwhile, a key that is there
// during the whole walk is shown, and an item that stays as it is is shown once.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import type { Arena } from '../../../lib/engine/arena/arena.ts'
import { FLUSHES, type Ref } from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { keyAt, keyBytesOf } from '../../../lib/engine/items/item.ts'
import { type ItemSink, tableCursor, Walked } from '../../../lib/engine/items/walk.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Peer } from '../../support/engine-peer.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'

const seed = announceSeed(t)

/** Takes some items at a time, and counts how often each key was shown. */
class Counts implements ItemSink {
  readonly shown = new Map<string, number>()
  room = 0

  take(arena: Arena, ref: Ref): boolean {
    if (this.room === 0) return false
    this.room--
    const at = keyAt(arena, ref)
    const key = arena.area.bytes.toString('latin1', at, at + keyBytesOf(arena, ref))
    this.shown.set(key, (this.shown.get(key) ?? 0) + 1)
    return true
  }
}

/** Walks all arenas, and calls `between` after each stretch. */
function walk(cache: Cache, random: Random, between: () => void): Map<string, number> {
  const sink = new Counts()
  for (const shard of cache.shards) {
    const cursor = tableCursor()
    do {
      sink.room = random.between(1, 40)
      between()
    } while (shard.walkTable(cursor, sink) !== Walked.ALL)
  }
  return sink.shown
}

t.test('without changes each live item is shown once, also in long chains', async t => {
  for (const tableGrows of [true, false]) {
    const cache = Cache.create({ memoryBytes: 16 * MIB, shards: 2, hashpower: 6, tableGrows })
    const peer = new Peer(cache)
    for (let i = 0; i < 5000; i++) peer.set(`key-${i}`, Buffer.from(`${i}`))
    peer.set('dead', Buffer.from('x'), { expiresAtS: 1 })
    const shown = walk(cache, createRandom(seed), () => {})
    t.equal(shown.size, 5000)
    t.ok([...shown.values()].every(times => times === 1))
    t.notOk(shown.has('dead'))
  }
})

t.test('a key that is there during the whole walk is shown', async t => {
  for (let round = 0; round < runs(10, 300); round++) {
    const random = createRandom(seed, round)
    const cache = Cache.create({
      memoryBytes: 64 * MIB,
      shards: random.between(1, 3),
      hashpower: 6,
    })
    const peer = new Peer(cache)
    const stays: string[] = []
    for (let i = 0; i < 2000; i++) {
      const key = `stays-${i}`
      stays.push(key)
      peer.set(key, Buffer.alloc(random.below(200)))
    }
    let added = 0
    const shown = walk(cache, random, () => {
      for (let i = random.below(30); i > 0; i--) {
        // Rewritten in place or in another chunk, and the table grows.
        peer.set(random.pick(stays), Buffer.alloc(random.below(2000)))
        peer.set(`new-${added++}`, Buffer.alloc(10))
        if (random.once(2)) peer.remove(`new-${random.below(added)}`)
      }
    })
    const missing = stays.filter(key => !shown.has(key))
    if (missing.length > 0) t.fail(`seed ${seed}, round ${round}: ${missing.length} are missing`)
    peer.verify()
  }
  t.pass()
})

t.test('a fill never wins over what clients do', async t => {
  const cache = Cache.create({ memoryBytes: 8 * MIB, shards: 2, filled: true })
  const peer = new Peer(cache)
  const flushes = cache.shards.map(({ arena }) => arena.words[FLUSHES])
  const fill = (key: string) => {
    const shard = peer.find(key)
    const { ask } = peer
    ask.mode = Mode.FILL
    ask.isPlain = false
    ask.changed = cache.changed
    ask.flushes = flushes[cache.shards.indexOf(shard)]
    ask.valueBytes = 0
    return shard.store(ask, ask.area, 0)
  }
  t.equal(fill('a'), Status.OK)
  t.equal(fill('a'), Status.NOT_STORED, 'what is there stays')
  peer.find('b')
  cache.changed?.mark(peer.ask.hash)
  t.equal(fill('b'), Status.NOT_STORED, 'a key that was deleted stays deleted')
  peer.flush(peer.nowS())
  t.equal(fill('c'), Status.NOT_STORED, 'nothing comes back after a flush')
  t.equal(peer.get('a'), undefined)
})
