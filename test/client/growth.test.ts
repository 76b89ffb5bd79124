// A pool whose servers fail all the time does not grow. `MEMSLAB_RUNS=10 npx tap run --timeout=900`
// of this file lets them fail for ten minutes.

import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { CacheAside } from '../../lib/strategies/aside.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { HOST, type Owner } from '../support/process.ts'
import { runs } from '../support/runs.ts'
import { type ScriptedServer, startScripted } from '../support/scripted-server.ts'

const SECONDS = runs(6, 60)
const SERVERS = 3
const KEYS = 500
const WIDE = 20
/** How much the heap may differ between two moments: some 10,000 calls make 800 bytes each. */
const SLACK_BYTES = 8 * MIB

const seed = announceSeed(t)
setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

/** Answers, stays silent, ends connections or says nonsense, by turns. */
function moody(owner: Owner, random: Random): Promise<ScriptedServer> {
  return startScripted(owner, (line, socket) => {
    const mood = random.between(0, 199)
    if (mood === 0) {
      socket.destroy()
      return undefined
    }
    if (mood === 1) return 'what?\r\n'
    if (mood < 4) return undefined
    const [verb, key = '', ...flags] = line.split(' ')
    if (verb === 'mn') return 'MN\r\n'
    if (verb === 'mg') {
      if (!flags.includes('q')) return random.once(2) ? 'EN\r\n' : 'VA 1 f0 t-1 c1\r\n1\r\n'
      return random.once(2) ? undefined : `VA 1 f0 t-1 c1 k${key}\r\n1\r\n`
    }
    if (verb === 'ms') return 'HD\r\n'
    if (verb === 'md' || verb === 'ma') return 'NF\r\n'
    return verb === 'stats' ? 'END\r\n' : undefined
  })
}

for (const replicas of [1, 2]) {
  t.test(`failing servers, copies: ${replicas}`, async t => {
    const random = createRandom(seed)
    const servers = await Promise.all(Array.from({ length: SERVERS }, () => moody(t, random)))
    const names = servers.map(({ port }) => `${HOST}:${port}`)
    const hedge = replicas > 1 ? { afterMs: 5, share: 0.5 } : undefined
    const pool = new ClusterClient(names, {
      replicas,
      timeoutMs: 50,
      restMs: 20,
      failures: 1,
      hedge,
    })
    t.teardown(() => pool.close())
    const aside = new CacheAside(pool, { ttlS: 60, loadMs: 200, onError: () => {} })
    let isOver = false
    let calls = 0
    let failures = 0
    const call = (): Promise<unknown> => {
      const key = `k${random.between(0, KEYS - 1)}`
      const what = random.between(0, 5)
      if (what === 0) return pool.set(key, 'v')
      if (what === 1) return pool.delete(key)
      if (what === 2) return pool.getMany([key, 'a', 'b', 'c'])
      if (what === 3) return aside.getOrSet(key, () => 1)
      if (what === 4) return pool.cas(key, 'v', 1n)
      return pool.get(key)
    }
    const loop = async () => {
      while (!isOver) {
        calls++
        await call().catch(() => failures++)
        await sleep(random.between(0, 2))
      }
    }
    const loops = Array.from({ length: WIDE }, loop)
    /** The least of a few moments. */
    const heap = async () => {
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < 3; i++) {
        for (const { lines } of servers) lines.length = 0
        gc()
        least = Math.min(least, process.memoryUsage().heapUsed)
        await sleep(50)
      }
      return least
    }
    await sleep((SECONDS * 1000) / 3)
    const early = await heap()
    await sleep((SECONDS * 1000 * 2) / 3)
    const late = await heap()
    isOver = true
    await Promise.all(loops)
    await aside.settled()
    t.ok(failures > 0, `${failures} of ${calls} calls failed`)
    const grownKib = Math.round((late - early) / 1024)
    t.ok(late - early < SLACK_BYTES, `the heap grew by ${grownKib} KiB`)
  })
}
