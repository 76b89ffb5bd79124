// `npm run tidy`: the rules of the house that the compiler and the linter do not know. Which file
// may import which, where each package and each dangerous module of Node lives, how long functions
// and files may be. The rules are the tables on top; each breach is printed as `file:line: what`.

import { pathToFileURL } from 'node:url'
import { type Import, readSources, type Source } from './tidy/source.ts'

export interface Breach {
  path: string
  line: number
  what: string
}

const FOLDERS = ['lib', 'workers', 'scripts', 'test']
const FUNCTION_LINES_MAX = 60
const FILE_LINES_MAX = 500

/** Files that may be longer, because they are data; each with its reason. */
const DATA_TABLES: Readonly<Record<string, string>> = {}

/** Who may import whom. The first row that fits a file counts; a folder ends in a slash. */
const FLOORS: [from: string, to: string[]][] = [
  ['lib/limits.ts', []],
  ['lib/engine/', ['lib/engine/', 'lib/limits.ts']],
  ['lib/protocol/', ['lib/protocol/', 'lib/engine/', 'lib/limits.ts']],
  ['lib/etcd/', ['lib/etcd/', 'lib/limits.ts']],
  ['lib/server/', ['lib/server/', 'lib/etcd/', 'lib/protocol/', 'lib/engine/', 'lib/limits.ts']],
  ['lib/serializer.ts', []],
  ['lib/client/', ['lib/client/', 'lib/etcd/', 'lib/serializer.ts', 'lib/limits.ts']],
  ['lib/local-types.ts', ['lib/engine/', 'lib/serializer.ts']],
  ['lib/local.ts', ['lib/local-types.ts', 'lib/engine/', 'lib/serializer.ts', 'lib/limits.ts']],
  ['lib/strategies/', ['lib/strategies/', 'lib/serializer.ts', 'lib/limits.ts']],
  ['lib/load.ts', []],
  ['lib/cli.ts', ['lib/server/', 'lib/client/', 'lib/load.ts', 'lib/limits.ts']],
  ['lib/main.ts', ['lib/cli.ts', 'lib/load.ts']],
  ['lib/index.ts', ['lib/']],
  [
    'workers/',
    ['workers/', 'lib/load.ts', 'lib/server/', 'lib/protocol/', 'lib/engine/', 'lib/limits.ts'],
  ],
  ['scripts/', ['scripts/', 'lib/', 'workers/']],
  ['test/', ['test/', 'scripts/', 'lib/', 'workers/']],
]

/** Inside the engine a file imports only from rows below its own: the foundation comes last. */
const ENGINE = 'lib/engine/'
const ENGINE_RANKS = [
  ['keeper.ts'],
  ['prefetch.ts'],
  ['cache.ts', 'value-sink.ts'],
  ['shard-terms.ts'],
  ['shard.ts'],
  ['upkeep.ts'],
  ['automove.ts', 'balance.ts', 'crawl.ts', 'sweep.ts', 'worth.ts'],
  ['verify.ts'],
  ['leases.ts', 'rewrite.ts'],
  ['moves.ts', 'storing.ts', 'walk.ts'],
  ['allocate.ts'],
  ['victims.ts'],
  ['links.ts'],
  ['table.ts'],
  ['fit.ts', 'keeps.ts', 'place.ts'],
  ['holds.ts', 'item.ts', 'lru.ts', 'slabs.ts'],
  ['arena.ts'],
  ['clock.ts', 'hash.ts', 'lock.ts', 'stats.ts'],
  ['layout.ts', 'bytes.ts', 'decimal.ts', 'terms.ts'],
  ['status.ts'],
]

/** Each package has one home, and so have the modules of Node that reach outside the process. */
const HOMES: Readonly<Record<string, string[]>> = {
  yargs: ['lib/cli.ts', 'scripts/'],
  'yargs-parser': ['lib/cli.ts'],
  piscina: ['lib/server/pool.ts'],
  memjs: ['lib/client/', 'scripts/bench/local/', 'scripts/bench/pool/', 'test/'],
  memcached: ['test/'],
  'memcache-client': ['test/'],
  autocannon: ['scripts/bench-http.ts'],
  'lru-cache': ['scripts/bench/local/caches.ts'],
  keyv: ['test/'],
  express: ['test/'],
  'express-session': ['test/'],
  typescript: ['scripts/'],
  tap: ['test/'],
  'fast-check': ['test/'],
  'node:net': [
    'lib/client/connection.ts',
    'lib/client/memjs-link.ts',
    'lib/server/',
    'workers/',
    'scripts/',
    'test/',
  ],
  'node:tls': ['lib/client/connection.ts', 'lib/server/', 'scripts/', 'test/'],
  'node:dgram': ['lib/server/', 'scripts/', 'test/'],
  'node:http': ['lib/server/', 'scripts/', 'test/'],
  'node:https': ['lib/server/', 'scripts/', 'test/'],
  'node:http2': ['lib/server/', 'scripts/', 'test/'],
  'node:child_process': ['lib/server/', 'scripts/', 'test/'],
  'node:cluster': [],
  'node:worker_threads': ['lib/local.ts', 'lib/server/workers.ts', 'workers/', 'scripts/', 'test/'],
}

// Put together so that this file does not break its own rule.
const UNFINISHED = new RegExp(`\\b(${'TO'}DO|${'FIX'}ME)\\b`)

/** All breaches below `root`, in the order of files and lines. */
export function findBreaches(root: string, dataTables = DATA_TABLES): Breach[] {
  const sources = readSources(root, FOLDERS)
  const breaches = sources.flatMap(source => [
    ...source.imports.flatMap(entry => breachesOfImport(source, entry)),
    ...breachesOfShape(source),
    ...breachesOfSize(source, dataTables),
  ])
  breaches.push(...breachesOfCycles(sources))
  return breaches.sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line)
}

function breachesOfImport({ path }: Source, entry: Import): Breach[] {
  const what = entry.relative ? whatOfFile(path, entry) : whatOfPackage(path, entry.target)
  return what === undefined ? [] : [{ path, line: entry.line, what }]
}

function whatOfFile(path: string, { target, dynamic }: Import): string | undefined {
  if (path === 'lib/main.ts' && !dynamic) return 'lib/main.ts imports dynamically only'
  if (!/\.ts$/.test(target) && !/\.json$/.test(target)) return `import of ${target} without .ts`
  const [, allowed] = FLOORS.find(([from]) => isWithin(path, from)) ?? []
  if (allowed === undefined) return undefined // told of once for the file, below
  if (!allowed.some(place => isWithin(target, place))) return `may not import ${target}`
  if (!isWithin(path, ENGINE) || !isWithin(target, ENGINE)) return undefined
  if (rankOf(path) < 0 || rankOf(target) < 0 || rankOf(path) < rankOf(target)) return undefined
  return `may not import ${target}, which is not below it in the engine`
}

function whatOfPackage(path: string, target: string): string | undefined {
  const module = target.startsWith('@')
    ? target.split('/').slice(0, 2).join('/')
    : (target.split('/')[0] ?? target)
  const homes = HOMES[module]
  if (homes === undefined) return target.startsWith('node:') ? undefined : `${target} has no home`
  if (homes.some(home => isWithin(path, home))) return undefined
  return `may not import ${target}, whose home is ${homes.join(', ') || 'nowhere'}`
}

function breachesOfShape({ path, lines, anyLines, ownCodeLine }: Source): Breach[] {
  const breaches: Breach[] = anyLines.map(line => ({ path, line, what: '`any`' }))
  const at = (line: number, what: string) => breaches.push({ path, line, what })
  lines.forEach((line, index) => {
    const [word] = UNFINISHED.exec(line) ?? []
    if (word !== undefined) at(index + 1, `${word} left behind`)
  })
  if (!FLOORS.some(([from]) => isWithin(path, from))) at(1, 'has no place in the table of floors')
  if (isWithin(path, ENGINE) && rankOf(path) < 0) at(1, 'has no rank in the engine')
  if (!isWithin(path, 'test/') && !beginsWithComment(lines)) at(1, 'no comment at its head')
  if (path === 'lib/index.ts' && ownCodeLine !== undefined) at(ownCodeLine, 'only re-exports here')
  return breaches
}

function breachesOfSize({ path, lines, functions }: Source, dataTables: object): Breach[] {
  const long = functions.filter(({ bodyLines }) => bodyLines > FUNCTION_LINES_MAX)
  const breaches = long.map(({ line, bodyLines }) => {
    return { path, line, what: `function of ${bodyLines} lines, ${FUNCTION_LINES_MAX} are allowed` }
  })
  if (lines.length > FILE_LINES_MAX && !(path in dataTables)) {
    const what = `file of ${lines.length} lines, ${FILE_LINES_MAX} are allowed`
    breaches.push({ path, line: FILE_LINES_MAX + 1, what })
  }
  return breaches
}

// Depth first; a file met again while its own imports are being followed closes a cycle.
function breachesOfCycles(sources: Source[]): Breach[] {
  const byPath = new Map(sources.map(source => [source.path, source]))
  const finished = new Set<string>()
  const breaches: Breach[] = []
  const follow = (source: Source, trail: string[]) => {
    const here = [...trail, source.path]
    for (const { target, line } of source.imports) {
      const next = byPath.get(target)
      if (next === undefined || finished.has(target)) continue
      const from = here.indexOf(target)
      if (from < 0) follow(next, here)
      else {
        const what = `import cycle: ${[...here.slice(from), target].join(' -> ')}`
        breaches.push({ path: source.path, line, what })
      }
    }
    finished.add(source.path)
  }
  for (const source of sources) if (!finished.has(source.path)) follow(source, [])
  return breaches
}

function isWithin(path: string, place: string): boolean {
  return place.endsWith('/') ? path.startsWith(place) : path === place
}

/** 0 is the top; -1: not in the table. */
function rankOf(path: string): number {
  return ENGINE_RANKS.findIndex(row => row.includes(path.slice(ENGINE.length)))
}

function beginsWithComment([first = '', second = '']: string[]): boolean {
  return /^\/[/*]/.test(first.startsWith('#!') ? second : first)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const breaches = findBreaches(process.argv[2] ?? '.')
  for (const { path, line, what } of breaches) console.log(`${path}:${line}: ${what}`)
  if (breaches.length > 0) process.exitCode = 1
}
