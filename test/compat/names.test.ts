/**
 * No name is forgotten: every option of memcached is in the help and in docs/options.md and is read
 * or refused in words of its own, every statistic is printed in memcached's order and told of in
 * docs/statistics.md, and the docs tell of nothing else.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { readCommandLine } from '../../lib/cli.ts'
import { LRU_TEMPORARY_TTL_S } from '../../lib/engine/arena/layout.ts'
import { Mode } from '../../lib/engine/status.ts'
import { EXTENDED, helpText } from '../../lib/options/help.ts'
import { DEFAULTS, isRefusal } from '../../lib/options/options.ts'
import { SWITCHES } from '../../lib/options/switches.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { reportStats } from '../../lib/protocol/report/report.ts'
import { settingLines } from '../../lib/server/settings.ts'
import { normaliseStatName, parseStats } from '../support/normalise.ts'
import { createHost } from '../support/server-session.ts'
import { STAT_NAMES, SUBOPTION_NAMES, SUBOPTION_NAMES_UNTOLD, SWITCH_NAMES } from './cases/names.ts'

/** memslab's own, behind memcached's. */
const OWN_STATS = ['arenas', 'arena_resets', 'worker_restarts', 'memslab_version']
const OWN_SUBOPTIONS = [
  'sasl_pwdb',
  'cluster_nodes',
  'eviction',
  'no_io_uring',
  'config_set',
  'etcd_prefix',
  'etcd_advertise',
  'etcd_ttl',
]
const OWN_SETTINGS = ['eviction', 'io_uring']
const OWN_SWITCHES = ['etcd']
/** Values that are no numbers; whoever graphs the rest reads it as numbers. */
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
    t.match(help, new RegExp(`^--${name}=`, 'm'))
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
    const own = { '': OWN_STATS, settings: OWN_SETTINGS }[report] ?? []
    t.same(printed, [...names, ...own], `stats ${report}`)
    if (report === 'settings' || report === 'conns') continue
    const texts = stats.filter(([, value]) => value === '' || Number.isNaN(Number(value)))
    t.same(
      texts.map(([name]) => name).filter(name => !TEXTS.includes(name)),
      [],
      `stats ${report}: numbers`,
    )
  }
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
  const hash = cache.hash(key, 0, 3)
  cache.shardOf(hash).store(Mode.SET, hash, key, 0, 3, 0, 0, 0, 0, key, 0, 3)
  for (const { arena } of cache.shards) arena.words[LRU_TEMPORARY_TTL_S] = 61
  const found = { tcpPort: 1, udpPort: 0, largestChunkBytes: 1 }
  const facts = {
    ...host.facts,
    settings: settingLines(DEFAULTS, found),
    features: {
      idleTimeout: true,
      slabReassign: true,
      lruMaintainer: true,
      tls: true,
      tlsSessions: true,
    },
  }
  return { ...host, facts }
}

function nameOnly(name: string): string {
  return normaliseStatName(name).replace(/^(items:)?[^:]+:/, '')
}

/** Told under its own name, or with all of its family. */
function isTold(names: readonly string[], name: string): boolean {
  return [name, name.replace(/^no_/, ''), name.replace(/^ext_.*/, 'ext_*')].some(word =>
    names.includes(word),
  )
}

/** Rows of the tables: what stands in code in their first cells, first words only. */
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
