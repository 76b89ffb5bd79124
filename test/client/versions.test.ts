// A version (`cas`) names the server that gave it and that server's life: the number of one server
// means nothing to another, nor to the same one after a restart.

import t from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { ONE_THREAD, POOL_KINDS, startPool, untilTrue } from '../support/pool.ts'
import { HOST } from '../support/process.ts'
import { startScripted } from '../support/scripted-server.ts'

const LONG_MS = 20_000
const BORN = 'STAT pid 1\r\nSTAT time 9\r\nSTAT uptime 2\r\nEND\r\n'

for (const kind of POOL_KINDS) {
  const { name, driver, skip, startOn } = kind
  for (const replicas of [1, 2]) {
    t.test(`failover and restart, on ${name}, copies: ${replicas}`, { skip }, async t => {
      const terms = { replicas, failures: 1, restMs: 50, timeoutMs: LONG_MS }
      const { client, servers } = await startPool(t, kind, 2, terms)
      const names = client.servers()
      const other = new ClusterClient(names, { driver, timeoutMs: LONG_MS, replicas })
      t.teardown(() => other.close())
      await client.set('k', 'first')
      const { cas = 0n } = (await client.getItem('k')) ?? {}
      t.equal((await other.getItem('k'))?.cas, cas, 'the same for every client')
      t.equal(await other.cas('k', 'second', cas), true)
      t.equal(await client.cas('k', 'third', cas), false)
      const mine = (await client.getItem('k'))?.cas ?? 0n

      const owner = servers.find(({ port }) => client.ownerOf('k') === `${HOST}:${port}`)
      if (owner === undefined) throw new Error('no owner')
      process.kill(owner.pid, 'SIGKILL')
      await untilTrue('ejected', async () => {
        await client.get('k').catch(() => {})
        return client.away().length === 1
      })
      // As often as it takes for the other server to have given the same number.
      for (let i = 0; i < 20; i++) await client.set('k', `elsewhere ${i}`)
      t.equal(await client.cas('k', 'wrong', mine), false, 'not of the next server')
      t.equal(await client.delete('k', { cas: mine }), false)
      t.equal(await client.expire('k', mine), false)
      await startOn(t, owner.port, ONE_THREAD)
      await untilTrue('back', () => client.away().length === 0)
      for (let i = 0; i < 20; i++) {
        await client.set('k', `again ${i}`)
        if (await client.cas('k', 'wrong', mine)) t.fail(`taken after a restart, ${i}`)
      }
      const now = (await client.getItem('k'))?.cas ?? 0n
      t.equal(await client.cas('k', 'right', now), true, 'its own version is taken')
    })
  }
}

t.test('a life is asked for once, and only for versions', async t => {
  const { port, lines } = await startScripted(t, line => {
    if (line.startsWith('stats')) return BORN
    return line.startsWith('mg ') ? 'VA 1 f0 c1 t-1\r\nv\r\n' : 'HD\r\n'
  })
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  await client.get('a')
  await client.getMany(['a']).catch(() => {})
  const count = () => lines.filter(line => line.startsWith('stats')).length
  t.equal(count(), 0)
  const { cas = 0n } = (await client.getItem('a')) ?? {}
  await client.getItem('a')
  t.equal(await client.cas('a', 'v', cas), true)
  t.equal(count(), 1)
})

t.test('a server that tells no life has one for each connection', async t => {
  const { port, sockets } = await startScripted(t, line => {
    if (line.startsWith('stats')) return 'ERROR\r\n'
    if (line.startsWith('mg ')) return 'VA 1 f0 c1 t-1\r\nv\r\n'
    return line === 'v' ? undefined : 'HD\r\n'
  })
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: LONG_MS })
  t.teardown(() => client.close())
  const { cas = 0n } = (await client.getItem('a')) ?? {}
  t.equal(await client.cas('a', 'v', cas), true)
  for (const socket of sockets) socket.destroy()
  await untilTrue('gone', () => sockets.size === 0)
  await client.get('a').catch(() => {})
  t.equal(await client.cas('a', 'v', cas), false)
})
