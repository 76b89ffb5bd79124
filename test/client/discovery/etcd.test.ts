// Daemons that register in a real etcd, and clients that discover them there.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { etcdServers } from '../../../lib/client/discovery/etcd.ts'
import { EtcdGateway } from '../../../lib/etcd/gateway.ts'
import { Registration } from '../../../lib/server/listen/registration.ts'
import { startDaemon } from '../../support/daemon.ts'
import { startEtcd } from '../../support/etcd.ts'
import { skipWithout } from '../../support/oracle.ts'
import { freePort, HOST } from '../../support/process.ts'
import { comesTrue } from '../../support/server-peer.ts'

const skip = skipWithout('etcd')
const PREFIX = '/memslab/'
const nameOf = ({ port }: { port: number }) => `${HOST}:${port}`
const startMember = (t: Test, url: string, ...args: string[]) =>
  startDaemon(t, ['-t', '1', '--etcd', url, '-o', 'etcd_ttl=2', ...args])

function clientOf(t: Test, endpoints: string) {
  const faults: string[] = []
  const client = new ClusterClient(etcdServers(endpoints), {
    timeoutMs: 20_000,
    onDiscoveryError: ({ message }) => faults.push(message),
  })
  t.teardown(() => client.close())
  const sees = (...servers: { port: number }[]) => {
    const wanted = servers.map(nameOf).sort().join()
    return comesTrue(async () => client.servers().sort().join() === wanted, 60_000)
  }
  return { client, faults, sees }
}

t.test('daemons come and go', { skip }, async t => {
  const { url } = await startEtcd(t)
  const { client, sees } = clientOf(t, url)
  const first = await startMember(t, url)
  t.equal(await client.set('a', 'v'), true, 'asked before there was a server')
  t.ok(await sees(first))
  const second = await startMember(t, url)
  t.ok(await sees(first, second))
  const third = await startMember(t, url)
  t.ok(await sees(first, second, third))
  await second.stop()
  const { values } = await new EtcdGateway([url]).list(PREFIX)
  t.ok(!values.includes(nameOf(second)), 'it left before it ended')
  t.ok(await sees(first, third))
  process.kill(third.pid, 'SIGKILL')
  t.ok(await sees(first), 'its lease ran out')
  t.equal(await client.get('a'), 'v')
})

t.test('etcd dies and comes back: clients keep their servers', { skip }, async t => {
  const etcd = await startEtcd(t)
  const [first, second] = [await startMember(t, etcd.url), await startMember(t, etcd.url)]
  const { client, faults, sees } = clientOf(t, etcd.url)
  t.ok(await sees(first, second))
  await etcd.kill()
  t.ok(await comesTrue(async () => faults.length > 1))
  t.match(faults[1], /ECONNREFUSED/)
  for (let i = 0; i < 50; i++) await client.set(`k${i}`, 'v')
  t.equal((await client.getMany(Array.from({ length: 50 }, (_, i) => `k${i}`))).size, 50)
  await etcd.restart()
  const third = await startMember(t, etcd.url)
  t.ok(await sees(first, second, third))
})

t.test('a daemon serves while etcd is away', { skip }, async t => {
  const port = await freePort()
  const url = `http://${HOST}:${port}`
  const daemon = await startMember(t, url, '-o', 'etcd_advertise=cache.test:11211:3')
  t.ok(await comesTrue(async () => daemon.output().includes('not registered')))
  const alone = new ClusterClient([nameOf(daemon)], { timeoutMs: 20_000 })
  t.teardown(() => alone.close())
  t.equal(await alone.set('a', 'v'), true)
  await startEtcd(t, port)
  const etcd = new EtcdGateway([url])
  t.ok(await comesTrue(async () => (await etcd.list(PREFIX)).values.length > 0, 60_000))
  t.strictSame((await etcd.list(PREFIX)).values, ['cache.test:11211:3'])
  t.ok(await comesTrue(async () => daemon.output().includes('registered as cache.test:11211:3')))
})

t.test('a lost lease is replaced', { skip }, async t => {
  const { url } = await startEtcd(t)
  const etcd = new EtcdGateway([url])
  const granted: string[] = []
  t.intercept(EtcdGateway.prototype, 'grant', {
    async value(this: EtcdGateway, ttlS: number) {
      const { ID } = await call('lease/grant', { TTL: String(ttlS) })
      granted.push(ID)
      return ID
    },
  })
  const call = async (path: string, body: object): Promise<{ ID: string }> => {
    const response = await fetch(`${url}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    return (await response.json()) as { ID: string }
  }
  const entry = { endpoints: [url], prefix: PREFIX, server: 'a:1', ttlS: 2 }
  const registration = new Registration(entry, () => {})
  t.teardown(() => registration.close())
  const isThere = async () => (await etcd.list(PREFIX)).values.includes('a:1')
  t.ok(await comesTrue(isThere))
  await etcd.revoke(granted[0])
  t.notOk(await isThere())
  t.ok(await comesTrue(isThere))
  t.ok(granted.length > 1)
  await registration.close()
  t.notOk(await isThere())
})

t.test('several endpoints, and a compacted history', { skip }, async t => {
  const { url, call } = await startEtcd(t)
  const dead = `http://${HOST}:${await freePort()}`
  const etcd = new EtcdGateway([dead, url])
  const lease = await etcd.grant(60)
  for (const name of ['a:1', 'b:2', 'c:3']) await etcd.put(`${PREFIX}${name}`, name, lease)
  await etcd.put('/memslab0', 'beside', lease)
  const { values, revision } = await etcd.list(PREFIX)
  t.strictSame(values, ['a:1', 'b:2', 'c:3'])
  await call('kv/compaction', { revision: String(revision) })
  const { signal } = new AbortController()
  await etcd.change(PREFIX, 1n, 60_000, signal)
  const changed = etcd.change(PREFIX, revision, 60_000, signal)
  await etcd.put(`${PREFIX}d:4`, 'd:4', lease)
  await changed
  await etcd.change(PREFIX, revision + 9n, 50, signal)
  t.pass('a watch ends when its time is over')
  const { client } = clientOf(t, `${dead},${url}`)
  await client.ready(60_000)
  t.strictSame(client.servers(), ['a:1', 'b:2', 'c:3', 'd:4'])
})

t.test('an entry that is no server is left out, and one of another pool', { skip }, async t => {
  const { url } = await startEtcd(t)
  const etcd = new EtcdGateway([url])
  const lease = await etcd.grant(60)
  for (const text of ['a:1', 'not a server', 'b:99999', 'c:3:0', '']) {
    await etcd.put(`${PREFIX}${text}`, text, lease)
  }
  await etcd.put(`${PREFIX}other/x:1`, 'x:1', lease)
  const { client, faults } = clientOf(t, url)
  await client.ready(60_000)
  t.strictSame(client.servers(), ['a:1'], 'a new process starts')
  t.ok(faults.some(text => text.includes('"not a server"')))
  t.ok(faults.some(text => text.includes('"b:99999"')))
  await etcd.put(`${PREFIX}${HOST}:4`, `${HOST}:4`, lease)
  t.ok(await comesTrue(() => client.servers().length === 2, 60_000), 'and changes are seen')
})

t.test('user and password', { skip }, async t => {
  const { url, call } = await startEtcd(t)
  await call('auth/user/add', { name: 'root', password: 'p@ss' })
  await call('auth/user/grant', { user: 'root', role: 'root' })
  await call('auth/enable', {})
  await t.rejects(new EtcdGateway([url]).list(PREFIX), { name: 'EtcdRefusal' })
  const named = url.replace('://', '://root:p%40ss@')
  const daemon = await startMember(t, named)
  const { sees } = clientOf(t, named)
  t.ok(await sees(daemon))
})

t.test('invalid endpoints', async t => {
  for (const url of ['', 'x', 'ftp://a:1', 'http://a%zz@a:1'])
    t.throws(() => etcdServers(url), { code: 'ARGUMENT' }, url)
  t.throws(() => new EtcdGateway([]), RangeError)
})

t.test('watches that end at once are retried with pauses', async t => {
  let requests = 0
  const etcd = createServer((request, response) => {
    requests++
    request.resume()
    const value = Buffer.from(`${HOST}:1`).toString('base64')
    const list = { header: { revision: '5' }, kvs: [{ value }] }
    const isList = request.url?.endsWith('/range')
    response.end(`${JSON.stringify(isList ? list : { result: { created: true } })}\n`)
  })
  await new Promise<void>(resolve => etcd.listen(0, HOST, resolve))
  t.teardown(() => {
    etcd.closeAllConnections()
    etcd.close()
  })
  const { client, sees } = clientOf(t, `http://${nameOf(etcd.address() as AddressInfo)}`)
  t.ok(await sees({ port: 1 }))
  await sleep(500)
  client.close()
  t.ok(requests <= 40, `${requests} requests`)
})
