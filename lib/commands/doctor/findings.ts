// What `memslab doctor` can find: each rule looks at the first and the last sample of a server and
// says in words what an experienced operator would, with its evidence. Knows no socket.

import { OTHER_REQUESTS } from '../../bytes/memcached.ts'
import { MIB } from '../../bytes/units.ts'
import {
  type ClassRow,
  classesOf,
  hotKeysOf,
  longValuesOf,
  numberOf,
  rateOf,
  type Sample,
  sumOf,
} from '../servers/sample.ts'

/** Advice is not a fault: it leaves the exit code alone. */
export type Severity = 'advice' | 'warning' | 'critical'

export interface Finding {
  /** A name for monitoring; it does not change. */
  id: string
  severity: Severity
  /** What is wrong, in one sentence. */
  says: string
  /** The figures behind it. */
  evidence: string
  /** What to do. */
  run: string
  /** What that should bring. */
  brings: string
}

/** A server that was watched. */
export interface Visit {
  server: string
  first: Sample
  last: Sample
}

/** Bounds above which something is worth saying. */
const HIT_PERCENT_MIN = 80
const GETS_JUDGED_MIN = 100
const EVICTIONS_A_SECOND_MAX = 10
const EVICTED_JUDGED_MIN = 100
const SHARE_MAX = 0.5
const FOREVER_SHARE_MIN = 0.9
const AGE_RATIO_MAX = 4
const PAGES_SHARE_MIN = 0.1
const HOT_PERCENT_MAX = 10
const LONG_VALUE_BYTES_MIN = 512 * 1024
const NEW_CONNECTIONS_A_SECOND_MAX = 20
const REQUESTS_A_CONNECTION_MIN = 20
const CONNECTIONS_PERCENT_MAX = 80
const CONNECTIONS_PERCENT_CRITICAL = 95
const MEMORY_PERCENT_FULL = 90
const CPU_PERCENT_MAX = 80
/** The load of one server by the average of its pool; of two servers one is at most twice. */
const LOAD_RATIO_MAX = 2
const LOAD_RATIO_OF_TWO_MAX = 1.8
/** Lookups behind an estimate; percentage points that twice the memory brings, or half costs. */
const CURVE_LOOKUPS_MIN = 10_000
const MORE_POINTS_MIN = 3
const LESS_POINTS_MAX = 0.5

type Rule = (visit: Visit) => Finding | null

/** Everything that is worth saying about one server. */
export function findingsOf(visit: Visit): Finding[] {
  return RULES.map(rule => rule(visit)).filter(finding => finding !== null)
}

/** What is worth saying about one server among others of its pool. */
export function poolFindingOf(visit: Visit, pool: readonly Visit[]): Finding | null {
  if (pool.length < 2) return null
  const loads = pool.map(requestsASecond)
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length
  const load = requestsASecond(visit)
  const ratioMax = pool.length === 2 ? LOAD_RATIO_OF_TWO_MAX : LOAD_RATIO_MAX
  if (!(load > ratioMax * mean)) return null
  return {
    id: 'pool-imbalance',
    severity: 'warning',
    says: 'This server has much more to do than the others of its pool.',
    evidence: `${round(load)} requests a second, ${round(mean)} on the average of ${pool.length}`,
    run: 'look for hot keys on it (memslab top), and compare the servers and weights of all clients',
    brings: 'the load of one server falls to that of the others',
  }
}

const RULES: readonly Rule[] = [
  refusesStores,
  refusesConnections,
  died,
  busy,
  missesMuch,
  evictsLive,
  moreMemoryHits,
  halfIsEnough,
  evictsForever,
  evictsUnread,
  memoryInWrongClass,
  hotKey,
  longValues,
  churn,
  open,
  oldSettings,
]

function refusesStores({ first, last }: Visit): Finding | null {
  const refused = grown(first, last, 'store_no_memory') || outOfMemory(last) - outOfMemory(first)
  const isFull =
    memoryPercent(last) > MEMORY_PERCENT_FULL && last.settings.get('evictions') === 'off'
  if (!(refused > 0) && !isFull) return null
  return {
    id: 'out-of-memory',
    severity: 'critical',
    says: 'It refuses stores for lack of memory.',
    evidence: `${round(refused)} stores refused while watched; evictions are ${last.settings.get('evictions')}, memory is ${round(memoryPercent(last))} % full`,
    run: 'start it without -M, or with more memory (-m)',
    brings: 'stores succeed again; without -M old items make room for new ones',
  }
}

function refusesConnections({ first, last }: Visit): Finding | null {
  const [open, limit] = [of(last, 'curr_connections') || 0, of(last, 'max_connections')]
  const rejected =
    grown(first, last, 'rejected_connections') + grown(first, last, 'listen_disabled_num')
  const percent = (100 * open) / limit
  if (!(percent > CONNECTIONS_PERCENT_MAX) && !(rejected > 0)) return null
  return {
    id: 'connections',
    severity: rejected > 0 || percent > CONNECTIONS_PERCENT_CRITICAL ? 'critical' : 'warning',
    says: rejected > 0 ? 'It turns connections away.' : 'It is near its limit of connections.',
    evidence: `${open} of ${limit} connections, ${rejected} turned away while watched`,
    run: 'raise -c, or lower the size of the connection pools of the clients',
    brings: 'new clients can connect',
  }
}

function died({ last }: Visit): Finding | null {
  const [restarts, resets] = [
    numberOf(last.own, 'worker_restarts'),
    numberOf(last.own, 'arena_resets'),
  ]
  if (!(restarts > 0) && !(resets > 0)) return null
  return {
    id: 'workers-died',
    severity: 'critical',
    says: 'Threads of the server died since its start.',
    evidence: `${restarts} workers replaced, ${resets} arenas emptied`,
    run: 'read its log for the reason, and report it',
    brings: 'no connections and items lost to it',
  }
}

function busy({ first, last }: Visit): Finding | null {
  const cpu = rateOf(first, last, ['rusage_user', 'rusage_system'])
  const threads = of(last, 'threads')
  const percent = (100 * cpu) / threads
  if (!(percent > CPU_PERCENT_MAX)) return null
  return {
    id: 'cpu',
    severity: 'warning',
    says: 'Its threads have hardly any time left.',
    evidence: `${round(percent)} % of ${threads} threads`,
    run: 'add a server to the pool, or threads (-t) if the machine has idle cores',
    brings: 'shorter waits at the peak',
  }
}

function missesMuch({ first, last }: Visit): Finding | null {
  const gets = grown(first, last, 'cmd_get')
  const percent = (100 * grown(first, last, 'get_hits')) / gets
  if (gets < GETS_JUDGED_MIN || percent >= HIT_PERCENT_MIN) return null
  const evicts = grown(first, last, 'evictions') > 0
  return {
    id: 'hit-ratio',
    severity: 'warning',
    says: 'Many gets miss.',
    evidence: `${percent.toFixed(1)} % of ${gets} gets were hits`,
    run: evicts
      ? 'give it more memory (-m): it evicts live items'
      : 'look at what is asked for: it evicts nothing, so the keys were never stored, or had expired',
    brings: evicts
      ? `up to ${round(rateOf(first, last, ['evictions']))} misses a second fewer`
      : 'more memory would bring nothing',
  }
}

function evictsLive({ first, last }: Visit): Finding | null {
  const evictions = rateOf(first, last, ['evictions'])
  if (!(evictions > EVICTIONS_A_SECOND_MAX)) return null
  const ages = classesOf(last).map(({ ageS }) => ageS)
  const age = ages.length === 0 ? 'is not known' : `is ${Math.min(...ages)} s`
  return {
    id: 'evictions',
    severity: 'warning',
    says: 'It evicts items that had not expired.',
    evidence: `${round(evictions)} a second; the least age at which a class evicts ${age}`,
    run: 'give it more memory (-m), add a server, or store with shorter expiry what is not read again',
    brings: `at most ${round(evictions)} misses a second fewer`,
  }
}

function moreMemoryHits({ first, last }: Visit): Finding | null {
  const [now, twice, four] = [1, 2, 4].map(size => hitPercentAt(last, size))
  if (!(twice - now >= MORE_POINTS_MIN) || !(grown(first, last, 'evictions') > 0)) return null
  const fewer = (rateOf(first, last, ['cmd_get']) * (twice - now)) / 100
  return {
    id: 'more-memory',
    severity: 'warning',
    says: 'More memory would bring hits.',
    evidence: `${now.toFixed(1)} % of lookups hit; with twice the memory ${twice.toFixed(1)} % would, with four times ${four.toFixed(1)} % (stats mrc)`,
    run: `double -m, now ${megabytes(last)} MiB, or add servers of the same size`,
    brings: `about ${round(fewer)} misses a second fewer`,
  }
}

function halfIsEnough({ last }: Visit): Finding | null {
  const [half, now] = [0.5, 1].map(size => hitPercentAt(last, size))
  if (!(now - half <= LESS_POINTS_MAX)) return null
  return {
    id: 'less-memory',
    severity: 'advice',
    says: 'Half of the memory would hit as often.',
    evidence: `${now.toFixed(1)} % of lookups hit; with half the memory ${half.toFixed(1)} % would (stats mrc)`,
    run: `halve -m, now ${megabytes(last)} MiB, once a whole day was watched`,
    brings: 'memory for something else',
  }
}

function evictsForever({ first, last }: Visit): Finding | null {
  const evicted = grownClasses(first, last, ({ evicted }) => evicted)
  const forever = evicted - grownClasses(first, last, ({ evictedNonzero }) => evictedNonzero)
  if (evicted < EVICTED_JUDGED_MIN || forever < FOREVER_SHARE_MIN * evicted) return null
  return {
    id: 'never-expire',
    severity: 'warning',
    says: 'Nearly all evicted items would never have expired.',
    evidence: `${forever} of ${evicted} evicted items had no expiry`,
    run: 'store with an expiry (exptime) as long as the value is of use',
    brings: 'what is of no use leaves by itself, before what is',
  }
}

function evictsUnread({ first, last }: Visit): Finding | null {
  const evicted = grownClasses(first, last, ({ evicted }) => evicted)
  const unread = grownClasses(first, last, ({ evictedUnfetched }) => evictedUnfetched)
  if (evicted < EVICTED_JUDGED_MIN || unread < SHARE_MAX * evicted) return null
  return {
    id: 'unread',
    severity: 'warning',
    says: 'Most evicted items were never read.',
    evidence: `${unread} of ${evicted} evicted items had no get`,
    run: 'do not store what is rarely read twice, or store it with a short expiry',
    brings: 'their memory for items that are read',
  }
}

function memoryInWrongClass({ first, last }: Visit): Finding | null {
  const classes = classesOf(last)
  const before = new Map(classesOf(first).map(row => [row.id, row]))
  const pages = classes.reduce((sum, row) => sum + row.pages, 0)
  const evicting = classes.filter(row => row.evicted > (before.get(row.id)?.evicted ?? 0))
  const rich = classes.filter(row => row.pages > PAGES_SHARE_MIN * pages)
  for (const poor of evicting) {
    const idle = rich.find(row => row.id !== poor.id && row.ageS > AGE_RATIO_MAX * (poor.ageS + 1))
    if (idle === undefined) continue
    return {
      id: 'slab-imbalance',
      severity: 'warning',
      says: 'Memory is in the wrong slab class.',
      evidence: `class ${poor.id} (${poor.chunkBytes} bytes) evicts items that were used ${poor.ageS} s ago, class ${idle.id} (${idle.chunkBytes} bytes) has ${idle.pages} of ${pages} pages and keeps items for ${idle.ageS} s`,
      run: 'slabs automove 1, or start it with -o slab_reassign,slab_automove=1',
      brings: 'pages for the class that evicts',
    }
  }
  return null
}

function hotKey({ last }: Visit): Finding | null {
  const [hottest] = hotKeysOf(last)
  if (hottest === undefined || !(hottest.percent > HOT_PERCENT_MAX)) return null
  if (!(numberOf(last.hotKeys, 'requests') > GETS_JUDGED_MIN)) return null
  return {
    id: 'hot-key',
    severity: 'warning',
    says: 'One key has much of the traffic.',
    evidence: `${hottest.key} has ${hottest.percent.toFixed(1)} % of the requests`,
    run: 'keep it in the application for a second (a cache in process), or copy it to several keys',
    brings: `up to ${hottest.percent.toFixed(1)} % fewer requests for this server`,
  }
}

function longValues({ last }: Visit): Finding | null {
  const [longest] = longValuesOf(last)
  const largest = classesOf(last).findLast(({ chunkBytes }) => chunkBytes >= LONG_VALUE_BYTES_MIN)
  const bytes = longest?.valueBytes ?? largest?.chunkBytes ?? 0
  if (!(bytes >= LONG_VALUE_BYTES_MIN)) return null
  const what =
    longest === undefined
      ? `${largest?.items} items in chunks of ${bytes} bytes`
      : `${longest.key} has ${bytes} bytes`
  return {
    id: 'long-values',
    severity: 'warning',
    says: 'It has very long values.',
    evidence: what,
    run: 'compress them in the client, or split them into parts that are read alone',
    brings: 'shorter waits for the small requests behind them',
  }
}

function churn({ first, last }: Visit): Finding | null {
  const opened = rateOf(first, last, ['total_connections'])
  const requests = rateOf(first, last, REQUESTS)
  if (!(opened > NEW_CONNECTIONS_A_SECOND_MAX)) return null
  if (!(requests < REQUESTS_A_CONNECTION_MIN * opened)) return null
  return {
    id: 'connection-churn',
    severity: 'warning',
    says: 'Clients connect again and again.',
    evidence: `${round(opened)} new connections a second, ${(requests / opened).toFixed(1)} requests for each`,
    run: 'let clients keep their connections (persistent connections, one client object a process)',
    brings: 'a fraction of the CPU time a request, and no limit reached by waiting sockets',
  }
}

function open({ last }: Visit): Finding | null {
  const { settings } = last
  const addresses = settings.get('inter')
  const isOpen =
    addresses === 'NULL' || /(?:^|[,;])(?:0\.0\.0\.0|\*|\[?::\]?)/.test(addresses ?? '-')
  const isTcp = settings.get('tcpport') !== '0'
  const needsLogin =
    settings.get('auth_enabled_ascii') !== 'no' || settings.get('auth_enabled_sasl') === 'yes'
  const needsCertificate = numberOf(settings, 'ssl_verify_mode') >= 2
  if (!isOpen || !isTcp || needsLogin || needsCertificate) return null
  return {
    id: 'open-port',
    severity: 'warning',
    says: 'Everybody who reaches this machine can read, change and flush the cache.',
    evidence: `it listens on every interface (port ${settings.get('tcpport')}) and asks for no password and no certificate`,
    run: 'listen on one address (-l), or ask for a log-in (-Y, -S) or a certificate (ssl_verify_mode=2)',
    brings: 'only your applications can use it',
  }
}

function oldSettings({ last }: Visit): Finding | null {
  const { settings } = last
  const off = ['slab_reassign', 'lru_crawler', 'lru_maintainer_thread'].filter(
    name => settings.get(name) === 'no',
  )
  if (off.length === 0) return null
  return {
    id: 'old-settings',
    severity: 'warning',
    says: 'What frees and moves memory is switched off.',
    evidence: off.map(name => `${name} no`).join(', '),
    run: 'start it without -o no_modern, no_lru_crawler, no_slab_reassign and no_lru_maintainer',
    brings: 'expired items leave, and memory follows the sizes that come',
  }
}

// ---- figures

const REQUESTS = ['cmd_get', 'cmd_set', ...OTHER_REQUESTS]

function requestsASecond({ first, last }: Visit): number {
  return rateOf(first, last, REQUESTS) || 0
}

function of({ general }: Sample, name: string): number {
  return numberOf(general, name)
}

/** By how much a counter grew; 0 where it fell or is missing. */
function grown(first: Sample, last: Sample, name: string): number {
  return Math.max(0, sumOf(last.general, [name]) - sumOf(first.general, [name]))
}

function grownClasses(first: Sample, last: Sample, read: (row: ClassRow) => number): number {
  const sum = (sample: Sample) => classesOf(sample).reduce((all, row) => all + read(row), 0)
  return Math.max(0, sum(last) - sum(first))
}

function outOfMemory({ items }: Sample): number {
  const rows = [...items.keys()].filter(row => row.endsWith(':outofmemory'))
  return sumOf(items, rows)
}

/** What share of lookups would hit with so many times the memory; NaN: that is not known. */
function hitPercentAt({ curve }: Sample, size: number): number {
  if (!(numberOf(curve, 'lookups') >= CURVE_LOOKUPS_MIN)) return Number.NaN
  return numberOf(curve, `${size}:hit_percent`)
}

function megabytes(sample: Sample): string {
  return round(of(sample, 'limit_maxbytes') / MIB)
}

function memoryPercent(sample: Sample): number {
  return (100 * of(sample, 'bytes')) / of(sample, 'limit_maxbytes')
}

function round(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value))
}
