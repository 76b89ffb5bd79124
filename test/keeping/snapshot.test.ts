// Snapshots of a cache, restored into another one of other size and other arenas.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { Status } from '../../lib/engine/status.ts'
import { momentNow, secondsBetween } from '../../lib/keeping/snapshot/moment.ts'
import { Unsound } from '../../lib/keeping/snapshot/unsound.ts'
import { Peer } from '../support/engine-peer.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { runs } from '../support/runs.ts'
import { restoreBytes, restoreFile, takeSnapshot } from '../support/snapshots.ts'

const seed = announceSeed(t)
const SECRET = Buffer.alloc(32, 7)

function peerOf(options: Partial<CacheOptions> = {}): Peer {
  return new Peer(Cache.create({ memoryBytes: 32 * MIB, eviction: 'worth', ...options }))
}

/** What a cache has of these keys. */
function contentOf(peer: Peer, keys: Iterable<string>): Map<string, string> {
  const content = new Map<string, string>()
  for (const key of keys) {
    const hit = peer.get(key)
    if (hit !== undefined) content.set(key, `${hit.flags} ${hit.value.toString('latin1')}`)
  }
  return content
}

t.test('what was in a cache is in the other one', async t => {
  const random = createRandom(seed)
  const from = peerOf({ shards: 3, itemBytesMax: 4 * MIB })
  const model = new Map<string, string>()
  for (let i = 0; i < 4000; i++) {
    const key = `key-${i}`
    // Some are copied, some held, and some longer than a block.
    const bytes = random.once(200)
      ? random.below(700 * KIB)
      : random.below(random.once(20) ? 60_000 : 300)
    const value = randomBytes(bytes)
    const flags = random.once(3) ? random.below(2 ** 32) : 0
    if (from.set(key, value, { flags }) === Status.OK)
      model.set(key, `${flags} ${value.toString('latin1')}`)
  }
  const before = contentOf(from, model.keys())
  for (const level of [0, 1]) {
    for (const secret of [null, SECRET]) {
      const bytes = takeSnapshot(from.cache, { level, secret })
      const to = peerOf({ memoryBytes: 64 * MIB, shards: 1, growthFactor: 1.5, itemBytesMax: MIB })
      const fills = restoreBytes(t.testdir(), bytes, to.cache, secret)
      t.equal(fills.filled, before.size)
      t.same(contentOf(to, model.keys()), before)
      to.verify()
    }
  }
  from.verify()
})

t.test('deleted, flushed, expired, stale and claimed items are not in it', async t => {
  const from = peerOf({ shards: 2 })
  const keys = ['stays', 'deleted', 'expired', 'stale', 'claimed']
  from.set('stays', Buffer.from('v'))
  from.set('deleted', Buffer.from('v'))
  from.remove('deleted')
  from.set('expired', Buffer.from('v'), { expiresAtS: from.nowS() + 5 })
  from.setClock(from.nowS() + 5)
  from.set('stale', Buffer.from('v'))
  const stale = from.find('stale')
  Object.assign(from.ask, { isPlain: false, invalidates: true })
  t.equal(stale.remove(from.ask), Status.OK)
  const claimed = from.find('claimed')
  Object.assign(from.ask, { isPlain: false, creates: true })
  claimed.get(from.ask, { accept: () => Status.OK })
  const to = peerOf()
  restoreBytes(t.testdir(), takeSnapshot(from.cache), to.cache)
  t.same([...contentOf(to, keys).keys()], ['stays'])
  from.flush(from.nowS())
  from.set('after', Buffer.from('v'))
  const other = peerOf()
  restoreBytes(t.testdir(), takeSnapshot(from.cache), other.cache)
  t.same([...contentOf(other, [...keys, 'after']).keys()], ['after'])
})

t.test('items expire when they would have', async t => {
  const from = peerOf()
  from.set('soon', Buffer.from('v'), { expiresAtS: from.nowS() + 100 })
  from.set('late', Buffer.from('v'), { expiresAtS: from.nowS() + 1000 })
  from.set('never', Buffer.from('v'))
  const path = `${t.testdir()}/it`
  writeFileSync(path, takeSnapshot(from.cache))
  const now = momentNow()
  const restore = (moment: typeof now) => {
    const to = peerOf()
    to.setClock(5000)
    restoreFile(path, to.cache, null, moment)
    return to
  }
  const later = (ms: number) => ({ ...now, wallMs: now.wallMs + ms, uptimeMs: now.uptimeMs + ms })
  const to = restore(later(500_000))
  t.same([...contentOf(to, ['soon', 'late', 'never']).keys()], ['late', 'never'])
  to.setClock(5000 + 498)
  t.ok(to.get('late'))
  to.setClock(5000 + 500)
  t.notOk(to.get('late'))
  // The machine was started again, and its clock is wrong: nobody can tell what has expired.
  const behind = restore({
    wallMs: now.wallMs - 3_600_000,
    uptimeMs: 1000,
    bootId: 'ff'.repeat(16),
  })
  t.same([...contentOf(behind, ['soon', 'late', 'never']).keys()], ['never'])
  // The clock was set while the machine ran: the time since its start tells.
  const jumped = restore({ ...later(500_000), wallMs: now.wallMs - 3_600_000 })
  t.same([...contentOf(jumped, ['soon', 'late', 'never']).keys()], ['late', 'never'])
})

t.test('a moment and another one', async t => {
  const then = { wallMs: 1e12, uptimeMs: 50_000, bootId: 'aa'.repeat(16) }
  t.equal(secondsBetween(then, { ...then, uptimeMs: 60_001 }), 11)
  t.equal(secondsBetween(then, { ...then, uptimeMs: 60_000, wallMs: 0 }), 10)
  const other = { ...then, bootId: 'bb'.repeat(16) }
  t.equal(secondsBetween(then, { ...other, wallMs: 1e12 + 1500 }), 2)
  t.equal(secondsBetween(then, { ...other, wallMs: 1e12 - 30_000 }), 0, 'clocks differ a little')
  t.equal(secondsBetween(then, { ...other, wallMs: 1e12 - 90_000 }), null)
  const unknown = { ...then, bootId: '00'.repeat(16) }
  t.equal(secondsBetween(unknown, { ...unknown, wallMs: 1e12 - 90_000 }), null)
})

t.test('items that a later flush ends are restored until then', async t => {
  const from = peerOf()
  from.set('a', Buffer.from('v'))
  from.flush(from.nowS() + 50)
  const to = peerOf()
  restoreBytes(t.testdir(), takeSnapshot(from.cache), to.cache)
  t.ok(to.get('a'))
  to.setClock(to.nowS() + 50)
  t.notOk(to.get('a'))
})

t.test('with CAS the versions stay, and no new one is like an old one', async t => {
  const from = peerOf({ shards: 2 })
  for (let i = 0; i < 100; i++) from.set(`k${i}`, Buffer.from('v'))
  const before = from.get('k1')
  const to = peerOf({ shards: 3 })
  restoreBytes(t.testdir(), takeSnapshot(from.cache, { hasCas: true }), to.cache)
  const after = to.get('k1')
  t.same([after?.casHigh, after?.casLow], [before?.casHigh, before?.casLow])
  to.set('k1', Buffer.from('w'))
  t.ok((to.get('k1')?.casHigh ?? 0) > (before?.casHigh ?? 0))
})

t.test('what does not fit is the coldest', async t => {
  const from = peerOf({ shards: 2 })
  for (let i = 0; i < 20_000; i++) {
    if (i % 4000 === 0) from.setClock(from.nowS() + 600)
    from.set(`key-${i}`, Buffer.alloc(500))
  }
  const to = peerOf({ memoryBytes: 8 * MIB })
  restoreBytes(t.testdir(), takeSnapshot(from.cache), to.cache)
  const has = (i: number) => (to.get(`key-${i}`) === undefined ? 0 : 1)
  const share = (first: number) => {
    let found = 0
    for (let i = first; i < first + 4000; i++) found += has(i)
    return found / 4000
  }
  t.equal(share(16_000), 1, 'the newest are all there')
  t.ok(share(0) < 0.2, 'the oldest are not, but for what page moves spared')
  to.verify()
})

t.test('a damaged file is refused as a whole', async t => {
  const random = createRandom(seed, 1)
  const from = peerOf({ itemBytesMax: 2 * MIB })
  for (let i = 0; i < 3000; i++) from.set(`key-${i}`, randomBytes(random.below(400)))
  from.set('long', randomBytes(500 * KIB))
  const folder = t.testdir()
  for (const secret of [null, SECRET]) {
    const bytes = takeSnapshot(from.cache, { secret })
    const refused = (damaged: Buffer, what: string, key = secret) => {
      const to = peerOf()
      try {
        restoreBytes(folder, damaged, to.cache, key)
        t.fail(`seed ${seed}: ${what} is accepted`)
      } catch (error) {
        if (!(error instanceof Unsound) || error.message.includes('\n')) throw error
      }
      if (to.cache.itemCount() > 0) t.fail(`seed ${seed}: ${what} left items`)
    }
    for (let round = 0; round < runs(60, 3000); round++) {
      const flipped = Buffer.from(bytes)
      const at = random.below(flipped.length)
      flipped[at] ^= 1 << random.below(8)
      refused(flipped, `byte ${at} flipped`)
      refused(bytes.subarray(0, random.below(bytes.length)), 'a torn file')
    }
    refused(Buffer.concat([bytes, Buffer.from('x')]), 'a file with more behind it')
    refused(randomBytes(10_000), 'a foreign file')
    refused(Buffer.alloc(0), 'an empty file')
    if (secret === null) continue
    refused(bytes, 'a wrong key', Buffer.alloc(32, 8))
    refused(bytes, 'no key', null)
  }
  t.pass()
})
