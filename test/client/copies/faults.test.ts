// Two copies of each value while real servers are killed under load, frozen and restarted.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../../lib/client/cluster-options.ts'
import { MetaNode } from '../../../lib/client/nodes/meta-node.ts'
import { startDaemon, startDaemonOn } from '../../support/daemon.ts'
import { freeze } from '../../support/freeze.ts'
import { skipWithout, startOracle, startOracleOn } from '../../support/oracle.ts'
import { HOST, type ServerProcess } from '../../support/process.ts'
import { comesTrue } from '../../support/server-peer.ts'

/** The application's bits. */
const OWN_FLAGS = 7 << 24
const LONG_MS = 20_000
const WORKERS = 8
const ONE_THREAD = ['-t', '1']
const memcached = { start: startOracle, startOn: startOracleOn, skip: skipWithout('memcached') }
const memslab = { start: startDaemon, startOn: startDaemonOn, skip: false as const }
const KINDS = [
  { name: 'memslab, meta', driver: 'meta' as const, ...memslab },
  { name: 'memcached, meta', driver: 'meta' as const, ...memcached },
  { name: 'memcached, memjs', driver: 'memjs' as const, ...memcached },
]
type Kind = (typeof KINDS)[number]

interface Pool {
  client: ClusterClient
  servers: ServerProcess[]
}

async function poolOf(
  t: Test,
  { start, driver }: Kind,
  options: ClusterOptions = {},
): Promise<Pool> {
  const servers = await Promise.all([1, 2, 3].map(() => start(t, ONE_THREAD)))
  const names = servers.map(({ port }) => `${HOST}:${port}`)
  const terms = { driver, replicas: 2, timeoutMs: LONG_MS, restMs: 50, ...options }
  const client = new ClusterClient(names, terms)
  t.teardown(() => client.close())
  return { client, servers }
}

function keysOf(client: ClusterClient, server: ServerProcess, count: number): string[] {
  const keys = Array.from({ length: 100 * count }, (_, i) => `k${i}`)
  return keys.filter(key => client.ownerOf(key) === `${HOST}:${server.port}`).slice(0, count)
}

for (const kind of KINDS) {
  const { name, driver, startOn, skip } = kind

  t.test(`one of three is killed under load, on ${name}`, { skip }, async t => {
    const { client, servers } = await poolOf(t, kind)
    const acknowledged = new Map<string, string>()
    let isOver = false
    const write = async (id: number) => {
      for (let i = 0; !isOver; i++) {
        const key = `w${id}-${i % 200}`
        const value = `${i}`
        await client.set(key, value).then(
          () => acknowledged.set(key, value),
          () => acknowledged.delete(key),
        )
      }
    }
    const load = Promise.all(Array.from({ length: WORKERS }, (_, id) => write(id)))
    t.ok(await comesTrue(() => acknowledged.size >= 200 * WORKERS, 60_000), 'every key is written')
    process.kill(servers[1].pid, 'SIGKILL')
    t.ok(await comesTrue(() => client.away().length === 1, LONG_MS), 'ejected')
    await sleep(100)
    isOver = true
    await load
    t.equal(acknowledged.size, 200 * WORKERS, 'no write failed')
    const hits = await client.getMany([...acknowledged.keys()])
    const lost = [...acknowledged].filter(([key, value]) => String(hits.get(key)) !== value)
    t.strictSame(lost, [], 'all at once')
    for (const [key, value] of acknowledged) {
      if (String(await client.get(key)) !== value) t.fail(`lost: ${key}`)
    }
  })

  t.test(
    `what is changed while a server is frozen stays changed, on ${name}`,
    { skip },
    async t => {
      const { client, servers } = await poolOf(t, kind, { timeoutMs: 2000, failures: 2 })
      const [frozen] = servers
      const keys = keysOf(client, frozen, 20)
      const [gone, set, count, joined, touched, goneLater, setLater, ...others] = keys
      await Promise.all(keys.map(key => client.set(key, 'old')))
      await client.set(count, '5')
      await freeze(t, frozen.pid)
      t.equal(await client.delete(gone), true)
      t.equal(await client.set(set, 'new'), true)
      t.equal(await client.incr(count), 6n)
      t.equal(await client.append(joined, '+'), true)
      t.equal(await client.touch(touched, { expiresAt: new Date(0) }), true)
      const isOut = async () => (await client.getMany(keys)).size > 0 && client.away().length === 1
      t.ok(await comesTrue(isOut, LONG_MS), 'ejected: from now on it does not hear of it either')
      t.equal(await client.delete(goneLater), true)
      t.equal(await client.set(setLater, 'new'), true)
      const check = async (when: string) => {
        t.equal(await client.get(gone), undefined, `deleted, ${when}`)
        t.equal((await client.getMany([gone])).size, 0, `deleted, ${when}`)
        t.equal(String(await client.get(set)), 'new', `set, ${when}`)
        t.equal(await client.get(goneLater), undefined, `deleted later, ${when}`)
        t.equal(String(await client.get(setLater)), 'new', `set later, ${when}`)
        t.equal(String(await client.get(count)), '6', `counted, ${when}`)
        t.equal(String(await client.get(joined)), 'old+', `joined, ${when}`)
        t.equal(await client.get(touched), undefined, `ended, ${when}`)
        for (const key of others) {
          if (String(await client.get(key)) !== 'old') t.fail(`${key}, ${when}`)
        }
      }
      await check('while it is frozen')
      process.kill(frozen.pid, 'SIGCONT')
      t.ok(await comesTrue(() => client.away().length === 0, LONG_MS), 'it is back')
      await check('when it is back')
      await sleep(500)
      await check('a little later')
      const [, ...rest] = servers
      for (const { pid } of rest) process.kill(pid, 'SIGKILL')
      const node = new MetaNode({ host: HOST, port: frozen.port })
      t.teardown(() => node.close())
      t.equal(await node.get(gone, LONG_MS), undefined, 'nor does the server itself have it')
      t.equal(await node.get(goneLater, LONG_MS), undefined, 'nor what was deleted later')
      const found = await node.get(setLater, LONG_MS)
      t.ok(found === undefined || String(found.value) === 'new', 'nor an old value')
    },
  )

  t.test(`a server that lost all its items costs no hit, on ${name}`, { skip }, async t => {
    const { client, servers } = await poolOf(t, kind)
    const [lost] = servers
    const keys = keysOf(client, lost, 20)
    await Promise.all(
      keys.map(key => client.set(key, `of ${key}`, { ttlS: 1000, flags: OWN_FLAGS })),
    )
    process.kill(lost.pid, 'SIGKILL')
    t.ok(
      await comesTrue(async () => {
        await client.getMany(keys)
        return client.away().length === 1
      }, LONG_MS),
      'ejected',
    )
    await startOn(t, lost.port, ONE_THREAD)
    t.ok(await comesTrue(() => client.away().length === 0, LONG_MS), 'it is back')
    t.equal((await client.getMany(keys)).size, keys.length, 'the others have all')
    t.equal(await client.add(keys[0], 'x'), false, 'add knows it')
    t.equal(
      await client.replace(keys[1], `of ${keys[1]}`, { flags: OWN_FLAGS }),
      true,
      'so do the rest',
    )
    t.equal(await client.touch(keys[2], { ttlS: 2000 }), true)
    if (driver === 'memjs') return
    const node = new MetaNode({ host: HOST, port: lost.port })
    t.teardown(() => node.close())
    const isCopied = async () => {
      const hits = await node.getMany(keys, LONG_MS)
      const isRight = ([key, { value, flags, ttlS = 0 }]: (typeof pairs)[number]) =>
        String(value) === `of ${key}` && flags === OWN_FLAGS && (key === keys[1] || ttlS > 900)
      const pairs = [...hits]
      return pairs.length === keys.length && pairs.every(isRight)
    }
    t.ok(await comesTrue(isCopied, LONG_MS), 'and it is given back, with flags and time')
  })
}
