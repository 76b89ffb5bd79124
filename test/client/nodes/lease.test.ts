// Claims on values, with real servers: exactly one client wins.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { startDaemon } from '../../support/daemon.ts'
import { skipWithout, startOracle } from '../../support/oracle.ts'
import type { Owner, ServerProcess } from '../../support/process.ts'

const KINDS = [
  { name: 'memslab', start: startDaemon, skip: false as const },
  { name: 'memcached', start: startOracle, skip: skipWithout('memcached') },
]

for (const { name, start, skip } of KINDS) {
  t.test(`a miss is won once, on ${name}`, { skip }, async t => {
    const pool = await poolOn(t, start)
    const asked = Array.from({ length: 20 }, () => pool.lease('a', { claimS: 100 }))
    const leases = await Promise.all(asked)
    const [winner, ...others] = leases.filter(lease => lease?.won)
    t.strictSame(others, [], 'a single winner')
    t.equal(leases.filter(lease => lease?.isClaimed).length, 19)
    t.equal(winner?.value, undefined, 'a claim has no value')
    t.equal(await pool.get('a'), undefined, 'and is none')
    t.equal(await pool.cas('a', 'made', winner?.cas ?? 0n), true)
    const found = await pool.lease('a', { claimS: 100 })
    t.match(found, { won: false, isClaimed: false, isStale: false })
    t.equal(found?.value, 'made')
  })

  t.test(`a value deleted while it was made is not stored, on ${name}`, { skip }, async t => {
    const pool = await poolOn(t, start)
    const lease = await pool.lease('a', { claimS: 100 })
    t.ok(await pool.delete('a'))
    t.equal(await pool.cas('a', 'old', lease?.cas ?? 0n), false)
    const again = await pool.lease('a', { claimS: 100 })
    t.ok(again?.won, 'the next may make it')
    t.notOk(await pool.delete('a', { cas: lease?.cas }), 'a claim that is over ends no other')
    t.ok(await pool.delete('a', { cas: again?.cas }))
  })

  t.test(`a value that expires soon is won once and served, on ${name}`, { skip }, async t => {
    const pool = await poolOn(t, start)
    await pool.set('a', 'old', { ttlS: 50 })
    const ask = () => pool.lease('a', { claimS: 100, recacheS: 60 })
    const first = await ask()
    const second = await ask()
    t.match([first?.won, second?.won, second?.isClaimed], [true, false, true])
    t.equal(second?.value, 'old')
    t.ok(await pool.expire('a', first?.cas ?? 0n), 'given back')
    const third = await ask()
    t.match([third?.won, third?.isStale, third?.value], [true, true, 'old'])
    t.notOk(await pool.expire('a', first?.cas ?? 0n), 'by who has it only')
  })

  t.test(`a claim of a client that is gone expires, on ${name}`, { skip }, async t => {
    const pool = await poolOn(t, start)
    t.ok((await pool.lease('a', { claimS: 1 }))?.won)
    let won = false
    for (let tries = 0; tries < 600 && !won; tries++) {
      await sleep(100)
      won = (await pool.lease('a', { claimS: 1 }))?.won === true
    }
    t.ok(won)
  })
}

async function poolOn(t: Test, start: (owner: Owner) => Promise<ServerProcess>) {
  const { port } = await start(t)
  const pool = new ClusterClient([`127.0.0.1:${port}`], { timeoutMs: 20_000 })
  t.teardown(() => pool.close())
  return pool
}
