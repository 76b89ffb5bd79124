// The pool client with servers that break, refuse or flap.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../lib/client/cluster-options.ts'
import { MetaNode } from '../../lib/client/nodes/meta-node.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import { freePort, HOST, type Owner } from '../support/process.ts'
import { startScripted } from '../support/scripted-server.ts'
import { comesTrue } from '../support/server-peer.ts'

function clientOf(owner: Owner, ports: number[], options: ClusterOptions): ClusterClient {
  const names = ports.map(port => `${HOST}:${port}`)
  const client = new ClusterClient(names, { timeoutMs: 20_000, restMs: 60_000, ...options })
  owner.teardown(() => client.close())
  return client
}

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)

t.test('a connection that breaks is one failure, however many requests it had', async t => {
  const { port } = await startScripted(t, (line, socket) => {
    if (line.startsWith('mg k39 ')) socket.destroy()
    return undefined
  })
  const client = clientOf(t, [port], { failures: 2, retries: 0 })
  const ask = () => Promise.allSettled(KEYS.map(key => client.get(key)))
  t.ok((await ask()).every(({ status }) => status === 'rejected'))
  t.strictSame(client.away(), [])
  await ask()
  t.equal(client.away().length, 1)
})

t.test('a delete is sent once', async t => {
  const { port, lines } = await startScripted(t, (_, socket) => {
    socket.destroy()
    return undefined
  })
  const client = clientOf(t, [port], { failures: 9, retries: 3 })
  await t.rejects(client.delete('a'), { code: 'CONNECTION' })
  t.strictSame(lines, ['md a'])
})

t.test('many keys: those of a server that is away miss', async t => {
  const client = clientOf(t, [await freePort()], { failures: 1 })
  t.equal((await client.getMany(KEYS)).size, 0)
  t.equal(client.away().length, 1)
  t.equal((await client.getMany(KEYS)).size, 0)
  await t.rejects(client.get('a'), { code: 'CONNECTION' })
})

t.test('many keys: one server that refuses does not affect the others', async t => {
  const hit = await startScripted(t, line => {
    const [word, key] = line.split(' ')
    return word === 'mn' ? 'MN\r\n' : `VA 1 f0 t-1 c1 k${key}\r\nv\r\n`
  })
  const full = await startScripted(t, line =>
    line === 'mn' ? 'MN\r\n' : 'SERVER_ERROR out of memory\r\n',
  )
  const client = clientOf(t, [hit.port, full.port], {})
  const wanted = KEYS.filter(key => client.ownerOf(key) === `${HOST}:${hit.port}`)
  t.ok(wanted.length > 0 && wanted.length < KEYS.length)
  t.strictSame([...(await client.getMany(KEYS)).keys()], wanted)
})

t.test('many keys: a wrong password and a closed client reject', async t => {
  const { port } = await startScripted(t, () => 'CLIENT_ERROR authentication failure\r\n')
  const client = clientOf(t, [port], { auth: { user: 'u', password: 'p' } })
  await t.rejects(client.getMany(KEYS), { code: 'AUTH' })
  client.close()
  await t.rejects(client.getMany(KEYS), { code: 'CLOSED' })
})

t.test('a server that flaps is probed by one loop', async t => {
  const late = Promise.withResolvers<undefined>()
  let probes = 0
  t.intercept(MetaNode.prototype, 'get', {
    value: async (key: string) => {
      if (key === 'late') return late.promise
      throw new CacheError('CONNECTION', 'broken')
    },
  })
  t.intercept(MetaNode.prototype, 'probe', {
    value: () => {
      probes++
      return new Promise(() => {})
    },
  })
  const client = clientOf(t, [1], { failures: 1, restMs: 10, retries: 0 })
  const answered = client.get('late')
  await t.rejects(client.get('a'))
  t.ok(await comesTrue(async () => probes === 1))
  late.resolve(undefined)
  await answered
  t.strictSame(client.away(), [], 'a late answer brings it back')
  await t.rejects(client.get('a'))
  await sleep(200)
  t.equal(client.away().length, 1)
  t.equal(probes, 1)
})
