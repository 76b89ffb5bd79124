// `memslab scale` as a process: a pool of daemons under load from 3 nodes to 5 and back without a
// miss, two scalers of which one acts, dry runs, and the command line.

import { readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { elastiCacheServers } from '../../../lib/client/discovery/elasticache.ts'
import { etcdServers } from '../../../lib/client/discovery/etcd.ts'
import type { Discovery } from '../../../lib/client/discovery/source.ts'
import { EtcdGateway } from '../../../lib/etcd/gateway.ts'
import { PoolLoad } from '../../../scripts/bench/pool-load.ts'
import { startEtcd } from '../../support/etcd.ts'
import { skipWithout } from '../../support/oracle.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { freePort, HOST } from '../../support/process.ts'
import { runs } from '../../support/runs.ts'
import { nodeFolder, nodesIn, type ScaleRun, startScale } from '../../support/scale-run.ts'
import { askOnce, comesTrue, openPeer } from '../../support/server-peer.ts'

const skip = skipWithout('etcd')
const WAIT_MS = 120_000
const KEYS = runs(2000, 40_000)
const RATE = runs(300, 1500)
/** Connections of a node that the policy keeps to, and idle ones that a busy node of three has. */
const TARGET = 20
const IDLE = 28
const PORTS_APART = 20

interface Place {
  dir: string
  path: string
  listen: string
}

async function place(t: Test, more: object): Promise<Place> {
  const folder = t.testdir()
  const dir = nodeFolder(t)
  // Beyond those that the test takes for itself.
  const first = (await freePort()) + PORTS_APART
  const listen = `${HOST}:${await freePort()}`
  const given = {
    ...{ least: 3, most: 5, every: '300ms', listen },
    ...{ policies: { connections: TARGET }, window: { out: '1s', in: '1s' } },
    ...{ cooldown: { out: '1s', in: '1s' }, backoff: { first: '500ms', most: '5s' } },
    driver: {
      processes: {
        ...{ dir, ports: { first, last: first + 30 }, start: '3m' },
        args: ['-t', '1', '-m', '64', '-o', 'config_set'],
      },
    },
    ...more,
  }
  const path = join(folder, 'scale.json')
  writeFileSync(path, JSON.stringify(given))
  return { dir, path, listen }
}

/** Waits until the pool has so many nodes, all of them listed and none on its way. */
async function reaches(t: Test, run: ScaleRun, { listen }: Place, count: number): Promise<void> {
  const isThere = async () => {
    const text = await metricsOf(listen)
    return (
      text.includes(`memslab_scale_nodes ${count}\n`) &&
      text.includes(`memslab_scale_nodes_wanted ${count}\n`)
    )
  }
  const isReached = await comesTrue(isThere, WAIT_MS)
  t.ok(isReached, `${count} nodes`)
  if (!isReached) t.comment(run.output())
}

async function metricsOf(listen: string): Promise<string> {
  try {
    return await (await fetch(`http://${listen}/metrics`)).text()
  } catch {
    return ''
  }
}

/** Opens idle connections to all nodes. */
async function crowd(dir: string): Promise<Socket[]> {
  const ports = [...nodesIn(dir).keys()]
  return Promise.all(ports.flatMap(port => Array.from({ length: IDLE }, () => openPeer(port))))
}

async function growAndShrink(t: Test, at: Place, source: Discovery): Promise<void> {
  const seed = announceSeed(t)
  const random = createRandom(seed)
  const run = startScale(t, at.path)
  await reaches(t, run, at, 3)
  const client = new ClusterClient(source, {
    ...{ timeoutMs: 30_000, warmupMs: 300_000, drained: true },
  })
  t.teardown(() => client.close())
  t.ok(await comesTrue(() => client.servers().length === 3, WAIT_MS))
  const load = new PoolLoad(client, {
    ...{ keys: KEYS, writeShare: 0.02, valueBytes: 100, inFlight: 8 },
    random: () => random.below(2 ** 32) / 2 ** 32,
  })
  await load.fill()
  const end = new AbortController()
  const running = load.runAt(RATE, end.signal)
  const idle = await crowd(at.dir)
  await reaches(t, run, at, 5)
  t.ok(await comesTrue(() => client.servers().length === 5, WAIT_MS))
  t.equal(nodesIn(at.dir).size, 5)
  for (const socket of idle) socket.destroy()
  await reaches(t, run, at, 3)
  t.ok(await comesTrue(() => client.servers().length === 3, WAIT_MS))
  end.abort()
  await running
  const during = load.take()
  // Every item once, wherever it is by now.
  const after = { gets: 0, hits: 0 }
  for (let index = 0; index < KEYS; index++) {
    after.gets++
    const hit = await client.getItem(`item:${index}`, { as: 'bytes' })
    if (hit !== undefined) after.hits++
  }
  t.ok(during.gets > 100, `${during.gets} gets meanwhile`)
  t.equal(during.hits, during.gets, 'no miss')
  t.equal(during.stale, 0, 'no old value')
  t.equal(after.hits, after.gets, 'every item is there')
  const text = await metricsOf(at.listen)
  t.match(text, /^memslab_scale_acting 1$/m)
  t.match(text, /^memslab_scale_changes_total\{kind="in"\} 2$/m)
  t.match(text, /^memslab_scale_policy_target\{policy="connections"\} 20$/m)
  t.match(text, /^memslab_scale_items_moved_total [1-9]/m)
  t.equal((await fetch(`http://${at.listen}/healthz`)).status, 200)
  t.match(run.output(), / out 3 to 5: connections \d[\d.]* of 20 wants 5, room /)
  t.match(run.output(), / leaves, least by hits: [\d.]+ hits\/s, \d+ items, [\d.]+ MB\n/)
  t.notMatch(run.output(), / failed: /)
  t.equal(await run.stop(), 0)
  t.equal(nodesIn(at.dir).size, 3, 'the nodes go on')
}

t.test('from 3 nodes to 5 and back, by etcd', { skip }, async t => {
  const { url } = await startEtcd(t)
  const at = await place(t, { etcd: { endpoints: [url] }, announce: { by: 'etcd', settle: '3s' } })
  await growAndShrink(t, at, etcdServers(url))
})

t.test('from 3 nodes to 5 and back, by a configuration endpoint', async t => {
  const at = await place(t, { announce: { by: 'config', settle: '3s' } })
  // The endpoint is any node; clients ask the others when it is gone.
  const first = async () => [...nodesIn(at.dir).keys()][0]
  const source: Discovery = {
    watch: observer => {
      let stop = () => {}
      void comesTrue(async () => (await first()) !== undefined, WAIT_MS).then(async () => {
        const endpoint = `${HOST}:${await first()}`
        stop = elastiCacheServers(endpoint, { intervalMs: 300 }).watch(observer)
      })
      return () => stop()
    },
  }
  await growAndShrink(t, at, source)
})

t.test('one of two scalers acts, and the other one takes over', { skip }, async t => {
  const { url } = await startEtcd(t)
  const etcd = new EtcdGateway([url])
  const at = await place(t, { least: 2, etcd: { endpoints: [url], ttl: '3s' } })
  const other = { ...at, listen: `${HOST}:${await freePort()}` }
  const text = JSON.parse(readFileSync(at.path, 'utf8'))
  other.path = `${at.path}.other`
  writeFileSync(other.path, JSON.stringify({ ...text, listen: other.listen }))
  const first = startScale(t, at.path)
  await reaches(t, first, at, 2)
  const second = startScale(t, other.path)
  t.ok(await comesTrue(() => second.output().includes('standing by: '), WAIT_MS))
  t.match(await metricsOf(other.listen), /^memslab_scale_acting 0$/m)
  const nodes = [...nodesIn(at.dir)]
  await first.stop('SIGKILL')
  t.ok(await comesTrue(() => / acting\n/.test(second.output()), WAIT_MS), second.output())
  await reaches(t, second, other, 2)
  t.strictSame([...nodesIn(at.dir)], nodes, 'with the same processes')
  const [[port, pid]] = nodes
  process.kill(pid, 'SIGKILL')
  t.ok(await comesTrue(() => second.output().includes(`${HOST}:${port} had died`), WAIT_MS))
  t.match(await askOnce(port, 'version\r\n', '\r\n'), /^VERSION/)
  const third = startScale(t, at.path)
  t.ok(await comesTrue(() => third.output().includes('standing by: '), WAIT_MS))
  t.equal(await second.stop(), 0)
  const holder = (await etcd.read('/memslab-scale/leader'))?.value ?? ''
  t.notOk(holder.endsWith(`:${second.pid}`))
  t.ok(await comesTrue(() => / acting\n/.test(third.output()), WAIT_MS), 'it left its seat')
  t.equal((await etcd.list('/memslab/')).values.length, 2)
})

t.test('one of two scalers of a folder acts', async t => {
  const at = await place(t, { least: 1, listen: undefined })
  const first = startScale(t, at.path)
  t.ok(await comesTrue(() => nodesIn(at.dir).size === 1, WAIT_MS))
  const second = startScale(t, at.path)
  t.ok(await comesTrue(() => second.output().includes('standing by: '), WAIT_MS))
  await first.stop('SIGKILL')
  t.ok(await comesTrue(() => / acting\n/.test(second.output()), WAIT_MS))
  t.equal(nodesIn(at.dir).size, 1)
})

t.test('a dry run changes nothing', async t => {
  const at = await place(t, {})
  const run = startScale(t, at.path, '--dry-run')
  t.ok(await comesTrue(() => run.output().includes('would scale out 0 to 3 (least)'), WAIT_MS))
  t.equal(await run.stop(), 0)
  t.equal(nodesIn(at.dir).size, 0)
})

t.test('the command line', async t => {
  const at = await place(t, {})
  const checked = startScale(t, at.path, '--check')
  t.ok(await comesTrue(() => checked.output() === `${at.path}: it can be used\n`, WAIT_MS))
  const wrong = `${at.path}.wrong`
  writeFileSync(wrong, 'least: 3\nmost: x\n')
  const refused = startScale(t, wrong)
  t.ok(await comesTrue(() => refused.output().includes(`memslab scale: ${wrong}:2:1: most takes`)))
  t.notMatch(refused.output(), /\n {4}at /)
  t.equal(await refused.ended(), 64)
  const endpoint = `${at.path}.endpoint`
  const faulty = 'least: 1\nmost: 2\npolicies: { cpu: 50 }\ndriver: { etcd: {} }\n'
  writeFileSync(endpoint, `${faulty}etcd: { endpoints: [nonsense] }\n`)
  const other = startScale(t, endpoint)
  t.ok(await comesTrue(() => other.output().includes('not an endpoint of etcd: nonsense')))
  t.equal(await other.ended(), 64)
  t.equal(nodesIn(at.dir).size, 0)
})
