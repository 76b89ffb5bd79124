// What uploads and values being sent may keep of an arena, what is refused beyond it, and what that
// leaves to the others.

import assert from 'node:assert/strict'
import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { HOLD_SLOTS_MAX } from '../../../lib/engine/arena/arena.ts'
import { Counter, counterAt } from '../../../lib/engine/arena/counters.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { READS_SLOTS_SHARE, UPLOADS_SLOTS_SHARE } from '../../../lib/engine/limits.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { type Held, Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

const SMALL = makeValue(1, 100)
const SMALL_COUNT = 300
const LONG_BYTES = 300_000
/** A quarter of 4 MiB, and one more; a half of it, and one more. */
const UPLOADS_MAX = 4
const READS_MAX = 7

t.test('stalled uploads keep their share and no more', async t => {
  const { peer, arena } = createPeer()
  storeSmall(peer)
  const uploads: Held[] = []
  for (let i = 0; i < 30; i++) {
    const one = peer.begin(Mode.SET, `up${i}`, LONG_BYTES)
    if (one === undefined) continue
    t.equal(peer.fill(one, makeValue(i, 5000)), Status.OK)
    uploads.push(one)
  }
  t.equal(peer.status, Status.NO_MEMORY)
  t.equal(uploads.length, UPLOADS_MAX)
  t.equal(arena.counters[counterAt(Counter.UPLOADS_REFUSED)], 30 - UPLOADS_MAX)
  t.equal(smallLeft(peer), SMALL_COUNT)
  t.ok(usedBytes(peer) < UPLOADS_MAX * 40_000 + 100_000, 'chunks come as bytes come')
  peer.verify()
  for (let i = 0; i < 40; i++) t.equal(peer.set(`l${i}`, makeValue(i, LONG_BYTES)), Status.OK)
  for (const [i, one] of uploads.entries()) {
    const rest = makeValue(i, LONG_BYTES).subarray(5000)
    t.equal(peer.fill(one, rest), Status.OK, 'what has begun can be completed')
    t.equal(peer.commit(Mode.SET, one), Status.OK)
    t.ok(peer.begin(Mode.SET, 'next', LONG_BYTES), 'and leaves its share to another')
  }
  peer.verify()
})

t.test('an upload gets a chunk when its bytes need it', async t => {
  const { peer } = createPeer()
  const one = peer.begin(Mode.SET, 'two chunks', 50_000)
  assert(one !== undefined)
  const before = usedBytes(peer)
  t.equal(peer.fill(one, makeValue(1, 5000)), Status.OK)
  t.equal(usedBytes(peer), before)
  t.equal(peer.fill(one, makeValue(1, 45_000)), Status.OK)
  t.ok(usedBytes(peer) > before)
  t.equal(peer.commit(Mode.SET, one), Status.OK)
})

t.test('an upload beyond the share may wait, and changes nothing meanwhile', async t => {
  const { peer, arena } = createPeer()
  peer.set('old', SMALL)
  const uploads = Array.from({ length: UPLOADS_MAX }, (_, i) =>
    peer.begin(Mode.SET, `up${i}`, LONG_BYTES),
  )
  peer.waits = true
  t.notOk(peer.begin(Mode.SET, 'old', LONG_BYTES))
  t.equal(peer.status, Status.BUSY)
  t.ok(peer.get('old'))
  t.notOk(peer.begin(Mode.SET, 'old', 5 * MIB))
  t.equal(peer.status, Status.TOO_LARGE, 'a value that is too long does not')
  t.equal(arena.counters[counterAt(Counter.UPLOADS_REFUSED)], 0)
  peer.waits = false
  t.notOk(peer.begin(Mode.SET, 'old', LONG_BYTES))
  t.equal(peer.status, Status.NO_MEMORY)
  t.equal(arena.counters[counterAt(Counter.UPLOADS_REFUSED)], 1)
  for (const one of uploads) if (one !== undefined) peer.release(one)
  t.equal(arena.words[L.UPLOADS_HELD], 0)
  t.equal(arena.words[L.UPLOAD_SLOTS], 0)
  peer.verify()
})

t.test('the longest value can be uploaded and read beside others', async t => {
  const { peer } = createPeer()
  const longest = makeValue(3, 2 * MIB)
  t.ok(peer.begin(Mode.SET, 'stalled', LONG_BYTES))
  const one = peer.begin(Mode.SET, 'longest', longest.length)
  assert(one !== undefined)
  t.equal(peer.fill(one, longest), Status.OK)
  t.equal(peer.commit(Mode.SET, one), Status.OK)
  peer.copyRoom.bytes = 0
  t.ok(peer.hold('longest'))
  t.ok(peer.hold('longest'), 'by any number of peers')
  peer.verify()
})

t.test('values being sent keep their share, and the next must be copied', async t => {
  const { peer, arena } = createPeer()
  const random = createRandom(seed)
  storeSmall(peer)
  const held: Held[] = []
  for (let i = 0; i < READS_MAX; i++) {
    peer.set(`k${i}`, makeValue(i, LONG_BYTES))
    for (let times = 0; times < 3; times++) {
      const one = peer.hold(`k${i}`)
      if (one === undefined || peer.ask.mustCopy) t.fail(`k${i} is not held`)
      else held.push(one)
    }
  }
  peer.verify()
  peer.set('more', makeValue(9, LONG_BYTES))
  const beyond = peer.hold('more')
  t.ok(peer.ask.mustCopy)
  if (beyond !== undefined) peer.release(beyond)
  peer.copyRoom.bytes = LONG_BYTES - 1
  t.notOk(peer.hold('more'))
  t.equal(peer.status, Status.NO_MEMORY, 'where it cannot be copied that is said')
  t.equal(arena.counters[counterAt(Counter.READS_COPIED)], 1)
  t.equal(arena.counters[counterAt(Counter.READS_REFUSED)], 1)
  for (let i = 0; i < 40; i++) t.equal(peer.set(`l${i}`, makeValue(i, LONG_BYTES)), Status.OK)
  t.equal(smallLeft(peer), SMALL_COUNT)
  for (const one of shuffled(held, random)) {
    peer.release(one)
    peer.verify()
  }
  t.equal(arena.words[L.READS_HELD], 0)
})

t.test('uploads and reads leave hold slots to each other', async t => {
  const { peer } = createPeer()
  peer.set('a', SMALL)
  let uploads = 0
  while (peer.begin(Mode.SET, `up${uploads}`, 10) !== undefined) uploads++
  t.equal(uploads, HOLD_SLOTS_MAX * UPLOADS_SLOTS_SHARE)
  let reads = 0
  while (peer.hold('a') !== undefined && !peer.ask.mustCopy) reads++
  t.equal(uploads + reads, HOLD_SLOTS_MAX * READS_SLOTS_SHARE)
  t.ok(peer.ask.mustCopy, 'the others are copied')
  peer.verify()
})

t.test('what a dead thread held no longer counts', async t => {
  const dead = new Peer(Cache.create({ memoryBytes: 4 * MIB }, 7))
  const peer = new Peer(Cache.attach(dead.cache.handle, 8))
  const { arena } = peer.cache.shards[0]
  peer.set('a', makeValue(1, LONG_BYTES))
  t.ok(dead.hold('a') && peer.hold('a') && dead.begin(Mode.SET, 'b', LONG_BYTES))
  const read = arena.words[L.READS_HELD]
  peer.cache.recover(7)
  t.equal(arena.words[L.READS_HELD], read, 'a value that another sends still counts')
  t.equal(arena.words[L.UPLOADS_HELD], 0)
  peer.verify()
})

t.test('a class whose items are all held leaves others their last page', async t => {
  const { peer } = createPeer()
  storeSmall(peer)
  const middle = makeValue(2, 3000)
  t.equal(peer.set('middle', middle), Status.OK)
  let held = 0
  while (peer.set(`k${held}`, makeValue(held, 30_000)) === Status.OK && held < 1000) {
    t.ok(peer.hold(`k${held++}`))
  }
  t.ok(held > 100, `${held} of 30 kB in 4 MiB`)
  t.equal(smallLeft(peer), SMALL_COUNT)
  t.ok(peer.get('middle')?.value.equals(middle))
  t.equal(peer.set('s-new', SMALL), Status.OK)
  peer.verify()
})

function createPeer() {
  const cache = Cache.create({ memoryBytes: 4 * MIB, itemBytesMax: 3 * MIB, fitted: false })
  const peer = new Peer(cache)
  return { peer, arena: cache.shards[0].arena }
}

function storeSmall(peer: Peer): void {
  for (let i = 0; i < SMALL_COUNT; i++) peer.set(`s${i}`, SMALL)
}

function smallLeft(peer: Peer): number {
  let left = 0
  for (let i = 0; i < SMALL_COUNT; i++) if (peer.get(`s${i}`) !== undefined) left++
  return left
}

function usedBytes(peer: Peer): number {
  const { words, classCount } = peer.cache.shards[0].arena
  let used = 0
  for (let classId = 1; classId <= classCount; classId++) {
    const at = L.classAt(classId)
    used += words[at + L.CLASS_USED_COUNT] * words[at + L.CLASS_CHUNK_WORDS] * 4
  }
  return used
}

function shuffled<T>(all: readonly T[], random: ReturnType<typeof createRandom>): T[] {
  const left = [...all]
  return all.map(() => left.splice(random.below(left.length), 1)[0])
}
