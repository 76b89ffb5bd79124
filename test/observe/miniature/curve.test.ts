// The miss-ratio curve: near the truth on small traces, bounded in memory, and what operators see.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { EVALUATOR_BYTES_MAX, Evaluator } from '../../../lib/observe/miniature/evaluator.ts'
import { createInsight } from '../../../lib/observe/miniature/insight.ts'
import { createSamples } from '../../../lib/observe/miniature/key-sampler.ts'
import { type Access, generatedTraces } from '../../../scripts/bench/traces.ts'
import { EngineReplay } from '../../../scripts/mrc/engine-run.ts'
import { scrape, startWithAdmin } from '../../support/admin.ts'
import { startDaemon } from '../../support/daemon.ts'
import { SKIP_UNLESS_ALL } from '../../support/runs.ts'
import { ask, askOnce, comesTrue, openPeer, statsOf } from '../../support/server-peer.ts'

const ACCESSES = 200_000
const MEMORY_BYTES = 16 * MIB

for (const [name, eviction, ...memories] of [
  ['zipf-0.9', 'worth', 0.5, 2],
  ['zipf-0.9', 'segmented', 2],
  ['zipf-0.9', 'lru', 0.5],
] as const) {
  const title = `${name}, ${eviction}: estimates are near what caches of these sizes miss`
  const skip = eviction === 'worth' ? false : SKIP_UNLESS_ALL
  t.test(title, { skip }, async t => {
    const trace = generatedTraces(ACCESSES, MEMORY_BYTES, 1).find(trace => trace.name === name)
    const replay = (memory: number, samples: boolean) => {
      const options = { memoryBytes: MEMORY_BYTES * memory, shards: 1, eviction }
      const accesses = trace?.accesses() as Iterable<Access>
      return new EngineReplay(options, samples).run(accesses, ACCESSES)
    }
    const run = replay(1, true)
    const points = run.insight?.curve.points ?? []
    const ratioOf = (memory: number) => points.find(point => point.memory === memory)?.missRatio
    t.equal(points.length, 5)
    t.ok(Math.abs((ratioOf(1) ?? 0) - run.missRatio) < 1e-3, 'the present size is measured')
    for (const memory of memories) {
      const truth = replay(memory, false).missRatio
      const estimate = ratioOf(memory) ?? Number.NaN
      t.ok(Math.abs(estimate - truth) < 0.03, `${memory}: ${estimate} for ${truth}`)
    }
  })
}

t.test('all state is within its bound', async t => {
  const cache = Cache.create({ memoryBytes: 4 * MIB })
  const [samples, insight] = [createSamples(true, 4, ':'), createInsight(true)]
  const evaluator = new Evaluator(samples, insight, cache)
  const bytes = bytesOf(evaluator, new Set([cache]))
  t.ok(bytes > EVALUATOR_BYTES_MAX / 2, `${bytes} bytes are counted`)
  t.ok(bytes <= EVALUATOR_BYTES_MAX, `${bytes} bytes`)
})

/** Bytes of all buffers that an object leads to. */
function bytesOf(root: object, seen: Set<object>): number {
  if (seen.has(root)) return 0
  seen.add(root)
  if (ArrayBuffer.isView(root)) return bytesOf(root.buffer, seen)
  if (root instanceof ArrayBuffer || root instanceof SharedArrayBuffer) return root.byteLength
  return Object.values(root)
    .filter(value => typeof value === 'object' && value !== null)
    .reduce((sum, value) => sum + bytesOf(value, seen), 0)
}

t.test('stats mrc and stats prefix follow the traffic, and so do the metrics', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-m', '16', '-t', '1'])
  const peer = await openPeer(daemon.port)
  const isEvaluated = () => comesTrue(async () => (await statsOf(daemon.port, 'mrc')).size > 4)
  t.ok(await isEvaluated())
  for (let batch = 0; batch < 16; batch++) {
    const keys = Array.from({ length: 500 }, (_, i) => `user:${(batch % 4) * 500 + i}`)
    await ask(peer, `${keys.map(key => `get ${key}\r\n`).join('')}mn\r\n`, 'MN\r\n')
    if (batch >= 4) continue
    const stores = keys.map(key => `set ${key} 0 0 100 noreply\r\n${'v'.repeat(100)}\r\n`)
    await ask(peer, `${stores.join('')}mn\r\n`, 'MN\r\n')
  }
  const isCounted = async () => (await statsOf(daemon.port, 'mrc')).get('lookups') === '8000'
  t.ok(await comesTrue(isCounted), 'all lookups are behind the curve')
  const curve = await statsOf(daemon.port, 'mrc')
  t.equal(curve.get('1:hit_percent'), '75.00', 'measured')
  const hitPercentOf4 = Number(curve.get('4:hit_percent'))
  t.ok(hitPercentOf4 >= 75 && hitPercentOf4 < 82, `${hitPercentOf4} %: more memory brings nothing`)
  t.equal(curve.get('1:limit_maxbytes'), String(16 * MIB))
  t.equal(curve.get('0.25:limit_maxbytes'), String(4 * MIB))
  t.equal(curve.get('0.25:hit_percent'), undefined, 'too small to be estimated')
  t.ok(Number(curve.get('0.5:hit_percent')) <= 75)
  const metric = (await scrape(admin)).get('memslab_miss_ratio_estimate')
  t.equal(metric?.type, 'gauge')
  t.ok(Math.abs((metric?.samples.get('{memory="1"}') ?? 0) - 0.25) < 1e-6)
  t.equal(metric?.samples.size, 4, 'but for a quarter, which is too small')
  const prefixes = await statsOf(daemon.port, 'prefix')
  t.equal(prefixes.get('1:prefix'), 'user')
  const items = Number(prefixes.get('1:items'))
  t.ok(items > 1000 && items < 3000, `${items} for 2000 items`)
  const itemBytes = Number(prefixes.get('1:bytes')) / items
  t.ok(itemBytes > 128 && itemBytes < 150, `${itemBytes} bytes an item`)
  const hitPercent = Number(prefixes.get('1:hit_percent'))
  t.ok(Math.abs(hitPercent - 75) < 5, `${hitPercent} %`)
  await ask(peer, 'stats reset\r\n', 'RESET\r\n')
  const isReset = async () => (await statsOf(daemon.port, 'mrc')).get('lookups') === '0'
  t.ok(await comesTrue(isReset), 'stats reset')
})

t.test('without it stats mrc and stats prefix say what they need', async t => {
  const daemon = await startDaemon(t)
  const askFor = (name: string) => askOnce(daemon.port, `stats ${name}\r\n`, '\r\n')
  t.equal(await askFor('mrc'), 'CLIENT_ERROR stats mrc needs -o mrc or --admin\r\n')
  t.equal(await askFor('prefix'), 'CLIENT_ERROR stats prefix needs -o mrc or --admin\r\n')
  const sampling = await startDaemon(t, ['-o', 'mrc', '-X'])
  const has = async () => (await statsOf(sampling.port, 'mrc')).size > 0
  t.ok(await comesTrue(has), 'without an admin listener too')
  const refused = await askOnce(sampling.port, 'stats prefix\r\n', '\r\n')
  t.equal(refused, 'CLIENT_ERROR stats prefix not allowed\r\n', 'it has parts of keys')
})
