// How calls and pools end early: by a signal, by close with time for what is in flight, by `await
// using`.

import t from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { HOST } from '../support/process.ts'
import { startScripted } from '../support/scripted-server.ts'
import { comesTrue } from '../support/server-peer.ts'

const LONG_MS = 20_000

t.test('a signal ends each call, and nothing is sent after it', async t => {
  const { port, lines } = await startScripted(t, () => undefined)
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  const controller = new AbortController()
  const under = client.withSignal(controller.signal)
  const waiting = [
    under.get('a'),
    under.getMany(['a']),
    under.set('a', 'v'),
    under.delete('a'),
    under.incr('a'),
    under.lease('a', { claimS: 1 }),
    under.flush(),
  ]
  t.ok(await comesTrue(() => lines.includes('flush_all 0')))
  const { length } = lines
  const reason = new Error('the peer left')
  controller.abort(reason)
  for (const call of waiting) t.equal(await call.catch(error => error), reason)
  t.equal(await under.get('a').catch(error => error), reason)
  await new Promise(setImmediate)
  t.equal(lines.length, length)
  t.throws(() => client.withSignal({} as AbortSignal), { code: 'ARGUMENT' })
})

t.test('a call under a signal answers as any', async t => {
  const { port } = await startScripted(t, line => (line.startsWith('md') ? 'HD\r\n' : 'EN\r\n'))
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  const under = client.withSignal(new AbortController().signal)
  t.equal(await under.get('a'), undefined)
  t.equal(await under.delete('a'), true)
  await t.rejects(under.get('a b'), { code: 'KEY' })
})

t.test('calls in flight may end before a pool is closed', async t => {
  const { port, lines, sockets } = await startScripted(t, () => undefined)
  const answer = () => {
    for (const socket of sockets) socket.write('EN\r\n')
  }
  const closes: ((client: ClusterClient) => Promise<void>)[] = [
    client => client.close({ graceMs: LONG_MS }),
    client => client[Symbol.asyncDispose](),
  ]
  for (const close of closes) {
    const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: LONG_MS })
    const before = lines.length
    const call = client.get('a')
    t.ok(await comesTrue(() => lines.length > before))
    const closed = close(client)
    await t.rejects(client.get('b'), { code: 'CLOSED' })
    await t.rejects(client.flush(), { code: 'CLOSED' })
    answer()
    t.equal(await call, undefined, 'it had its answer')
    await closed
    t.ok(await comesTrue(() => sockets.size === 0), 'and nothing is open')
  }
})

t.test('what does not end in time is CLOSED', async t => {
  const { port } = await startScripted(t, () => undefined)
  for (const options of [{ graceMs: 50 }, undefined]) {
    const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: LONG_MS })
    const call = client.get('a')
    await Promise.all([t.rejects(call, { code: 'CLOSED' }), client.close(options)])
  }
  const client = new ClusterClient([`${HOST}:${port}`])
  t.teardown(() => client.close())
  await t.rejects(client.close({ graceMs: '5' } as never), { code: 'ARGUMENT' })
  await t.rejects(client.close({ grace: 5 } as never), { code: 'ARGUMENT' })
})
