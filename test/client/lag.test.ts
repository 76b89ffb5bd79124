// A process that was busy or stopped does not take its servers for dead, and a pool without servers
// asks the owner of a key all the same.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../lib/client/cluster-options.ts'
import { MemjsNode } from '../../lib/client/nodes/memjs-node.ts'
import { MetaNode } from '../../lib/client/nodes/meta-node.ts'
import { startServing } from '../support/client-server.ts'
import { HOST } from '../support/process.ts'
import { SKIP_UNLESS_ALL } from '../support/runs.ts'
import { startScripted } from '../support/scripted-server.ts'

const TIMEOUT_MS = 1000
const BLOCK_MS = TIMEOUT_MS * 1.2
const MANY = 40_000

function block(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

function clientOf(t: Test, ports: number[], options: ClusterOptions): ClusterClient {
  const client = new ClusterClient(
    ports.map(port => `${HOST}:${port}`),
    options,
  )
  t.teardown(() => client.close())
  return client
}

const KEYS = Array.from({ length: 20 }, (_, i) => `k${i}`)

const serving = startServing(t)

for (const driver of ['meta', 'memjs'] as const) {
  t.test(`blocks of the event loop time nobody out, by ${driver}`, async t => {
    const { port } = await serving
    const options = { driver, timeoutMs: TIMEOUT_MS, failures: 1, retries: 0 }
    const client = clientOf(t, [port], options)
    // Before the requests are sent, and while they wait: the timer is over before a reply is read.
    const asked = KEYS.map(key => client.set(key, 'v'))
    block(BLOCK_MS)
    t.ok((await Promise.all(asked)).every(Boolean), 'stored')
    const waiting = KEYS.map(key => client.get(key))
    await new Promise(resolve => process.nextTick(resolve))
    block(BLOCK_MS)
    t.strictSame([...new Set(await Promise.all(waiting))], ['v'])
    t.strictSame(client.away(), [])
  })
}

t.test('many calls at once, at the default options', { skip: SKIP_UNLESS_ALL }, async t => {
  const { port } = await serving
  const client = clientOf(t, [port], {})
  const calls = Array.from({ length: MANY }, (_, i) => client.get(`none${i}`))
  t.strictSame([...new Set(await Promise.all(calls))], [undefined])
  t.strictSame(client.away(), [])
})

t.test('time that ran out here is no failure of a server', async t => {
  const { port } = await startScripted(t, () => 'EN\r\n')
  for (const [driver, Node] of [
    ['meta', MetaNode],
    ['memjs', MemjsNode],
  ] as const) {
    const client = clientOf(t, [port], { driver, failures: 1 })
    const real = Node.prototype.get
    t.intercept(Node.prototype, 'get', {
      value(this: MetaNode & MemjsNode, key: string) {
        return real.call(this, key, -1)
      },
    })
    await t.rejects(client.get('a'), { code: 'TIMEOUT' })
    t.strictSame(client.away(), [])
  }
})

t.test('requests that are late together are one failure', async t => {
  const { port } = await startScripted(t, (line, socket) => {
    if (line.startsWith('mg k0 ')) setTimeout(() => socket.write('EN\r\n'), 50)
    return undefined
  })
  const client = clientOf(t, [port], { timeoutMs: 1000, failures: 3, retries: 0 })
  const [first, ...others] = KEYS.map(key => client.get(key))
  // Sent a little later, and late a little later.
  for (let i = 0; i < 5; i++) {
    await sleep(1)
    others.push(client.get(`later${i}`))
  }
  t.equal(await first, undefined, 'the server is not silent')
  await Promise.all(others.map(call => t.rejects(call, { code: 'TIMEOUT' })))
  t.strictSame(client.away(), [])
})

for (const replicas of [1, 2]) {
  t.test(`where all servers are away they are asked, copies: ${replicas}`, async t => {
    let isBack = false
    const answer = (line: string) => {
      if (line.startsWith('ms ')) return undefined
      return line === 'v' || line.startsWith('md ') ? 'HD\r\n' : 'EN\r\n'
    }
    const servers = await Promise.all(
      [1, 2].map(() =>
        startScripted(t, (line, socket) => {
          if (isBack) return answer(line)
          socket.destroy()
          return undefined
        }),
      ),
    )
    const ports = servers.map(({ port }) => port)
    const client = clientOf(t, ports, { timeoutMs: 20_000, failures: 1, restMs: 60_000, replicas })
    const eject = async () => {
      isBack = false
      while (client.away().length < 2) await Promise.allSettled(KEYS.map(key => client.get(key)))
      isBack = true
    }
    const calls = [
      () => client.get('a'),
      () => client.set('a', 'v'),
      () => client.delete('a'),
      () => client.touch('a', { ttlS: 1 }),
    ]
    for (const call of calls) {
      await eject()
      await t.resolves(call())
      t.ok(client.away().length < 2)
    }
  })
}
