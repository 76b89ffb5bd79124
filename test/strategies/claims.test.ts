// Claims on values that are being made: what others see of them, answers that are lost, owners that
// die or whose claim was revoked.

import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { claimKeyOf } from '../../lib/strategies/claims.ts'
import { startDaemon } from '../support/daemon.ts'
import { DOORS, LOCAL, loud } from '../support/doors.ts'
import { withCalls } from '../support/faulty-store.ts'
import { HOST } from '../support/process.ts'

const THREAD = new URL('../support/aside-thread.ts', import.meta.url)
const fail = () => {
  throw new Error('not to be loaded')
}

t.test('clients in any language miss while a value is made', async t => {
  const { port } = await startDaemon(t)
  const pool = new ClusterClient([`${HOST}:${port}`], { timeoutMs: 20_000 })
  t.teardown(() => pool.close())
  const aside = new CacheAside(pool, { ttlS: 100, onError: loud })
  const gate = Promise.withResolvers<string>()
  const begun = Promise.withResolvers<void>()
  const asked = aside.getOrSet('a', () => {
    begun.resolve()
    return gate.promise
  })
  await begun.promise
  t.equal(await talk(port, 'get a\r\n'), 'END\r\n')
  t.equal(await talk(port, 'mg a v\r\n'), 'EN\r\n')
  gate.resolve('made')
  await asked
  await aside.settled()
  t.equal(await talk(port, 'get a\r\n'), 'VALUE a 0 4\r\nmade\r\nEND\r\n')
  t.equal(await talk(port, `get ${claimKeyOf('a')}\r\n`), 'END\r\n')
})

for (const { name, skip, open } of DOORS) {
  t.test(`a claim whose answer was lost is taken back, ${name}`, { skip }, async t => {
    const [here, there] = await open(t)
    let lost = 0
    const lossy = withCalls(here, {
      add: async (...args) => {
        await here.add(...args)
        lost++
        if (lost === 1) throw new CacheError('TIMEOUT', 'no answer in time')
        return true
      },
    })
    const errors: unknown[] = []
    const options = { ttlS: 100, loadMs: 60_000 }
    const aside = new CacheAside(lossy, { ...options, onError: error => errors.push(error) })
    t.equal(await aside.getOrSet('a', () => 'loaded'), 'loaded', 'the caller has a value')
    t.match(errors, [{ code: 'TIMEOUT' }])
    const other = new CacheAside(there, { ...options, onError: loud })
    t.equal(await other.getOrSet('a', () => 'by another'), 'by another', 'not after a minute')
    await other.settled()
    t.equal(await aside.getOrSet('a', fail), 'by another')
  })

  t.test(`its owner meets its lost claim again, ${name}`, { skip }, async t => {
    const [here] = await open(t)
    let isLost = true
    const lossy = withCalls(here, {
      add: async (...args) => {
        const isAdded = await here.add(...args)
        if (!isLost) return isAdded
        isLost = false
        throw new CacheError('TIMEOUT', 'no answer in time')
      },
      // It cannot be taken back yet.
      getItem: async (key, ...rest) => {
        if (key !== claimKeyOf('a')) return here.getItem(key, ...rest)
        throw new CacheError('TIMEOUT', 'no answer in time')
      },
    })
    const aside = new CacheAside(lossy, { ttlS: 100, loadMs: 60_000, onError: () => {} })
    for (const value of ['first', 'second']) {
      t.equal(await aside.getOrSet('a', () => value), value)
      await aside.settled()
    }
    t.equal(await aside.getOrSet('a', fail), 'second')
  })
}

t.test('callers have a value before it is stored', async t => {
  const [store] = await LOCAL.open(t)
  const gate = Promise.withResolvers<void>()
  const slow = withCalls(store, {
    add: async (key, ...rest) => {
      if (key === 'a') await gate.promise
      return store.add(key, ...rest)
    },
  })
  const aside = new CacheAside(slow, { ttlS: 100, onError: loud })
  t.equal(await aside.getOrSet('a', () => 'loaded'), 'loaded')
  t.equal(store.has('a'), false)
  const next = aside.getOrSet('a', fail)
  gate.resolve()
  t.equal(await next, 'loaded', 'those that come meanwhile wait')
  await aside.settled()
  t.equal(store.get('a'), 'loaded')
})

t.test('a value that was deleted between its store and the end of the claim', async t => {
  const [store] = await LOCAL.open(t)
  const other = new CacheAside(store, { ttlS: 100, onError: loud })
  // Another process deletes at that moment: first the claim, and here the value was not there yet.
  const raced = withCalls(store, {
    add: async (key, ...rest) => {
      if (key === 'a') await other.delete('a')
      return store.add(key, ...rest)
    },
  })
  const aside = new CacheAside(raced, { ttlS: 100, onError: loud })
  t.equal(await aside.getOrSet('a', () => 'old'), 'old')
  await aside.settled()
  t.equal(store.has('a'), false)
})

t.test('what could not be taken back is not read and is deleted later', async t => {
  const [store] = await LOCAL.open(t)
  let isAway = false
  const unsure = withCalls(store, {
    getItem: async (...args) => {
      if (isAway) throw new CacheError('TIMEOUT', 'no answer in time')
      return store.getItem(...args)
    },
    delete: async (...args) => {
      if (isAway) throw new CacheError('TIMEOUT', 'no answer in time')
      return store.delete(...args)
    },
  })
  const errors: unknown[] = []
  const aside = new CacheAside(unsure, { ttlS: 100, onError: error => errors.push(error) })
  const load = () => {
    isAway = true
    return 'unsure'
  }
  t.equal(await aside.getOrSet('a', load), 'unsure')
  await aside.settled()
  t.equal(store.get('a'), 'unsure', 'its claim could not be released')
  isAway = false
  t.equal(await aside.getOrSet('a', () => 'loaded'), 'loaded', 'not read')
  t.equal(await aside.get('a'), undefined)
  while (aside.owing > 0) await sleep(10)
  t.equal(store.has('a'), false)
  t.ok(errors.length > 0)
})

t.test('a refresher that died delays the next one by its claim, not by staleS', async t => {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB })
  t.teardown(() => cache.close())
  const options = { ttlS: 1, staleS: 1000, jitter: 0, loadMs: 900 }
  const aside = new CacheAside(cache, { ...options, onError: loud })
  await aside.set('cold', 'old')
  while ((cache.getItem('cold')?.ttlS ?? 0) >= 1000) await sleep(20)
  const workerData = { handle: cache.handle, hangs: true, options }
  const dead = new Worker(THREAD, { workerData, execArgv: [] })
  cache.guard(dead)
  while ((await once(dead, 'message'))[0] !== 'loading');
  await dead.terminate()
  const diedMs = performance.now()
  t.equal(await aside.getOrSet('cold', () => 'new'), 'old')
  await aside.settled()
  t.equal(cache.get('cold'), 'old', 'its claim is still there')
  while (cache.get('cold') === 'old' && performance.now() < diedMs + 20_000) {
    await aside.getOrSet('cold', () => 'new')
    await sleep(20)
  }
  t.equal(cache.get('cold'), 'new')
  // Two seconds and the load; two more for a busy machine.
  t.ok(performance.now() - diedMs < 2000 + options.loadMs + 2000)
})

t.test('where nothing can be stored, callers do not wait for each other for long', async t => {
  const [store] = await LOCAL.open(t)
  const full = withCalls(store, {
    add: async (key, ...rest) => {
      if (key === 'a') throw new CacheError('NO_MEMORY', 'no memory')
      return store.add(key, ...rest)
    },
  })
  let loads = 0
  const load = async () => {
    loads++
    await sleep(20)
    return 'loaded'
  }
  const asides = Array.from({ length: 12 }, () => {
    return new CacheAside(full, { ttlS: 100, onError: () => {} })
  })
  const values = await Promise.all(asides.map(aside => aside.getOrSet('a', load)))
  t.equal(new Set(values).size, 1)
  t.equal(loads, asides.length)
})

/** What a server answers to one request. */
async function talk(port: number, request: string): Promise<string> {
  const socket = connect(port, HOST)
  socket.write(request)
  const [answer] = await once(socket, 'data')
  socket.destroy()
  return String(answer)
}
