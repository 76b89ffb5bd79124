// `memslab snapshot`, `restore` and `warm` against real daemons.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createRing, ownerOf } from '../../lib/client/ring/ring.ts'
import { startDaemon } from '../support/daemon.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import { HOST, type ServerProcess } from '../support/process.ts'
import { ask, askOnce, openPeer } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

interface Ran {
  code: number
  stdout: string
  stderr: string
}

async function run(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const texts = ['', '']
  child.stdout.on('data', chunk => {
    texts[0] += chunk
  })
  child.stderr.on('data', chunk => {
    texts[1] += chunk
  })
  const [code] = await once(child, 'close')
  return { code: Number(code), stdout: texts[0] ?? '', stderr: texts[1] ?? '' }
}

function nameOf({ port }: ServerProcess): string {
  return `${HOST}:${port}`
}

const LONG = 'x'.repeat(300_000)

async function fill(port: number, keys: number): Promise<void> {
  const sets = Array.from(
    { length: keys },
    (_, i) => `set key-${i} ${i} 0 6 noreply\r\nv${10_000 + i}\r\n`,
  )
  await askOnce(port, `${sets.join('')}mn\r\n`, 'MN\r\n')
  await askOnce(port, `set long 1 0 ${LONG.length}\r\n${LONG}\r\n`, 'STORED\r\n')
  await askOnce(port, 'set soon 2 1000 2\r\nab\r\n', 'STORED\r\n')
  // A key with a blank in it, and a value that is no text.
  const peer = await openPeer(port)
  await ask(peer, Buffer.from('ms YSBi 2 b F3\r\n\xff\xfe\r\n', 'latin1'), 'HD\r\n')
  peer.destroy()
}

async function itemsOf(port: number): Promise<number> {
  const stats = (await askOnce(port, 'stats\r\n', 'END\r\n')).toString()
  return Number(/STAT curr_items (\d+)/.exec(stats)?.[1])
}

t.test('a snapshot of a running daemon, looked at and exported', async t => {
  const folder = t.testdir()
  const path = `${folder}/it.snapshot`
  const key = `${folder}/key`
  writeFileSync(key, 'ab'.repeat(32))
  const daemon = await startDaemon(t)
  await fill(daemon.port, 300)
  for (const sealing of [[], ['--key', key]]) {
    const taken = await run('snapshot', nameOf(daemon), '--to', path, ...sealing)
    t.equal(taken.code, 0, taken.stderr)
    t.match(taken.stderr, /^303 items, \d+ bytes in/)
    const inspected = await run('snapshot', 'inspect', path, ...sealing)
    t.match(inspected.stdout, /^items: 303$/m)
    t.match(inspected.stdout, sealing.length === 0 ? /^encrypted: no$/m : /^encrypted: yes$/m)
    t.match((await run('snapshot', 'verify', path, ...sealing)).stdout, /is sound: 303 items/)
  }
  const locked = await run('snapshot', 'verify', path)
  t.equal(locked.code, 1)
  t.match(locked.stderr, /^memslab snapshot: .*: it is encrypted, and no key was given\n$/)
  const bytes = readFileSync(path)
  bytes[bytes.length - 60] ^= 1
  writeFileSync(`${folder}/damaged`, bytes)
  t.equal((await run('snapshot', 'verify', `${folder}/damaged`, '--key', key)).code, 1)
  const exported = await run('snapshot', 'export', path, '--key', key)
  const items = exported.stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  const named = new Map(items.map(item => [item.key, item]))
  t.equal(items.length, 303)
  t.same(named.get('key-7'), { key: 'key-7', flags: 7, expires: null, bytes: 6, value: 'v10007' })
  t.equal(Buffer.from(named.get('long').value64, 'base64').toString(), LONG)
  t.equal(named.get('a b').value64, '//4=')
  t.match(named.get('soon').expires, /^20/)
  const csv = await run('snapshot', 'export', path, '--key', key, '--format', 'csv')
  t.match(csv.stdout, /^key,flags,expires,value64\n/)
  t.match(csv.stdout, /^a%20b,3,,\/\/4=$/m)
  t.match(csv.stdout, /^key-7,7,,djEwMDA3$/m)
})

t.test('a daemon without dumps, and one that is no memslab, send none', async t => {
  const path = `${t.testdir()}/it`
  const daemon = await startDaemon(t, ['-X'])
  const refused = await run('snapshot', nameOf(daemon), '--to', path)
  t.equal(refused.code, 1)
  t.match(refused.stderr, /ERROR snapshot not allowed/)
  t.equal((await run('snapshot', nameOf(daemon))).code, 64)
  t.equal((await run('snapshot', 'inspect')).code, 64)
  await daemon.stop()
  const gone = await run('snapshot', nameOf(daemon), '--to', path)
  t.match(gone.stderr, /^memslab snapshot: .*\n$/)
  t.equal(await itemsOf((await startDaemon(t)).port), 0)
})

t.test('a snapshot fills running servers, and nothing that they have changes', async t => {
  const path = `${t.testdir()}/it`
  const from = await startDaemon(t)
  await fill(from.port, 2000)
  t.equal((await run('snapshot', nameOf(from), '--to', path)).code, 0)
  const lacking = skipWithout('memcached')
  const targets = [await startDaemon(t), ...(lacking === false ? [await startOracle(t)] : [])]
  for (const target of targets) {
    await askOnce(target.port, 'set key-5 0 0 3\r\nnew\r\n', 'STORED\r\n')
    const restored = await run('restore', path, nameOf(target))
    t.equal(restored.code, 0, restored.stderr)
    t.match(restored.stderr, /^2002 items stored in .*, 1 were there, 0 expired, 0 refused\n$/)
    const found = await askOnce(target.port, 'get key-5 key-6 soon\r\n', 'END\r\n')
    const values = ['key-5 0 3\r\nnew', 'key-6 6 6\r\nv10006', 'soon 2 2\r\nab']
    t.equal(found.toString(), `${values.map(value => `VALUE ${value}\r\n`).join('')}END\r\n`)
    t.match((await askOnce(target.port, 'mg soon t\r\n', '\r\n')).toString(), /^HD t(9\d\d|1000)\r/)
    t.match((await askOnce(target.port, 'mg YSBi b s\r\n', '\r\n')).toString(), /^HD s2/)
  }
  const foreign = await run('restore', MAIN, nameOf(from))
  t.match(foreign.stderr, /^memslab restore: .*: it is not a snapshot of memslab\n$/)
  t.equal(foreign.code, 1)
})

t.test('a node is warmed with what the ring gives it', async t => {
  const path = `${t.testdir()}/it`
  const [old, fresh, filed] = [await startDaemon(t), await startDaemon(t), await startDaemon(t)]
  await fill(old.port, 500)
  await askOnce(fresh.port, 'set key-5 0 0 3\r\nnew\r\n', 'STORED\r\n')
  const ring = createRing([
    { host: HOST, port: fresh.port },
    { host: HOST, port: old.port },
  ])
  const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`)
  const owned = [...keys, 'long', 'soon'].filter(key => ownerOf(ring, key) === 0)
  const warmed = await run('warm', nameOf(fresh), '--from', nameOf(old), '--rate', '0')
  t.equal(warmed.code, 0, warmed.stderr)
  const there = new Set([...owned, 'key-5'])
  t.equal(await itemsOf(fresh.port), there.size)
  const found = await askOnce(fresh.port, `get ${[...there].join(' ')}\r\n`, 'END\r\n')
  t.match(found.toString(), /VALUE key-5 0 3\r\nnew\r\n/)
  t.equal(await itemsOf(old.port), 503, 'the source keeps them')
  // From a file, the same.
  t.equal((await run('snapshot', nameOf(old), '--to', path)).code, 0)
  const pool = `${nameOf(filed)},${nameOf(old)}`
  t.equal((await run('warm', nameOf(filed), '--from', path)).code, 64, 'whose keys?')
  t.equal((await run('warm', nameOf(filed), '--from', path, '--pool', pool)).code, 0)
  const ringOfFile = createRing([
    { host: HOST, port: filed.port },
    { host: HOST, port: old.port },
  ])
  const ownedOfFile = [...keys, 'long', 'soon', 'a b'].filter(key => ownerOf(ringOfFile, key) === 0)
  t.equal(await itemsOf(filed.port), ownedOfFile.length)
  t.equal((await run('warm', nameOf(filed), '--from', path, '--all')).code, 0)
  t.equal(await itemsOf(filed.port), 503)
})

t.test('a node is warmed from memcached', { skip: skipWithout('memcached') }, async t => {
  const [old, fresh] = [await startOracle(t), await startDaemon(t)]
  await fill(old.port, 500)
  const warmed = await run('warm', nameOf(fresh), '--from', nameOf(old), '--all', '--rate', '5000')
  t.equal(warmed.code, 0, warmed.stderr)
  const found = await askOnce(fresh.port, 'get key-7 soon\r\n', 'END\r\n')
  t.equal(found.toString(), 'VALUE key-7 7 6\r\nv10007\r\nVALUE soon 2 2\r\nab\r\nEND\r\n')
  // The key with a blank is skipped.
  t.equal(await itemsOf(fresh.port), 502)
})
