// The counts of `stats detail`: against a plain Map, from several threads at once, and at their
// bound.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createPrefixes, PREFIXES_MAX, PrefixCount, Prefixes } from '../../lib/observe/prefixes.ts'
import { announceSeed, createRandom } from '../support/prng.ts'

const seed = announceSeed(t)
const STEPS = 20_000
const THREADS = 3
const EACH = 10_000
const COUNTER = new URL('../support/prefix-counter.ts', import.meta.url)

t.test('the counts are those of a plain Map', async t => {
  const random = createRandom(seed, 1)
  const prefixes = new Prefixes(createPrefixes(':'))
  const model = new Map<string, number[]>()
  for (let step = 0; step < STEPS; step++) {
    const prefix = 'p'.repeat(random.below(4)) + random.below(50)
    const key = random.once(5) ? prefix : `${prefix}:${random.below(1000)}:x`
    const what = random.below(4)
    count(prefixes, key, what)
    if (!key.includes(':')) continue
    const counts = model.get(prefix) ?? [0, 0, 0, 0]
    counts[what]++
    model.set(prefix, counts)
  }
  t.same(dumpOf(prefixes), model)
  prefixes.clear()
  t.equal(dumpOf(prefixes).size, 0)
  count(prefixes, 'again:1', PrefixCount.SET)
  t.same(dumpOf(prefixes), new Map([['again', [0, 0, 1, 0]]]))
})

t.test('keys without a prefix, with an empty one, and with the longest one', async t => {
  const prefixes = new Prefixes(createPrefixes('/'))
  const longest = 'x'.repeat(249)
  for (const key of ['none', 'a:b', '/root', `${longest}/`]) count(prefixes, key, PrefixCount.GET)
  t.same(
    dumpOf(prefixes),
    new Map([
      ['', [1, 0, 0, 0]],
      [longest, [1, 0, 0, 0]],
    ]),
  )
})

t.test('a count goes on past 2^32', async t => {
  const handle = createPrefixes(':')
  const prefixes = new Prefixes(handle)
  count(prefixes, 'a:1', PrefixCount.HIT)
  const words = new Int32Array(handle.buffer)
  const at = words.indexOf(1, 16)
  words[at + 3] = -1 // the low word of HIT comes after LENGTH and GET
  count(prefixes, 'a:1', PrefixCount.HIT)
  t.same(dumpOf(prefixes).get('a'), [0, 2 ** 32, 0, 0])
})

t.test('threads that count at the same time lose nothing', async t => {
  const handle = createPrefixes(':')
  const workers = Array.from(
    { length: THREADS },
    () => new Worker(COUNTER, { workerData: { handle, each: EACH }, execArgv: [] }),
  )
  await Promise.all(workers.map(worker => once(worker, 'exit')))
  const dump = dumpOf(new Prefixes(handle))
  t.equal(dump.size, 100)
  for (const counts of dump.values()) t.equal(counts[PrefixCount.GET], (THREADS * EACH) / 100)
})

t.test('at the bound new prefixes are not counted, known ones are', async t => {
  const prefixes = new Prefixes(createPrefixes(':'))
  for (let i = 0; i < PREFIXES_MAX + 5000; i++) count(prefixes, `prefix${i}:x`, PrefixCount.GET)
  count(prefixes, 'prefix0:y', PrefixCount.GET)
  const dump = dumpOf(prefixes)
  t.ok(dump.size <= PREFIXES_MAX && dump.size > PREFIXES_MAX * 0.98, `${dump.size} prefixes`)
  t.same(dump.get('prefix0'), [2, 0, 0, 0])
})

function count(prefixes: Prefixes, key: string, what: number): void {
  // The key is not at the start of its buffer.
  const bytes = Buffer.from(`get ${key}`, 'latin1')
  prefixes.count(bytes, 4, key.length, what)
}

function dumpOf(prefixes: Prefixes): Map<string, number[]> {
  const line = /^PREFIX (.*) get (\d+) hit (\d+) set (\d+) del (\d+)\r\n$/
  const entries = [...prefixes.lines()].map(text => {
    const [, prefix, ...counts] = line.exec(text) ?? []
    return [prefix, counts.map(Number)] as const
  })
  return new Map(entries)
}
