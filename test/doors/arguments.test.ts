// What is wrong is refused at the door, by one table for both doors: in process nothing changes,
// and over the network nothing is sent. Each row names the argument in its message.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { dnsServers } from '../../lib/client/discovery/dns.ts'
import { elastiCacheServers } from '../../lib/client/discovery/elasticache.ts'
import { etcdServers } from '../../lib/client/discovery/etcd.ts'
import { drain } from '../../lib/client/drain/drain.ts'
import { CacheError, type CacheErrorCode } from '../../lib/doors/errors.ts'
import type { Store } from '../../lib/doors/types.ts'
import { LocalCache } from '../../lib/local/local-cache.ts'
import { HOST, type Owner } from '../support/process.ts'
import { startScripted } from '../support/scripted-server.ts'

/** What a careless or hostile caller hands over: arguments of any type. */
type Loose = Record<string, (...args: unknown[]) => unknown>

interface Case {
  call: keyof Store & string
  args: unknown[]
  code: CacheErrorCode
  /** What the message has to name. */
  names: RegExp
}

const INJECTED = '10\r\nflush_all'
const TOO_MUCH = 2n ** 64n

const KEYS = ['', 'k'.repeat(251), 'ä'.repeat(126), 'a\ud800', 7, null, undefined, {}, ['a'], 1n]
const TIMES = ['60', INJECTED, 0, -1, Number.NaN, null, {}, true, 60n, new Date()]
const DATES = ['2030-01-01', INJECTED, 1_900_000_000, 0, -1, Number.NaN, null, new Date('x'), {}]
const FLAGS = ['1', INJECTED, -1, 1.5, 2 ** 32, Number.NaN, null, 1n]
const VERSIONS = ['1', '1 2', INJECTED, 1, -1n, 2n ** 128n, null]
const AMOUNTS = ['1', INJECTED, -1, -1n, 1.5, TOO_MUCH, 2 ** 53, Number.NaN, null]
const OPTIONS = [60, '60', null, [], true]
const UNKNOWN = [{ ttl: 60 }, { TTLS: 60 }, { expires: 1 }, { 'a\r\nb': 1 }]
const CLAIMS = ['1', INJECTED, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 30 * 86_400 + 1, null]
const PIECES = [1, null, undefined, {}, ['a']]

const VALUE_CALLS = ['set', 'add', 'replace'] as const
const KEY_CALLS: [name: Case['call'], ...rest: unknown[]][] = [
  ['get'],
  ['getItem'],
  ['getAndTouch', { ttlS: 1 }],
  ['has'],
  ...VALUE_CALLS.map(name => [name, 'v'] as [Case['call'], unknown]),
  ['append', 'v'],
  ['prepend', 'v'],
  ['cas', 'v', 1n],
  ['casItem', 'v', 1n],
  ['delete'],
  ['touch', { ttlS: 1 }],
  ['incr'],
  ['decr'],
  ['lease', { claimS: 1 }],
  ['expire', 1n],
]

const bad = (call: Case['call'], args: unknown[], names: RegExp): Case => {
  return { call, args, code: 'ARGUMENT', names }
}

const CASES: Case[] = [
  ...KEY_CALLS.flatMap(([call, ...rest]) =>
    KEYS.map(key => ({ call, args: [key, ...rest], code: 'KEY' as const, names: /key/ })),
  ),
  ...(['getMany', 'getManyItems'] as const).flatMap(call => [
    ...KEYS.map(key => ({ call, args: [['a', key]], code: 'KEY' as const, names: /key/ })),
    ...['abc', 7, null, undefined, {}].map(keys => bad(call, [keys], /keys/)),
    ...OPTIONS.map(options => bad(call, [['a'], options], /options/)),
    bad(call, [['a'], { as: 'text' }], /as/),
  ]),
  ...VALUE_CALLS.flatMap(call => timesOf(call, ['a', 'v'])),
  ...timesOf('cas', ['a', 'v', 1n]),
  ...timesOf('casItem', ['a', 'v', 1n]),
  ...timesOf('touch', ['a']),
  ...timesOf('getAndTouch', ['a']),
  ...timesOf('incr', ['a', 1]),
  ...timesOf('decr', ['a', 1]),
  ...(['touch', 'getAndTouch'] as const).map(call => bad(call, ['a', {}], /ttlS or expiresAt/)),
  ...VALUE_CALLS.flatMap(call => [
    ...FLAGS.map(flags => bad(call, ['a', 'v', { flags }], /flags/)),
    bad(call, ['a', { an: 'object' }, { flags: 1 }], /flags/),
    ...[undefined, () => 1, Symbol('s'), 1n].map(value => {
      return { call, args: ['a', value], code: 'VALUE' as const, names: /value/ }
    }),
  ]),
  ...(['append', 'prepend'] as const).flatMap(call =>
    PIECES.map(piece => ({ call, args: ['a', piece], code: 'VALUE' as const, names: /piece/ })),
  ),
  ...VERSIONS.flatMap(cas => [
    bad('cas', ['a', 'v', cas], /cas/),
    bad('casItem', ['a', 'v', cas], /cas/),
    bad('expire', ['a', cas], /cas/),
    bad('delete', ['a', { cas }], /cas/),
  ]),
  bad('cas', ['a', 'v'], /cas/),
  bad('expire', ['a'], /cas/),
  ...(['incr', 'decr'] as const).flatMap(call => [
    ...AMOUNTS.map(delta => bad(call, ['a', delta], /delta/)),
    ...AMOUNTS.map(initial => bad(call, ['a', 1, { initial }], /initial/)),
  ]),
  ...CLAIMS.map(claimS => bad('lease', ['a', { claimS }], /claimS/)),
  ...['1', INJECTED, -1, Number.NaN, Number.POSITIVE_INFINITY, null].map(recacheS =>
    bad('lease', ['a', { claimS: 1, recacheS }], /recacheS/),
  ),
  bad('lease', ['a'], /claimS/),
  ...(['get', 'getItem'] as const).flatMap(call => [
    bad(call, ['a', { as: 'text' }], /as/),
    bad(call, ['a', { ttlS: 1 }], /ttlS/),
  ]),
  ...['get', 'getItem', 'lease', 'delete'].flatMap(call => [
    ...OPTIONS.map(options => bad(call as Case['call'], ['a', options], /options/)),
    ...UNKNOWN.map(options => bad(call as Case['call'], ['a', options], nameOf(options))),
  ]),
  ...['1', INJECTED, -1, 1.5, Number.NaN, null, 2 ** 31].map(delayS =>
    bad('flush', [{ delayS }], /delayS/),
  ),
  bad('flush', [{ delay: 1 }], /delay/),
  ...OPTIONS.map(options => bad('flush', [options], /options/)),
].filter(({ call, args }) => !isFine(call, args))

/** All wrong times and options of a call whose options come last. */
function timesOf(call: Case['call'], args: unknown[]): Case[] {
  return [
    ...TIMES.map(ttlS => bad(call, [...args, { ttlS }], /ttlS/)),
    ...DATES.map(expiresAt => bad(call, [...args, { expiresAt }], /expiresAt/)),
    bad(call, [...args, { ttlS: 1, expiresAt: new Date() }], /expiresAt/),
    ...OPTIONS.map(options => bad(call, [...args, options], /options/)),
    ...UNKNOWN.map(options => bad(call, [...args, options], nameOf(options))),
  ]
}

/** The name of an unknown option is in the message, on one line. */
function nameOf(options: object): RegExp {
  const [name] = Object.keys(options)
  return new RegExp(`^no option ${name.replace('\r\n', '\\\\r\\\\n')};`)
}

function isFine(call: string, args: unknown[]): boolean {
  return call === 'lease' && args[1] === undefined && args.length > 1
}

/** One line that a log may have. */
function isRight(error: unknown, { code, names }: Case): boolean {
  if (!(error instanceof CacheError) || error.code !== code) return false
  return names.test(error.message) && !/[\r\n]/.test(error.message)
}

function textOf({ call, args }: Case): string {
  const shown = args.map(arg => {
    if (typeof arg === 'object' && arg !== null && !Array.isArray(arg)) return entriesOf(arg)
    return typeof arg === 'string' ? JSON.stringify(arg.slice(0, 20)) : String(arg)
  })
  return `${call}(${shown.join(', ')})`
}

function entriesOf(arg: object): string {
  const entries = Object.entries(arg).map(([name, value]) => `${name}: ${String(value)}`)
  return JSON.stringify(`{ ${entries.join(', ')} }`)
}

/** A server that would answer; lines that came. */
async function startPool(owner: Owner, options = {}) {
  const { port, lines } = await startScripted(owner, () => 'HD\r\n')
  const pool = new ClusterClient([`${HOST}:${port}`], { timeoutMs: 20_000, ...options })
  owner.teardown(() => pool.close())
  return { pool, lines }
}

t.test('in process, what is wrong is refused, and changes nothing', async t => {
  const cache = LocalCache.create({ memoryBytes: 16 * MIB })
  t.teardown(() => cache.close())
  cache.set('a', 'before')
  const { cas } = cache.getItem('a') ?? {}
  const loose = cache as unknown as Loose
  for (const row of CASES) {
    try {
      loose[row.call](...row.args)
      t.fail(`taken: ${textOf(row)}`)
    } catch (error) {
      if (!isRight(error, row)) t.fail(`${textOf(row)}: ${error}`)
    }
  }
  t.ok(CASES.length > 600, `${CASES.length} rows`)
  t.match(cache.getItem('a'), { value: 'before', cas, ttlS: Number.POSITIVE_INFINITY })
  t.equal(cache.stats().items, 1)
})

for (const driver of ['meta', 'memjs'] as const) {
  t.test(`over the network, what is wrong is refused, and nothing is sent, ${driver}`, async t => {
    const { pool, lines } = await startPool(t, { driver })
    const loose = pool as unknown as Loose
    const further = ['a b', 'a\n', 'a\r\nflush_all', '\0', 'a\x7f', Buffer.from('a')]
    const keyCases = KEY_CALLS.flatMap(([call, ...rest]) =>
      further.map(key => ({ call, args: [key, ...rest], code: 'KEY' as const, names: /key/ })),
    )
    for (const row of [...CASES, ...keyCases]) {
      // It rejects and does not throw.
      const answer = loose[row.call](...row.args) as Promise<unknown>
      const error = await answer.then(
        () => 'taken',
        reason => reason,
      )
      if (!isRight(error, row)) t.fail(`${textOf(row)}: ${error}`)
    }
    for (const name of ['a\r\nflush_all', 7, null, 'ä']) {
      await t.rejects(loose.serverStats(name) as Promise<unknown>, { code: 'ARGUMENT' })
    }
    t.strictSame(lines, [], 'nothing reached the wire')
  })
}

t.test('what is right is sent as it should be', async t => {
  const { pool, lines } = await startPool(t)
  await pool.set('a', 'v', { ttlS: 59.5, flags: 7 })
  await pool.set('a', 'v', { ttlS: Number.POSITIVE_INFINITY })
  await pool.set('a', '', { expiresAt: new Date(0) })
  await pool.set('a', 'v', { expiresAt: Date.now() + 9_500 })
  await pool.touch('a', { ttlS: 100 * 365 * 86_400 })
  const nowS = Math.floor(Date.now() / 1000)
  await pool.touch('a', { ttlS: 31 * 86_400 })
  t.strictSame(
    lines.slice(0, -1).filter(line => line !== 'v' && line !== ''),
    ['ms a 1 F7 T60', 'ms a 1 F0 T0', 'ms a 0 F16777216 T-1', 'ms a 1 F0 T10', 'mg a T0'],
  )
  const [, exptime] = /^mg a T(\d+)$/.exec(lines.at(-1) ?? '') ?? []
  const aheadS = Number(exptime) - nowS - 31 * 86_400
  t.ok(aheadS >= 0 && aheadS < 60, 'above 30 days a Unix time')
})

t.test('options of the doors themselves', async t => {
  const MEMORY = { memoryBytes: 16 * MIB }
  const local: [options: unknown, names: RegExp][] = [
    [undefined, /options/],
    [{}, /memoryBytes/],
    [{ ...MEMORY, memory: 1 }, /no option memory;/],
    [{ ...MEMORY, serializer: {} }, /serializer/],
    [{ ...MEMORY, serializer: { flags: 1, encode() {}, decode() {} } }, /serializer/],
    [{ ...MEMORY, evictions: 'no' }, /evictions/],
    [{ ...MEMORY, eviction: 'random' }, /eviction/],
    [{ ...MEMORY, itemBytesMax: '1m' }, /itemBytesMax/],
    [{ ...MEMORY, chunkBytes: [1, '2'] }, /chunkBytes/],
  ]
  for (const [options, message] of local) {
    t.throws(() => LocalCache.create(options as never), { code: 'ARGUMENT', message })
  }
  for (const handle of [undefined, null, {}, { arenas: [1] }]) {
    t.throws(() => LocalCache.attach(handle as never), { code: 'ARGUMENT', message: /handle/ })
  }
  const cluster: [options: unknown, names: RegExp][] = [
    [null, /options/],
    [{ timeoutMS: 1 }, /no option timeoutMS;/],
    [{ tls: 1 }, /tls/],
    [{ auth: 'user:password' }, /options/],
    [{ auth: { user: 'u' } }, /auth\.password/],
    [{ auth: { user: 'u', password: 'secret', pass: 1 } }, /no option pass;/],
    [{ compression: { method: 'lz4' } }, /compression\.method/],
    [{ compression: { level: 10 } }, /level/],
    [{ driver: 'text' }, /driver/],
    [{ failover: 'none' }, /failover/],
    [{ kind: 'ketama' }, /kind/],
    [{ keyHash: 'crc32' }, /keyHash/],
    [{ hashTag: 5 }, /hashTag/],
    [{ onServers: 'log' }, /onServers/],
    [{ serializer: 'json' }, /serializer/],
  ]
  const numbers = ['timeoutMs', 'retries', 'failures', 'restMs', 'warmupMs', 'replicas']
  for (const name of [...numbers, 'pendingMax', 'pendingBytesMax']) {
    for (const value of ['1', -1, Number.NaN, null, 2 ** 60]) {
      cluster.push([{ [name]: value }, new RegExp(`^${name}: `)])
    }
  }
  for (const [options, message] of cluster) {
    const make = () => new ClusterClient(['a:1'], options as never)
    t.throws(make, { code: 'ARGUMENT', message }, JSON.stringify(options))
  }
  for (const servers of [undefined, 'a:1', 7, {}, { watch: 1 }, [7], [{ host: '' }], ['a b']]) {
    t.throws(() => new ClusterClient(servers as never), { code: 'ARGUMENT' })
  }
  const pool = new ClusterClient(['a:1'])
  t.teardown(() => pool.close())
  for (const servers of ['a:1', undefined, [undefined], {}]) {
    t.throws(() => pool.setMembers(servers as never), { code: 'ARGUMENT' })
  }
  t.throws(() => new ClusterClient([{ host: 'a', port: 70_000 }]), { message: /port of a/ })
})

t.test('options of sources of servers, and of a drain', async t => {
  const made: [make: (options: never) => unknown, options: unknown[]][] = [
    [
      options => dnsServers('a', options),
      [{ ports: 1 }, { port: '1' }, { family: 5 }, { intervalMs: 0 }, { nameServers: 'a' }, null],
    ],
    [
      options => elastiCacheServers('a:1', options),
      [{ by: 'name' }, { auth: 'u:p' }, { intervalMs: Number.NaN }, { interval: 1 }],
    ],
    [options => etcdServers('http://a:1', options), [{ prefix: 1 }, { ttl: 1 }, null]],
    [
      options => drain('a:1', ['b:1'], options),
      [{ atOnce: 0 }, { keep: 'yes' }, { auth: { user: 'u' } }, { at_once: 1 }, { kind: 'x' }],
    ],
  ]
  for (const [make, all] of made) {
    for (const options of all) {
      await t.rejects(async () => make(options as never), { code: 'ARGUMENT' }, String(options))
    }
  }
  t.throws(() => etcdServers(7 as never), { code: 'ARGUMENT' })
  t.throws(() => dnsServers('' as never), { code: 'ARGUMENT' })
  for (const endpoint of [undefined, 7, ['a:1'], '']) {
    t.throws(() => elastiCacheServers(endpoint as never), { code: 'ARGUMENT' })
  }
  await t.rejects(async () => drain('a:1', 'b:1' as never), { code: 'ARGUMENT' })
  await t.rejects(async () => drain(undefined as never, ['b:1']), { code: 'ARGUMENT' })
})
