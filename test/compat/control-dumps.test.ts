/**
 * Dumps of the same items in memcached and in memslab, compared field by field. Sizes, CAS numbers,
 * classes and the order of rows differ. Only newer memcached releases show flags and begin with OK.
 */
import t from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { startPair } from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import type { ServerProcess } from '../support/process.ts'
import { ask, openPeer } from '../support/server-peer.ts'

const KEYS = ['a', 'b%c', 'sp+ace', '\xe9\x01\x7f', '~._-', 'K'.repeat(250)]
const MANY = 3000

t.test('metadump tells the same of the same items', { skip: skipWithout('memcached') }, async t => {
  const { oracle, daemon } = await startPair(t)
  for (const server of [oracle, daemon]) await fill(server)
  for (const what of ['all', 'hash']) {
    const [left, right] = await Promise.all([oracle, daemon].map(server => metaLines(server, what)))
    t.equal(left.length, KEYS.length)
    t.same(right, left, what)
  }
})

t.test(
  'cachedump tells the same of the same items',
  { skip: skipWithout('memcached') },
  async t => {
    // Without the maintainer all lists are cold.
    const { oracle, daemon } = await startPair(t, ['-o', 'no_lru_maintainer'])
    for (const server of [oracle, daemon]) await fill(server)
    const [left, right] = await Promise.all([oracle, daemon].map(coldLines))
    t.equal(left.length, KEYS.length)
    // But for control characters, which a terminal would obey.
    t.same(right, left.map(withoutControls))
  },
)

t.test('a dump has each item once, and what is behind it is served', async t => {
  const daemon = await startDaemon(t, ['-t', '3', '-m', '64'])
  const peer = await openPeer(daemon.port)
  const sets = Array.from(
    { length: MANY },
    (_, i) => `set key${i} ${i % 3} 0 5 noreply\r\nvalue\r\n`,
  )
  await ask(peer, `${sets.join('')}version\r\n`, '\r\n')
  const reply = await ask(peer, 'lru_crawler metadump all\r\nget key1\r\nmn\r\n', 'MN\r\n')
  const [meta, rest] = reply.split('END\r\nVALUE key1 1 5\r\nvalue\r\nEND\r\n')
  t.equal(rest, 'MN\r\n')
  const [ok, ...lines] = meta.trimEnd().split('\n')
  t.equal(ok, 'OK\r')
  const keys = lines.map(line => /^key=(\S+) exp=-1 .* flags=\d$/.exec(line)?.[1])
  t.equal(keys.length, MANY)
  t.equal(new Set(keys).size, MANY)
  t.notOk(keys.includes(undefined))
  const mg = await ask(peer, 'lru_crawler mgdump all\r\nmn\r\n', 'MN\r\n')
  const [first, ...gets] = mg.split('EN\r\n')[0].trimEnd().split('\r\n')
  t.equal(first, 'OK')
  t.same(new Set(gets), new Set(keys.map(key => `mg ${key}`)))
  t.ok(mg.endsWith('\r\nEN\r\nMN\r\n'))
  peer.destroy()
})

t.test('nothing may be pipelined before a dump or a watch', async t => {
  const daemon = await startDaemon(t)
  const peer = await openPeer(daemon.port)
  await ask(peer, 'set a 0 0 1\r\nx\r\n', 'STORED\r\n')
  for (const [request, word] of [
    ['lru_crawler metadump all', 'metadump'],
    ['lru_crawler mgdump all', 'mgdump'],
    ['watch', 'watch'],
  ]) {
    const reply = await ask(peer, `get a\r\n${request}\r\nmn\r\n`, 'MN\r\n')
    const refusal = `ERROR cannot pipeline other commands before ${word}`
    t.equal(reply, `VALUE a 0 1\r\nx\r\nEND\r\n${refusal}\r\nMN\r\n`)
  }
  peer.destroy()
})

t.test('a dump of some classes has their items alone', async t => {
  const daemon = await startDaemon(t, ['-t', '2'])
  const peer = await openPeer(daemon.port)
  await ask(
    peer,
    `set small 0 0 1\r\nx\r\nset large 0 0 9000\r\n${'x'.repeat(9000)}\r\nversion\r\n`,
    '\r\n',
  )
  const all = await ask(peer, 'lru_crawler metadump all\r\n', 'END\r\n')
  for (const key of ['small', 'large']) {
    const [, classId] = new RegExp(`key=${key} .* cls=(\\d+) `).exec(all) ?? []
    const some = await ask(peer, `lru_crawler metadump ${classId}\r\n`, 'END\r\n')
    t.match(some, new RegExp(`^OK\r\nkey=${key} [^\n]*\nEND\r\n$`))
  }
  t.equal(await ask(peer, 'lru_crawler mgdump 40\r\n', 'EN\r\n'), 'OK\r\nEN\r\n')
  await ask(peer, 'ms YmFzZTY0 1 b\r\nx\r\n', 'HD\r\n')
  const mg = await ask(peer, 'lru_crawler mgdump hash\r\n', 'EN\r\n')
  t.same(mg.split('\r\n').sort(), ['', 'EN', 'OK', 'mg YmFzZTY0 b', 'mg large', 'mg small'])
  peer.destroy()
})

t.test('-X refuses', async t => {
  const daemon = await startDaemon(t, ['-X'])
  const peer = await openPeer(daemon.port)
  const refusals = [
    ['lru_crawler metadump all', 'ERROR metadump not allowed'],
    ['lru_crawler mgdump all', 'ERROR key dump not allowed'],
    ['stats cachedump 1 1', 'CLIENT_ERROR stats cachedump not allowed'],
    ['stats detail on', 'CLIENT_ERROR stats detail not allowed'],
  ]
  for (const [request, refusal] of refusals) {
    t.equal(await ask(peer, `${request}\r\n`, '\r\n'), `${refusal}\r\n`)
  }
  peer.destroy()
})

async function fill(server: ServerProcess): Promise<void> {
  const peer = await openPeer(server.port)
  for (const [i, key] of KEYS.entries()) {
    const set = `set ${key} ${i} ${i % 2 ? 1000 : 0} ${i}\r\n${'x'.repeat(i)}\r\n`
    await ask(peer, Buffer.from(set, 'latin1'), 'STORED\r\n')
  }
  await ask(peer, 'get a\r\n', 'END\r\n')
  peer.destroy()
}

async function metaLines(server: ServerProcess, what: string): Promise<string[]> {
  const peer = await openPeer(server.port)
  const reply = await ask(peer, `lru_crawler metadump ${what}\r\n`, 'END\r\n')
  peer.destroy()
  const lines = reply.split('\n').filter(line => line.startsWith('key='))
  return lines
    .map(line =>
      line
        .replace(/\d{10}/g, about)
        .replace(/ cas=.* fetch/, ' fetch')
        .replace(/ cls=.*/, ''),
    )
    .sort()
}

async function coldLines(server: ServerProcess): Promise<string[]> {
  const lines: string[] = []
  for (let classId = 1; classId < 12; classId++) {
    const peer = await openPeer(server.port)
    const reply = await ask(peer, `stats cachedump ${classId} 0\r\n`, 'END\r\n')
    peer.destroy()
    lines.push(...reply.split('\r\n').filter(line => line.startsWith('ITEM ')))
  }
  return lines.map(line => line.replace(/\d{10}/g, about)).sort()
}

function withoutControls(line: string): string {
  const encoded = (char: string) => {
    const code = char.charCodeAt(0)
    const isControl = code < 0x20 || code === 0x7f
    return isControl ? `%${code.toString(16).toUpperCase().padStart(2, '0')}` : char
  }
  return [...line].map(encoded).join('')
}

/** Whether a time is near now, or near a thousand seconds from now. */
function about(time: string): string {
  const fromNowS = Number(time) - Date.now() / 1000
  if (Math.abs(fromNowS) < 30) return 'now'
  return Math.abs(fromNowS - 1000) < 30 ? 'in 1000 s' : time
}
