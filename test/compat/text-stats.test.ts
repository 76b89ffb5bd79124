/**
 * Statistics: memslab prints every name that memcached prints, in the same order (and may print
 * more). After the same session the counters that must agree do.
 */
import t, { type Test } from 'tap'
import { type Pair, runScript, startPair } from '../support/differential.ts'
import {
  NAMES_DROPPED_BY_NEWER,
  normaliseStatName,
  parseStats,
  STATS_MAY_DIFFER,
} from '../support/normalise.ts'
import { skipWithout } from '../support/oracle.ts'

const THREADS = ['-t', '4']
const KINDS = ['', 'settings', 'items', 'slabs', 'sizes', 'conns']

/** Settings that must differ, or differ in 1.6.18. */
const SETTINGS_MAY_DIFFER = [
  /^(tcpport|hash_algorithm|slab_chunk_max|num_napi_ids)$/,
  /^(ext_|ssl_)/,
  // 30 in 1.6.18.
  /^slab_automove_window$/,
]
const SETTINGS_ARGS = [
  ['-m', '100', '-c', '512', '-I', '2m', '-f', '1.5', '-o', 'read_buf_mem_limit=3,modern'].concat([
    '-o',
    'no_lru_maintainer,no_inline_ascii_resp,lru_crawler_sleep=200,lru_crawler_tocrawl=300',
  ]),
  ['-C', '-F', '-X', '-A', '-M', '-R', '5', '-b', '99', '-n', '72', '-a', '770', '-D', '/'].concat([
    ...['-B', 'ascii', '-o', 'hashpower=17,track_sizes,no_modern'],
  ]),
  [
    '-o',
    'no_lru_crawler,no_slab_reassign,slab_automove=2,slab_automove_ratio=0.5,idle_timeout=90,' +
      'tail_repair_time=20,hot_lru_pct=10,warm_lru_pct=30,hot_max_factor=0.5,warm_max_factor=3,' +
      // Not worker_logbuf_size: 1.6.18 reads it as slab_sizes.
      'temporary_ttl=30,watcher_logbuf_size=1,no_maxconns_fast,slab_automove_window=7',
  ],
]

// With COUNTING, SWAP and FLUSH it moves every counter that a client can move.
const SESSION = [
  'set a 0 0 1\r\n1\r\nset b 5 0 2\r\nbb\r\nset d 0 0 2000000\r\n',
  'x'.repeat(2_000_000),
  '\r\nget a\r\nget a b none\r\ngets a\r\nget c\r\ngat 0 a\r\ngat 0 none\r\ngats 0 a b none\r\n',
  'touch a 0\r\ntouch none 0\r\ndelete none\r\nset e 0 0 1\r\ne\r\ndelete e\r\ndelete e\r\n',
  'add a 0 0 1\r\n1\r\nadd f 0 0 1\r\nf\r\nreplace none 0 0 1\r\n1\r\nreplace a 0 0 1\r\n2\r\n',
  'append a 0 0 1\r\n3\r\nprepend a 0 0 1\r\n1\r\nappend none 0 0 1\r\n1\r\n',
  'cas a 0 0 1 1\r\n1\r\ncas none 0 0 1 1\r\n1\r\ncas a 0 0 -1 1\r\n',
  'set g 0 0 1 noreply\r\ng\r\ndelete g noreply\r\nget g\r\nfoo\r\nset bad 0 0 1\r\nabc\r\n',
].join('')
const COUNTING = [
  'set n 0 0 1\r\n1\r\nset w 0 0 1\r\nw\r\nincr n 5\r\nincr n 5\r\nincr none 1\r\nincr w 1\r\n',
  'incr n x\r\ndecr n 1\r\ndecr none 1\r\ndecr none 1\r\ndecr w 1\r\nincr n 1 noreply\r\n',
].join('')
const SWAP = ['gets a\r\n', 'cas a 0 0 1 <CAS a>\r\n1\r\n']
const META = [
  'ms a 1\r\n1\r\nms b 2 F5 T60\r\nbb\r\nms c 1 !\r\nx\r\nms d 2000000\r\n',
  'x'.repeat(2_000_000),
  '\r\nmg a v\r\nmg a\r\nmg none v\r\nmg none q\r\nmg a T60\r\nmg none T60\r\nmg b h l t u\r\n',
  'mg new N60 v\r\nmg new N60\r\nmg new2 N60 T90\r\nmg a R90 v\r\nmg a !\r\nmg\r\nmn\r\n',
  'md none\r\nmd b C99\r\nmd b I T60\r\nmg b v\r\nmd b\r\nmd b q\r\nms e 1 q\r\ne\r\nmd e q\r\n',
  'ms a 1 ME\r\n1\r\nms f 1 ME\r\nf\r\nms none 1 MR\r\n1\r\nms a 1 MR\r\n2\r\n',
  'ms a 1 MA\r\n3\r\nms a 1 MP\r\n1\r\nms none 1 MA\r\n1\r\nms a 1 C99\r\n1\r\nms none 1 C99\r\n1\r\n',
  'ms a 1 C99 MA\r\n1\r\nms a 1 C1 I\r\n1\r\nms none 1 C1 MA\r\n1\r\nms a 1 C1 ME\r\n1\r\n',
  'ms none 1 C1 ME q\r\n1\r\nms a 1 C0\r\n1\r\nme a\r\nme none\r\nme\r\nms g 1\r\nabc\r\n',
  'ma a\r\nma miss\r\nma miss MD q\r\nma made N60 J5\r\nma made MD\r\nma a C99\r\nma a MX\r\n',
].join('')
const META_SWAP = ['mg a c k\r\n', 'ms a 1 C<CAS a>\r\n1\r\n', 'mg a c k\r\n', 'md a C<CAS a>\r\n']
const FLUSH = 'flush_all\r\nget a b\r\nset h 0 0 1\r\nh\r\nget h\r\n'

t.test('statistics have the same names', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t, THREADS)
  await onBoth(pair, ['set k 0 0 1\r\na\r\n'])
  for (const kind of KINDS) {
    const [oracle, daemon] = await statsOfBoth(pair, kind)
    const wanted = namesOf(oracle).filter(name => !NAMES_DROPPED_BY_NEWER.has(name))
    const given = namesOf(daemon)
    const name = `stats ${kind}`
    t.same(
      wanted.filter(stat => !given.includes(stat)),
      [],
      `${name}: no name is missing`,
    )
    t.same(
      given.filter(stat => wanted.includes(stat)),
      wanted,
      `${name}: in the same order`,
    )
  }
})

t.test('an empty server prints the same names', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t, THREADS)
  for (const kind of ['items', 'slabs']) {
    const [oracle, daemon] = await statsOfBoth(pair, kind)
    t.same(namesOf(daemon), namesOf(oracle), `stats ${kind}`)
  }
})

t.test('counters agree after a session', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t, THREADS)
  await sameCounters(t, pair, 'at the start')
  await onBoth(pair, [SESSION])
  await sameCounters(t, pair, 'after a session')
  await onBoth(pair, SWAP)
  await sameCounters(t, pair, 'after a cas')
  // incr stores in place or a new item, depending on whether the background thread holds the item.
  await onBoth(pair, [COUNTING])
  await sameCounters(t, pair, 'after incr and decr', ['total_items'])
  // Flushed items are counted until something meets them.
  await onBoth(pair, [FLUSH])
  await sameCounters(t, pair, 'after a flush', ['total_items', 'curr_items'])
  await onBoth(pair, ['stats reset\r\n'])
  await sameCounters(t, pair, 'after stats reset', ['curr_items'])
})

t.test('counters agree after meta commands', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t, THREADS)
  await onBoth(pair, [META])
  await sameCounters(t, pair, 'after meta commands')
  await onBoth(pair, META_SWAP)
  await sameCounters(t, pair, 'after a CAS')
})

for (const args of SETTINGS_ARGS) {
  t.test(`settings agree with ${args.join(' ')}`, { skip: skipWithout('memcached') }, async t => {
    const pair = await startPair(t, [...THREADS, ...args])
    const [oracle, daemon] = await statsOfBoth(pair, 'settings')
    const given = new Map(daemon)
    const agreeing = oracle.filter(([name]) => !SETTINGS_MAY_DIFFER.some(may => may.test(name)))
    t.same(
      agreeing.map(([name]) => [name, given.get(name)]),
      agreeing,
    )
    t.equal(given.get('tcpport'), `${pair.daemon.port}`, 'tcpport')
    const wanted = namesOf((await statsOfBoth(pair, ''))[0])
    const printed = namesOf((await statsOfBoth(pair, ''))[1])
    const missing = wanted.filter(name => !printed.includes(name))
    t.same(
      missing.filter(name => !NAMES_DROPPED_BY_NEWER.has(name)),
      [],
      'stats has the same names',
    )
  })
}

t.test('counters of classes agree', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t, THREADS)
  const item = 'set k 0 0 1\r\n1\r\nget k\r\ngets k\r\nincr k 1\r\ndecr k 1\r\ntouch k 0\r\n'
  await onBoth(pair, [`${item}cas k 0 0 1 1\r\nx\r\n`, 'gets k\r\n'])
  await onBoth(
    pair,
    SWAP.map(step => step.replaceAll(' a', ' k').replace('CAS a', 'CAS k')),
  )
  await onBoth(pair, ['delete k\r\nset k 0 0 1\r\n1\r\n'])
  const [oracle, daemon] = await statsOfBoth(pair, 'slabs')
  const counters =
    /:(get_hits|cmd_set|delete_hits|incr_hits|decr_hits|cas_hits|cas_badval|touch_hits)$/
  const pick = (stats: [string, string][]) =>
    stats
      .filter(([name]) => counters.test(name))
      .map(([name, value]) => `${normaliseStatName(name)} ${value}`)
  t.same(pick(daemon), pick(oracle))
})

async function sameCounters(t: Test, pair: Pair, when: string, except: string[] = []) {
  const [oracle, daemon] = await statsOfBoth(pair, '')
  const given = new Map(daemon)
  for (const [name, value] of oracle) {
    if (NAMES_DROPPED_BY_NEWER.has(name) || except.includes(name)) continue
    if (STATS_MAY_DIFFER.some(may => may.test(name))) continue
    t.equal(given.get(name), value, `${name} ${when}`)
  }
}

async function onBoth(pair: Pair, steps: string[]): Promise<void> {
  await Promise.all([
    runScript(pair.oracle.port, { steps }),
    runScript(pair.daemon.port, { steps }),
  ])
}

async function statsOfBoth(pair: Pair, kind: string) {
  const steps = [kind === '' ? 'stats\r\n' : `stats ${kind}\r\n`]
  const outcomes = await Promise.all([
    runScript(pair.oracle.port, { steps }),
    runScript(pair.daemon.port, { steps }),
  ])
  return outcomes.map(outcome => parseStats(outcome.replies[0]))
}

/**
 * Names once each: `stats items` repeats them for each class that the sizes happen to give. Of
 * `stats conns` those of the entry that has most come first: listeners, which have fewer, may stand
 * anywhere.
 */
function namesOf(stats: [string, string][]): string[] {
  const entries = new Map<string, string[]>()
  for (const [name] of stats) {
    const [, id = ''] = /^((?:items:)?\d+):/.exec(name) ?? []
    entries.set(id, [...(entries.get(id) ?? []), normaliseStatName(name)])
  }
  const fullestFirst = [...entries.values()].sort((a, b) => b.length - a.length)
  return [...new Set(fullestFirst.flat())]
}
