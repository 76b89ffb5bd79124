/**
 * No name is missing: every option of memcached is in the help and in docs/options.md and is
 * accepted or refused by name. Every statistic is printed in memcached's order and is in
 * docs/statistics.md, and the docs have no others.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { readCommandLine } from '../../lib/cli.ts'
import { LRU_TEMPORARY_TTL_S } from '../../lib/engine/arena/layout.ts'
import { Ask } from '../../lib/engine/storing/ask.ts'
import { EXTENDED, helpText } from '../../lib/options/help.ts'
import { DEFAULTS, isRefusal } from '../../lib/options/options.ts'
import { SWITCHES } from '../../lib/options/switches.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { reportStats } from '../../lib/protocol/report/report.ts'
import { settingLines } from '../../lib/server/settings.ts'
import { normaliseStatName, parseStats } from '../support/normalise.ts'
import { createHost } from '../support/server-session.ts'
import { STAT_NAMES, SUBOPTION_NAMES, SUBOPTION_NAMES_UNTOLD, SWITCH_NAMES } from './cases/names.ts'

/** memslab's own, which `stats memslab` has alone. */
const OWN_STATS = [
  'memslab_version',
  'arenas',
  'arena_resets',
  'worker_restarts',
  'stderr_lines_dropped',
  'addresses_refused',
  'connections_limited',
  'reads_delayed',
  'datagrams_limited',
  'requests_denied',
  'logins_ended',
  'lock_waits',
  'uploads_held_bytes',
  'uploads_limit_bytes',
  'uploads_refused',
  'reads_held_bytes',
  'reads_limit_bytes',
  'reads_copied',
  'reads_refused',
]
const OWN_SUBOPTIONS = [
  'sasl_pwdb',
  'cluster_nodes',
  'eviction',
  'no_io_uring',
  'ssl_engine',
  'config_set',
  'etcd_prefix',
  'etcd_advertise',
  'etcd_ttl',
  'mrc',
]
const OWN_SETTINGS = ['eviction', 'io_uring', 'ssl_engine']
const OWN_SWITCHES = [
  'etcd',
  'config',
  'logfile',
  'log-format',
  'admin',
  'admin-auth',
  'admin-write',
  'metrics-slabs',
  'allow',
  'acl',
  'snapshot-dir',
  'snapshot-every',
  'snapshot-at',
  'snapshot-on-exit',
  'snapshot-keep',
  'snapshot-key',
  'snapshot-cas',
  'snapshot-level',
  'restore',
  'restore-required',
  'restore-serving',
]
/** Values that are no numbers; monitors read all others as numbers. */
const TEXTS = ['memslab_version', 'version', 'libevent', 'slab_reassign_last_busy_status']

t.test('every switch is in the help, in its order, and in the docs', async t => {
  const docs = rowsOf('options.md').map(([name]) => name)
  t.same(
    SWITCHES.map(({ letter, name }) => `${letter}:${name}`),
    [...SWITCH_NAMES, ...OWN_SWITCHES.map(name => `:${name}`)],
  )
  const help = helpText()
  for (const [letter, name] of SWITCH_NAMES.map(pair => pair.split(':'))) {
    t.match(help, new RegExp(`^-${letter}, --${name}`, 'm'))
    t.ok(docs.includes(`-${letter}`), `-${letter} is in docs/options.md`)
  }
  for (const name of OWN_SWITCHES) {
    t.match(help, new RegExp(`^--${name}(?:=| )`, 'm'))
    t.ok(docs.includes(`--${name}`), `--${name} is in docs/options.md`)
  }
})

t.test('every suboption is in the help and in the docs', async t => {
  const docs = rowsOf('options.md').map(([name]) => name)
  const told = EXTENDED.map(([name]) => name)
  for (const name of SUBOPTION_NAMES) t.ok(isTold(told, name), `${name} is in the help`)
  const all = [...SUBOPTION_NAMES, ...SUBOPTION_NAMES_UNTOLD, ...OWN_SUBOPTIONS]
  for (const name of all) t.ok(isTold(docs, name), `${name} is in docs/options.md`)
  const known = [...all, ...all.map(name => name.replace(/^no_/, '')), 'ext_*']
  t.same(
    told.filter(name => !known.includes(name)),
    [],
    'nothing else is in the help',
  )
})

t.test('every suboption is known', async t => {
  for (const name of [...SUBOPTION_NAMES, ...SUBOPTION_NAMES_UNTOLD, ...OWN_SUBOPTIONS]) {
    const command = await readCommandLine(['-o', name])
    if (isRefusal(command)) t.notMatch(command.line, /^Illegal/, command.line)
    else t.equal(command.action, 'serve', name)
  }
})

t.test('every statistic is printed in order, as a number', async t => {
  const host = hostWithAll()
  for (const [report, names] of Object.entries(STAT_NAMES)) {
    const stats = parseStats(reportStats(host, report, 1) ?? '')
    const printed = [...new Set(stats.map(([name]) => nameOnly(name)))]
    t.same(printed, report === 'settings' ? [...names, ...OWN_SETTINGS] : names, `stats ${report}`)
    if (report === 'settings' || report === 'conns') continue
    const texts = stats.filter(([, value]) => value === '' || Number.isNaN(Number(value)))
    t.same(
      texts.map(([name]) => name).filter(name => !TEXTS.includes(name)),
      [],
      `stats ${report}: numbers`,
    )
  }
})

t.test('what memcached has no name for has a report of its own', async t => {
  const stats = parseStats(reportStats(hostWithAll(), 'memslab', 1) ?? '')
  t.same(
    stats.map(([name]) => name),
    OWN_STATS,
  )
})

t.test('rows about lists and refusals are there where those are', async t => {
  const host = hostWithAll()
  const features = { ...host.facts.features, lruMaintainer: false, maxconnsFast: false }
  const without: Host = { ...host, facts: { ...host.facts, features } }
  const namesOf = (from: Host, report: string) =>
    new Set(parseStats(reportStats(from, report, 1) ?? '').map(([name]) => nameOnly(name)))
  const missing = (report: string) => {
    const left = namesOf(without, report)
    return [...namesOf(host, report)].filter(name => !left.has(name))
  }
  const moves = ['evicted_active', 'moves_to_cold', 'moves_to_warm', 'moves_within_lru']
  const general = ['rejected_connections', 'lru_maintainer_juggles']
  t.same(missing(''), [...general, ...moves, 'direct_reclaims', 'lru_bumps_dropped'])
  t.same(missing('items'), [
    ...['number_hot', 'number_warm', 'number_cold', 'number_temp', 'age_hot', 'age_warm'],
    ...[...moves, 'direct_reclaims'],
    ...['hits_to_hot', 'hits_to_warm', 'hits_to_cold', 'hits_to_temp'],
  ])
})

t.test('every statistic is in the docs, in the same order', async t => {
  const sections = sectionsOf('statistics.md')
  for (const [report, names] of Object.entries(STAT_NAMES)) {
    const told = sections.get(`stats ${report}`.trim())
    t.same(told, report === 'conns' ? ['UDP', ...names] : names, `stats ${report}`)
  }
})

/** A host with every feature on, one item and one connection. */
function hostWithAll(): Host {
  const host = createHost()
  const { cache } = host
  const key = new Area(Buffer.from('key'))
  const ask = new Ask(key)
  ask.setKey(key, 0, 3, cache.hash(key, 0, 3))
  ask.valueBytes = 3
  cache.shardOf(ask.hash).store(ask, key, 0)
  for (const { arena } of cache.shards) arena.words[LRU_TEMPORARY_TTL_S] = 61
  const found = { tcpPort: 1, udpPort: 0, largestChunkBytes: 1 }
  const facts = {
    ...host.facts,
    settings: settingLines(DEFAULTS, found),
    features: {
      idleTimeout: true,
      slabReassign: true,
      lruMaintainer: true,
      maxconnsFast: true,
      tls: true,
      tlsSessions: true,
    },
  }
  return { ...host, facts }
}

function nameOnly(name: string): string {
  return normaliseStatName(name).replace(/^(items:)?[^:]+:/, '')
}

/** Listed by its own name or by its family's. */
function isTold(names: readonly string[], name: string): boolean {
  return [name, name.replace(/^no_/, ''), name.replace(/^ext_.*/, 'ext_*')].some(word =>
    names.includes(word),
  )
}

/** Rows of the tables: the code in their first cells, first words only. */
function rowsOf(page: string): [name: string, section: string][] {
  const rows: [string, string][] = []
  let section = ''
  for (const line of readDocs(page).split('\n')) {
    section = /^## (.*)/.exec(line)?.[1] ?? section
    const cell = /^\| (`.*?) \|/.exec(line)?.[1] ?? ''
    for (const [, word = ''] of cell.matchAll(/`([^` ]+)[^`]*`/g)) rows.push([word, section])
  }
  return rows
}

function sectionsOf(page: string): Map<string, string[]> {
  const sections = new Map<string, string[]>()
  for (const [name, section] of rowsOf(page)) {
    sections.set(section, [...(sections.get(section) ?? []), name])
  }
  return sections
}

function readDocs(page: string): string {
  return readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
}
