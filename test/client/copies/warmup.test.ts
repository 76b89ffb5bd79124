// Servers come and go, and the cache stays warm: items move from the previous owner to the new one,
// and no old value comes back.

import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import type { ClusterOptions } from '../../../lib/client/cluster-options.ts'
import { type Ask, moveItem } from '../../../lib/client/copies/move.ts'
import { MetaNode } from '../../../lib/client/nodes/meta-node.ts'
import { startDaemon } from '../../support/daemon.ts'
import { skipWithout, startOracle } from '../../support/oracle.ts'
import { HOST, type ServerProcess } from '../../support/process.ts'
import { startScripted } from '../../support/scripted-server.ts'
import { comesTrue } from '../../support/server-peer.ts'

const KINDS = [
  { name: 'memslab', start: startDaemon, skip: false as const },
  { name: 'memcached', start: startOracle, skip: skipWithout('memcached') },
]
const MS = 20_000
const DAY_S = 60 * 60 * 24
/** The bits of the flags that no client library has a meaning for. */
const ownFlags = (i: number) => (i % 256) * 2 ** 24
const KEYS = Array.from({ length: 400 }, (_, i) => `key:${i}`)
const nameOf = ({ port }: { port: number }) => `${HOST}:${port}`

function clientOf(t: Test, servers: { port: number }[], options: ClusterOptions = {}) {
  const client = new ClusterClient(servers.map(nameOf), { timeoutMs: MS, ...options })
  t.teardown(() => client.close())
  return client
}

function nodeOf(t: Test, { port }: { port: number }): MetaNode {
  const node = new MetaNode({ host: HOST, port })
  t.teardown(() => node.close())
  return node
}

for (const { name, start, skip } of KINDS) {
  let begun: Promise<ServerProcess[]> | undefined
  /** Four servers, the same for all tests. */
  const begin = () => {
    begun ??= Promise.all(Array.from({ length: 4 }, () => start(t, ['-t', '1'])))
    return begun
  }

  /** Stores all keys on three servers, then adds a fourth. Returns the keys that it owns now. */
  const grow = async (t: Test, options: ClusterOptions = {}) => {
    const servers = await begin()
    await clientOf(t, servers).flush()
    const client = clientOf(t, servers.slice(0, 3), options)
    await Promise.all(
      KEYS.map((key, i) => client.set(key, key, { flags: ownFlags(i), ttlS: 1000 + i })),
    )
    const before = new Map(KEYS.map(key => [key, client.ownerOf(key)]))
    client.setMembers(servers.map(nameOf))
    const moved = KEYS.filter(key => client.ownerOf(key) === nameOf(servers[3]))
    t.ok(moved.length > 20, `${moved.length} keys have a new owner`)
    const nodes = new Map(servers.map(server => [nameOf(server), nodeOf(t, server)]))
    const formerOf = (key: string) => nodes.get(before.get(key) ?? '') as MetaNode
    const fourth = nodes.get(nameOf(servers[3])) as MetaNode
    return { client, servers, moved, formerOf, fourth }
  }

  t.test(`a miss moves the item, with flags and TTL, on ${name}`, { skip }, async t => {
    const { client, moved, formerOf, fourth } = await grow(t)
    for (const [i, key] of KEYS.entries()) {
      const hit = await client.getItem(key)
      const ttlS = hit?.ttlS ?? 0
      const isSame = hit?.value === key && hit.flags === ownFlags(i)
      if (!isSame || ttlS > 1000 + i || ttlS < 700) t.fail(`${key}: ${ttlS}`)
    }
    for (const key of moved) {
      if ((await fourth.get(key, MS)) === undefined) t.fail(`${key} is not on its owner`)
      if ((await formerOf(key).get(key, MS)) !== undefined) t.fail(`${key} is on the one before`)
    }
    const hit = await client.getItem(moved[0])
    t.equal(await client.cas(moved[0], 'next', hit?.cas ?? 0n), true, 'the CAS of its owner')
  })

  t.test(`many at once, on ${name}`, { skip }, async t => {
    const { client, moved, fourth } = await grow(t)
    t.equal((await client.getMany([...KEYS, 'nobody'])).size, KEYS.length)
    t.equal((await fourth.getMany(moved, MS)).size, moved.length)
  })

  t.test(`items set, deleted or flushed stay so, on ${name}`, { skip }, async t => {
    const { client, moved, formerOf, fourth } = await grow(t)
    const [set, deleted, beside, versioned, flushed] = moved
    await client.set(set, 'new')
    t.equal(await client.get(set), 'new')
    await fourth.delete(set, MS)
    t.equal(await client.get(set), undefined, 'its old value does not come back')
    t.equal(await formerOf(set).get(set, MS), undefined)
    t.equal(await client.delete(deleted), true, 'it was on the one before')
    t.equal(await client.get(deleted), undefined)
    t.equal(await client.delete(deleted), false)
    // Stored there by a client that does not know previous owners.
    const other = { mode: 'set', key: beside, flags: 0, exptime: 0, cas: undefined } as const
    await fourth.store({ ...other, value: Buffer.from('other') }, MS)
    t.equal(await client.delete(beside), true)
    t.equal(await client.get(beside), undefined, 'deleted on both')
    t.equal(await client.delete(versioned, { cas: 2n ** 60n }), false, 'another version')
    t.ok(await client.get(versioned))
    await client.flush()
    t.equal(await client.get(flushed), undefined)
  })

  t.test(`an item is moved before it is changed, on ${name}`, { skip }, async t => {
    const { client, moved, formerOf } = await grow(t)
    const [added, appended, counted, touched, replaced] = moved
    t.equal(await client.add(added, 'x'), false)
    t.equal(await client.append(appended, '!'), true)
    t.equal(await client.get(appended), `${appended}!`)
    t.equal(await client.replace(replaced, 'other'), true)
    t.equal(await client.touch(touched, { ttlS: 5000 }), true)
    t.ok(((await client.getItem(touched))?.ttlS ?? 0) > 4000)
    const number = {
      mode: 'set',
      flags: 0,
      exptime: 0,
      cas: undefined,
      value: Buffer.from('41'),
    } as const
    await formerOf(counted).store({ ...number, key: counted }, MS)
    t.equal(await client.incr(counted, 1, { initial: 0n }), 42n)
  })

  t.test(`a server that leaves gives away its items, on ${name}`, { skip }, async t => {
    const { client, servers } = await grow(t)
    await client.getMany(KEYS)
    client.setMembers(servers.slice(1).map(nameOf))
    t.equal((await client.getMany(KEYS)).size, KEYS.length)
  })

  t.test(`without a window old values are left behind, on ${name}`, { skip }, async t => {
    const { client, moved } = await grow(t, { warmupMs: 0 })
    t.equal((await client.getMany(KEYS)).size, KEYS.length - moved.length)
  })

  t.test(`items that change while they are moved, on ${name}`, { skip }, async t => {
    const [a, b] = (await begin()).map(server => nodeOf(t, server))
    const plain =
      (node: MetaNode): Ask =>
      call =>
        call(node, MS)
    const item = { mode: 'set', key: 'k', flags: 1, exptime: 0, cas: undefined } as const
    /** Calls `then` once a reply of `a` is in flight. */
    const after = (then: () => Promise<unknown>): Ask => {
      let isFirst = true
      return async call => {
        const answer = await call(a, MS)
        if (isFirst) await then()
        isFirst = false
        return answer
      }
    }
    const set = (node: MetaNode, text: string) =>
      node.store({ ...item, value: Buffer.from(text) }, MS)
    const textOf = async (node: MetaNode) => (await node.get('k', MS))?.value.toString()

    await set(a, 'old')
    const deleteBoth = () => Promise.all([a.delete('k', MS), b.delete('k', MS)])
    t.equal(await moveItem('k', after(deleteBoth), plain(b)), 'NONE')
    t.strictSame([await textOf(a), await textOf(b)], [undefined, undefined], 'stays deleted')

    await set(a, 'old')
    t.equal(
      await moveItem(
        'k',
        after(() => set(b, 'new')),
        plain(b),
      ),
      'NEWER',
    )
    t.equal(await textOf(b), 'new', 'not overwritten')

    await deleteBoth()
    await set(a, 'old')
    t.equal(
      await moveItem(
        'k',
        after(() => set(a, 'newer')),
        plain(b),
      ),
      'MOVED',
    )
    t.strictSame([await textOf(a), await textOf(b)], [undefined, 'newer'])

    await b.store(
      { ...item, exptime: 40 * DAY_S + Math.floor(Date.now() / 1000), value: Buffer.from('v') },
      MS,
    )
    t.equal(await moveItem('k', plain(b), plain(a)), 'MOVED')
    const ttlS = (await a.get('k', MS))?.ttlS ?? 0
    t.ok(ttlS > 39 * DAY_S && ttlS <= 40 * DAY_S + 2, 'above 30 days')

    await a.delete('k', MS)
    t.equal((await a.lease('k', { claimS: 30, recacheS: 0 }, MS)).won, true)
    t.equal(await moveItem('k', plain(a), plain(b)), 'NONE', 'a claim is nothing to move')
    t.equal(await textOf(b), undefined)
  })
}

t.test('a key that is being moved is fetched once', async t => {
  const former = await startScripted(t, line => {
    if (line.startsWith('mg')) return undefined
    return line.startsWith('md') ? 'HD\r\n' : undefined
  })
  const fresh = await startDaemon(t)
  const client = clientOf(t, [former])
  client.setMembers([nameOf(fresh)])
  const asked = Array.from({ length: 10 }, () => client.get('k'))
  t.ok(await comesTrue(async () => former.lines.length > 0))
  for (const socket of former.sockets) socket.write('VA 1 f0 t-1 c5\r\nv\r\n')
  t.strictSame([...new Set(await Promise.all(asked))], ['v'])
  t.strictSame(former.lines, ['mg k v f t c', 'md k C5'])
})

t.test('a server that left is closed at the end of the window', async t => {
  const former = await startScripted(t, () => 'EN\r\n')
  const fresh = await startDaemon(t)
  const client = clientOf(t, [former], { warmupMs: 2000 })
  await client.get('k')
  client.setMembers([nameOf(fresh)])
  t.equal(await client.get('k'), undefined)
  t.equal(former.sockets.size, 1)
  t.ok(await comesTrue(async () => former.sockets.size === 0))
  const { length } = former.lines
  await client.get('k')
  t.equal(former.lines.length, length, 'nor asked')
})

t.test('a server that left and does not answer is asked once', async t => {
  const former = await startScripted(t, (_, socket) => {
    socket.destroy()
    return undefined
  })
  const fresh = await startDaemon(t)
  const client = clientOf(t, [former])
  client.setMembers([nameOf(fresh)])
  t.equal(await client.get('a'), undefined)
  t.equal(await client.set('b', 'v'), true)
  t.equal(await client.delete('b'), true)
  t.strictSame(former.lines, ['mg a v f t c'])
  t.strictSame(client.away(), [])
})

t.test('a frozen server costs half of the remaining time', async t => {
  const former = await startScripted(t, () => undefined)
  const fresh: ServerProcess = await startDaemon(t)
  const client = clientOf(t, [former], { timeoutMs: 4000 })
  client.setMembers([nameOf(fresh)])
  t.equal(await client.get('a'), undefined, 'a miss in time')
})
