// A server's items move to their owners while clients go on.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { drain } from '../../../lib/client/drain/drain.ts'
import { keysOf } from '../../../lib/client/nodes/key-dump.ts'
import { MetaNode } from '../../../lib/client/nodes/meta-node.ts'
import { startDaemon } from '../../support/daemon.ts'
import { skipWithout, startOracle } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'
import { startScripted } from '../../support/scripted-server.ts'
import { askOnce } from '../../support/server-peer.ts'

const KINDS = [
  { name: 'memslab', start: startDaemon, skip: false as const },
  { name: 'memcached', start: startOracle, skip: skipWithout('memcached') },
]
const MS = 20_000
const KEYS = Array.from({ length: 2000 }, (_, i) => `schlüssel%${i}`)
const nameOf = ({ port }: { port: number }) => `${HOST}:${port}`

function clientOf(t: Test, servers: { port: number }[]) {
  const client = new ClusterClient(servers.map(nameOf), { timeoutMs: MS })
  t.teardown(() => client.close())
  return client
}

async function itemsOn(server: { port: number }): Promise<string[]> {
  const keys: string[] = []
  for await (const key of keysOf({ host: HOST, port: server.port })) keys.push(key)
  return keys.sort()
}

/** Flags of an application's own. */
const flagsOf = (i: number) => ((i % 256) << 24) >>> 0

for (const { name, start, skip } of KINDS) {
  t.test(`all items move to their owners, on ${name}`, { skip }, async t => {
    const servers = await Promise.all([0, 1, 2, 3].map(() => start(t, ['-t', '1'])))
    const [, , , last] = servers
    const client = clientOf(t, servers)
    await Promise.all(
      KEYS.map((key, i) => client.set(key, `v${i}`, { ttlS: 500, flags: flagsOf(i) })),
    )
    const wanted = KEYS.filter(key => client.ownerOf(key) === nameOf(last)).sort()
    t.strictSame(await itemsOn(last), wanted, 'every key is listed')

    const three = servers.slice(0, 3).map(nameOf)
    client.setMembers(three)
    await client.set(wanted[0], 'set since')
    await client.delete(wanted[1])
    const report = await drain(nameOf(last), three)
    t.equal(report.moved, wanted.length - 2)
    t.strictSame(await itemsOn(last), [])
    await last.stop()
    const hits = await client.getManyItems(KEYS)
    t.equal(hits.size, KEYS.length - 1)
    t.equal(hits.get(wanted[0])?.value, 'set since')
    t.notOk(hits.has(wanted[1]))
    for (const [i, key] of KEYS.entries()) {
      const hit = hits.get(key)
      if (hit === undefined || key === wanted[0]) continue
      const isSame = hit.value === `v${i}` && hit.flags === flagsOf(i)
      if (!isSame || (hit.ttlS ?? 0) < 200) t.fail(key)
    }
  })

  t.test(`a server that stays keeps its own, on ${name}`, { skip }, async t => {
    const servers = await Promise.all([start(t, ['-t', '1']), start(t, ['-t', '1'])])
    const [first] = servers
    const client = clientOf(t, [first])
    await Promise.all(KEYS.map(key => client.set(key, 'v')))
    const before = await itemsOn(first)
    const copied = await drain(nameOf(first), servers.map(nameOf), { keep: true, atOnce: 3 })
    t.strictSame(await itemsOn(first), before, 'copied alone')
    const report = await drain(nameOf(first), servers.map(nameOf))
    t.equal(report.newer, copied.moved)
    client.setMembers(servers.map(nameOf))
    t.ok(copied.moved > 0 && copied.moved < KEYS.length)
    t.equal((await client.getMany(KEYS)).size, KEYS.length)
  })
}

t.test('drains that fail', async t => {
  const refuses = await startScripted(t, () => 'ERROR metadump not allowed\r\n')
  await t.rejects(drain(nameOf(refuses), ['a:1']), { code: 'SERVER' })
  await t.rejects(drain(nameOf(refuses), []), { code: 'ARGUMENT' })
  await t.rejects(drain(`${HOST}:1`, ['a:1']), { code: 'CONNECTION' })
  const binary = await startScripted(t, line =>
    line.startsWith('lru_crawler') ? 'key=%ff exp=-1 \nkey=a%20b exp=-1 \nEND\r\n' : undefined,
  )
  t.strictSame(await drain(nameOf(binary), ['a:1']), {
    seen: 2,
    moved: 0,
    newer: 0,
    skipped: 2,
    failed: 0,
  })
})

t.test('a busy crawler is retried', async t => {
  let asked = 0
  const { port } = await startScripted(t, line => {
    if (!line.startsWith('lru_crawler')) return undefined
    return asked++ === 0 ? 'BUSY currently processing crawler request\r\n' : 'OK\r\nEND\r\n'
  })
  t.equal((await drain(`${HOST}:${port}`, ['a:1'])).seen, 0)
  t.equal(asked, 2)
})

t.test('items that one list skipped are in the next', async t => {
  const lists = ['OK\r\nkey=a exp=-1 \nEND\r\n', 'key=b exp=-1 \nEND\r\n', 'END\r\n']
  const from = await startScripted(t, line => {
    if (line.startsWith('lru_crawler')) return lists.shift()
    return line.startsWith('mg') ? 'VA 1 f0 t-1 c1\r\nv\r\n' : 'HD\r\n'
  })
  const to = await startScripted(t, line => (line.startsWith('ms') ? 'HD\r\n' : undefined))
  const report = await drain(nameOf(from), [nameOf(to)])
  t.strictSame(report, { seen: 2, moved: 2, newer: 0, skipped: 0, failed: 0 })
})

t.test('the command', async t => {
  const servers = await Promise.all([startDaemon(t, ['-t', '1']), startDaemon(t, ['-t', '1'])])
  const [from, to] = servers
  const node = new MetaNode({ host: HOST, port: from.port })
  t.teardown(() => node.close())
  const item = { mode: 'set', key: 'k', flags: 0, exptime: 0, cas: undefined } as const
  await node.store({ ...item, value: Buffer.from('v') }, MS)
  t.match(await run(nameOf(from), '--to', nameOf(to)), {
    code: 0,
    text: /^1 of 1 items moved, 0 newer there, 0 skipped, 0 failed in /,
  })
  t.strictSame(await itemsOn(to), ['k'])
  t.match(await run(nameOf(from)), { code: 64, text: /^usage: memslab drain/ })
  t.match(await run(`${HOST}:1`, `--to=${nameOf(to)}`), { code: 1, text: /ECONNREFUSED/ })
})

async function run(...words: string[]): Promise<{ code: number; text: string }> {
  const entry = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
  const child = spawn(process.execPath, [entry, 'drain', ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let text = ''
  child.stderr.on('data', part => {
    text += part
  })
  const [code] = await once(child, 'close')
  return { code, text }
}

t.test('a signal ends it early', async t => {
  const [from, to] = [await startDaemon(t, ['-t', '1']), await startDaemon(t, ['-t', '1'])]
  const names = [from, to].map(({ port }) => `${HOST}:${port}`)
  await askOnce(from.port, 'set k 0 0 1\r\nv\r\n', 'STORED\r\n')
  const signal = AbortSignal.abort(new Error('no longer'))
  await t.rejects(drain(names[0], names.slice(1), { signal }), { message: 'no longer' })
  t.match((await askOnce(from.port, 'get k\r\n', 'END\r\n')).toString(), /^VALUE k 0 1/)
  const wrong = { signal: 1 as unknown as AbortSignal }
  await t.rejects(drain(names[0], names.slice(1), wrong), { code: 'ARGUMENT' })
})
