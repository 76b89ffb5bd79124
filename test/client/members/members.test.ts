// Servers of a pool come and go while requests run.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../../lib/client/cluster-options.ts'
import type { Observer } from '../../../lib/client/discovery/source.ts'
import { Health } from '../../../lib/client/members/health.ts'
import { Members } from '../../../lib/client/members/members.ts'
import { startDaemon } from '../../support/daemon.ts'
import { FakeNode } from '../../support/fake-node.ts'
import { HOST } from '../../support/process.ts'
import { startScripted } from '../../support/scripted-server.ts'
import { comesTrue } from '../../support/server-peer.ts'

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)
const nameOf = ({ port }: { port: number }) => `${HOST}:${port}`

function clientOf(t: Test, servers: { port: number }[], options: ClusterOptions = {}) {
  const client = new ClusterClient(servers.map(nameOf), { timeoutMs: 20_000, ...options })
  t.teardown(() => client.close())
  return client
}

/** A server whose answers wait until they are released. */
async function startHeld(t: Test) {
  const held: (() => void)[] = []
  const server = await startScripted(t, (_, socket) => {
    held.push(() => socket.write('EN\r\n'))
    return undefined
  })
  return { ...server, held }
}

t.test('a request ends on the server it began with, which is closed when it is idle', async t => {
  const [stays, leaves] = [await startHeld(t), await startHeld(t)]
  const client = clientOf(t, [stays, leaves], { warmupMs: 0 })
  const asked = KEYS.map(key => client.get(key))
  await comesTrue(async () => stays.held.length + leaves.held.length === KEYS.length)
  t.ok(leaves.held.length > 0)
  client.setMembers([nameOf(stays)])
  t.strictSame(client.servers(), [nameOf(stays)])
  t.ok(KEYS.every(key => client.ownerOf(key) === nameOf(stays)))
  t.equal(leaves.sockets.size, 1, 'it still owes answers')
  for (const answer of [...stays.held, ...leaves.held]) answer()
  t.strictSame([...new Set(await Promise.all(asked))], [undefined])
  t.ok(await comesTrue(async () => leaves.sockets.size === 0), 'closed')
  t.equal(stays.sockets.size, 1, 'the same connection')
})

t.test('a server that left comes back', async t => {
  const [a, b] = [await startHeld(t), await startHeld(t)]
  const client = clientOf(t, [a, b], { warmupMs: 0 })
  const asked = KEYS.map(key => client.get(key))
  await comesTrue(async () => a.held.length + b.held.length === KEYS.length)
  client.setMembers([nameOf(a)])
  client.setMembers([nameOf(b), nameOf(a)])
  for (const answer of [...a.held, ...b.held]) answer()
  await Promise.all(asked)
  t.equal(b.sockets.size, 1, 'before it was idle: with its connection')
  t.strictSame(client.servers(), [nameOf(b), nameOf(a)])
})

t.test('servers change under load: no request is lost', async t => {
  const servers = await Promise.all([startDaemon(t), startDaemon(t), startDaemon(t)])
  const client = clientOf(t, servers)
  let isOver = false
  let count = 0
  const load = async (worker: number) => {
    for (let i = 0; !isOver; i++, count++) {
      await client.set(`w${worker}-${i % 500}`, 'v')
      await client.getMany(KEYS)
    }
  }
  const loads = Promise.all([0, 1, 2, 3].map(load))
  for (let i = 0; i < 40; i++) {
    const before = count
    client.setMembers(servers.filter((_, index) => index !== i % 4).map(nameOf))
    if (!(await comesTrue(async () => count > before + 4))) break
  }
  isOver = true
  await loads
  t.ok(count > 160, `${count} rounds`)
})

t.test('an invalid list changes nothing', async t => {
  const client = clientOf(t, [{ port: 1 }])
  t.throws(() => client.setMembers(['a b']), { code: 'ARGUMENT' })
  t.throws(() => client.setMembers(['a:1:0']), { code: 'ARGUMENT' })
  t.strictSame(client.servers(), [`${HOST}:1`])
  client.setMembers([])
  await t.rejects(client.get('a'), { code: 'CONNECTION' })
})

t.test('a source provides the servers', async t => {
  const server = await startScripted(t, line =>
    line === 'mn' ? 'MN\r\n' : line.endsWith(' q') ? undefined : 'EN\r\n',
  )
  const told: string[][] = []
  const faults: string[] = []
  let observer: Observer | undefined
  let stops = 0
  const source = {
    watch(given: Observer) {
      observer = given
      return () => stops++
    },
  }
  const client = new ClusterClient(source, {
    timeoutMs: 20_000,
    onServers: names => told.push(names),
    onDiscoveryError: ({ message }) => faults.push(message),
  })
  t.teardown(() => client.close())
  await t.rejects(client.ready(1), { code: 'TIMEOUT' })
  const waiting = [client.get('a'), client.getMany(['a'])]
  observer?.fail(new Error('nobody there'))
  observer?.change([{ host: HOST, port: server.port }])
  await client.ready(1)
  t.equal(await waiting[0], undefined, 'asked before, answered after')
  observer?.change([])
  t.equal(await client.get('a'), undefined, 'an empty list is none')
  t.strictSame(told, [[nameOf(server)]])
  t.strictSame(faults, ['nobody there'])
  client.close()
  t.equal(stops, 1)
  observer?.change([{ host: HOST, port: 1 }])
  await t.rejects(client.get('a'), { code: 'CLOSED' })
})

t.test('a client that is closed before servers are known rejects calls', async t => {
  const client = new ClusterClient({ watch: () => () => {} }, { timeoutMs: 20_000 })
  const asked = t.rejects(client.get('a'), { code: 'CLOSED' })
  client.close()
  await asked
})

t.test('a server that left while it was ejected comes back and is asked again', async t => {
  let isBack = false
  const stays = await startScripted(t, () => 'EN\r\n')
  const flaps = await startScripted(t, (line, socket) => {
    if (isBack) return line === 'mn' ? 'MN\r\n' : 'EN\r\n'
    socket.destroy()
    return undefined
  })
  const client = clientOf(t, [stays, flaps], { failures: 1, restMs: 10 })
  await Promise.allSettled(KEYS.map(key => client.get(key)))
  t.strictSame(client.away(), [nameOf(flaps)])
  client.setMembers([nameOf(stays)])
  await sleep(200)
  isBack = true
  client.setMembers([stays, flaps].map(nameOf))
  t.ok(await comesTrue(async () => client.away().length === 0))
})

t.test(
  'a late request to a server that left does not let go of the one that came back',
  async t => {
    const closed: number[] = []
    let made = 0
    const members = new Members([{ host: 'a', port: 1 }], {
      createNode: () => {
        const id = made++
        return Object.assign(new FakeNode('a:1'), { close: () => closed.push(id) })
      },
      createHealth: () => new Health(1, 1000),
      probeMs: 1000,
      warmupMs: 0,
    })
    const [first] = members.all()
    members.set([{ host: 'b', port: 1 }])
    members.set([{ host: 'a', port: 1 }])
    await members.on(first, node => node.probe(1000))
    members.close()
    t.ok(closed.includes(2), 'the third that was made')
  },
)
