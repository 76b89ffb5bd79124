// The servers of `--to`: given, or found where clients find them.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { runDrain } from '../../lib/commands/drain.ts'
import { serversIn } from '../../lib/commands/found-servers.ts'
import { startDaemon } from '../support/daemon.ts'
import { startEtcd } from '../support/etcd.ts'
import { skipWithout } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'

const KEYS = Array.from({ length: 300 }, (_, i) => `key${i}`)

t.test('given servers stay as they are, this one too', async t => {
  t.strictSame(await serversIn('a:1,b:2:3', 'a:1'), ['a:1', 'b:2:3'])
})

t.test('addresses of a name, without this one', async t => {
  t.strictSame(await serversIn('dns:127.0.0.1:1234', '127.0.0.1:1235'), ['127.0.0.1:1234'])
  t.strictSame(await serversIn('dns:127.0.0.1', '127.0.0.1:1'), ['127.0.0.1:11211'])
  await t.rejects(serversIn('dns:127.0.0.1:1234', '127.0.0.1:1234'), /has no other server/)
  await t.rejects(serversIn('etcd:nonsense', 'a:1'), /nonsense/)
})

const skip = skipWithout('etcd')
t.test('a server leaves a pool that etcd knows, without a miss', { skip }, async t => {
  const etcd = await startEtcd(t)
  const daemons = await Promise.all(
    [0, 1, 2].map(() => startDaemon(t, ['-t', '1', '-l', HOST, '--etcd', etcd.url])),
  )
  const names = daemons.map(({ port }) => `${HOST}:${port}`)
  const own = names[2]
  const found = async () => (await serversIn(`etcd:${etcd.url}`, own)).sort().join()
  while ((await found().catch(() => '')) !== names.slice(0, 2).sort().join()) await sleep(20)

  const pool = new ClusterClient(names, { timeoutMs: 20_000 })
  t.teardown(() => pool.close())
  await Promise.all(KEYS.map(key => pool.set(key, key)))
  t.equal(await runDrain([own, '--to', `etcd:${etcd.url}`, '--keep']), 0)
  t.equal((await pool.getMany(KEYS)).size, KEYS.length, 'whoever has the old list finds all')
  await daemons[2].stop()
  const after = new ClusterClient(names.slice(0, 2), { timeoutMs: 20_000 })
  t.teardown(() => after.close())
  t.equal((await after.getMany(KEYS)).size, KEYS.length)
})
