// `memslab doctor`: each rule on made samples, and staged situations on memslab and memcached.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { findingsOf, poolFindingOf, type Visit } from '../../lib/commands/doctor/findings.ts'
import { sampleOf } from '../../lib/commands/servers/sample.ts'
import { startDaemon } from '../support/daemon.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import { freePort, HOST } from '../support/process.ts'
import { SKIP_UNLESS_ALL } from '../support/runs.ts'
import { ask, openPeer } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
type Rows = Record<string, string | number>

/** Reports with nothing to say, but for these rows. */
function sample(
  atMs: number,
  given: Partial<
    Record<'general' | 'settings' | 'items' | 'slabs' | 'hot' | 'own' | 'curve', Rows>
  >,
) {
  const report = (rows: Rows) =>
    new Map(Object.entries(rows).map(([name, value]): [string, string] => [name, String(value)]))
  const general = {
    limit_maxbytes: 100,
    bytes: 1,
    max_connections: 100,
    threads: 4,
    ...given.general,
  }
  const settings = {
    evictions: 'on',
    inter: '127.0.0.1',
    tcpport: 11211,
    auth_enabled_ascii: 'no',
    auth_enabled_sasl: 'no',
    slab_reassign: 'yes',
    ...given.settings,
  }
  const { items = {}, slabs = {}, hot = {}, own = {}, curve = {} } = given
  return sampleOf([general, settings, items, slabs, hot, own, curve].map(report), atMs)
}

type Given = Parameters<typeof sample>[1]

function visit(given: Given, before: Given = {}): Visit {
  return { server: 'a', first: sample(0, before), last: sample(10_000, given) }
}

function classRows(id: number, rows: Rows): Rows {
  return Object.fromEntries(
    Object.entries(rows).map(([name, value]) => [`items:${id}:${name}`, value]),
  )
}

/** Hits with half, the same, twice and four times the memory, percent. */
function curveRows(half: number, now: number, twice: number, four: number): Rows {
  return {
    lookups: 10_000,
    '0.5:hit_percent': half,
    '1:hit_percent': now,
    '2:hit_percent': twice,
    '4:hit_percent': four,
  }
}

const ids = (given: Given, before: Given = {}) =>
  findingsOf(visit(given, before)).map(({ id }) => id)

t.test('a server in good order has nothing to say', async t => {
  t.same(ids({}), [])
  const busy = {
    cmd_get: 1e6,
    get_hits: 9.9e5,
    evictions: 50,
    total_connections: 100,
    curr_connections: 79,
  }
  t.same(ids({ general: busy }), [])
})

/** What is found, and what is just not. */
const RULES: [id: string, found: Given, not: Given][] = [
  ['out-of-memory', { general: { store_no_memory: 1 } }, { general: { store_no_memory: 0 } }],
  [
    'out-of-memory',
    { items: classRows(3, { number: 1, outofmemory: 2 }) },
    { items: classRows(3, { number: 1, outofmemory: 0 }) },
  ],
  [
    'out-of-memory',
    { settings: { evictions: 'off' }, general: { bytes: 95 } },
    { settings: { evictions: 'off' }, general: { bytes: 85 } },
  ],
  ['connections', { general: { curr_connections: 81 } }, { general: { curr_connections: 80 } }],
  ['connections', { general: { rejected_connections: 1 } }, {}],
  [
    'workers-died',
    { own: { worker_restarts: 1, arena_resets: 0 } },
    { own: { worker_restarts: 0 } },
  ],
  ['cpu', { general: { rusage_user: 20, rusage_system: 13 } }, { general: { rusage_user: 31 } }],
  [
    'hit-ratio',
    { general: { cmd_get: 1000, get_hits: 799 } },
    { general: { cmd_get: 1000, get_hits: 800 } },
  ],
  [
    'hit-ratio',
    { general: { cmd_get: 100, get_hits: 0 } },
    { general: { cmd_get: 99, get_hits: 0 } },
  ],
  ['evictions', { general: { evictions: 101 } }, { general: { evictions: 100 } }],
  [
    'more-memory',
    { general: { evictions: 1, cmd_get: 99, get_hits: 60 }, curve: curveRows(55, 60, 63, 70) },
    { general: { evictions: 1, cmd_get: 99, get_hits: 60 }, curve: curveRows(55, 60, 62.9, 70) },
  ],
  [
    'more-memory',
    { general: { evictions: 1 }, curve: curveRows(55, 60, 63, 70) },
    { curve: curveRows(55, 60, 63, 70) },
  ],
  ['less-memory', { curve: curveRows(89.5, 90, 90, 90) }, { curve: curveRows(89.4, 90, 90, 90) }],
  [
    'less-memory',
    { curve: curveRows(90, 90, 90, 90) },
    { curve: { ...curveRows(90, 90, 90, 90), lookups: 9999 } },
  ],
  [
    'never-expire',
    { items: classRows(1, { number: 1, evicted: 200, evicted_nonzero: 20 }) },
    { items: classRows(1, { number: 1, evicted: 200, evicted_nonzero: 21 }) },
  ],
  [
    'unread',
    {
      items: classRows(1, {
        number: 1,
        evicted: 200,
        evicted_nonzero: 200,
        evicted_unfetched: 100,
      }),
    },
    {
      items: classRows(1, { number: 1, evicted: 200, evicted_nonzero: 200, evicted_unfetched: 99 }),
    },
  ],
  [
    'slab-imbalance',
    {
      items: {
        ...classRows(1, { number: 1, evicted: 5, age: 10 }),
        ...classRows(2, { number: 1, age: 50 }),
      },
      slabs: { '1:total_pages': 10, '2:total_pages': 10 },
    },
    {
      items: {
        ...classRows(1, { number: 1, evicted: 5, age: 10 }),
        ...classRows(2, { number: 1, age: 44 }),
      },
      slabs: { '1:total_pages': 10, '2:total_pages': 10 },
    },
  ],
  [
    'hot-key',
    { hot: { requests: 1000, 'hot:1:key': 'k', 'hot:1:percent': 10.1 } },
    { hot: { requests: 1000, 'hot:1:key': 'k', 'hot:1:percent': 10 } },
  ],
  [
    'long-values',
    { hot: { 'long:1:key': 'k', 'long:1:value_bytes': 524_288 } },
    { hot: { 'long:1:key': 'k', 'long:1:value_bytes': 524_287 } },
  ],
  [
    'connection-churn',
    { general: { total_connections: 300, cmd_get: 5000, get_hits: 5000 } },
    { general: { total_connections: 300, cmd_get: 6000, get_hits: 6000 } },
  ],
  [
    'open-port',
    { settings: { inter: 'NULL' } },
    { settings: { inter: 'NULL', auth_enabled_sasl: 'yes' } },
  ],
  ['open-port', { settings: { inter: '10.0.0.1,0.0.0.0' } }, { settings: { inter: '10.0.0.1' } }],
  ['old-settings', { settings: { lru_crawler: 'no' } }, { settings: { lru_crawler: 'yes' } }],
]

for (const [id, found, not] of RULES) {
  t.test(`${id} at its bound`, async t => {
    const findings = findingsOf(visit(found))
    t.ok(findings.some(finding => finding.id === id))
    t.notOk(ids(not).includes(id))
    for (const { says, evidence, run, brings } of findings) {
      t.match(says, /^[A-Z].*\.$/)
      t.notMatch(evidence + run + brings, /NaN|undefined|null|Infinity/)
    }
  })
}

t.test('a counter that fell, as after a restart, finds nothing', async t => {
  const before = { general: { cmd_get: 1e6, get_hits: 0, evictions: 1e6, total_connections: 1e6 } }
  t.same(ids({ general: { cmd_get: 50 } }, before), [])
})

t.test('one server of a pool with much more to do', async t => {
  const at = (cmd_get: number) => visit({ general: { cmd_get, get_hits: cmd_get } })
  const pool = [at(1000), at(1000), at(7000)]
  t.match(poolFindingOf(pool[2] as Visit, pool), { id: 'pool-imbalance' })
  t.equal(poolFindingOf(pool[0] as Visit, pool), null)
  t.equal(poolFindingOf(at(9), [at(9)]), null)
})

interface Staged {
  name: string
  args: string[]
  id: string
  code: number
  /** Before the server is watched, and while it is. */
  before?: (port: number) => Promise<void>
  during?: (port: number, isOver: () => boolean) => Promise<void>
  onlyMemslab?: boolean
}

const fill = (expiry: number) => async (port: number, isOver: () => boolean) => {
  const peer = await openPeer(port)
  for (let round = 0; !isOver(); round++) {
    const sets = Array.from(
      { length: 40 },
      (_, i) => `set k${round}-${i} 0 ${expiry} 20000 noreply\r\n${'v'.repeat(20_000)}\r\n`,
    )
    await ask(peer, `${sets.join('')}mn\r\n`, 'MN\r\n')
  }
  peer.destroy()
}

const repeat = (request: string) => async (port: number, isOver: () => boolean) => {
  const peer = await openPeer(port)
  while (!isOver()) {
    await ask(peer, `${request.repeat(50)}mn\r\n`, 'MN\r\n')
    await sleep(5)
  }
  peer.destroy()
}

const held: Socket[] = []
const SITUATIONS: Staged[] = [
  { name: 'in good order', args: [], id: '', code: 0 },
  { name: 'gets that miss', args: [], id: 'hit-ratio', code: 1, during: repeat('get none\r\n') },
  { name: 'evictions', args: ['-m', '4'], id: 'evictions', code: 1, during: fill(0) },
  { name: 'items without expiry', args: ['-m', '4'], id: 'never-expire', code: 1, during: fill(0) },
  { name: 'items never read', args: ['-m', '4'], id: 'unread', code: 1, during: fill(1000) },
  { name: 'no room', args: ['-m', '4', '-M'], id: 'out-of-memory', code: 2, during: fill(0) },
  {
    name: 'nearly too many connections',
    // memcached keeps some of them for itself.
    args: ['-c', '200'],
    id: 'connections',
    code: 1,
    before: async port => {
      for (let i = 0; i < 163; i++) held.push(await openPeer(port))
    },
  },
  {
    name: 'a connection for each request',
    args: [],
    id: 'connection-churn',
    code: 1,
    during: async (port, isOver) => {
      while (!isOver()) {
        const peer = await openPeer(port)
        await ask(peer, 'version\r\n', '\r\n')
        peer.destroy()
      }
    },
  },
  {
    name: 'a long value',
    args: ['-I', '2m'],
    id: 'long-values',
    code: 1,
    during: async (port, isOver) => {
      const bytes = 1_200_000
      const peer = await openPeer(port)
      await ask(peer, `set long 0 0 ${bytes}\r\n${'v'.repeat(bytes)}\r\n`, 'STORED\r\n')
      while (!isOver()) await ask(peer, `${'mg long\r\n'.repeat(100)}mn\r\n`, 'MN\r\n')
      peer.destroy()
    },
  },
  { name: 'an open port', args: ['-l', '0.0.0.0'], id: 'open-port', code: 1 },
  {
    name: 'a hot key',
    args: [],
    id: 'hot-key',
    code: 1,
    onlyMemslab: true,
    before: port => repeat('set hot 0 0 1\r\nx\r\n')(port, after(200)),
    during: repeat('get hot\r\n'),
  },
]

function after(ms: number): () => boolean {
  const endMs = performance.now() + ms
  return () => performance.now() > endMs
}

const KINDS = [
  { kind: 'memslab', start: startDaemon, skip: false as const },
  { kind: 'memcached', start: startOracle, skip: SKIP_UNLESS_ALL || skipWithout('memcached') },
]

for (const { kind, start, skip } of KINDS) {
  for (const { name, args, id, code, before, during, onlyMemslab } of SITUATIONS) {
    if (onlyMemslab === true && kind !== 'memslab') continue
    t.test(`${kind}: ${name}`, { skip }, async t => {
      const { port } = await start(t, args)
      await before?.(port)
      let isOver = false
      const traffic = during?.(port, () => isOver)
      const found = await examine([`${HOST}:${port}`])
      isOver = true
      await traffic
      for (const peer of held.splice(0)) peer.destroy()
      const all = found.diagnoses[0].findings.map((finding: { id: string }) => finding.id)
      t.ok(id === '' ? all.length === 0 : all.includes(id), `${id} among [${all}]`)
      if (id === '' || all.length === 1) t.equal(found.code, code)
    })
  }
}

t.test('a server that is away, and the text for people', async t => {
  const away = `${HOST}:${await freePort()}`
  const { port } = await startDaemon(t, ['-o', 'no_lru_crawler'])
  const { code, text } = await run(t, ['doctor', away, `${HOST}:${port}`, '--for', '0.1'])
  t.equal(code, 3)
  t.match(text, `${away}: UNKNOWN: connect ECONNREFUSED`)
  t.match(
    text,
    /\(memslab \S+\):\n {2}WARNING old-settings: What .*\n {4}seen: {3}lru_crawler no\n/,
  )
  t.match(text, /\n {4}do: {5}start it without.*\n {4}brings: \S/)
})

t.test('wrong arguments are the usage', async t => {
  t.match(await run(t, ['doctor']), { code: 64, text: /^usage: memslab doctor/ })
  t.match(await run(t, ['doctor', 'a:1', '--for', '0']), { code: 64, text: /^--for takes seconds/ })
})

async function examine(servers: string[]) {
  const { code, text } = await run(t, ['doctor', ...servers, '--for', '0.5', '--json'])
  return { code, diagnoses: JSON.parse(text) }
}

async function run(t: Test, words: string[]): Promise<{ code: number; text: string }> {
  const child = spawn(process.execPath, [MAIN, ...words])
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
  const [code] = await once(child, 'close')
  return { code, text }
}
