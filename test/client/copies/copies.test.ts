// Two copies of each value on real servers: where they are, and the meaning of versions and claims.

import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { MetaNode } from '../../../lib/client/nodes/meta-node.ts'
import { startDaemon } from '../../support/daemon.ts'
import { HOST, type ServerProcess } from '../../support/process.ts'
import { startScripted } from '../../support/scripted-server.ts'
import { comesTrue } from '../../support/server-peer.ts'

const LONG_MS = 20_000

async function poolOf(t: Test): Promise<{ client: ClusterClient; servers: ServerProcess[] }> {
  const servers = await Promise.all([1, 2, 3].map(() => startDaemon(t, ['-t', '1'])))
  const names = servers.map(({ port }) => `${HOST}:${port}`)
  const client = new ClusterClient(names, { replicas: 2, timeoutMs: LONG_MS, restMs: 50 })
  t.teardown(() => client.close())
  return { client, servers }
}

function keysOf(client: ClusterClient, server: ServerProcess, count: number): string[] {
  const keys = Array.from({ length: 100 * count }, (_, i) => `k${i}`)
  return keys.filter(key => client.ownerOf(key) === `${HOST}:${server.port}`).slice(0, count)
}

t.test('each value is on two servers, and a delete leaves none', async t => {
  const { client } = await poolOf(t)
  const keys = Array.from({ length: 300 }, (_, i) => `k${i}`)
  const items = async () => {
    const counts = [...(await client.serverStats()).values()].map(stats =>
      Number(stats.get('curr_items')),
    )
    return counts.reduce((sum, count) => sum + count)
  }
  await Promise.all(keys.map(key => client.set(key, 'v')))
  t.equal(await items(), 600)
  await Promise.all(keys.map(key => client.delete(key)))
  t.equal(await items(), 0)
})

t.test('a version of one server is not valid on another', async t => {
  const { client, servers } = await poolOf(t)
  const [key] = keysOf(client, servers[0], 1)
  await client.set(key, 'old')
  const hit = await client.getItem(key)
  process.kill(servers[0].pid, 'SIGKILL')
  t.ok(
    await comesTrue(async () => {
      await client.get(key)
      return client.away().length === 1
    }, LONG_MS),
    'ejected',
  )
  const failed = await client.casItem(key, 'new', hit?.cas ?? 0n)
  t.match(failed, { isStored: false, item: { value: 'old' } })
  const next = await client.getItem(key)
  t.equal(String(next?.value), 'old')
  t.equal(await client.cas(key, 'new', next?.cas ?? 0n), true)
  t.equal(await client.delete(key, { cas: next?.cas }), false, 'nor is a former one')
  t.equal(await client.delete(key, { cas: (await client.getItem(key))?.cas }), true)
})

t.test('a claim is for a value that no server has', async t => {
  const { client, servers } = await poolOf(t)
  const [key, other] = keysOf(client, servers[0], 2)
  await client.set(key, 'kept', { ttlS: 100 })
  const node = new MetaNode({ host: HOST, port: servers[0].port })
  t.teardown(() => node.close())
  await node.delete(key, LONG_MS)
  const kept = await client.lease(key, { claimS: 10 })
  t.strictSame([String(kept?.value), kept?.won], ['kept', false])
  const isBack = async () => String((await node.get(key, LONG_MS))?.value) === 'kept'
  t.ok(await comesTrue(isBack, LONG_MS), 'the claim made room for it')
  const claim = await client.lease(other, { claimS: 10 })
  t.equal(claim?.won, true)
  t.equal((await client.lease(other, { claimS: 10 }))?.won, false)
  t.equal(await client.cas(other, 'made', claim?.cas ?? 0n), true)
  t.equal(String((await client.lease(other, { claimS: 10 }))?.value), 'made')
  const made = await client.getItem(other)
  t.equal(await client.expire(other, made?.cas ?? 0n), true)
  t.equal((await client.lease(other, { claimS: 10 }))?.won, true)
})

t.test('an item deleted while it is copied does not come back', async t => {
  let asked = 0
  const owner = await startScripted(t, line => (line.startsWith('mg') ? 'EN\r\n' : 'HD\r\n'))
  const other = await startScripted(t, line => {
    if (!line.startsWith('mg')) return 'HD\r\n'
    return asked++ === 0 ? 'VA 1 f0 t-1 c5\r\nv\r\n' : 'EN\r\n'
  })
  const names = [owner, other].map(({ port }) => `${HOST}:${port}`)
  const client = new ClusterClient(names, { replicas: 2, timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(
    key => client.ownerOf(key) === names[0],
  )
  t.equal(String(await client.get(key ?? '')), 'v')
  t.ok(await comesTrue(() => owner.lines.includes(`md ${key}`)))
  t.strictSame(
    owner.lines.map(line => line.split(' ')[0]),
    ['mg', 'ms', 'v', 'md'],
  )
})

t.test('a copy is not read before it is confirmed', async t => {
  let asked = 0
  const hit = 'VA 1 f0 t-1 c5\r\nv\r\n'
  const owner = await startScripted(t, line => {
    if (line.startsWith('mg')) return asked++ === 0 ? 'EN\r\n' : hit
    return undefined
  })
  const other = await startScripted(t, () => hit)
  const names = [owner, other].map(({ port }) => `${HOST}:${port}`)
  const client = new ClusterClient(names, { replicas: 2, timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
  const key = keys.find(key => client.ownerOf(key) === names[0]) ?? ''
  t.equal(await client.get(key), 'v')
  t.ok(await comesTrue(async () => owner.lines.some(line => line.startsWith('ms'))))
  t.equal(await client.get(key), 'v')
  t.equal(asked, 1, 'it is on its way')
  for (const socket of owner.sockets) socket.write('HD\r\n')
  const isRead = async () => (await client.get(key)) === 'v' && asked > 1
  t.ok(await comesTrue(isRead), 'it stays')
})

t.test('the number of copies has bounds', async t => {
  for (const replicas of [0, 1.5, 9, Number.NaN]) {
    t.throws(
      () => new ClusterClient([`${HOST}:1`], { replicas }),
      { code: 'ARGUMENT' },
      `${replicas}`,
    )
  }
})

t.test('many keys: a holder that left meanwhile is not asked', async t => {
  const held: (() => void)[] = []
  const start = () =>
    startScripted(t, (line, socket) => {
      if (line === 'mn') held.push(() => socket.write('MN\r\n'))
      return undefined
    })
  const [stays, leaves] = [await start(), await start()]
  const names = [stays, leaves].map(({ port }) => `${HOST}:${port}`)
  const client = new ClusterClient(names, { replicas: 2, warmupMs: 0, timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(
    key => client.ownerOf(key) === names[0],
  )
  const asked = client.getMany([key ?? ''])
  t.ok(await comesTrue(async () => held.length === 1))
  client.setMembers([names[0]])
  held[0]()
  t.equal((await asked).size, 0)
})

t.test('an item changed while a server was added does not come back after its removal', async t => {
  const { client } = await poolOf(t)
  const names = client.servers()
  const more = [...names, `${HOST}:${(await startDaemon(t, ['-t', '1'])).port}`]
  const keys = Array.from({ length: 300 }, (_, i) => `k${i}`)
  await Promise.all(keys.map(key => client.set(key, 'old')))
  client.setMembers(more)
  const isGone = (i: number) => i % 3 === 0
  const change = (key: string, i: number) => {
    if (isGone(i)) return client.delete(key)
    return i % 3 === 1 ? client.set(key, 'new') : client.replace(key, 'new')
  }
  await Promise.all(keys.map(change))
  client.setMembers(names)
  const left = await client.getMany(keys)
  t.strictSame(
    keys.filter((key, i) => left.get(key) !== (isGone(i) ? undefined : 'new')),
    [],
  )
  const all = await Promise.all(
    names.map(async name => {
      const node = new ClusterClient([name], { timeoutMs: LONG_MS })
      t.teardown(() => node.close())
      return [...(await node.getMany(keys)).values()]
    }),
  )
  t.strictSame([...new Set(all.flat())], ['new'], 'on no server')
})
