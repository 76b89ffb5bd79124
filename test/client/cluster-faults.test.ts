// A pool of real servers that are killed, frozen and restarted.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { ONE_THREAD, POOL_KINDS, startPool, untilTrue } from '../support/pool.ts'

/**
 * Deadline of calls to a frozen server, ms; long enough for the other servers on a busy machine.
 */
const FROZEN_MS = 3000

for (const kind of POOL_KINDS) {
  const { name, driver, isMemslab, startOn, skip } = kind
  // The driver memjs has its own tests of faults.
  if (driver === 'memjs' && isMemslab) continue

  t.test(`a server that is killed is ejected and comes back, on ${name}`, { skip }, async t => {
    const { client, servers } = await startPool(t, kind, 3, { timeoutMs: 4000, restMs: 100 })
    const gone = `127.0.0.1:${servers[1].port}`
    const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(k => client.ownerOf(k) === gone)
    if (key === undefined) throw new Error('no key on the second server')
    await client.set(key, 'before')
    process.kill(servers[1].pid, 'SIGKILL')
    await untilTrue('ejected', async () => {
      await client.set(key, 'after').catch(() => {})
      return client.away().includes(gone)
    })
    t.equal(await client.set(key, 'elsewhere'), true, 'the next on the ring takes it')
    t.equal(await client.get(key), 'elsewhere')
    t.equal((await client.getMany([key])).size, 1)
    await startOn(t, servers[1].port, ONE_THREAD)
    await untilTrue('back', () => client.away().length === 0)
    t.equal(await client.get(key), undefined, 'its own keys are asked of it again: it lost them')
    t.equal(await client.set(key, 'again'), true)
    t.equal((await client.serverStats()).get(gone)?.get('curr_items'), '1')
  })

  t.test(`a frozen server costs no call more than its deadline, on ${name}`, { skip }, async t => {
    const options = { timeoutMs: FROZEN_MS, restMs: 100, failures: 2, retries: 0 }
    const { client, servers } = await startPool(t, kind, 2, { ...options, failover: 'miss' })
    const frozen = `127.0.0.1:${servers[0].port}`
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`)
    await Promise.all(keys.map(key => client.set(key, 'v')))
    process.kill(servers[0].pid, 'SIGSTOP')
    t.teardown(() => process.kill(servers[0].pid, 'SIGCONT'))
    // On a busy machine its threads still answer for a while.
    await untilTrue('stopped', () => stateOf(servers[0].pid) === 'T')
    const startedMs = performance.now()
    const outcomes = await Promise.allSettled(keys.map(key => client.get(key)))
    const tookMs = performance.now() - startedMs
    t.ok(tookMs < 2 * FROZEN_MS, `${Math.round(tookMs)} ms, deadline ${FROZEN_MS}`)
    for (const [i, key] of keys.entries()) {
      const wanted = client.ownerOf(key) === frozen ? 'rejected' : 'fulfilled'
      if (outcomes[i].status !== wanted) t.fail(`${key}: ${outcomes[i].status}`)
    }
    await untilTrue('ejected', async () => {
      await client.getMany(keys)
      return client.away().includes(frozen)
    })
    const hits = await client.getMany(keys)
    t.ok(hits.size > 0 && hits.size < keys.length, 'keys of the other are served, these miss')
    process.kill(servers[0].pid, 'SIGCONT')
    await untilTrue('back', () => client.away().length === 0)
    t.equal((await client.getMany(keys)).size, keys.length, 'with all it had')
  })
}

/** State of a process in /proc: T is stopped. */
function stateOf(pid: number): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]
}
