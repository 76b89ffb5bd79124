/** Images of a cache: written, read into the same form and into others, and damaged. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { CLOCK_S } from '../../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../../lib/engine/cache.ts'
import { Mode } from '../../../lib/engine/status.ts'
import { verify } from '../../../lib/engine/verify.ts'
import { writeArena } from '../../../lib/keeping/image/arena-image.ts'
import { Channel } from '../../../lib/keeping/image/channel.ts'
import { type Clocks, headerOf, pastOf, Unusable } from '../../../lib/keeping/image/image-header.ts'
import { LOADS_MAX } from '../../../lib/keeping/image/limits.ts'
import {
  addLoaded,
  type Loaded,
  loadArena,
  nothingLoaded,
} from '../../../lib/keeping/image/load-arena.ts'
import { MemoryFile, sectionAt } from '../../../lib/keeping/image/memory-file.ts'
import { Peer } from '../../support/engine-peer.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'

const seed = announceSeed(t)
const OPTIONS: CacheOptions = { memoryBytes: 8 * MIB, shards: 2, hashpower: 6 }

function pathFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'image-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'memory')
}

function save(cache: Cache, path: string): void {
  const file = new MemoryFile(path, () => true)
  const header = headerOf(cache, 'test')
  file.begin(header)
  for (const [index, { arena }] of cache.shards.entries()) {
    writeArena(arena, new Channel(file.descriptor, sectionAt(header, index)))
  }
  file.close()
}

function load(path: string, options: CacheOptions): { cache: Cache; loaded: Loaded } {
  const file = new MemoryFile(path, () => true)
  const header = file.readHeader()
  if (header === null) throw new Error('the file is empty')
  const cache = Cache.create({ ...options, past: pastOf(header) })
  const loaded = nothingLoaded()
  for (const index of header.sections.keys()) {
    const from = new Channel(file.descriptor, sectionAt(header, index))
    addLoaded(loaded, loadArena(cache, header, index, from, false))
  }
  file.close()
  for (const { arena } of cache.shards) verify(arena)
  return { cache, loaded }
}

/** Stores, deletes, appends and fetches; values of all lengths. Returns what is there. */
function fill(peer: Peer, random: Random, steps: number): Map<string, string> {
  const model = new Map<string, string>()
  for (let i = 0; i < steps; i++) {
    const key = `key-${random.below(steps)}`
    if (random.once(8)) {
      peer.remove(key)
      model.delete(key)
      continue
    }
    const length = random.once(40) ? random.below(300_000) : random.below(400)
    const value = Buffer.alloc(length, `${key} ${i} `)
    peer.set(key, value)
    model.set(key, value.toString('latin1'))
    if (random.once(3)) peer.get(key)
    // What peers hold, and uploads that are not complete, do not outlive the process.
    if (random.once(50)) peer.hold(key)
    if (random.once(50)) peer.begin(Mode.SET, `upload-${i}`, 5000)
  }
  return model
}

/** Every item is one of the model; returns how many there are. */
function compare(t: Test, cache: Cache, model: ReadonlyMap<string, string>): number {
  const peer = new Peer(cache)
  let found = 0
  for (const [key, value] of model) {
    const got = peer.get(key)
    if (got === undefined) continue
    found++
    if (got.value.toString('latin1') !== value) t.fail(`${key} has a wrong value`)
  }
  return found
}

t.test('an image of the same form brings everything back, as it was', async t => {
  for (let round = 0; round < runs(5, 100); round++) {
    const random = createRandom(seed, round)
    const path = pathFor(t)
    const cache = Cache.create(OPTIONS)
    const model = fill(new Peer(cache), random, 2000)
    const before = compare(t, cache, model)
    save(cache, path)
    const { cache: next, loaded } = load(path, OPTIONS)
    t.equal(loaded.items, cache.itemCount())
    t.equal(loaded.carried, 0)
    t.equal(compare(t, next, model), before)
    // It goes on as a cache does.
    fill(new Peer(next), random, 1000)
    for (const { arena } of next.shards) verify(arena)
  }
})

t.test('an image of another form brings the items back one by one', async t => {
  for (let round = 0; round < runs(4, 60); round++) {
    const random = createRandom(seed, round)
    const path = pathFor(t)
    const cache = Cache.create(OPTIONS)
    const model = fill(new Peer(cache), random, 1000)
    const before = compare(t, cache, model)
    save(cache, path)
    const { cache: next, loaded } = load(path, {
      memoryBytes: 32 * MIB,
      shards: random.between(1, 4),
      growthFactor: 1.5,
      hashpower: 8,
    })
    t.equal(loaded.carried, before)
    t.equal(compare(t, next, model), before)
  }
})

t.test('in less room the items that were used last stay', async t => {
  const path = pathFor(t)
  const cache = Cache.create(OPTIONS)
  const peer = new Peer(cache)
  const value = Buffer.alloc(1700)
  for (let i = 0; i < 2000; i++) peer.set(`old-${i}`, value)
  for (const { arena } of cache.shards) arena.words[CLOCK_S] += 100
  for (let i = 0; i < 1000; i++) peer.set(`new-${i}`, value)
  save(cache, path)
  const { cache: next } = load(path, { memoryBytes: 4 * MIB, shards: 1 })
  const other = new Peer(next)
  let news = 0
  let olds = 0
  for (let i = 0; i < 1000; i++) if (other.get(`new-${i}`) !== undefined) news++
  for (let i = 0; i < 2000; i++) if (other.get(`old-${i}`) !== undefined) olds++
  t.equal(news, 1000)
  t.ok(olds > 0 && olds < 2000, `${olds} old ones`)
})

t.test('damage costs what it hits, and never makes a wrong value', async t => {
  const path = pathFor(t)
  const random = createRandom(seed, 0)
  const cache = Cache.create(OPTIONS)
  const model = fill(new Peer(cache), random, 2000)
  const before = compare(t, cache, model)
  save(cache, path)
  const image = readFileSync(path)
  let most = 0
  for (let round = 0; round < runs(20, 300); round++) {
    const bytes = Buffer.from(image)
    for (let flips = random.between(1, 3); flips > 0; flips--) {
      bytes[random.below(bytes.length)] ^= 1 << random.below(8)
    }
    writeFileSync(path, bytes)
    try {
      const { cache: next } = load(path, OPTIONS)
      most = Math.max(most, compare(t, next, model))
    } catch (error) {
      if (!(error instanceof Unusable)) throw error
    }
  }
  t.ok(most > before / 2, `${most} of ${before} items came back`)
})

t.test('of an image that was not written to its end the sound pages come back', async t => {
  const path = pathFor(t)
  const random = createRandom(seed, 0)
  const cache = Cache.create(OPTIONS)
  const model = fill(new Peer(cache), random, 2000)
  const before = compare(t, cache, model)
  save(cache, path)
  const { size } = statSync(path)
  const image = readFileSync(path)
  let last = 0
  for (let round = 0; round < runs(20, 300); round++) {
    writeFileSync(path, image)
    const descriptor = openSync(path, 'r+')
    // The last page alone may have had no item.
    const length = round === 0 ? Math.floor(size * 0.8) : 1 + random.below(size - 1)
    ftruncateSync(descriptor, length)
    closeSync(descriptor)
    try {
      const found = compare(t, load(path, OPTIONS).cache, model)
      if (round === 0) last = found
    } catch (error) {
      if (!(error instanceof Unusable)) throw error
    }
  }
  t.ok(last > before / 4 && last < before, `${last} of ${before} items came back`)
})

t.test('the time in between counts', async t => {
  const path = pathFor(t)
  const cache = Cache.create(OPTIONS)
  const peer = new Peer(cache)
  peer.set('short', Buffer.from('1'), { expiresAtS: peer.nowS() + 10 })
  peer.set('long', Buffer.from('2'), { expiresAtS: peer.nowS() + 1000 })
  peer.set('endless', Buffer.from('3'))
  const header = headerOf(cache, 'test')
  const { wallS, monotonicS } = header
  // The clocks go on while the test runs, so it says what time it is.
  const clockAt = (now: Partial<Clocks>) => pastOf(header, { ...header, ...now }).clockS
  t.equal(clockAt({}), cache.nowS, 'no time has gone by')
  t.equal(clockAt({ monotonicS: monotonicS + 20 }), cache.nowS + 20)
  t.equal(clockAt({ wallS: wallS + 86_400 }), cache.nowS, 'a step of the wall clock is not time')
  const boot = 'another'
  t.equal(clockAt({ boot, wallS: wallS + 50 }), cache.nowS + 50)
  t.equal(clockAt({ boot, wallS: wallS - 50 }), cache.nowS, 'never back')
  t.equal(clockAt({ monotonicS: monotonicS - 1, wallS: wallS + 9 }), cache.nowS + 9)
  save(cache, path)
  for (const options of [OPTIONS, { ...OPTIONS, shards: 1 }]) {
    const { cache: next } = load(path, options)
    for (const { arena } of next.shards) arena.words[CLOCK_S] += 20
    const after = new Peer(next)
    t.equal(after.get('short'), undefined)
    t.ok(after.get('long'))
    t.ok(after.get('endless'))
  }
})

t.test('an image whose loads never end is given up', async t => {
  const path = pathFor(t)
  save(Cache.create(OPTIONS), path)
  for (let load = 0; load < LOADS_MAX; load++) {
    const file = new MemoryFile(path, () => true)
    t.ok(file.readHeader())
    file.noteLoad()
    file.close()
  }
  const file = new MemoryFile(path, () => true)
  t.throws(() => file.noteLoad(), /ended while they loaded it/)
  file.close()
})

t.test('what somebody else wrote to the file meanwhile is left alone', async t => {
  const path = pathFor(t)
  const file = new MemoryFile(path, () => true)
  t.equal(file.readHeader(), null)
  writeFileSync(path, 'precious')
  t.throws(() => file.begin(headerOf(Cache.create(OPTIONS), 'test')), /not an image/)
  t.equal(readFileSync(path, 'latin1'), 'precious')
  file.close()
})
