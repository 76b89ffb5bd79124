// The in-process door against a plain Map, and between threads.

import { once } from 'node:events'
import { mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import { Arena } from '../../lib/engine/arena/arena.ts'
import { CAS_LOW, ITEM_COUNT, LOCK } from '../../lib/engine/arena/layout.ts'
import { lockHolder } from '../../lib/engine/arena/lock.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Keeper } from '../../lib/engine/keeper.ts'
import { LOCK_WAIT_MS_MAX, UPKEEP_IDLE_MS, UPKEEP_IDLE_MS_MAX } from '../../lib/engine/limits.ts'
import { verify } from '../../lib/engine/verify.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { structured } from '../../lib/serializer.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { comesTrue } from '../support/server-peer.ts'

const STARTED_MS_MAX = 60_000
const seed = announceSeed(t)
const THREAD = new URL('../support/local-thread.ts', import.meta.url)

// Without the test runner's loaders, which take long to start.
const startThread = ({ handle }: LocalCache, counts: number) =>
  new Worker(THREAD, { workerData: { cache: handle, counts }, execArgv: [] })
const create = () => LocalCache.create({ memoryBytes: 16 * MIB })

t.test('strings and bytes go in and come out', async t => {
  const cache = create()
  t.equal(cache.get('a'), undefined)
  cache.set('a', 'täglich')
  t.equal(cache.get('a'), 'täglich')
  cache.set(Buffer.from([0, 255, 10]), Buffer.from([1, 2, 3]), { flags: 0xffffffff })
  const found = cache.getItem(Buffer.from([0, 255, 10]), { as: 'bytes' })
  t.strictSame([found?.flags, found?.value], [0xffffffff, Buffer.from([1, 2, 3])])
  const long = 'x'.repeat(700_000)
  cache.set('long', long)
  t.equal(cache.get('long'), long)
  cache.set('long', Buffer.from(long))
  t.equal(cache.get<Buffer>('long')?.length, long.length)
})

t.test('a returned value is a copy', async t => {
  const cache = create()
  for (const as of ['value', 'bytes'] as const) {
    cache.set('a', Buffer.from('one'))
    const before = cache.get('a', { as })
    cache.set('a', Buffer.from('two'))
    cache.get('a', { as })
    t.equal(String(before), 'one')
  }
})

t.test('add, replace, append, prepend, cas, delete', async t => {
  const cache = create()
  t.notOk(cache.replace('a', '1'))
  t.ok(cache.add('a', '1'))
  t.notOk(cache.add('a', '2'))
  t.ok(cache.append('a', '2'))
  t.ok(cache.prepend('a', '0'))
  const found = cache.getItem('a')
  t.equal(found?.value, '012')
  t.ok(cache.cas('a', 'x', found?.cas ?? 0n))
  t.notOk(cache.cas('a', 'y', found?.cas ?? 0n))
  t.notOk(cache.cas('nobody', 'y', 1n))
  t.equal(cache.get('a'), 'x')
  t.ok(cache.delete('a'))
  t.notOk(cache.delete('a'))
})

t.test('numbers of 64 bits', async t => {
  const cache = create()
  t.equal(cache.incr('n'), undefined)
  cache.set('n', '10')
  t.equal(cache.incr('n'), 11n)
  t.equal(cache.decr('n', 20), 0n)
  t.equal(cache.incr('n', 2n ** 64n - 1n), 2n ** 64n - 1n)
  t.equal(cache.incr('n', 3), 2n, 'wraps')
  t.throws(() => cache.incr('n', -1), { code: 'ARGUMENT' })
  cache.set('n', 'ten')
  t.throws(() => cache.incr('n'), { code: 'NON_NUMERIC' })
})

t.test('items expire', async t => {
  const cache = create()
  cache.set('soon', 'v', { ttlS: 1 })
  cache.set('never', 'v')
  cache.set('past', 'v', { expiresAt: new Date(0) })
  t.equal(cache.get('past'), undefined)
  t.ok(cache.touch('never', { ttlS: 1 }))
  t.notOk(cache.touch('nobody', { ttlS: 1 }))
  t.ok(cache.getAndTouch('never', { ttlS: 100 }))
  await sleep(2300)
  t.equal(cache.get('soon'), undefined)
  t.ok(cache.has('never'))
  cache.flush()
  t.notOk(cache.has('never'))
})

t.test('ttlS is relative, expiresAt is absolute', async t => {
  const cache = create()
  const ttlOf = () => Math.round(cache.getItem('a')?.ttlS ?? -1)
  cache.set('a', 'v', { ttlS: 0.3 })
  t.ok(cache.has('a'), 'parts of a second are rounded up')
  const YEAR_S = 365 * 86_400
  cache.set('a', 'v', { ttlS: YEAR_S })
  t.equal(ttlOf(), YEAR_S, 'above 30 days too')
  cache.set('a', 'v', { ttlS: 1000 * YEAR_S })
  t.ok(ttlOf() > 60 * YEAR_S)
  cache.set('a', 'v', { ttlS: Number.POSITIVE_INFINITY })
  t.equal(ttlOf(), Number.POSITIVE_INFINITY)
  for (const expiresAt of [Date.now() + 99_500, new Date(Date.now() + 99_500)]) {
    cache.set('a', 'v', { expiresAt })
    t.equal(ttlOf(), 100)
    t.ok(cache.touch('a', { expiresAt: Date.now() - 1 }))
    t.notOk(cache.has('a'), 'past: at once')
  }
})

t.test('values of any kind come back unchanged', async t => {
  const cache = create()
  const values = ['text', Buffer.from([0, 255]), { a: [1, null] }, 7, true, null, '']
  for (const [index, value] of values.entries()) cache.set(`k${index}`, value)
  for (const [index, value] of values.entries()) {
    t.strictSame(cache.get(`k${index}`), value)
  }
  t.strictSame([...cache.getMany(['k0', 'nobody', 'k2']).values()], ['text', { a: [1, null] }])
  const many = cache.getManyItems(['k0', 'nobody', 'k3', 'k0'])
  t.strictSame([...many.keys()], ['k0', 'k3'])
  t.equal(many.get('k3')?.value, 7)
  t.equal(cache.incr('k3'), 8n, 'a number is one in JSON too')
  t.equal(cache.get('k3'), 8)
  t.throws(() => cache.set('k0', undefined), { code: 'VALUE', cause: TypeError })
  t.equal(cache.get('k0'), 'text')
  cache.set('k0', Buffer.from('raw'), { flags: 0 })
  t.equal(cache.get('k0'), 'raw', 'flags of the caller count')
})

t.test('a serializer of the application', async t => {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, serializer: structured })
  const value = { at: new Date(5), tags: new Set(['a']), n: 2n ** 70n }
  cache.set('a', value)
  const same = LocalCache.attach(cache.handle, { serializer: structured })
  t.strictSame(same.get('a'), value)
  same.close()
})

t.test('numbers begin at the initial value', async t => {
  const cache = create()
  t.equal(cache.incr('n', 1, { initial: 5 }), 5n)
  t.equal(cache.incr('n', 1, { initial: 5 }), 6n)
  t.equal(cache.decr('m', 1, { initial: 2n ** 64n - 1n, ttlS: 100 }), 2n ** 64n - 1n)
  t.equal(cache.getItem('m')?.ttlS, 100)
  t.equal(cache.getItem('n')?.ttlS, Number.POSITIVE_INFINITY)
  t.throws(() => cache.incr('n', 1, { initial: -1 }), { code: 'ARGUMENT' })
})

t.test('a miss is won once, and a value deleted meanwhile is not stored', async t => {
  const cache = create()
  const first = cache.lease('a', { claimS: 100 })
  t.match(first, { won: true, isClaimed: false, isStale: false, value: undefined })
  t.match(cache.lease('a', { claimS: 100 }), { won: false, isClaimed: true })
  t.ok(cache.delete('a'))
  t.notOk(cache.cas('a', 'made', first.cas))
  const second = cache.lease('a', { claimS: 100 })
  t.ok(second.won)
  t.notOk(cache.delete('a', { cas: first.cas }))
  t.ok(cache.cas('a', 'made', second.cas))
  t.match(cache.lease('a', { claimS: 100 }), { won: false, isClaimed: false })
})

t.test('a value that expires soon is won once, and again after it is given back', async t => {
  const cache = create()
  cache.set('a', 'v'.repeat(100_000), { ttlS: 50 })
  const ask = () => cache.lease<string>('a', { claimS: 100, recacheS: 60 })
  const first = ask()
  t.match([first.won, first.value?.length, first.ttlS], [true, 100_000, 50])
  t.match(ask(), { won: false, isClaimed: true })
  t.ok(cache.expire('a', first.cas))
  t.match(ask(), { won: true, isStale: true })
  t.notOk(cache.expire('a', first.cas))
  cache.set('a', 'new', { ttlS: 100 })
  t.match(ask(), { won: false, isClaimed: false, isStale: false })
})

t.test('the remaining threads do the upkeep', async t => {
  const turns: Cache[] = []
  t.intercept(Cache.prototype, 'upkeep', {
    value(this: Cache) {
      turns.push(this)
      return 7
    },
  })
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  t.teardown(() => mock.timers.reset())
  const cache = create()
  const other = LocalCache.attach(cache.handle)
  // Two caches of one thread would have the same id, so this one gets another.
  const stranger = Cache.attach(cache.handle, 77)
  const keeper = new Keeper(stranger, [0], () => {})
  mock.timers.tick(UPKEEP_IDLE_MS)
  t.notOk(turns.includes(stranger), 'one at a time')
  cache.close()
  other.close()
  turns.length = 0
  mock.timers.tick(UPKEEP_IDLE_MS_MAX)
  t.ok(turns.length > 0 && turns.every(turn => turn === stranger), 'then the next')
  const again = Cache.attach(cache.handle, 78)
  t.notOk(again.takeUpkeep(0))
  again.recover(77)
  t.ok(again.takeUpkeep(0), 'after a death too')
  keeper.stop()
  t.notOk(stranger.takeUpkeep(0))
})

t.test('invalid arguments are refused with a code', async t => {
  const cache = create()
  for (const key of ['', 'k'.repeat(251), 'ä'.repeat(126)]) {
    t.throws(() => cache.get(key), { name: 'CacheError', code: 'KEY' })
  }
  cache.set('a', 'old')
  t.throws(() => cache.set('a', 'x'.repeat(2 * MIB)), { code: 'TOO_LARGE' })
  t.equal(cache.get('a'), undefined, 'nothing stale stays')
  t.ok(new CacheError('KEY', 'm') instanceof Error)
  for (const key of [7, undefined, null, {}, [1], new ArrayBuffer(3), new Uint16Array(3)]) {
    t.throws(() => cache.set(key as never, 'v'), { code: 'KEY' }, 'neither a string nor bytes')
    t.throws(() => cache.get(key as never), { code: 'KEY' })
  }
})

t.test('calls that find an item count as hits, others as misses', async t => {
  const cache = create()
  const counts = () => {
    const { getHits, getMisses } = cache.stats()
    return [getHits, getMisses]
  }
  cache.get('a')
  cache.has('a')
  cache.touch('a', { ttlS: 9 })
  cache.getAndTouch('a', { ttlS: 9 })
  const { cas } = cache.lease('a', { claimS: 9 })
  t.strictSame(counts(), [0, 5])
  cache.cas('a', 'v', cas)
  cache.get('a')
  cache.has('a')
  cache.touch('a', { ttlS: 9 })
  cache.getAndTouch('a', { ttlS: 9 })
  cache.lease('a', { claimS: 9 })
  t.strictSame(counts(), [5, 5])
})

t.test('impossible sizes', async t => {
  for (const memoryBytes of [undefined, Number.NaN, -1, 0, '64', Number.POSITIVE_INFINITY]) {
    const options = { memoryBytes: memoryBytes as number }
    t.throws(() => LocalCache.create(options), { code: 'ARGUMENT', message: /^memoryBytes: / })
  }
  for (const shards of [0, -1, 1.5, Number.NaN]) {
    const options = { memoryBytes: MIB, shards }
    t.throws(() => LocalCache.create(options), { code: 'ARGUMENT', message: /^shards: / })
  }
})

t.test('random steps agree with a Map', async t => {
  const random = createRandom(seed)
  const cache = create()
  const model = new Map<string, string>()
  for (let i = 0; i < 20_000; i++) {
    const key = `k${random.below(50)}`
    const value = 'v'.repeat(random.below(300)) + i
    const there = model.has(key)
    const step = random.below(5)
    if (step === 0) {
      cache.set(key, value)
      model.set(key, value)
    } else if (step === 1) {
      if (cache.add(key, value) === there) t.fail(`add ${key}`)
      if (!there) model.set(key, value)
    } else if (step === 2) {
      if (cache.append(key, 'x') !== there) t.fail(`append ${key}`)
      if (there) model.set(key, `${model.get(key)}x`)
    } else if (step === 3) {
      if (cache.delete(key) !== model.delete(key)) t.fail(`delete ${key}`)
    } else if (cache.get(key) !== model.get(key)) {
      t.fail(`get ${key}`)
    }
  }
  const { items, getHits, getMisses } = cache.stats()
  t.equal(items, model.size)
  t.ok(getHits > 1000 && getMisses > 1000)
})

t.test('threads share one cache', async t => {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, shards: 2 })
  cache.set('count', '0')
  cache.set('greeting', 'hello')
  const workers = [1, 2].map(() => startThread(cache, 20_000))
  const words = await Promise.all(workers.map(worker => once(worker, 'message')))
  t.strictSame(words.flat(), ['hello', 'hello'])
  t.equal(cache.get<string>('count')?.trim(), '40000')
})

t.test('a terminated thread leaves a working cache', async t => {
  const random = createRandom(seed, 1)
  const cache = LocalCache.create({ memoryBytes: 16 * MIB })
  cache.set('count', '0')
  const [{ words }] = cache.handle.arenas.map(buffer => new Arena(buffer))
  for (let i = 0; i < 10; i++) {
    const worker = startThread(cache, 1e9)
    cache.guard(worker)
    // Read without the lock, which the thread has nearly all the time.
    const stored = words[CAS_LOW]
    t.ok(await comesTrue(() => words[CAS_LOW] !== stored, STARTED_MS_MAX), 'it is at work')
    await sleep(random.below(50))
    await worker.terminate()
    cache.set('after', String(i))
    t.equal(cache.get('after'), String(i))
  }
  for (const buffer of cache.handle.arenas) verify(new Arena(buffer))
})

t.test('a call sees that the thread which has its lock was terminated', async t => {
  for (const isTorn of [false, true]) {
    const cache = LocalCache.create({ memoryBytes: 16 * MIB })
    cache.set('key', 'value')
    const worker = new Worker(
      `require('node:worker_threads').parentPort.postMessage('')
      setInterval(() => {}, 1000)`,
      { eval: true },
    )
    cache.guard(worker)
    await once(worker, 'message')
    const [{ words }] = cache.handle.arenas.map(buffer => new Arena(buffer))
    words[LOCK] = worker.threadId + 1
    if (isTorn) words[ITEM_COUNT]++
    worker.terminate()
    const startedMs = performance.now()
    t.equal(cache.get('key'), isTorn ? undefined : 'value')
    t.ok(performance.now() - startedMs < LOCK_WAIT_MS_MAX / 2, 'long before it would throw')
    t.equal(lockHolder(words), 0)
    await once(worker, 'exit')
    t.ok(cache.set('key', 'again'))
    for (const buffer of cache.handle.arenas) verify(new Arena(buffer))
  }
})

t.test('upkeep runs when due, survives a stuck lock, and stops', async t => {
  const turns: number[] = []
  let isStuck = false
  t.intercept(Cache.prototype, 'upkeep', {
    value: (index: number) => {
      turns.push(index)
      if (isStuck) throw new Error('the lock is stuck')
      return 7
    },
  })
  const warnings = t.capture(process, 'emitWarning')
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  t.teardown(() => mock.timers.reset())
  const cache = LocalCache.create({ memoryBytes: 16 * MIB, shards: 2 })
  mock.timers.tick(UPKEEP_IDLE_MS)
  t.strictSame(turns, [0, 1])
  mock.timers.tick(7)
  t.strictSame(turns, [0, 1, 0, 1], 'as soon as the turn before wants it')
  isStuck = true
  mock.timers.tick(7)
  t.equal(warnings().length, 2, 'it is told of')
  isStuck = false
  mock.timers.tick(LOCK_WAIT_MS_MAX - 1)
  t.equal(turns.length, 6)
  mock.timers.tick(1)
  t.equal(turns.length, 8, 'and tried again after a rest')
  cache.close()
  mock.timers.tick(LOCK_WAIT_MS_MAX)
  t.equal(turns.length, 8)
})

t.test('timers stop, and do not keep the process alive', async t => {
  const cache = create()
  cache.close()
  cache.set('a', 'still there')
  t.equal(cache.get('a'), 'still there')
})

t.test('items expire in a closed cache too', async t => {
  const cache = create()
  cache.close()
  cache.set('soon', 'v', { ttlS: 1 })
  await sleep(2300)
  t.notOk(cache.has('soon'))
  cache.set('soon', 'v', { ttlS: 100 })
  t.ok(cache.has('soon'))
})
