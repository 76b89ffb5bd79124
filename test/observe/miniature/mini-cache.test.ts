// A miniature cache against a plain model, and the rules by which it evicts.

import t from 'tap'
import {
  MINI_CLASSES,
  MiniCache,
  MiniList,
  type MiniMemory,
  NIL,
} from '../../../lib/observe/miniature/mini-cache.ts'
import { Miniature } from '../../../lib/observe/miniature/miniature.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

function memoryOf(limitBytes: number): MiniMemory {
  const leastPages = new Float64Array(MINI_CLASSES)
  return { limitBytes, pageBytes: limitBytes / 256, leastPages, longBytes: 2 ** 20, scale: 1 }
}

t.test('entries are those of a map, whatever is added, moved, rewritten and removed', async t => {
  const random = createRandom(seed)
  const cache = new MiniCache(300, true)
  cache.setMemory(memoryOf(2 ** 30))
  const model = new Map<number, { bytes: number; expiresAtS: number }>()
  for (let step = 0; step < 20_000; step++) {
    const hash = random.below(600) * 7919
    const entry = cache.find(hash)
    if ((entry !== NIL) !== model.has(hash)) throw new Error(`step ${step}: ${hash}`)
    const bytes = random.between(1, 5000)
    const expiresAtS = random.once(4) ? random.between(1, 40) : 0
    if (entry === NIL && !cache.isFull) {
      cache.add({ hash, bytes, expiresAtS, tag: hash % 5 }, MiniList.COLD)
      model.set(hash, { bytes, expiresAtS })
    } else if (entry !== NIL && random.once(3)) {
      cache.remove(entry)
      model.delete(hash)
    } else if (entry !== NIL && cache.classFor(bytes) === cache.classOf(entry)) {
      cache.rewrite(entry, bytes, expiresAtS)
      model.set(hash, { bytes, expiresAtS })
    } else if (entry !== NIL) {
      cache.move(entry, random.once(2) ? MiniList.WARM : MiniList.COLD)
    } else if (random.once(50)) {
      cache.nowS = random.between(1, 40)
      cache.sweep()
      for (const [key, { expiresAtS }] of model) {
        if (expiresAtS !== 0 && expiresAtS <= cache.nowS) model.delete(key)
      }
    }
    if (step % 1000 === 0) t.same(totalsOf(cache), totalsOfModel(model), `step ${step}`)
  }
})

function totalsOf(cache: MiniCache) {
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((a, b) => a + b, 0)
  let listed = 0
  for (let id = 0; id < MINI_CLASSES; id++) listed += cache.classCount(id)
  return {
    count: cache.count,
    listed,
    tagged: sum(cache.tagEntries),
    bytes: cache.usedBytes,
    tagBytes: sum(cache.tagBytes),
  }
}

function totalsOfModel(model: ReadonlyMap<number, { bytes: number }>) {
  const bytes = [...model.values()].reduce((sum, item) => sum + item.bytes, 0)
  const count = model.size
  return { count, listed: count, tagged: count, bytes, tagBytes: bytes }
}

t.test('a class has its least pages even for one entry', async t => {
  const cache = new MiniCache(10, true)
  const leastPages = new Float64Array(MINI_CLASSES).fill(2)
  cache.setMemory({ limitBytes: 10_000, pageBytes: 500, leastPages, longBytes: 4000, scale: 1 })
  cache.add({ hash: 1, bytes: 100, expiresAtS: 0, tag: 0 }, MiniList.COLD)
  t.equal(cache.usedBytes, 1000)
  t.notOk(cache.isShortOf(cache.classFor(100), 900), 'what it has is not full')
  cache.add({ hash: 2, bytes: 6000, expiresAtS: 0, tag: 0 }, MiniList.COLD)
  t.equal(cache.classFor(6000), MINI_CLASSES - 1, 'a long item')
  t.equal(cache.usedBytes, 7000)
  t.ok(cache.isShortOf(cache.classFor(3000), 3001))
  t.notOk(cache.isShortOf(cache.classFor(3000), 3000))
})

for (const rule of ['lru', 'segmented', 'worth'] as const) {
  t.test(`${rule}: memory is never exceeded, and what is not full evicts nothing`, async t => {
    const random = createRandom(seed, 1)
    const mini = new Miniature(2000, rule)
    mini.setMemory(memoryOf(100_000))
    for (let step = 0; step < 20_000; step++) {
      const hash = random.below(900)
      if (mini.get(hash)) continue
      mini.put({ hash, bytes: 50 + hash, expiresAtS: 0, tag: 0 })
      if (mini.cache.usedBytes > 100_000) throw new Error(`${mini.cache.usedBytes} bytes`)
    }
    t.ok(mini.cache.usedBytes > 80_000, `${mini.cache.usedBytes} of 100,000 bytes are in use`)
    const large = new Miniature(2000, rule)
    large.setMemory(memoryOf(1_000_000))
    for (let hash = 0; hash < 900; hash++) large.put({ hash, bytes: 100, expiresAtS: 0, tag: 0 })
    t.equal(large.cache.count, 900)
  })

  t.test(`${rule}: keys that are asked for again outlast a scan`, async t => {
    const mini = new Miniature(2000, rule)
    mini.setMemory(memoryOf(100_000))
    const put = (hash: number) => mini.put({ hash, bytes: 100, expiresAtS: 0, tag: 0 })
    const askAll = () => {
      let hits = 0
      for (let hash = 0; hash < 300; hash++) {
        if (mini.get(hash)) hits++
        else put(hash)
      }
      return hits
    }
    for (let round = 0; round < 20; round++) {
      mini.cache.nowS += 61
      askAll()
      askAll()
      askAll()
      for (let hash = 0; hash < 2000; hash++) put(10_000 + round * 2000 + hash)
    }
    const hits = askAll()
    if (rule === 'lru') t.equal(hits, 0, 'a scan longer than the memory empties one list')
    else t.ok(hits > 200, `${hits} of 300`)
  })
}

t.test('an entry that has expired is a miss', async t => {
  const mini = new Miniature(10, 'worth')
  mini.setMemory(memoryOf(10_000))
  mini.put({ hash: 1, bytes: 100, expiresAtS: 5, tag: 0 })
  mini.cache.nowS = 4
  t.ok(mini.get(1))
  mini.cache.nowS = 5
  t.notOk(mini.get(1))
  t.equal(mini.cache.count, 0)
})

t.test('it says when it has no entry left, and keeps those of a smaller sample', async t => {
  const mini = new Miniature(100, 'worth')
  mini.setMemory(memoryOf(1_000_000))
  const put = (hash: number) => mini.put({ hash, bytes: 100, expiresAtS: 0, tag: 0 })
  for (let hash = 0; hash < 100; hash++) put(hash)
  t.notOk(put(100))
  mini.keep(hash => hash % 2 === 0)
  t.equal(mini.cache.count, 50)
  t.ok(put(100))
  t.ok(mini.has(98))
  t.notOk(mini.has(99))
})

for (const rule of ['lru', 'segmented', 'worth'] as const) {
  t.test(`${rule}: what expires soon is kept apart where temporary_ttl asks for it`, async t => {
    const keptAfter = (temporaryTtlS: number) => {
      const mini = new Miniature(2000, rule)
      mini.setMemory(memoryOf(100_000))
      mini.tune({ hotShare: 0.2, warmShare: 0.4, ratio: 0.8, temporaryTtlS })
      for (let hash = 0; hash < 100; hash++) mini.put({ hash, bytes: 100, expiresAtS: 30, tag: 0 })
      for (let hash = 1000; hash < 3000; hash++)
        mini.put({ hash, bytes: 100, expiresAtS: 0, tag: 0 })
      return Array.from({ length: 100 }, (_, hash) => hash).filter(hash => mini.has(hash)).length
    }
    t.equal(keptAfter(0), 0, 'evicted with the others')
    t.equal(keptAfter(20), 0, 'they last longer than that')
    t.equal(keptAfter(60), 100, 'evicted last')
  })
}

t.test('a store moves an entry to the list of what expires soon, and back', async t => {
  const mini = new Miniature(10, 'worth')
  mini.setMemory(memoryOf(10_000))
  mini.tune({ hotShare: 0.2, warmShare: 0.4, ratio: 0.8, temporaryTtlS: 60 })
  const listAfter = (expiresAtS: number) => {
    mini.put({ hash: 1, bytes: 100, expiresAtS, tag: 0 })
    return mini.cache.listOf(mini.cache.find(1))
  }
  t.equal(listAfter(0), MiniList.COLD)
  t.equal(listAfter(30), MiniList.TEMP)
  t.equal(listAfter(90), MiniList.COLD)
  t.equal(mini.cache.count, 1)
})
