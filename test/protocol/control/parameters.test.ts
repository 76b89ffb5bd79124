// `config set NAME VALUE`: what can be changed, what is refused, who is noted for it.

import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { CHANGEABLE } from '../../../lib/protocol/control/change-board.ts'
import { startDaemon } from '../../support/daemon.ts'
import type { ServerProcess } from '../../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil, statsOf } from '../../support/server-peer.ts'

/** Values other than the default, as `stats settings` shows them. */
const VALUES: Readonly<Record<string, string>> = {
  maxbytes: '33554432',
  maxconns: '10',
  verbosity: '1',
  evictions: 'off',
  shutdown_command: 'yes',
  detail_enabled: 'yes',
  reqs_per_event: '7',
  cas_enabled: 'no',
  maxconns_fast: 'no',
  slab_reassign: 'no',
  slab_automove: '2',
  slab_automove_ratio: '0.50',
  slab_automove_window: '20',
  slab_automove_freeratio: '0.020',
  lru_crawler: 'no',
  lru_crawler_sleep: '200',
  lru_crawler_tocrawl: '300',
  flush_enabled: 'no',
  dump_enabled: 'no',
  hot_lru_pct: '30',
  warm_lru_pct: '35',
  hot_max_factor: '0.30',
  warm_max_factor: '3.00',
  temporary_ttl: '9',
  idle_timeout: '600',
  watcher_logbuf_size: '65536',
  eviction: 'segmented',
}

async function setting(daemon: ServerProcess, name: string, value: string): Promise<string> {
  return askOnce(daemon.port, `config set ${name} ${value}\r\n`, '\r\n')
}

async function start(t: Test, args: string[] = []): Promise<ServerProcess> {
  return startDaemon(t, ['-o', 'config_set', ...args])
}

t.test('every setting that can change is shown with its new value, and by whom', async t => {
  const daemon = await start(t)
  t.same(Object.keys(VALUES), [...CHANGEABLE])
  const before = await statsOf(daemon.port, 'settings')
  t.notOk([...before.keys()].some(name => name.startsWith('changed:')))
  for (const [name, value] of Object.entries(VALUES)) {
    t.not(before.get(name), value, `${name} is something else`)
    t.equal(await setting(daemon, name, value), 'OK\r\n', name)
  }
  const after = await statsOf(daemon.port, 'settings')
  for (const [name, value] of Object.entries(VALUES)) {
    t.equal(after.get(name), value, name)
    t.match(after.get(`changed:${name}`), /^tcp:127\.0\.0\.1:\d+ \d{10}$/, `${name}: by whom`)
  }
})

t.test('docs/options.md lists them', async t => {
  const page = readFileSync(new URL('../../../docs/options.md', import.meta.url), 'utf8')
  const part = page.split('## Changes at run time')[1]?.split('\n## ')[0] ?? ''
  const listed = [...part.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name)
  t.same(listed.sort(), [...CHANGEABLE].sort())
})

t.test('what cannot be set says why', async t => {
  const daemon = await start(t)
  for (const [name, value, why] of [
    ['nothing', '1', 'no such setting'],
    ['__proto__', '1', 'no such setting'],
    ['num_threads', '8', 'this setting needs a restart'],
    ['hash_algorithm', 'xxh3', 'this setting needs a restart'],
    ['maxbytes', '1024', 'value must be a number from 8388608 to 9007199254740991'],
    ['maxbytes', '64m', 'value must be a number from 8388608 to 9007199254740991'],
    ['maxbytes', '9007199254740991', 'out of bounds or unable to adjust'],
    ['maxconns', '1025', 'value must be a number from 1 to 1024'],
    ['verbosity', '-1', 'value must be a number from 0 to 3'],
    ['slab_automove', '3', 'value must be a number from 0 to 2'],
    ['slab_automove_ratio', '0', 'value must be above 0 and at most 1000'],
    ['slab_automove_ratio', '1e3', 'value must be above 0 and at most 1000'],
    ['hot_lru_pct', '60', 'hot and warm pcts must not exceed 80'],
    ['evictions', 'maybe', 'value must be yes or no'],
    ['eviction', 'fifo', 'value must be one of lru, segmented, worth'],
  ] as const) {
    t.equal(await setting(daemon, name, value), `CLIENT_ERROR ${why}\r\n`, `${name} ${value}`)
  }
  const settings = await statsOf(daemon.port, 'settings')
  t.notOk([...settings.keys()].some(name => name.startsWith('changed:')))
  const shut = await startDaemon(t)
  t.equal(await setting(shut, 'verbosity', '1'), 'CLIENT_ERROR config set not allowed\r\n')
  t.equal((await statsOf(shut.port, 'settings')).get('verbosity'), '0')
})

t.test('the older commands are noted too', async t => {
  const daemon = await startDaemon(t)
  for (const line of [
    'verbosity 1',
    'slabs automove 0',
    'slabs automove window 11',
    'slabs automove ratio 0.7',
    'lru mode segmented',
    'lru temp_ttl 30',
    'lru tune 10 20 0.1 2',
    'lru_crawler sleep 7',
    'lru_crawler tocrawl 7',
    'cache_memlimit 32',
    'stats detail on',
  ]) {
    t.equal(await askOnce(daemon.port, `${line}\r\n`, '\r\n'), 'OK\r\n', line)
  }
  const names = [...(await statsOf(daemon.port, 'settings')).keys()]
  t.same(
    names.filter(name => name.startsWith('changed:')).map(name => name.slice('changed:'.length)),
    [
      'maxbytes',
      'verbosity',
      'detail_enabled',
      'slab_automove',
      'slab_automove_ratio',
      'slab_automove_window',
      'lru_crawler_sleep',
      'lru_crawler_tocrawl',
      'hot_lru_pct',
      'warm_lru_pct',
      'hot_max_factor',
      'warm_max_factor',
      'temporary_ttl',
      'eviction',
    ],
  )
})

t.test('all threads do as they are told', async t => {
  const daemon = await start(t, ['-t', '2'])
  const peers = await Promise.all([openPeer(daemon.port), openPeer(daemon.port)])
  const each = (line: string) => Promise.all(peers.map(peer => ask(peer, `${line}\r\n`, '\r\n')))
  t.same(await each('flush_all'), ['OK\r\n', 'OK\r\n'])
  await setting(daemon, 'flush_enabled', 'no')
  t.same(await each('flush_all'), Array(2).fill('CLIENT_ERROR flush_all not allowed\r\n'))
  await setting(daemon, 'dump_enabled', 'no')
  t.same(await each('stats hotkeys'), Array(2).fill('CLIENT_ERROR stats hotkeys not allowed\r\n'))
  await setting(daemon, 'flush_enabled', 'yes')
  t.same(await each('flush_all'), ['OK\r\n', 'OK\r\n'])
})

t.test('maxconns lets in no more than it says', async t => {
  const daemon = await start(t)
  const held = await Promise.all([openPeer(daemon.port), openPeer(daemon.port)])
  t.equal(await ask(held[0], 'config set maxconns 2\r\n', '\r\n'), 'OK\r\n')
  const late = await openPeer(daemon.port)
  t.match((await readUntil(late, '')).toString(), /^ERROR Too many open connections/)
  t.match(await ask(held[0], 'stats\r\n', 'END\r\n'), /STAT max_connections 2\r\n/)
  t.equal(await ask(held[0], 'config set maxconns 1024\r\n', '\r\n'), 'OK\r\n')
  t.match(await askOnce(daemon.port, 'version\r\n', '\r\n'), /^VERSION/)
})

t.test('idle_timeout ends who is idle from then on', async t => {
  const daemon = await start(t)
  const idle = await openPeer(daemon.port)
  await setting(daemon, 'idle_timeout', '1')
  t.equal((await readUntil(idle, '')).length, 0, 'it is closed')
  t.ok(await comesTrue(async () => Number((await statsOf(daemon.port)).get('idle_kicks')) > 0))
})

t.test('without evictions a full cache refuses, until they are allowed again', async t => {
  const daemon = await start(t, ['-m', '8', '-t', '1'])
  await setting(daemon, 'evictions', 'off')
  const peer = await openPeer(daemon.port)
  const fill = (name: string) => {
    const stores = Array.from({ length: 300 }, (_, i) => `set ${name}${i} 0 0 50000\r\n`)
    return ask(peer, `${stores.map(s => `${s}${'v'.repeat(50_000)}\r\n`).join('')}mn\r\n`, 'MN\r\n')
  }
  t.match(await fill('a'), 'SERVER_ERROR out of memory storing object')
  await setting(daemon, 'evictions', 'on')
  t.notMatch(await fill('b'), 'SERVER_ERROR')
})
